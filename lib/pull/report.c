/* What people and machines are told: reports, status, history, the status file and the Prometheus metrics. */
#include "pull/pull.h"
#include "pull/staging.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/num.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_FINDINGS 10000
#define MAX_TEXT (1u << 20)

const char *vn_pull_called(const struct vn_release *r, char out[200])
{
	if (*r->label)
		snprintf(out, 200, "%s (%.19s)", r->label, r->manifest.text);
	else
		snprintf(out, 200, "%.19s", r->manifest.text);
	return out;
}

int vn_pull_say(struct vn_pull *p, struct vn_err *err, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	const char *kept = vn_arena_text(&p->report_arena, text, err);
	if (!kept)
		return -(int)err->code;
	p->report.sentence = kept;
	return 0;
}

int vn_pull_find(struct vn_pull *p, const char *what, const char *problem, uint64_t bytes, struct vn_err *err)
{
	if (p->report.nfindings == MAX_FINDINGS)
		return 0;
	int r = vn_grow(&p->findings, &p->findings_cap, p->report.nfindings + 1, sizeof(*p->findings), err);
	const char *a = r == 0 ? vn_arena_text(&p->report_arena, what, err) : NULL;
	const char *b = a ? vn_arena_text(&p->report_arena, problem, err) : NULL;
	if (!a || !b)
		return -(int)err->code;
	p->findings[p->report.nfindings++] = (struct vn_pull_finding){ a, b, bytes };
	p->report.findings = p->findings;
	return 0;
}

const struct vn_pull_report *vn_pull_get_report(const struct vn_pull *pull)
{
	return pull->report.verb ? &pull->report : NULL;
}

/* ---- status */
static void fill_release(const struct vn_journal *j, const struct vn_release *r, struct vn_pull_release *ret)
{
	bool active = vn_digest_equal(&r->manifest, &j->active) && !vn_digest_none(&j->active);
	*ret = (struct vn_pull_release){ .digest = r->manifest.text, .image = r->image.text, .label = r->label, .how = r->how,
					 .check = r->check, .counter = r->counter, .bytes = r->bytes, .installed = r->installed,
					 .activated = r->activated, .active = active, .pinned = active && j->pinned,
					 .on_trial = active && vn_digest_equal(&j->trial, &j->active) };
}

static int fill_status(struct vn_pull *p, struct vn_err *err)
{
	const struct vn_journal *j = &p->journal;
	const struct vn_update *u = &j->update;
	free(vn_steal(p->status_releases));
	p->status_releases = calloc(j->nreleases + 1, sizeof(*p->status_releases));
	if (!p->status_releases)
		return vn_nomem(err);
	size_t n = 0;
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < j->nreleases; i++)
			if ((pass == 0) == vn_digest_equal(&j->releases[i].manifest, &j->active))
				fill_release(j, &j->releases[i], &p->status_releases[n++]);
	p->status = (struct vn_pull_status){
		.reference = p->public_name ? p->public_name : j->reference, .engine = p->config.engine,
		.endpoint = p->config.endpoint ? p->config.endpoint : "", .state = p->config.state, .step = vn_step_name(u->step),
		.target = u->step == VN_STEP_IDLE ? "" : u->release.manifest.text,
		.have = u->step == VN_STEP_IDLE ? 0 : vn_staging_bytes(p->staging), .need = u->step == VN_STEP_IDLE ? 0 : u->need,
		.releases = p->status_releases, .nreleases = n, .base_pinned = !vn_digest_none(&j->base),
		.month_bytes = j->month_bytes + j->reserved, .month_budget = p->config.month_budget, .last_bytes = j->last_bytes,
		.last_poll = j->last_poll, .next_poll = j->next_poll, .waits = j->waits, .error = j->error,
		.error_status = j->error_status, .error_time = j->error_time, .failures = j->failures,
		.unsound = j->unsound,
	};
	return 0;
}

