/* One more tree in the folder, from the layers above another one. */
#include "engine/listing.h"
#include "engine/rootfs_dir.h"
#include "engine/tree.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define NEW_LIST ".new-list"

int vn_rootfs_open_tree(const char *dir, const struct vn_tree_name *tree, int *ret_fd, struct vn_err *err)
{
	struct vn_tree_name folder;
	VN_AUTO_FREE char *path = NULL;
	vn_tree_folder(tree, &folder);
	int rc = vn_asprintf(&path, err, "%s/trees/%s", dir, folder.text);
	if (rc < 0)
		return rc;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return vn_fail_sys(err, errno == ENOENT ? VN_ENOTFOUND : VN_EIO, "cannot open the tree %s", path);
	*ret_fd = fd;
	return 0;
}

static int fill_tree(const struct vn_events *events, const struct vn_incoming *in, int fd, int from, size_t have, size_t want,
		     const char *place, struct vn_err *err)
{
	VN_AUTO_TREE *t = NULL;
	int rc = vn_tree_open(fd, place, events, &t, err);
	if (rc == 0)
		rc = from >= 0 ? vn_tree_copy(t, from, err) : vn_tree_begin(t, err);
	for (size_t i = have; rc == 0 && i < want; i++) {
		char what[512];
		struct vn_in *tar = NULL;
		rc = vn_image_layer_tar(in->image, i, 0, &tar, err);
		if (rc == 0)
			rc = vn_tree_apply(t, tar, vn_image_layer_name(in->image, i, what), err);
	}
	return rc;
}

/* A tree under way in trees/, and the one that it starts from. */
struct making {
	struct vn_tree_name name, base;
	char new[VN_TREE_NAME + 8];
	int trees, fd, from;         /* from -1: from nothing */
};
static void making_release(struct making *m)
{
	vn_close_p(&m->trees);
	vn_close_p(&m->fd);
	vn_close_p(&m->from);
}

static int open_list(int trees, const struct vn_tree_name *tree)
{
	char name[VN_TREE_NAME + 8];
	snprintf(name, sizeof(name), "%s" VN_TREE_LIST, tree->text);
	return openat(trees, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static int list_files(struct making *m, struct vn_err *err)
{
	VN_AUTO_CLOSE int list = m->from >= 0 ? open_list(m->trees, &m->base) : -1;
	VN_AUTO_CLOSE int to = openat(m->trees, NEW_LIST, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	const struct vn_listing_below below = { m->from, list };
	if (to < 0)
		return vn_fail_sys(err, VN_EIO, "cannot create the list of files of %s", m->name.text);
	return vn_listing_write(m->fd, m->from >= 0 ? &below : NULL, to, m->name.text, err);
}

/* What stands in trees/ under its name is whole, whenever the power goes. */
static int put_in_place(struct making *m, struct vn_err *err)
{
	char list[VN_TREE_NAME + 8];
	snprintf(list, sizeof(list), "%s" VN_TREE_LIST, m->name.text);
	if (syncfs(m->fd) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot sync %s", m->name.text);
	if (renameat(m->trees, NEW_LIST, m->trees, list) < 0 || renameat(m->trees, m->new, m->trees, m->name.text) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot put %s in its place", m->name.text);
	return 0;
}

static int begin_tree(const char *dir, const struct vn_digest *chain, size_t have, size_t want, struct making *m, struct vn_err *err)
{
	VN_AUTO_FREE char *trees = NULL;
	vn_tree_name(&chain[want - 1], NULL, &m->name);
	snprintf(m->new, sizeof(m->new), ".new-%s", m->name.text);
	int rc = vn_asprintf(&trees, err, "%s/trees", dir);
	if (rc == 0 && have) {
		vn_tree_name(&chain[have - 1], NULL, &m->base);
		rc = vn_rootfs_open_tree(dir, &m->base, &m->from, err);
	}
	if (rc < 0)
		return rc;
	m->trees = open(trees, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->trees < 0 || mkdirat(m->trees, m->new, 0700) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot create %s/%s", trees, m->new);
	m->fd = openat(m->trees, m->new, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return m->fd < 0 ? vn_fail_sys(err, VN_EIO, "cannot open %s/%s", trees, m->new) : 0;
}

int vn_rootfs_make_tree(const char *dir, const struct vn_events *events, const struct vn_incoming *in, const struct vn_digest *chain,
			size_t have, size_t want, struct vn_err *err)
{
	VN_AUTO(making) m = { .trees = -1, .fd = -1, .from = -1 };
	int rc = begin_tree(dir, chain, have, want, &m, err);
	if (rc < 0)
		return rc;
	rc = fill_tree(events, in, m.fd, m.from, have, want, m.name.text, err);
	if (rc == 0)
		rc = list_files(&m, err);
	if (rc == 0)
		rc = put_in_place(&m, err);
	if (rc < 0) {
		struct vn_err ignored = { 0 };
		unlinkat(m.trees, NEW_LIST, 0);
		vn_tree_remove(m.trees, m.new, &ignored);
		return rc;
	}
	struct vn_held held = { .diff_ids = in->image->config.diff_ids, .ndiff_ids = want };
	return vn_rootfs_write_record(dir, &m.name, &held, err);
}
