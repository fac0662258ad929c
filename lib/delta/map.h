/* The encoder's guess where each part of new comes from in old. A wrong guess costs bytes, never correctness. */
#ifndef VN_DELTA_MAP_H
#define VN_DELTA_MAP_H
#include "delta/delta.h"

struct vn_delta_segment {             /* new[start, start + len) resembles old at start + shift */
	size_t start, len;
	int64_t shift;
};
struct vn_delta_map {
	int64_t *shifts;              /* one for each piece of 16 KiB */
	size_t pieces;
	struct vn_delta_segment *segments;        /* in order, without overlap; gaps resemble nothing */
	size_t count, cap;
};
void vn_delta_map_release(struct vn_delta_map *map);
/* `options` may be NULL: only its hints are looked at. */
int vn_delta_map_make(const uint8_t *old, size_t old_len, const uint8_t *data, size_t len, const struct vn_delta_options *options,
		      struct vn_delta_map *ret, struct vn_err *err);
#endif