int vn_pull_get_status(struct vn_pull *pull, const struct vn_pull_status **ret, struct vn_err *err)
{
	int r = vn_pull_look(pull, err);
	if (r == 0)
		r = fill_status(pull, err);
	if (r == 0)
		*ret = &pull->status;
	return r;
}

int vn_pull_get_history(struct vn_pull *pull, const struct vn_pull_event **ret, size_t *ret_n, struct vn_err *err)
{
	int r = vn_pull_look(pull, err);
	if (r < 0)
		return r;
	const struct vn_journal *j = &pull->journal;
	free(vn_steal(pull->history));
	pull->history = calloc(j->nhistory + 1, sizeof(*pull->history));
	if (!pull->history)
		return vn_nomem(err);
	for (size_t i = 0; i < j->nhistory; i++) {
		const struct vn_happened *h = &j->history[i];
		pull->history[i] = (struct vn_pull_event){ h->time, h->event, h->digest.text, h->label, h->detail, h->bytes };
	}
	*ret = pull->history;
	*ret_n = j->nhistory;
	return 0;
}

/* ---- JSON */
static vn_json *time_json(int64_t seconds)
{
	char text[VN_TIME_TEXT];
	return vn_json_string(seconds ? vn_time_text(seconds, text) : NULL);
}

