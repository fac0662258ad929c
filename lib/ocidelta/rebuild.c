#include "ocidelta/rebuild.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUESS_ALL (64ull << 20)      /* tars up to this size are packed at every level in search of the right one */

/* ---- what is rebuilt, as a source of an image */
struct rebuilt_source {
	struct vn_source s;
	struct vn_rebuild *r;
};

static int self_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			 struct vn_err *err)
{
	struct vn_rebuild *r = ((struct rebuilt_source *)s)->r;
	struct vn_digest digest;
	enum vn_kind kind;
	const char *type;
	if (child)
		return vn_fail(err, VN_ENOTFOUND, "the rebuilt image has one manifest only");
	int rc = vn_digest_of(vn_buf_text(&r->manifest_bytes), r->manifest_bytes.len, &digest, err);
	if (rc == 0)
		rc = vn_manifest_kind(vn_buf_text(&r->manifest_bytes), r->manifest_bytes.len, NULL, &kind, &type, err);
	if (rc == 0 && kind != VN_KIND_MANIFEST)
		rc = vn_fail(err, VN_EFORMAT, "the target of the delta is no image");
	if (rc == 0)
		rc = vn_buf_add(ret_bytes, vn_buf_text(&r->manifest_bytes), r->manifest_bytes.len, err);
	return rc < 0 ? rc : vn_desc_init(ret_desc, type, &digest, (int64_t)r->manifest_bytes.len, err);
}

static int shared_blob(struct vn_rebuild *r, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	const struct vn_image *source = r->parts->image;
	char name[512];
	for (size_t i = 0; i < source->nlayers; i++)
		if (vn_digest_equal(&source->layers[i].desc.digest, &desc->digest))
			return vn_source_blob(source->source, &source->layers[i].desc, source->cache,
					      vn_image_layer_name(source, i, name), ret, err);
	return vn_fail(err, VN_EDIGEST, "the layer %s is neither in the delta nor in %s", desc->digest.text, source->source->ref.text);
}

static int self_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	struct vn_rebuild *r = ((struct rebuilt_source *)s)->r;
	for (size_t i = 0; r->layers && i < r->image.nlayers; i++) {
		const struct vn_rebuilt_layer *l = &r->layers[i];
		if (!vn_digest_equal(&l->digest, &desc->digest))
			continue;
		if (l->tmp.fd >= 0)
			return vn_in_slice(l->tmp.fd, 0, l->size, "a temporary file", ret, err);
		if (l->original)
			return vn_rebuild_fetch(r, l->original, ret, err);
	}
	struct vn_digest config;
	int rc = vn_digest_of(vn_buf_text(&r->config_bytes), r->config_bytes.len, &config, err);
	if (rc == 0 && vn_digest_equal(&config, &desc->digest))
		return vn_in_memory(vn_buf_text(&r->config_bytes), r->config_bytes.len, ret, err);
	return rc < 0 ? rc : shared_blob(r, desc, ret, err);
}

static void self_close(struct vn_source *s)
{
	vn_ref_release(&s->ref);
	free(s);
}

static const struct vn_source_ops self_ops = { self_manifest, self_blob, NULL, self_close, false, NULL };

int vn_rebuild_open(const struct vn_ocidelta *delta, struct vn_ocidelta_parts *parts, const struct vn_delta_apply_options *limits,
		    struct vn_rebuild *ret, struct vn_err *err)
{
	const struct vn_source *source = parts->image->source;
	struct rebuilt_source *self = calloc(1, sizeof(*self));
	if (!self)
		return vn_nomem(err);
	*ret = (struct vn_rebuild){ .delta = delta, .parts = parts, .manifest_bytes = VN_BUF(VN_MAX_MANIFEST),
				    .config_bytes = VN_BUF(VN_MAX_CONFIG), .self = &self->s, .fetched = delta->manifest.len };
	if (limits)
		ret->limits = (struct vn_delta_apply_options){ .memory = limits->memory, .new_size = limits->new_size };
	self->s.ops = &self_ops;
	self->s.events = source->events;
	self->r = ret;
	int rc = vn_ref_with(&source->ref, source->ref.tag, vn_digest_none(&source->ref.digest) ? NULL : source->ref.digest.text,
			     &self->s.ref, err);
	if (rc < 0)
		vn_rebuild_release(ret);
	return rc;
}

void vn_rebuild_release(struct vn_rebuild *r)
{
	vn_out_close(r->out);
	for (size_t i = 0; r->layers && i < r->image.nlayers; i++)
		vn_tmp_release(&r->layers[i].tmp);
	free(r->layers);
	vn_image_release(&r->image);
	vn_source_close(r->self);
	vn_buf_release(&r->manifest_bytes);
	vn_buf_release(&r->config_bytes);
	memset(r, 0, sizeof(*r));
}

