#include "pull/journal.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const steps[VN_STEPS] = { "idle", "planned", "fetching", "verified", "handing", "sealed" };

const char *vn_step_name(enum vn_step step)
{
	return step < VN_STEPS ? steps[step] : "unknown";
}

/* ---- one description of each struct serves reading and writing */
enum kind { TEXT, DIGEST, U64, I64, UINT, INT, BOOL, STEP };
struct member {
	const char *name;
	enum kind kind;
	size_t at, size;             /* size: of a TEXT */
};
#define MEMBER(type, field, kind) { #field, kind, offsetof(struct type, field), sizeof(((struct type *)0)->field) }

static const struct member release_members[] = {
	MEMBER(vn_release, manifest, DIGEST), MEMBER(vn_release, image, DIGEST),    MEMBER(vn_release, channel, DIGEST),
	MEMBER(vn_release, name, TEXT),	      MEMBER(vn_release, label, TEXT),	    MEMBER(vn_release, how, TEXT),
	MEMBER(vn_release, check, TEXT),      MEMBER(vn_release, counter, U64),	    MEMBER(vn_release, bytes, U64),
	MEMBER(vn_release, layers, U64),      MEMBER(vn_release, base, U64),	    MEMBER(vn_release, installed, I64),
	MEMBER(vn_release, activated, I64),   MEMBER(vn_release, turn, U64),	    MEMBER(vn_release, healthy, BOOL),
	MEMBER(vn_release, unhealthy, BOOL),  MEMBER(vn_release, proof, TEXT),
	{ 0 },
};
static const struct member update_members[] = {
	MEMBER(vn_update, step, STEP), MEMBER(vn_update, from, DIGEST), MEMBER(vn_update, need, U64), MEMBER(vn_update, have, U64),
	MEMBER(vn_update, present, U64), MEMBER(vn_update, key, TEXT), MEMBER(vn_update, expires, I64), MEMBER(vn_update, starts, UINT),
	MEMBER(vn_update, start_boot, TEXT),
	MEMBER(vn_update, before, U64), MEMBER(vn_update, import, BOOL), MEMBER(vn_update, delta_failed, BOOL),
	MEMBER(vn_update, boot, TEXT), { 0 },
};
static const struct member happened_members[] = {
	MEMBER(vn_happened, time, I64),	  MEMBER(vn_happened, event, TEXT),  MEMBER(vn_happened, digest, DIGEST),
	MEMBER(vn_happened, label, TEXT), MEMBER(vn_happened, detail, TEXT), MEMBER(vn_happened, bytes, U64),
	{ 0 },
};
static const struct member journal_members[] = {
	MEMBER(vn_journal, reference, TEXT),   MEMBER(vn_journal, repository, TEXT), MEMBER(vn_journal, engine, TEXT),
	MEMBER(vn_journal, folder, TEXT),
	MEMBER(vn_journal, active, DIGEST),    MEMBER(vn_journal, asked, DIGEST),    MEMBER(vn_journal, refused, DIGEST),
	MEMBER(vn_journal, refused_by_order, BOOL), MEMBER(vn_journal, wanting, TEXT),
	MEMBER(vn_journal, trial, DIGEST),     MEMBER(vn_journal, back, DIGEST),     MEMBER(vn_journal, pinned, BOOL),
	MEMBER(vn_journal, counter, U64),      MEMBER(vn_journal, starts, UINT),
	MEMBER(vn_journal, start_boot, TEXT),
	MEMBER(vn_journal, base, DIGEST),      MEMBER(vn_journal, base_name, TEXT),  MEMBER(vn_journal, month, I64),
	MEMBER(vn_journal, month_bytes, U64),  MEMBER(vn_journal, reserved, U64),    MEMBER(vn_journal, last_bytes, U64),
	MEMBER(vn_journal, last_poll, I64),    MEMBER(vn_journal, next_poll, I64),   MEMBER(vn_journal, latest, I64),
	MEMBER(vn_journal, failures, UINT),    MEMBER(vn_journal, waits, TEXT),	     MEMBER(vn_journal, error, TEXT),
	MEMBER(vn_journal, error_status, INT), MEMBER(vn_journal, error_time, I64),  MEMBER(vn_journal, unsound, I64),
	MEMBER(vn_journal, error_of_verify, BOOL),
	{ 0 },
};

static const void *field(const void *object, const struct member *m)
{
	return (const char *)object + m->at;
}

