#include "delta/block.h"
#include "delta/element.h"
#include "delta/estimate.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdbool.h>
#include <string.h>
#include <zstd.h>

#define CANDIDATES 160
#define ENOUGH 64                     /* bytes of a body that are not worth more trials */

static const uint8_t strides[] = { 2, 3, 4, 6, 8, 12, 16, 18, 20, 24, 32, 34, 40, 48, 56, 64, 144, 210 };

struct candidate {
	enum vn_delta_mode mode;
	uint8_t shape;                /* or stride, of planes */
	uint64_t estimate;
};

struct vn_delta_coder {
	const struct vn_delta_job *job;
	uint64_t start;
	size_t len;
	const uint8_t *data;
	uint8_t *coarse, *fine;       /* old, gathered by either map */
	bool has_fine;
	uint8_t *residual, *planes, *gaps, *packed;
	size_t packed_cap;
	uint32_t *counts;
	ZSTD_CCtx *zstd;
	struct vn_hash *hash;
	struct vn_buf body, best;
	enum vn_delta_mode best_mode;
	bool have_best;
	struct candidate list[CANDIDATES];
	size_t count;
};

void vn_delta_coder_close(struct vn_delta_coder *c)
{
	if (!c)
		return;
	free(c->coarse);
	free(c->fine);
	free(c->residual);
	free(c->planes);
	free(c->gaps);
	free(c->packed);
	free(c->counts);
	ZSTD_freeCCtx(c->zstd);
	vn_hash_close(c->hash);
	vn_buf_release(&c->body);
	vn_buf_release(&c->best);
	free(c);
}

static void close_p(struct vn_delta_coder **c)
{
	vn_delta_coder_close(*c);
}

int vn_delta_coder_open(const struct vn_delta_job *job, struct vn_delta_coder **ret, struct vn_err *err)
{
	VN_CLEANUP(close_p) struct vn_delta_coder *c = calloc(1, sizeof(*c));
	if (!c)
		return vn_nomem(err);
	size_t room = vn_delta_block_size(&job->head) + VN_DELTA_STREAM_SLACK;
	c->job = job;
	c->body.max = c->best.max = 2 * room + 2 * VN_DELTA_BODY_SLACK;
	c->packed_cap = ZSTD_compressBound(room);
	c->coarse = malloc(room);
	c->fine = malloc(room);
	c->residual = malloc(room);
	c->planes = malloc(room);
	c->gaps = malloc(room);
	c->packed = malloc(c->packed_cap);
	c->counts = malloc(VN_DELTA_STRIDE_MAX * 256 * sizeof(*c->counts));
	c->zstd = ZSTD_createCCtx();
	if (!c->coarse || !c->fine || !c->residual || !c->planes || !c->gaps || !c->packed || !c->counts || !c->zstd)
		return vn_nomem(err);
	int rc = vn_hash_open("sha256", &c->hash, err);
	if (rc < 0)
		return rc;
	*ret = vn_steal(c);
	return 0;
}

static int level_of(const struct vn_delta_coder *c, bool final)
{
	static const int fast[] = { 1, 3, 9 }, best[] = { 6, 19, 22 };
	return final ? best[c->job->effort - 1] : fast[c->job->effort - 1];
}

/* ---- writing */
static int put_varint(struct vn_buf *out, uint64_t v, struct vn_err *err)
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

static int put_stream(struct vn_delta_coder *c, const uint8_t *data, size_t len, int level, const uint8_t *prefix,
		      size_t prefix_len, struct vn_err *err)
{
	size_t n = 0;
	int rc;
	if (constant(data, len)) {
		rc = put_varint(&c->body, 1, err);
		return rc < 0 ? rc : vn_buf_add(&c->body, data, 1, err);
	}
	if (len > 8 && (rc = pack(c, data, len, level, prefix, prefix_len, &n, err)) < 0)
		return rc;
	if (n == 0 || n - 4 >= len) {
		rc = put_varint(&c->body, 0, err);
		return rc < 0 ? rc : vn_buf_add(&c->body, data, len, err);
	}
	rc = put_varint(&c->body, n - 4, err);
	return rc < 0 ? rc : vn_buf_add(&c->body, c->packed + 4, n - 4, err);
}

