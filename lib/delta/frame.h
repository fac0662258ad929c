/* Records as they stand in a delta, for whoever reads one from start to end. */
#ifndef VN_DELTA_FRAME_H
#define VN_DELTA_FRAME_H
#include "delta/format.h"
#include "stream/in.h"

struct vn_delta_frames {
	struct vn_in *in;
	uint64_t consumed;            /* bytes of the delta */
};
struct vn_delta_frame {               /* what stands in front of a body */
	uint8_t length[10];           /* the varint, as it was read */
	size_t length_len;
	size_t body_len;              /* never above the format's bound */
	uint8_t mode;
	uint8_t check[VN_DELTA_CHECK];
};
/* A delta that ends early, and anything that the format does not allow, is VN_EDIGEST. `at`: place in new, for the message. */
int vn_delta_read(struct vn_delta_frames *f, uint64_t at, void *out, size_t len, struct vn_err *err);
int vn_delta_read_varint(struct vn_delta_frames *f, uint64_t at, uint8_t ret_raw[10], size_t *ret_len, struct vn_err *err);
int vn_delta_read_head(struct vn_delta_frames *f, struct vn_delta_head *ret, struct vn_err *err);
int vn_delta_read_frame(struct vn_delta_frames *f, const struct vn_delta_head *head, uint64_t at, struct vn_delta_frame *ret,
			struct vn_err *err);
int vn_delta_read_end(struct vn_delta_frames *f, struct vn_err *err);
/* What a check value covers of a record; the new bytes follow. */
int vn_delta_hash_frame(struct vn_hash *hash, const struct vn_delta_head *head, uint64_t start,
			const struct vn_delta_frame *frame, const void *body, struct vn_err *err);
/* Adds a whole record to `out`; the new bytes that its check covers lie at `data`. */
int vn_delta_put_record(struct vn_hash *hash, const struct vn_delta_head *head, uint64_t start, uint8_t mode,
			const struct vn_buf *body, const void *data, size_t len, struct vn_buf *out, struct vn_err *err);
#endif
