/* What lies on the shelf goes into the engine, is proved there, made durable, checked, and only then runs. No network. */
#include "pull/pull.h"
#include "pull/shelf.h"
#include "pull/staging.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <stdio.h>
#include <string.h>

/* Docker's `image prune -a` takes names away from a used image, in their order, until one is left: ours come first, so that the one
 * that is left is the orchestrator's. */
void vn_pull_private_name(const struct vn_pull *p, const struct vn_digest *manifest, char ret[VN_PULL_TEXT])
{
	snprintf(ret, VN_PULL_TEXT, "%.400s:0-veneer-%.12s", p->repository, vn_digest_hex(manifest));
}

int vn_pull_open_release(struct vn_pull *p, const struct vn_release *r, struct vn_source **ret_shelf, struct vn_image *ret,
			 struct vn_err *err)
{
	struct vn_source *shelf = NULL;
	int rc = vn_shelf_open(p->shelf, vn_pull_events(p), &shelf, err);
	if (rc == 0)
		rc = vn_shelf_image(shelf, &r->manifest, ret, err);
	if (rc < 0) {
		vn_source_close(shelf);
		return rc;
	}
	*ret_shelf = shelf;
	return 0;
}

/* ---- into the engine */
/* Layers that the engine lacks lie on the shelf, unless it has lost some since they were left out. */
static int check_shelf(struct vn_pull *p, const struct vn_image *image, size_t present, struct vn_err *err)
{
	for (size_t i = present; i < image->nlayers; i++) {
		VN_AUTO_FREE char *path = NULL;
		int r = vn_shelf_path(p->shelf, &image->layers[i].desc.digest, &path, err);
		if (r < 0)
			return r;
		if (vn_fs_exists(path))
			continue;
		return vn_fail(err, VN_ENOTFOUND, "the engine has lost layer %zu of %zu that the update stands on", i + 1, image->nlayers);
	}
	return 0;
}

static int count_present(struct vn_pull *p, struct vn_incoming *in, struct vn_err *err)
{
	int r = p->engine->ops->layers(p->engine, &in->image->manifest, &in->image->config, &in->present, err);
	return r < 0 ? r : check_shelf(p, in->image, in->present, err);
}

/* After a power cut a layer may stand there with empty files, and loading it again would do nothing. Its own layers are among those
 * that the engine has now; what it had before are other images'. (A layout's blobs were synced one by one, and are the shelf's.) */
static int discard(struct vn_pull *p, struct vn_incoming *in, struct vn_err *err)
{
	const struct vn_engine_ops *ops = p->engine->ops;
	if (ops->files && p->journal.update.present < in->present)
		in->present = (size_t)p->journal.update.present;
	int r = ops->discard(p->engine, in, err);
	return r < 0 ? r : count_present(p, in, err);
}

static int load(struct vn_pull *p, struct vn_incoming *in, struct vn_err *err)
{
	struct vn_update *u = &p->journal.update;
	const struct vn_engine_ops *ops = p->engine->ops;
	char boot[VN_BOOT_TEXT];
	vn_boot_id(boot);
	bool cut = *u->boot && strcmp(boot, u->boot);
	int r = cut ? discard(p, in, err) : 0;
	u->step = VN_STEP_HANDING;
	memcpy(u->boot, boot, sizeof(boot));
	if (r == 0)
		r = vn_pull_save(p, err);
	if (r < 0)
		return r;
	vn_pull_tell(p, "handing", &u->release, "", 0);
	r = ops->load(p->engine, in, err);
	if (r == 0)
		r = ops->prove(p->engine, in, cut, err);
	if (r == 0)
		r = vn_pull_keep(p, in->name, err);
	return r < 0 ? r : ops->sync(p->engine, err);
}

