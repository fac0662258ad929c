/* Numbers of one type as another one writes them: what a converting map of veneer-delta(5) does to the bytes of old. All of it
 * is integer arithmetic, so that every machine gets the same bits. */
#ifndef VN_DELTA_CONVERT_H
#define VN_DELTA_CONVERT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vn_delta_type {
	VN_DELTA_BYTES,               /* as it is */
	VN_DELTA_F16,
	VN_DELTA_BF16,
	VN_DELTA_F32,
	VN_DELTA_F64,
	VN_DELTA_U8,                  /* from here on: quantised */
	VN_DELTA_I8,
	VN_DELTA_U16,
	VN_DELTA_I16,
	VN_DELTA_TYPES
};
#define VN_DELTA_FIXED_MAX (1ll << 60)    /* most of a fixed point number, of a step, of a base */
#define VN_DELTA_ZERO_MAX (1ll << 20)
#define VN_DELTA_EXPONENT_MAX 1200

struct vn_delta_rule {
	uint8_t from, to;
	int16_t exponent;             /* quantised: numbers are taken times 2^exponent */
};
struct vn_delta_scale {               /* number = zero + (fixed - base) / step, to the nearest, halves upwards */
	int64_t step, zero, base;
};

unsigned vn_delta_type_width(unsigned type);
static inline bool vn_delta_quantised(unsigned type)
{
	return type >= VN_DELTA_U8;
}
/* Is it a conversion that the format has? */
bool vn_delta_rule_valid(unsigned from, unsigned to);
bool vn_delta_scale_valid(const struct vn_delta_scale *scale);

/* `count` elements that lie side by side; `scale` is NULL unless the target is quantised. */
void vn_delta_convert(const struct vn_delta_rule *rule, const struct vn_delta_scale *scale, const uint8_t *from, size_t count,
		      uint8_t *to);

/* Its parts. A float of any type as the bits of an f64; that times 2^exponent, rounded down. */
uint64_t vn_delta_float_bits(unsigned type, const uint8_t *p);
int64_t vn_delta_fixed(uint64_t f64, int exponent);
int64_t vn_delta_quantise(int64_t fixed, const struct vn_delta_scale *scale, unsigned to);
#endif
