#include "cli/test_tables.h"
#include "cmd.h"

static void test_options(void)
{
	check_table(cmd_program.commands);
}

static void test_help_fits(void)
{
	check_help(&cmd_program);
}

int main(void)
{
	RUN(test_options);
	RUN(test_help_fits);
	return vn_test_end();
}