/* It cannot be had from what lies here: the next run plans anew, and in full when it was the bytes that did not do. */
static int give_up(struct vn_pull *p, int r, struct vn_err *err)
{
	struct vn_update *u = &p->journal.update;
	struct vn_err ignored = { 0 };
	if (r == -VN_ENETWORK || r == -VN_ENOMEM)
		return r;
	u->step = VN_STEP_PLANNED;
	u->delta_failed |= !u->import && vn_pull_is_damage(r);
	vn_pull_save(p, &ignored);
	return -(int)err->code;
}

static int seal(struct vn_pull *p, struct vn_err *err)
{
	struct vn_update *u = &p->journal.update;
	VN_AUTO_SOURCE *shelf = NULL;
	VN_AUTO(vn_image) image = { 0 };
	struct vn_incoming in = { &image, 0, u->release.name };
	if (u->step == VN_STEP_SEALED) {
		struct vn_err why = { 0 };
		int there = vn_pull_whole(p, &u->release, &why);
		if (!vn_pull_is_damage(there)) {
			*err = why;
			return there;
		}
		vn_warn(vn_pull_events(p), "the engine has lost the update, and gets it again: %s", why.text);
		u->step = VN_STEP_VERIFIED;
	}
	int r = vn_pull_open_release(p, &u->release, &shelf, &image, err);
	if (r == 0)
		r = count_present(p, &in, err);
	if (r == 0)
		r = load(p, &in, err);
	if (r < 0)
		return give_up(p, vn_wrap(err, "handing the update to the engine %s", p->config.engine), err);
	size_t base = vn_pull_base_layers(&image);
	r = vn_pull_pin_base(p, &image, base < image.nlayers || vn_digest_none(&p->journal.base) ? base : 0, err);
	if (r < 0)
		return r;
	u->step = VN_STEP_SEALED;
	r = vn_pull_save(p, err);
	if (r == 0)
		vn_pull_tell(p, "sealed", &u->release, "", 0);
	return r;
}

/* ---- check */
static int run_command(struct vn_pull *p, const struct vn_pull_command *command, const char *event, const struct vn_release *r,
		       const char *name, struct vn_err *err)
{
	VN_AUTO_FREE char *handle = NULL;
	int rc = p->engine->ops->handle(p->engine, name, &handle, err);
	if (rc < 0)
		return rc;
	const struct vn_pull_env env = { event, handle, r->label, &r->manifest, &p->journal.active };
	return vn_pull_run(p, command, &env, err);
}

/* One that takes the device down each time, or hangs it until a watchdog does, is not started for ever: *starts counts the runs of the
 * kernel that it did not come back from, `boot` is the last of them. */
#define MOST_STARTS 3
static int run_counted(struct vn_pull *p, const struct vn_pull_command *command, const char *event, const struct vn_release *r,
		       const char *name, unsigned *starts, char boot[VN_BOOT_TEXT], struct vn_err *err)
{
	char now[VN_BOOT_TEXT];
	struct vn_err ignored = { 0 };
	vn_boot_id(now);
	unsigned before = *starts;
	bool again = before && *now && !strcmp(now, boot);
	if (before >= MOST_STARTS && !again) {
		*starts = 0;
		return vn_fail(err, VN_EREFUSED, "the %s command was started %u times, and each time this device went down before it had ended",
			       event, before);
	}
	*starts = before + !again;
	memcpy(boot, now, sizeof(now));
	/* a full disk keeps nobody from asking */
	vn_pull_save(p, &ignored);
	int rc = run_command(p, command, event, r, name, err);
	*starts = 0;
	return rc;
}

