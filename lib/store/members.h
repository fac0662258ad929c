/* The members of an archive file, by name. A plain tar is read in place; a compressed one, or one that comes through a pipe, is
 * spooled into an unnamed file first. Names and links that leave the archive are VN_EUNSAFE: nothing is ever extracted. */
#ifndef VN_STORE_MEMBERS_H
#define VN_STORE_MEMBERS_H
#include "stream/in.h"

struct vn_members;
struct vn_member {
	char *name;              /* clean (util/path.h) */
	uint64_t offset, size;
	char *link;              /* target as written, or NULL */
	bool hard;               /* link is a path from the archive's root */
	bool sparse;             /* its bytes are not in one piece */
	uint32_t order;          /* position in the archive: a later member of one name replaces an earlier one */
};

int vn_members_open(const char *path, const struct vn_events *events, struct vn_members **ret, struct vn_err *err);
/* Owns fd, also when it fails. */
int vn_members_open_fd(int fd, const char *name, const struct vn_events *events, struct vn_members **ret, struct vn_err *err);
void vn_members_close(struct vn_members *m);      /* NULL is fine */
static inline void vn_members_close_p(struct vn_members **m) { vn_members_close(*m); }

/* The file that `name` leads to, links followed: VN_ENOTFOUND when it is absent. */
int vn_members_find(const struct vn_members *m, const char *name, const struct vn_member **ret, struct vn_err *err);
/* Its bytes; the stream must not outlive `m`. */
int vn_members_in(const struct vn_members *m, const struct vn_member *member, struct vn_in **ret, struct vn_err *err);
/* The whole of a small member, up to the buffer's max. */
int vn_members_read(const struct vn_members *m, const char *name, struct vn_buf *ret, struct vn_err *err);
/* The first bytes of a member: how many there are. */
ssize_t vn_members_peek(const struct vn_members *m, const struct vn_member *member, void *out, size_t len, struct vn_err *err);
const char *vn_members_name(const struct vn_members *m);
#endif
