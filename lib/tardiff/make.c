#include "tardiff/format.h"
#include "tardiff/recipe.h"
#include "util/cleanup.h"
#include "util/path.h"
#include <stdbool.h>
#include <string.h>

#define LEVEL 19
#define LEVEL_TRIAL 3
#define WINDOW_LOG 23                 /* of the stream: what level 19 uses, and 8 MiB for whoever applies it */
#define OUT_SIZE (128u << 10)
#define SMALL 4096                    /* identical files below may cost less than the path of their source */
#define ALIGN_MAX (4ull << 30)        /* larger files are copied or written, never compared in detail */
#define RECIPE_SLACK (64u << 10)

struct writer {
	struct vn_tardiff_files *files;
	const uint8_t *tar;
	int version, level;
	struct vn_out *out;
	uint8_t *packed;
	ZSTD_CCtx *stream, *trial;
	size_t new_from, new_to;      /* of tar: new bytes that are not written yet */
	const char *path;             /* the source that a reader has open */
	uint64_t at;
	struct vn_tardiff_stats stats;
};
struct old_file {
	struct vn_tardiff_files *files;
	struct vn_delta_old *file;
	uint8_t *data;
};

static void writer_release(struct writer *w)
{
	free(w->packed);
	ZSTD_freeCCtx(w->stream);
	ZSTD_freeCCtx(w->trial);
}

static void old_release(struct old_file *o)
{
	if (o->file)
		o->files->close(o->files, o->file);
	free(o->data);
}

static void recipe_release(struct vn_tardiff_recipe *r)
{
	vn_buf_release(&r->ops);
}

/* ---- the stream */
static int write_out(struct writer *w, const void *data, size_t len, struct vn_err *err)
{
	w->stats.size += len;
	return len ? vn_out_write(w->out, data, len, err) : 0;
}

static int compress(struct writer *w, const void *data, size_t len, ZSTD_EndDirective end, struct vn_err *err)
{
	ZSTD_inBuffer in = { data, len, 0 };
	size_t more;
	do {
		ZSTD_outBuffer out = { w->packed, OUT_SIZE, 0 };
		more = ZSTD_compressStream2(w->stream, &out, &in, end);
		if (ZSTD_isError(more))
			return vn_fail(err, VN_ENOMEM, "zstd: %s", ZSTD_getErrorName(more));
		int rc = write_out(w, w->packed, out.pos, err);
		if (rc < 0)
			return rc;
	} while (end == ZSTD_e_end ? more != 0 : in.pos < in.size);
	return 0;
}

static int flush_new(struct writer *w, struct vn_err *err)
{
	VN_AUTO(vn_buf) op = VN_BUF(16);
	size_t from = w->new_from, n = w->new_to - from;
	w->new_from = w->new_to;
	if (n == 0)
		return 0;
	int rc = vn_tardiff_put_op(&op, VN_TARDIFF_OP_DATA, n, err);
	if (rc < 0 || (rc = compress(w, op.data, op.len, ZSTD_e_continue, err)) < 0)
		return rc;
	return compress(w, w->tar + from, n, ZSTD_e_continue, err);
}

/* tar[from, to) is made by a recipe; what lies before it is new. */
static int write_recipe(struct writer *w, const struct vn_tardiff_recipe *r, uint64_t from, uint64_t to, struct vn_err *err)
{
	w->new_to = (size_t)from;
	int rc = flush_new(w, err);
	if (rc < 0 || (rc = compress(w, r->ops.data, r->ops.len, ZSTD_e_continue, err)) < 0)
		return rc;
	w->new_from = w->new_to = (size_t)to;
	w->path = r->path;
	w->at = r->at;
	return 0;
}

