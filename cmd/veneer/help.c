#include "cmd.h"

static const struct opt_positional args[] = {
	{ "COMMAND", "whose help is wanted", true, NULL },
	{ "SUBCOMMAND", "of a command that has some, such as delta", true, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer help rebase", "the same as veneer rebase --help" },
	{ "veneer help delta make", "the same as veneer delta make --help" },
	{ 0 },
};

const struct vn_cmd cmd_help = {
	.name = "help",
	.summary = "show how a command is used",
	.about = "Show how a command is used, or without COMMAND which commands there are.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct cli_common),
	.examples = examples,
	.run = cmd_show_help,
};
