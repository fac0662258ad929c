/* Test files written by hand: a small byte builder. */
#ifndef VN_MODEL_TEST_BYTES_H
#define VN_MODEL_TEST_BYTES_H
#include "model/look.h"
#include "util/test.h"
#include <stdlib.h>

struct made {
	uint8_t p[16384];
	size_t n;
};
static inline void put(struct made *m, const void *bytes, size_t len)
{
	if (len <= sizeof(m->p) - m->n) {
		memcpy(m->p + m->n, bytes, len);
		m->n += len;
	}
}
static inline void put_text(struct made *m, const char *text)
{
	put(m, text, strlen(text));
}
#define PUT(m, literal) put((m), "" literal, sizeof(literal) - 1)
static inline void put_le(struct made *m, uint64_t v, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		put(m, &(uint8_t){ (uint8_t)(v >> 8 * i) }, 1);
}
static inline void put_zeros(struct made *m, size_t n)
{
	while (n--)
		put(m, "", 1);
}
static inline void put_varint(struct made *m, uint64_t v)
{
	for (; v > 127; v >>= 7)
		put(m, &(uint8_t){ (uint8_t)(v | 128) }, 1);
	put(m, &(uint8_t){ (uint8_t)v }, 1);
}
static inline void pb_bytes(struct made *m, unsigned number, const void *bytes, size_t len)
{
	put_varint(m, number << 3 | 2);
	put_varint(m, len);
	put(m, bytes, len);
}
static inline void pb_text(struct made *m, unsigned number, const char *text)
{
	pb_bytes(m, number, text, strlen(text));
}
static inline void pb_made(struct made *m, unsigned number, const struct made *inner)
{
	pb_bytes(m, number, inner->p, inner->n);
}
static inline void pb_int(struct made *m, unsigned number, uint64_t v)
{
	put_varint(m, number << 3);
	put_varint(m, v);
}

/* Look at an exact-size copy, so that a read past the end is seen; then at every shorter one, which must not crash. */
static inline struct vn_model_facts look(const char *path, const struct made *m)
{
	struct vn_model_facts f, ignored;
	for (size_t n = m->n;; n--) {
		uint8_t *exact = malloc(n ? n : 1);
		if (exact)
			memcpy(exact, m->p, n);
		vn_model_look(path, exact, exact ? n : 0, n == m->n ? &f : &ignored);
		free(exact);
		if (!n)
			return f;
		if (n > 2048)
			n -= 97;
	}
}
#define CHECK_FACTS(f, format_, detail_, element_, quantisation_)  \
	do {                                                       \
		CHECK_STR((f).format, (format_));                  \
		CHECK_STR((f).detail, (detail_));                  \
		CHECK_STR((f).element, (element_));                \
		CHECK_STR((f).quantisation, (quantisation_));      \
	} while (0)
#endif
