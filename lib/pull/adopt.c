/* An image that the engine has from elsewhere, usually pulled by the orchestrator, becomes the release that runs; and the layers that
 * images stand on are kept safe from other people's clean-ups. */
#include "pull/news.h"
#include "pull/pull.h"
#include "pull/shelf.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>

#define BASE_LAYERS "dev.veneer.base.layers"

size_t vn_pull_base_layers(const struct vn_image *image)
{
	struct vn_err ignored = { 0 };
	struct vn_jv root = vn_jv_root(image->config.json, "configuration"), inner = vn_jv_get(&root, "config");
	struct vn_jv labels = vn_jv_get(&inner, "Labels"), label = vn_jv_get(&labels, BASE_LAYERS);
	const char *text = NULL;
	uint64_t n = 0;
	if (label.v && vn_jv_is_string(&label) && vn_jv_text(&label, &text, &ignored) == 0 && vn_parse_u64(text, &n) && n &&
	    n <= image->nlayers)
		return (size_t)n;
	return image->nlayers;
}

/* ---- pins */
/* A folder of ours is cleaned up by nobody else. */
static bool others_clean_up(const struct vn_pull *p)
{
	return strcmp(p->config.engine, "oci") && strcmp(p->config.engine, "rootfs");
}

int vn_pull_keep(struct vn_pull *p, const char *name, struct vn_err *err)
{
	return p->engine->ops->keep ? p->engine->ops->keep(p->engine, name, err) : 0;
}

static int load_pin(struct vn_pull *p, const struct vn_image *image, size_t n, const char *name, struct vn_err *err)
{
	VN_AUTO(vn_buf) manifest = VN_BUF(VN_MAX_MANIFEST), config = VN_BUF(VN_MAX_CONFIG);
	VN_AUTO_SOURCE *shelf = NULL;
	VN_AUTO(vn_image) pin = { 0 };
	struct vn_digest digest, ignored;
	int r = vn_pin_image(image, n, &manifest, &config, err);
	if (r == 0)
		r = vn_shelf_put(p->shelf, vn_buf_text(&config), config.len, &ignored, err);
	if (r == 0)
		r = vn_shelf_put(p->shelf, vn_buf_text(&manifest), manifest.len, &digest, err);
	if (r == 0)
		r = vn_shelf_open(p->shelf, vn_pull_events(p), &shelf, err);
	if (r == 0)
		r = vn_shelf_image(shelf, &digest, &pin, err);
	if (r < 0)
		return r;
	const struct vn_incoming in = { &pin, n, name };
	r = p->engine->ops->load(p->engine, &in, err);
	if (r == 0)
		r = vn_pull_keep(p, name, err);
	return r < 0 ? vn_wrap(err, "the image that keeps the base") : p->engine->ops->sync(p->engine, err);
}

static bool stands(struct vn_pull *p, const char *name)
{
	struct vn_held held = { .ndiff_ids = 0 };
	struct vn_err ignored = { 0 };
	bool there = p->engine->ops->look(p->engine, name, &held, &ignored) == 0;
	vn_held_release(&held);
	return there;
}

int vn_pull_pin_base(struct vn_pull *p, const struct vn_image *image, size_t n, struct vn_err *err)
{
	struct vn_journal *j = &p->journal;
	char name[VN_PULL_TEXT], before[VN_PULL_TEXT];
	struct vn_err why = { 0 };
	if (!n || n > image->nlayers || !others_clean_up(p))
		return 0;
	VN_AUTO_FREE struct vn_digest *chain = calloc(n, sizeof(*chain));
	if (!chain)
		return vn_nomem(err);
	int r = vn_chain_ids(image->config.diff_ids, n, chain, err);
	if (r < 0)
		return r;
	bool same = vn_digest_equal(&chain[n - 1], &j->base) && !vn_digest_none(&j->base);
	snprintf(name, sizeof(name), "%.400s:veneer-pin-%.12s", p->repository, vn_digest_hex(&chain[n - 1]));
	if (same && stands(p, name))
		return 0;
	r = load_pin(p, image, n, name, err);
	if (r < 0)
		return r;
	snprintf(before, sizeof(before), "%s", same ? "" : j->base_name);
	j->base = chain[n - 1];
	snprintf(j->base_name, sizeof(j->base_name), "%s", name);
	r = vn_pull_save(p, err);
	if (r == 0 && *before && p->engine->ops->forget(p->engine, before, &why) < 0)
		vn_warn(vn_pull_events(p), "%s stays: %s", before, why.text);
	return r;
}

