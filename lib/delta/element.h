/* Differences of little-endian elements, and byte planes. An element grid starts `phase` bytes into the block; bytes before
 * the first and behind the last whole element are differenced by XOR. */
#ifndef VN_DELTA_ELEMENT_H
#define VN_DELTA_ELEMENT_H
#include "delta/format.h"
#include "util/num.h"

struct vn_delta_shape {
	enum vn_delta_mode mode;          /* XOR, SUB, FSUB */
	unsigned width, phase;            /* 1, 2, 4, 8; phase < width */
};

void vn_delta_difference(const struct vn_delta_shape *shape, const uint8_t *old, const uint8_t *data, size_t len, uint8_t *ret);
/* In place: `data` holds the differences and then the bytes. */
void vn_delta_restore(const struct vn_delta_shape *shape, const uint8_t *old, uint8_t *data, size_t len);

/* The class of a number: itself below 4, else its length in bits and its two bits behind the first; the bits below are kept
 * apart, because in the noise of trained weights they have no pattern that a compressor could find. */
static inline unsigned vn_delta_class(uint64_t v)
{
	if (v < 4)
		return (unsigned)v;
	unsigned low = 61 - (unsigned)__builtin_clzll(v);
	return (low + 1) * 4 + (unsigned)(v >> low & 3);
}
static inline unsigned vn_delta_class_bits(unsigned class)
{
	return class < 8 ? 0 : class / 4 - 1;
}
/* The smallest number of a class. */
static inline uint64_t vn_delta_class_base(unsigned class)
{
	return class < 4 ? class : (uint64_t)(4 + class % 4) << vn_delta_class_bits(class);
}
static inline uint64_t vn_delta_load(const uint8_t *p, unsigned width)
{
	return width == 1 ? *p : width == 2 ? (uint64_t)(p[0] | p[1] << 8) : width == 4 ? vn_get_u32(p) : vn_get_u64(p);
}
static inline void vn_delta_store(uint8_t *p, unsigned width, uint64_t v)
{
	p[0] = (uint8_t)v;
	if (width > 1)
		p[1] = (uint8_t)(v >> 8);
	if (width > 2)
		p[2] = (uint8_t)(v >> 16), p[3] = (uint8_t)(v >> 24);
	if (width > 4)
		vn_put_u32(p + 4, (uint32_t)(v >> 32));
}

static inline uint64_t vn_delta_mask(unsigned width)
{
	return UINT64_MAX >> (64 - 8 * width);
}
/* Integers in the order of the IEEE 754 values: negative ones with all bits turned, the others with the sign bit set. */
static inline uint64_t vn_delta_ordered(uint64_t v, unsigned width)
{
	uint64_t sign = v >> (8 * width - 1);
	return v ^ (((0 - sign) & vn_delta_mask(width)) | (uint64_t)1 << (8 * width - 1));
}
static inline uint64_t vn_delta_unordered(uint64_t v, unsigned width)
{
	uint64_t sign = ~v >> (8 * width - 1) & 1;
	return v ^ (((0 - sign) & vn_delta_mask(width)) | (uint64_t)1 << (8 * width - 1));
}
/* The element d steps on; bits above the width are of no meaning. */
static inline uint64_t vn_delta_moved(uint64_t old, uint64_t d, enum vn_delta_mode mode, unsigned width)
{
	return mode == VN_DELTA_SUB ? old + d :
	       vn_delta_unordered((vn_delta_ordered(old, width) + d) & vn_delta_mask(width), width);
}
static inline uint64_t vn_delta_restored(uint64_t old, uint64_t residual, enum vn_delta_mode mode, unsigned width)
{
	return mode == VN_DELTA_XOR ? old ^ residual : vn_delta_moved(old, residual >> 1 ^ (0 - (residual & 1)), mode, width);
}

/* Byte i goes to plane i % stride. */
void vn_delta_split(const uint8_t *data, size_t len, unsigned stride, uint8_t *ret);
void vn_delta_join(const uint8_t *planes, size_t len, unsigned stride, uint8_t *ret);
static inline size_t vn_delta_plane_len(size_t len, unsigned stride, unsigned plane)
{
	return len / stride + (plane < len % stride);
}
#endif
