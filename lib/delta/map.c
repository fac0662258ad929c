#include "delta/map.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdbool.h>
#include <string.h>

#define WINDOW 16                     /* bytes that must agree to be an anchor; small files: WINDOW_SMALL */
#define WINDOW_SMALL 8
#define SMALL (4u << 20)
#define TABLE_LOG_MAX 24
#define GAIN 8                        /* bytes by which another shift must explain more before it is taken */
#define PIECE ((size_t)1 << VN_DELTA_PIECE_LOG)
#define BRUTE_REACH (16 << 10)
#define BRUTE_SAMPLE 2048
#define BRUTE_TRIES 4                 /* pieces in a row without luck; then only every BRUTE_REST-th is tried */
#define BRUTE_REST 32

struct index {
	const uint8_t *old, *data;
	size_t old_len, len;
	uint32_t *table;              /* position / step + 1 */
	unsigned table_log2;
	size_t step, window;
};

void vn_delta_map_release(struct vn_delta_map *map)
{
	free(map->shifts);
	free(map->segments);
	*map = (struct vn_delta_map){ 0 };
}

static void index_release(struct index *x)
{
	free(x->table);
}

static size_t slot_of(const struct index *x, const uint8_t *p)
{
	uint64_t h = vn_get_u64(p) * 0x9e3779b97f4a7c15ull;
	if (x->window > 8)
		h = (h ^ h >> 29 ^ vn_get_u64(p + 8)) * 0xbf58476d1ce4e5b9ull;
	return (size_t)(h >> (64 - x->table_log2));
}

static int build_index(struct index *x, struct vn_err *err)
{
	x->window = x->old_len <= SMALL ? WINDOW_SMALL : WINDOW;
	x->step = x->old_len <= SMALL ? 1 : 4;
	while (x->old_len / x->step >= UINT32_MAX / 2)
		x->step *= 2;
	x->table_log2 = 10;
	while (x->table_log2 < TABLE_LOG_MAX && (size_t)1 << x->table_log2 < x->old_len / x->step * 2)
		x->table_log2++;
	x->table = calloc((size_t)1 << x->table_log2, sizeof(*x->table));
	if (!x->table)
		return vn_nomem(err);
	for (size_t at = 0; at + x->window <= x->old_len; at += x->step)
		x->table[slot_of(x, x->old + at)] = (uint32_t)(at / x->step + 1);
	return 0;
}

static bool same_at(const struct index *x, size_t at, int64_t shift)
{
	int64_t from = (int64_t)at + shift;
	return from >= 0 && (uint64_t)from < x->old_len && x->old[from] == x->data[at];
}

static size_t extent(const struct index *x, size_t at, int64_t shift)
{
	size_t n = 0;
	while (at + n < x->len && same_at(x, at + n, shift))
		n++;
	return n;
}

/* How far a shift holds on from `at` (direction 1) or back to it (-1): most of 2 * equal - length. */
static size_t reach(const struct index *x, size_t at, size_t most, int64_t shift, int direction)
{
	size_t best = 0;
	int64_t score = 0, top = 0;
	for (size_t n = 1; n <= most; n++) {
		score += same_at(x, direction > 0 ? at + n - 1 : at - n, shift) ? 1 : -1;
		if (score > top)
			top = score, best = n;
	}
	return best;
}

static int add_segment(struct vn_delta_map *map, size_t start, size_t len, int64_t shift, struct vn_err *err)
{
	if (len == 0)
		return 0;
	int rc = vn_grow(&map->segments, &map->cap, map->count + 1, sizeof(*map->segments), err);
	if (rc < 0)
		return rc;
	map->segments[map->count++] = (struct vn_delta_segment){ start, len, shift };
	return 0;
}