/* What was found wanting is left alone until the reference names something else. */
static int reject(struct vn_pull *p, struct vn_err *err)
{
	struct vn_err why = { 0 }, kept = *err;
	char called[200];
	const struct vn_release r = p->journal.update.release;
	p->journal.refused = r.channel;
	if (vn_pull_drop_update(p, &why) < 0)
		vn_warn(vn_pull_events(p), "%s", why.text);
	vn_pull_tell(p, "refused", &r, kept.text, 0);
	if (vn_pull_save(p, &why) < 0)
		vn_warn(vn_pull_events(p), "%s", why.text);
	vn_fail(err, VN_EREFUSED, "%s did not pass its check, and what ran before still does: %.400s", vn_pull_called(&r, called),
		kept.text);
	return vn_hint(err, "It is left alone until %s names another one; `veneer-pull once --now` tries it again.", p->public_name);
}

static int check(struct vn_pull *p, struct vn_err *err)
{
	struct vn_update *u = &p->journal.update;
	/* one that passed may have the name already */
	if (!p->config.check.argv || !strcmp(u->release.check, "passed"))
		return 0;
	int r = run_counted(p, &p->config.check, "check", &u->release, u->release.name, &u->starts, u->start_boot, err);
	/* what kept the command from being asked says nothing about the release */
	if (r < 0)
		return r == -VN_EREFUSED ? reject(p, err) : vn_wrap(err, "the check");
	snprintf(u->release.check, sizeof(u->release.check), "passed");
	vn_pull_tell(p, "checked", &u->release, "", 0);
	return 0;
}

/* ---- switch */
/* Of what ran until now only the public name may be left. */
static int keep_name(struct vn_pull *p, struct vn_err *err)
{
	const struct vn_release *active = vn_journal_active(&p->journal);
	struct vn_held held = { .ndiff_ids = 0 };
	struct vn_err why = { 0 };
	if (!active)
		return 0;
	int r = p->engine->ops->look(p->engine, active->name, &held, &why);
	vn_held_release(&held);
	if (r != -VN_ENOTFOUND || p->engine->ops->look(p->engine, p->public_name, &held, &why) < 0)
		return 0;
	bool same = vn_digest_equal(&held.image, &active->image);
	vn_held_release(&held);
	return same ? p->engine->ops->name_as(p->engine, p->public_name, active->name, err) : 0;
}

static int give_name(struct vn_pull *p, const struct vn_release *r, struct vn_err *err)
{
	int rc = keep_name(p, err);
	if (rc == 0)
		rc = p->engine->ops->name_as(p->engine, r->name, p->public_name, err);
	return rc < 0 ? vn_wrap(err, "switching %s", p->public_name) : p->engine->ops->sync(p->engine, err);
}

static void end_trial(struct vn_pull *p)
{
	p->journal.trial = p->journal.back = (struct vn_digest){ "" };
	p->journal.starts = 0;
}

/* false: the trial is over, or it is not ours to judge: no health command, or somebody gave the name to another image meanwhile. */
static bool on_trial(struct vn_pull *p)
{
	struct vn_journal *j = &p->journal;
	const struct vn_release *active = vn_journal_active(j);
	struct vn_held held = { .ndiff_ids = 0 };
	struct vn_err ignored = { 0 };
	bool agree;
	bool is = !vn_digest_none(&j->trial) && vn_digest_equal(&j->trial, &j->active) && active && p->config.health.argv;
	if (is && vn_pull_look_running(p, &held, &agree, &ignored) == 0)
		is = vn_digest_equal(&held.image, &active->image);
	vn_held_release(&held);
	if (!is)
		end_trial(p);
	return is;
}

