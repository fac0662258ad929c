/* What is known of paths while a layer passes: a few bits for each, under a keyed fingerprint of the path, in 32 bytes or so.
 * Two paths that somebody chose share a fingerprint with probability below 2^-100. */
#ifndef VN_ENGINE_MARKS_H
#define VN_ENGINE_MARKS_H
#include "util/digest.h"

#define VN_MARK_NONE 128 /* a bit that means nothing: of a path that lost its last one */

struct vn_marks;
int vn_marks_open(struct vn_marks **ret, struct vn_err *err);
void vn_marks_close(struct vn_marks *m); /* NULL is fine */
static inline void vn_marks_close_p(struct vn_marks **m)
{
	vn_marks_close(*m);
}
void vn_marks_clear(struct vn_marks *m);

/* The bits of the first `len` bytes of `path`; 0 when nothing is known. */
int vn_marks_get(struct vn_marks *m, const char *path, size_t len, uint8_t *ret, struct vn_err *err);
/* Takes away `drop`, then adds `add`. VN_ELIMIT beyond VN_MAX_TREE_PATHS paths. */
int vn_marks_set(struct vn_marks *m, const char *path, size_t len, uint8_t drop, uint8_t add, struct vn_err *err);
/* Every path's bits become change(bits). True when one of them was `any` before. */
bool vn_marks_each(struct vn_marks *m, uint8_t any, uint8_t (*change)(uint8_t bits));
#endif