int vn_rebuild_fetch(struct vn_rebuild *r, const struct vn_ocidelta_blob *blob, struct vn_in **ret, struct vn_err *err)
{
	int rc = vn_ocidelta_blob_open(r->delta, blob, ret, err);
	if (rc == 0 && !vn_ocidelta_is_inline(&blob->desc) && blob->desc.size > 0)
		r->fetched += (uint64_t)blob->desc.size;
	return rc;
}

int vn_rebuild_documents(struct vn_rebuild *r, struct vn_err *err)
{
	struct vn_digest digest;
	int rc = vn_digest_of(vn_buf_text(&r->manifest_bytes), r->manifest_bytes.len, &digest, err);
	if (rc == 0 && !vn_digest_equal(&digest, &r->delta->target))
		rc = vn_fail(err, VN_EDIGEST, "the delta makes the manifest %s, its target is %s", digest.text,
			     r->delta->target.text);
	if (rc == 0)
		rc = vn_image_open(r->self, NULL, NULL, &r->image, err);
	if (rc < 0)
		return vn_wrap(err, "the target of the delta");
	r->layers = calloc(r->image.nlayers + 1, sizeof(*r->layers));
	if (!r->layers)
		return vn_nomem(err);
	for (size_t i = 0; i < r->image.nlayers; i++)
		r->layers[i] = (struct vn_rebuilt_layer){ .tmp = VN_TMP, .digest = r->image.layers[i].desc.digest,
							  .size = (uint64_t)r->image.layers[i].desc.size };
	return 0;
}

/* ---- layers */
int vn_rebuild_begin(struct vn_rebuild *r, size_t layer, const struct vn_bundle_layer *recipe, struct vn_err *err)
{
	VN_AUTO_OUT *out = NULL;
	struct vn_tmp *tmp = &r->layers[layer].tmp;
	r->now = layer;
	vn_out_close(vn_steal(r->out));
	vn_tmp_release(tmp);
	*tmp = (struct vn_tmp)VN_TMP;
	int rc = vn_tmp_anonymous(tmp, err);
	/* tar → diff_id → packed → digest → file */
	if (rc == 0)
		rc = vn_out_fd(tmp->fd, "a temporary file", &out, err);
	if (rc == 0)
		rc = vn_out_digest(vn_steal(out), &r->blob, &r->blob_size, &out, err);
	if (rc == 0)
		rc = vn_recipe_out(recipe, vn_steal(out), &out, err);
	return rc < 0 ? rc : vn_out_digest(vn_steal(out), &r->tar, &r->tar_size, &r->out, err);
}

static int check_tar(struct vn_rebuild *r, size_t layer, const struct vn_digest *digest, struct vn_err *err)
{
	if (vn_digest_equal(digest, &r->image.layers[layer].diff_id))
		return 0;
	return vn_fail(err, VN_EDIGEST, "layer %zu of %zu of the target: expected the diff_id %s, rebuilt %s", layer + 1,
		       r->image.nlayers, r->image.layers[layer].diff_id.text, digest->text);
}

static void keep(struct vn_rebuild *r, bool repacked)
{
	struct vn_rebuilt_layer *l = &r->layers[r->now];
	l->digest = r->blob;
	l->size = r->blob_size;
	l->repacked = repacked;
}

int vn_rebuild_end(struct vn_rebuild *r, const struct vn_bundle_layer *recipe, struct vn_err *err)
{
	const struct vn_desc *want = &r->image.layers[r->now].desc;
	int rc = vn_out_finish(r->out, err);
	vn_out_close(vn_steal(r->out));
	if (rc == 0)
		rc = check_tar(r, r->now, &r->tar, err);
	if (rc < 0)
		return rc;
	bool same = vn_digest_equal(&r->blob, &want->digest) && r->blob_size == (uint64_t)want->size;
	if (!same && recipe->how != VN_BUNDLE_UNKNOWN) {
		vn_fail(err, VN_EDIGEST, "layer %zu of %zu of the target: expected the digest %s, packed %s", r->now + 1,
			r->image.nlayers, want->digest.text, r->blob.text);
		return vn_hint(err, "its tar is right; perhaps zlib on this machine packs differently: fetch the image itself");
	}
	keep(r, !same);
	return 0;
}

int vn_rebuild_from_source(struct vn_rebuild *r, size_t layer, size_t from, const struct vn_bundle_layer *recipe,
			   struct vn_err *err)
{
	const struct vn_image *source = r->parts->image;
	VN_AUTO_IN *in = NULL;
	if (from >= source->nlayers)
		return vn_fail(err, VN_EDIGEST, "the delta takes layer %zu of %s, which has %zu", from + 1, source->source->ref.text,
			       source->nlayers);
	int rc = vn_image_layer_tar(source, from, 0, &in, err);
	if (rc == 0)
		rc = vn_rebuild_begin(r, layer, recipe, err);
	if (rc == 0)
		rc = vn_copy(in, r->out, NULL, err);
	return rc < 0 ? rc : vn_rebuild_end(r, recipe, err);
}

