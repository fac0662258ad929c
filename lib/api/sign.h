/* What the operations on signatures share. */
#ifndef VN_API_SIGN_H
#define VN_API_SIGN_H
#include "api/context.h"
#include "util/arena.h"

struct vn_sign_run {
	struct vn_arena arena;
	struct vn_sign_result result;
	struct vn_signature *list;           /* the arena's */
};
/* What is to be signed beside the digest: `annotations` of the settings, release and expiry, sorted by key. `now`: what "90d"
 * counts from. *ret NULL: nothing. */
int vn_sign_notes(const struct vn_sign_settings *settings, int64_t now, vn_json **ret, struct vn_err *err);
/* "2027-01-31T00:00:00Z", "90d", "12h" */
int vn_sign_expiry(const char *text, int64_t now, int64_t *ret, struct vn_err *err);
#endif
