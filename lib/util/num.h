/* Checked arithmetic, number parsing and fixed-width little-endian integers. */
#ifndef VN_UTIL_NUM_H
#define VN_UTIL_NUM_H
#include "veneer/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool vn_add_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}
static inline bool vn_mul_size(size_t a, size_t b, size_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

/* Decimal digits only, the whole text; false when not so or too large. */
bool vn_parse_u64(const char *text, uint64_t *ret);
/* " (12,600 times less)": how often `part` goes into `whole`, three digits of it; below two " (47 % less)", or "". Returns
 * `out`. */
#define VN_TIMES_TEXT 64
const char *vn_times_text(uint64_t whole, uint64_t part, char out[VN_TIMES_TEXT]);
static inline void vn_put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8), p[2] = (uint8_t)(v >> 16), p[3] = (uint8_t)(v >> 24);
}
static inline void vn_put_u64(uint8_t *p, uint64_t v)
{
	vn_put_u32(p, (uint32_t)v), vn_put_u32(p + 4, (uint32_t)(v >> 32));
}
static inline uint32_t vn_get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t vn_get_u64(const uint8_t *p)
{
	return (uint64_t)vn_get_u32(p) | (uint64_t)vn_get_u32(p + 4) << 32;
}
/* LEB128, at most 10 bytes. put returns the bytes written (`out` holds 10); get the bytes read, 0 when malformed. */
size_t vn_put_varint(uint8_t out[10], uint64_t v);
size_t vn_get_varint(const uint8_t *p, size_t len, uint64_t *ret);

/* RFC 3339 in UTC ("2026-11-20T02:14:00Z"), whole seconds; parse accepts fractions and offsets. */
#define VN_TIME_TEXT 48
const char *vn_time_text(int64_t seconds, char out[VN_TIME_TEXT]);
bool vn_parse_time(const char *text, int64_t *ret_seconds);
#endif
