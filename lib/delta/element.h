/* Differences of little-endian elements, and byte planes. An element grid starts `phase` bytes into the block; bytes before
 * the first and behind the last whole element are differenced by XOR. */
#ifndef VN_DELTA_ELEMENT_H
#define VN_DELTA_ELEMENT_H
#include "delta/format.h"

struct vn_delta_shape {
	enum vn_delta_mode mode;          /* XOR, SUB, FSUB */
	unsigned width, phase;            /* 1, 2, 4, 8; phase < width */
};

void vn_delta_difference(const struct vn_delta_shape *shape, const uint8_t *old, const uint8_t *data, size_t len, uint8_t *ret);
/* In place: `data` holds the differences and then the bytes. */
void vn_delta_restore(const struct vn_delta_shape *shape, const uint8_t *old, uint8_t *data, size_t len);

/* Byte i goes to plane i % stride. */
void vn_delta_split(const uint8_t *data, size_t len, unsigned stride, uint8_t *ret);
void vn_delta_join(const uint8_t *planes, size_t len, unsigned stride, uint8_t *ret);
static inline size_t vn_delta_plane_len(size_t len, unsigned stride, unsigned plane)
{
	return len / stride + (plane < len % stride);
}
#endif