/* ---- one file */
static bool is_utf8(const char *text)
{
	for (const uint8_t *p = (const uint8_t *)text; *p;) {
		unsigned n = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;       /* bytes that follow */
		if ((n && *p < 0xc2) || *p > 0xf4 || (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
		    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
			return false;
		for (p++; n > 0; n--, p++)
			if ((*p & 0xc0) != 0x80)
				return false;
	}
	return true;
}

/* May every reader open it? */
static int usable(const char *path, bool *ret, struct vn_err *err)
{
	struct vn_err unclean = { 0 };
	VN_AUTO(vn_buf) clean = VN_BUF(VN_TARDIFF_PATH_MAX + 1);
	*ret = false;
	if (!path || strlen(path) > VN_TARDIFF_PATH_MAX || !is_utf8(path))
		return 0;
	int rc = vn_path_clean(path, &clean, &unclean);
	if (rc < 0 && unclean.code == VN_ENOMEM)
		return vn_nomem(err);
	*ret = rc == 0 && clean.len > 0 && strcmp(vn_buf_text(&clean), path) == 0;
	return 0;
}

/* Is the old file the same? */
static int same(struct vn_delta_old *old, const uint8_t *data, uint64_t len, uint8_t *work, bool *ret, struct vn_err *err)
{
	*ret = false;
	if (old->size != len)
		return 0;
	for (uint64_t at = 0; at < len;) {
		size_t n = len - at < OUT_SIZE ? (size_t)(len - at) : OUT_SIZE;
		int rc = old->read(old, at, work, n, err);
		if (rc < 0)
			return rc;
		if (memcmp(work, data + at, n) != 0)
			return 0;
		at += n;
	}
	*ret = true;
	return 0;
}

static int load(struct old_file *o, struct vn_err *err)
{
	size_t size = (size_t)o->file->size;
	o->data = malloc(size + 1);
	if (!o->data)
		return vn_nomem(err);
	return size ? o->file->read(o->file, 0, o->data, size, err) : 0;
}

static struct vn_tardiff_recipe recipe(const struct writer *w, const struct vn_tardiff_entry *e)
{
	size_t max = (size_t)e->len + (size_t)e->len / 2 + RECIPE_SLACK;
	return (struct vn_tardiff_recipe){ .ops = VN_BUF(max), .path = w->path, .at = w->at };
}

/* Writes the smallest of: new bytes, ranges of the old file, in version 2 a frame with it as dictionary. */
static int write_changed(struct writer *w, const struct vn_tardiff_entry *e, struct old_file *o, enum vn_tardiff_method *ret,
			 struct vn_err *err)
{
	VN_CLEANUP(recipe_release) struct vn_tardiff_recipe ranges = recipe(w, e), frame = recipe(w, e);
	const uint8_t *data = w->tar + e->offset;
	size_t len = (size_t)e->len, old_len = (size_t)o->file->size;
	uint64_t plain = 0, added = 0;
	int rc = load(o, err);
	if (rc < 0 || (rc = vn_tardiff_put_open(&ranges, e->old_path, err)) < 0 ||
	    (rc = vn_tardiff_put_ranges(&ranges, o->data, old_len, data, len, w->trial, err)) < 0 ||
	    (rc = vn_tardiff_measure(w->trial, data, len, LEVEL_TRIAL, &plain, err)) < 0 ||
	    (rc = vn_tardiff_measure(w->trial, ranges.ops.data, ranges.ops.len, LEVEL_TRIAL, &added, err)) < 0)
		return rc;
	*ret = added < plain ? VN_TARDIFF_ADD : VN_TARDIFF_DATA;
	if (w->version == 2 && old_len <= 1u << VN_TARDIFF_DICT_LOG && len <= 1u << VN_TARDIFF_DICT_LOG) {
		const struct vn_buf *ops = &ranges.ops;
		uint64_t best = 0;
		rc = added < plain ? vn_tardiff_measure(w->trial, ops->data, ops->len, w->level, &best, err) :
				     vn_tardiff_measure(w->trial, data, len, w->level, &best, err);
		if (rc < 0 || (rc = vn_tardiff_put_open(&frame, e->old_path, err)) < 0 ||
		    (rc = vn_tardiff_put_frame(&frame, o->data, old_len, data, len, w->level, w->trial, err)) < 0)
			return rc;
		if (frame.ops.len < best)
			*ret = VN_TARDIFF_DICT;
	}
	if (*ret == VN_TARDIFF_DATA)
		return 0;
	return write_recipe(w, *ret == VN_TARDIFF_DICT ? &frame : &ranges, e->offset, e->offset + e->len, err);
}

static int write_same(struct writer *w, const struct vn_tardiff_entry *e, enum vn_tardiff_method *ret, struct vn_err *err)
{
	VN_CLEANUP(recipe_release) struct vn_tardiff_recipe copy = recipe(w, e);
	uint64_t plain = UINT64_MAX, copied = 0;
	int rc = vn_tardiff_put_open(&copy, e->old_path, err);
	if (rc < 0 || (rc = vn_tardiff_put_seek(&copy, 0, err)) < 0 || (rc = vn_tardiff_put_copy(&copy, e->len, err)) < 0)
		return rc;
	if (e->len < SMALL) {
		const uint8_t *data = w->tar + e->offset;
		if ((rc = vn_tardiff_measure(w->trial, data, (size_t)e->len, LEVEL_TRIAL, &plain, err)) < 0 ||
		    (rc = vn_tardiff_measure(w->trial, copy.ops.data, copy.ops.len, LEVEL_TRIAL, &copied, err)) < 0)
			return rc;
	}
	if (copied >= plain)
		return 0;
	*ret = VN_TARDIFF_COPY;
	return write_recipe(w, &copy, e->offset, e->offset + e->len, err);
}

static int write_entry(struct writer *w, const struct vn_tardiff_entry *e, enum vn_tardiff_method *ret, struct vn_err *err)
{
	VN_CLEANUP(old_release) struct old_file old = { .files = w->files };
	bool good = false;
	*ret = VN_TARDIFF_DATA;
	int rc = e->len ? usable(e->old_path, &good, err) : 0;
	if (rc < 0 || !good)
		return rc;
	if ((rc = w->files->open(w->files, e->old_path, &old.file, err)) < 0 ||
	    (rc = same(old.file, w->tar + e->offset, e->len, w->packed, &good, err)) < 0)
		return vn_wrap(err, "\"%.200s\" of the old image", e->old_path);
	if (good)
		return write_same(w, e, ret, err);
	if (old.file->size == 0 || old.file->size > ALIGN_MAX || e->len > ALIGN_MAX || old.file->size > SIZE_MAX / 4)
		return 0;
	return write_changed(w, e, &old, ret, err);
}

/* ---- all of it */
static int check_entries(const struct vn_tardiff_entry *entries, size_t count, size_t tar_len, struct vn_err *err)
{
	uint64_t end = 0;
	for (size_t i = 0; i < count; i++) {
		if (entries[i].offset < end || entries[i].offset > tar_len || entries[i].len > tar_len - entries[i].offset)
			return vn_fail(err, VN_EUSAGE,
				       "file %zu of the tar, %llu bytes at %llu, overlaps another or lies outside", i,
				       (unsigned long long)entries[i].len, (unsigned long long)entries[i].offset);
		end = entries[i].offset + entries[i].len;
	}
	return 0;
}

static int open_writer(struct writer *w, size_t tar_len, struct vn_err *err)
{
	int log = 10;
	while (log < WINDOW_LOG && (size_t)1 << log < tar_len)
		log++;
	w->packed = malloc(OUT_SIZE);
	w->stream = ZSTD_createCCtx();
	w->trial = ZSTD_createCCtx();
	if (!w->packed || !w->stream || !w->trial)
		return vn_nomem(err);
	bool bad = ZSTD_isError(ZSTD_CCtx_setParameter(w->stream, ZSTD_c_compressionLevel, w->level));
	bad |= ZSTD_isError(ZSTD_CCtx_setParameter(w->stream, ZSTD_c_windowLog, log));
	bad |= ZSTD_isError(ZSTD_CCtx_setParameter(w->stream, ZSTD_c_checksumFlag, 1));
	return bad ? vn_nomem(err) : 0;
}

int vn_tardiff_make(struct vn_tardiff_files *files, const void *tar, size_t tar_len, const struct vn_tardiff_entry *entries,
		    size_t count, const struct vn_tardiff_options *options, struct vn_out *out, struct vn_tardiff_stats *stats,
		    struct vn_err *err)
{
	VN_CLEANUP(writer_release) struct writer w = { .files = files, .tar = tar, .out = out };
	w.version = options && options->version ? options->version : 1;
	w.level = options && options->level ? options->level : LEVEL;
	if (w.version < 1 || w.version > 2 || w.level < 1 || w.level > LEVEL)
		return vn_fail(err, VN_EUSAGE,
			       "tar-diff version %d with level %d: versions 1 and 2 and levels 1 to %d are known", w.version,
			       w.level, LEVEL);
	int rc = check_entries(entries, count, tar_len, err);
	if (rc < 0 || (rc = open_writer(&w, tar_len, err)) < 0 ||
	    (rc = write_out(&w, w.version == 1 ? VN_TARDIFF_MAGIC_1 : VN_TARDIFF_MAGIC_2, VN_TARDIFF_MAGIC_LEN, err)) < 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		enum vn_tardiff_method method;
		if ((rc = write_entry(&w, &entries[i], &method, err)) < 0)
			return rc;
		w.stats.method[method].files++;
		w.stats.method[method].bytes += entries[i].len;
	}
	w.new_to = tar_len;
	if ((rc = flush_new(&w, err)) < 0 || (rc = compress(&w, NULL, 0, ZSTD_e_end, err)) < 0)
		return rc;
	if (stats)
		*stats = w.stats;
	return 0;
}