static vn_json *u64_json(uint64_t n)
{
	return vn_json_int(n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

static vn_json *release_json(const struct vn_pull_release *r)
{
	vn_json *o = vn_json_object();
	vn_json_set(o, "digest", vn_json_string(r->digest));
	vn_json_set(o, "image", vn_json_string(r->image));
	vn_json_set(o, "label", vn_json_string(r->label));
	vn_json_set(o, "how", vn_json_string(r->how));
	vn_json_set(o, "check", vn_json_string(r->check));
	vn_json_set(o, "counter", u64_json(r->counter));
	vn_json_set(o, "bytes", u64_json(r->bytes));
	vn_json_set(o, "installed", time_json(r->installed));
	vn_json_set(o, "activated", time_json(r->activated));
	vn_json_set(o, "active", vn_json_bool(r->active));
	vn_json_set(o, "pinned", vn_json_bool(r->pinned));
	vn_json_set(o, "on_trial", vn_json_bool(r->on_trial));
	return o;
}

static vn_json *status_object(const struct vn_pull_status *s)
{
	vn_json *o = vn_json_object(), *releases = vn_json_array(), *month = vn_json_object(), *error = NULL;
	for (size_t i = 0; i < s->nreleases; i++)
		vn_json_add(releases, release_json(&s->releases[i]));
	vn_json_set(month, "bytes", u64_json(s->month_bytes));
	vn_json_set(month, "budget", s->month_budget ? u64_json(s->month_budget) : vn_json_string(NULL));
	if (*s->error) {
		error = vn_json_object();
		vn_json_set(error, "text", vn_json_string(s->error));
		vn_json_set(error, "status", vn_json_int(s->error_status));
		vn_json_set(error, "time", time_json(s->error_time));
	}
	vn_json_set(o, "schema", vn_json_string("veneer-pull.status/1"));
	vn_json_set(o, "reference", vn_json_string(s->reference));
	vn_json_set(o, "engine", vn_json_string(s->engine));
	vn_json_set(o, "endpoint", vn_json_string(s->endpoint));
	vn_json_set(o, "state", vn_json_string(s->state));
	vn_json_set(o, "step", vn_json_string(s->step));
	vn_json_set(o, "target", *s->target ? vn_json_string(s->target) : vn_json_string(NULL));
	vn_json_set(o, "have", u64_json(s->have));
	vn_json_set(o, "need", u64_json(s->need));
	vn_json_set(o, "releases", releases);
	vn_json_set(o, "base_pinned", vn_json_bool(s->base_pinned));
	vn_json_set(o, "month", month);
	vn_json_set(o, "last_bytes", u64_json(s->last_bytes));
	vn_json_set(o, "last_poll", time_json(s->last_poll));
	vn_json_set(o, "next_poll", time_json(s->next_poll));
	vn_json_set(o, "waits", vn_json_string(s->waits));
	vn_json_set(o, "failures", vn_json_int(s->failures));
	vn_json_set(o, "unsound", time_json(s->unsound));
	vn_json_set(o, "error", error ? error : vn_json_string(NULL));
	return o;
}

/* Takes over `json`. */
static int text_of(vn_json *json, char **ret, struct vn_err *err)
{
	VN_AUTO_JSON *owned = json;
	VN_AUTO(vn_buf) text = VN_BUF(MAX_TEXT);
	int r = vn_json_text(owned, true, &text, err);
	return r < 0 ? r : vn_buf_steal(&text, ret, err);
}

int vn_pull_status_json(struct vn_pull *pull, char **ret_text, struct vn_err *err)
{
	const struct vn_pull_status *s;
	int r = vn_pull_get_status(pull, &s, err);
	return r < 0 ? r : text_of(status_object(s), ret_text, err);
}

int vn_pull_history_json(struct vn_pull *pull, char **ret_text, struct vn_err *err)
{
	const struct vn_pull_event *list;
	size_t n;
	int r = vn_pull_get_history(pull, &list, &n, err);
	if (r < 0)
		return r;
	vn_json *o = vn_json_object(), *events = vn_json_array();
	for (size_t i = 0; i < n; i++) {
		vn_json *e = vn_json_object();
		vn_json_set(e, "time", time_json(list[i].time));
		vn_json_set(e, "event", vn_json_string(list[i].event));
		vn_json_set(e, "digest", *list[i].digest ? vn_json_string(list[i].digest) : vn_json_string(NULL));
		vn_json_set(e, "label", vn_json_string(list[i].label));
		vn_json_set(e, "detail", vn_json_string(list[i].detail));
		vn_json_set(e, "bytes", u64_json(list[i].bytes));
		vn_json_add(events, e);
	}
	vn_json_set(o, "schema", vn_json_string("veneer-pull.history/1"));
	vn_json_set(o, "events", events);
	return text_of(o, ret_text, err);
}

int vn_pull_report_json(const struct vn_pull *pull, char **ret_text, struct vn_err *err)
{
	static const char *const outcomes[] = { "current", "updated", "staged", "waits", "refused-before" };
	const struct vn_pull_report *r = &pull->report;
	vn_json *o = vn_json_object(), *findings = vn_json_array();
	for (size_t i = 0; i < r->nfindings; i++) {
		vn_json *f = vn_json_object();
		vn_json_set(f, "what", vn_json_string(r->findings[i].what));
		vn_json_set(f, "problem", vn_json_string(r->findings[i].problem));
		vn_json_set(f, "bytes", u64_json(r->findings[i].bytes));
		vn_json_add(findings, f);
	}
	vn_json_set(o, "schema", vn_json_string("veneer-pull.report/1"));
	vn_json_set(o, "verb", vn_json_string(r->verb));
	vn_json_set(o, "outcome", vn_json_string(outcomes[r->outcome]));
	vn_json_set(o, "sentence", vn_json_string(r->sentence));
	vn_json_set(o, "why", vn_json_string(r->why));
	vn_json_set(o, "digest", vn_json_string(r->digest));
	vn_json_set(o, "previous", vn_json_string(r->previous));
	vn_json_set(o, "sent", u64_json(r->sent));
	vn_json_set(o, "received", u64_json(r->received));
	vn_json_set(o, "dry_run", vn_json_bool(r->dry_run));
	vn_json_set(o, "findings", findings);
	return text_of(o, ret_text, err);
}

/* ---- files */
static int metric(struct vn_buf *out, const char *name, const char *help, const char *type, uint64_t value, struct vn_err *err)
{
	return vn_buf_addf(out, err, "# HELP veneer_pull_%s %s\n# TYPE veneer_pull_%s %s\nveneer_pull_%s %llu\n", name, help, name, type,
			   name, (unsigned long long)value);
}

/* A label's value (Prometheus text format): backslash, quote and line feed are escaped. */
static int add_label(struct vn_buf *out, const char *name, const char *value, struct vn_err *err)
{
	int r = vn_buf_addf(out, err, "%s=\"", name);
	for (; r == 0 && *value; value++)
		r = *value == '\\' || *value == '"' ? vn_buf_addf(out, err, "\\%c", *value) :
		    *value == '\n'		    ? vn_buf_adds(out, "\\n", err) :
						      vn_buf_add(out, value, 1, err);
	return r < 0 ? r : vn_buf_adds(out, "\"", err);
}

static int metrics_text(const struct vn_pull *p, struct vn_buf *out, struct vn_err *err)
{
	const struct vn_journal *j = &p->journal;
	const struct vn_release *active = vn_journal_active((struct vn_journal *)(uintptr_t)j);
	bool well = !*j->error && !*j->waits && j->update.step == VN_STEP_IDLE && active;
	int r = metric(out, "up_to_date", "1 when the release that the reference names runs here.", "gauge", well, err);
	if (r == 0)
		r = metric(out, "last_success_timestamp_seconds", "When the registry was last asked with success.", "gauge",
			   j->last_poll > 0 ? (uint64_t)j->last_poll : 0, err);
	if (r == 0)
		r = metric(out, "failures", "Failed runs in a row.", "gauge", j->failures, err);
	if (r == 0)
		r = metric(out, "unsound", "1 when verify found damage, until it finds none.", "gauge", j->unsound != 0, err);
	if (r == 0)
		r = metric(out, "month_bytes", "Bytes on the wire this billing month, both directions.", "gauge", j->month_bytes, err);
	if (r == 0)
		r = metric(out, "month_budget_bytes", "The budget for them; 0 is none.", "gauge", p->config.month_budget, err);
	if (r == 0)
		r = metric(out, "last_update_bytes", "Bytes on the wire of the last update.", "gauge", j->last_bytes, err);
	if (r == 0)
		r = metric(out, "release_counter", "Signed release counter of what runs.", "gauge", active ? active->counter : 0, err);
	if (r == 0)
		r = vn_buf_adds(out, "# HELP veneer_pull_info What runs here.\n# TYPE veneer_pull_info gauge\nveneer_pull_info{", err);
	if (r == 0)
		r = add_label(out, "reference", p->public_name ? p->public_name : "", err);
	if (r == 0)
		r = vn_buf_adds(out, ",", err);
	if (r == 0)
		r = add_label(out, "digest", active ? active->manifest.text : "", err);
	if (r == 0)
		r = vn_buf_adds(out, ",", err);
	if (r == 0)
		r = add_label(out, "label", active ? active->label : "", err);
	return r < 0 ? r : vn_buf_adds(out, "} 1\n", err);
}

/* They are copies for others to read: when one cannot be written, that is told and nothing else happens. */
void vn_pull_write_files(struct vn_pull *p)
{
	struct vn_err why = { 0 };
	VN_AUTO(vn_buf) metrics = VN_BUF(MAX_TEXT);
	VN_AUTO_FREE char *text = NULL;
	int r = 0;
	if (p->config.status_file) {
		r = fill_status(p, &why);
		if (r == 0)
			r = text_of(status_object(&p->status), &text, &why);
		if (r == 0)
			r = vn_fs_replace(p->config.status_file, text, strlen(text), 0644, &why);
	}
	if (r == 0 && p->config.metrics_file) {
		r = metrics_text(p, &metrics, &why);
		if (r == 0)
			r = vn_fs_replace(p->config.metrics_file, vn_buf_text(&metrics), metrics.len, 0644, &why);
	}
	if (r < 0)
		vn_warn(vn_pull_events(p), "%s", why.text);
}
