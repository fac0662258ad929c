#include "tardiff/format.h"
#include "tardiff/operations.h"
#include "tardiff/tardiff.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/path.h"
#include <string.h>
#include <zstd_errors.h>

#define WORK_SIZE (64u << 10)
#define RECORD 512                    /* bytes of the smallest tar entry */

struct reader {
	struct vn_tardiff_operations ops;
	struct vn_tardiff_files *files;
	struct vn_out *out;
	uint64_t memory, new_size;
	int version;
	uint64_t written, opens, dicts;       /* bytes of tar, files, bytes of dictionaries */
	struct vn_buf path;
	struct vn_delta_old *file;            /* NULL before the first OPEN */
	uint64_t at;
	uint8_t *work;
	uint8_t *dict;                        /* all of `file`, once it was needed */
	ZSTD_DCtx *zstd;
};

static void close_file(struct reader *r)
{
	if (r->file)
		r->files->close(r->files, r->file);
	r->file = NULL;
	free(vn_steal(r->dict));
}

static void reader_release(struct reader *r)
{
	close_file(r);
	free(r->work);
	ZSTD_freeDCtx(r->zstd);
	vn_buf_release(&r->path);
	vn_tardiff_operations_release(&r->ops);
}

static int write_tar(struct reader *r, const void *data, size_t len, struct vn_err *err)
{
	if (len > r->new_size - r->written)
		return vn_fail(err, VN_ELIMIT, "the tar-diff makes a tar of more than the allowed %llu bytes",
			       (unsigned long long)r->new_size);
	r->written += len;
	return vn_out_write(r->out, data, len, err);
}

static const char *path_of(const struct reader *r)
{
	return vn_buf_text(&r->path);
}

/* ---- the source */
/* The path as it was written: relative, without NUL and "..". */
static int clean_path(struct reader *r, const char *raw, size_t len, struct vn_err *err)
{
	if (memchr(raw, 0, len))
		return vn_fail(err, VN_EUNSAFE, "the tar-diff opens a path with a NUL in it: \"%.200s\"", raw);
	if (raw[0] == '/')
		return vn_fail(err, VN_EUNSAFE, "the tar-diff opens an absolute path: \"%.200s\"", raw);
	int rc = vn_path_clean(raw, &r->path, err);
	if (rc < 0)
		return vn_wrap(err, "the tar-diff opens a file");
	return r->path.len ? 0 : vn_tardiff_damaged(&r->ops, err, "it opens the path \"%.200s\", which is no file", raw);
}

static int open_file(struct reader *r, uint64_t size, struct vn_err *err)
{
	char raw[VN_TARDIFF_PATH_MAX + 1];
	if (size > VN_TARDIFF_PATH_MAX)
		return vn_fail(err, VN_ELIMIT, "the tar-diff opens a path of %llu bytes; at most %d are allowed",
			       (unsigned long long)size, VN_TARDIFF_PATH_MAX);
	if (++r->opens > VN_MAX_TARDIFF_OPENS + r->written / RECORD)
		return vn_fail(err, VN_ELIMIT, "the tar-diff opens %llu files for %llu bytes of tar",
			       (unsigned long long)r->opens, (unsigned long long)r->written);
	int rc = vn_tardiff_take_full(&r->ops, raw, (size_t)size, err);
	if (rc < 0)
		return rc;
	raw[size] = 0;
	close_file(r);
	r->at = 0;
	if ((rc = clean_path(r, raw, (size_t)size, err)) < 0)
		return rc;
	rc = r->files->open(r->files, path_of(r), &r->file, err);
	if (rc < 0 && err->code == VN_ENOTFOUND) {
		vn_fail(err, VN_EDIGEST,
			"the tar-diff takes bytes from \"%.400s\", which the old image does not have as a file", path_of(r));
		return vn_hint(err, "it was made for another old image");
	}
	return rc < 0 ? vn_wrap(err, "opening \"%.200s\" of the old image", path_of(r)) : 0;
}

static int need_file(struct reader *r, struct vn_err *err)
{
	return r->file ? 0 : vn_tardiff_damaged(&r->ops, err, "it takes bytes from a file before it opens one");
}

/* Are there `size` bytes of the source from its position on? */
static int need_bytes(struct reader *r, uint64_t size, struct vn_err *err)
{
	int rc = need_file(r, err);
	if (rc < 0 || size == 0 || (r->at <= r->file->size && size <= r->file->size - r->at))
		return rc;
	vn_tardiff_damaged(&r->ops, err, "it takes %llu bytes at %llu from \"%.200s\", which has %llu",
			   (unsigned long long)size, (unsigned long long)r->at, path_of(r), (unsigned long long)r->file->size);
	return vn_hint(err, "it was perhaps made for another old image");
}

static int read_source(struct reader *r, uint64_t at, void *out, size_t len, struct vn_err *err)
{
	int rc = len ? r->file->read(r->file, at, out, len, err) : 0;
	return rc < 0 ? vn_wrap(err, "reading \"%.200s\" of the old image", path_of(r)) : 0;
}

