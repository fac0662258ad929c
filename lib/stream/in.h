/* Byte sources as composable decorators. A source hands out blocks; nobody copies unless it must.
 *
 * A constructor that takes `inner` owns it from the call on, also when it fails. Blocks stay valid until the next call on
 * the same source. */
#ifndef VN_STREAM_IN_H
#define VN_STREAM_IN_H
#include "util/buf.h"
#include "util/digest.h"
#include "util/events.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct vn_in;
struct vn_in_ops {
	/* The next block: its length, 0 at the end, -code on failure. */
	ssize_t (*next)(struct vn_in *in, const void **ret_block, struct vn_err *err);
	void (*close)(struct vn_in *in);
};
struct vn_in {
	const struct vn_in_ops *ops;
	const uint8_t *rest;      /* of the last block, for vn_in_read */
	size_t rest_len;
};

ssize_t vn_in_next(struct vn_in *in, const void **ret_block, struct vn_err *err);
ssize_t vn_in_read(struct vn_in *in, void *out, size_t len, struct vn_err *err);          /* up to len; 0 at the end */
int vn_in_read_full(struct vn_in *in, void *out, size_t len, struct vn_err *err);         /* VN_EFORMAT when it ends early */
int vn_in_read_all(struct vn_in *in, struct vn_buf *ret_bytes, struct vn_err *err);       /* up to the buffer's max */
int vn_in_drain(struct vn_in *in, struct vn_err *err);                                    /* read to the end, for its checks */
/* For a consumer that found the bytes malformed and has set err: reads on to the end, and when the reason turns up below (a
 * wrong digest, a broken compressed stream) err becomes that. Returns -err->code. */
int vn_in_settle(struct vn_in *in, struct vn_err *err);
void vn_in_close(struct vn_in *in);                                                       /* NULL is fine */
static inline void vn_in_close_p(struct vn_in **in) { vn_in_close(*in); }
#define VN_AUTO_IN VN_CLEANUP(vn_in_close_p) struct vn_in

int vn_in_file(const char *path, struct vn_in **ret, struct vn_err *err);
int vn_in_fd(int fd, const char *name, struct vn_in **ret, struct vn_err *err);           /* owns fd */
/* `len` bytes at `offset` of a file that stays open elsewhere (pread). */
int vn_in_slice(int fd, uint64_t offset, uint64_t len, const char *name, struct vn_in **ret, struct vn_err *err);
int vn_in_memory(const void *data, size_t len, struct vn_in **ret, struct vn_err *err);   /* data stays the caller's */

/* Enforces size (-1 = unknown) while reading and the digest at the end: VN_EDIGEST, naming `what`. */
int vn_in_verify(struct vn_in *inner, const struct vn_digest *digest, int64_t size, const char *what, struct vn_in **ret,
		 struct vn_err *err);
/* Copies what passes to fd. A failed write is told once as a warning and the copy given up: *ret_failed is set. */
int vn_in_tee(struct vn_in *inner, int fd, const char *name, const struct vn_events *events, bool *ret_failed,
	      struct vn_in **ret, struct vn_err *err);
/* Tells progress. `what` is copied. */
int vn_in_meter(struct vn_in *inner, const char *what, uint64_t total, const struct vn_events *events, struct vn_in **ret,
		struct vn_err *err);
/* gzip (ISA-L), zstd or nothing, told apart by their magic bytes; other known compressors are VN_EFORMAT by name.
 * `max_plain` caps the output; 0 applies VN_MAX_RATIO instead. Trailing garbage after the last gzip member is an error. */
int vn_in_inflate(struct vn_in *inner, uint64_t max_plain, const char *what, struct vn_in **ret, struct vn_err *err);
/* Tests: fails with VN_EIO after `at` bytes, or ends there when `truncate`; hands out blocks of at most `chunk` bytes. */
int vn_in_fault(struct vn_in *inner, uint64_t at, bool truncate, size_t chunk, struct vn_in **ret, struct vn_err *err);
#endif
