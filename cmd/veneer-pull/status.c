#include "cmd.h"
#include "veneer/text.h"
#include <string.h>

static const struct out_column fact_columns[] = { { NULL, false, 0, 0 }, { NULL, false, 0, 0 } };

static void fact(struct out_table *facts, const char *label, enum out_style style, const struct text *text)
{
	facts->failed |= text->failed;
	out_cell(facts, OUT_DIM, label);
	out_cell(facts, style, text_get(text));
}

/* "app:prod" of "edge.example.io/team/app:prod" */
static const char *short_name(const char *reference)
{
	const char *slash = strrchr(reference, '/');

	return slash ? slash + 1 : reference;
}

static const char *step_words(const char *step)
{
	static const char *const words[][2] = {
		{ "planned", "is planned" }, { "fetching", "is being fetched" }, { "verified", "is fetched and proved" },
		{ "handing", "is on its way into the engine" }, { "sealed", "is in the engine" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i][0], step))
			return words[i][1];
	return step;
}

/* Its label; with the beginning of its digest where another release has the same, and that alone where the label is the tag. */
static void add_name(struct text *text, const struct vn_pull_status *status, const struct vn_pull_release *release)
{
	const char *tag = strrchr(short_name(status->reference), ':');
	bool says_nothing = !*release->label || (tag && !strcmp(tag + 1, release->label)), alone = true;

	for (size_t i = 0; i < status->nreleases; i++)
		alone &= &status->releases[i] == release || strcmp(status->releases[i].label, release->label) != 0;
	cmd_add_release(text, says_nothing ? "" : release->label, release->digest);
	if (alone || says_nothing)
		return;
	text_add(text, " (");
	cmd_add_release(text, "", release->digest);
	text_add(text, ")");
}

/* The answer: what runs. */
static void put_answer(struct out *out, const struct vn_pull_status *status)
{
	const struct vn_pull_release *active = status->nreleases && status->releases[0].active ? status->releases : NULL;
	OUT_CLEANUP(text_release) struct text line = { 0 };
	const char *name = short_name(status->reference);
	char when[CMD_TIME_TEXT];

	if (!active && *name)
		text_addf(&line, "%s: nothing is installed yet", name);
	else if (!active)
		text_add(&line, "Nothing is installed yet");
	if (active) {
		text_addf(&line, "%s is ", *name ? name : "The image");
		add_name(&line, status, active);
		text_add(&line, ", active");
		if (active->activated)
			text_addf(&line, " since %s", cmd_time_text(active->activated, when));
		if (!strcmp(active->check, "passed"))
			text_add(&line, ", checked");
		if (active->pinned)
			text_add(&line, ", pinned");
		if (active->on_trial)
			text_add(&line, ", its health not known");
	}
	out->failed |= line.failed;
	out_paragraph(out, OUT_BOLD, 0, text_get(&line));
}

static void add_update(struct out_table *facts, const struct vn_pull_status *status)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };
	char have[VN_SIZE_TEXT], need[VN_SIZE_TEXT];

	if (!*status->step || !strcmp(status->step, "idle"))
		return;
	if (*status->target)
		cmd_add_release(&line, "", status->target);
	else
		text_add(&line, "another release");
	text_addf(&line, " %s", step_words(status->step));
	if (status->need && status->have < status->need)
		text_addf(&line, ", %s of %s", vn_size_text(status->have, have), vn_size_text(status->need, need));
	fact(facts, "update", OUT_NOTE, &line);
}

static void add_waits(struct out_table *facts, const struct vn_pull_status *status)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };

	text_add(&line, status->waits);
	if (line.len)
		fact(facts, "waits", OUT_NOTE, &line);
}

static void add_error(struct out_table *facts, const struct vn_pull_status *status)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };
	char when[CMD_TIME_TEXT];

	if (!*status->error)
		return;
	text_addf(&line, "%s (", status->error);
	if (status->error_time)
		text_addf(&line, "%s, ", cmd_time_text(status->error_time, when));
	if (status->failures > 1)
		text_addf(&line, "%u times in a row, ", status->failures);
	text_addf(&line, "exit status %d)", status->error_status);
	fact(facts, "error", OUT_BAD, &line);
}

static void add_damage(struct out_table *facts, const struct vn_pull_status *status)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };
	char when[CMD_TIME_TEXT];

	if (!status->unsound)
		return;
	text_addf(&line, "`veneer-pull verify` found some, %s", cmd_time_text(status->unsound, when));
	fact(facts, "damage", OUT_BAD, &line);
}

static void add_previous(struct out_table *facts, const struct vn_pull_status *status)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };

	for (size_t i = 0; i < status->nreleases; i++) {
		if (status->releases[i].active)
			continue;
		text_add(&line, line.len ? ", " : "");
		add_name(&line, status, &status->releases[i]);
	}
	if (line.len)
		fact(facts, "previous", OUT_PLAIN, &line);
}

static void add_base(struct out_table *facts, const struct vn_pull_status *status)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };

	if (!status->base_pinned)
		return;
	text_add(&line, "pinned: the engine keeps it for the next update");
	fact(facts, "base", OUT_PLAIN, &line);
}

