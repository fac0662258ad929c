/* Artifacts of containers/oci-delta: documents as they are, and for each new layer a tar-diff or its blob. */
#include "ocidelta/rebuild.h"
#include "tardiff/format.h"
#include "tardiff/operations.h"
#include "tardiff/tardiff.h"
#include "util/arena.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

struct opened_file {
	struct vn_delta_old old;
	int fd;
	uint64_t at;
};
/* The source's files that one tar-diff opens, in one unlinked file. */
struct opened_files {
	struct vn_tardiff_files files;
	struct vn_arena arena;
	const char **paths;          /* by vn_path_cmp, each once */
	size_t n, cap;
	uint64_t *sizes, *at;
	struct vn_tmp tmp;
	struct opened_file open;
};

static void opened_files_release(struct opened_files *f)
{
	vn_arena_release(&f->arena);
	free(f->paths);
	free(f->sizes);
	free(f->at);
	vn_tmp_release(&f->tmp);
}

static int order_paths(const void *x, const void *y)
{
	return vn_path_cmp(*(const char *const *)x, *(const char *const *)y);
}

static int slice_read(struct vn_delta_old *old, uint64_t offset, void *out, size_t len, struct vn_err *err)
{
	const struct opened_file *o = (const struct opened_file *)old;
	return vn_fs_read_at(o->fd, o->at + offset, out, len, "a temporary file", err);
}

static int open_file(struct vn_tardiff_files *files, const char *path, struct vn_delta_old **ret_file, struct vn_err *err)
{
	struct opened_files *f = (struct opened_files *)files;
	const char *const *found = f->n ? bsearch(&path, f->paths, f->n, sizeof(path), order_paths) : NULL;
	if (!found)
		return vn_fail(err, VN_ENOTFOUND, "no file /%.600s", path);
	size_t i = (size_t)(found - (const char *const *)f->paths);
	f->open.old = (struct vn_delta_old){ slice_read, f->sizes[i] };
	f->open.fd = f->tmp.fd;
	f->open.at = f->at[i];
	*ret_file = &f->open.old;
	return 0;
}

static void close_file(struct vn_tardiff_files *files, struct vn_delta_old *file)
{
	(void)files, (void)file;
}

/* ---- which files it opens */
static int take_path(struct vn_tardiff_operations *o, uint64_t size, struct opened_files *f, struct vn_err *err)
{
	char raw[VN_TARDIFF_PATH_MAX + 1];
	VN_AUTO(vn_buf) path = VN_BUF(2 * VN_MAX_PATH);
	if (size > VN_TARDIFF_PATH_MAX)
		return vn_fail(err, VN_ELIMIT, "the tar-diff opens a path of %llu bytes; at most %d are allowed",
			       (unsigned long long)size, VN_TARDIFF_PATH_MAX);
	int r = vn_tardiff_take_full(o, raw, (size_t)size, err);
	raw[size] = 0;
	if (r == 0)
		r = vn_path_clean(raw, &path, err);
	if (r < 0 || (f->n && !strcmp(f->paths[f->n - 1], vn_buf_text(&path))))
		return r;
	if (f->n >= VN_MAX_DELTA_FILES)
		return vn_fail(err, VN_ELIMIT, "the tar-diff opens more than %u files", VN_MAX_DELTA_FILES);
	r = vn_grow(&f->paths, &f->cap, f->n + 1, sizeof(*f->paths), err);
	if (r == 0 && !(f->paths[f->n++] = vn_arena_text(&f->arena, vn_buf_text(&path), err)))
		r = -(int)err->code;
	return r;
}

static int skip(struct vn_tardiff_operations *o, uint64_t size, struct vn_err *err)
{
	const uint8_t *p;
	while (size) {
		ssize_t n = vn_tardiff_take(o, size, &p, err);
		if (n <= 0)
			return n < 0 ? (int)n : vn_tardiff_damaged(o, err, "it ends early");
		size -= (uint64_t)n;
	}
	return 0;
}

static int one_operation(struct vn_tardiff_operations *o, uint8_t op, struct opened_files *f, struct vn_err *err)
{
	uint8_t raw[10];
	uint64_t size;
	size_t n = 0;
	do {
		int r = vn_tardiff_take_full(o, raw + n, 1, err);
		if (r < 0)
			return r;
	} while (raw[n++] & 0x80 && n < sizeof(raw));
	if (vn_get_varint(raw, n, &size) != n)
		return vn_tardiff_damaged(o, err, "the size of an operation is not valid");
	if (op == VN_TARDIFF_OP_OPEN)
		return take_path(o, size, f, err);
	return op == VN_TARDIFF_OP_COPY || op == VN_TARDIFF_OP_SEEK ? 0 : skip(o, size, err);
}

