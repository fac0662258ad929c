#include "delta/coder.h"
#include "delta/estimate.h"
#include "delta/frame.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <string.h>

#define COPIES_FROM (64u << 20)       /* bytes of new: copied blocks of larger files are not looked at in every way */
#define ENOUGH 64                     /* bytes of a body that are not worth more trials */
#define ZEROS 64                      /* one byte in so many: elements may have become 0 */

static const uint8_t strides[] = { 2, 3, 4, 6, 8, 12, 16, 18, 20, 24, 32, 34, 40, 48, 56, 64, 144, 210 };

void vn_delta_coder_close(struct vn_delta_coder *c)
{
	if (!c)
		return;
	free(c->coarse);
	free(c->fine);
	free(c->recast);
	free(c->residual);
	free(c->planes);
	free(c->gaps);
	free(c->packed);
	free(c->counts);
	free(c->fit);
	free(c->averages);
	free(c->tables);
	ZSTD_freeCCtx(c->zstd);
	vn_hash_close(c->hash);
	vn_buf_release(&c->casts);
	vn_buf_release(&c->body);
	vn_buf_release(&c->best);
	vn_buf_release(&c->prefix);
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
	c->prefix.max = vn_delta_window(job->head.old_window_log2, job->head.old_size) +
			vn_delta_window(job->head.history_log2, job->head.new_size) + 1;
	c->body.max = c->best.max = 2 * room + 2 * VN_DELTA_BODY_SLACK;
	c->packed_cap = ZSTD_compressBound(room);
	c->coarse = malloc(room);
	c->fine = malloc(room);
	c->recast = malloc(room);
	c->casts.max = SIZE_MAX;
	c->residual = malloc(room);
	c->planes = malloc(room);
	c->gaps = malloc(room);
	c->packed = malloc(c->packed_cap);
	c->counts = malloc(VN_DELTA_STRIDE_MAX * 256 * sizeof(*c->counts));
	c->fit = malloc(sizeof(*c->fit));
	c->averages = malloc(room + 2);
	c->tables = malloc(room);
	c->zstd = ZSTD_createCCtx();
	if (!c->fit || !c->averages || !c->tables || !c->coarse || !c->fine || !c->recast || !c->residual || !c->planes || !c->gaps ||
	    !c->packed || !c->counts || !c->zstd)
		return vn_nomem(err);
	vn_delta_fit_init(c->fit);
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

static void keep_if_smaller(struct vn_delta_coder *c, enum vn_delta_mode mode, bool convert)
{
	if (!c->have_best || c->body.len < c->best.len) {
		struct vn_buf swap = c->best;
		c->best = c->body;
		c->body = swap;
		c->best_mode = mode;
		c->best_convert = convert;
		c->have_best = true;
	}
	vn_buf_clear(&c->body);
}

static int put_map_of(struct vn_delta_coder *c, const struct vn_delta_candidate *k, bool *ret_fits, struct vn_err *err)
{
	if (k->convert)
		return vn_delta_put_casts(c, level_of(c, true), ret_fits, err);
	if (k->shape & VN_DELTA_SHAPE_FINE)
		return vn_delta_put_fine_map(c, c->len, level_of(c, true), ret_fits, err);
	return vn_delta_put_map(c, err);
}

static int try_candidate(struct vn_delta_coder *c, const struct vn_delta_candidate *k, int level, struct vn_err *err)
{
	vn_buf_clear(&c->body);
	int rc = vn_buf_add(&c->body, &k->shape, 1, err);
	bool fits = true;
	if (rc < 0)
		return rc;
	if (k->mode == VN_DELTA_PLANES) {
		rc = vn_delta_put_planes(c, c->data, k->shape, level, err);
	} else {
		struct vn_delta_shape s = { k->mode, 1u << (k->shape & VN_DELTA_SHAPE_WIDTH),
					    k->shape >> VN_DELTA_SHAPE_PHASE_SHIFT & 7 };
		bool fine = k->shape & VN_DELTA_SHAPE_FINE;
		const uint8_t *from = k->convert ? c->recast : fine ? c->fine : c->coarse;
		if ((rc = put_map_of(c, k, &fits, err)) < 0 || !fits)
			return rc;
		vn_delta_difference(&s, from, c->data, c->len, c->residual);
		if (k->shape & VN_DELTA_SHAPE_SPARSE)
			rc = vn_delta_put_sparse(c, &s, level, &fits, err);
		else if (k->shape & VN_DELTA_SHAPE_CLASSES)
			rc = vn_delta_put_classes(c, &s, from, k->zeros, &fits, err);
		else
			rc = vn_delta_put_planes(c, c->residual, s.width, level, err);
	}
	if (rc == 0 && fits)
		keep_if_smaller(c, k->mode, k->convert);
	return rc;
}

/* May what took `len` bytes at the fast level become the smallest at the best one? */
static bool hopeful(const struct vn_delta_coder *c, size_t len)
{
	return len != SIZE_MAX && (!c->have_best || len - len / 4 < c->best.len + ENOUGH);
}

static void add_candidate(struct vn_delta_coder *c, struct vn_delta_candidate k)
{
	size_t i = c->count < VN_DELTA_CANDIDATES ? c->count++ : VN_DELTA_CANDIDATES - 1;
	for (; i > 0 && c->list[i - 1].estimate > k.estimate; i--)
		c->list[i] = c->list[i - 1];
	c->list[i] = k;
}

enum map { COARSE, FINE, CONVERTING };

static void estimate_difference(struct vn_delta_coder *c, enum vn_delta_mode mode, unsigned width_log2, unsigned phase,
				enum map map)
{
	struct vn_delta_shape s = { mode, 1u << width_log2, phase };
	const uint8_t *from = map == CONVERTING ? c->recast : map == FINE ? c->fine : c->coarse;
	unsigned shape = width_log2 | phase << VN_DELTA_SHAPE_PHASE_SHIFT | (map == FINE ? VN_DELTA_SHAPE_FINE : 0);
	vn_delta_difference(&s, from, c->data, c->len, c->residual);
	struct vn_delta_estimate e = vn_delta_estimate(c->residual, c->len, s.width, phase, c->counts);
	struct vn_delta_candidate k = { mode, (uint8_t)shape, map == CONVERTING, false, e.dense };
	add_candidate(c, k);
	k.shape = (uint8_t)(shape | VN_DELTA_SHAPE_SPARSE);
	k.estimate = e.sparse;
	add_candidate(c, k);
	k.shape = (uint8_t)(shape | VN_DELTA_SHAPE_CLASSES);
	k.estimate = e.classes;
	if (mode == VN_DELTA_XOR || k.estimate == UINT64_MAX)
		return;
	add_candidate(c, k);
	k.zeros = c->many_zeros && vn_delta_signed(s.width);
	if (k.zeros && (k.estimate = vn_delta_estimate_zeros(&s, from, c->data, c->residual, c->len, c->counts)) != UINT64_MAX)
		add_candidate(c, k);
}

static bool many_zeros(const struct vn_delta_coder *c)
{
	size_t zeros = 0;
	for (size_t i = 0; i < c->len; i++)
		zeros += c->data[i] == 0;
	return zeros > c->len / ZEROS;
}

static void estimate_all(struct vn_delta_coder *c)
{
	c->count = 0;
	c->many_zeros = many_zeros(c);
	for (enum map map = COARSE; map <= CONVERTING; map++)
		for (unsigned log2 = 0; log2 <= 3; log2++) {
			if ((map == FINE && !c->has_fine) || (map == CONVERTING && !c->has_casts))
				break;
			estimate_difference(c, VN_DELTA_XOR, log2, 0, map);
			for (unsigned phase = 0; phase < 1u << log2 && phase < c->len; phase++) {
				estimate_difference(c, VN_DELTA_SUB, log2, phase, map);
				if (log2)
					estimate_difference(c, VN_DELTA_FSUB, log2, phase, map);
			}
		}
	for (size_t i = 0; i < sizeof(strides); i++)
		if (strides[i] <= c->len)
			add_candidate(c, (struct vn_delta_candidate){ VN_DELTA_PLANES, strides[i], false, false,
					 vn_delta_estimate(c->data, c->len, strides[i], 0, c->counts).dense });
}

static size_t history_of(const struct vn_delta_coder *c)
{
	size_t history = vn_delta_window(c->job->head.history_log2, c->job->head.new_size);
	return history > c->start ? (size_t)c->start : history;
}

static int put_raw(struct vn_delta_coder *c, size_t history, int level, struct vn_err *err)
{
	vn_buf_clear(&c->body);
	int rc = vn_delta_put_varint(&c->body, history, err);
	return rc < 0 ? rc : vn_delta_put_stream(c, c->data, c->len, level, c->data - history, history, err);
}

/* The slow level finds more in text than in the noise of weights. */
static int try_raw(struct vn_delta_coder *c, struct vn_err *err)
{
	size_t history = history_of(c);
	int rc = put_raw(c, history, level_of(c, false), err);
	size_t len = c->body.len, more = len > c->len - c->len / 8 ? len / 16 : len / 2;
	if (rc < 0 || (c->have_best && len - more > c->best.len + ENOUGH))
		return rc;
	if ((rc = put_raw(c, history, level_of(c, true), err)) < 0)
		return rc;
	keep_if_smaller(c, VN_DELTA_RAW, false);
	return 0;
}

static int put_reference(struct vn_delta_coder *c, int64_t from, size_t window, size_t history, int level, struct vn_err *err)
{
	const uint8_t *prefix = c->job->old + from;
	vn_buf_clear(&c->body);
	int rc = vn_delta_put_varint(&c->body, vn_delta_zigzag(from - (int64_t)c->start), err);
	if (rc < 0 || (rc = vn_delta_put_varint(&c->body, window, err)) < 0 ||
	    (rc = vn_delta_put_varint(&c->body, history, err)) < 0)
		return rc;
	if (history) {
		vn_buf_clear(&c->prefix);
		if ((rc = vn_buf_add(&c->prefix, prefix, window, err)) < 0 ||
		    (rc = vn_buf_add(&c->prefix, c->data - history, history, err)) < 0)
			return rc;
		prefix = (const uint8_t *)c->prefix.data;
	}
	return vn_delta_put_stream(c, c->data, c->len, level, prefix, window + history, err);
}

/* Centred on where the block comes from. */
static int64_t reference_start(const struct vn_delta_coder *c, size_t window)
{
	size_t ahead = window > c->len ? (window - c->len) / 2 : 0;
	int64_t from = (int64_t)c->start + vn_delta_middle_shift(c) - (int64_t)ahead;
	int64_t last = (int64_t)(c->job->head.old_size - window);
	return from < 0 ? 0 : from > last ? last : from;
}

static int try_reference(struct vn_delta_coder *c, struct vn_err *err)
{
	const struct vn_delta_head *h = &c->job->head;
	size_t window = vn_delta_window(h->old_window_log2, h->old_size), history = history_of(c), alone, both = SIZE_MAX;
	if (window == 0)
		return 0;
	int64_t from = reference_start(c, window);
	int rc = put_reference(c, from, window, 0, level_of(c, false), err);
	if (rc < 0)
		return rc;
	alone = c->body.len;
	if (history && (rc = put_reference(c, from, window, history, level_of(c, false), err)) < 0)
		return rc;
	both = history ? c->body.len : SIZE_MAX;
	if (c->have_best && (both < alone ? both : alone) > c->best.len * 4 + ENOUGH)
		return 0;
	if ((rc = put_reference(c, from, window, both < alone ? history : 0, level_of(c, true), err)) < 0)
		return rc;
	keep_if_smaller(c, VN_DELTA_REF, false);
	return 0;
}

/* Does anything in the block come from old as it is? Always asked where that is cheap. */
static bool worth_reference(const struct vn_delta_coder *c)
{
	const struct vn_delta_map *m = c->job->map;
	size_t i = vn_delta_first_segment(c);
	return c->job->head.new_size <= 4u << 20 || (i < m->count && m->segments[i].start < c->start + c->len);
}

/* What a candidate takes at a level, without keeping it: SIZE_MAX when it does not fit. */
static int measure(struct vn_delta_coder *c, const struct vn_delta_candidate *k, int level, size_t *ret, struct vn_err *err)
{
	struct vn_buf kept = c->best;
	enum vn_delta_mode mode = c->best_mode;
	bool have = c->have_best, convert = c->best_convert;
	c->best = (struct vn_buf)VN_BUF(kept.max);
	c->have_best = false;
	int rc = try_candidate(c, k, level, err);
	*ret = c->have_best ? c->best.len : SIZE_MAX;
	vn_buf_release(&c->best);
	c->best = kept, c->best_mode = mode, c->have_best = have, c->best_convert = convert;
	return rc;
}

/* A model finds more than the entropy of its classes says, and its size does not depend on a level: the likeliest are kept or
 * dropped at once. */
static int try_classes(struct vn_delta_coder *c, struct vn_err *err)
{
	static const unsigned trials[] = { 1, 2, 4 };
	unsigned tried[2] = { 0, 0 };
	uint64_t least = c->count ? c->list[0].estimate : 0;
	for (size_t i = 0; i < c->count; i++) {
		const struct vn_delta_candidate *k = &c->list[i];
		if (k->mode == VN_DELTA_PLANES || !(k->shape & VN_DELTA_SHAPE_CLASSES) || k->estimate > least + least / 2 ||
		    tried[k->zeros] == trials[c->job->effort - 1])
			continue;
		int rc = try_candidate(c, k, 0, err);
		if (rc < 0)
			return rc;
		tried[k->zeros]++;
	}
	return 0;
}

/* The list is sorted by what entropy promises; how well zstd finds more than entropy is only known by trying. */
static int try_list(struct vn_delta_coder *c, struct vn_err *err)
{
	static const size_t trials[] = { 3, 6, 12 }, finals[] = { 1, 2, 4 };
	size_t most = trials[c->job->effort - 1], n = 0;
	struct vn_delta_candidate found[12];
	int rc = try_classes(c, err);
	for (size_t i = 0; i < c->count && n < most && rc == 0; i++) {
		size_t len, at = n;
		if (c->list[i].mode != VN_DELTA_PLANES && c->list[i].shape & VN_DELTA_SHAPE_CLASSES)
			continue;
		if ((rc = measure(c, &c->list[i], level_of(c, false), &len, err)) < 0)
			return rc;
		for (n++; at > 0 && found[at - 1].estimate > len; at--)
			found[at] = found[at - 1];
		found[at] = c->list[i];
		found[at].estimate = len;
	}
	for (size_t i = 0; i < n && i < finals[c->job->effort - 1] && rc == 0; i++)
		if (hopeful(c, found[i].estimate))
			rc = try_candidate(c, &found[i], level_of(c, true), err);
	return rc;
}

/* A block of a large file, such as the tar of a layer that was built again, which is old but for few bytes. */
static bool mostly_copied(const struct vn_delta_coder *c)
{
	const uint8_t *from = c->has_fine ? c->fine : c->coarse;
	size_t unequal = 0, most = c->len / 16;
	if (c->job->head.new_size < COPIES_FROM)
		return false;
	for (size_t i = 0; i < c->len && unequal <= most; i++)
		unequal += from[i] != c->data[i];
	return unequal <= most;
}

/* What suits it, without a look at everything else: old as it is mapped, or as a reference with what came before. */
static int try_copied(struct vn_delta_coder *c, struct vn_err *err)
{
	uint8_t shape = c->has_fine ? VN_DELTA_SHAPE_SPARSE | VN_DELTA_SHAPE_FINE : VN_DELTA_SHAPE_SPARSE;
	const struct vn_delta_candidate k = { VN_DELTA_XOR, shape, false, false, 0 };
	const struct vn_delta_head *h = &c->job->head;
	size_t window = vn_delta_window(h->old_window_log2, h->old_size);
	int rc = try_candidate(c, &k, level_of(c, true), err);
	if (rc == 0 && window)
		rc = put_reference(c, reference_start(c, window), window, history_of(c), level_of(c, false), err);
	if (rc == 0 && window)
		keep_if_smaller(c, VN_DELTA_REF, false);
	return rc;
}

static int choose(struct vn_delta_coder *c, struct vn_err *err)
{
	int rc;
	c->have_best = false;
	if ((rc = vn_delta_gather(c, err)) < 0)
		return rc;
	if (vn_delta_copies(c)) {
		c->best_mode = VN_DELTA_COPY;
		return 0;
	}
	if (c->has_casts && memcmp(c->recast, c->data, c->len) == 0) {
		const struct vn_delta_candidate empty = { VN_DELTA_XOR, VN_DELTA_SHAPE_SPARSE, true, false, 0 };
		if ((rc = try_candidate(c, &empty, level_of(c, true), err)) < 0 || c->have_best)
			return rc;
	}
	if (mostly_copied(c) && ((rc = try_copied(c, err)) < 0 || c->have_best))
		return rc;
	estimate_all(c);
	if ((rc = try_list(c, err)) < 0 || (c->have_best && c->best.len <= ENOUGH))
		return rc;
	if ((rc = try_raw(c, err)) < 0)
		return rc;
	return worth_reference(c) ? try_reference(c, err) : 0;
}

int vn_delta_code_block(struct vn_delta_coder *c, uint64_t number, struct vn_buf *out, enum vn_delta_mode *ret_mode,
			uint8_t *ret_copies, struct vn_err *err)
{
	const struct vn_delta_head *h = &c->job->head;
	*ret_copies = 0;
	c->start = number << h->block_log2;
	c->len = vn_delta_block_size(h);
	if (h->new_size - c->start < c->len)
		c->len = (size_t)(h->new_size - c->start);
	c->data = c->job->data + c->start;
	vn_buf_clear(&c->body);
	int rc = choose(c, err);
	if (rc < 0)
		return rc;
	if (c->best_mode != VN_DELTA_COPY && c->best.len > c->len + 2) {      /* as it is: no history, a stream of bytes */
		vn_buf_clear(&c->best);
		c->best_mode = VN_DELTA_RAW;
		c->best_convert = false;
		if ((rc = vn_buf_add(&c->best, "\0\0", 2, err)) < 0 || (rc = vn_buf_add(&c->best, c->data, c->len, err)) < 0)
			return rc;
	}
	*ret_mode = c->best_mode;
	if (c->best_mode == VN_DELTA_COPY)
		*ret_copies = vn_delta_copies(c);
	if (c->best_mode == VN_DELTA_COPY)
		return 0;
	uint8_t mode = (uint8_t)(c->best_mode | (c->best_convert ? VN_DELTA_CONVERT : 0));
	return vn_delta_put_record(c->hash, h, c->start, mode, &c->best, c->data, c->len, out, err);
}
