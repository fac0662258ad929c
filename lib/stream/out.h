/* Byte sinks, the mirror of in.h. Owning rules are the same. */
#ifndef VN_STREAM_OUT_H
#define VN_STREAM_OUT_H
#include "stream/in.h"

struct vn_out;
struct vn_out_ops {
	int (*write)(struct vn_out *out, const void *data, size_t len, struct vn_err *err);
	/* Everything is out: flush and end. Called at most once; without it nothing is promised. */
	int (*finish)(struct vn_out *out, struct vn_err *err);
	void (*close)(struct vn_out *out);
};
struct vn_out {
	const struct vn_out_ops *ops;
};

int vn_out_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err);
int vn_out_finish(struct vn_out *out, struct vn_err *err);
void vn_out_close(struct vn_out *out);
static inline void vn_out_close_p(struct vn_out **out) { vn_out_close(*out); }
#define VN_AUTO_OUT VN_CLEANUP(vn_out_close_p) struct vn_out

int vn_copy(struct vn_in *in, struct vn_out *out, uint64_t *ret_bytes, struct vn_err *err);   /* ret_bytes may be NULL */

int vn_out_fd(int fd, const char *name, struct vn_out **ret, struct vn_err *err);        /* fd stays the caller's */
int vn_out_buf(struct vn_buf *buf, struct vn_out **ret, struct vn_err *err);             /* buf stays the caller's */
/* Counts and digests (sha256) what passes; read them after finish. */
int vn_out_digest(struct vn_out *inner, struct vn_digest *ret_digest, uint64_t *ret_size, struct vn_out **ret,
		  struct vn_err *err);
/* Deterministic gzip: no name, no time, OS 255, zlib at `level`; the same bytes on every machine with stock zlib. */
int vn_out_gzip(struct vn_out *inner, int level, struct vn_out **ret, struct vn_err *err);
/* As another writer did: the fixed header of RFC 1952, 2.3, as given (flags 0), zlib at `level` and `mem_level`. */
#define VN_GZIP_HEAD 10
struct vn_gzip_like {
	uint8_t head[VN_GZIP_HEAD];
	int level, mem_level;         /* 0 to 9, 1 to 9 */
};
/* What vn_out_gzip does at a level. */
void vn_gzip_own(int level, struct vn_gzip_like *ret);
int vn_out_gzip_like(struct vn_out *inner, const struct vn_gzip_like *like, struct vn_out **ret, struct vn_err *err);
/* One zstd frame; the same bytes for the same input with the same libzstd. */
int vn_out_zstd(struct vn_out *inner, int level, struct vn_out **ret, struct vn_err *err);
#endif
