/* A folder that layers are unpacked into, as overlayfs would show them one above the other. What comes from a layer is hostile.
 *
 * - No symbolic link is ever followed: where a layer has something below a link of a lower layer, a directory takes the link's
 * place (so overlayfs; see layer/merge.h), and below a link or file of its own it is refused (VN_EUNSAFE).
 * - Nothing is written through what is there already: it is unlinked and made anew, so that trees may share files by hard
 * links. For the same reason whoever runs from a tree must not write into it.
 * - Whiteouts speak of lower layers only, wherever they stand in their layer.
 * - A hard link's own mode, owner and times are not looked at: they are its file's.
 * - A directory that is only implied has the mode 0755, the owner 0:0 and the time of the entry that implies it. One that
 * changes without being described keeps its time.
 * - Extended attributes: security.capability, .ima and .evm, user.* and POSIX ACLs. Others (labels of the machine that built
 * the image, marks of overlayfs) are left out, with a warning; so are those that the file system refuses.
 * - Without privileges owners and device nodes are left out, with a warning.
 *
 * `dir` below is a descriptor of the tree's folder, opened for reading; `place` names it in messages. */
#ifndef VN_ENGINE_TREE_H
#define VN_ENGINE_TREE_H
#include "image/image.h"

struct vn_tree;
int vn_tree_open(int dir, const char *place, const struct vn_events *events, struct vn_tree **ret, struct vn_err *err);
void vn_tree_close(struct vn_tree *t); /* NULL is fine */
static inline void vn_tree_close_p(struct vn_tree **t)
{
	vn_tree_close(*t);
}
#define VN_AUTO_TREE VN_CLEANUP(vn_tree_close_p) struct vn_tree

/* The tree, which must be empty, becomes a copy of another one: directories made anew, the rest hard links. */
int vn_tree_copy(struct vn_tree *t, int from, struct vn_err *err);
/* One more layer: plain tar bytes (owned), named `what`. After a failure the tree is of no use. */
int vn_tree_apply(struct vn_tree *t, struct vn_in *layer, const char *what, struct vn_err *err);
/* An empty tree's root, before anything describes it. */
int vn_tree_begin(struct vn_tree *t, struct vn_err *err);

/* Compares all that layers `from` and above of the image show with what is there: contents, kinds, modes, owners, links and
 * extended attributes. VN_EDIGEST names what differs. Ends without a word where the image's store does not have a layer:
 * *ret_looked is the number of layers that were compared. */
int vn_tree_compare(int dir, const char *place, const struct vn_image *image, size_t from, size_t *ret_looked,
		    struct vn_err *err);

/* Removes a file or a folder with all that is in it, however deep. Absent: no failure. */
int vn_tree_remove(int parent, const char *name, struct vn_err *err);
#endif
