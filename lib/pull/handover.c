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

bool vn_pull_is_damage(int r)
{
	return r == -VN_EDIGEST || r == -VN_EFORMAT || r == -VN_ELIMIT || r == -VN_EUNSAFE || r == -VN_ENOTFOUND;
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
/* What was found wanting is left alone from then on. */
static int reject(struct vn_pull *p, struct vn_err *err)
{
	struct vn_err why = { 0 }, kept = *err;
	char called[200];
	const struct vn_release r = p->journal.update.release;
	vn_pull_refuse(p, &r);
	if (vn_pull_drop_update(p, &why) < 0)
		vn_warn(vn_pull_events(p), "%s", why.text);
	vn_pull_tell(p, "refused", &r, kept.text, 0);
	if (vn_pull_save(p, &why) < 0)
		vn_warn(vn_pull_events(p), "%s", why.text);
	vn_fail(err, VN_EREFUSED, "%s did not pass its check, and %s: %.400s", vn_pull_called(&r, called),
		vn_journal_active(&p->journal) ? "what ran before still does" : "nothing runs here yet", kept.text);
	return vn_hint(err, "It is left alone; `veneer-pull once --now` tries it again.");
}

static int check(struct vn_pull *p, struct vn_err *err)
{
	struct vn_update *u = &p->journal.update;
	/* one that passed may have the name already */
	if (!p->config.check.argv || !strcmp(u->release.check, "passed"))
		return 0;
	int r = vn_pull_run_counted(p, &p->config.check, "check", &u->release, u->release.name, &u->starts, u->start_boot, err);
	/* what kept the command from being asked says nothing about the release */
	if (r < 0)
		return r == -VN_EREFUSED ? reject(p, err) : vn_wrap(err, "the check");
	snprintf(u->release.check, sizeof(u->release.check), "passed");
	if (!p->config.health.argv)
		vn_journal_set_wanting(&p->journal, &u->release.manifest, false);
	vn_pull_tell(p, "checked", &u->release, "", 0);
	return 0;
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
