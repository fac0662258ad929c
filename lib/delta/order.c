#include "delta/order.h"
#include "delta/scale.h"
#include "delta/element.h"
#include "util/num.h"
#include <stdlib.h>
#include <string.h>

#define FIRST 4                       /* fewer pairs are none */
#define SIDE_MIN 12                   /* elements below and above 0 that are enough to part them there */

/* Bits of a float as an integer of the same order. */
static int64_t ordered(uint64_t bits, unsigned width)
{
	unsigned up = 64 - 8 * width;
	int64_t v = (int64_t)(bits << up) >> up;
	return v ^ (v >> 63 & INT64_MAX);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* Parted at 0 where the numbers have signs, because rows with scales of their own still agree in those. */
static int64_t pivot_of(const int64_t *value, size_t count, unsigned to)
{
	int64_t sorted[VN_DELTA_ORDER_SPAN];
	size_t below = 0, above = 0;
	for (size_t i = 0; i < count; i++)
		below += value[i] < 0, above += value[i] > 0;
	if (to != VN_DELTA_U8 && to != VN_DELTA_U16 && below >= SIDE_MIN && above >= SIDE_MIN)
		return 0;
	memcpy(sorted, value, count * sizeof(*value));
	qsort(sorted, count, sizeof(*sorted), by_value);
	return sorted[count / 2];
}

void vn_delta_order_make(struct vn_delta_order *ret, unsigned from, unsigned to, const uint8_t *data, size_t count)
{
	int64_t value[VN_DELTA_ORDER_SPAN], pivot;
	unsigned in = vn_delta_type_width(from), width = vn_delta_type_width(to);
	size_t low = 0, high = 0, n = count < VN_DELTA_ORDER_SPAN ? count : VN_DELTA_ORDER_SPAN;
	for (size_t i = 0; i < n; i++)
		value[i] = vn_delta_quantised(to) ? vn_delta_number(to, data + i * width)
						  : ordered(vn_delta_load(data + i * width, width), width);
	*ret = (struct vn_delta_order){ .width = in, .span = n * in };
	if (n == 0)
		return;
	pivot = pivot_of(value, n, to);
	for (size_t i = 0; i < n; i++) {
		if (value[i] < pivot && low < VN_DELTA_ORDER_PAIRS)
			ret->low[low++] = (uint16_t)(i * in);
		else if (value[i] > pivot && high < VN_DELTA_ORDER_PAIRS)
			ret->high[high++] = (uint16_t)(i * in);
	}
	ret->count = low < high ? low : high;
	ret->count = ret->count < FIRST ? 0 : ret->count;
}

#define INLINE static inline __attribute__((always_inline))

INLINE int64_t key(const uint8_t *p, unsigned width)
{
	int64_t v = width == 8 ? (int64_t)vn_get_u64(p) : width == 4 ? (int32_t)vn_get_u32(p) : (int16_t)(p[0] | p[1] << 8);
	return v ^ (v >> 63 & INT64_MAX);
}

INLINE unsigned wrong(const struct vn_delta_order *o, const uint8_t *p, size_t i, unsigned width)
{
	return key(p + o->low[i], width) >= key(p + o->high[i], width);
}

INLINE bool holds(const struct vn_delta_order *o, const uint8_t *p, unsigned width)
{
	/* the first ones at once: what fails does so without a guess of the processor */
	if (wrong(o, p, 0, width) | wrong(o, p, 1, width) | wrong(o, p, 2, width) | wrong(o, p, 3, width))
		return false;
	for (size_t i = FIRST; i < o->count; i++)
		if (wrong(o, p, i, width))
			return false;
	return true;
}

bool vn_delta_order_holds(const struct vn_delta_order *o, const uint8_t *old)
{
	if (o->count == 0)
		return true;
	return o->width == 2 ? holds(o, old, 2) : o->width == 4 ? holds(o, old, 4) : holds(o, old, 8);
}

INLINE size_t search(const struct vn_delta_order *o, const uint8_t *old, size_t begin, size_t end, size_t step, unsigned width)
{
	while (begin < end && !holds(o, old + begin, width))
		begin += step;
	return begin;
}

size_t vn_delta_order_search(const struct vn_delta_order *o, const uint8_t *old, size_t len, size_t begin, size_t end,
			     size_t step)
{
	size_t last = len < o->span ? 0 : len - o->span + 1, stop = end < last ? end : last;
	if (begin >= stop)
		return end;
	size_t at = o->width == 2 ? search(o, old, begin, stop, step, 2)
				  : o->width == 4 ? search(o, old, begin, stop, step, 4) : search(o, old, begin, stop, step, 8);
	return at < stop ? at : end;
}
