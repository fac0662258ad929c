/* Deltas put beside the image that they make, in its registry. */
#include "api/delta.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>

/* `repository` with the tag that source and target give. */
static int delta_ref(const struct vn_ref *repository, const struct vn_ocidelta *delta, struct vn_ref *ret, struct vn_err *err)
{
	char tag[VN_OCIDELTA_TAG];
	int r = vn_ocidelta_tag(&delta->source, &delta->target, tag, err);
	return r < 0 ? r : vn_ref_with(repository, tag, NULL, ret, err);
}

/* Blobs, the manifest under its tag, its place among the referrers of the target. */
static int publish(struct vn *vn, struct vn_delta_run *run, const struct vn_ref *repository, struct vn_ocidelta *delta,
		   struct vn_delta_item *item, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO_SINK *sink = NULL;
	uint64_t moved = 0;
	bool listed = false;
	int r = delta_ref(repository, delta, &ref, err);
	if (r == 0)
		r = vn_open_sink(vn, &ref, &sink, err);
	if (r == 0)
		r = vn_ocidelta_put(delta, sink, &moved, err);
	if (r == 0)
		r = vn_registry_refer(sink, &delta->desc, delta->manifest.data, delta->manifest.len, VN_OCIDELTA_PREFIX "source",
				      &listed, err);
	if (r < 0)
		return r;
	run->result.uploaded += moved;
	run->result.referrers = listed;
	item->reference = vn_arena_printf(&run->arena, err, "%s@%s", ref.text, delta->desc.digest.text);
	item->written = item->reference;
	return item->written ? 0 : -(int)err->code;
}

/* "2 of 3 deltas are published", or what a device fetches when there is one. */
static int conclude(struct vn_delta_run *run, struct vn_err *err)
{
	size_t written = 0, n = run->result.nitems;
	for (size_t i = 0; i < n; i++)
		written += run->items[i].written;
	if (n == 1 && written && run->items[0].full)
		return vn_delta_run_fetches(run, run->items[0].size, run->items[0].full, err);
	if (n == 1)
		run->result.sentence = written ? "The delta is published." : "Nothing is published: devices pull the image itself.";
	else
		run->result.sentence = vn_arena_printf(&run->arena, err, "%zu of %zu deltas are published.", written, n);
	return run->result.sentence ? 0 : -(int)err->code;
}

/* The tag follows from the images: `bare` takes none. */
static int repository_of(const char *text, bool bare, struct vn_ref *ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	int r = vn_ref_parse(text, &ref, err);
	const char *slash = strrchr(text, '/');
	if (r < 0)
		return r;
	if (ref.transport != VN_REF_REGISTRY) {
		vn_fail(err, VN_EUSAGE, "%s is in no registry: deltas are published beside the image in its registry", ref.text);
		return vn_hint(err, "--to names the repository.");
	}
	if (bare && strpbrk(slash ? slash : text, ":@")) {
		vn_fail(err, VN_EUSAGE, "%s names a tag or a digest, expected a repository", ref.text);
		return vn_hint(err, "The tag of a delta follows from both of its images.");
	}
	return vn_ref_with(&ref, NULL, NULL, ret, err);
}

/* One image of NEW and the same platform of one OLD. */
static int push_pair(struct vn *vn, struct vn_delta_pair *pair, const char *old_ref, const char *new_ref, const struct vn_ref *to,
		     const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO(vn_ocidelta) delta = { .nblobs = 0 };
	struct vn_delta_item *item;
	int r = 0;
	bool same = vn_digest_equal(&pair->old_image.desc.digest, &pair->new_image.desc.digest);
	if (!same)
		r = vn_delta_pair_make(vn, pair, settings, &delta, err);
	if (r == 0)
		r = vn_delta_run_image(run, &delta, &pair->new_image, &item, err);
	if (r == 0)
		r = vn_delta_run_text(run, old_ref, &item->old_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, new_ref, &item->new_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, pair->old_image.desc.digest.text, &item->old_digest, err);
	if (r == 0)
		r = vn_delta_run_text(run, pair->new_image.desc.digest.text, &item->new_digest, err);
	if (r < 0)
		return r;
	if (same)
		item->reason = "it is the same image";
	else if (item->size >= item->full && !settings->larger)
		item->reason = VN_DELTA_SAVES_NOTHING;
	return *item->reason ? 0 : publish(vn, run, to, &delta, item, err);
}

