#include "once.h"

static int run(const struct cmd_call *call, struct vn_err *err)
{
	struct vn_pull_once_options options = once_settings(call);
	CMD_AUTO_PULL pull = NULL;

	if (cmd_open(call, NULL, &pull, err) < 0 || vn_pull_import(pull, call->args[0], &options, err) < 0)
		return -(int)err->code;
	return cmd_put_report(call, pull, err);
}

static const struct opt_positional args[] = {
	{ "FILE", "an OCI archive or layout: the image or a delta to it, and its signature when one is asked for", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = {
	once_own_options, cmd_device_options, cmd_registry_options, cmd_general_options, NULL,
};
static const struct cmd_example examples[] = {
	{ "veneer-pull import /media/usb/update.oci", "the update from a USB stick" },
	{ 0 },
};

const struct vn_cmd cmd_import = {
	.name = "import",
	.summary = "the same update from a file, without network",
	.about = "Update from a file as `once` does from the registry, with the same proofs. A file with the whole image works on "
		 "every device; one with a delta works where the image is that it starts from.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct once_options),
	.examples = examples,
	.files = true,
	.run = run,
};