static vn_json *value_of(const void *at, enum kind kind)
{
	switch (kind) {
	case TEXT:
		return vn_json_string(at);
	case DIGEST:
		return vn_json_string(((const struct vn_digest *)at)->text);
	case U64:
		return vn_json_int((int64_t)(*(const uint64_t *)at & INT64_MAX));
	case I64:
		return vn_json_int(*(const int64_t *)at);
	case UINT:
		return vn_json_int(*(const unsigned *)at);
	case INT:
		return vn_json_int(*(const int *)at);
	case BOOL:
		return vn_json_bool(*(const bool *)at);
	default:
		return vn_json_string(vn_step_name(*(const enum vn_step *)at));
	}
}

/* What is empty is left out. */
static bool is_empty(const void *at, const struct member *m)
{
	static const char zero[VN_PULL_TEXT];
	return m->kind == TEXT || m->kind == DIGEST ? !*(const char *)at : m->size <= sizeof(zero) && !memcmp(at, zero, m->size);
}

static vn_json *object_of(const void *object, const struct member *members)
{
	vn_json *json = vn_json_object();
	for (const struct member *m = members; m->name; m++)
		if (!is_empty(field(object, m), m))
			vn_json_set(json, m->name, value_of(field(object, m), m->kind));
	return json;
}

static int read_step(const char *text, enum vn_step *ret, struct vn_err *err)
{
	for (int i = 0; i < VN_STEPS; i++)
		if (!strcmp(steps[i], text)) {
			*ret = (enum vn_step)i;
			return 0;
		}
	return vn_fail(err, VN_EFORMAT, "the journal says the step \"%.40s\", which is not known", text);
}

static int read_number(const struct vn_jv *v, enum kind kind, void *at, struct vn_err *err)
{
	int64_t n;
	int r = vn_jv_int(v, &n, err);
	if (r < 0)
		return r;
	if ((kind != I64 && n < 0) || ((kind == UINT || kind == INT) && n > INT32_MAX))
		return vn_fail(err, VN_EFORMAT, "the journal: %s is out of range", v->at);
	if (kind == UINT)
		*(unsigned *)at = (unsigned)n;
	else if (kind == INT)
		*(int *)at = (int)n;
	else if (kind == U64)
		*(uint64_t *)at = (uint64_t)n;
	else
		*(int64_t *)at = n;
	return 0;
}

static int read_member(const struct vn_jv *v, const struct member *m, void *at, struct vn_err *err)
{
	const char *text = "";
	int r;
	if (m->kind == BOOL)
		return vn_jv_bool(v, at, err);
	if (m->kind != TEXT && m->kind != DIGEST && m->kind != STEP)
		return read_number(v, m->kind, at, err);
	r = vn_jv_text(v, &text, err);
	if (r < 0)
		return r;
	if (m->kind == DIGEST)
		return *text ? vn_digest_parse(text, at, err) : 0;
	if (m->kind == STEP)
		return read_step(text, at, err);
	if (strlen(text) >= m->size)
		return vn_fail(err, VN_EFORMAT, "the journal: %s is too long", v->at);
	memcpy(at, text, strlen(text) + 1);
	return 0;
}

static int read_object(const struct vn_jv *v, const struct member *members, void *object, struct vn_err *err)
{
	int r = vn_jv_want_object(v, err);
	for (const struct member *m = members; r == 0 && m->name; m++) {
		struct vn_jv one = vn_jv_get(v, m->name);
		if (one.v)
			r = read_member(&one, m, (char *)object + m->at, err);
	}
	return r;
}

/* ---- the document */
int vn_journal_text(const struct vn_journal *j, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_JSON *root = object_of(j, journal_members);
	vn_json *releases = vn_json_array(), *history = vn_json_array();
	for (size_t i = 0; i < j->nreleases; i++)
		vn_json_add(releases, object_of(&j->releases[i], release_members));
	for (size_t i = 0; i < j->nhistory; i++)
		vn_json_add(history, object_of(&j->history[i], happened_members));
	vn_json_set(root, "schema", vn_json_string(VN_JOURNAL_SCHEMA));
	vn_json_set(root, "releases", releases);
	if (j->update.step != VN_STEP_IDLE) {
		vn_json *update = object_of(&j->update, update_members);
		vn_json_set(update, "release", object_of(&j->update.release, release_members));
		vn_json_set(root, "update", update);
	}
	vn_json_set(root, "history", history);
	return vn_json_text(root, true, ret, err);
}

