#include "delta/element.h"

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t difference(uint64_t old, uint64_t data, enum vn_delta_mode mode, unsigned width)
{
	if (mode == VN_DELTA_XOR)
		return old ^ data;
	if (mode == VN_DELTA_FSUB)
		old = vn_delta_ordered(old, width), data = vn_delta_ordered(data, width);
	uint64_t d = data - old, sign = d >> (8 * width - 1) & 1;
	return d << 1 ^ (0 - sign);
}

INLINE void run(enum vn_delta_mode mode, unsigned width, const uint8_t *old, const uint8_t *data, size_t count, uint8_t *ret,
		int back)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t a = vn_delta_load(old + i * width, width), b = vn_delta_load(data + i * width, width);
		vn_delta_store(ret + i * width, width, back ? vn_delta_restored(a, b, mode, width) : difference(a, b, mode, width));
	}
}

INLINE void by_width(enum vn_delta_mode mode, unsigned width, const uint8_t *old, const uint8_t *data, size_t count,
		     uint8_t *ret, int back)
{
	switch (width) {
	case 1:
		run(mode, 1, old, data, count, ret, back);
		break;
	case 2:
		run(mode, 2, old, data, count, ret, back);
		break;
	case 4:
		run(mode, 4, old, data, count, ret, back);
		break;
	default:
		run(mode, 8, old, data, count, ret, back);
	}
}

INLINE void transform(const struct vn_delta_shape *s, const uint8_t *old, const uint8_t *data, size_t len, uint8_t *ret,
		      int back)
{
	size_t head = s->phase < len ? s->phase : len, count = (len - head) / s->width, tail = head + count * s->width;
	run(VN_DELTA_XOR, 1, old, data, head, ret, back);
	if (s->mode == VN_DELTA_XOR)
		run(VN_DELTA_XOR, 1, old + head, data + head, tail - head, ret + head, back);
	else if (s->mode == VN_DELTA_SUB)
		by_width(VN_DELTA_SUB, s->width, old + head, data + head, count, ret + head, back);
	else
		by_width(VN_DELTA_FSUB, s->width, old + head, data + head, count, ret + head, back);
	run(VN_DELTA_XOR, 1, old + tail, data + tail, len - tail, ret + tail, back);
}

void vn_delta_difference(const struct vn_delta_shape *shape, const uint8_t *old, const uint8_t *data, size_t len, uint8_t *ret)
{
	transform(shape, old, data, len, ret, 0);
}

void vn_delta_restore(const struct vn_delta_shape *shape, const uint8_t *old, uint8_t *data, size_t len)
{
	transform(shape, old, data, len, data, 1);
}

void vn_delta_split(const uint8_t *data, size_t len, unsigned stride, uint8_t *ret)
{
	for (unsigned k = 0; k < stride; k++)
		for (size_t i = k; i < len; i += stride)
			*ret++ = data[i];
}

void vn_delta_join(const uint8_t *planes, size_t len, unsigned stride, uint8_t *ret)
{
	for (unsigned k = 0; k < stride; k++)
		for (size_t i = k; i < len; i += stride)
			ret[i] = *planes++;
}
