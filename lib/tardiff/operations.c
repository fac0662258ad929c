#include "tardiff/operations.h"
#include "tardiff/format.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zstd_errors.h>

#define PLAIN_SIZE (64u << 10)

void vn_tardiff_operations_release(struct vn_tardiff_operations *o)
{
	free(o->plain);
	ZSTD_freeDStream(o->zstd);
}

int vn_tardiff_damaged(const struct vn_tardiff_operations *o, struct vn_err *err, const char *fmt, ...)
{
	char what[384];
	va_list args;
	va_start(args, fmt);
	if (vsnprintf(what, sizeof(what), fmt, args) < 0)
		what[0] = 0;
	va_end(args);
	return vn_fail(err, VN_EDIGEST, "the tar-diff is damaged before byte %llu of its operations: %s",
		       (unsigned long long)o->at, what);
}

static int read_magic(struct vn_in *in, int *ret_version, struct vn_err *err)
{
	char raw[VN_TARDIFF_MAGIC_LEN];
	ssize_t n = vn_in_read(in, raw, sizeof(raw), err);
	if (n < 0)
		return (int)n;
	bool whole = n == VN_TARDIFF_MAGIC_LEN;
	if (whole && memcmp(raw, VN_TARDIFF_MAGIC_1, VN_TARDIFF_MAGIC_LEN) == 0)
		*ret_version = 1;
	else if (whole && memcmp(raw, VN_TARDIFF_MAGIC_2, VN_TARDIFF_MAGIC_LEN) == 0)
		*ret_version = 2;
	else
		return vn_fail(err, VN_EFORMAT,
			       "this is no tar-diff of version 1 or 2: it does not begin with \"tardf1\" or \"tardf2\"");
	return 0;
}

int vn_tardiff_operations_open(struct vn_tardiff_operations *o, struct vn_in *in, uint64_t memory, int *ret_version,
			       struct vn_err *err)
{
	int log = VN_MAX_ZSTD_WINDOW_LOG, rc = read_magic(in, ret_version, err);
	if (rc < 0)
		return rc;
	while (log > 10 && (uint64_t)1 << log > memory)
		log--;
	o->in = in;
	o->plain = malloc(PLAIN_SIZE);
	o->zstd = ZSTD_createDStream();
	if (!o->plain || !o->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(o->zstd, ZSTD_d_windowLogMax, log)))
		return vn_nomem(err);
	return 0;
}

static int zstd_failed(struct vn_tardiff_operations *o, size_t result, struct vn_err *err)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return vn_nomem(err);
	case ZSTD_error_frameParameter_windowTooLarge:
		return vn_fail(err, VN_ELIMIT, "the tar-diff wants a larger zstd window than is allowed");
	default:
		return vn_tardiff_damaged(o, err, "zstd: %s", ZSTD_getErrorName(result));
	}
}

/* More operations into `plain`, which is empty: 1, 0 at the end, -code. */
static ssize_t fill(struct vn_tardiff_operations *o, struct vn_err *err)
{
	ZSTD_outBuffer out = { o->plain, PLAIN_SIZE, 0 };
	while (out.pos == 0) {
		if (!o->packed_len && !o->ended) {
			const void *block = NULL;
			ssize_t n = vn_in_next(o->in, &block, err);
			if (n < 0)
				return n;
			o->packed = block;
			o->packed_len = (size_t)n;
			o->ended = n == 0;
		}
		if (o->ended && !o->mid)
			return 0;
		ZSTD_inBuffer in = { o->packed, o->packed_len, 0 };
		size_t result = ZSTD_decompressStream(o->zstd, &out, &in);
		if (ZSTD_isError(result))
			return zstd_failed(o, result, err);
		if (o->ended && out.pos == 0 && result != 0)
			return vn_tardiff_damaged(o, err, "its zstd stream ends early");
		o->packed += in.pos;
		o->packed_len -= in.pos;
		o->mid = result != 0;
	}
	o->plain_at = 0;
	o->plain_len = out.pos;
	return 1;
}

ssize_t vn_tardiff_take(struct vn_tardiff_operations *o, uint64_t most, const uint8_t **ret, struct vn_err *err)
{
	if (o->plain_at == o->plain_len) {
		ssize_t more = fill(o, err);
		if (more <= 0)
			return more;
	}
	size_t n = o->plain_len - o->plain_at;
	if (n > most)
		n = (size_t)most;
	*ret = o->plain + o->plain_at;
	o->plain_at += n;
	o->at += n;
	return (ssize_t)n;
}

int vn_tardiff_take_full(struct vn_tardiff_operations *o, void *out, size_t len, struct vn_err *err)
{
	for (size_t at = 0; at < len;) {
		const uint8_t *p = NULL;
		ssize_t n = vn_tardiff_take(o, len - at, &p, err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return vn_tardiff_damaged(o, err, "it ends within an operation");
		memcpy((uint8_t *)out + at, p, (size_t)n);
		at += (size_t)n;
	}
	return 0;
}
