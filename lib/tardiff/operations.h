/* The bytes of the operations, inflated from a tar-diff. */
#ifndef VN_TARDIFF_OPERATIONS_H
#define VN_TARDIFF_OPERATIONS_H
#include "stream/in.h"
#include <stdbool.h>
#include <zstd.h>

struct vn_tardiff_operations {
	struct vn_in *in;             /* the caller's */
	ZSTD_DStream *zstd;
	uint8_t *plain;
	size_t plain_at, plain_len;
	uint64_t at;                  /* operation bytes handed out */
	const uint8_t *packed;        /* of in's block, not used yet */
	size_t packed_len;
	bool mid, ended;              /* within a frame; in is at its end */
};
void vn_tardiff_operations_release(struct vn_tardiff_operations *o);
/* Reads the magic: *ret_version is 1 or 2. The window is at most `memory` bytes. */
int vn_tardiff_operations_open(struct vn_tardiff_operations *o, struct vn_in *in, uint64_t memory, int *ret_version,
			       struct vn_err *err);
/* Up to `most` bytes: their number, 0 at the end. They stay valid until the next call. */
ssize_t vn_tardiff_take(struct vn_tardiff_operations *o, uint64_t most, const uint8_t **ret, struct vn_err *err);
/* Exactly `len` bytes: VN_EDIGEST when the tar-diff ends before. */
int vn_tardiff_take_full(struct vn_tardiff_operations *o, void *out, size_t len, struct vn_err *err);
/* VN_EDIGEST, naming the place. */
int vn_tardiff_damaged(const struct vn_tardiff_operations *o, struct vn_err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#endif
