/* Memory that lives and goes together: a result's texts and arrays. */
#ifndef VN_UTIL_ARENA_H
#define VN_UTIL_ARENA_H
#include "util/err.h"
#include <stddef.h>

struct vn_arena {
	struct vn_arena_block *blocks;       /* NULL before the first use */
};
/* Zeroed and aligned for any object; NULL and err set when memory is out. */
void *vn_arena_take(struct vn_arena *a, size_t size, struct vn_err *err);
/* A copy of a text; NULL stays NULL (and is no failure: check the input, not the result, for that). */
const char *vn_arena_text(struct vn_arena *a, const char *text, struct vn_err *err);
const char *vn_arena_printf(struct vn_arena *a, struct vn_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void vn_arena_release(struct vn_arena *a);
#endif
