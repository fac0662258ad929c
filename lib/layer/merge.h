/* The tree that an engine shows for a stack of layers, walked in path order without ever being held: one cursor for each layer,
 * whiteouts and replacements applied on the way (image-spec layer.md; overlayfs for what the spec leaves open: a directory that a
 * layer only implies replaces a symbolic link of a lower layer). */
#ifndef VN_LAYER_MERGE_H
#define VN_LAYER_MERGE_H
#include "layer/index.h"

struct vn_merged {
	struct vn_entry e;           /* never a whiteout, but in a partial walk */
	size_t layer;                /* number in the stack that was given, from 0; of an implied directory: of what implies it */
	const char *first;           /* hard links: the first path of the group in this walk; else e.path */
	bool over_link;              /* an implied directory that hides a lower layer's symbolic link: engines disagree here */
};

struct vn_merge;
/* `partial`: the stack is only the upper part of a tree. Whiteouts are then handed out (kind 'w'), as are links to lower layers. */
int vn_merge_open(const struct vn_layer_index *const *layers, size_t n, bool partial, struct vn_merge **ret, struct vn_err *err);
/* 1 and the entry (valid until the next call), 0 at the end, -code. */
int vn_merge_next(struct vn_merge *m, struct vn_merged *ret, struct vn_err *err);
void vn_merge_close(struct vn_merge *m);
static inline void vn_merge_close_p(struct vn_merge **m) { vn_merge_close(*m); }
#define VN_AUTO_MERGE VN_CLEANUP(vn_merge_close_p) struct vn_merge
#endif
