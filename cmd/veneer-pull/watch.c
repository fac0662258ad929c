#include "cmd.h"
#include <string.h>

struct watch {
	const struct cmd_call *call;
	struct vn_pull *pull;
};

static void put_failure(struct out *out, const struct vn_err *why, struct text *line)
{
	text_add(line, why->text);
	out_label(out, OUT_BAD, "veneer-pull", "");
	out_escaped(out, why->text);
	if (*why->hint) {
		out_put(out, "  ");
		out_escaped(out, why->hint);
	}
	out_printf(out, " (exit status %d)\n", vn_exit_status(why->code));
}

static void put_outcome(struct out *out, const struct vn_pull_report *report, bool quiet, struct text *line)
{
	text_add(line, report->sentence ? report->sentence : "");
	if (cmd_adds_why(report))
		text_addf(line, " (%s)", report->why);
	if (quiet && report->outcome == VN_PULL_CURRENT)
		return;
	out_escaped(out, text_get(line));
	out_put(out, "\n");
}

/* One line for each poll, for the journal; with JSON the report of one that did not fail on stdout too. */
static int tick(void *user, int result, const struct vn_err *why)
{
	OUT_CLEANUP(text_release) struct text line = { 0 }, status = { 0 };
	const struct watch *watch = user;
	const struct vn_pull_report *report = vn_pull_get_report(watch->pull);
	CMD_AUTO_FREE char *json = NULL;
	struct vn_err err = { 0 };

	meter_clear(watch->call->meter);
	if (result < 0)
		put_failure(&watch->call->meter->out, why, &line);
	else if (report)
		put_outcome(&watch->call->meter->out, report, watch->call->common->quiet, &line);
	fflush(watch->call->meter->out.file);
	text_add(&status, "STATUS=");
	text_escape(&status, text_get(&line));
	cmd_notify(text_get(&status));
	if (watch->call->json && result >= 0 && report && vn_pull_report_json(watch->pull, &json, &err) == 0) {
		cmd_put_json(watch->call->out, json);
		fflush(watch->call->out->file);
	}
	return 0;
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	struct watch watch = { .call = call };
	CMD_AUTO_PULL pull = NULL;

	if (cmd_open(call, call->nargs ? call->args[0] : NULL, &pull, err) < 0)
		return -(int)err->code;
	watch.pull = pull;
	cmd_notify("READY=1");
	return vn_pull_watch(pull, tick, &watch, err);
}

static const struct opt_positional args[] = {
	{ "REF", "what to follow: registry/repository:tag, instead of the file's \"reference\"", true, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { cmd_device_options, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "systemctl enable --now veneer-pull", "with the unit that comes along" },
	{ "veneer-pull watch --config /etc/veneer-pull/camera.json", "by hand" },
	{ 0 },
};

const struct vn_cmd cmd_watch = {
	.name = "watch",
	.summary = "poll for ever, and update when there is news",
	.about = "Poll as the configuration says, and update when there is news: with jitter, inside windows, within budgets. Each poll is "
		 "one line on stderr. It may be killed at any time: the next start goes on where the journal says.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct cmd_common),
	.examples = examples,
	.run = run,
};