static int go_back(struct vn_pull *p, struct vn_err *err)
{
	struct vn_release *bad = vn_journal_release(&p->journal, &p->journal.trial);
	struct vn_release *good = vn_journal_release(&p->journal, &p->journal.back);
	char a[200], b[200];
	struct vn_err why = *err, ignored = { 0 };
	if (bad)
		bad->unhealthy = true;
	if (!good)
		good = vn_journal_before(&p->journal);
	if (!good) {
		vn_fail(err, VN_EREFUSED, "%s is not healthy, and there is none to go back to: %.400s",
			bad ? vn_pull_called(bad, a) : "the new release", why.text);
		return vn_hint(err, "It stays; each poll asks for its health again, and takes the release after it.");
	}
	if (bad)
		p->journal.refused = bad->channel;
	p->journal.back = good->manifest;
	vn_pull_save(p, &ignored);
	int r = give_name(p, good, err);
	if (r < 0)
		return r;
	vn_journal_activate(&p->journal, good, vn_pull_time(p));
	end_trial(p);
	r = vn_pull_save_and_tell(p, "rolled-back", good, why.text, 0, err);
	if (r < 0)
		return r;
	return vn_fail(err, VN_EREFUSED, "%s is not healthy; %s runs again: %.400s", bad ? vn_pull_called(bad, a) : "the new release",
		       vn_pull_called(good, b), why.text);
}

int vn_pull_try(struct vn_pull *p, struct vn_err *err)
{
	struct vn_release *r = vn_journal_active(&p->journal);
	if (!on_trial(p))
		return 0;
	int rc = run_counted(p, &p->config.health, "health", r, p->public_name, &p->journal.starts, p->journal.start_boot, err);
	/* what kept the command from being asked says nothing about the release */
	if (rc < 0)
		return rc == -VN_EREFUSED ? go_back(p, err) : vn_wrap(err, "the health command");
	r->healthy = true;
	r->unhealthy = false;
	end_trial(p);
	return vn_pull_save(p, err);
}

/* What is gone back to ran before, and nobody found it wanting: else what that one would have gone back to. */
static void take_on_trial(struct vn_journal *j, const struct vn_digest *now, bool judged)
{
	const struct vn_release *before = vn_journal_active(j);
	bool doubted = before && vn_digest_equal(&before->manifest, &j->trial) && !before->healthy;
	if (!judged)
		j->back = (struct vn_digest){ "" };
	else if (before && !doubted)
		j->back = before->manifest;
	if (vn_digest_equal(&j->back, now))
		j->back = (struct vn_digest){ "" };
	j->trial = judged ? *now : (struct vn_digest){ "" };
	j->starts = 0;
}

int vn_pull_named(struct vn_pull *p, const struct vn_release *r, struct vn_err *err)
{
	struct vn_held held = { .ndiff_ids = 0 };
	int rc = p->engine->ops->look(p->engine, r->name, &held, err);
	if (rc == 0 && !vn_digest_equal(&held.image, &r->image))
		rc = vn_fail(err, VN_EDIGEST, "the engine has the image %s under its name, expected %s", held.image.text, r->image.text);
	vn_held_release(&held);
	return rc;
}

int vn_pull_whole(struct vn_pull *p, const struct vn_release *r, struct vn_err *err)
{
	VN_AUTO_SOURCE *shelf = NULL;
	VN_AUTO(vn_image) image = { 0 };
	int rc = vn_pull_named(p, r, err);
	/* of one that was taken over nobody may know the manifest */
	if (rc < 0 || !r->layers)
		return rc;
	rc = vn_pull_open_release(p, r, &shelf, &image, err);
	const struct vn_incoming in = { &image, (size_t)r->base, r->name };
	return rc < 0 ? rc : p->engine->ops->prove(p->engine, &in, false, err);
}

const char *vn_pull_active_event(const struct vn_pull *p)
{
	return p->config.staged ? "staged" : "active";
}

int vn_pull_switched(struct vn_pull *p, struct vn_release *r, const char *how, struct vn_err *err)
{
	struct vn_journal *j = &p->journal;
	take_on_trial(j, &r->manifest, p->config.health.argv && !p->config.staged);
	vn_journal_activate(j, r, vn_pull_time(p));
	/* an order to go back does not open the way for others */
	if (r->counter > j->counter)
		j->counter = r->counter;
	j->update = (struct vn_update){ .step = VN_STEP_IDLE };
	j->waits[0] = 0;
	if (vn_digest_equal(&j->refused, &r->channel))
		j->refused = (struct vn_digest){ "" };
	return vn_pull_save_and_tell(p, how, r, r->how, r->bytes, err);
}