static int list_files(struct vn_in *in, uint64_t memory, struct opened_files *f, struct vn_err *err)
{
	VN_AUTO(vn_tardiff_operations) o = { 0 };
	const uint8_t *op;
	size_t kept = 0;
	ssize_t n = 0;
	int version, rc = vn_tardiff_operations_open(&o, in, memory ? memory : VN_MAX_TARDIFF_MEMORY, &version, err);
	while (rc == 0 && (n = vn_tardiff_take(&o, 1, &op, err)) > 0)
		rc = one_operation(&o, *op, f, err);
	if (rc < 0 || n < 0)
		return rc < 0 ? rc : (int)n;
	qsort(f->paths, f->n, sizeof(*f->paths), order_paths);
	for (size_t i = 0; i < f->n; i++)
		if (!kept || strcmp(f->paths[kept - 1], f->paths[i]))
			f->paths[kept++] = f->paths[i];
	f->n = kept;
	return 0;
}

static int open_files(struct vn_ocidelta_parts *parts, struct vn_in *list, uint64_t memory, struct opened_files *f,
		      struct vn_err *err)
{
	uint64_t end = 0, at = 0;
	int rc = list_files(list, memory, f, err);
	if (rc == 0)
		rc = vn_tmp_anonymous(&f->tmp, err);
	if (rc < 0)
		return rc;
	f->sizes = calloc(f->n + 1, sizeof(*f->sizes));
	f->at = calloc(f->n + 1, sizeof(*f->at));
	if (!f->sizes || !f->at)
		return vn_nomem(err);
	rc = parts->files(parts, f->paths, f->n, f->tmp.fd, 0, f->sizes, &end, err);
	for (size_t i = 0; rc == 0 && i < f->n; at += f->sizes[i++])
		f->at[i] = at;
	if (rc < 0 && err->code == VN_ENOTFOUND) {
		err->code = VN_EDIGEST;
		return vn_wrap(err, "the delta starts from files that are not there");
	}
	return rc;
}

int vn_rebuild_tardiff(struct vn_ocidelta_parts *parts, struct vn_in *list, struct vn_in *in, const struct vn_tardiff_limits *limits,
		       struct vn_out *out, struct vn_err *err)
{
	VN_CLEANUP(opened_files_release) struct opened_files f = { .files = { open_file, close_file }, .tmp = VN_TMP };
	int rc = open_files(parts, list, limits->memory, &f, err);
	return rc < 0 ? rc : vn_tardiff_apply(&f.files, in, out, limits, err);
}

/* ---- layers */
/* It is read twice, and fetched once. */
static int spool_blob(struct vn_rebuild *r, const struct vn_ocidelta_blob *blob, struct vn_tmp *tmp, struct vn_in **ret_list,
		      struct vn_in **ret_in, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *out = NULL;
	uint64_t size = 0;
	int rc = vn_tmp_anonymous(tmp, err);
	if (rc == 0)
		rc = vn_rebuild_fetch(r, blob, &in, err);
	if (rc == 0)
		rc = vn_out_fd(tmp->fd, "a temporary file", &out, err);
	if (rc == 0)
		rc = vn_copy(in, out, &size, err);
	if (rc == 0)
		rc = vn_in_slice(tmp->fd, 0, size, "the tar-diff", ret_list, err);
	return rc < 0 ? rc : vn_in_slice(tmp->fd, 0, size, "the tar-diff", ret_in, err);
}

