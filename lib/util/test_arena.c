#include "util/arena.h"
#include "util/test.h"
#include <stdlib.h>

static void test_take(void)
{
	struct vn_arena a = { NULL };
	struct vn_err err = { 0 };
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 8191, 8192, 8193, 32767, 32768, 32769, 1 << 20 };
	static const size_t n = sizeof(sizes) / sizeof(sizes[0]);
	char *p[24];
	for (size_t i = 0; i < 2 * n; i++) {
		p[i] = vn_arena_take(&a, sizes[i % n], &err);
		CHECK(p[i] && (uintptr_t)p[i] % 16 == 0);
		for (size_t k = 0; k < sizes[i % n]; k++)
			if (p[i][k]) {
				CHECK(!"zeroed");
				break;
			}
		memset(p[i], 0xff, sizes[i % n]);
	}
	/* nobody's bytes are another's */
	for (size_t i = 0; i < 2 * n; i++)
		memset(p[i], (int)i, sizes[i % n]);
	for (size_t i = 0; i < 2 * n; i++)
		for (size_t k = 0; k < sizes[i % n]; k++)
			if (p[i][k] != (char)i) {
				CHECK(!"its own");
				break;
			}
	vn_arena_release(&a);
	CHECK(a.blocks == NULL);
	vn_arena_release(&a);
}

static void test_texts(void)
{
	struct vn_arena a = { NULL };
	struct vn_err err = { 0 };
	char long_text[40000];
	CHECK_STR(vn_arena_text(&a, "text", &err), "text");
	CHECK_STR(vn_arena_text(&a, "", &err), "");
	CHECK(vn_arena_text(&a, NULL, &err) == NULL);
	CHECK_EQ(err.code, VN_OK);
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = 0;
	CHECK_STR(vn_arena_text(&a, long_text, &err), long_text);
	CHECK_STR(vn_arena_printf(&a, &err, "%s/%d", "a", 7), "a/7");
	CHECK_EQ(strlen(vn_arena_printf(&a, &err, "%s!", long_text)), sizeof(long_text));
	vn_arena_release(&a);
}

static void test_too_much(void)
{
	struct vn_arena a = { NULL };
	struct vn_err err = { 0 };
	CHECK(vn_arena_take(&a, SIZE_MAX, &err) == NULL);
	CHECK_EQ(err.code, VN_ENOMEM);
	CHECK(vn_arena_take(&a, SIZE_MAX - 8, &err) == NULL);
	CHECK(vn_arena_take(&a, 8, &err) != NULL);
	vn_arena_release(&a);
}

int main(void)
{
	RUN(test_take);
	RUN(test_texts);
	RUN(test_too_much);
	return vn_test_end();
}