static int guess_once(struct vn_rebuild *r, size_t layer, int fd, uint64_t len, const struct vn_bundle_layer *recipe,
		      bool *ret_same, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	const struct vn_desc *want = &r->image.layers[layer].desc;
	int rc = vn_in_slice(fd, 0, len, "a temporary file", &in, err);
	if (rc == 0)
		rc = vn_rebuild_begin(r, layer, recipe, err);
	if (rc == 0)
		rc = vn_copy(in, r->out, NULL, err);
	if (rc == 0)
		rc = vn_out_finish(r->out, err);
	vn_out_close(vn_steal(r->out));
	if (rc == 0)
		rc = check_tar(r, layer, &r->tar, err);
	if (rc < 0)
		return rc;
	*ret_same = vn_digest_equal(&r->blob, &want->digest);
	keep(r, !*ret_same);
	return 0;
}

int vn_rebuild_guess(struct vn_rebuild *r, size_t layer, int fd, uint64_t len, struct vn_err *err)
{
	static const int levels[] = { 9, 6, 1, 5, 4, 7, 8, 3, 2, 6 };     /* the last of them stays */
	const struct vn_image_layer *want = &r->image.layers[layer];
	bool same = vn_digest_equal(&want->desc.digest, &want->diff_id), all = len <= GUESS_ALL;
	struct vn_bundle_layer recipe = { .how = VN_BUNDLE_PLAIN };
	if (same)
		return guess_once(r, layer, fd, len, &recipe, &same, err);
	int rc = 0;
	for (size_t i = all ? 0 : 8; rc == 0 && !same && i < sizeof(levels) / sizeof(levels[0]); i++) {
		recipe.how = VN_BUNDLE_GZIP;
		/* large ones: what veneer writes, then what is usual */
		vn_gzip_own(!all && i == 8 ? 9 : levels[i], &recipe.gzip);
		rc = guess_once(r, layer, fd, len, &recipe, &same, err);
	}
	return rc;
}

/* ---- the end */
/* The manifest with the layers that are packed otherwise. */
static int new_manifest(struct vn_rebuild *r, struct vn_err *err)
{
	const struct vn_manifest *m = &r->image.manifest;
	VN_AUTO_JSON *root = vn_json_copy(m->json);
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	vn_json *layers = vn_json_array();
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < m->nlayers; i++) {
		VN_AUTO(vn_desc) desc = { 0 };
		const struct vn_rebuilt_layer *l = &r->layers[i];
		rc = vn_desc_copy(&m->layers[i], &desc, err);
		if (rc == 0 && l->repacked) {
			free(vn_steal(desc.media_type));
			rc = vn_strdup(vn_mediatype_layer(m->family, VN_GZIP), &desc.media_type, err);
			desc.digest = l->digest;
			desc.size = (int64_t)l->size;
		}
		vn_json_add(layers, vn_desc_to_json(&desc));
	}
	vn_json_set(root, "layers", layers);
	if (rc == 0)
		rc = vn_json_text(root, false, &bytes, err);
	if (rc < 0)
		return rc;
	struct vn_buf swap = r->manifest_bytes;
	r->manifest_bytes = bytes;
	bytes = swap;
	return 0;
}

/* A layer that stands twice in the image is rebuilt once. */
static void copy_twins(struct vn_rebuild *r)
{
	for (size_t i = 0; i < r->image.nlayers; i++)
		for (size_t j = 0; j < i; j++) {
			if (!r->layers[j].repacked || !vn_digest_equal(&r->image.layers[j].desc.digest, &r->image.layers[i].desc.digest))
				continue;
			r->layers[i].digest = r->layers[j].digest;
			r->layers[i].size = r->layers[j].size;
			r->layers[i].repacked = true;
		}
}

static void count(const struct vn_rebuild *r, struct vn_ocidelta_applied *a, bool *ret_repacked)
{
	for (size_t i = 0; i < r->image.nlayers; i++) {
		const struct vn_rebuilt_layer *l = &r->layers[i];
		a->repacked += l->repacked;
		a->original += !l->repacked && l->original;
		a->rebuilt += !l->repacked && !l->original && l->tmp.fd >= 0;
		a->reused += !l->repacked && !l->original && l->tmp.fd < 0;
		*ret_repacked |= l->repacked;
	}
}

int vn_rebuild_write(struct vn_rebuild *r, struct vn_sink *to, struct vn_ocidelta_applied *ret, struct vn_err *err)
{
	struct vn_ocidelta_applied applied = { 0 };
	struct vn_copy_result copied = { 0 };
	bool repacked = false;
	copy_twins(r);
	count(r, &applied, &repacked);
	int rc = repacked ? new_manifest(r, err) : 0;
	if (rc == 0)
		rc = vn_image_copy(r->self, NULL, NULL, to, &copied, err);
	if (rc < 0)
		return rc;
	applied.root = copied.root;
	applied.exact = vn_digest_equal(&copied.root.digest, &r->delta->target);
	applied.fetched = r->fetched;
	*ret = applied;
	return 0;
}