/* ---- operations */
static int copy_data(struct reader *r, uint64_t size, struct vn_err *err)
{
	while (size > 0) {
		const uint8_t *p;
		ssize_t n = vn_tardiff_take(&r->ops, size, &p, err);
		if (n <= 0)
			return n < 0 ? (int)n : vn_tardiff_damaged(&r->ops, err, "it ends within new bytes");
		int rc = write_tar(r, p, (size_t)n, err);
		if (rc < 0)
			return rc;
		size -= (uint64_t)n;
	}
	return 0;
}

static int copy_source(struct reader *r, uint64_t size, struct vn_err *err)
{
	int rc = need_bytes(r, size, err);
	while (rc == 0 && size > 0) {
		size_t n = size < WORK_SIZE ? (size_t)size : WORK_SIZE;
		if ((rc = read_source(r, r->at, r->work, n, err)) == 0)
			rc = write_tar(r, r->work, n, err);
		r->at += n;
		size -= n;
	}
	return rc;
}

static int add_data(struct reader *r, uint64_t size, struct vn_err *err)
{
	int rc = need_bytes(r, size, err);
	while (rc == 0 && size > 0) {
		const uint8_t *p;
		ssize_t n = vn_tardiff_take(&r->ops, size < WORK_SIZE ? size : WORK_SIZE, &p, err);
		if (n <= 0)
			return n < 0 ? (int)n : vn_tardiff_damaged(&r->ops, err, "it ends within added bytes");
		if ((rc = read_source(r, r->at, r->work, (size_t)n, err)) < 0)
			return rc;
		for (ssize_t i = 0; i < n; i++)
			r->work[i] = (uint8_t)(r->work[i] + p[i]);
		rc = write_tar(r, r->work, (size_t)n, err);
		r->at += (uint64_t)n;
		size -= (uint64_t)n;
	}
	return rc;
}

static int too_much_memory(const struct reader *r, struct vn_err *err)
{
	vn_fail(err, VN_ELIMIT,
		"the tar-diff takes all of \"%.200s\", %llu bytes, as a dictionary; that and its window need more than the "
		"allowed %llu bytes of memory", path_of(r), (unsigned long long)r->file->size, (unsigned long long)r->memory);
	return vn_hint(err, "a tar-diff of version 1 needs no dictionaries");
}

static int load_dict(struct reader *r, struct vn_err *err)
{
	if (r->dict)
		return 0;
	if (r->file->size > 1u << VN_TARDIFF_DICT_LOG || r->file->size > r->memory)
		return too_much_memory(r, err);
	if (r->file->size > VN_MAX_TARDIFF_DICTS + 16 * r->written - r->dicts)
		return vn_fail(err, VN_ELIMIT, "the tar-diff takes more than %llu bytes of dictionaries for %llu bytes of tar",
			       (unsigned long long)r->dicts, (unsigned long long)r->written);
	r->dicts += r->file->size;
	r->dict = malloc((size_t)r->file->size + 1);
	return r->dict ? read_source(r, 0, r->dict, (size_t)r->file->size, err) : vn_nomem(err);
}

/* A new frame with the source as its dictionary; the window gets what the limit leaves. */
static int begin_frame(struct reader *r, struct vn_err *err)
{
	uint64_t used = ZSTD_sizeof_DStream(r->ops.zstd) + r->file->size;
	int log = VN_TARDIFF_DICT_LOG;
	if (!r->zstd && !(r->zstd = ZSTD_createDCtx()))
		return vn_nomem(err);
	while (log >= 10 && used + ((uint64_t)1 << log) > r->memory)
		log--;
	if (log < 10)
		return too_much_memory(r, err);
	ZSTD_DCtx_reset(r->zstd, ZSTD_reset_session_and_parameters);
	if (ZSTD_isError(ZSTD_DCtx_setParameter(r->zstd, ZSTD_d_windowLogMax, log)) ||
	    ZSTD_isError(ZSTD_DCtx_refPrefix(r->zstd, r->dict, (size_t)r->file->size)))
		return vn_nomem(err);
	return 0;
}

static int frame_failed(struct reader *r, size_t result, struct vn_err *err)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return vn_nomem(err);
	case ZSTD_error_frameParameter_windowTooLarge:
		return too_much_memory(r, err);
	default:
		return vn_tardiff_damaged(&r->ops, err, "zstd with \"%.200s\" as dictionary: %s", path_of(r),
					  ZSTD_getErrorName(result));
	}
}