static void keep_if_smaller(struct vn_delta_coder *c, enum vn_delta_mode mode)
{
	if (!c->have_best || c->body.len < c->best.len) {
		struct vn_buf swap = c->best;
		c->best = c->body;
		c->body = swap;
		c->best_mode = mode;
		c->have_best = true;
	}
	vn_buf_clear(&c->body);
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
static int put_coarse_map(struct vn_delta_coder *c, struct vn_err *err)
{
	const int64_t *shift = shifts_of(c);
	size_t pieces = pieces_of(c);
	int64_t last = 0;
	for (size_t i = 0, run; i < pieces; i += run) {
		for (run = 1; i + run < pieces && shift[i + run] == shift[i]; run++)
			;
		int rc = put_varint(&c->body, run, err);
		if (rc < 0 || (rc = put_varint(&c->body, vn_delta_zigzag(shift[i] - last), err)) < 0)
			return rc;
		last = shift[i];
	}
	return 0;
}

/* First segment that reaches into the block. */
static size_t first_segment(const struct vn_delta_coder *c)
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

static int put_fine_map(struct vn_delta_coder *c, bool *ret_fits, struct vn_err *err)
{
	const struct vn_delta_map *m = c->job->map;
	VN_AUTO(vn_buf) list = VN_BUF(c->len + 64);
	size_t at = 0;
	int64_t last = 0;
	*ret_fits = false;
	for (size_t i = first_segment(c); at < c->len;) {
		if (list.len > c->len)
			return 0;
		const struct vn_delta_segment *s = i < m->count ? &m->segments[i] : NULL;
		size_t begin = !s ? c->len : s->start > c->start ? (size_t)(s->start - c->start) : 0, mapped = 0;
		int64_t shift = last;
		if (begin <= at && s) {
			size_t end = (size_t)(s->start + s->len - c->start);
			mapped = (end < c->len ? end : c->len) - at;
			shift = s->shift;
			s = ++i < m->count ? &m->segments[i] : NULL;
			begin = !s || s->start - c->start > c->len ? c->len : (size_t)(s->start - c->start);
		}
		if (begin > c->len)
			begin = c->len;
		size_t unmapped = begin - at - mapped;
		int rc = put_varint(&list, mapped, err);
		if (rc < 0 || (rc = put_varint(&list, unmapped, err)) < 0 ||
		    (rc = put_varint(&list, vn_delta_zigzag(shift - last), err)) < 0)
			return rc;
		last = shift;
		at += mapped + unmapped;
	}
	if (list.len > c->len)
		return 0;
	*ret_fits = true;
	int rc = put_varint(&c->body, list.len, err);
	return rc < 0 ? rc : put_stream(c, (const uint8_t *)list.data, list.len, level_of(c, true), NULL, 0, err);
}

static void gather_maps(struct vn_delta_coder *c)
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
	for (size_t i = first_segment(c); i < m->count && m->segments[i].start < c->start + c->len; i++) {
		const struct vn_delta_segment *s = &m->segments[i];
		size_t begin = s->start > c->start ? (size_t)(s->start - c->start) : 0;
		size_t end = s->start + s->len - c->start < c->len ? (size_t)(s->start + s->len - c->start) : c->len;
		gather(c, c->fine, begin, end - begin, s->shift);
		mapped += end - begin;
	}
	c->has_fine = mapped > c->len / 64 && memcmp(c->fine, c->coarse, c->len) != 0;
}

