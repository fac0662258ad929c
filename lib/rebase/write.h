/* The veneer layers themselves: deterministic tar and gzip in unlinked files, ready for any sink. */
#ifndef VN_REBASE_WRITE_H
#define VN_REBASE_WRITE_H
#include "rebase/contents.h"

struct vn_veneer_blob {
	struct vn_tmp tmp;           /* the compressed bytes */
	struct vn_desc desc;         /* media type of `family` */
	struct vn_digest diff_id;
	uint64_t plain_size, files, whiteouts;
	enum vn_role role;
};
/* One blob for each role that has items, in the order in which they are stacked. */
int vn_veneer_write(const struct vn_payload *payload, const struct vn_payload_contents *contents, enum vn_family family,
		    struct vn_veneer_blob ret[VN_ROLES], size_t *ret_n, struct vn_err *err);
void vn_veneer_blob_release(struct vn_veneer_blob *blob);
int vn_veneer_open(const struct vn_veneer_blob *blob, struct vn_in **ret, struct vn_err *err);
#endif
