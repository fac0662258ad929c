#include "api/context.h"
#include "image/convert.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>

/* Is `now`, which the tag names, what this image becomes there? An engine names images by their configuration; where only OCI
 * is taken, a Docker manifest becomes another one. */
static int same_image(const struct vn_image *image, const struct vn_sink *to, const struct vn_desc *now, bool *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) oci = { 0 };
	const struct vn_digest *digest = &image->desc.digest;
	int r = 0;
	if (vn_mediatype(now->media_type)->kind == VN_KIND_CONFIG) {
		digest = &image->manifest.config.digest;
	} else if (to->ops->only == VN_FAMILY_OCI && image->manifest.family == VN_FAMILY_DOCKER) {
		r = vn_manifest_to_oci(&image->manifest, &bytes, &oci, err);
		digest = &oci.digest;
	}
	*ret = r == 0 && vn_digest_equal(digest, &now->digest);
	return r;
}

/* The same image again is no move. */
static int is_there(struct vn_source *from, const struct vn_sink *to, const struct vn_platform *want, const struct vn_desc *now,
		    struct vn_cache *cache, bool *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) root = { 0 };
	VN_AUTO(vn_image) image = { 0 };
	int r = want ? 0 : vn_source_manifest(from, NULL, &bytes, &root, err);
	if (r < 0)
		return r;
	*ret = !want && vn_digest_equal(&root.digest, &now->digest);
	if (*ret || (!want && vn_mediatype(root.media_type)->kind != VN_KIND_MANIFEST))
		return 0;
	r = want ? vn_image_open(from, want, cache, &image, err) : vn_image_open_child(from, &root, cache, &image, err);
	return r < 0 ? r : same_image(&image, to, now, ret, err);
}

static int check_tag(struct vn_source *from, struct vn_sink *to, const struct vn_platform *want, bool move_tag, struct vn_cache *cache,
		     struct vn_err *err)
{
	VN_AUTO(vn_desc) now = { 0 };
	if (move_tag)
		return 0;
	int r = to->ops->current(to, &now, err);
	if (r == -VN_ENOTFOUND)
		return 0;
	if (r < 0)
		return r;
	bool same = false;
	r = is_there(from, to, want, &now, cache, &same, err);
	if (r < 0 || same)
		return r;
	vn_fail(err, VN_EREFUSED, "%s already names %s; not moved", to->ref.text, now.digest.text);
	return vn_hint(err, "Use another tag, or --move-tag.");
}

int vn_copy_run(struct vn *vn, const char *src, const char *dest, const char *platform, bool move_tag, struct vn_copy_report *ret,
		struct vn_err *err)
{
	VN_AUTO_SOURCE *from = NULL;
	VN_AUTO_SINK *to = NULL;
	VN_AUTO(vn_ref) ref = { 0 };
	struct vn_platform want;
	struct vn_copy_result result;
	memset(&result, 0, sizeof(result));
	int r = vn_open_cache(vn, err);
	if (r == 0 && platform)
		r = vn_platform_parse(platform, &want, err);
	if (r == 0)
		r = vn_ref_parse(dest, &ref, err);
	if (r == 0 && !vn_digest_none(&ref.digest))
		r = vn_fail(err, VN_EUSAGE, "DEST %s names a digest: give a tag", dest);
	if (r == 0)
		r = vn_open_source(vn, src, &from, err);
	if (r == 0)
		r = vn_open_sink(vn, &ref, &to, err);
	if (r == 0)
		r = check_tag(from, to, platform ? &want : NULL, move_tag, vn->cache, err);
	if (r == 0)
		r = vn_image_copy(from, platform ? &want : NULL, vn->cache, to, &result, err);
	if (r == 0) {
		memset(ret, 0, sizeof(*ret));
		snprintf(ret->digest, sizeof(ret->digest), "%s", result.root.digest.text);
		if (ref.transport == VN_REF_REGISTRY)
			snprintf(ret->reference, sizeof(ret->reference), "%s@%s", ref.text, ret->digest);
		else
			snprintf(ret->reference, sizeof(ret->reference), "%s", ref.text);
		ret->bytes = result.bytes;
		ret->blobs = result.blobs;
		ret->images = result.images;
	}
	vn_desc_release(&result.root);
	return r;
}
