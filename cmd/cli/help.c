#include "cli/cli.h"

int cmd_show_help(const struct cmd_call *call, struct vn_err *err)
{
	const struct vn_cmd *cmd;

	if (!call->nargs) {
		usage_overview(call->out, call->program);
		return 0;
	}
	cmd = cmd_find(call->program, NULL, call->args[0], err);
	if (cmd && call->nargs > 1 && !cmd->subs)
		return opt_fail(err, VN_EUSAGE, NULL, "%s has no commands of its own", cmd->name);
	if (cmd && call->nargs > 1)
		cmd = cmd_find(call->program, cmd, call->args[1], err);
	if (!cmd)
		return -VN_EUSAGE;
	usage_command(call->out, call->program, cmd);
	return 0;
}