int vn_pull_activate(struct vn_pull *p, const struct vn_digest *manifest, const char *how, struct vn_err *err)
{
	struct vn_release *r = vn_journal_release(&p->journal, manifest);
	if (!r)
		return vn_fail(err, VN_ENOTFOUND, "this device does not hold %s", manifest->text);
	int rc = give_name(p, r, err);
	if (rc == 0)
		rc = vn_pull_switched(p, r, how, err);
	return rc < 0 ? rc : vn_pull_try(p, err);
}

/* ---- keep and collect */
static void tell_removed(void *user, const char *digest, uint64_t bytes)
{
	struct vn_err ignored = { 0 };
	char line[200];
	snprintf(line, sizeof(line), "removed blob %s", digest);
	vn_pull_find(user, line, "", bytes, &ignored);
}

/* What stays on the shelf, but for one. */
static size_t what_stays(const struct vn_pull *p, const struct vn_digest *except, struct vn_shelf_keep ret[VN_MAX_RELEASES + 1])
{
	const struct vn_journal *j = &p->journal;
	bool all = !p->engine->ops->files;
	size_t n = 0;
	for (size_t i = 0; i < j->nreleases; i++)
		if (!except || !vn_digest_equal(&j->releases[i].manifest, except))
			ret[n++] = (struct vn_shelf_keep){ j->releases[i].manifest, all ? 0 : (size_t)j->releases[i].base };
	if (j->update.step >= VN_STEP_VERIFIED && (!except || !vn_digest_equal(&j->update.release.manifest, except)))
		ret[n++] = (struct vn_shelf_keep){ j->update.release.manifest, 0 };
	return n;
}

/* A folder that others may use as well loses only what this device brought. */
static int remove_blobs(struct vn_pull *p, const struct vn_digest *manifest, bool dry_run, struct vn_err *err)
{
	struct vn_shelf_keep keep[VN_MAX_RELEASES + 1];
	if (p->engine->ops->files)
		return 0;
	size_t n = what_stays(p, manifest, keep);
	return vn_shelf_collect(p->shelf, keep, n, manifest, dry_run, tell_removed, p, err);
}

/* How many releases ran more recently. */
static size_t rank(const struct vn_journal *j, size_t i)
{
	size_t n = 0;
	for (size_t k = 0; k < j->nreleases; k++) {
		const uint64_t a = j->releases[k].turn, b = j->releases[i].turn;
		n += a > b || (a == b && k < i);
	}
	return n;
}