/* Between the last anchor and the next one: where the first shift ends and the other begins. */
static int close_gap(const struct index *x, struct vn_delta_map *map, size_t from, int64_t shift, bool have, size_t next,
		     int64_t next_shift, bool have_next, size_t *ret_start, struct vn_err *err)
{
	size_t gap = next - from;
	size_t ahead = have ? reach(x, from, gap, shift, 1) : 0, back = have_next ? reach(x, next, gap, next_shift, -1) : 0;
	if (ahead + back > gap) {
		size_t low = gap - back, high = ahead, split = low;
		int64_t score = 0, top = 0;
		for (size_t i = low; i < high; i++) {
			score += (int)same_at(x, from + i, shift) - (int)same_at(x, from + i, next_shift);
			if (score > top)
				top = score, split = i + 1;
		}
		ahead = split, back = gap - split;
	}
	*ret_start = next - back;
	return have ? add_segment(map, from, ahead, shift, err) : 0;
}

static int find_segments(const struct index *x, struct vn_delta_map *map, struct vn_err *err)
{
	bool have = false;
	int64_t shift = 0;
	size_t start = 0, at = 0;
	while (at + x->window <= x->len) {
		if (have && same_at(x, at, shift)) {
			at++;
			continue;
		}
		uint32_t entry = x->table[slot_of(x, x->data + at)];
		int64_t other = entry ? (int64_t)((entry - 1) * x->step) - (int64_t)at : 0;
		size_t len = entry && !(have && other == shift) ? extent(x, at, other) : 0, kept = 0;
		if (len < x->window) {
			at++;
			continue;
		}
		for (size_t i = 0; have && i < len; i++)
			kept += same_at(x, at + i, shift);
		if (len >= kept + GAIN) {
			int rc = close_gap(x, map, start, shift, have, at, other, true, &start, err);
			if (rc < 0)
				return rc;
			shift = other, have = true;
		}
		at += len;
	}
	return close_gap(x, map, start, shift, have, x->len, 0, false, &start, err);
}

static size_t equal_bytes(const struct index *x, size_t at, size_t len, int64_t shift)
{
	int64_t from = (int64_t)at + shift;
	size_t n = 0;
	if (from < 0) {
		size_t skip = (uint64_t)-from < len ? (size_t)-from : len;
		at += skip, len -= skip, from = 0;
	}
	if ((uint64_t)from >= x->old_len)
		return 0;
	if (len > x->old_len - (size_t)from)
		len = x->old_len - (size_t)from;
	const uint8_t *a = x->old + from, *b = x->data + at;
	while (len >= 64) {
		uint8_t sum = 0;
		for (int i = 0; i < 64; i++)
			sum = (uint8_t)(sum + (a[i] == b[i]));
		n += sum, a += 64, b += 64, len -= 64;
	}
	for (size_t i = 0; i < len; i++)
		n += a[i] == b[i];
	return n;
}

/* Related floats share their high bytes even where no run of bytes agrees: look at every even shift nearby. */
static int64_t brute(const struct index *x, size_t at, size_t len, int64_t around)
{
	size_t sample = len < BRUTE_SAMPLE ? len : BRUTE_SAMPLE, top = 0;
	int64_t best = around;
	at += (len - sample) / 2;
	for (int64_t s = around - BRUTE_REACH; s <= around + BRUTE_REACH; s += 2) {
		size_t n = equal_bytes(x, at, sample, s);
		if (n > top)
			top = n, best = s;
	}
	return best;
}

/* ---- hints */
static bool usable(const struct index *x, const struct vn_delta_hint *h, size_t end)
{
	return h->new_at >= end && h->new_at <= x->len && h->new_len <= x->len - h->new_at && h->old_at <= x->old_len &&
	       h->old_len <= x->old_len - h->old_at;
}

static int64_t shift_of(const struct vn_delta_hint *h)
{
	return (int64_t)h->old_at - (int64_t)h->new_at;
}

static size_t clipped(const struct vn_delta_segment *s, size_t begin, size_t end, struct vn_delta_segment *ret)
{
	size_t from = s->start > begin ? s->start : begin, to = s->start + s->len < end ? s->start + s->len : end;
	*ret = (struct vn_delta_segment){ from, to > from ? to - from : 0, s->shift };
	return ret->len;
}

