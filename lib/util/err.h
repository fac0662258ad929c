/* Setting and wrapping struct vn_err. `err` is never NULL inside the library. */
#ifndef VN_UTIL_ERR_H
#define VN_UTIL_ERR_H
#include "veneer/error.h"

/* Set the cause where the fact is found. Returns -code. The _sys form appends strerror(errno) and keeps errno. */
int vn_fail(struct vn_err *err, enum vn_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vn_fail_sys(struct vn_err *err, enum vn_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Prepend "doing what: ", once for each module boundary; when full, the outer context is dropped, not the cause. Returns
 * -err->code. */
int vn_wrap(struct vn_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What the user can do about it; the first hint given stays. Returns -err->code. */
int vn_hint(struct vn_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline int vn_nomem(struct vn_err *err)
{
	return vn_fail(err, VN_ENOMEM, "out of memory");
}
#endif
