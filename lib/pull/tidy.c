/* What stays and what goes: releases beyond the number that is kept, updates that were given up, blobs that nobody needs. */
#include "pull/pull.h"
#include "pull/shelf.h"
#include "pull/staging.h"
#include "util/fs.h"
#include <stdio.h>
#include <string.h>

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
	if (r == 0 && !dry_run && p->engine->ops->sweep)
		r = p->engine->ops->sweep(p->engine, err);
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
	/* should this run end in the middle, nothing is finished of it, and the next one goes on to drop it */
	u->step = begun ? VN_STEP_PLANNED : VN_STEP_IDLE;
	int rc = begun ? vn_pull_save(p, err) : 0;
	if (rc == 0 && handed && !held && p->engine->ops->forget(p->engine, r.name, &why) < 0 &&
	    why.code != VN_ENOTFOUND)
		vn_warn(vn_pull_events(p), "%s stays in the engine: %s", r.name, why.text);
	if (rc == 0)
		rc = vn_pull_clear_staging(p, err);
	*u = (struct vn_update){ .step = VN_STEP_IDLE };
	return rc;
}
