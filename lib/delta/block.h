/* One block of the encoder: every prediction is estimated, the best few are really written, the smallest stays. */
#ifndef VN_DELTA_BLOCK_H
#define VN_DELTA_BLOCK_H
#include "delta/delta.h"
#include "delta/casts.h"
#include "delta/map.h"
#include "util/buf.h"

struct vn_delta_job {                 /* what all blocks share; read only */
	const uint8_t *old, *data;
	struct vn_delta_head head;
	const struct vn_delta_map *map;
	const struct vn_delta_casts *casts;
	int effort;
};
struct vn_delta_coder;                /* what one thread needs */
int vn_delta_coder_open(const struct vn_delta_job *job, struct vn_delta_coder **ret, struct vn_err *err);
void vn_delta_coder_close(struct vn_delta_coder *coder);
enum {                                /* by which maps a block is a copy */
	VN_DELTA_BY_COARSE = 1,
	VN_DELTA_BY_FINE = 2
};
/* Adds the whole record of block `number` to `out`; nothing for a COPY, whose records hold many blocks: then *ret_copies is
 * not 0. */
int vn_delta_code_block(struct vn_delta_coder *coder, uint64_t number, struct vn_buf *out, enum vn_delta_mode *ret_mode,
			uint8_t *ret_copies, struct vn_err *err);
/* Adds a record of all blocks from `first` on that one COPY can hold. `copies`: of each block of the job. */
int vn_delta_code_run(struct vn_delta_coder *coder, const uint8_t *copies, uint64_t first, uint64_t *ret_blocks,
		      struct vn_buf *out, struct vn_err *err);
#endif
