#include "engine/kinds.h"
#include "engine/listing.h"
#include "engine/names.h"
#include "engine/rooted.h"
#include "engine/rootfs_dir.h"
#include "engine/tree.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct rootfs {
	struct vn_engine e;
	char *dir;
};

static const char *dir_of(struct vn_engine *e)
{
	return ((struct rootfs *)e)->dir;
}

static int done(struct vn_engine *e, int rc, struct vn_err *err)
{
	return rc < 0 ? vn_wrap(err, "rootfs %s", dir_of(e)) : 0;
}

/* ---- looking */
static int find_image(const char *dir, const struct vn_digest *digest, struct vn_tree_name *ret, struct vn_held *ret_held,
		      struct vn_err *err)
{
	VN_AUTO(vn_rootfs_names) trees = { 0 };
	int rc = vn_rootfs_trees(dir, &trees, err);
	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		VN_AUTO(vn_held) held = { 0 };
		rc = vn_rootfs_record(dir, &trees.list[i], &held, err);
		if (rc == -VN_ENOTFOUND)
			rc = 0;
		else if (rc == 0 && (vn_digest_equal(&held.image, digest) || vn_digest_equal(&held.manifest, digest))) {
			*ret = trees.list[i];
			*ret_held = held;
			held = (struct vn_held){ 0 };
			return 0;
		}
	}
	return rc < 0 ? rc : vn_fail(err, VN_ENOTFOUND, "%s holds no image %s", dir, digest->text);
}

/* The tree that `name` means: as typed, or a digest, alone or behind '@'. */
static int find(const char *dir, const char *name, struct vn_tree_name *ret, struct vn_held *ret_held, struct vn_err *err)
{
	struct vn_digest digest;
	VN_AUTO_FREE char *full = NULL;
	const char *at = strchr(name, '@');
	if (vn_digest_valid(name) || at) {
		int rc = vn_digest_parse(at ? at + 1 : name, &digest, err);
		return rc < 0 ? rc : find_image(dir, &digest, ret, ret_held, err);
	}
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_rootfs_link(dir, full, ret, err);
	if (rc == 0)
		rc = vn_rootfs_record(dir, ret, ret_held, err);
	return rc;
}

static int rootfs_look(struct vn_engine *e, const char *name, struct vn_held *ret, struct vn_err *err)
{
	struct vn_tree_name tree;
	return done(e, find(dir_of(e), name, &tree, ret, err), err);
}

static int running(const char *dir, struct vn_held *ret, struct vn_err *err)
{
	struct vn_tree_name tree;
	VN_AUTO(vn_held) held = { 0 };
	VN_AUTO_CLOSE int fd = -1;
	int rc = vn_rootfs_link(dir, NULL, &tree, err);
	if (rc == 0)
		rc = vn_rootfs_record(dir, &tree, &held, err);
	if (rc == 0)
		rc = vn_rootfs_open_tree(dir, &tree, &fd, err);
	if (rc == 0 && vn_digest_none(&held.image))
		rc = vn_fail(err, VN_ENOTFOUND, "nobody knows the image of %s/current", dir);
	if (rc < 0) {
		/* it points to something else */
		err->code = rc == -VN_EFORMAT ? VN_ENOTFOUND : err->code;
		return -(int)err->code;
	}
	*ret = held;
	held = (struct vn_held){ 0 };
	return 0;
}

static int rootfs_running(struct vn_engine *e, struct vn_held *ret, struct vn_err *err)
{
	return done(e, running(dir_of(e), ret, err), err);
}

/* How many of the layers from the bottom are a tree already. */
static int count_present(const char *dir, const struct vn_digest *chain, size_t n, size_t *ret, struct vn_err *err)
{
	for (; n > 0; n--) {
		struct vn_tree_name name;
		struct vn_err ignored = { 0 };
		VN_AUTO(vn_held) held = { 0 };
		vn_tree_name(&chain[n - 1], NULL, &name);
		int rc = vn_rootfs_record(dir, &name, &held, &ignored);
		if (rc < 0 && rc != -VN_ENOTFOUND) {
			*err = ignored;
			return rc;
		}
		if (rc == 0)
			break;
	}
	*ret = n;
	return 0;
}

