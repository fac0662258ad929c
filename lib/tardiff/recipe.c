#include "tardiff/recipe.h"
#include "delta/map.h"
#include "tardiff/format.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdbool.h>
#include <string.h>

#define PIECE ((size_t)1 << VN_DELTA_PIECE_LOG)
#define RUN 128                       /* equal bytes that are copied instead of added as zeros */
#define SEGMENT 24                    /* shorter ones cost more operations than they save */
#define TRIAL 64                      /* bytes of a range for which both ways are tried */
#define TRIAL_LEVEL 3
#define OUT_SIZE (64u << 10)
#define LONG_LOG 23                   /* of source and data: from here on zstd looks for long matches by itself */

int vn_tardiff_put_op(struct vn_buf *ops, int op, uint64_t size, struct vn_err *err)
{
	uint8_t raw[11] = { (uint8_t)op };
	return vn_buf_add(ops, raw, 1 + vn_put_varint(raw + 1, size), err);
}

int vn_tardiff_put_open(struct vn_tardiff_recipe *r, const char *path, struct vn_err *err)
{
	if (r->path && strcmp(r->path, path) == 0)
		return 0;
	r->path = path;
	r->at = 0;
	int rc = vn_tardiff_put_op(&r->ops, VN_TARDIFF_OP_OPEN, strlen(path), err);
	return rc < 0 ? rc : vn_buf_add(&r->ops, path, strlen(path), err);
}

int vn_tardiff_put_seek(struct vn_tardiff_recipe *r, uint64_t at, struct vn_err *err)
{
	if (r->at == at)
		return 0;
	r->at = at;
	return vn_tardiff_put_op(&r->ops, VN_TARDIFF_OP_SEEK, at, err);
}

int vn_tardiff_put_copy(struct vn_tardiff_recipe *r, uint64_t len, struct vn_err *err)
{
	r->at += len;
	return vn_tardiff_put_op(&r->ops, VN_TARDIFF_OP_COPY, len, err);
}

/* ---- ranges */
struct ranges {
	struct vn_tardiff_recipe *r;
	const uint8_t *old, *data;
	size_t old_len;
	size_t new_from, new_to;      /* of data: new bytes that are not written yet */
	uint8_t *residual;            /* PIECE bytes */
	ZSTD_CCtx *zstd;
};

static int flush(struct ranges *x, struct vn_err *err)
{
	size_t from = x->new_from, n = x->new_to - from;
	x->new_from = x->new_to;
	if (n == 0)
		return 0;
	int rc = vn_tardiff_put_op(&x->r->ops, VN_TARDIFF_OP_DATA, n, err);
	return rc < 0 ? rc : vn_buf_add(&x->r->ops, x->data + from, n, err);
}

static int add_new(struct ranges *x, size_t from, size_t len, struct vn_err *err)
{
	int rc = 0;
	if (x->new_to != from) {
		rc = flush(x, err);
		x->new_from = from;
	}
	x->new_to = from + len;
	return rc;
}

static int add_sum(struct ranges *x, size_t from, size_t len, const uint8_t *old, struct vn_err *err)
{
	while (len > 0) {
		size_t n = len < VN_TARDIFF_ADD_MAX ? len : VN_TARDIFF_ADD_MAX;
		int rc = vn_tardiff_put_op(&x->r->ops, VN_TARDIFF_OP_ADD_DATA, n, err);
		if (rc < 0 || (rc = vn_buf_reserve(&x->r->ops, n, err)) < 0)
			return rc;
		uint8_t *to = (uint8_t *)x->r->ops.data + x->r->ops.len;
		for (size_t i = 0; i < n; i++)
			to[i] = (uint8_t)(x->data[from + i] - old[i]);
		to[n] = 0;
		x->r->ops.len += n;
		x->r->at += n;
		from += n, old += n, len -= n;
	}
	return 0;
}

static size_t run_of(const uint8_t *a, const uint8_t *b, size_t most)
{
	size_t n = 0;
	while (n < most && a[n] == b[n])
		n++;
	return n;
}

/* data[from, from + len) from the source at from + shift: long equal runs are copied, the rest is added. */
static int add_mapped(struct ranges *x, size_t from, size_t len, int64_t shift, struct vn_err *err)
{
	const uint8_t *old = x->old + ((int64_t)from + shift), *data = x->data + from;
	size_t begin = 0, at = 0;
	int rc = flush(x, err);
	if (rc < 0 || (rc = vn_tardiff_put_seek(x->r, (uint64_t)((int64_t)from + shift), err)) < 0)
		return rc;
	while (at < len) {
		size_t run = run_of(old + at, data + at, len - at);
		if (run < RUN) {
			at += run + (at + run < len);
			continue;
		}
		if ((rc = add_sum(x, from + begin, at - begin, old + begin, err)) < 0 ||
		    (rc = vn_tardiff_put_copy(x->r, run, err)) < 0)
			return rc;
		begin = at += run;
	}
	return add_sum(x, from + begin, len - begin, old + begin, err);
}

static bool inside(const struct ranges *x, size_t from, size_t len, int64_t shift)
{
	int64_t at = (int64_t)from + shift;
	return at >= 0 && (uint64_t)at <= x->old_len && len <= x->old_len - (size_t)at;
}

