#include "delta/coder.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <string.h>

int vn_delta_put_varint(struct vn_buf *out, uint64_t v, struct vn_err *err)
{
	uint8_t raw[10];
	return vn_buf_add(out, raw, vn_put_varint(raw, v), err);
}

static bool constant(const uint8_t *data, size_t len)
{
	return len > 1 && memcmp(data, data + 1, len - 1) == 0;
}

static int pack(struct vn_delta_coder *c, const uint8_t *data, size_t len, int level, const uint8_t *prefix, size_t prefix_len,
		size_t *ret, struct vn_err *err)
{
	ZSTD_CCtx *z = c->zstd;
	ZSTD_CCtx_reset(z, ZSTD_reset_session_and_parameters);
	/* a parameter that is set may be answered by its value: only an error counts */
	bool bad = ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level));
	bad |= ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0));
	bad |= ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 0));
	bad |= ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_dictIDFlag, 0));
	if (prefix_len) {
		int log = 10;
		while ((size_t)1 << log < prefix_len + len)
			log++;
		bad |= ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, log));
		bad |= ZSTD_isError(ZSTD_CCtx_refPrefix(z, prefix, prefix_len));
	}
	if (bad)
		return vn_nomem(err);
	size_t n = ZSTD_compress2(z, c->packed, c->packed_cap, data, len);
	if (ZSTD_isError(n))
		return vn_fail(err, VN_ENOMEM, "zstd: %s", ZSTD_getErrorName(n));
	*ret = n;
	return 0;
}

int vn_delta_put_stream(struct vn_delta_coder *c, const uint8_t *data, size_t len, int level, const uint8_t *prefix,
		      size_t prefix_len, struct vn_err *err)
{
	size_t n = 0;
	int rc;
	if (constant(data, len)) {
		rc = vn_delta_put_varint(&c->body, 1, err);
		return rc < 0 ? rc : vn_buf_add(&c->body, data, 1, err);
	}
	if (len > 8 && (rc = pack(c, data, len, level, prefix, prefix_len, &n, err)) < 0)
		return rc;
	if (n == 0 || n - 4 >= len) {
		rc = vn_delta_put_varint(&c->body, 0, err);
		return rc < 0 ? rc : vn_buf_add(&c->body, data, len, err);
	}
	rc = vn_delta_put_varint(&c->body, n - 4, err);
	return rc < 0 ? rc : vn_buf_add(&c->body, c->packed + 4, n - 4, err);
}
/* ---- maps */
static void gather(struct vn_delta_coder *c, uint8_t *to, size_t at, size_t len, int64_t shift)
{
	for (size_t i = 0; i < len;) {
		int64_t from = (int64_t)(c->start + at + i) + shift;
		uint64_t size = c->job->head.old_size;
		size_t n = len - i;
		if (from < 0 || (uint64_t)from >= size) {
			if (from < 0 && (uint64_t)-from < n)
				n = (size_t)-from;
			memset(to + at + i, 0, n);
		} else {
			if (n > size - (uint64_t)from)
				n = (size_t)(size - (uint64_t)from);
			memcpy(to + at + i, c->job->old + from, n);
		}
		i += n;
	}
}

static const int64_t *shifts_of(const struct vn_delta_coder *c)
{
	return c->job->map->shifts + (c->start >> VN_DELTA_PIECE_LOG);
}

static size_t pieces_of(const struct vn_delta_coder *c)
{
	return (c->len + (1u << VN_DELTA_PIECE_LOG) - 1) >> VN_DELTA_PIECE_LOG;
}

/* Blocks smaller than a piece begin within one: they take the shift of the piece that they lie in. */
int vn_delta_put_map(struct vn_delta_coder *c, struct vn_err *err)
{
	const int64_t *shift = shifts_of(c);
	size_t pieces = pieces_of(c);
	int64_t last = 0;
	for (size_t i = 0, run; i < pieces; i += run) {
		for (run = 1; i + run < pieces && shift[i + run] == shift[i]; run++)
			;
		int rc = vn_delta_put_varint(&c->body, run, err);
		if (rc < 0 || (rc = vn_delta_put_varint(&c->body, vn_delta_zigzag(shift[i] - last), err)) < 0)
			return rc;
		last = shift[i];
	}
	return 0;
}

