#include "delta/frame.h"
#include "ocidelta/files.h"
#include "ocidelta/rebuild.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdlib.h>
#include <string.h>

/* ---- the documents */
static int add_documents(const struct vn_image *image, struct vn_buf *ret, struct vn_err *err)
{
	int rc = vn_buf_add(ret, vn_buf_text(&image->manifest_bytes), image->manifest_bytes.len, err);
	return rc < 0 ? rc : vn_buf_add(ret, vn_buf_text(&image->config_bytes), image->config_bytes.len, err);
}

static int apply_documents(struct vn_rebuild *r, const struct vn_bundle *b, struct vn_in *in, struct vn_err *err)
{
	VN_AUTO(vn_buf) old = VN_BUF(SIZE_MAX / 2), now = VN_BUF((size_t)(b->manifest + b->config)), bytes = VN_BUF(SIZE_MAX / 2);
	struct vn_delta_apply_options limits = { .memory = r->limits.memory, .new_size = b->manifest + b->config };
	struct vn_delta_bytes from;
	VN_AUTO_IN *delta = NULL;
	VN_AUTO_OUT *out = NULL;
	int rc = add_documents(r->parts->image, &old, err);
	if (rc == 0)
		rc = vn_bundle_bytes(in, b->documents, &bytes, err);
	if (rc == 0)
		rc = vn_in_memory(vn_buf_text(&bytes), bytes.len, &delta, err);
	if (rc == 0)
		rc = vn_out_buf(&now, &out, err);
	vn_delta_old_bytes(&from, old.data, old.len);
	if (rc == 0)
		rc = vn_delta_apply(&from.old, delta, out, &limits, err);
	if (rc == 0 && now.len != limits.new_size)
		rc = vn_fail(err, VN_EDIGEST, "the delta makes documents of %zu bytes, its table says %llu", now.len,
			     (unsigned long long)limits.new_size);
	if (rc == 0)
		rc = vn_buf_add(&r->manifest_bytes, vn_buf_text(&now), (size_t)b->manifest, err);
	if (rc == 0)
		rc = vn_buf_add(&r->config_bytes, vn_buf_text(&now) + b->manifest, (size_t)b->config, err);
	return rc < 0 ? rc : vn_rebuild_documents(r, err);
}

/* ---- the layers, taken apart while they stream out */
struct split_out {
	struct vn_out out;
	struct vn_rebuild *r;
	const struct vn_bundle *b;
	size_t layer;                /* the one that is written, or where to look for the next */
	bool within;
	uint64_t left;               /* bytes of its tar */
};

static int check_layers(struct vn_rebuild *r, const struct vn_bundle *b, struct vn_err *err)
{
	const struct vn_image *image = &r->image;
	if (image->nlayers != b->nlayers)
		return vn_fail(err, VN_EDIGEST, "the delta describes %zu layers, its target has %zu", b->nlayers, image->nlayers);
	for (size_t i = 0; i < b->nlayers; i++) {
		const struct vn_bundle_layer *l = &b->layers[i];
		const struct vn_desc *desc = &image->layers[i].desc;
		if (vn_bundle_in_delta(l) && l->plain > VN_RATIO_FROM && l->plain / VN_MAX_RATIO > (uint64_t)desc->size)
			return vn_fail(err, VN_EUNSAFE, "layer %zu of the delta has %llu bytes, and %lld when it is packed", i + 1,
				       (unsigned long long)l->plain, (long long)desc->size);
		if (l->how != VN_BUNDLE_ORIGINAL)
			continue;
		r->layers[i].original = vn_ocidelta_layer_for(r->delta, &desc->digest);
		if (!r->layers[i].original || !vn_digest_equal(&r->layers[i].original->desc.digest, &desc->digest))
			return vn_fail(err, VN_EDIGEST, "the delta lacks the layer %s, which it should bring along",
				       desc->digest.text);
	}
	return 0;
}

