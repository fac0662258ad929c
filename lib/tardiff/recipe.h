/* The operations that make one file, before it is known whether they are worth it. */
#ifndef VN_TARDIFF_RECIPE_H
#define VN_TARDIFF_RECIPE_H
#include "tardiff/tardiff.h"
#include "util/buf.h"
#include <zstd.h>

struct vn_tardiff_recipe {
	struct vn_buf ops;
	const char *path;             /* the source that is open behind them, not owned; NULL = none */
	uint64_t at;                  /* its position */
};
int vn_tardiff_put_op(struct vn_buf *ops, int op, uint64_t size, struct vn_err *err);
/* Both write nothing where it is so already. `path` stays the caller's. */
int vn_tardiff_put_open(struct vn_tardiff_recipe *r, const char *path, struct vn_err *err);
int vn_tardiff_put_seek(struct vn_tardiff_recipe *r, uint64_t at, struct vn_err *err);
int vn_tardiff_put_copy(struct vn_tardiff_recipe *r, uint64_t len, struct vn_err *err);
/* `data` out of copied, added and new ranges; `zstd` is for trials. The source is open. */
int vn_tardiff_put_ranges(struct vn_tardiff_recipe *r, const uint8_t *old, size_t old_len, const uint8_t *data, size_t len,
			  ZSTD_CCtx *zstd, struct vn_err *err);
/* A frame with all of the source as its dictionary. */
int vn_tardiff_put_frame(struct vn_tardiff_recipe *r, const uint8_t *old, size_t old_len, const uint8_t *data, size_t len,
			 int level, ZSTD_CCtx *zstd, struct vn_err *err);
/* What `len` bytes become at a level of zstd. */
int vn_tardiff_measure(ZSTD_CCtx *zstd, const void *data, size_t len, int level, uint64_t *ret_size, struct vn_err *err);
#endif
