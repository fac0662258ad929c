/* The two images' layer indexes, opened as far as needed: both images at once on two cores. */
#ifndef VN_DIFF_TREES_H
#define VN_DIFF_TREES_H
#include "layer/compare.h"

struct vn_side {
	const struct vn_image *image;
	struct vn_layer_index *layers;       /* one for each layer; fd -1 = not opened */
	const struct vn_layer_index **list;  /* pointers to them, as vn_merge_open wants */
};
struct vn_trees {
	struct vn_side old_, new_;
	size_t shared;               /* layers from the bottom that are the same in both, by diff_id */
	bool whole;                  /* the shared ones are open, too */
};
int vn_trees_init(const struct vn_image *old_image, const struct vn_image *new_image, struct vn_trees *ret, struct vn_err *err);
/* Open everything above the shared layers, or (`whole`) those as well. May be called again to go from part to whole. */
int vn_trees_open(struct vn_trees *t, bool whole, const struct vn_index_options *options, struct vn_err *err);
int vn_trees_merge(const struct vn_trees *t, const struct vn_side *side, struct vn_merge **ret, struct vn_err *err);
void vn_trees_release(struct vn_trees *t);
#endif