static int apply_tardiff(struct vn_rebuild *r, size_t layer, const struct vn_ocidelta_blob *blob, struct vn_err *err)
{
	VN_AUTO(vn_tmp) tar = VN_TMP, packed = VN_TMP;
	VN_AUTO_IN *list = NULL, *in = NULL;
	VN_AUTO_OUT *out = NULL;
	struct vn_tardiff_limits limits = { r->limits.memory, r->limits.new_size };
	uint64_t size = 0, most = VN_RATIO_FROM;
	/* as for a layer that is inflated */
	if ((uint64_t)r->image.layers[layer].desc.size > VN_RATIO_FROM / VN_MAX_RATIO)
		most = VN_MAX_RATIO * (uint64_t)r->image.layers[layer].desc.size;
	if (!limits.new_size || limits.new_size > most)
		limits.new_size = most;
	int rc = spool_blob(r, blob, &packed, &list, &in, err);
	if (rc == 0)
		rc = vn_tmp_anonymous(&tar, err);
	if (rc == 0)
		rc = vn_out_fd(tar.fd, "a temporary file", &out, err);
	if (rc == 0)
		rc = vn_out_digest(vn_steal(out), NULL, &size, &out, err);
	if (rc == 0)
		rc = vn_rebuild_tardiff(r->parts, list, in, &limits, out, err);
	if (rc == 0)
		rc = vn_out_finish(out, err);
	return rc < 0 ? rc : vn_rebuild_guess(r, layer, tar.fd, size, err);
}

/* A layer that is not in the delta: its blob is in the source, or one of the same tar. */
static int reuse(struct vn_rebuild *r, size_t layer, struct vn_err *err)
{
	const struct vn_image *source = r->parts->image;
	const struct vn_image_layer *want = &r->image.layers[layer];
	const struct vn_bundle_layer unknown = { .how = VN_BUNDLE_UNKNOWN };
	for (size_t i = 0; i < source->nlayers; i++)
		if (vn_digest_equal(&source->layers[i].desc.digest, &want->desc.digest))
			return 0;
	for (size_t i = 0; i < source->nlayers; i++)
		if (vn_digest_equal(&source->layers[i].diff_id, &want->diff_id))
			return vn_rebuild_from_source(r, layer, i, &unknown, err);
	return 0;
}

static int bring_along(struct vn_rebuild *r, size_t layer, const struct vn_ocidelta_blob *blob, struct vn_err *err)
{
	struct vn_rebuilt_layer *l = &r->layers[layer];
	const struct vn_bundle_layer unknown = { .how = VN_BUNDLE_UNKNOWN };
	VN_AUTO_IN *in = NULL;
	if (vn_digest_equal(&blob->desc.digest, &l->digest)) {
		l->original = blob;
		return 0;
	}
	/* packed by another hand than the target's: the tar is what counts */
	int rc = vn_rebuild_fetch(r, blob, &in, err);
	if (rc == 0)
		rc = vn_in_inflate(vn_steal(in), 0, "layer", &in, err);
	if (rc == 0)
		rc = vn_rebuild_begin(r, layer, &unknown, err);
	if (rc == 0)
		rc = vn_copy(in, r->out, NULL, err);
	return rc < 0 ? rc : vn_rebuild_end(r, &unknown, err);
}

static int one_layer(struct vn_rebuild *r, size_t layer, struct vn_err *err)
{
	const struct vn_ocidelta_blob *blob = vn_ocidelta_layer_for(r->delta, &r->image.layers[layer].desc.digest);
	for (size_t i = 0; i < layer; i++)
		if (vn_digest_equal(&r->image.layers[i].desc.digest, &r->image.layers[layer].desc.digest))
			return 0;
	if (!blob)
		return reuse(r, layer, err);
	bool tardiff = blob->desc.media_type && !strcmp(blob->desc.media_type, VN_OCIDELTA_TARDIFF);
	return tardiff ? apply_tardiff(r, layer, blob, err) : bring_along(r, layer, blob, err);
}

static int document(struct vn_rebuild *r, const char *content, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	const struct vn_ocidelta_blob *blob = vn_ocidelta_content(r->delta, content);
	if (!blob)
		return vn_fail(err, VN_EFORMAT, "the delta has neither a part of veneer's own nor one of the kind %s", content);
	int rc = vn_rebuild_fetch(r, blob, &in, err);
	return rc < 0 ? rc : vn_in_read_all(in, ret, err);
}

int vn_rebuild_foreign(struct vn_rebuild *r, struct vn_err *err)
{
	int rc = document(r, "image-manifest", &r->manifest_bytes, err);
	if (rc == 0)
		rc = document(r, "image-config", &r->config_bytes, err);
	if (rc == 0)
		rc = vn_rebuild_documents(r, err);
	for (size_t i = 0; rc == 0 && i < r->image.nlayers; i++)
		rc = one_layer(r, i, err);
	return rc;
}