static int chain_of(const struct vn_config *c, struct vn_digest **ret, struct vn_err *err)
{
	VN_AUTO_FREE struct vn_digest *chain = calloc(c->ndiff_ids + 1, sizeof(*chain));
	if (!chain)
		return vn_nomem(err);
	int rc = vn_chain_ids(c->diff_ids, c->ndiff_ids, chain, err);
	if (rc == 0)
		*ret = vn_steal(chain);
	return rc;
}

static int rootfs_layers(struct vn_engine *e, const struct vn_manifest *m, const struct vn_config *c, size_t *ret,
			 struct vn_err *err)
{
	(void)m;
	VN_AUTO_FREE struct vn_digest *chain = NULL;
	int rc = chain_of(c, &chain, err);
	if (rc == 0)
		rc = count_present(dir_of(e), chain, c->ndiff_ids, ret, err);
	return done(e, rc, err);
}

/* ---- files */
static int rootfs_files(struct vn_engine *e, const struct vn_digest *image, const char *const *paths, size_t n, int fd,
			uint64_t at, uint64_t *ret_sizes, uint64_t *ret_end, struct vn_err *err)
{
	struct vn_tree_name tree;
	VN_AUTO(vn_held) held = { 0 };
	VN_AUTO_CLOSE int root = -1;
	int rc = find_image(dir_of(e), image, &tree, &held, err);
	if (rc == 0)
		rc = vn_rootfs_open_tree(dir_of(e), &tree, &root, err);
	if (rc == 0)
		rc = vn_rooted_files(root, paths, n, fd, at, ret_sizes, ret_end, err);
	return done(e, rc, err);
}

/* ---- loading */
/* An image without layers is a tree, too: that of nothing. */
static int whole_chain(const struct vn_incoming *in, struct vn_digest **ret, struct vn_err *err)
{
	const struct vn_config *c = &in->image->config;
	if (!c->ndiff_ids)
		return vn_fail(err, VN_EFORMAT, "the image %s has no layers", in->name);
	if (in->present > c->ndiff_ids)
		return vn_fail(err, VN_EUSAGE, "%zu layers are said to be present of an image with %zu", in->present,
			       c->ndiff_ids);
	return chain_of(c, ret, err);
}

static int make_trees(struct vn_engine *e, const struct vn_incoming *in, const struct vn_digest *chain, struct vn_err *err)
{
	size_t n = in->image->config.ndiff_ids, have = 0;
	int rc = count_present(dir_of(e), chain, n, &have, err);
	if (rc == 0 && have < in->present)
		rc = vn_fail(err, VN_EFORMAT, "the tree of the bottom %zu layers is gone: %zu of them are there", in->present,
			     have);
	/* all but the top layer is what the next thin image on the same base starts from */
	if (rc == 0 && have + 1 < n) {
		rc = vn_rootfs_make_tree(dir_of(e), e->events, in, chain, have, n - 1, err);
		have = n - 1;
	}
	return rc == 0 && have < n ? vn_rootfs_make_tree(dir_of(e), e->events, in, chain, have, n, err) : rc;
}

/* The record of this image at its tree: in the tree's own, or beside it when another image has the same layers. */
static int record_image(struct vn_engine *e, const struct vn_incoming *in, const struct vn_digest *chain,
			struct vn_tree_name *ret, struct vn_err *err)
{
	const struct vn_image *image = in->image;
	size_t n = image->config.ndiff_ids;
	struct vn_tree_name folder;
	VN_AUTO(vn_held) now = { 0 };
	VN_AUTO_FREE char *path = NULL;
	struct vn_held own = { image->manifest.config.digest, image->desc.digest, image->config.diff_ids, n };
	vn_tree_name(&chain[n - 1], NULL, &folder);
	*ret = folder;
	int rc = vn_rootfs_record(dir_of(e), &folder, &now, err);
	if (rc < 0)
		return rc;
	if (!vn_digest_none(&now.image) && !vn_digest_equal(&now.image, &own.image)) {
		vn_tree_name(&chain[n - 1], &own.image, ret);
		rc = vn_asprintf(&path, err, "%s/trees/%s", dir_of(e), ret->text);
		if (rc == 0 && symlink(folder.text, path) < 0 && errno != EEXIST)
			rc = vn_fail_sys(err, VN_EIO, "cannot write the link %s", path);
	}
	return rc < 0 ? rc : vn_rootfs_write_record(dir_of(e), ret, &own, err);
}