static int next_layer(struct split_out *s, struct vn_err *err)
{
	int r = s->within ? vn_rebuild_end(s->r, &s->b->layers[s->layer++], err) : 0;
	s->within = false;
	while (s->layer < s->b->nlayers && !vn_bundle_in_delta(&s->b->layers[s->layer]))
		s->layer++;
	if (r < 0 || s->layer == s->b->nlayers)
		return r;
	s->left = s->b->layers[s->layer].plain;
	s->within = true;
	return vn_rebuild_begin(s->r, s->layer, &s->b->layers[s->layer], err);
}

static bool at_end(const struct split_out *s)
{
	return !s->within && s->layer == s->b->nlayers;
}

/* Layers that are complete, also those without any bytes, are ended at once. */
static int settle(struct split_out *s, struct vn_err *err)
{
	int r = 0;
	while (r == 0 && !s->left && !at_end(s))
		r = next_layer(s, err);
	return r;
}

static int split_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	struct split_out *s = (struct split_out *)out;
	const char *p = data;
	int r = settle(s, err);
	while (r == 0 && len) {
		if (at_end(s))
			return vn_fail(err, VN_EDIGEST, "the delta makes more bytes than its table says");
		size_t n = len < s->left ? len : (size_t)s->left;
		r = vn_out_write(s->r->out, p, n, err);
		p += n;
		len -= n;
		s->left -= n;
		if (r == 0)
			r = settle(s, err);
	}
	return r;
}

static int split_finish(struct vn_out *out, struct vn_err *err)
{
	struct split_out *s = (struct split_out *)out;
	int r = settle(s, err);
	return r < 0 || at_end(s) ? r : vn_fail(err, VN_EDIGEST, "the delta makes fewer bytes than its table says");
}

static void split_close(struct vn_out *out)
{
	(void)out;                   /* lives with its user */
}

static const struct vn_out_ops split_ops = { split_write, split_finish, split_close };

/* ---- old */
struct spooled {
	struct vn_delta_old old;
	struct vn_tmp tmp;
};

static void spooled_release(struct spooled *s)
{
	vn_tmp_release(&s->tmp);
}

static int spooled_read(struct vn_delta_old *old, uint64_t offset, void *out, size_t len, struct vn_err *err)
{
	return vn_fs_read_at(((const struct spooled *)old)->tmp.fd, offset, out, len, "a temporary file", err);
}

static int spool_old(struct vn_ocidelta_parts *parts, const struct vn_bundle *b, struct spooled *ret, struct vn_err *err)
{
	int rc = vn_tmp_anonymous(&ret->tmp, err);
	if (rc == 0)
		rc = parts->files(parts, b->paths, b->npaths, ret->tmp.fd, 0, NULL, &ret->old.size, err);
	ret->old.read = spooled_read;
	if (rc < 0 && err->code == VN_ENOTFOUND) {
		err->code = VN_EDIGEST;
		return vn_wrap(err, "the delta starts from files that are not there");
	}
	return rc;
}

/* ---- a bundle */
static int apply_layers(struct vn_rebuild *r, const struct vn_bundle *b, struct vn_in *in, struct vn_err *err)
{
	VN_CLEANUP(spooled_release) struct spooled old = { .tmp = VN_TMP };
	struct split_out split = { .out = { &split_ops }, .r = r, .b = b };
	struct vn_delta_apply_options limits = r->limits;
	uint64_t size = 0;
	char more;
	bool any = false;
	for (size_t i = 0; i < b->nlayers; i++)
		any |= vn_bundle_in_delta(&b->layers[i]);
	if (!any) {
		/* to the end, where the digest is compared */
		ssize_t n = vn_in_read(in, &more, 1, err);
		return n <= 0 ? (int)n : vn_fail(err, VN_EDIGEST, "bytes follow the delta");
	}
	int rc = vn_bundle_new_size(b, &size, err);
	if (!limits.new_size || size < limits.new_size)
		limits.new_size = size;
	if (rc == 0)
		rc = spool_old(r->parts, b, &old, err);
	if (rc == 0)
		rc = vn_delta_apply(&old.old, in, &split.out, &limits, err);
	return rc < 0 ? rc : vn_out_finish(&split.out, err);
}

