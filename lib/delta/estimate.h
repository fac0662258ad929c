/* What entropy coding would make of planes, in bits: integers only, so that every machine chooses the same. */
#ifndef VN_DELTA_ESTIMATE_H
#define VN_DELTA_ESTIMATE_H
#include "delta/element.h"

#define VN_DELTA_STRIDE_MAX 255
#define VN_DELTA_FRACTION 12          /* bits of a logarithm behind the point */
/* To base 2; v is not 0. */
uint64_t vn_delta_log2(uint64_t v);
struct vn_delta_estimate {
	uint64_t dense, sparse, classes;
};
/* `counts` has room for stride * 256 numbers; `phase` is where elements begin. */
struct vn_delta_estimate vn_delta_estimate(const uint8_t *data, size_t len, unsigned stride, unsigned phase, uint32_t *counts);
/* Classes, with a symbol for elements that became 0; UINT64_MAX where none did. `counts`: 256. */
uint64_t vn_delta_estimate_zeros(const struct vn_delta_shape *shape, const uint8_t *old, const uint8_t *data,
				 const uint8_t *residual, size_t len, uint32_t *counts);
#endif