static int load(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	struct vn_tree_name tree;
	VN_AUTO_CLOSE int lock = -1;
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO_FREE struct vn_digest *chain = NULL;
	int rc = vn_engine_full_name(in->name, &full, err);
	if (rc == 0)
		rc = whole_chain(in, &chain, err);
	if (rc == 0)
		rc = vn_rootfs_lock(dir_of(e), &lock, err);
	if (rc == 0)
		rc = vn_rootfs_sweep(dir_of(e), err);
	if (rc == 0)
		rc = make_trees(e, in, chain, err);
	if (rc == 0)
		rc = record_image(e, in, chain, &tree, err);
	return rc < 0 ? rc : vn_rootfs_set_link(dir_of(e), full, &tree, err);
}

static int rootfs_load(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	return done(e, load(e, in, err), err);
}

/* ---- proving */
static int compare_record(const struct vn_incoming *in, const struct vn_held *held, struct vn_err *err)
{
	const struct vn_image *image = in->image;
	const struct vn_config *c = &image->config;
	if (!vn_digest_equal(&held->image, &image->manifest.config.digest))
		return vn_fail(err, VN_EDIGEST, "%s is the image %s, expected %s", in->name, held->image.text,
			       image->manifest.config.digest.text);
	bool same = held->ndiff_ids == c->ndiff_ids;
	for (size_t i = 0; same && i < c->ndiff_ids; i++)
		same = vn_digest_equal(&held->diff_ids[i], &c->diff_ids[i]);
	return same ? 0 : vn_fail(err, VN_EDIGEST, "%s was unpacked from other layers than the image's", in->name);
}

static int prove(struct vn_engine *e, const struct vn_incoming *in, bool deep, struct vn_err *err)
{
	struct vn_tree_name tree, want;
	VN_AUTO(vn_held) held = { 0 };
	VN_AUTO_FREE struct vn_digest *chain = NULL;
	VN_AUTO_CLOSE int fd = -1;
	size_t looked;
	int rc = whole_chain(in, &chain, err);
	if (rc == 0)
		rc = find(dir_of(e), in->name, &tree, &held, err);
	if (rc == 0)
		rc = compare_record(in, &held, err);
	if (rc < 0)
		return rc;
	vn_tree_folder(&tree, &tree);
	vn_tree_name(&chain[held.ndiff_ids - 1], NULL, &want);
	if (strcmp(tree.text, want.text))
		return vn_fail(err, VN_EDIGEST, "%s is linked to the tree %s, expected %s", in->name, tree.text, want.text);
	rc = vn_rootfs_open_tree(dir_of(e), &tree, &fd, err);
	if (rc == -VN_ENOTFOUND)
		err->code = VN_EDIGEST;
	if (rc < 0)
		return -(int)err->code;
	return deep ? vn_tree_compare(fd, in->name, in->image, in->present, &looked, err) : 0;
}

static int rootfs_prove(struct vn_engine *e, const struct vn_incoming *in, bool deep, struct vn_err *err)
{
	return done(e, prove(e, in, deep, err), err);
}

static int compare_list(struct vn_engine *e, const struct vn_tree_name *tree, const char *called, struct vn_err *err)
{
	VN_AUTO_CLOSE int root = -1, list = -1;
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_rootfs_open_tree(dir_of(e), tree, &root, err);
	if (rc == 0)
		rc = vn_asprintf(&path, err, "%s/trees/%s" VN_TREE_LIST, dir_of(e), tree->text);
	if (rc < 0)
		return rc;
	list = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (list < 0 && errno == ENOENT) {
		vn_warn(e->events, "%s is not there: nothing is known of the files of %s", path, called);
		return 0;
	}
	return list < 0 ? vn_fail_sys(err, VN_EIO, "cannot read %s", path) : vn_listing_compare(root, list, called, err);
}

static int rootfs_reread(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_tree_name tree;
	VN_AUTO(vn_held) held = { 0 };
	int rc = find(dir_of(e), name, &tree, &held, err);
	if (rc == 0) {
		vn_tree_folder(&tree, &tree);
		rc = compare_list(e, &tree, name, err);
	}
	return done(e, rc, err);
}

