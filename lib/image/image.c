#include "image/image.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_INDEX_NESTING 4      /* indexes within indexes; image-spec sets no bound */

/* ---- manifests, children from the cache when they come from afar */
static int child_cached(struct vn_cache *cache, const struct vn_desc *child, struct vn_buf *ret_bytes, bool *ret_found,
			struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_IN *file = NULL, *checked = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	int fd = vn_cache_get(cache, "blob", child->digest.text);
	if (fd < 0)
		return 0;
	if (vn_in_fd(fd, "the cache", &file, &ignored) < 0 ||
	    vn_in_verify(vn_steal(file), &child->digest, child->size, "the cache", &checked, &ignored) < 0 ||
	    vn_in_read_all(checked, &bytes, &ignored) < 0) {
		vn_cache_drop(cache, "blob", child->digest.text);
		return 0;
	}
	int rc = vn_buf_add(ret_bytes, vn_buf_text(&bytes), bytes.len, err);
	*ret_found = rc == 0;
	return rc;
}

static void child_keep(struct vn_cache *cache, const struct vn_desc *desc, const struct vn_buf *bytes)
{
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	if (vn_cache_begin(cache, "blob", &tmp, &ignored) < 0 || tmp.fd < 0)
		return;
	if (vn_fs_write(tmp.fd, vn_buf_text(bytes), bytes->len, "the cache", &ignored) == 0)
		vn_cache_commit(cache, "blob", desc->digest.text, &tmp, &ignored);
}

static int fetch_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_cache *cache, struct vn_buf *ret_bytes,
			  struct vn_desc *ret_desc, struct vn_err *err)
{
	bool found = false;
	if (!child || !cache || !s->ops->remote)
		return vn_source_manifest(s, child, ret_bytes, ret_desc, err);
	int rc = child_cached(cache, child, ret_bytes, &found, err);
	if (rc < 0)
		return rc;
	if (found)
		return vn_desc_copy(child, ret_desc, err);
	rc = vn_source_manifest(s, child, ret_bytes, ret_desc, err);
	if (rc == 0)
		child_keep(cache, ret_desc, ret_bytes);
	return rc;
}

/* ---- the parts of an image */
static bool is_config_type(const char *text, enum vn_family family)
{
	/* Docker 1.10 pushed configurations as octet-stream */
	return vn_mediatype(text)->kind == VN_KIND_CONFIG ||
	       (family == VN_FAMILY_DOCKER && text && !strcmp(text, "application/octet-stream"));
}

static int check_is_image(const struct vn_image *image, struct vn_err *err)
{
	const struct vn_manifest *m = &image->manifest;
	const char *artifact = NULL;
	struct vn_jv root = vn_jv_root(m->json, "manifest");
	int rc = vn_jv_opt_text(&root, "artifactType", &artifact, err);
	if (rc < 0)
		return rc;
	if (!is_config_type(m->config.media_type, m->family)) {
		vn_fail(err, VN_EFORMAT, "%s is an artifact of the type %.200s and no image", image->source->ref.text,
			artifact && *artifact ? artifact : m->config.media_type ? m->config.media_type : "unknown");
		return vn_hint(err, "name a container image");
	}
	if (m->nlayers > VN_MAX_LAYERS)
		return vn_fail(err, VN_ELIMIT, "%s has %zu layers, more than %d", image->source->ref.text, m->nlayers,
			       VN_MAX_LAYERS);
	for (size_t i = 0; i < m->nlayers; i++) {
		enum vn_kind kind = vn_mediatype(m->layers[i].media_type)->kind;
		if (kind != VN_KIND_LAYER && kind != VN_KIND_FOREIGN_LAYER)
			return vn_fail(err, VN_EFORMAT, "layer %zu of %s has the media type %.200s, which is no image layer", i + 1,
				       image->source->ref.text, m->layers[i].media_type);
	}
	return 0;
}

