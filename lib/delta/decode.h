/* The bodies of blocks: what a decoder keeps, and how each mode becomes bytes. */
#ifndef VN_DELTA_DECODE_H
#define VN_DELTA_DECODE_H
#include "delta/delta.h"
#include "delta/frame.h"
#include <stdbool.h>
#include <zstd.h>

#define VN_DELTA_MAGIC_ROOM 4         /* in front of a body, for the magic number of its first stream */

struct vn_delta_decoder {
	const struct vn_delta_head *head;     /* as the blocks see it */
	struct vn_delta_old *old;
	struct vn_delta_frames frames;
	uint64_t block;               /* its number */
	uint64_t start;               /* its place in new */
	uint64_t covered;             /* where the bytes that the map speaks of end */
	uint64_t pieces;              /* left of the map's pair, and their shift */
	int64_t shift;
	struct {                      /* of a fine map */
		size_t len, at;       /* bytes of the list, and those that were read */
		uint64_t mapped, unmapped;    /* left of its triple */
	} list;
	size_t len;                   /* its bytes */
	uint8_t mode;
	bool convert, fine;           /* the map is a converting one; a fine one, of a COPY */
	uint8_t *data, *mapped, *work;
	uint8_t *room, *body;         /* body lies in room, behind space for a magic number */
	size_t body_len, at;
	uint8_t *prefix;              /* old window, then history */
	size_t window, history, history_len;
	ZSTD_DCtx *zstd;
	struct vn_delta_model *model; /* allocated when a block has one */
	struct vn_hash *check;
};
/* `body` becomes `data`, in every mode but COPY: VN_EDIGEST when it is not what veneer-delta(5) describes. */
int vn_delta_decode(struct vn_delta_decoder *d, struct vn_err *err);
/* COPY: how many blocks the body holds; the next of them as `data`; nothing may be left of it. */
int vn_delta_copy_begin(struct vn_delta_decoder *d, uint64_t *ret_blocks, struct vn_err *err);
int vn_delta_copy_next(struct vn_delta_decoder *d, struct vn_err *err);
int vn_delta_body_end(const struct vn_delta_decoder *d, struct vn_err *err);
/* What lies outside of old is 0. */
int vn_delta_read_old(struct vn_delta_decoder *d, int64_t from, uint8_t *out, size_t len, struct vn_err *err);
/* VN_EDIGEST, naming the block. */
int vn_delta_damaged(const struct vn_delta_decoder *d, const char *what, struct vn_err *err);
#endif
