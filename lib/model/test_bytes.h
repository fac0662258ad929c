/* Test files written by hand: a small byte builder. */
#ifndef VN_MODEL_TEST_BYTES_H
#define VN_MODEL_TEST_BYTES_H
#include "model/look.h"
#include "util/cleanup.h"
#include "util/test.h"
#include <stdlib.h>

struct made {
	uint8_t p[20480];
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

/* The tensors of an exact-size copy; then those of every shorter one, which must lie inside it. */
static inline struct vn_model_tensors tensors(const char *path, const struct made *m)
{
	struct vn_model_tensors whole = { 0 };
	for (size_t n = m->n;; n -= n > 2048 ? 97 : 1) {
		struct vn_err err = { 0 };
		struct vn_model_tensors t = { 0 };
		uint8_t *exact = malloc(n ? n : 1);
		if (exact)
			memcpy(exact, m->p, n);
		CHECK_OK(vn_model_tensors(path, exact, exact ? n : 0, &t, &err), &err);
		for (size_t i = 0; i < t.count; i++)
			CHECK(t.list[i].at <= n && t.list[i].len <= n - t.list[i].at);
		free(exact);
		if (n == m->n)
			whole = t;
		else
			vn_model_tensors_release(&t);
		if (!n)
			return whole;
	}
}
#define AUTO_TENSORS VN_CLEANUP(vn_model_tensors_release) struct vn_model_tensors
#define CHECK_TENSOR(t, i, name_, element_, at_, len_)     \
	do {                                               \
		CHECK((t).count > (i));                    \
		if ((t).count <= (i))                      \
			break;                             \
		CHECK_STR((t).list[i].name, (name_));      \
		CHECK_STR((t).list[i].element, (element_));\
		CHECK_EQ((t).list[i].at, (at_));           \
		CHECK_EQ((t).list[i].len, (len_));         \
	} while (0)
#endif