static int load_config(struct vn_image *image, struct vn_err *err)
{
	char what[600];
	const struct vn_desc *desc = &image->manifest.config;
	VN_AUTO_IN *in = NULL;
	snprintf(what, sizeof(what), "configuration of %.500s", image->source->ref.text);
	if (desc->size > (int64_t)VN_MAX_CONFIG)
		return vn_fail(err, VN_ELIMIT, "%s has %lld bytes, more than %u", what, (long long)desc->size, VN_MAX_CONFIG);
	image->config_bytes = (struct vn_buf)VN_BUF(VN_MAX_CONFIG);
	int rc = vn_source_blob(image->source, desc, image->cache, what, &in, err);
	if (rc == 0)
		rc = vn_in_read_all(in, &image->config_bytes, err);
	if (rc < 0)
		return rc;
	rc = vn_config_parse(vn_buf_text(&image->config_bytes), image->config_bytes.len, &image->config, err);
	return rc < 0 ? vn_wrap(err, "%s", what) : 0;
}

static int pair_layers(struct vn_image *image, struct vn_err *err)
{
	const struct vn_manifest *m = &image->manifest;
	const struct vn_config *c = &image->config;
	const char *name = image->source->ref.text;
	if (m->nlayers != c->ndiff_ids)
		return vn_fail(err, VN_EFORMAT, "%s: the manifest names %zu layers, the configuration %zu diff_ids", name, m->nlayers,
			       c->ndiff_ids);
	if (c->nhistory && !vn_config_history_fits(c))
		vn_warn(image->source->events, "%s: the history does not count up to %zu layers; it is left aside", name, m->nlayers);
	if (!m->nlayers)
		return 0;
	image->layers = calloc(m->nlayers, sizeof(*image->layers));
	if (!image->layers)
		return vn_nomem(err);
	for (size_t i = 0; i < m->nlayers; i++) {
		struct vn_image_layer *layer = &image->layers[i];
		int rc = vn_desc_copy(&m->layers[i], &layer->desc, err);
		if (rc < 0)
			return rc;
		image->nlayers = i + 1;
		layer->diff_id = c->diff_ids[i];
		layer->step = vn_config_step(c, i);
		layer->foreign = vn_mediatype(layer->desc.media_type)->kind == VN_KIND_FOREIGN_LAYER;
	}
	return 0;
}

/* image->manifest_bytes and .desc are there. */
static int fill(struct vn_image *image, struct vn_err *err)
{
	int rc = vn_manifest_parse(vn_buf_text(&image->manifest_bytes), image->manifest_bytes.len, &image->manifest, err);
	if (rc < 0)
		return vn_wrap(err, "manifest of %s", image->source->ref.text);
	rc = check_is_image(image, err);
	if (rc == 0)
		rc = load_config(image, err);
	if (rc == 0)
		rc = pair_layers(image, err);
	return rc;
}

static int check_platform(const struct vn_image *image, const struct vn_platform *want, struct vn_err *err)
{
	char have_text[VN_PLATFORM_TEXT], want_text[VN_PLATFORM_TEXT];
	const struct vn_platform *have = &image->config.platform;
	if (!want || !have->os[0] || !have->architecture[0] || vn_platform_score(want, have) > 0)
		return 0;
	vn_fail(err, VN_ENOTFOUND, "%s is an image for %s only, not for %s", image->source->ref.text,
		vn_platform_text(have, have_text), vn_platform_text(want, want_text));
	return vn_hint(err, "leave --platform out, or name an image that holds this platform");
}

static int kind_of(struct vn_source *s, const struct vn_buf *bytes, const struct vn_desc *desc, enum vn_kind *ret,
		   struct vn_err *err)
{
	const char *type;
	int rc = vn_manifest_kind(vn_buf_text(bytes), bytes->len, desc->media_type, ret, &type, err);
	return rc < 0 ? vn_wrap(err, "%s", s->ref.text) : 0;
}