/* Inflates the `len` bytes of the frame that are there; *ret_more as ZSTD_decompressStream answers. */
static int inflate(struct reader *r, const uint8_t *p, size_t len, size_t *ret_more, struct vn_err *err)
{
	ZSTD_inBuffer in = { p, len, 0 };
	for (;;) {
		ZSTD_outBuffer out = { r->work, WORK_SIZE, 0 };
		size_t result = ZSTD_decompressStream(r->zstd, &out, &in);
		if (ZSTD_isError(result))
			return frame_failed(r, result, err);
		int rc = write_tar(r, r->work, out.pos, err);
		if (rc < 0)
			return rc;
		*ret_more = result;
		if (result == 0 && in.pos < in.size)
			return vn_tardiff_damaged(&r->ops, err, "something follows a zstd frame within its operation");
		if (in.pos == in.size && (result == 0 || out.pos < out.size))
			return 0;
	}
}

static int inflate_with_source(struct reader *r, uint64_t size, struct vn_err *err)
{
	size_t more = 1;
	if (r->version < 2)
		return vn_tardiff_damaged(&r->ops, err, "operation %d, which belongs to version 2, in version 1",
					  VN_TARDIFF_OP_ZSTD_DICT);
	int rc = need_file(r, err);
	if (rc < 0 || (rc = load_dict(r, err)) < 0 || (rc = begin_frame(r, err)) < 0)
		return rc;
	while (size > 0) {
		const uint8_t *p;
		ssize_t n = vn_tardiff_take(&r->ops, size, &p, err);
		if (n <= 0)
			return n < 0 ? (int)n : vn_tardiff_damaged(&r->ops, err, "it ends within a zstd frame");
		size -= (uint64_t)n;
		if (more == 0)
			return vn_tardiff_damaged(&r->ops, err, "something follows a zstd frame within its operation");
		if ((rc = inflate(r, p, (size_t)n, &more, err)) < 0)
			return rc;
	}
	r->at = r->file->size;
	return more == 0 ? 0 : vn_tardiff_damaged(&r->ops, err, "a zstd frame ends early");
}

static int seek(struct reader *r, uint64_t to, struct vn_err *err)
{
	r->at = to;
	return need_file(r, err);
}

static int one_operation(struct reader *r, uint8_t op, uint64_t size, struct vn_err *err)
{
	switch (op) {
	case VN_TARDIFF_OP_DATA:
		return copy_data(r, size, err);
	case VN_TARDIFF_OP_OPEN:
		return open_file(r, size, err);
	case VN_TARDIFF_OP_COPY:
		return copy_source(r, size, err);
	case VN_TARDIFF_OP_ADD_DATA:
		return add_data(r, size, err);
	case VN_TARDIFF_OP_SEEK:
		return seek(r, size, err);
	case VN_TARDIFF_OP_ZSTD_DICT:
		return inflate_with_source(r, size, err);
	default:
		return vn_tardiff_damaged(&r->ops, err, "operation %u is not known", op);
	}
}

/* 1 with the next operation and its size, 0 at the end. */
static int next_operation(struct reader *r, uint8_t *ret_op, uint64_t *ret_size, struct vn_err *err)
{
	uint8_t raw[10];
	const uint8_t *p;
	size_t n = 0;
	ssize_t got = vn_tardiff_take(&r->ops, 1, &p, err);
	if (got <= 0)
		return (int)got;
	*ret_op = *p;
	do {
		int rc = vn_tardiff_take_full(&r->ops, raw + n, 1, err);
		if (rc < 0)
			return rc;
	} while (raw[n++] & 0x80 && n < sizeof(raw));
	if (vn_get_varint(raw, n, ret_size) != n)
		return vn_tardiff_damaged(&r->ops, err, "the size of an operation is not valid");
	if (r->ops.at > VN_MAX_TARDIFF_IDLE + 16 * r->written)
		return vn_fail(err, VN_ELIMIT, "the tar-diff spends %llu bytes of operations on %llu bytes of tar",
			       (unsigned long long)r->ops.at, (unsigned long long)r->written);
	return 1;
}

int vn_tardiff_apply(struct vn_tardiff_files *files, struct vn_in *delta, struct vn_out *out,
		     const struct vn_tardiff_limits *limits, struct vn_err *err)
{
	VN_CLEANUP(reader_release) struct reader r = { .files = files, .out = out, .path = VN_BUF(VN_MAX_PATH + 1) };
	uint64_t size = 0;
	uint8_t op = 0;
	r.memory = limits && limits->memory ? limits->memory : VN_MAX_TARDIFF_MEMORY;
	r.new_size = limits && limits->new_size ? limits->new_size : VN_MAX_BLOB;
	int rc = vn_tardiff_operations_open(&r.ops, delta, r.memory, &r.version, err);
	if (rc < 0)
		return rc;
	if (!(r.work = malloc(WORK_SIZE)))
		return vn_nomem(err);
	while ((rc = next_operation(&r, &op, &size, err)) > 0 && (rc = one_operation(&r, op, size, err)) == 0)
		;
	/* the reason may be a delta that is not what its digest promised */
	return rc < 0 && (err->code == VN_EDIGEST || err->code == VN_EUNSAFE) ? vn_in_settle(delta, err) : rc;
}
