#include "cmd.h"

int main(int argc, char **argv)
{
	return cli_main(&cmd_program, argc, argv);
}