static int read_lists(const struct vn_jv *root, struct vn_journal *j, struct vn_err *err)
{
	struct vn_jv releases = vn_jv_get(root, "releases"), history = vn_jv_get(root, "history");
	int r = 0;
	if (vn_jv_count(&releases) > VN_MAX_RELEASES || vn_jv_count(&history) > VN_MAX_HISTORY)
		return vn_fail(err, VN_ELIMIT, "the journal has too many entries");
	for (; r == 0 && j->nreleases < vn_jv_count(&releases); j->nreleases += r == 0) {
		struct vn_jv one = vn_jv_at(&releases, j->nreleases);
		r = read_object(&one, release_members, &j->releases[j->nreleases], err);
		if (r == 0 && vn_digest_none(&j->releases[j->nreleases].manifest))
			r = vn_fail(err, VN_EFORMAT, "the journal: %s has no manifest", one.at);
	}
	for (; r == 0 && j->nhistory < vn_jv_count(&history); j->nhistory += r == 0) {
		struct vn_jv one = vn_jv_at(&history, j->nhistory);
		r = read_object(&one, happened_members, &j->history[j->nhistory], err);
	}
	return r;
}

int vn_journal_parse(const void *bytes, size_t len, struct vn_journal *ret, struct vn_err *err)
{
	VN_AUTO_JSON *json = NULL;
	const char *schema = NULL;
	int r = vn_json_parse(bytes, len, VN_JOURNAL_FILE, &json, err);
	if (r < 0)
		return r;
	VN_AUTO_FREE struct vn_journal *j = calloc(1, sizeof(*j));
	if (!j)
		return vn_nomem(err);
	struct vn_jv root = vn_jv_root(json, VN_JOURNAL_FILE), update = vn_jv_get(&root, "update"), release = vn_jv_get(&update, "release");
	r = read_object(&root, journal_members, j, err);
	if (r == 0)
		r = vn_jv_need_text(&root, "schema", &schema, err);
	if (r == 0 && strcmp(schema, VN_JOURNAL_SCHEMA))
		r = vn_fail(err, VN_EFORMAT, "the journal is of the kind %.80s, expected " VN_JOURNAL_SCHEMA, schema);
	if (r == 0)
		r = read_lists(&root, j, err);
	if (r == 0 && update.v)
		r = read_object(&update, update_members, &j->update, err);
	if (r == 0 && release.v)
		r = read_object(&release, release_members, &j->update.release, err);
	if (r == 0 && !vn_digest_none(&j->active) && !vn_journal_active(j))
		r = vn_fail(err, VN_EFORMAT, "the journal says that %s is active, and does not hold it", j->active.text);
	if (r == 0)
		*ret = *j;
	return r;
}

/* ---- files */
static int read_file(const char *dir, const char *name, struct vn_journal *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_JOURNAL);
	VN_AUTO_FREE char *path = NULL;
	int r = vn_asprintf(&path, err, "%s/%s", dir, name);
	if (r == 0)
		r = vn_fs_read(path, &bytes, err);
	return r < 0 ? r : vn_journal_parse(vn_buf_text(&bytes), bytes.len, ret, err);
}

int vn_journal_read(const char *dir, struct vn_journal *ret, bool *ret_older, struct vn_err *err)
{
	struct vn_err newest = { 0 }, before = { 0 };
	*ret_older = false;
	int r = read_file(dir, VN_JOURNAL_FILE, ret, &newest);
	if (r == 0)
		return 0;
	if (r == -VN_EIO || r == -VN_ENOMEM) {
		*err = newest;
		return r;
	}
	int older = read_file(dir, VN_JOURNAL_BEFORE, ret, &before);
	if (older == 0) {
		*ret_older = true;
		return 0;
	}
	if (r == -VN_ENOTFOUND && older == -VN_ENOTFOUND) {
		memset(ret, 0, sizeof(*ret));
		return 0;
	}
	*err = r == -VN_ENOTFOUND ? before : newest;
	err->code = VN_EDIGEST;
	vn_wrap(err, "%s", dir);
	return vn_hint(err, "Move %s/" VN_JOURNAL_FILE " and " VN_JOURNAL_BEFORE " away: the next run takes over what the engine has.",
		       dir);
}

