#include "engine/rootfs_dir.h"
#include "engine/tree.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "json/json.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define RECORD ".json"
#define NAME_TEXT (NAME_MAX + 1)

/* ---- names */
void vn_tree_name(const struct vn_digest *chain, const struct vn_digest *image, struct vn_tree_name *ret)
{
	snprintf(ret->text, sizeof(ret->text), "%.128s%s%.12s", vn_digest_hex(chain), image ? "-" : "",
		 image ? vn_digest_hex(image) : "");
}

void vn_tree_folder(const struct vn_tree_name *name, struct vn_tree_name *ret)
{
	*ret = *name;
	ret->text[strcspn(ret->text, "-")] = 0;
}

static bool is_tree_name(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef"), id = text[n] == '-' ? strspn(text + n + 1, "0123456789abcdef") : 0;
	return (n == 64 || n == 128) && (!text[n] || (id == 12 && !text[n + 1 + id]));
}

static bool name_of(const char *text, struct vn_tree_name *ret)
{
	if (!is_tree_name(text))
		return false;
	snprintf(ret->text, sizeof(ret->text), "%s", text);
	return true;
}

/* As DIR/images names it. */
static int encode(const char *name, char out[NAME_TEXT], struct vn_err *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:@+";
	size_t at = 0;
	for (const char *p = name; *p; p++) {
		bool as_is = strchr(plain, *p) && !(*p == '.' && p == name);
		if (at + 4 > NAME_TEXT)
			return vn_fail(err, VN_EUSAGE, "the image name \"%.200s…\" is too long for a file name", name);
		if (as_is)
			out[at++] = *p;
		else
			at += (size_t)snprintf(out + at, NAME_TEXT - at, "%%%02X", (unsigned char)*p);
	}
	out[at] = 0;
	return at ? 0 : vn_fail(err, VN_EUSAGE, "the image name is empty");
}

static int link_path(const char *dir, const char *name, char **ret, struct vn_err *err)
{
	char encoded[NAME_TEXT];
	if (!name)
		return vn_asprintf(ret, err, "%s/current", dir);
	int rc = encode(name, encoded, err);
	return rc < 0 ? rc : vn_asprintf(ret, err, "%s/images/%s", dir, encoded);
}

/* ---- lists */
void vn_rootfs_names_release(struct vn_rootfs_names *names)
{
	free(names->list);
	*names = (struct vn_rootfs_names){ 0 };
}

bool vn_rootfs_has(const struct vn_rootfs_names *names, const struct vn_tree_name *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->list[i].text, name->text))
			return true;
	return false;
}

static int add_name(struct vn_rootfs_names *names, const struct vn_tree_name *name, struct vn_err *err)
{
	if (vn_rootfs_has(names, name))
		return 0;
	if (names->n == VN_MAX_TREES)
		return vn_fail(err, VN_ELIMIT, "more than %d unpacked images", VN_MAX_TREES);
	int rc = vn_grow(&names->list, &names->cap, names->n + 1, sizeof(*names->list), err);
	if (rc == 0)
		names->list[names->n++] = *name;
	return rc;
}

/* Calls `each` for every name in DIR/sub, which may be absent. */
static int each_name(const char *dir, const char *sub, int (*each)(void *user, const char *name, struct vn_err *err),
		     void *user, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_asprintf(&path, err, "%s/%s", dir, sub);
	if (rc < 0)
		return rc;
	DIR *d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : vn_fail_sys(err, VN_EIO, "cannot read the folder %s", path);
	for (const struct dirent *e; rc == 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = each(user, e->d_name, err);
	closedir(d);
	return rc;
}

static int add_record(void *user, const char *name, struct vn_err *err)
{
	struct vn_tree_name tree;
	char text[NAME_TEXT];
	size_t n = strlen(name), tail = strlen(RECORD);
	if (n <= tail || strcmp(name + n - tail, RECORD))
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)(n - tail), name);
	return name_of(text, &tree) ? add_name(user, &tree, err) : 0;
}

int vn_rootfs_trees(const char *dir, struct vn_rootfs_names *ret, struct vn_err *err)
{
	return each_name(dir, "trees", add_record, ret, err);
}

/* ---- links */
static int read_link(const char *path, struct vn_tree_name *ret, struct vn_err *err)
{
	char to[VN_TREE_NAME + 16];
	ssize_t n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return vn_fail_sys(err, errno == ENOENT || errno == ENOTDIR ? VN_ENOTFOUND : VN_EIO, "cannot read the link %s",
				   path);
	to[n] = 0;
	const char *text = !strncmp(to, "../", 3) ? to + 3 : to;
	if (strncmp(text, "trees/", 6) || !name_of(text + 6, ret))
		return vn_fail(err, VN_EFORMAT, "%s points to \"%.200s\", which is no unpacked image", path, to);
	return 0;
}