/* Adds what the segments say of new[begin, end); *segment is the first that may reach into it. */
static int keep_segments(const struct vn_delta_map *from, size_t *segment, size_t begin, size_t end, struct vn_delta_map *to,
			 struct vn_err *err)
{
	struct vn_delta_segment part;
	while (*segment < from->count && from->segments[*segment].start + from->segments[*segment].len <= begin)
		++*segment;
	for (size_t i = *segment; i < from->count && from->segments[i].start < end; i++) {
		int rc = clipped(&from->segments[i], begin, end, &part) ? add_segment(to, part.start, part.len, part.shift, err) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Where a tensor as a whole explains more than what was found by content, it is one segment. */
static int take_hints(const struct index *x, const struct vn_delta_options *o, struct vn_delta_map *map, struct vn_err *err)
{
	VN_AUTO(vn_delta_map) found = { .segments = map->segments, .count = map->count, .cap = map->cap };
	size_t at = 0, segment = 0;
	map->segments = NULL;
	map->count = map->cap = 0;
	for (size_t i = 0; i < o->nhints; i++) {
		const struct vn_delta_hint *h = &o->hints[i];
		if (!usable(x, h, at) || h->new_len != h->old_len)
			continue;
		size_t begin = (size_t)h->new_at, end = begin + (size_t)h->new_len, known = 0;
		int rc = keep_segments(&found, &segment, at, begin, map, err);
		if (rc < 0)
			return rc;
		struct vn_delta_segment part;
		for (size_t k = segment; k < found.count && found.segments[k].start < end; k++)
			if (clipped(&found.segments[k], begin, end, &part))
				known += equal_bytes(x, part.start, part.len, part.shift);
		rc = equal_bytes(x, begin, end - begin, shift_of(h)) > known ? add_segment(map, begin, end - begin, shift_of(h), err)
									   : keep_segments(&found, &segment, begin, end, map, err);
		if (rc < 0)
			return rc;
		at = end;
	}
	return keep_segments(&found, &segment, at, x->len, map, err);
}

static void choose_shifts(const struct index *x, struct vn_delta_map *map)
{
	int64_t last = 0;
	size_t segment = 0, unlucky = 0;
	for (size_t p = 0; p < map->pieces; p++) {
		size_t at = p * PIECE, len = x->len - at < PIECE ? x->len - at : PIECE, top, longest = 0;
		int64_t list[4] = { last, 0, (int64_t)x->old_len - (int64_t)x->len, last }, best = last;
		while (segment < map->count && map->segments[segment].start + map->segments[segment].len <= at)
			segment++;
		for (size_t i = segment; i < map->count && map->segments[i].start < at + len; i++)
			if (map->segments[i].len > longest)
				longest = map->segments[i].len, list[3] = map->segments[i].shift;
		top = equal_bytes(x, at, len, last);
		for (int i = 1; i < 4; i++) {
			size_t n = equal_bytes(x, at, len, list[i]);
			if (n > top)
				top = n, best = list[i];
		}
		if (top < len / 4 && (unlucky < BRUTE_TRIES || p % BRUTE_REST == 0)) {
			int64_t found = brute(x, at, len, best);
			size_t n = equal_bytes(x, at, len, found);
			unlucky = n > top + top / 8 + len / 128 ? 0 : unlucky + 1;
			if (n > top)
				best = found;
		}
		map->shifts[p] = last = best;
	}
}

int vn_delta_map_make(const uint8_t *old, size_t old_len, const uint8_t *data, size_t len, const struct vn_delta_options *options,
		      struct vn_delta_map *ret, struct vn_err *err)
{
	VN_AUTO(vn_delta_map) map = { 0 };
	VN_CLEANUP(index_release) struct index x = { .old = old, .data = data, .old_len = old_len, .len = len };
	map.pieces = (len + PIECE - 1) / PIECE;
	map.shifts = calloc(map.pieces + 1, sizeof(*map.shifts));
	if (!map.shifts)
		return vn_nomem(err);
	int rc = build_index(&x, err);
	if (rc < 0 || (rc = find_segments(&x, &map, err)) < 0 ||
	    (options && options->nhints && (rc = take_hints(&x, options, &map, err)) < 0))
		return rc;
	choose_shifts(&x, &map);
	*ret = map;
	map = (struct vn_delta_map){ 0 };
	return 0;
}