/* Trees that are no image's. */
static int rootfs_reread_base(struct vn_engine *e, struct vn_err *err)
{
	VN_AUTO(vn_rootfs_names) trees = { 0 };
	int rc = vn_rootfs_trees(dir_of(e), &trees, err);
	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		VN_AUTO(vn_held) held = { 0 };
		rc = vn_rootfs_record(dir_of(e), &trees.list[i], &held, err);
		if (rc == 0 && vn_digest_none(&held.image))
			rc = compare_list(e, &trees.list[i], trees.list[i].text, err);
	}
	return done(e, rc, err);
}

static int rootfs_sweep(struct vn_engine *e, struct vn_err *err)
{
	VN_AUTO_CLOSE int lock = -1;
	int rc = vn_rootfs_lock(dir_of(e), &lock, err);
	if (rc == 0)
		rc = vn_rootfs_sweep(dir_of(e), err);
	return done(e, rc, err);
}

static int rootfs_sync(struct vn_engine *e, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = open(dir_of(e), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot sync %s", dir_of(e));
	return 0;
}

/* ---- names */
static int name_as(struct vn_engine *e, const char *to, const char *name, struct vn_err *err)
{
	struct vn_tree_name tree;
	VN_AUTO(vn_held) held = { 0 };
	VN_AUTO_CLOSE int lock = -1;
	VN_AUTO_FREE char *full = NULL;
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_rootfs_lock(dir_of(e), &lock, err);
	if (rc == 0)
		rc = find(dir_of(e), to, &tree, &held, err);
	/* what runs comes first: a name that says so already would keep the caller from trying again */
	if (rc == 0)
		rc = vn_rootfs_set_link(dir_of(e), NULL, &tree, err);
	return rc < 0 ? rc : vn_rootfs_set_link(dir_of(e), full, &tree, err);
}

static int rootfs_name_as(struct vn_engine *e, const char *to, const char *name, struct vn_err *err)
{
	return done(e, name_as(e, to, name, err), err);
}

/* "current" is what `tree` means, and no other name than `name` says so. */
static int check_unused(const char *dir, const char *name, const struct vn_tree_name *tree, struct vn_err *err)
{
	struct vn_tree_name current;
	VN_AUTO(vn_rootfs_names) others = { 0 };
	int rc = vn_rootfs_link(dir, NULL, &current, err);
	if (rc < 0)
		return rc == -VN_ENOTFOUND ? 0 : rc;
	rc = vn_rootfs_linked(dir, name, false, &others, err);
	if (rc < 0 || strcmp(current.text, tree->text) || vn_rootfs_has(&others, tree))
		return rc;
	return vn_fail(err, VN_EREFUSED, "%s is in use: %s/current is its tree", name, dir);
}

static int forget(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_tree_name tree;
	VN_AUTO_CLOSE int lock = -1;
	VN_AUTO_FREE char *full = NULL;
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0 && !vn_fs_exists(dir_of(e)))
		return 0;
	if (rc == 0)
		rc = vn_rootfs_lock(dir_of(e), &lock, err);
	if (rc == 0)
		rc = vn_rootfs_sweep(dir_of(e), err);
	if (rc == 0)
		rc = vn_rootfs_link(dir_of(e), full, &tree, err);
	if (rc == 0)
		rc = check_unused(dir_of(e), full, &tree, err);
	if (rc == 0)
		rc = vn_rootfs_drop_link(dir_of(e), full, err);
	/* also when the name is gone: a killed run may have got no further */
	return rc == 0 || rc == -VN_ENOTFOUND ? vn_rootfs_collect(dir_of(e), err) : rc;
}

static int rootfs_forget(struct vn_engine *e, const char *name, struct vn_err *err)
{
	return done(e, forget(e, name, err), err);
}