int vn_rootfs_link(const char *dir, const char *name, struct vn_tree_name *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = link_path(dir, name, &path, err);
	if (rc == 0)
		rc = read_link(path, ret, err);
	return rc == -VN_ENOTFOUND
		       ? vn_fail(err, VN_ENOTFOUND, "%s holds no image %.300s", dir, name ? name : "that is current")
		       : rc;
}

int vn_rootfs_set_link(const char *dir, const char *name, const struct vn_tree_name *tree, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL, *new = NULL, *to = NULL;
	int rc = link_path(dir, name, &path, err);
	if (rc == 0)
		rc = vn_asprintf(&new, err, "%s/trees/.new-link", dir);
	if (rc == 0)
		rc = vn_asprintf(&to, err, "%strees/%s", name ? "../" : "", tree->text);
	if (rc < 0)
		return rc;
	unlink(new);
	if (symlink(to, new) < 0 || rename(new, path) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write the link %s", path);
	return vn_fs_sync_parent(path, err);
}

int vn_rootfs_drop_link(const char *dir, const char *name, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = link_path(dir, name, &path, err);
	if (rc < 0)
		return rc;
	if (unlink(path) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : vn_fail_sys(err, VN_EIO, "cannot remove the link %s", path);
	return vn_fs_sync_parent(path, err);
}

struct links {
	const char *dir;
	char except[NAME_TEXT];
	struct vn_rootfs_names *names;
};

static int add_link(void *user, const char *name, struct vn_err *err)
{
	struct links *l = user;
	struct vn_tree_name tree;
	struct vn_err ignored = { 0 };
	VN_AUTO_FREE char *path = NULL;
	if (!strcmp(name, l->except))
		return 0;
	int rc = vn_asprintf(&path, err, "%s/images/%s", l->dir, name);
	if (rc < 0)
		return rc;
	/* what else somebody put there is none of ours */
	return read_link(path, &tree, &ignored) < 0 ? 0 : add_name(l->names, &tree, err);
}

int vn_rootfs_linked(const char *dir, const char *except, bool current, struct vn_rootfs_names *ret, struct vn_err *err)
{
	struct links l = { .dir = dir, .names = ret };
	struct vn_tree_name tree;
	int rc = except ? encode(except, l.except, err) : 0;
	if (rc == 0)
		rc = each_name(dir, "images", add_link, &l, err);
	if (rc < 0 || !current)
		return rc;
	rc = vn_rootfs_link(dir, NULL, &tree, err);
	return rc == 0 ? add_name(ret, &tree, err) : rc == -VN_ENOTFOUND ? 0 : rc;
}

/* ---- records */
static int record_path(const char *dir, const struct vn_tree_name *tree, char **ret, struct vn_err *err)
{
	return vn_asprintf(ret, err, "%s/trees/%s" RECORD, dir, tree->text);
}

static int digest_at(const struct vn_jv *root, const char *key, struct vn_digest *ret, struct vn_err *err)
{
	const char *text = NULL;
	int rc = vn_jv_opt_text(root, key, &text, err);
	return rc < 0 || !text ? rc : vn_digest_parse(text, ret, err);
}

static int parse_record(const struct vn_buf *bytes, const char *path, struct vn_held *ret, struct vn_err *err)
{
	VN_AUTO_JSON *json = NULL;
	VN_AUTO(vn_held) held = { 0 };
	int rc = vn_json_parse(vn_buf_text(bytes), bytes->len, path, &json, err);
	if (rc < 0)
		return rc;
	struct vn_jv root = vn_jv_root(json, path);
	rc = vn_jv_want_object(&root, err);
	if (rc == 0)
		rc = digest_at(&root, "image", &held.image, err);
	if (rc == 0)
		rc = digest_at(&root, "manifest", &held.manifest, err);
	if (rc < 0)
		return rc;
	struct vn_jv list = vn_jv_get(&root, "diffIds");
	held.diff_ids = calloc(vn_jv_count(&list) + 1, sizeof(*held.diff_ids));
	if (!held.diff_ids)
		return vn_nomem(err);
	for (size_t i = 0; rc == 0 && i < vn_jv_count(&list); i++) {
		const char *text;
		struct vn_jv item = vn_jv_at(&list, i);
		rc = vn_jv_text(&item, &text, err);
		if (rc == 0)
			rc = vn_digest_parse(text, &held.diff_ids[held.ndiff_ids++], err);
	}
	if (rc < 0)
		return rc;
	*ret = held;
	held = (struct vn_held){ 0 };
	return 0;
}

int vn_rootfs_record(const char *dir, const struct vn_tree_name *tree, struct vn_held *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL, *folder = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_TREE_RECORD);
	int rc = record_path(dir, tree, &path, err);
	if (rc == 0)
		rc = vn_asprintf(&folder, err, "%s/trees/%s", dir, tree->text);
	if (rc == 0)
		rc = vn_fs_read(path, &bytes, err);
	if (rc == 0 && !vn_fs_exists(folder))
		rc = vn_fail(err, VN_ENOTFOUND, "%s is not there", folder);
	return rc < 0 ? rc : parse_record(&bytes, path, ret, err);
}

int vn_rootfs_write_record(const char *dir, const struct vn_tree_name *tree, const struct vn_held *held, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_TREE_RECORD);
	VN_AUTO_JSON *root = vn_json_object();
	vn_json *list = vn_json_array();
	for (size_t i = 0; i < held->ndiff_ids; i++)
		vn_json_add(list, vn_json_string(held->diff_ids[i].text));
	vn_json_set(root, "schemaVersion", vn_json_int(1));
	if (!vn_digest_none(&held->image))
		vn_json_set(root, "image", vn_json_string(held->image.text));
	if (!vn_digest_none(&held->manifest))
		vn_json_set(root, "manifest", vn_json_string(held->manifest.text));
	vn_json_set(root, "diffIds", list);
	int rc = vn_json_text(root, true, &text, err);
	if (rc == 0)
		rc = record_path(dir, tree, &path, err);
	return rc < 0 ? rc : vn_fs_replace(path, vn_buf_text(&text), text.len, 0644, err);
}

