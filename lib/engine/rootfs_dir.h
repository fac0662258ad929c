/* The folder of the engine "rootfs":
 *
 *   DIR/trees/HEX          an unpacked image, HEX: the chain ID of all its layers (image-spec config.md); or what is below the top
 *                          layer of one, which the next thin image starts from. Trees share files by hard links.
 *   DIR/trees/HEX.mtree    what it consists of (engine/listing.h)
 *   DIR/trees/HEX.json     written last: without it there is no such tree. {"schemaVersion":1,"image":…,"manifest":…,"diffIds":[…]};
 *                          "image" (the configuration's digest) and "manifest" only where it is an image's own
 *   DIR/trees/HEX-ID       a second image of the same layers, ID: 12 digits of its digest. A symbolic link to HEX, and HEX-ID.json
 *   DIR/images/NAME        symbolic link to ../trees/HEX or HEX-ID; NAME is percent-encoded but for letters, digits and "._-:@+"
 *   DIR/current            symbolic link to trees/HEX or HEX-ID: what runs
 *
 * Writers hold a lock (flock) on DIR; readers none, since everything appears and changes by rename. A tree under way is
 * DIR/trees/.new-HEX; what a killed run left there is removed by the next writer. */
#ifndef VN_ENGINE_ROOTFS_DIR_H
#define VN_ENGINE_ROOTFS_DIR_H
#include "engine/device.h"

#define VN_TREE_NAME 160 /* "<128 hex>-<12 hex>" and NUL */
struct vn_tree_name {
	char text[VN_TREE_NAME];
};
/* A tree's name in trees/. `image` (may be NULL): of the second image of the same layers. */
void vn_tree_name(const struct vn_digest *chain, const struct vn_digest *image, struct vn_tree_name *ret);
/* The folder behind the name: without "-ID". */
void vn_tree_folder(const struct vn_tree_name *name, struct vn_tree_name *ret);
#define VN_TREE_LIST ".mtree"

int vn_rootfs_lock(const char *dir, int *ret_fd, struct vn_err *err); /* makes DIR and its folders */
/* VN_ENOTFOUND when there is no such tree. */
int vn_rootfs_record(const char *dir, const struct vn_tree_name *tree, struct vn_held *ret, struct vn_err *err);
int vn_rootfs_write_record(const char *dir, const struct vn_tree_name *tree, const struct vn_held *held, struct vn_err *err);

/* `name`: a full name, or NULL for "current". */
int vn_rootfs_link(const char *dir, const char *name, struct vn_tree_name *ret, struct vn_err *err); /* VN_ENOTFOUND */
int vn_rootfs_set_link(const char *dir, const char *name, const struct vn_tree_name *tree, struct vn_err *err);
int vn_rootfs_drop_link(const char *dir, const char *name, struct vn_err *err); /* absent: fine */

struct vn_rootfs_names {
	struct vn_tree_name *list;
	size_t n, cap;
};
void vn_rootfs_names_release(struct vn_rootfs_names *names);
/* What images/ and, with `current`, DIR/current point to; but for the link of `except` (may be NULL). */
int vn_rootfs_linked(const char *dir, const char *except, bool current, struct vn_rootfs_names *ret, struct vn_err *err);
int vn_rootfs_trees(const char *dir, struct vn_rootfs_names *ret, struct vn_err *err);
bool vn_rootfs_has(const struct vn_rootfs_names *names, const struct vn_tree_name *name);

int vn_rootfs_open_tree(const char *dir, const struct vn_tree_name *tree, int *ret_fd, struct vn_err *err); /* VN_ENOTFOUND */
/* The tree of the bottom `want` layers, from that of the bottom `have`, with its list and its record. The lock is held. */
int vn_rootfs_make_tree(const char *dir, const struct vn_events *events, const struct vn_incoming *in, const struct vn_digest *chain,
			size_t have, size_t want, struct vn_err *err);
/* First it stops being a tree, durably; then its files go. */
int vn_rootfs_remove(const char *dir, const struct vn_tree_name *tree, struct vn_err *err);
/* Removes what killed runs left, and links to trees that are not there. The lock is held. */
int vn_rootfs_sweep(const char *dir, struct vn_err *err);
/* Removes every tree that no image and not "current" needs: their own, and what lies below their top layer. The lock is held.
 */
int vn_rootfs_collect(const char *dir, struct vn_err *err);
#endif
