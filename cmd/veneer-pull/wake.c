#include "cmd.h"

static int run(const struct cmd_call *call, struct vn_err *err)
{
	CMD_AUTO_PULL pull = NULL;

	if (cmd_open(call, NULL, &pull, err) < 0 || vn_pull_wake(pull, err) < 0)
		return -(int)err->code;
	if (call->json)
		return cmd_put_json(call->out, "{\"schema\":\"veneer-pull.wake/1\",\"woken\":true}");
	if (!call->common->quiet)
		out_put(call->out, "The watcher asks now.\n");
	return 0;
}

static const struct opt_positional args[] = { { 0 } };
static const struct opt *const groups[] = { cmd_device_options, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "mosquitto_sub -t fleet/update | while read -r _; do veneer-pull wake; done", "a message replaces polling" },
	{ 0 },
};

const struct vn_cmd cmd_wake = {
	.name = "wake",
	.summary = "let the watcher ask now instead of at its next poll",
	.about = "Tell the `veneer-pull watch` of the same state folder to ask the registry now. Windows and budgets still hold. Exit "
		 "status 3: nobody watches.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct cmd_common),
	.examples = examples,
	.run = run,
};
