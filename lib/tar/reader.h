/* The door to libarchive: a layer's tar, entry by entry, in any dialect that builders emit (ustar, pax, GNU incl. sparse and
 * long names, star). Bytes of names stay bytes: no locale takes part. */
#ifndef VN_TAR_READER_H
#define VN_TAR_READER_H
#include "stream/in.h"

enum vn_entry_type { VN_FILE, VN_DIR, VN_SYMLINK, VN_HARDLINK, VN_CHAR, VN_BLOCK, VN_FIFO };

struct vn_xattr {
	const char *name;
	const void *value;
	size_t len;
};
struct vn_tar_entry {
	const char *path;            /* clean (util/path.h) */
	enum vn_entry_type type;
	uint32_t mode;               /* permission bits with setuid, setgid, sticky: 07777 */
	uint32_t uid, gid;
	uint64_t size;               /* VN_FILE: logical size, holes included; else 0 */
	int64_t mtime;               /* seconds */
	uint32_t mtime_nsec;
	uint32_t dev_major, dev_minor;
	const char *link;            /* VN_SYMLINK: as written; VN_HARDLINK: clean path in the image; else NULL */
	const struct vn_xattr *xattrs;       /* sorted by name; POSIX ACLs appear as system.posix_acl_* */
	size_t nxattrs;
};

struct vn_tar;
/* Owns `in` (plain tar bytes). `what` names the layer in messages; it is copied. */
int vn_tar_open(struct vn_in *in, const char *what, struct vn_tar **ret, struct vn_err *err);
/* 1 and the entry (valid until the next call), 0 at the end, -code. The end has drained `in`, so that its digest was checked. */
int vn_tar_next(struct vn_tar *tar, const struct vn_tar_entry **ret, struct vn_err *err);
/* The entry's contents in order, holes as zero bytes: length, 0 at the end, -code. */
ssize_t vn_tar_data(struct vn_tar *tar, const void **ret_block, struct vn_err *err);
/* Where the present file's contents begin in the tar; asked before they are read. Sparse files have none in one piece. */
uint64_t vn_tar_offset(const struct vn_tar *tar);
void vn_tar_close(struct vn_tar *tar);
static inline void vn_tar_close_p(struct vn_tar **t) { vn_tar_close(*t); }
#endif