int vn_journal_write(const char *dir, const struct vn_journal *j, bool keep_older, struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_JOURNAL);
	VN_AUTO_FREE char *path = NULL, *before = NULL;
	int r = vn_journal_text(j, &text, err);
	if (r == 0)
		r = vn_asprintf(&path, err, "%s/" VN_JOURNAL_FILE, dir);
	if (r == 0)
		r = vn_asprintf(&before, err, "%s/" VN_JOURNAL_BEFORE, dir);
	if (r < 0)
		return r;
	/* a file system without hard links keeps no older one */
	if (!keep_older && (unlink(before) == 0 || errno == ENOENT))
		r = link(path, before) < 0 ? 0 : r;
	return vn_fs_replace(path, vn_buf_text(&text), text.len, 0644, err);
}

/* ---- changes */
struct vn_release *vn_journal_release(struct vn_journal *j, const struct vn_digest *manifest)
{
	for (size_t i = 0; i < j->nreleases; i++)
		if (vn_digest_equal(&j->releases[i].manifest, manifest))
			return &j->releases[i];
	return NULL;
}

struct vn_release *vn_journal_active(struct vn_journal *j)
{
	return vn_digest_none(&j->active) ? NULL : vn_journal_release(j, &j->active);
}

struct vn_release *vn_journal_before(struct vn_journal *j, uint64_t turn)
{
	struct vn_release *last = NULL;
	for (size_t i = 0; i < j->nreleases; i++) {
		struct vn_release *r = &j->releases[i];
		bool ran = r->turn && !r->unhealthy && !vn_digest_equal(&r->manifest, &j->active);
		ran = ran && (!turn || r->turn < turn);
		if (ran && (!last || r->turn > last->turn))
			last = r;
	}
	return last;
}

bool vn_journal_is_wanting(const struct vn_journal *j, const struct vn_digest *manifest)
{
	return strstr(j->wanting, vn_digest_hex(manifest)) != NULL;
}

void vn_journal_set_wanting(struct vn_journal *j, const struct vn_digest *manifest, bool wanting)
{
	const char *hex = vn_digest_hex(manifest);
	size_t len = strlen(hex);
	char *at = strstr(j->wanting, hex);
	if (at)
		memmove(at, at[len] ? at + len + 1 : at + len, strlen(at[len] ? at + len + 1 : at + len) + 1);
	if (!wanting)
		return;
	/* the newest in front; the oldest fall off */
	char all[sizeof(j->wanting) + VN_DIGEST_TEXT + 1];
	snprintf(all, sizeof(all), "%s %s", hex, j->wanting);
	for (char *end; strlen(all) >= sizeof(j->wanting) && (end = strrchr(all, ' '));)
		*end = 0;
	snprintf(j->wanting, sizeof(j->wanting), "%.*s", (int)sizeof(j->wanting) - 1, all);
}

void vn_journal_activate(struct vn_journal *j, struct vn_release *r, int64_t time)
{
	uint64_t last = 0;
	for (size_t i = 0; i < j->nreleases; i++)
		last = j->releases[i].turn > last ? j->releases[i].turn : last;
	r->turn = last + 1;
	r->activated = time;
	j->active = r->manifest;
}

void vn_journal_remove(struct vn_journal *j, const struct vn_digest *manifest)
{
	struct vn_release *r = vn_journal_release(j, manifest);
	if (!r)
		return;
	size_t i = (size_t)(r - j->releases);
	memmove(r, r + 1, (j->nreleases - i - 1) * sizeof(*r));
	j->nreleases--;
}

void vn_journal_add(struct vn_journal *j, const struct vn_release *r)
{
	const struct vn_release copy = *r;
	vn_journal_remove(j, &copy.manifest);
	size_t stay = j->nreleases < VN_MAX_RELEASES ? j->nreleases : VN_MAX_RELEASES - 1;
	memmove(j->releases + 1, j->releases, stay * sizeof(*j->releases));
	j->releases[0] = copy;
	j->nreleases = stay + 1;
}

void vn_journal_happened(struct vn_journal *j, int64_t time, const char *event, const struct vn_release *r, const char *detail,
			 uint64_t bytes)
{
	if (j->nhistory == VN_MAX_HISTORY) {
		memmove(j->history, j->history + 1, (VN_MAX_HISTORY - 1) * sizeof(*j->history));
		j->nhistory--;
	}
	struct vn_happened *h = &j->history[j->nhistory++];
	*h = (struct vn_happened){ .time = time, .bytes = bytes };
	snprintf(h->event, sizeof(h->event), "%s", event);
	snprintf(h->detail, sizeof(h->detail), "%s", detail ? detail : "");
	if (r) {
		h->digest = r->manifest;
		snprintf(h->label, sizeof(h->label), "%s", r->label);
	}
}
