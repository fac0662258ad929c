/* Raw deflate streams (RFC 1951), as they lie in zip, gzip and zlib files: unpacked, and packed again to the same bytes. */
#ifndef VN_STREAM_DEFLATE_H
#define VN_STREAM_DEFLATE_H
#include "stream/out.h"

struct vn_deflate {               /* what the bytes depend on, besides the input and zlib being the original one */
	uint8_t level;            /* 1 to 9 */
	uint8_t strategy;         /* 0 to 4, as zlib.h numbers them */
	uint8_t window_bits;      /* 9 to 15 */
	uint8_t mem_level;        /* 1 to 9 */
};
/* What is written to *ret reaches `inner`, which stays the caller's, as one stream; finish ends the stream and leaves `inner`
 * open. VN_EUSAGE for settings out of range. Takes up to 320 KiB. */
int vn_out_deflate(struct vn_out *inner, const struct vn_deflate *how, struct vn_out **ret, struct vn_err *err);
/* Unpacks the one stream at the start of `in` (and may read beyond it). VN_EFORMAT when there is none, VN_ELIMIT when it
 * holds more than max_plain. Takes up to 96 KiB. */
int vn_inflate_raw(struct vn_in *in, uint64_t max_plain, struct vn_out *out, uint64_t *ret_packed, uint64_t *ret_plain,
		   struct vn_err *err);
#endif