static void add_data(struct out_table *facts, const struct vn_pull_status *status)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };
	char size[VN_SIZE_TEXT];

	if (status->last_bytes)
		text_addf(&line, "%s last update", vn_size_text(status->last_bytes, size));
	if (status->month_bytes || status->month_budget)
		text_addf(&line, "%s%s this month", line.len ? ", " : "", vn_size_text(status->month_bytes, size));
	if (status->month_budget)
		text_addf(&line, " of %s", vn_size_text(status->month_budget, size));
	if (line.len)
		fact(facts, "data", OUT_PLAIN, &line);
}

static void add_polls(struct out_table *facts, const struct vn_pull_status *status)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };
	char when[CMD_TIME_TEXT];

	if (status->next_poll)
		text_addf(&line, "next %s", cmd_time_text(status->next_poll, when));
	if (status->last_poll)
		text_addf(&line, "%slast %s", line.len ? ", " : "", cmd_time_text(status->last_poll, when));
	if (line.len)
		fact(facts, "poll", OUT_PLAIN, &line);
}

static void add_place(struct out_table *facts, const struct vn_pull_status *status)
{
	OUT_CLEANUP(text_release) struct text line = { 0 };

	if (!*status->reference)
		return;
	text_addf(&line, "%s%s%s", status->reference, *status->engine ? " in " : "", status->engine);
	text_addf(&line, "%s%s", *status->endpoint ? " at " : "", status->endpoint);
	fact(facts, "follows", OUT_PLAIN, &line);
}

/* One line for each release, for --verbose. */
static void put_releases(struct out *out, const struct vn_pull_status *status)
{
	static const struct out_column columns[] = {
		{ "release", false, 8, 24 }, { "counter", true, 0, 0 }, { "came by", false, 0, 0 }, { "bytes", true, 0, 0 },
		{ "installed", false, 0, 0 }, { "digest", false, 0, 0 },
	};
	OUT_CLEANUP(out_table_release) struct out_table table = { .columns = columns, .ncolumns = 6 };
	char when[CMD_TIME_TEXT], size[VN_SIZE_TEXT];

	for (size_t i = 0; i < status->nreleases; i++) {
		const struct vn_pull_release *release = &status->releases[i];
		OUT_CLEANUP(text_release) struct text name = { 0 };

		cmd_add_release(&name, release->label, release->digest);
		table.failed |= name.failed;
		out_cell(&table, release->active ? OUT_BOLD : OUT_PLAIN, text_get(&name));
		if (release->counter)
			out_cellf(&table, OUT_PLAIN, "%llu", (unsigned long long)release->counter);
		else
			out_cell(&table, OUT_PLAIN, "");
		out_cell(&table, OUT_PLAIN, release->how);
		out_cell(&table, OUT_PLAIN, release->bytes ? vn_size_text(release->bytes, size) : "");
		out_cell(&table, OUT_PLAIN, release->installed ? cmd_time_text(release->installed, when) : "");
		out_cell(&table, OUT_PLAIN, release->digest);
	}
	out_put(out, "\n");
	out_table_print(&table, out);
}

static void put_status(const struct cmd_call *call, const struct vn_pull_status *status)
{
	OUT_CLEANUP(out_table_release) struct out_table facts = { .columns = fact_columns, .ncolumns = 2 };

	if (call->common->quiet) {
		if (status->nreleases && status->releases[0].active)
			cmd_put_line(call->out, status->releases[0].digest);
		return;
	}
	put_answer(call->out, status);
	add_update(&facts, status);
	add_waits(&facts, status);
	add_error(&facts, status);
	add_damage(&facts, status);
	add_previous(&facts, status);
	add_base(&facts, status);
	add_data(&facts, status);
	add_polls(&facts, status);
	add_place(&facts, status);
	out_table_print(&facts, call->out);
	if (call->common->verbose && status->nreleases)
		put_releases(call->out, status);
}

static int run(const struct cmd_call *call, struct vn_err *err)
{
	const struct vn_pull_status *status;
	CMD_AUTO_PULL pull = NULL;
	CMD_AUTO_FREE char *json = NULL;

	if (cmd_open(call, NULL, &pull, err) < 0)
		return -(int)err->code;
	if (call->json)
		return vn_pull_status_json(pull, &json, err) < 0 ? -(int)err->code : cmd_put_json(call->out, json);
	if (vn_pull_get_status(pull, &status, err) < 0)
		return -(int)err->code;
	put_status(call, status);
	return 0;
}

static const struct opt_positional args[] = { { 0 } };
static const struct opt *const groups[] = { cmd_device_options, cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer-pull status", "what runs, what is held, what went wrong" },
	{ "veneer-pull status --format json | jq -e '.error == null'", "for a monitor" },
	{ 0 },
};

const struct vn_cmd cmd_status = {
	.name = "status",
	.summary = "what runs, what is held, what went wrong",
	.about = "Show what runs on this device, what is held for a rollback, how far an update has come, what it waits for, what went "
		 "wrong, and how many bytes this month took. Needs neither network nor engine, and does not wait for a running update. "
		 "--verbose lists the releases with their digests.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct cmd_common),
	.examples = examples,
	.run = run,
};
