#include "cmd.h"

static int run(const struct cmd_call *call, struct vn_err *err)
{
	CMD_AUTO_PULL pull = NULL;
	struct vn_err shown = { 0 };
	int rc;

	if (cmd_open(call, NULL, &pull, err) < 0)
		return -(int)err->code;
	rc = vn_pull_verify(pull, err);
	if (rc < 0 && err->code != VN_EDIGEST)
		return rc;
	/* what is not sound is the result, and an error beside it */
	if (rc < 0)
		return cmd_put_report(call, pull, &shown) < 0 ? rc : -(int)err->code;
	return cmd_put_report(call, pull, err);
}

static const struct opt_positional args[] = { { 0 } };
static const struct opt *const groups[] = { cmd_device_options, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer-pull verify && veneer-pull status", "is all that is held whole?" },
	{ 0 },
};

const struct vn_cmd cmd_verify = {
	.name = "verify",
	.summary = "hash everything that is held, and ask the engine for it",
	.about = "Hash every blob of every release that this device holds, and look whether the engine has each of them whole. Changes "
		 "nothing. Exit status 4: something is not sound, and the list says what.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct cmd_common),
	.examples = examples,
	.run = run,
};