/* An image was not found: 0 when others are there, for other platforms. */
static int has_others(struct vn *vn, struct vn_source *old, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) root = { 0 };
	VN_AUTO(vn_image) image = { 0 };
	int r = vn_source_manifest(old, NULL, &bytes, &root, err);
	if (r < 0 || vn_mediatype(root.media_type)->kind == VN_KIND_INDEX)
		return r;
	return vn_image_open(old, NULL, vn->cache, &image, err);
}

/* `entry` NULL: NEW is one image. */
static int push_image(struct vn *vn, const char *old_ref, const char *new_ref, const struct vn_desc *entry, const struct vn_ref *to,
		      const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO(vn_delta_pair) pair = { .old_source = NULL };
	char platform[VN_PLATFORM_TEXT];
	struct vn_err none = { 0 };
	struct vn_delta_item *item;
	struct vn_platform want;
	int r = vn_open_source(vn, old_ref, &pair.old_source, err);
	if (r == 0)
		r = vn_open_source(vn, new_ref, &pair.new_source, err);
	if (r == 0 && settings->platform)
		r = vn_platform_parse(settings->platform, &want, err);
	if (r == 0)
		r = entry ? vn_image_open_child(pair.new_source, entry, vn->cache, &pair.new_image, err) :
			    vn_image_open(pair.new_source, settings->platform ? &want : NULL, vn->cache, &pair.new_image, err);
	if (r < 0)
		return r;
	const struct vn_platform *ours = &pair.new_image.config.platform;
	r = vn_image_open(pair.old_source, ours, vn->cache, &pair.old_image, &none);
	if (r == 0 && vn_platform_score(ours, &pair.old_image.config.platform))
		return push_pair(vn, &pair, old_ref, new_ref, to, settings, run, err);
	if (r < 0 && r != -VN_ENOTFOUND) {
		*err = none;
		return r;
	}
	r = r < 0 ? has_others(vn, pair.old_source, err) : 0;
	if (r == 0)
		r = vn_delta_run_item(run, &item, err);
	if (r == 0)
		r = vn_delta_run_text(run, old_ref, &item->old_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, new_ref, &item->new_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, vn_platform_text(ours, platform), &item->platform, err);
	if (r < 0)
		return r;
	item->image = true;
	item->reason = "OLD has no image for this platform";
	return 0;
}

int vn_delta_images_push(struct vn *vn, const char *const *from, size_t nfrom, const char *new_ref,
			 const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO(vn_ref) to = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) root = { 0 };
	VN_AUTO(vn_index) index = { 0 };
	VN_AUTO_SOURCE *source = NULL;
	int r = repository_of(settings->to ? settings->to : new_ref, settings->to != NULL, &to, err);
	if (r == 0)
		r = vn_open_cache(vn, err);
	if (r == 0)
		r = vn_open_source(vn, new_ref, &source, err);
	if (r == 0)
		r = vn_source_manifest(source, NULL, &bytes, &root, err);
	if (r < 0)
		return r;
	bool all = vn_mediatype(root.media_type)->kind == VN_KIND_INDEX && !settings->platform;
	if (all)
		r = vn_index_parse(bytes.data, bytes.len, &index, err);
	for (size_t f = 0; r == 0 && f < nfrom; f++) {
		if (!all)
			r = push_image(vn, from[f], new_ref, NULL, &to, settings, run, err);
		for (size_t i = 0; r == 0 && i < index.nmanifests; i++)
			if (vn_index_is_image(&index.manifests[i]))
				r = push_image(vn, from[f], new_ref, &index.manifests[i], &to, settings, run, err);
	}
	return r < 0 ? r : conclude(run, err);
}

int vn_delta_images_push_made(struct vn *vn, const char *name, const char *repository, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO(vn_ref) to = { 0 };
	VN_AUTO(vn_ocidelta) delta = { .nblobs = 0 };
	VN_AUTO_SOURCE *source = NULL;
	struct vn_delta_item *item;
	int r = repository_of(repository, true, &to, err);
	if (r == 0)
		r = vn_open_cache(vn, err);
	if (r == 0)
		r = vn_open_source(vn, name, &source, err);
	if (r == 0)
		r = vn_ocidelta_open(source, vn->cache, &delta, err);
	if (r == 0)
		r = vn_delta_run_image(run, &delta, NULL, &item, err);
	if (r == 0)
		r = publish(vn, run, &to, &delta, item, err);
	return r < 0 ? r : conclude(run, err);
}