/* Follows indexes from `first` (NULL: the reference) to a manifest. */
static int descend(struct vn_image *image, const struct vn_desc *first, const struct vn_platform *want, struct vn_err *err)
{
	VN_AUTO(vn_desc) next = { 0 };
	int rc = first ? vn_desc_copy(first, &next, err) : 0;
	for (int depth = 0; rc == 0; depth++) {
		enum vn_kind kind;
		VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
		VN_AUTO(vn_desc) desc = { 0 };
		VN_AUTO(vn_index) x = { 0 };
		const struct vn_desc *entry;
		rc = fetch_manifest(image->source, first || depth ? &next : NULL, image->cache, &bytes, &desc, err);
		if (rc == 0)
			rc = kind_of(image->source, &bytes, &desc, &kind, err);
		if (rc == 0 && depth == 0)
			rc = vn_desc_copy(&desc, &image->root, err);
		if (rc < 0)
			return rc;
		if (kind == VN_KIND_MANIFEST) {
			image->manifest_bytes = bytes;
			bytes = (struct vn_buf)VN_BUF(0);
			image->desc = desc;
			desc = (struct vn_desc){ 0 };
			return 0;
		}
		if (depth == MAX_INDEX_NESTING)
			return vn_fail(err, VN_ELIMIT, "%s: indexes are nested more than %d deep", image->source->ref.text,
				       MAX_INDEX_NESTING);
		image->from_index = true;
		rc = vn_index_parse(vn_buf_text(&bytes), bytes.len, &x, err);
		if (rc == 0)
			rc = vn_index_select(&x, want, &entry, err);
		if (rc < 0)
			return vn_wrap(err, "%s", image->source->ref.text);
		vn_desc_release(&next);
		next = (struct vn_desc){ 0 };
		rc = vn_desc_copy(entry, &next, err);
	}
	return rc;
}

static int open_at(struct vn_source *source, const struct vn_desc *first, const struct vn_platform *want, struct vn_cache *cache,
		   struct vn_image *ret, struct vn_err *err)
{
	VN_AUTO(vn_image) image = { .source = source, .cache = cache };
	int rc = descend(&image, first, want, err);
	if (rc == 0)
		rc = fill(&image, err);
	if (rc == 0 && !image.from_index)
		rc = check_platform(&image, want, err);
	if (rc < 0)
		return rc;
	*ret = image;
	image = (struct vn_image){ 0 };
	return 0;
}

int vn_image_open(struct vn_source *source, const struct vn_platform *want, struct vn_cache *cache, struct vn_image *ret,
		  struct vn_err *err)
{
	return open_at(source, NULL, want, cache, ret, err);
}

int vn_image_open_child(struct vn_source *source, const struct vn_desc *child, struct vn_cache *cache, struct vn_image *ret,
			struct vn_err *err)
{
	return open_at(source, child, NULL, cache, ret, err);
}

void vn_image_release(struct vn_image *image)
{
	for (size_t i = 0; i < image->nlayers; i++)
		vn_desc_release(&image->layers[i].desc);
	free(image->layers);
	vn_config_release(&image->config);
	vn_manifest_release(&image->manifest);
	vn_buf_release(&image->config_bytes);
	vn_buf_release(&image->manifest_bytes);
	vn_desc_release(&image->desc);
	vn_desc_release(&image->root);
	*image = (struct vn_image){ 0 };
}

const char *vn_image_layer_name(const struct vn_image *image, size_t i, char out[512])
{
	snprintf(out, 512, "layer %zu of %zu of %.440s", i + 1, image->nlayers, image->source->ref.text);
	return out;
}

int vn_image_layer_tar(const struct vn_image *image, size_t i, uint64_t max_plain, struct vn_in **ret, struct vn_err *err)
{
	char name[512];
	struct vn_in *in = NULL;
	const struct vn_image_layer *layer = &image->layers[i];
	vn_image_layer_name(image, i, name);
	if (layer->foreign) {
		vn_fail(err, VN_EFORMAT, "%s is a foreign layer (%s): its bytes are not kept with the image", name,
			layer->desc.media_type);
		return vn_hint(err, "such layers belong to Windows base images, which veneer does not handle");
	}
	int rc = vn_source_blob(image->source, &layer->desc, image->cache, name, &in, err);
	/* A plain layer's digest is its diff_id: bytes that were checked once need no second hash. Of large layers, hashing what was
	 * inflated would cost two thirds of inflating it, for a claim of the configuration that engines check at every pull and that
	 * nothing here is decided by; the blob's own digest is always checked. */
	bool checked = vn_digest_equal(&layer->desc.digest, &layer->diff_id) || layer->desc.size > VN_DIFF_ID_CHECKED;
	if (rc == 0)
		rc = vn_in_inflate(in, max_plain, name, &in, err);
	if (rc == 0 && !checked)
		rc = vn_in_verify(in, &layer->diff_id, -1, name, &in, err);
	if (rc < 0)
		return rc;
	*ret = in;
	return 0;
}