/* ---- candidates */
static int put_sparse(struct vn_delta_coder *c, const struct vn_delta_shape *s, int level, bool *ret_fits, struct vn_err *err)
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
	int rc = put_varint(&c->body, count, err);
	if (rc < 0 || (rc = put_varint(&c->body, gaps, err)) < 0 || (rc = put_stream(c, c->gaps, gaps, level, NULL, 0, err)) < 0)
		return rc;
	for (unsigned k = 0; k < s->width && rc == 0; k++)
		rc = put_stream(c, c->planes + k * most, count, level, NULL, 0, err);
	return rc;
}

static int put_classes(struct vn_delta_coder *c, const struct vn_delta_shape *s, int level, struct vn_err *err)
{
	size_t head = s->phase < c->len ? s->phase : c->len, count = (c->len - head) / s->width;
	size_t tail = head + count * s->width, bit = 0;
	memset(c->gaps, 0, c->len);
	for (size_t i = 0; i < count; i++) {
		uint64_t v = vn_delta_load(c->residual + head + i * s->width, s->width);
		unsigned class = vn_delta_class(v), left = vn_delta_class_bits(class);
		c->planes[i] = (uint8_t)class;
		for (v -= vn_delta_class_base(class); left > 0;) {
			unsigned skip = bit & 7, take = 8 - skip < left ? 8 - skip : left;
			c->gaps[bit / 8] |= (uint8_t)((v & ((1u << take) - 1)) << skip);
			v >>= take, left -= take, bit += take;
		}
	}
	int rc = put_stream(c, c->planes, count, level, NULL, 0, err);
	if (rc < 0 || (rc = vn_buf_add(&c->body, c->residual, head, err)) < 0 ||
	    (rc = vn_buf_add(&c->body, c->residual + tail, c->len - tail, err)) < 0)
		return rc;
	return vn_buf_add(&c->body, c->gaps, (bit + 7) / 8, err);
}

static int put_planes(struct vn_delta_coder *c, const uint8_t *data, unsigned stride, int level, struct vn_err *err)
{
	size_t at = 0;
	int rc = 0;
	vn_delta_split(data, c->len, stride, c->planes);
	for (unsigned k = 0; k < stride && rc == 0; k++) {
		size_t len = vn_delta_plane_len(c->len, stride, k);
		rc = put_stream(c, c->planes + at, len, level, NULL, 0, err);
		at += len;
	}
	return rc;
}

static int try_candidate(struct vn_delta_coder *c, const struct candidate *k, int level, struct vn_err *err)
{
	vn_buf_clear(&c->body);
	int rc = vn_buf_add(&c->body, &k->shape, 1, err);
	bool fits = true;
	if (rc < 0)
		return rc;
	if (k->mode == VN_DELTA_PLANES) {
		rc = put_planes(c, c->data, k->shape, level, err);
	} else {
		struct vn_delta_shape s = { k->mode, 1u << (k->shape & VN_DELTA_SHAPE_WIDTH),
					    k->shape >> VN_DELTA_SHAPE_PHASE_SHIFT & 7 };
		bool fine = k->shape & VN_DELTA_SHAPE_FINE;
		if ((rc = fine ? put_fine_map(c, &fits, err) : put_coarse_map(c, err)) < 0 || !fits)
			return rc;
		vn_delta_difference(&s, fine ? c->fine : c->coarse, c->data, c->len, c->residual);
		if (k->shape & VN_DELTA_SHAPE_SPARSE)
			rc = put_sparse(c, &s, level, &fits, err);
		else if (k->shape & VN_DELTA_SHAPE_CLASSES)
			rc = put_classes(c, &s, level, err);
		else
			rc = put_planes(c, c->residual, s.width, level, err);
	}
	if (rc == 0 && fits)
		keep_if_smaller(c, k->mode);
	return rc;
}

static void add_candidate(struct vn_delta_coder *c, enum vn_delta_mode mode, unsigned shape, uint64_t estimate)
{
	size_t i = c->count < CANDIDATES ? c->count++ : CANDIDATES - 1;
	for (; i > 0 && c->list[i - 1].estimate > estimate; i--)
		c->list[i] = c->list[i - 1];
	c->list[i] = (struct candidate){ mode, (uint8_t)shape, estimate };
}

