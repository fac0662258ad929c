/* Paths inside an image: relative, '/'-separated bytes, no "." or "..", no leading or trailing slash; "" is the root. */
#ifndef VN_UTIL_PATH_H
#define VN_UTIL_PATH_H
#include "util/buf.h"
#include <stdbool.h>

/* Clean what a tar header says. VN_EUNSAFE for "..", an embedded NUL cannot occur, VN_ELIMIT beyond VN_MAX_PATH. */
int vn_path_clean(const char *raw, struct vn_buf *ret_path, struct vn_err *err);
/* Order in which every directory comes right before what it holds: bytes, with '/' below all others. */
int vn_path_cmp(const char *a, const char *b);
/* `path` is `dir` or lies below it. */
bool vn_path_below(const char *path, const char *dir);
const char *vn_path_base(const char *path);
/* Shell pattern over whole paths (a leading '/' is optional on both sides): '*' and '?' stay within a component, "**"
 * crosses them, [abc] classes; a pattern without '/' matches the last component anywhere; one that ends in '/' matches
 * everything below. */
bool vn_path_match(const char *pattern, const char *path);
#endif
