#include "delta/estimate.h"
#include "delta/model.h"
#include <string.h>

#define PLANE_COST (100 * 8)          /* bits for a stream's tables and head */

uint64_t vn_delta_log2(uint64_t v)
{
	unsigned whole = 63 - (unsigned)__builtin_clzll(v);
	uint64_t x = whole > 31 ? v >> (whole - 31) : v << (31 - whole), log = whole;      /* 1.31 */
	for (int i = 0; i < VN_DELTA_FRACTION; i++) {
		x = x * x >> 31;
		log <<= 1;
		if (x >> 32)
			x >>= 1, log |= 1;
	}
	return log;
}

static uint64_t entropy(const uint32_t counts[256], uint64_t skip_zero)
{
	uint64_t total = 0, sum = 0;
	for (int v = 0; v < 256; v++) {
		uint64_t n = counts[v] - (v == 0 ? skip_zero : 0);
		if (n)
			total += n, sum += n * vn_delta_log2(n);
	}
	return total ? (total * vn_delta_log2(total) - sum) >> VN_DELTA_FRACTION : 0;
}

static uint64_t cost_of_symbols(const uint32_t counts[256], unsigned width)
{
	uint64_t bits = PLANE_COST;
	for (unsigned s = 0; s < 256; s++)
		bits += (uint64_t)counts[s] * vn_delta_class_bits(s >> vn_delta_signed(width));
	return bits + entropy(counts, 0);
}

static uint64_t classes(const uint8_t *p, size_t elements, unsigned width, uint32_t counts[256])
{
	uint64_t low;
	memset(counts, 0, 256 * sizeof(*counts));
	for (size_t i = 0; i < elements; i++)
		counts[vn_delta_symbol(vn_delta_load(p + i * width, width), width, &low)]++;
	return cost_of_symbols(counts, width);
}

uint64_t vn_delta_estimate_zeros(const struct vn_delta_shape *s, const uint8_t *old, const uint8_t *data,
				 const uint8_t *residual, size_t len, uint32_t *counts)
{
	uint64_t low;
	memset(counts, 0, 256 * sizeof(*counts));
	for (size_t at = s->phase; at + s->width <= len; at += s->width)
		counts[vn_delta_zeroed(s, old + at, data + at) ? VN_DELTA_ZERO :
		       vn_delta_symbol(vn_delta_load(residual + at, s->width), s->width, &low)]++;
	return counts[VN_DELTA_ZERO] ? cost_of_symbols(counts, s->width) : UINT64_MAX;
}

struct vn_delta_estimate vn_delta_estimate(const uint8_t *data, size_t len, unsigned stride, unsigned phase, uint32_t *counts)
{
	struct vn_delta_estimate e = { 0, 0, UINT64_MAX };
	size_t elements = len > phase ? (len - phase) / stride : 0, zeros = 0;
	const uint8_t *p = data + phase;
	memset(counts, 0, (size_t)stride * 256 * sizeof(*counts));
	for (size_t i = 0; i < elements; i++, p += stride) {
		unsigned any = 0;
		for (unsigned k = 0; k < stride; k++)
			any |= p[k], counts[k * 256 + p[k]]++;
		zeros += any == 0;
	}
	if (zeros && zeros < elements)
		e.sparse = (elements * vn_delta_log2(elements) - zeros * vn_delta_log2(zeros) -
			    (elements - zeros) * vn_delta_log2(elements - zeros)) >> VN_DELTA_FRACTION;
	for (unsigned k = 0; k < stride; k++) {
		e.dense += entropy(counts + k * 256, 0) + PLANE_COST;
		e.sparse += entropy(counts + k * 256, zeros) + PLANE_COST;
	}
	if (stride == 1 || stride == 2 || stride == 4 || stride == 8)
		e.classes = classes(data + phase, elements, stride, counts);
	return e;
}