static void estimate_difference(struct vn_delta_coder *c, enum vn_delta_mode mode, unsigned width_log2, unsigned phase,
				bool fine)
{
	struct vn_delta_shape s = { mode, 1u << width_log2, phase };
	unsigned shape = width_log2 | phase << VN_DELTA_SHAPE_PHASE_SHIFT | (fine ? VN_DELTA_SHAPE_FINE : 0);
	vn_delta_difference(&s, fine ? c->fine : c->coarse, c->data, c->len, c->residual);
	struct vn_delta_estimate e = vn_delta_estimate(c->residual, c->len, s.width, phase, c->counts);
	add_candidate(c, mode, shape, e.dense);
	add_candidate(c, mode, shape | VN_DELTA_SHAPE_SPARSE, e.sparse);
	if (e.classes != UINT64_MAX && mode != VN_DELTA_XOR)
		add_candidate(c, mode, shape | VN_DELTA_SHAPE_CLASSES, e.classes);
}

static void estimate_all(struct vn_delta_coder *c)
{
	c->count = 0;
	for (int fine = 0; fine <= (int)c->has_fine; fine++)
		for (unsigned log2 = 0; log2 <= 3; log2++) {
			estimate_difference(c, VN_DELTA_XOR, log2, 0, fine);
			for (unsigned phase = 0; phase < 1u << log2 && phase < c->len; phase++) {
				if (fine && phase)
					break;
				estimate_difference(c, VN_DELTA_SUB, log2, phase, fine);
				if (log2)
					estimate_difference(c, VN_DELTA_FSUB, log2, phase, fine);
			}
		}
	for (size_t i = 0; i < sizeof(strides); i++)
		if (strides[i] <= c->len)
			add_candidate(c, VN_DELTA_PLANES, strides[i],
				      vn_delta_estimate(c->data, c->len, strides[i], 0, c->counts).dense);
}

static int try_raw(struct vn_delta_coder *c, struct vn_err *err)
{
	size_t history = vn_delta_window(c->job->head.history_log2, c->job->head.new_size);
	if (history > c->start)
		history = (size_t)c->start;
	vn_buf_clear(&c->body);
	int rc = put_varint(&c->body, history, err);
	if (rc < 0 || (rc = put_stream(c, c->data, c->len, level_of(c, true), c->data - history, history, err)) < 0)
		return rc;
	keep_if_smaller(c, VN_DELTA_RAW);
	return 0;
}

static int try_reference(struct vn_delta_coder *c, struct vn_err *err)
{
	const struct vn_delta_head *h = &c->job->head;
	size_t window = vn_delta_window(h->old_window_log2, h->old_size);
	if (window == 0)
		return 0;
	/* centred on where the block comes from */
	size_t ahead = window > c->len ? (window - c->len) / 2 : 0;
	int64_t from = (int64_t)c->start + shifts_of(c)[pieces_of(c) / 2] - (int64_t)ahead;
	int64_t last = (int64_t)(h->old_size - window);
	from = from < 0 ? 0 : from > last ? last : from;
	vn_buf_clear(&c->body);
	int rc = put_varint(&c->body, vn_delta_zigzag(from - (int64_t)c->start), err);
	if (rc < 0 || (rc = put_varint(&c->body, window, err)) < 0 || (rc = put_varint(&c->body, 0, err)) < 0 ||
	    (rc = put_stream(c, c->data, c->len, level_of(c, true), c->job->old + from, window, err)) < 0)
		return rc;
	keep_if_smaller(c, VN_DELTA_REF);
	return 0;
}

/* Does anything in the block come from old as it is? Always asked where that is cheap. */
static bool worth_reference(const struct vn_delta_coder *c)
{
	const struct vn_delta_map *m = c->job->map;
	size_t i = first_segment(c);
	return c->job->head.new_size <= 4u << 20 || (i < m->count && m->segments[i].start < c->start + c->len);
}