/* ---- the folder */
int vn_rootfs_lock(const char *dir, int *ret_fd, struct vn_err *err)
{
	/* setuid programs of images that nobody runs any more are in there: for the administrator alone, unless he says
	 * otherwise */
	static const struct {
		const char *sub;
		mode_t mode;
	} folders[] = { { "", 0755 }, { "/images", 0755 }, { "/trees", 0700 } };
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(folders) / sizeof(folders[0]); i++) {
		VN_AUTO_FREE char *path = NULL;
		rc = vn_asprintf(&path, err, "%s%s", dir, folders[i].sub);
		if (rc == 0)
			rc = vn_fs_mkdirs(path, folders[i].mode, err);
	}
	if (rc < 0)
		return rc;
	VN_AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot open %s", dir);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return vn_fail_sys(err, VN_EIO, "cannot lock %s", dir);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int vn_rootfs_remove(const char *dir, const struct vn_tree_name *tree, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL, *trees = NULL, *list = NULL;
	int rc = record_path(dir, tree, &path, err);
	if (rc == 0)
		rc = vn_asprintf(&trees, err, "%s/trees", dir);
	if (rc < 0)
		return rc;
	if (unlink(path) < 0 && errno != ENOENT)
		return vn_fail_sys(err, VN_EIO, "cannot remove %s", path);
	rc = vn_fs_sync_dir(trees, err);
	if (rc == 0)
		rc = vn_asprintf(&list, err, "%s/%s" VN_TREE_LIST, trees, tree->text);
	if (rc == 0 && unlink(list) < 0 && errno != ENOENT)
		rc = vn_fail_sys(err, VN_EIO, "cannot remove %s", list);
	VN_AUTO_CLOSE int fd = open(trees, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rc == 0 && fd < 0)
		rc = vn_fail_sys(err, VN_EIO, "cannot open %s", trees);
	if (rc == 0)
		rc = vn_tree_remove(fd, tree->text, err);
	return rc < 0 ? vn_wrap(err, "remove %s/%s", trees, tree->text) : 0;
}

struct sweep {
	const char *dir;
	int trees;
	const struct vn_rootfs_names *whole;
};

static int sweep_tree(void *user, const char *name, struct vn_err *err)
{
	const struct sweep *s = user;
	struct vn_tree_name tree;
	char text[NAME_TEXT];
	size_t n = strlen(name), tail = strlen(VN_TREE_LIST);
	if (!strncmp(name, ".new-", 5) || !strncmp(name, ".tmp-", 5))
		return vn_tree_remove(s->trees, name, err);
	bool list = n > tail && !strcmp(name + n - tail, VN_TREE_LIST);
	snprintf(text, sizeof(text), "%.*s", (int)(list ? n - tail : n), name);
	return name_of(text, &tree) && !vn_rootfs_has(s->whole, &tree) ? vn_rootfs_remove(s->dir, &tree, err) : 0;
}