/* First segment that reaches into the block. */
size_t vn_delta_first_segment(const struct vn_delta_coder *c)
{
	const struct vn_delta_map *m = c->job->map;
	size_t low = 0, high = m->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (m->segments[mid].start + m->segments[mid].len <= c->start)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int vn_delta_put_fine_map(struct vn_delta_coder *c, size_t len, int level, bool *ret_fits, struct vn_err *err)
{
	const struct vn_delta_map *m = c->job->map;
	size_t block = vn_delta_block_size(&c->job->head), most = len < block ? len : block, at = 0;
	VN_AUTO(vn_buf) list = VN_BUF(most + 64);
	int64_t last = 0;
	*ret_fits = false;
	for (size_t i = vn_delta_first_segment(c); at < len;) {
		if (list.len > most)
			return 0;
		const struct vn_delta_segment *s = i < m->count ? &m->segments[i] : NULL;
		size_t begin = !s ? len : s->start > c->start ? (size_t)(s->start - c->start) : 0, mapped = 0;
		int64_t shift = last;
		if (begin <= at && s) {
			size_t end = (size_t)(s->start + s->len - c->start);
			mapped = (end < len ? end : len) - at;
			shift = s->shift;
			s = ++i < m->count ? &m->segments[i] : NULL;
			begin = !s || s->start - c->start > len ? len : (size_t)(s->start - c->start);
		}
		if (begin > len)
			begin = len;
		size_t unmapped = begin - at - mapped;
		int rc = vn_delta_put_varint(&list, mapped, err);
		if (rc < 0 || (rc = vn_delta_put_varint(&list, unmapped, err)) < 0 ||
		    (rc = vn_delta_put_varint(&list, vn_delta_zigzag(shift - last), err)) < 0)
			return rc;
		last = shift;
		at += mapped + unmapped;
	}
	if (list.len > most)
		return 0;
	*ret_fits = true;
	int rc = vn_delta_put_varint(&c->body, list.len, err);
	return rc < 0 ? rc : vn_delta_put_stream(c, (const uint8_t *)list.data, list.len, level, NULL, 0, err);
}

int vn_delta_put_casts(struct vn_delta_coder *c, int level, bool *ret_fits, struct vn_err *err)
{
	*ret_fits = c->casts.len <= c->len;
	if (!*ret_fits)
		return 0;
	int rc = vn_delta_put_varint(&c->body, c->casts.len, err);
	return rc < 0 ? rc : vn_delta_put_stream(c, (const uint8_t *)c->casts.data, c->casts.len, level, NULL, 0, err);
}

static int gather_casts(struct vn_delta_coder *c, struct vn_err *err)
{
	const struct vn_delta_job *job = c->job;
	c->has_casts = vn_delta_casts_touch(job->casts, (size_t)c->start, c->len);
	vn_buf_clear(&c->casts);
	return c->has_casts ? vn_delta_casts_write(job->casts, job->old, (size_t)job->head.old_size, (size_t)c->start, c->len,
						   c->recast, &c->casts, err)
			    : 0;
}

int vn_delta_gather(struct vn_delta_coder *c, struct vn_err *err)
{
	const struct vn_delta_map *m = c->job->map;
	const int64_t *shift = shifts_of(c);
	size_t at = 0, mapped = 0;
	for (size_t i = 0; at < c->len; i++) {
		size_t n = c->len - at < (1u << VN_DELTA_PIECE_LOG) ? c->len - at : 1u << VN_DELTA_PIECE_LOG;
		gather(c, c->coarse, at, n, shift[i]);
		at += n;
	}
	memset(c->fine, 0, c->len);
	for (size_t i = vn_delta_first_segment(c); i < m->count && m->segments[i].start < c->start + c->len; i++) {
		const struct vn_delta_segment *s = &m->segments[i];
		size_t begin = s->start > c->start ? (size_t)(s->start - c->start) : 0;
		size_t end = s->start + s->len - c->start < c->len ? (size_t)(s->start + s->len - c->start) : c->len;
		gather(c, c->fine, begin, end - begin, s->shift);
		mapped += end - begin;
	}
	c->has_fine = mapped > c->len / 64 && memcmp(c->fine, c->coarse, c->len) != 0;
	return gather_casts(c, err);
}

/* ---- residuals */
int vn_delta_put_sparse(struct vn_delta_coder *c, const struct vn_delta_shape *s, int level, bool *ret_fits, struct vn_err *err)
{
	size_t pad = (s->width - s->phase) % s->width, elements = (pad + c->len + s->width - 1) / s->width;
	size_t room = c->len + VN_DELTA_STREAM_SLACK, count = 0, gaps = 0, gap = 0, most = room / s->width;
	*ret_fits = false;
	for (size_t e = 0; e < elements; e++) {
		uint8_t value[8] = { 0 }, any = 0;
		for (unsigned k = 0; k < s->width; k++) {
			size_t at = e * s->width + k;
			if (at >= pad && at - pad < c->len)
				any |= value[k] = c->residual[at - pad];
		}
		if (!any) {
			gap++;
			continue;
		}
		if (gaps + gap / 255 + 1 + (count + 1) * s->width > room)
			return 0;
		for (; gap >= 255; gap -= 255)
			c->gaps[gaps++] = 255;
		c->gaps[gaps++] = (uint8_t)gap;
		for (unsigned k = 0; k < s->width; k++)
			c->planes[k * most + count] = value[k];
		count++;
		gap = 0;
	}
	*ret_fits = true;
	int rc = vn_delta_put_varint(&c->body, count, err);
	if (rc < 0 || (rc = vn_delta_put_varint(&c->body, gaps, err)) < 0 ||
	    (rc = vn_delta_put_stream(c, c->gaps, gaps, level, NULL, 0, err)) < 0)
		return rc;
	for (unsigned k = 0; k < s->width && rc == 0; k++)
		rc = vn_delta_put_stream(c, c->planes + k * most, count, level, NULL, 0, err);
	return rc;
}

int vn_delta_put_planes(struct vn_delta_coder *c, const uint8_t *data, unsigned stride, int level, struct vn_err *err)
{
	size_t at = 0;
	int rc = 0;
	vn_delta_split(data, c->len, stride, c->planes);
	for (unsigned k = 0; k < stride && rc == 0; k++) {
		size_t len = vn_delta_plane_len(c->len, stride, k);
		rc = vn_delta_put_stream(c, c->planes + at, len, level, NULL, 0, err);
		at += len;
	}
	return rc;
}

int64_t vn_delta_middle_shift(const struct vn_delta_coder *c)
{
	return shifts_of(c)[pieces_of(c) / 2];
}
