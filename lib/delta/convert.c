/* Binary interchange formats of IEEE 754; bfloat16 is the upper half of a binary32. */
#include "delta/convert.h"
#include "delta/element.h"

#define INLINE static inline __attribute__((always_inline))
#define F64_FRACTION 52
#define F64_TOP 0x7ffu
#define F64_BIAS 1023

static const struct {
	uint8_t width, exponent, fraction;        /* bytes, bits, bits */
	int32_t low, high;
} types[VN_DELTA_TYPES] = {
	[VN_DELTA_BYTES] = { 1, 0, 0, 0, 0 },
	[VN_DELTA_F16] = { 2, 5, 10, 0, 0 },
	[VN_DELTA_BF16] = { 2, 8, 7, 0, 0 },
	[VN_DELTA_F32] = { 4, 8, 23, 0, 0 },
	[VN_DELTA_F64] = { 8, 11, 52, 0, 0 },
	[VN_DELTA_U8] = { 1, 0, 0, 0, 255 },
	[VN_DELTA_I8] = { 1, 0, 0, -128, 127 },
	[VN_DELTA_U16] = { 2, 0, 0, 0, 65535 },
	[VN_DELTA_I16] = { 2, 0, 0, -32768, 32767 },
};

unsigned vn_delta_type_width(unsigned type)
{
	return types[type].width;
}

bool vn_delta_rule_valid(unsigned from, unsigned to)
{
	if (from == VN_DELTA_BYTES)
		return to == VN_DELTA_BYTES;
	return from <= VN_DELTA_F64 && to != VN_DELTA_BYTES && to < VN_DELTA_TYPES && to != from;
}

bool vn_delta_scale_valid(const struct vn_delta_scale *s)
{
	return s->step >= 1 && s->step <= VN_DELTA_FIXED_MAX && s->zero >= -VN_DELTA_ZERO_MAX && s->zero <= VN_DELTA_ZERO_MAX &&
	       s->base >= -VN_DELTA_FIXED_MAX && s->base <= VN_DELTA_FIXED_MAX;
}

INLINE uint64_t float_bits(unsigned type, const uint8_t *p)
{
	uint64_t bits = vn_delta_load(p, types[type].width);
	unsigned exponent = types[type].exponent, fraction = types[type].fraction, top = (1u << exponent) - 1;
	if (type == VN_DELTA_F64)
		return bits;
	uint64_t sign = bits >> (exponent + fraction) << 63, low = bits & (((uint64_t)1 << fraction) - 1);
	int e = (int)((unsigned)(bits >> fraction) & top), bias = (int)(top / 2);
	if (e == (int)top)
		return sign | (uint64_t)F64_TOP << F64_FRACTION | low << (F64_FRACTION - fraction);
	if (e == 0) {
		if (low == 0)
			return sign;
		for (e = 1; !(low >> fraction); e--)
			low <<= 1;
		low &= ((uint64_t)1 << fraction) - 1;
	}
	return sign | (uint64_t)(e - bias + F64_BIAS) << F64_FRACTION | low << (F64_FRACTION - fraction);
}

uint64_t vn_delta_float_bits(unsigned type, const uint8_t *p)
{
	return float_bits(type, p);
}

/* To the nearest, halves to even; too large becomes infinite; a NaN keeps its sign and the bits that fit, and is quiet. */
static uint64_t narrow(uint64_t f64, unsigned type)
{
	unsigned exponent = types[type].exponent, fraction = types[type].fraction, top = (1u << exponent) - 1;
	uint64_t sign = f64 >> 63 << (exponent + fraction), low = f64 & (((uint64_t)1 << F64_FRACTION) - 1);
	unsigned e = (unsigned)(f64 >> F64_FRACTION) & F64_TOP, drop = F64_FRACTION - fraction;
	if (e == F64_TOP && low)
		return sign | (uint64_t)top << fraction | low >> drop | (uint64_t)1 << (fraction - 1);
	int to = (int)e - F64_BIAS + (int)(top / 2);
	if (to >= (int)top)
		return sign | (uint64_t)top << fraction;
	if (to < 1) {
		if (to < -(int)fraction)
			return sign;
		drop += (unsigned)(1 - to);
		to = 1;
	}
	low |= (uint64_t)1 << F64_FRACTION;
	uint64_t kept = low >> drop, rest = low & (((uint64_t)1 << drop) - 1), half = (uint64_t)1 << (drop - 1);
	kept += rest > half || (rest == half && (kept & 1));
	return sign | (((uint64_t)(to - 1) << fraction) + kept);
}

int64_t vn_delta_fixed(uint64_t f64, int exponent)
{
	bool negative = f64 >> 63;
	unsigned e = (unsigned)(f64 >> F64_FRACTION) & F64_TOP;
	int64_t m = (int64_t)(f64 & (((uint64_t)1 << F64_FRACTION) - 1));
	if (e == F64_TOP)
		return m ? 0 : negative ? -VN_DELTA_FIXED_MAX : VN_DELTA_FIXED_MAX;
	if (e)
		m |= 1ll << F64_FRACTION;
	else
		e = 1;
	int shift = (int)e - F64_BIAS - F64_FRACTION + exponent;
	if (m == 0)
		return 0;
	if (shift >= 0)
		m = shift > 60 || m > VN_DELTA_FIXED_MAX >> shift ? VN_DELTA_FIXED_MAX : m << shift;
	else if (shift < -60)
		m = negative;
	else
		m = (m + (negative ? (1ll << -shift) - 1 : 0)) >> -shift;
	return negative ? -m : m;
}

int64_t vn_delta_quantise(int64_t fixed, const struct vn_delta_scale *s, unsigned to)
{
	int64_t up = 2 * (fixed - s->base) + s->step, by = 2 * s->step, q = up / by;
	q += s->zero - (up % by < 0);
	return q < types[to].low ? types[to].low : q > types[to].high ? types[to].high : q;
}

INLINE void convert(unsigned type, const struct vn_delta_rule *rule, const struct vn_delta_scale *scale, const uint8_t *from,
		    size_t count, uint8_t *to)
{
	unsigned in = types[type].width, out = types[rule->to].width;
	for (size_t i = 0; i < count; i++) {
		uint64_t v = float_bits(type, from + i * in);
		if (vn_delta_quantised(rule->to))
			v = (uint64_t)vn_delta_quantise(vn_delta_fixed(v, rule->exponent), scale, rule->to);
		else if (rule->to != VN_DELTA_F64)
			v = narrow(v, rule->to);
		vn_delta_store(to + i * out, out, v);
	}
}

void vn_delta_convert(const struct vn_delta_rule *rule, const struct vn_delta_scale *scale, const uint8_t *from, size_t count,
		      uint8_t *to)
{
	switch (rule->from) {
	case VN_DELTA_F16:
		convert(VN_DELTA_F16, rule, scale, from, count, to);
		break;
	case VN_DELTA_BF16:
		convert(VN_DELTA_BF16, rule, scale, from, count, to);
		break;
	case VN_DELTA_F32:
		convert(VN_DELTA_F32, rule, scale, from, count, to);
		break;
	default:
		convert(VN_DELTA_F64, rule, scale, from, count, to);
	}
}
