#include "cmd.h"

struct options {
	struct cmd_common common;
};

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct vn_cmd *cmd;

	if (!call->nargs) {
		usage_overview(call->out);
		return 0;
	}
	cmd = cmd_find(NULL, call->args[0], err);
	if (cmd && call->nargs > 1 && !cmd->subs)
		return opt_fail(err, VN_EUSAGE, NULL, "%s has no commands of its own", cmd->name);
	if (cmd && call->nargs > 1)
		cmd = cmd_find(cmd, call->args[1], err);
	if (!cmd)
		return -VN_EUSAGE;
	usage_command(call->out, cmd);
	return 0;
}

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
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
