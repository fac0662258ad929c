/* Two merged trees side by side. */
#ifndef VN_LAYER_COMPARE_H
#define VN_LAYER_COMPARE_H
#include "layer/merge.h"
#include "veneer/diff.h"

struct vn_pair {
	const char *path;
	const struct vn_merged *old_, *new_;         /* NULL = not there */
	unsigned fields;                             /* VN_FIELD_*; 0 when equal or one-sided */
	bool only_stamp;                             /* CONTENT, and nothing but the stamp of Python bytecode */
};
/* Calls `pair` for every path of either tree, in order. Partial walks: stops with *ret_need_base = true as soon as the layers below
 * decide a difference. */
int vn_compare(struct vn_merge *old_tree, struct vn_merge *new_tree, bool partial,
	       int (*pair)(void *user, const struct vn_pair *p, struct vn_err *err), void *user, bool *ret_need_base,
	       struct vn_err *err);
#endif