static int forget_old(struct vn_pull *p, bool dry_run, struct vn_err *err)
{
	struct vn_journal *j = &p->journal;
	for (size_t i = 0; i < j->nreleases;) {
		const struct vn_release r = j->releases[i];
		struct vn_err why = { 0 };
		char called[200], line[256];
		bool arrives = j->update.step != VN_STEP_IDLE && vn_digest_equal(&r.manifest, &j->update.release.manifest);
		bool needed = vn_digest_equal(&r.manifest, &j->active) || vn_digest_equal(&r.manifest, &j->back);
		if (arrives || needed || rank(j, i) < p->config.keep) {
			i++;
			continue;
		}
		snprintf(line, sizeof(line), "removed %s", vn_pull_called(&r, called));
		if (!dry_run && p->engine->ops->forget(p->engine, r.name, &why) < 0 && why.code != VN_ENOTFOUND) {
			vn_warn(vn_pull_events(p), "%s stays in the engine: %s", r.name, why.text);
			i++;
			continue;
		}
		int rc = vn_pull_find(p, line, "", 0, err);
		if (rc < 0)
			return rc;
		rc = remove_blobs(p, &r.manifest, dry_run, err);
		if (rc < 0)
			return rc;
		vn_journal_remove(j, &r.manifest);
		rc = vn_pull_save(p, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int vn_pull_collect(struct vn_pull *p, bool dry_run, struct vn_err *err)
{
	struct vn_shelf_keep keep[VN_MAX_RELEASES + 1];
	int r = forget_old(p, dry_run, err);
	bool arriving = p->journal.update.step == VN_STEP_PLANNED || p->journal.update.step == VN_STEP_FETCHING;
	if (r < 0 || arriving || !p->engine->ops->files)
		return r;
	size_t n = what_stays(p, NULL, keep);
	return vn_shelf_collect(p->shelf, keep, n, NULL, dry_run, tell_removed, p, err);
}

/* Nothing is under way: what an update brought stays where it is part of a release, and nowhere else. */
int vn_pull_clear_staging(struct vn_pull *p, struct vn_err *err)
{
	struct vn_shelf_keep keep[VN_MAX_RELEASES + 1];
	size_t n = what_stays(p, NULL, keep);
	struct vn_err why = { 0 };
	/* where something damaged lies nobody can tell what is needed */
	if (!p->engine->ops->files && vn_shelf_take_back(p->shelf, p->staging, keep, n, tell_removed, p, &why) < 0)
		vn_warn(vn_pull_events(p), "what was given up stays in %s: %s", p->shelf, why.text);
	return vn_staging_clear(p->staging, err);
}

int vn_pull_drop_update(struct vn_pull *p, struct vn_err *err)
{
	struct vn_update *u = &p->journal.update;
	const struct vn_release r = u->release;
	struct vn_err why = { 0 };
	bool begun = u->step != VN_STEP_IDLE, handed = u->step >= VN_STEP_HANDING || *u->boot;
	const struct vn_release *held = vn_journal_release(&p->journal, &r.manifest);
	/* a run that ended right before the switch left it among those that are held */
	if (held && !held->turn && !vn_digest_equal(&held->manifest, &p->journal.active)) {
		vn_journal_remove(&p->journal, &r.manifest);
		held = NULL;
	}
	*u = (struct vn_update){ .step = VN_STEP_IDLE };
	int rc = begun ? vn_pull_save(p, err) : 0;
	if (rc == 0 && handed && !held && p->engine->ops->forget(p->engine, r.name, &why) < 0 &&
	    why.code != VN_ENOTFOUND)
		vn_warn(vn_pull_events(p), "%s stays in the engine: %s", r.name, why.text);
	return rc < 0 ? rc : vn_pull_clear_staging(p, err);
}

int vn_pull_hand_over(struct vn_pull *p, struct vn_err *err)
{
	struct vn_journal *j = &p->journal;
	int r = seal(p, err);
	if (r == 0)
		r = check(p, err);
	if (r < 0)
		return r;
	const struct vn_release *held = vn_journal_release(j, &j->update.release.manifest);
	struct vn_release release = j->update.release;
	/* one that was held, and damaged */
	release.turn = held ? held->turn : 0;
	release.installed = vn_pull_time(p);
	vn_pull_account(p);
	release.bytes = j->update.before + p->wire.sent + p->wire.received;
	j->last_bytes = release.bytes;
	vn_journal_add(j, &release);
	/* before the name moves: should this run end there, the next one knows what it finds */
	r = vn_pull_save(p, err);
	if (r == 0)
		r = vn_pull_activate(p, &release.manifest, vn_pull_active_event(p), err);
	if (r < 0)
		return r;
	r = vn_pull_clear_staging(p, err);
	if (r < 0)
		return r;
	/* the new release runs: what could not be tidied up is no failure of the update */
	struct vn_err why = { 0 };
	if (vn_pull_collect(p, false, &why) < 0)
		vn_warn(vn_pull_events(p), "not everything was tidied up: %s", why.text);
	/* what was tidied up is for gc to tell */
	p->report.nfindings = 0;
	return 0;
}
