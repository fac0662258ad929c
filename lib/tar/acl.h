/* POSIX.1e ACLs of a tar entry in the form in which Linux keeps them as an extended attribute (linux/posix_acl_xattr.h). */
#ifndef VN_TAR_ACL_H
#define VN_TAR_ACL_H
#include "util/buf.h"

struct archive_entry;
/* `type`: ARCHIVE_ENTRY_ACL_TYPE_ACCESS or _DEFAULT. Nothing comes out for an ACL that the mode expresses. */
int vn_tar_acl_xattr(struct archive_entry *entry, int type, struct vn_buf *ret_bytes, struct vn_err *err);
#endif
