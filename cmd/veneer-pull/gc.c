#include "cmd.h"
#include <stddef.h>

struct options {
	struct cmd_common common;
	bool dry_run;
};

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct options *options = call->options;
	CMD_AUTO_PULL pull = NULL;

	if (cmd_open(call, NULL, &pull, err) < 0 || vn_pull_gc(pull, options->dry_run, err) < 0)
		return -(int)err->code;
	return cmd_put_report(call, pull, err);
}

static const struct opt own[] = {
	{ "dry-run", 0, OPT_FLAG, offsetof(struct options, dry_run), NULL, "list what would go", NULL },
	{ 0 },
};
static const struct opt_positional args[] = { { 0 } };
static const struct opt *const groups[] = { own, cmd_device_options, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer-pull gc --dry-run", "what is no longer needed?" },
	{ 0 },
};

const struct vn_cmd cmd_gc = {
	.name = "gc",
	.summary = "remove what is beyond the releases that are kept",
	.about = "Remove releases beyond the number that is kept, from the engine and from the state folder, and what no release "
		 "needs. An update does this at its end. Nothing that veneer-pull did not install is ever removed.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