/* The list is sorted by what entropy promises; how well zstd finds more than entropy is only known by trying. */
static int try_list(struct vn_delta_coder *c, struct vn_err *err)
{
	static const size_t trials[] = { 3, 6, 12 }, finals[] = { 1, 2, 4 };
	size_t tried = c->count < trials[c->job->effort - 1] ? c->count : trials[c->job->effort - 1];
	struct candidate found[12];
	size_t n = 0;
	for (size_t i = 0; i < tried; i++) {
		struct vn_buf kept = c->best;
		enum vn_delta_mode mode = c->best_mode;
		bool have = c->have_best;
		c->best = (struct vn_buf)VN_BUF(kept.max);
		c->have_best = false;
		int rc = try_candidate(c, &c->list[i], level_of(c, false), err);
		size_t len = c->have_best ? c->best.len : SIZE_MAX;
		vn_buf_release(&c->best);
		c->best = kept, c->best_mode = mode, c->have_best = have;
		if (rc < 0)
			return rc;
		size_t at = n++;
		for (; at > 0 && found[at - 1].estimate > len; at--)
			found[at] = found[at - 1];
		found[at] = c->list[i];
		found[at].estimate = len;
	}
	for (size_t i = 0; i < n && i < finals[c->job->effort - 1]; i++) {
		int rc = found[i].estimate == SIZE_MAX ? 0 : try_candidate(c, &found[i], level_of(c, true), err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int choose(struct vn_delta_coder *c, struct vn_err *err)
{
	int rc;
	c->have_best = false;
	gather_maps(c);
	if (memcmp(c->coarse, c->data, c->len) == 0) {
		if ((rc = put_coarse_map(c, err)) < 0)
			return rc;
		keep_if_smaller(c, VN_DELTA_COPY);
		return 0;
	}
	estimate_all(c);
	if ((rc = try_list(c, err)) < 0 || (c->have_best && c->best.len <= ENOUGH))
		return rc;
	if ((rc = try_raw(c, err)) < 0)
		return rc;
	return worth_reference(c) ? try_reference(c, err) : 0;
}

int vn_delta_code_block(struct vn_delta_coder *c, uint64_t number, struct vn_buf *out, enum vn_delta_mode *ret_mode,
			struct vn_err *err)
{
	const struct vn_delta_head *h = &c->job->head;
	uint8_t raw[10], digest[VN_DELTA_NEW_DIGEST], mode;
	c->start = number << h->block_log2;
	c->len = vn_delta_block_size(h);
	if (h->new_size - c->start < c->len)
		c->len = (size_t)(h->new_size - c->start);
	c->data = c->job->data + c->start;
	vn_buf_clear(&c->body);
	int rc = choose(c, err);
	if (rc < 0)
		return rc;
	mode = (uint8_t)c->best_mode;
	size_t n = vn_put_varint(raw, c->best.len);
	if ((c->start == 0 && (rc = vn_hash_add(c->hash, h->bytes, h->len, err)) < 0) ||
	    (rc = vn_hash_add(c->hash, raw, n, err)) < 0 || (rc = vn_hash_add(c->hash, &mode, 1, err)) < 0 ||
	    (rc = vn_hash_add(c->hash, c->best.data, c->best.len, err)) < 0 ||
	    (rc = vn_hash_add(c->hash, c->data, c->len, err)) < 0 || (rc = vn_delta_hash_end(c->hash, digest, err)) < 0)
		return rc;
	if ((rc = vn_buf_add(out, raw, n, err)) < 0 || (rc = vn_buf_add(out, &mode, 1, err)) < 0 ||
	    (rc = vn_buf_add(out, digest, VN_DELTA_CHECK, err)) < 0)
		return rc;
	*ret_mode = c->best_mode;
	return vn_buf_add(out, c->best.data, c->best.len, err);
}