/* ---- adopting */
/* Manifest and configuration of an image that the engine has come to the shelf. *ret: its manifest. */
static int fetch_documents(struct vn_pull *p, struct vn_source *channel, const struct vn_held *held, struct vn_digest *ret,
			   struct vn_err *err)
{
	const struct vn_staging staging = { .dir = p->dry_run ? p->scratch : p->staging };
	VN_AUTO_SOURCE *staged = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_index) x = { 0 };
	VN_AUTO(vn_image) image = { 0 };
	const struct vn_desc named = { .digest = held->manifest, .size = -1 };
	const struct vn_desc *entry = &named;
	struct vn_platform want;
	struct vn_digest put;
	int r = vn_staging_source_open(channel, &staging, &staged, err);
	if (r == 0)
		r = vn_source_manifest(staged, &named, &bytes, &desc, err);
	if (r == 0 && vn_mediatype(desc.media_type)->kind == VN_KIND_INDEX) {
		r = vn_pull_platform(p, &want, err);
		if (r == 0)
			r = vn_index_parse(vn_buf_text(&bytes), bytes.len, &x, err);
		if (r == 0)
			r = vn_index_select(&x, &want, &entry, err);
	}
	if (r == 0)
		r = vn_image_open_child(staged, entry, NULL, &image, err);
	if (r == 0 && !vn_digest_equal(&image.manifest.config.digest, &held->image))
		r = vn_fail(err, VN_ENOTFOUND, "the registry's %s is not the image %s", held->manifest.text, held->image.text);
	if (r == 0 && !p->dry_run)
		r = vn_shelf_put(p->shelf, vn_buf_text(&image.config_bytes), image.config_bytes.len, &put, err);
	if (r == 0 && !p->dry_run)
		r = vn_shelf_put(p->shelf, vn_buf_text(&image.manifest_bytes), image.manifest_bytes.len, &put, err);
	if (r == 0)
		*ret = image.desc.digest;
	return r;
}

/* Base layers are told, and kept. */
static int describe(struct vn_pull *p, struct vn_release *release, struct vn_err *err)
{
	VN_AUTO_SOURCE *shelf = NULL;
	VN_AUTO(vn_image) image = { 0 };
	int r = vn_pull_open_release(p, release, &shelf, &image, err);
	if (r < 0)
		return r;
	const char *version = vn_manifest_annotation(&image.manifest, "org.opencontainers.image.version");
	snprintf(release->label, sizeof(release->label), "%.127s", version && *version ? version : p->ref.tag);
	release->layers = release->base = image.nlayers;
	return vn_pull_pin_base(p, &image, vn_pull_base_layers(&image), err);
}

static int keep_adopted(struct vn_pull *p, struct vn_release *release, bool known, struct vn_err *err)
{
	int r = p->engine->ops->name_as(p->engine, p->public_name, release->name, err);
	if (r == 0)
		r = vn_pull_keep(p, release->name, err);
	if (r == 0 && known)
		r = describe(p, release, err);
	return r < 0 ? r : p->engine->ops->sync(p->engine, err);
}

static int adopt_new(struct vn_pull *p, struct vn_source *channel, const struct vn_held *held, struct vn_err *err)
{
	struct vn_release release = { .image = held->image, .channel = held->manifest, .how = "adopted" };
	struct vn_err why = { 0 };
	bool known = false;
	int r = vn_digest_none(&held->manifest) ? -VN_ENOTFOUND : fetch_documents(p, channel, held, &release.manifest, &why);
	if (r == -VN_ENETWORK || r == -VN_EIO || r == -VN_ENOMEM || r == -VN_EAUTH) {
		*err = why;
		return r;
	}
	known = r == 0;
	/* nobody knows its manifest: it can be gone back to, but no delta starts from it */
	if (!known)
		release.manifest = held->image;
	release.installed = vn_pull_time(p);
	vn_pull_private_name(p, &release.manifest, release.name);
	r = p->dry_run ? 0 : keep_adopted(p, &release, known, err);
	if (r < 0)
		return vn_wrap(err, "taking over %s", p->public_name);
	vn_journal_add(&p->journal, &release);
	vn_journal_activate(&p->journal, vn_journal_release(&p->journal, &release.manifest), release.installed);
	return vn_pull_save_and_tell(p, "adopted", &release, known ? "" : "its manifest is not known: no delta starts from it", 0, err);
}

int vn_pull_look_running(struct vn_pull *p, struct vn_held *ret, bool *ret_agree, struct vn_err *err)
{
	const struct vn_engine_ops *ops = p->engine->ops;
	VN_AUTO(vn_held) running = { .ndiff_ids = 0 };
	struct vn_err why = { 0 };
	*ret_agree = true;
	int named = ops->look(p->engine, p->public_name, ret, err);
	if (!ops->running || (named < 0 && named != -VN_ENOTFOUND))
		return named;
	int r = ops->running(p->engine, &running, &why);
	if (r == -VN_ENOTFOUND && named == -VN_ENOTFOUND)
		return named;
	if (r == 0 && named == 0 && vn_digest_equal(&running.image, &ret->image))
		return 0;
	vn_held_release(ret);
	*err = why;
	if (r < 0 && r != -VN_ENOTFOUND)
		return r;
	*ret_agree = false;
	for (size_t i = 0; r == 0 && i < p->journal.nreleases; i++)
		if (vn_digest_equal(&p->journal.releases[i].image, &running.image)) {
			*ret = running;
			running = (struct vn_held){ .ndiff_ids = 0 };
			return 0;
		}
	return vn_fail(err, VN_ENOTFOUND, "what the engine %s runs is no release of this device", p->config.engine);
}

