/* A number q stands for the fixed point numbers x with step(2q-1) <= 2(x-base) < step(2q+1): each q that occurs bounds the line
 * twice. The line that keeps the largest distance to all bounds is found by bisection, because that distance is concave in the
 * step. 2^44 for x and 2^16 for q keep all products in 64 bits. */
#include "delta/scale.h"
#include "delta/element.h"
#include <stdlib.h>

#define NUMBERS 65536
#define FIXED_LOG2 43
#define LEVELS_MIN 4
#define STEP_MAX (1ll << (FIXED_LOG2 + 2))

static const int32_t lowest[VN_DELTA_TYPES] = { [VN_DELTA_I8] = -128, [VN_DELTA_I16] = -32768 };
static const int32_t highest[VN_DELTA_TYPES] = {
	[VN_DELTA_U8] = 255, [VN_DELTA_I8] = 127, [VN_DELTA_U16] = 65535, [VN_DELTA_I16] = 32767
};

int vn_delta_scaling_open(struct vn_delta_scaling *ret, struct vn_err *err)
{
	*ret = (struct vn_delta_scaling){ .levels = malloc(NUMBERS * sizeof(*ret->levels)) };
	return ret->levels ? 0 : vn_nomem(err);
}

void vn_delta_scaling_release(struct vn_delta_scaling *fit)
{
	free(fit->levels);
	*fit = (struct vn_delta_scaling){ 0 };
}

int32_t vn_delta_number(unsigned type, const uint8_t *p)
{
	unsigned v = (unsigned)vn_delta_load(p, vn_delta_type_width(type));
	return type == VN_DELTA_I8 ? (int8_t)v : type == VN_DELTA_I16 ? (int16_t)v : (int32_t)v;
}

int vn_delta_scaling_exponent(unsigned from, const uint8_t *old, size_t count)
{
	unsigned top = 1, width = vn_delta_type_width(from);
	for (size_t i = 0; i < count; i++) {
		unsigned e = (unsigned)(vn_delta_float_bits(from, old + i * width) >> 52) & 0x7ff;
		if (e > top && e < 0x7ff)
			top = e;
	}
	int exponent = FIXED_LOG2 + 1023 - (int)top;
	return exponent > VN_DELTA_EXPONENT_MAX ? VN_DELTA_EXPONENT_MAX : exponent;
}

static int by_number(const void *a, const void *b)
{
	const struct vn_delta_level *x = a, *y = b;
	return (x->number > y->number) - (x->number < y->number);
}

static void widen(struct vn_delta_level *l, int64_t low, int64_t high)
{
	l->low = low < l->low ? low : l->low;
	l->high = high > l->high ? high : l->high;
}

/* A few elements are sorted; many go through a table. */
static void find_levels(struct vn_delta_scaling *f, const uint8_t *old, const uint8_t *data, size_t count)
{
	unsigned from = f->rule.from, to = f->rule.to, in = vn_delta_type_width(from), out = vn_delta_type_width(to);
	int32_t base = lowest[to], numbers = highest[to] - base + 1;
	bool table = count >= (size_t)numbers / 4 || count > NUMBERS / 4;
	size_t n = 0;
	for (int32_t q = 0; table && q < numbers; q++)
		f->levels[q] = (struct vn_delta_level){ q + base, INT64_MAX, INT64_MIN };
	for (size_t i = 0; i < count; i++) {
		int32_t q = vn_delta_number(to, data + i * out);
		int64_t x = vn_delta_fixed(vn_delta_float_bits(from, old + i * in), f->rule.exponent);
		if (table)
			widen(&f->levels[q - base], x, x);
		else
			f->levels[i] = (struct vn_delta_level){ q, x, x };
	}
	if (!table)
		qsort(f->levels, count, sizeof(*f->levels), by_number);
	for (size_t i = 0; i < (table ? (size_t)numbers : count); i++) {
		const struct vn_delta_level l = f->levels[i];
		if (l.low > l.high)
			continue;
		if (n > 0 && f->levels[n - 1].number == l.number)
			widen(&f->levels[n - 1], l.low, l.high);
		else
			f->levels[n++] = l;
	}
	f->count = n;
	f->first = n ? f->levels[0].number : 0;
	f->last = n ? f->levels[n - 1].number : 0;
}

