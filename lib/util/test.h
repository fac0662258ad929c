/* Unit tests: `static void test_x(void) { CHECK_EQ(…); }` and `int main(void) { RUN(test_x); return vn_test_end(); }`.
 * Prints TAP; a failed check names both values and the test goes on. */
#ifndef VN_UTIL_TEST_H
#define VN_UTIL_TEST_H
#include "util/err.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int vn_test_bad, vn_test_failed, vn_test_count;

#define CHECK(cond)                                                                          \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			vn_test_bad++;                                                       \
			printf("# %s:%d: %s is false\n", __FILE__, __LINE__, #cond);         \
		}                                                                            \
	} while (0)
#define CHECK_EQ(a, b)                                                                       \
	do {                                                                                 \
		long long a_ = (long long)(a), b_ = (long long)(b);                          \
		if (a_ != b_) {                                                              \
			vn_test_bad++;                                                       \
			printf("# %s:%d: %s = %lld, expected %lld\n", __FILE__, __LINE__, #a, a_, b_); \
		}                                                                            \
	} while (0)
#define CHECK_STR(a, b)                                                                      \
	do {                                                                                 \
		const char *a_ = (a), *b_ = (b);                                             \
		if (!a_ || !b_ ? a_ != b_ : strcmp(a_, b_)) {                                \
			vn_test_bad++;                                                       \
			printf("# %s:%d: %s = \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #a, a_ ? a_ : "(null)", \
			       b_ ? b_ : "(null)");                                          \
		}                                                                            \
	} while (0)
/* The text contains a piece. */
#define CHECK_HAS(text, piece)                                                               \
	do {                                                                                 \
		const char *t_ = (text);                                                     \
		if (!t_ || !strstr(t_, (piece))) {                                           \
			vn_test_bad++;                                                       \
			printf("# %s:%d: \"%s\" lacks \"%s\"\n", __FILE__, __LINE__, t_ ? t_ : "(null)", (piece)); \
		}                                                                            \
	} while (0)
/* A call that must succeed; prints the error when it does not. */
#define CHECK_OK(call, err)                                                                  \
	do {                                                                                 \
		if ((call) < 0) {                                                            \
			vn_test_bad++;                                                       \
			printf("# %s:%d: %s: %s\n", __FILE__, __LINE__, #call, (err)->text); \
		}                                                                            \
	} while (0)
#define RUN(test)                                                                            \
	do {                                                                                 \
		vn_test_bad = 0;                                                             \
		test();                                                                      \
		vn_test_failed += vn_test_bad != 0;                                          \
		printf("%s %d - %s\n", vn_test_bad ? "not ok" : "ok", ++vn_test_count, #test); \
	} while (0)

static inline int vn_test_end(void)
{
	printf("1..%d\n", vn_test_count);
	return vn_test_failed != 0;
}
#endif
