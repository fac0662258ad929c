#include "cmd.h"
#include "veneer/text.h"

static void put_events(struct out *out, const struct vn_pull_event *events, size_t n)
{
	static const struct out_column columns[] = {
		{ "time", false, 0, 0 },   { "event", false, 0, 0 }, { "release", false, 8, 24 },
		{ "digest", false, 0, 0 }, { "bytes", true, 0, 0 },  { "detail", false, 0, 0 },
	};
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = columns, .ncolumns = 6 };
	char when[CMD_TIME_TEXT], size[VN_SIZE_TEXT];

	for (size_t i = 0; i < n; i++) {
		OUT_CLEANUP(text_release) struct text digest = { 0 };

		cmd_add_release(&digest, "", events[i].digest);
		table.failed |= digest.failed;
		out_cell(&table, OUT_PLAIN, events[i].time ? cmd_time_rfc3339(events[i].time, when) : "-");
		out_cell(&table, OUT_PLAIN, events[i].event);
		out_cell(&table, OUT_PLAIN, events[i].label);
		out_cell(&table, OUT_PLAIN, text_get(&digest));
		out_cell(&table, OUT_PLAIN, events[i].bytes ? vn_size_text(events[i].bytes, size) : "");
		out_cell(&table, OUT_PLAIN, events[i].detail);
	}
	out_table_print(&table, out);
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct vn_pull_event *events;
	CMD_AUTO_PULL pull = NULL;
	CMD_AUTO_FREE char *json = NULL;
	size_t n;

	if (cmd_open(call, NULL, &pull, err) < 0)
		return -(int)err->code;
	if (call->json)
		return vn_pull_history_json(pull, &json, err) < 0 ? -(int)err->code : cmd_put_json(call->out, json);
	if (vn_pull_get_history(pull, &events, &n, err) < 0)
		return -(int)err->code;
	if (n)
		put_events(call->out, events, n);
	else if (!call->common->quiet)
		out_put(call->out, "Nothing has happened yet.\n");
	return 0;
}

static const struct opt_positional args[] = { { 0 } };
static const struct opt *const groups[] = { cmd_device_options, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer-pull history --format json", "for a report" },
	{ 0 },
};

const struct vn_cmd cmd_history = {
	.name = "history",
	.summary = "what happened on this device, the newest last",
	.about = "Show what happened on this device: releases that came, went live, failed or were rolled back, with the bytes that "
		 "they took.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct cmd_common),
	.examples = examples,
	.run = run,
};