static int sweep_link(void *user, const char *name, struct vn_err *err)
{
	const struct sweep *s = user;
	struct vn_tree_name tree;
	struct vn_err ignored = { 0 };
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_asprintf(&path, err, "%s/images/%s", s->dir, name);
	if (rc == 0 && read_link(path, &tree, &ignored) == 0 && !vn_rootfs_has(s->whole, &tree))
		unlink(path);
	return rc;
}

int vn_rootfs_sweep(const char *dir, struct vn_err *err)
{
	VN_AUTO(vn_rootfs_names) records = { 0 }, whole = { 0 };
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_rootfs_trees(dir, &records, err);
	for (size_t i = 0; rc == 0 && i < records.n; i++) {
		VN_AUTO(vn_held) held = { 0 };
		rc = vn_rootfs_record(dir, &records.list[i], &held, err);
		if (rc == 0)
			rc = add_name(&whole, &records.list[i], err);
		else if (rc == -VN_ENOTFOUND)
			rc = vn_rootfs_remove(dir, &records.list[i], err);
	}
	if (rc == 0)
		rc = vn_asprintf(&path, err, "%s/trees", dir);
	if (rc < 0)
		return rc;
	VN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sweep s = { dir, fd, &whole };
	rc = fd < 0 ? vn_fail_sys(err, VN_EIO, "cannot open %s", path) : each_name(dir, "trees", sweep_tree, &s, err);
	return rc < 0 ? rc : each_name(dir, "images", sweep_link, &s, err);
}

/* ---- what is needed no more */
/* The largest tree below the top layer of `held`: what a thin image on the same base starts from. */
static int add_base(const struct vn_held *held, const struct vn_rootfs_names *trees, struct vn_rootfs_names *needed,
		    struct vn_err *err)
{
	struct vn_tree_name name;
	VN_AUTO_FREE struct vn_digest *chain = calloc(held->ndiff_ids + 1, sizeof(*chain));
	if (!chain)
		return vn_nomem(err);
	int rc = vn_chain_ids(held->diff_ids, held->ndiff_ids, chain, err);
	for (size_t n = held->ndiff_ids; rc == 0 && n-- > 1;) {
		vn_tree_name(&chain[n - 1], NULL, &name);
		if (vn_rootfs_has(trees, &name))
			return add_name(needed, &name, err);
	}
	return rc;
}

/* A tree that only others stand on is no image any more. */
static int strip_record(const char *dir, const struct vn_tree_name *tree, struct vn_err *err)
{
	VN_AUTO(vn_held) held = { 0 };
	int rc = vn_rootfs_record(dir, tree, &held, err);
	if (rc < 0 || (vn_digest_none(&held.image) && vn_digest_none(&held.manifest)))
		return rc;
	held.image = held.manifest = (struct vn_digest){ "" };
	return vn_rootfs_write_record(dir, tree, &held, err);
}

int vn_rootfs_collect(const char *dir, struct vn_err *err)
{
	VN_AUTO(vn_rootfs_names) linked = { 0 }, needed = { 0 }, trees = { 0 };
	int rc = vn_rootfs_linked(dir, NULL, true, &linked, err);
	if (rc == 0)
		rc = vn_rootfs_trees(dir, &trees, err);
	for (size_t i = 0; rc == 0 && i < linked.n; i++) {
		struct vn_tree_name folder;
		VN_AUTO(vn_held) held = { 0 };
		vn_tree_folder(&linked.list[i], &folder);
		rc = add_name(&needed, &linked.list[i], err);
		if (rc == 0)
			rc = add_name(&needed, &folder, err);
		if (rc == 0)
			rc = vn_rootfs_record(dir, &linked.list[i], &held, err);
		if (rc == 0)
			rc = add_base(&held, &trees, &needed, err);
		rc = rc == -VN_ENOTFOUND ? 0 : rc;
	}
	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		if (!vn_rootfs_has(&needed, &trees.list[i]))
			rc = vn_rootfs_remove(dir, &trees.list[i], err);
		else if (!vn_rootfs_has(&linked, &trees.list[i]))
			rc = strip_record(dir, &trees.list[i], err);
	}
	return rc;
}
