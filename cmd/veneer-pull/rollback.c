#include "cmd.h"

static int run(const struct cmd_call *call, struct vn_err *err)
{
	CMD_AUTO_PULL pull = NULL;

	if (cmd_open(call, NULL, &pull, err) < 0 || vn_pull_rollback(pull, call->nargs ? call->args[0] : NULL, err) < 0)
		return -(int)err->code;
	return cmd_put_report(call, pull, err);
}

static const struct opt_positional args[] = {
	{ "RELEASE", "a label, a digest or the beginning of its hex digits; the one before when missing", true, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { cmd_device_options, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer-pull rollback", "the release before this one" },
	{ "veneer-pull rollback iot-2", "another one that `veneer-pull status` lists" },
	{ 0 },
};

const struct vn_cmd cmd_rollback = {
	.name = "rollback",
	.summary = "go back to a release that this device holds",
	.about = "Give the name that containers are started from to a release that this device holds. Needs no network. The release "
		 "that was left is not taken again until the registry offers another one, or `once --now` asks for it.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct cmd_common),
	.examples = examples,
	.run = run,
};