/* A part of a piece that no segment covers: added to what the coarse map points at when that is smaller. */
static int add_unmapped(struct ranges *x, size_t from, size_t len, int64_t shift, struct vn_err *err)
{
	uint64_t plain = 0, added = 0;
	if (len < TRIAL || !inside(x, from, len, shift))
		return add_new(x, from, len, err);
	for (size_t i = 0; i < len; i++)
		x->residual[i] = (uint8_t)(x->data[from + i] - x->old[(int64_t)(from + i) + shift]);
	int rc = vn_tardiff_measure(x->zstd, x->data + from, len, TRIAL_LEVEL, &plain, err);
	if (rc < 0 || (rc = vn_tardiff_measure(x->zstd, x->residual, len, TRIAL_LEVEL, &added, err)) < 0)
		return rc;
	return added < plain ? add_mapped(x, from, len, shift, err) : add_new(x, from, len, err);
}

static int add_gap(struct ranges *x, const struct vn_delta_map *map, size_t from, size_t to, struct vn_err *err)
{
	int rc = 0;
	while (rc == 0 && from < to) {
		size_t piece = from >> VN_DELTA_PIECE_LOG, end = (piece + 1) * PIECE;
		end = end < to ? end : to;
		rc = add_unmapped(x, from, end - from, map->shifts[piece], err);
		from = end;
	}
	return rc;
}

int vn_tardiff_put_ranges(struct vn_tardiff_recipe *r, const uint8_t *old, size_t old_len, const uint8_t *data, size_t len,
			  ZSTD_CCtx *zstd, struct vn_err *err)
{
	VN_AUTO(vn_delta_map) map = { 0 };
	VN_AUTO_FREE uint8_t *residual = malloc(PIECE);
	struct ranges x = { .r = r, .old = old, .data = data, .old_len = old_len, .residual = residual, .zstd = zstd };
	size_t at = 0;
	if (!residual)
		return vn_nomem(err);
	int rc = vn_delta_map_make(old, old_len, data, len, NULL, &map, err);
	for (size_t i = 0; rc == 0 && i < map.count; i++) {
		const struct vn_delta_segment *s = &map.segments[i];
		if (s->len < SEGMENT || !inside(&x, s->start, s->len, s->shift))
			continue;
		if ((rc = add_gap(&x, &map, at, s->start, err)) == 0)
			rc = add_mapped(&x, s->start, s->len, s->shift, err);
		at = s->start + s->len;
	}
	if (rc < 0 || (rc = add_gap(&x, &map, at, len, err)) < 0)
		return rc;
	return flush(&x, err);
}

/* ---- zstd */
static int log2_above(uint64_t v, int most)
{
	int log = 10;
	while (log < most && (uint64_t)1 << log < v)
		log++;
	return log;
}

static int prepare(ZSTD_CCtx *zstd, int level, size_t len, struct vn_err *err)
{
	ZSTD_CCtx_reset(zstd, ZSTD_reset_session_and_parameters);
	/* a parameter that is set may be answered by its value: only an error counts */
	bool bad = ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level));
	bad |= ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(zstd, len));
	return bad ? vn_nomem(err) : 0;
}

int vn_tardiff_measure(ZSTD_CCtx *zstd, const void *data, size_t len, int level, uint64_t *ret_size, struct vn_err *err)
{
	VN_AUTO_FREE uint8_t *packed = malloc(OUT_SIZE);
	ZSTD_inBuffer in = { data, len, 0 };
	uint64_t size = 0;
	size_t more;
	int rc = prepare(zstd, level, len, err);
	if (rc < 0 || !packed)
		return packed ? rc : vn_nomem(err);
	do {
		ZSTD_outBuffer out = { packed, OUT_SIZE, 0 };
		more = ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_end);
		if (ZSTD_isError(more))
			return vn_fail(err, VN_ENOMEM, "zstd: %s", ZSTD_getErrorName(more));
		size += out.pos;
	} while (more != 0);
	*ret_size = size;
	return 0;
}

int vn_tardiff_put_frame(struct vn_tardiff_recipe *r, const uint8_t *old, size_t old_len, const uint8_t *data, size_t len,
			 int level, ZSTD_CCtx *zstd, struct vn_err *err)
{
	size_t room = ZSTD_compressBound(len);
	VN_AUTO_FREE uint8_t *packed = malloc(room);
	int log = log2_above((uint64_t)old_len + len, VN_TARDIFF_DICT_LOG), rc = prepare(zstd, level, len, err);
	if (rc < 0 || !packed)
		return packed ? rc : vn_nomem(err);
	bool bad = ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, log));
	bad |= ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_dictIDFlag, 0));
	bad |= log > LONG_LOG && ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_enableLongDistanceMatching, 1));
	bad |= ZSTD_isError(ZSTD_CCtx_refPrefix(zstd, old, old_len));
	if (bad)
		return vn_nomem(err);
	size_t n = ZSTD_compress2(zstd, packed, room, data, len);
	if (ZSTD_isError(n))
		return vn_fail(err, VN_ENOMEM, "zstd: %s", ZSTD_getErrorName(n));
	r->at = old_len;
	rc = vn_tardiff_put_op(&r->ops, VN_TARDIFF_OP_ZSTD_DICT, n, err);
	return rc < 0 ? rc : vn_buf_add(&r->ops, packed, n, err);
}