static int apply_bundle(struct vn_rebuild *r, const struct vn_ocidelta_blob *blob, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_bundle) b = { 0 };
	int rc = vn_rebuild_fetch(r, blob, &in, err);
	if (rc == 0)
		rc = vn_bundle_read(in, &b, err);
	if (rc == 0)
		rc = apply_documents(r, &b, in, err);
	if (rc == 0)
		rc = check_layers(r, &b, err);
	if (rc == 0)
		rc = apply_layers(r, &b, in, err);
	for (size_t i = 0; rc == 0 && i < b.nlayers; i++)
		if (b.layers[i].from_source)
			rc = vn_rebuild_from_source(r, i, (size_t)b.layers[i].plain, &b.layers[i], err);
	return rc;
}

static int check_source(const struct vn_ocidelta *delta, const struct vn_image *image, struct vn_err *err)
{
	VN_AUTO(vn_manifest) m = { 0 };
	const char *config = NULL;
	if (vn_digest_equal(&delta->source, &image->desc.digest))
		return 0;
	if (vn_digest_none(&delta->source)) {
		int r = vn_manifest_parse(vn_buf_text(&delta->manifest), delta->manifest.len, &m, err);
		if (r < 0)
			return r;
		config = vn_manifest_annotation(&m, VN_OCIDELTA_PREFIX "source-config");
		if (config && !strcmp(config, image->manifest.config.digest.text))
			return 0;
	}
	vn_fail(err, VN_EDIGEST, "the delta starts from the image %s, and %s is %s", config ? config : delta->source.text,
		image->source->ref.text, config ? image->manifest.config.digest.text : image->desc.digest.text);
	return vn_hint(err, "Apply it to the image that it was made from, or fetch the new image itself.");
}

int vn_ocidelta_prove(const struct vn_ocidelta *delta, struct vn_ocidelta_parts *parts, struct vn_in *in, uint64_t *ret_plain,
		      struct vn_err *err)
{
	VN_CLEANUP(spooled_release) struct spooled old = { .tmp = VN_TMP };
	VN_AUTO(vn_bundle) b = { 0 };
	VN_AUTO(vn_buf) documents = VN_BUF(SIZE_MAX / 2);
	struct vn_delta_frames frames = { .in = in };
	struct vn_delta_head head;
	uint64_t plain = 0;
	bool any = false;
	int rc = check_source(delta, parts->image, err);
	if (rc < 0 || !vn_ocidelta_content(delta, "veneer"))
		return rc;
	rc = vn_bundle_read(in, &b, err);
	for (size_t i = 0; i < b.nlayers; i++)
		any |= vn_bundle_in_delta(&b.layers[i]);
	if (rc == 0)
		rc = vn_bundle_new_size(&b, &plain, err);
	if (rc == 0 && any)
		rc = vn_bundle_bytes(in, b.documents, &documents, err);
	if (rc == 0 && any)
		rc = vn_delta_read_head(&frames, &head, err);
	if (rc == 0 && any)
		rc = spool_old(parts, &b, &old, err);
	if (rc == 0 && any)
		rc = vn_delta_check_old(&head, &old.old, err);
	if (rc == 0)
		*ret_plain = plain;
	return rc;
}

int vn_ocidelta_apply_parts(const struct vn_ocidelta *delta, struct vn_ocidelta_parts *parts,
			    const struct vn_delta_apply_options *limits, struct vn_sink *to, struct vn_ocidelta_applied *ret,
			    struct vn_err *err)
{
	VN_AUTO(vn_rebuild) r = { 0 };
	const struct vn_ocidelta_blob *bundle = vn_ocidelta_content(delta, "veneer");
	int rc = check_source(delta, parts->image, err);
	if (rc == 0)
		rc = vn_rebuild_open(delta, parts, limits, &r, err);
	if (rc == 0)
		rc = bundle ? apply_bundle(&r, bundle, err) : vn_rebuild_foreign(&r, err);
	return rc < 0 ? rc : vn_rebuild_write(&r, to, ret, err);
}