/* The public name is gone: put back, or what ran is forgotten. */
static int name_is_gone(struct vn_pull *p, struct vn_err *err)
{
	struct vn_release *active = vn_journal_active(&p->journal);
	char called[200];
	if (!active || vn_pull_is_retagged(p))
		return 0;
	if (stands(p, active->name)) {
		vn_warn(vn_pull_events(p), "%s is not what the engine runs, and is put back", vn_pull_called(active, called));
		return p->dry_run ? 0 : p->engine->ops->name_as(p->engine, active->name, p->public_name, err);
	}
	vn_warn(vn_pull_events(p), "the engine has lost %s", active->name);
	const struct vn_digest lost = active->manifest;
	vn_journal_remove(&p->journal, &lost);
	p->journal.active = (struct vn_digest){ "" };
	const struct vn_release *other = vn_journal_before(&p->journal, 0);
	if (!other || p->dry_run)
		return vn_pull_save(p, err);
	vn_warn(vn_pull_events(p), "%s, which is held, takes its place", vn_pull_called(other, called));
	const struct vn_digest next = other->manifest;
	return vn_pull_activate(p, &next, "rolled-back", err);
}

/* Releases that somebody removed from the engine cannot be gone back to. */
static void drop_lost(struct vn_pull *p)
{
	struct vn_journal *j = &p->journal;
	for (size_t i = 0; i < j->nreleases;) {
		const struct vn_release *r = &j->releases[i];
		struct vn_held held = { .ndiff_ids = 0 };
		struct vn_err why = { 0 };
		bool active = vn_digest_equal(&r->manifest, &j->active);
		int found = active ? 0 : p->engine->ops->look(p->engine, r->name, &held, &why);
		vn_held_release(&held);
		if (found != -VN_ENOTFOUND) {
			i++;
			continue;
		}
		vn_warn(vn_pull_events(p), "the engine has lost %s", r->name);
		const struct vn_digest gone = r->manifest;
		vn_journal_remove(j, &gone);
	}
}

/* The name stands for another release that is held: a run that ended between the engine and the journal gave it, or somebody else. */
static int name_has_moved(struct vn_pull *p, struct vn_release *now, struct vn_err *err)
{
	const struct vn_release *before = vn_journal_active(&p->journal);
	const struct vn_update *u = &p->journal.update;
	if (u->step == VN_STEP_SEALED && vn_digest_equal(&u->release.manifest, &now->manifest))
		return vn_pull_switched(p, now, vn_pull_active_event(p), err);
	bool back = before && before->unhealthy && vn_digest_equal(&p->journal.back, &now->manifest);
	vn_journal_activate(&p->journal, now, vn_pull_time(p));
	if (back)
		return vn_pull_save_and_tell(p, "rolled-back", now, "", 0, err);
	return vn_pull_save_and_tell(p, "adopted", now, "the engine's tag was moved by somebody else", 0, err);
}

int vn_pull_adopt(struct vn_pull *p, struct vn_source *channel, struct vn_err *err)
{
	struct vn_held held = { .ndiff_ids = 0 };
	struct vn_err why = { 0 };
	bool agree;
	drop_lost(p);
	const struct vn_release *active = vn_journal_active(&p->journal);
	int r = vn_pull_look_running(p, &held, &agree, &why);
	if (r == -VN_ENOTFOUND)
		return name_is_gone(p, err);
	if (r < 0) {
		*err = why;
		return r;
	}
	if (!active || !vn_digest_equal(&active->image, &held.image)) {
		struct vn_release *known = NULL;
		for (size_t i = 0; i < p->journal.nreleases && !known; i++)
			if (vn_digest_equal(&p->journal.releases[i].image, &held.image))
				known = &p->journal.releases[i];
		if (known)
			r = name_has_moved(p, known, err);
		else if (channel)
			r = adopt_new(p, channel, &held, err);
	}
	vn_held_release(&held);
	active = vn_journal_active(&p->journal);
	/* a run that ended in the middle of a switch left the name behind */
	if (r == 0 && !agree && active && !p->dry_run)
		r = p->engine->ops->name_as(p->engine, active->name, p->public_name, err);
	return r;
}