/* Twice the base lies above *ret_low and not above *ret_high. */
static void bounds(const struct vn_delta_scaling *f, int64_t step, int64_t *ret_low, int64_t *ret_high)
{
	int64_t low = -(INT64_MAX / 4), high = INT64_MAX / 4;
	for (size_t i = 0; i < f->count; i++) {
		const struct vn_delta_level *l = &f->levels[i];
		int64_t twice = 2 * (int64_t)l->number;
		int64_t below = 2 * l->low - step * (twice - 1), above = 2 * l->high - step * (twice + 1);
		/* what was out of range became the ends */
		if (l->number != lowest[f->rule.to] && below < high)
			high = below;
		if (l->number != highest[f->rule.to] && above > low)
			low = above;
	}
	*ret_low = low;
	*ret_high = high;
}

static int64_t margin(const struct vn_delta_scaling *f, int64_t step, bool through_zero, int64_t zero)
{
	int64_t low, high;
	bounds(f, step, &low, &high);
	if (!through_zero)
		return high - low;
	int64_t base = -2 * zero * step;
	return high - base < base - low ? high - base : base - low;
}

static int64_t best_step(const struct vn_delta_scaling *f, bool through_zero, int64_t zero)
{
	int64_t low = 1, high = STEP_MAX;
	while (low < high) {
		int64_t mid = low + (high - low) / 2;
		if (margin(f, mid + 1, through_zero, zero) > margin(f, mid, through_zero, zero))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Levels that the scale does not explain when `drop` bits fewer are taken; no further than `most`. */
static size_t failures(const struct vn_delta_scaling *f, const struct vn_delta_scale *s, unsigned drop, size_t most)
{
	size_t n = 0;
	for (size_t i = 0; i < f->count && n <= most; i++) {
		const struct vn_delta_level *l = &f->levels[i];
		n += vn_delta_quantise(l->low >> drop, s, f->rule.to) != l->number ||
		     vn_delta_quantise(l->high >> drop, s, f->rule.to) != l->number;
	}
	return n;
}

static int64_t nearest(int64_t a, int64_t b)
{
	int64_t q = (2 * a + b) / (2 * b);
	return q - ((2 * a + b) % (2 * b) < 0);
}

bool vn_delta_scaling_fit(struct vn_delta_scaling *f, unsigned from, unsigned to, const uint8_t *old, const uint8_t *data,
			  size_t count)
{
	f->rule = (struct vn_delta_rule){ (uint8_t)from, (uint8_t)to, (int16_t)vn_delta_scaling_exponent(from, old, count) };
	find_levels(f, old, data, count);
	if (f->count < LEVELS_MIN || f->levels[0].low >= f->levels[f->count - 1].high)
		return false;
	int64_t low, high, step = best_step(f, false, 0);
	bounds(f, step, &low, &high);
	if (high - low < -4 * step || step == STEP_MAX)
		return false;
	int64_t base = low / 2 + (high - low) / 4, zero = nearest(-base, step);
	f->scale = (struct vn_delta_scale){ step, 0, base };
	if (zero >= -NUMBERS && zero <= NUMBERS) {
		struct vn_delta_scale plain = { best_step(f, true, zero), zero, 0 };
		size_t most = failures(f, &f->scale, 0, f->count);
		if (failures(f, &plain, 0, most) <= most)
			f->scale = plain;
	}
	return vn_delta_scale_valid(&f->scale);
}

static int64_t rounded(int64_t v, unsigned drop)
{
	return drop ? (v + (1ll << (drop - 1))) >> drop : v;
}

void vn_delta_scaling_shorten(struct vn_delta_scaling *f)
{
	size_t most = failures(f, &f->scale, 0, f->count);
	for (unsigned drop = FIXED_LOG2; drop > 0; drop--) {
		struct vn_delta_scale s = { rounded(f->scale.step, drop), f->scale.zero, rounded(f->scale.base, drop) };
		if (vn_delta_scale_valid(&s) && f->rule.exponent - (int)drop >= -VN_DELTA_EXPONENT_MAX &&
		    failures(f, &s, drop, most) <= most) {
			f->scale = s;
			f->rule.exponent = (int16_t)(f->rule.exponent - (int)drop);
			return;
		}
	}
}