/* The trees of more than `present` layers, but for those that another name means. */
static int discard_trees(struct vn_engine *e, const struct vn_incoming *in, const char *full, struct vn_err *err)
{
	VN_AUTO(vn_rootfs_names) trees = { 0 }, others = { 0 };
	VN_AUTO_FREE struct vn_digest *chain = NULL;
	int rc = whole_chain(in, &chain, err);
	if (rc == 0)
		rc = vn_rootfs_linked(dir_of(e), full, true, &others, err);
	if (rc == 0)
		rc = vn_rootfs_trees(dir_of(e), &trees, err);
	for (size_t i = 0; rc == 0 && i < others.n; i++) {
		struct vn_tree_name folder;
		vn_tree_folder(&others.list[i], &folder);
		if (strcmp(folder.text, others.list[i].text))
			others.list[i] = folder;
	}
	for (size_t n = in->image->config.ndiff_ids; rc == 0 && n > in->present; n--) {
		struct vn_tree_name name, folder;
		vn_tree_name(&chain[n - 1], NULL, &name);
		for (size_t i = 0; rc == 0 && i < trees.n && !vn_rootfs_has(&others, &name); i++) {
			vn_tree_folder(&trees.list[i], &folder);
			if (!strcmp(folder.text, name.text))
				rc = vn_rootfs_remove(dir_of(e), &trees.list[i], err);
		}
	}
	return rc;
}

static int discard(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	struct vn_tree_name tree;
	VN_AUTO_CLOSE int lock = -1;
	VN_AUTO_FREE char *full = NULL;
	int rc = vn_engine_full_name(in->name, &full, err);
	if (rc == 0)
		rc = vn_rootfs_lock(dir_of(e), &lock, err);
	if (rc == 0)
		rc = vn_rootfs_sweep(dir_of(e), err);
	if (rc < 0)
		return rc;
	rc = vn_rootfs_link(dir_of(e), full, &tree, err);
	if (rc == 0)
		rc = check_unused(dir_of(e), full, &tree, err);
	if (rc == 0)
		rc = vn_rootfs_drop_link(dir_of(e), full, err);
	return rc == 0 || rc == -VN_ENOTFOUND ? discard_trees(e, in, full, err) : rc;
}

static int rootfs_discard(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	return done(e, discard(e, in, err), err);
}

/* ---- the engine */
static const char *rootfs_data(struct vn_engine *e)
{
	struct vn_err ignored = { 0 };
	vn_fs_mkdirs(dir_of(e), 0755, &ignored);
	return dir_of(e);
}

static int rootfs_handle(struct vn_engine *e, const char *name, char **ret, struct vn_err *err)
{
	struct vn_tree_name tree, folder;
	VN_AUTO(vn_held) held = { 0 };
	int rc = find(dir_of(e), name, &tree, &held, err);
	if (rc < 0)
		return done(e, rc, err);
	vn_tree_folder(&tree, &folder);
	return vn_asprintf(ret, err, "%s/trees/%s", dir_of(e), folder.text);
}

static void rootfs_close(struct vn_engine *e)
{
	struct rootfs *r = (struct rootfs *)e;
	free(r->dir);
	free(r);
}

static const struct vn_engine_ops rootfs_ops = {
	.name = "rootfs",
	.look = rootfs_look,
	.running = rootfs_running,
	.layers = rootfs_layers,
	.files = rootfs_files,
	.load = rootfs_load,
	.prove = rootfs_prove,
	.reread = rootfs_reread,
	.reread_base = rootfs_reread_base,
	.sweep = rootfs_sweep,
	.sync = rootfs_sync,
	.name_as = rootfs_name_as,
	.forget = rootfs_forget,
	.discard = rootfs_discard,
	.data = rootfs_data,
	.handle = rootfs_handle,
	.close = rootfs_close,
};

int vn_engine_rootfs_open(const char *endpoint, const struct vn_events *events, struct vn_engine **ret, struct vn_err *err)
{
	if (!endpoint || !*endpoint) {
		vn_fail(err, VN_EUSAGE, "the engine rootfs needs a folder");
		return vn_hint(err, "set \"endpoint\" to the folder that images are unpacked in");
	}
	struct rootfs *r = calloc(1, sizeof(*r));
	if (!r)
		return vn_nomem(err);
	r->e = (struct vn_engine){ &rootfs_ops, events };
	int rc = vn_strdup(endpoint, &r->dir, err);
	if (rc < 0) {
		rootfs_close(&r->e);
		return rc;
	}
	*ret = &r->e;
	return 0;
}
