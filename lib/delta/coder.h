/* What one thread of the encoder keeps, and the parts of a body as they are written. */
#ifndef VN_DELTA_CODER_H
#define VN_DELTA_CODER_H
#include "delta/block.h"
#include "delta/element.h"
#include "delta/fit.h"
#include <stdbool.h>
#include <zstd.h>

#define VN_DELTA_CANDIDATES 240

struct vn_delta_candidate {
	enum vn_delta_mode mode;
	uint8_t shape;                /* or stride, of planes */
	bool convert, zeros;          /* zeros: with a symbol for elements that became 0 */
	uint64_t estimate;
};

struct vn_delta_coder {
	const struct vn_delta_job *job;
	uint64_t start;
	size_t len;
	const uint8_t *data;
	uint8_t *coarse, *fine, *recast;          /* old, gathered by each map */
	bool has_fine, has_casts, many_zeros;
	struct vn_buf casts;          /* the converting map of the block */
	uint8_t *residual, *planes, *gaps, *packed;
	size_t packed_cap;
	uint32_t *counts;
	struct vn_delta_fit *fit;
	uint16_t *averages;
	uint8_t *tables;              /* of each element, under the model */
	ZSTD_CCtx *zstd;
	struct vn_hash *hash;
	struct vn_buf body, best, prefix;
	enum vn_delta_mode best_mode;
	bool best_convert;
	bool have_best;
	struct vn_delta_candidate list[VN_DELTA_CANDIDATES];
	size_t count;
};

/* All of these add to `body`. */
int vn_delta_put_varint(struct vn_buf *out, uint64_t v, struct vn_err *err);
int vn_delta_put_stream(struct vn_delta_coder *c, const uint8_t *data, size_t len, int level, const uint8_t *prefix,
			size_t prefix_len, struct vn_err *err);
int vn_delta_put_map(struct vn_delta_coder *c, struct vn_err *err);
/* Of the next `len` bytes, many blocks perhaps. false in *ret_fits: the list would be larger than that, or than a block. */
int vn_delta_put_fine_map(struct vn_delta_coder *c, size_t len, int level, bool *ret_fits, struct vn_err *err);
int vn_delta_put_casts(struct vn_delta_coder *c, int level, bool *ret_fits, struct vn_err *err);
int vn_delta_put_sparse(struct vn_delta_coder *c, const struct vn_delta_shape *s, int level, bool *ret_fits, struct vn_err *err);
/* false in *ret_fits: larger than the block. */
int vn_delta_put_classes(struct vn_delta_coder *c, const struct vn_delta_shape *s, const uint8_t *predicted, bool zeros,
			 bool *ret_fits, struct vn_err *err);
int vn_delta_put_planes(struct vn_delta_coder *c, const uint8_t *data, unsigned stride, int level, struct vn_err *err);

/* Old as the maps predict the block: fills coarse, fine, recast and what says whether they are there. */
int vn_delta_gather(struct vn_delta_coder *c, struct vn_err *err);
size_t vn_delta_first_segment(const struct vn_delta_coder *c);
/* By which maps the block is a copy; by the fine one only if its list is short. */
uint8_t vn_delta_copies(const struct vn_delta_coder *c);
int64_t vn_delta_middle_shift(const struct vn_delta_coder *c);
#endif
