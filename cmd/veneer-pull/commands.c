/* The program: its table of commands, and what --help says around it. */
#include "cmd.h"
#include "veneer/context.h"

static const struct vn_cmd *const commands[] = { &cmd_version, &cmd_completion, &cmd_help, NULL };

static const char *libraries(void)
{
	return vn_library_versions(NULL);
}

const struct cli_program cmd_program = {
	.name = "veneer-pull",
	.arguments = "COMMAND [OPTION]... [ARGUMENT]",
	.about = "Keeps one image of a device up to date, and never loses the one that runs.",
	.notes = "exit status: 0 done, or up to date; 1 waits, or refused; 2 usage; 3 failed;\n"
		 "4 integrity (do not retry); 5 may pass (retry)\n\n"
		 "veneer-pull(8) and veneer-pull.json(5) say more.\n",
	.page = "veneer-pull(8)",
	.libraries = libraries,
	.commands = commands,
};
