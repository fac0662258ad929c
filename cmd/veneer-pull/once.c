#include "once.h"
#include <stddef.h>

#define AT(field) offsetof(struct once_options, field)
const struct opt once_own_options[] = {
	{ "now", 0, OPT_FLAG, AT(now), NULL, "whatever windows, budgets, the inhibit file and an earlier refusal say", NULL },
	{ "dry-run", 0, OPT_FLAG, AT(dry_run), NULL, "ask and plan, change nothing", NULL },
	{ "allow-downgrade", 0, OPT_FLAG, AT(allow_downgrade), NULL, "a lower release counter may follow, this once", NULL },
	{ 0 },
};

struct vn_pull_once_options once_settings(const struct cmd_call *call)
{
	const struct once_options *options = call->options;

	return (struct vn_pull_once_options){
		.size = sizeof(struct vn_pull_once_options),
		.now = options->now,
		.dry_run = options->dry_run,
		.allow_downgrade = options->allow_downgrade,
	};
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	struct vn_pull_once_options options = once_settings(call);
	CMD_AUTO_PULL pull = NULL;

	if (cmd_open(call, call->nargs ? call->args[0] : NULL, &pull, err) < 0 || vn_pull_once(pull, &options, err) < 0)
		return -(int)err->code;
	return cmd_put_report(call, pull, err);
}

static const struct opt_positional args[] = {
	{ "REF", "what to follow: registry/repository:tag, instead of the file's \"reference\"", true, NULL },
	{ 0 },
};
static const struct opt *const groups[] = {
	once_own_options, cmd_device_options, cmd_registry_options, cmd_general_options, NULL,
};
static const struct cmd_example examples[] = {
	{ "veneer-pull once", "as /etc/veneer-pull.json says" },
	{ "veneer-pull once --dry-run --format json", "is there news, and how many bytes would it take?" },
	{ "veneer-pull once --engine oci --endpoint /srv/images edge.example.io/app:prod", "into a folder, without an engine" },
	{ 0 },
};

const struct vn_cmd cmd_once = {
	.name = "once",
	.summary = "ask once, and update when there is news",
	.about = "Ask the registry once what the reference names, and bring it into the engine when it is another image than the "
		 "one that runs: by a delta where there is one, else by its missing layers. What was interrupted goes on where it "
		 "stopped. Exit status 1: there is news that waits, or that was refused before.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct once_options),
	.examples = examples,
	.run = run,
};
