/* Files that hold deflate streams (zip, gzip, zlib), seen with those streams unpacked. */
#ifndef VN_DELTA_MEMBERS_H
#define VN_DELTA_MEMBERS_H
#include "delta/delta.h"
#include "delta/frame.h"
#include "stream/deflate.h"
#include "util/fs.h"

/* ---- decoder */
struct vn_delta_table {               /* of a head without members: all zero */
	uint8_t *data;
	size_t len, at;
	uint64_t old_count;
};
void vn_delta_table_release(struct vn_delta_table *t);
int vn_delta_table_read(struct vn_delta_frames *f, const struct vn_delta_head *head, struct vn_delta_table *ret,
			struct vn_err *err);

struct vn_delta_scratch {             /* old, unpacked */
	struct vn_delta_old old;
	int fd;
};
/* Writes all of it to fd. Reads the table's first part; what follows is read by the packer. */
int vn_delta_unpack_old(struct vn_delta_table *t, const struct vn_delta_head *head, struct vn_delta_old *old, int fd,
			struct vn_delta_scratch *ret, struct vn_err *err);
/* Takes new as the blocks make it and writes it to `inner`, which stays the caller's, with its members packed. */
int vn_delta_packer(struct vn_delta_table *t, const struct vn_delta_head *head, struct vn_out *inner, struct vn_out **ret,
		    struct vn_err *err);

/* ---- encoder */
struct vn_delta_member {
	size_t at, packed, plain;     /* the stream's place and length, and what it holds */
	struct vn_deflate how;        /* only of new */
	bool left;                    /* stays as it is */
};
struct vn_delta_members {
	struct vn_delta_member *list; /* in order, without overlap */
	size_t count, cap;
};
void vn_delta_members_release(struct vn_delta_members *m);

struct vn_delta_unpacked {            /* both files unpacked, and the table in the form that follows the head's digests */
	struct vn_buf old, data, table;
	size_t table_len;             /* of the table itself */
	uint64_t members;             /* of new */
};
void vn_delta_unpacked_release(struct vn_delta_unpacked *u);
/* false in *ret_any: there is nothing to unpack, or what is there in new cannot be packed again to the same bytes. */
int vn_delta_unpack(const uint8_t *old, size_t old_len, const uint8_t *data, size_t len, struct vn_delta_unpacked *ret,
		    bool *ret_any, struct vn_err *err);
#endif
