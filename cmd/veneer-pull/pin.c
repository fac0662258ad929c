#include "cmd.h"
#include <stddef.h>

struct options {
	struct cmd_common common;
	bool off;
};

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct options *options = call->options;
	CMD_AUTO_PULL pull = NULL;

	if (cmd_open(call, NULL, &pull, err) < 0 || vn_pull_pin(pull, options->off, err) < 0)
		return -(int)err->code;
	return cmd_put_report(call, pull, err);
}

static const struct opt own[] = {
	{ "off", 0, OPT_FLAG, offsetof(struct options, off), NULL, "let it go again", NULL },
	{ 0 },
};
static const struct opt_positional args[] = { { 0 } };
static const struct opt *const groups[] = { own, cmd_device_options, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer-pull pin", "this release stays until further notice" },
	{ "veneer-pull pin --off", "follow the reference again" },
	{ 0 },
};

const struct vn_cmd cmd_pin = {
	.name = "pin",
	.summary = "keep the active release, whatever the reference names",
	.about = "Keep the active release: nothing replaces it until it is let go with --off. Polls go on and tell what they would do.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
