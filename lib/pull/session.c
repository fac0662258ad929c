/* One run over a state folder: the lock, the folders, the journal, and what must be put right first. */
#include "pull/pull.h"
#include "pull/shelf.h"
#include "pull/staging.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/num.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define OVERHEAD 8192                 /* handshake, headers and small documents of one run, for money that was reserved */

const struct vn_events *vn_pull_events(struct vn_pull *p)
{
	return p->events.tell ? &p->events : NULL;
}

/* ---- the lock */
static int take_lock(struct vn_pull *p, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int r = vn_asprintf(&path, err, "%s/lock", p->config.state);
	if (r < 0)
		return r;
	p->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (p->lock < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write %s", path);
	if (flock(p->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	vn_fail(err, VN_ENETWORK, "another veneer-pull is at work in %s", p->config.state);
	return vn_hint(err, "Wait until it is done; `veneer-pull status` shows how far it is.");
}

static void release_lock(struct vn_pull *p)
{
	vn_close_p(&p->lock);
	p->lock = -1;
}

/* ---- the journal */
static int read_journal(struct vn_pull *p, struct vn_err *err)
{
	bool older;
	int r = vn_journal_read(p->config.state, &p->journal, &older, err);
	p->journal_is_older = r == 0 && older;
	if (p->journal_is_older)
		vn_warn(vn_pull_events(p), "the newest journal of %s cannot be read; the one before it is used", p->config.state);
	return r;
}

static int check_identity(struct vn_pull *p, struct vn_err *err)
{
	struct vn_journal *j = &p->journal;
	/* what never held anything belongs to nobody */
	if (!j->nreleases && j->update.step == VN_STEP_IDLE)
		j->reference[0] = j->repository[0] = j->engine[0] = j->folder[0] = 0;
	if (*j->repository && p->repository && strcmp(j->repository, p->repository)) {
		vn_fail(err, VN_EUSAGE, "%s follows %s, not %s", p->config.state, j->repository, p->repository);
		return vn_hint(err, "Another image takes a state folder of its own: --state DIR.");
	}
	if (*j->engine && strcmp(j->engine, p->config.engine)) {
		vn_fail(err, VN_EUSAGE, "%s belongs to the engine %s, not %s", p->config.state, j->engine, p->config.engine);
		return vn_hint(err, "Another engine takes a state folder of its own: --state DIR.");
	}
	bool is_folder = !strcmp(p->config.engine, "oci") || !strcmp(p->config.engine, "rootfs");
	VN_AUTO_FREE char *folder = NULL;
	if (is_folder && p->config.endpoint && vn_fs_absolute(p->config.endpoint, &folder, err) < 0)
		return -(int)err->code;
	if (folder && *j->folder && strcmp(j->folder, folder))
		return vn_fail(err, VN_EUSAGE, "%s belongs to the folder %s, not %s", p->config.state, j->folder, folder);
	if (folder)
		snprintf(j->folder, sizeof(j->folder), "%s", folder);
	snprintf(j->repository, sizeof(j->repository), "%s", p->repository);
	if (!*j->reference)
		snprintf(j->reference, sizeof(j->reference), "%s", p->public_name);
	snprintf(j->engine, sizeof(j->engine), "%s", p->config.engine);
	return 0;
}

bool vn_pull_is_retagged(const struct vn_pull *p)
{
	return *p->journal.reference && strcmp(p->journal.reference, p->public_name);
}

/* What was reserved by a run that did not come to its end counts as far as its bytes arrived. */
static void settle_money(struct vn_pull *p)
{
	struct vn_journal *j = &p->journal;
	int64_t start = vn_month_start(vn_pull_time(p), p->config.first_day);
	/* a clock that goes back takes no money back; one that was years ahead does not keep it for years */
	bool absurd = j->month > start + 400 * VN_DAY;
	if (start > j->month && start >= VN_CLOCK_SET)
		j->month_bytes = 0;
	if ((start > j->month || absurd) && start >= VN_CLOCK_SET)
		j->month = start;
	if (!j->reserved)
		return;
	uint64_t have = vn_staging_bytes(p->staging), came = have > j->update.have ? have - j->update.have : 0;
	came += OVERHEAD;
	came = came < j->reserved ? came : j->reserved;
	j->month_bytes += came;
	j->update.before += came;
	j->update.have = have;
	j->reserved = 0;
}

void vn_pull_account(struct vn_pull *p)
{
	uint64_t all = p->wire.sent + p->wire.received;
	p->journal.month_bytes += all - p->counted;
	p->counted = all;
}

int vn_pull_save(struct vn_pull *p, struct vn_err *err)
{
	if (p->dry_run)
		return 0;
	int r = vn_journal_write(p->config.state, &p->journal, p->journal_is_older, err);
	p->journal_is_older &= r < 0;
	if (r == 0)
		vn_pull_write_files(p);
	return r;
}

int vn_pull_look(struct vn_pull *p, struct vn_err *err)
{
	return p->lock >= 0 ? 0 : read_journal(p, err);
}

/* ---- begin and end */
static int make_folders(struct vn_pull *p, struct vn_err *err)
{
	int r = vn_fs_mkdirs(p->staging, 0700, err);
	if (r == 0)
		r = vn_fs_mkdirs(p->scratch, 0700, err);
	return r < 0 ? vn_wrap(err, "the state folder") : 0;
}

static void report_begin(struct vn_pull *p, const char *verb)
{
	vn_arena_release(&p->report_arena);
	free(vn_steal(p->findings));
	p->findings_cap = 0;
	p->wire = (struct vn_wire){ .retry_after = 0 };
	p->counted = 0;
	p->report = (struct vn_pull_report){ .verb = verb, .sentence = "", .why = "", .digest = "", .previous = "" };
}

int vn_pull_begin(struct vn_pull *p, const char *verb, struct vn_err *err)
{
	report_begin(p, verb);
	int r = p->public_name ? 0 : read_journal(p, err);
	if (r == 0 && !p->public_name && *p->journal.reference)
		r = vn_pull_follow(p, p->journal.reference, err);
	if (r == 0 && !p->public_name)
		r = vn_fail(err, VN_EUSAGE, "there is no image to follow: name it, or set \"reference\" in the configuration");
	if (r == 0)
		r = make_folders(p, err);
	if (r == 0)
		r = take_lock(p, err);
	if (r == 0)
		r = vn_staging_clear(p->scratch, err);
	if (r == 0)
		r = read_journal(p, err);
	if (r == 0)
		r = check_identity(p, err);
	if (r == 0)
		r = vn_engine_open(p->config.engine, p->config.endpoint, p->scratch, vn_pull_events(p), &p->engine, err);
	if (r == 0 && !p->dry_run)
		r = vn_shelf_make(p->shelf, err);
	if (r < 0) {
		vn_engine_close(vn_steal(p->engine));
		release_lock(p);
		return r;
	}
	settle_money(p);
	return 0;
}

/* What a person ordered here, and got wrong, says nothing of the device or of the release. */
static bool is_order(const char *verb, int r)
{
	return strcmp(verb, "once") && (r == -VN_EUSAGE || r == -VN_ENOTFOUND);
}

static void forget_error(struct vn_journal *j)
{
	*j->error = 0;
	j->error_status = 0;
}

/* What `verify` found stays until it finds nothing, whatever the updates do meanwhile. */
static void note_verify(struct vn_journal *j, int r, int64_t now)
{
	if (r == -VN_EDIGEST)
		j->unsound = now > 0 ? now : 1;
	else if (r == 0)
		j->unsound = 0;
	if (r == 0 && j->error_of_verify)
		forget_error(j);
}

static void note_result(struct vn_pull *p, int r, const struct vn_err *why)
{
	struct vn_journal *j = &p->journal;
	bool once = !strcmp(p->report.verb, "once"), update = once || !strcmp(p->report.verb, "import"),
	     verify = !strcmp(p->report.verb, "verify");
	int64_t now = vn_pull_time(p);
	if (verify)
		note_verify(j, r, now);
	if (is_order(p->report.verb, r) || (r == 0 && !update))
		return;
	if (r < 0) {
		snprintf(j->error, sizeof(j->error), "%s", why->text);
		j->error_status = vn_exit_status(why->code);
		j->error_time = now;
		j->error_of_verify = verify;
		j->failures += once && j->failures < 1000;
		vn_pull_tell(p, "failed", NULL, why->text, 0);
		return;
	}
	forget_error(j);
	j->failures = 0;
	if (vn_pull_clock() >= VN_CLOCK_SET)
		j->latest = now;
}

int vn_pull_end(struct vn_pull *p, int r, struct vn_err *err)
{
	struct vn_err why = { 0 };
	vn_pull_account(p);
	note_result(p, r, err);
	p->journal.reserved = 0;
	p->journal.next_poll = p->watching ? vn_pull_next_time(p, r < 0) : 0;
	int saved = vn_pull_save(p, &why);
	if (p->dry_run)
		vn_staging_clear(p->scratch, &why);
	vn_public_keys_close(vn_steal(p->keys));
	vn_engine_close(vn_steal(p->engine));
	release_lock(p);
	p->report.sent = p->wire.sent;
	p->report.received = p->wire.received;
	if (r == 0 && saved < 0) {
		*err = why;
		return saved;
	}
	return r;
}

static void note(struct vn_pull *p, const char *event, const struct vn_release *r, const char *detail, uint64_t bytes)
{
	static const char *const kept[] = { "active", "staged", "rolled-back", "failed", "adopted", "refused", "pinned", "let go" };
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (!strcmp(kept[i], event))
			vn_journal_happened(&p->journal, vn_pull_time(p), event, r, detail, bytes);
}

static void run_hooks(struct vn_pull *p, const char *event, const struct vn_release *r)
{
	struct vn_pull_env env = { .event = event, .image = p->public_name ? p->public_name : "", .label = r ? r->label : "",
				   .digest = r ? &r->manifest : NULL, .previous = &p->journal.active };
	VN_AUTO_FREE char *handle = NULL;
	struct vn_err ignored = { 0 };
	if (p->engine && r && *r->name && p->engine->ops->handle(p->engine, r->name, &handle, &ignored) == 0)
		env.image = handle;
	for (size_t i = 0; i < p->config.nhooks && !p->dry_run; i++) {
		const struct vn_pull_hook *h = &p->config.hooks[i];
		struct vn_err why = { 0 };
		if ((!strcmp(h->event, event) || !strcmp(h->event, "any")) && vn_pull_run(p, &h->command, &env, &why) < 0)
			vn_warn(vn_pull_events(p), "the hook for \"%s\": %s", event, why.text);
	}
}

void vn_pull_tell(struct vn_pull *p, const char *event, const struct vn_release *r, const char *detail, uint64_t bytes)
{
	note(p, event, r, detail, bytes);
	run_hooks(p, event, r);
}

int vn_pull_save_and_tell(struct vn_pull *p, const char *event, const struct vn_release *r, const char *detail, uint64_t bytes,
			  struct vn_err *err)
{
	note(p, event, r, detail, bytes);
	int rc = vn_pull_save(p, err);
	run_hooks(p, event, r);
	return rc;
}
