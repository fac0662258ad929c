/* A tree from another one, and a tree's end. Both walk by paths from the root, so that depth costs no descriptors. */
#include "engine/beneath.h"
#include "engine/tree_state.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static void close_dir_p(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define AUTO_DIR VN_CLEANUP(close_dir_p) DIR

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* `path` and below it `name`, into `out`. */
static int join(struct vn_buf *out, const char *path, const char *name, struct vn_err *err)
{
	vn_buf_clear(out);
	return vn_buf_addf(out, err, "%s%s%s", path, *path ? "/" : "", name);
}

static DIR *read_dir(int root, const char *path)
{
	VN_AUTO_CLOSE int fd = vn_beneath_open(root, path, O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (d)
		fd = -1;
	return d;
}

/* ---- copying */
struct copy {
	struct vn_tree *t;
	int from;
	struct vn_buf todo; /* directories yet to be filled, each NUL-ended; the last is the next */
	struct vn_buf path, below, xattrs;
};

static int copy_attributes(struct copy *c, int from, int to, const char *path, struct vn_err *err)
{
	VN_AUTO_FREE struct vn_xattr *xattrs = NULL;
	struct vn_tar_entry e = { .type = VN_DIR };
	struct stat st;
	if (fstat(from, &st) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot look at \"%.300s\" of the tree below", path);
	int rc = vn_xattrs_read(from, path, &c->xattrs, &xattrs, &e.nxattrs, err);
	if (rc < 0)
		return rc;
	e.xattrs = xattrs;
	e.uid = st.st_uid;
	e.gid = st.st_gid;
	e.mode = (st.st_mode & 07777) | (c->t->privileged ? 0 : 0700);
	rc = vn_tree_attributes(c->t, to, &e, path, err);
	return rc < 0 ? rc : vn_tree_note(c->t, path, st.st_mode & 07777, st.st_mtim.tv_sec, (uint32_t)st.st_mtim.tv_nsec, err);
}

static bool is_dir(int parent, const struct dirent *e)
{
	struct stat st;
	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return fstatat(parent, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int copy_name(struct copy *c, int from, int to, const struct dirent *e, const char *path, struct vn_err *err)
{
	int rc = join(&c->below, path, e->d_name, err);
	if (rc < 0)
		return rc;
	if (!is_dir(from, e)) {
		if (linkat(from, e->d_name, to, e->d_name, 0) == 0)
			return 0;
		vn_fail_sys(err, VN_EIO, "cannot link \"%.300s\" into %s", vn_buf_text(&c->below), c->t->place);
		return errno == EPERM || errno == ENOTSUP
			       ? vn_hint(err,
					 "unpacked images share files: their folder must be on a file system with hard links")
			       : -VN_EIO;
	}
	if (mkdirat(to, e->d_name, 0700) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot create the folder \"%.300s\" in %s", vn_buf_text(&c->below),
				   c->t->place);
	return vn_buf_add(&c->todo, vn_buf_text(&c->below), c->below.len + 1, err);
}

static int copy_dir(struct copy *c, const char *path, struct vn_err *err)
{
	AUTO_DIR *from = read_dir(c->from, path);
	VN_AUTO_CLOSE int to = vn_beneath_open(c->t->root, path, O_RDONLY | O_DIRECTORY);
	if (!from || to < 0)
		return vn_fail_sys(err, VN_EIO, "cannot open the folder \"%.300s\" of %s", path, c->t->place);
	int rc = copy_attributes(c, dirfd(from), to, path, err);
	const struct dirent *e;
	while (rc == 0 && (errno = 0, e = readdir(from)))
		if (!is_dots(e->d_name))
			rc = copy_name(c, dirfd(from), to, e, path, err);
	return rc == 0 && errno ? vn_fail_sys(err, VN_EIO, "cannot read the folder \"%.300s\" of the tree below", path) : rc;
}

static int copy_all(struct copy *c, struct vn_err *err)
{
	int rc = vn_buf_add(&c->todo, "", 1, err);
	while (rc == 0 && c->todo.len) {
		size_t at = c->todo.len - 1;
		while (at && c->todo.data[at - 1])
			at--;
		vn_buf_clear(&c->path);
		rc = vn_buf_adds(&c->path, c->todo.data + at, err);
		c->todo.len = at;
		if (rc == 0)
			rc = copy_dir(c, vn_buf_text(&c->path), err);
	}
	return rc < 0 ? rc : vn_tree_settle(c->t, err);
}

int vn_tree_copy(struct vn_tree *t, int from, struct vn_err *err)
{
	struct copy c = { t, from, VN_BUF(VN_MAX_TREE_DIRS), VN_BUF(VN_MAX_PATH), VN_BUF(VN_MAX_PATH), VN_BUF(VN_MAX_XATTRS) };
	int rc = copy_all(&c, err);
	vn_buf_release(&c.todo);
	vn_buf_release(&c.path);
	vn_buf_release(&c.below);
	vn_buf_release(&c.xattrs);
	return rc;
}

/* ---- directories' modes and times */
int vn_tree_note(struct vn_tree *t, const char *path, uint32_t mode, int64_t mtime, uint32_t nsec, struct vn_err *err)
{
	int rc = vn_grow(&t->dirs, &t->dirs_cap, t->ndirs + 1, sizeof(*t->dirs), err);
	size_t at = t->names.len;
	if (rc == 0)
		rc = vn_buf_add(&t->names, path, strlen(path) + 1, err);
	if (rc == 0)
		t->dirs[t->ndirs++] = (struct vn_tree_dir){ at, mode, nsec, mtime };
	return rc;
}

/* What lies below comes first, and of one path what was noted last: names lie behind each other in that order. */
static int settle_order(const void *a, const void *b, void *names)
{
	const struct vn_tree_dir *x = a, *y = b;
	int order = strcmp((char *)names + y->path, (char *)names + x->path);
	return order ? order : (x->path < y->path) - (x->path > y->path);
}

int vn_tree_settle(struct vn_tree *t, struct vn_err *err)
{
	const char *before = NULL;
	int rc = 0;
	if (t->ndirs)
		qsort_r(t->dirs, t->ndirs, sizeof(*t->dirs), settle_order, t->names.data);
	for (size_t i = 0; rc == 0 && i < t->ndirs; i++) {
		const struct vn_tree_dir *d = &t->dirs[i];
		const char *path = t->names.data + d->path;
		if (before && !strcmp(path, before))
			continue;
		before = path;
		VN_AUTO_CLOSE int fd = vn_beneath_open(t->root, path, O_RDONLY | O_DIRECTORY);
		/* it was there, and a whiteout or a file took its place */
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue;
		if (fd < 0 || vn_tree_times(fd, d->mtime, d->nsec) < 0 || (!t->privileged && fchmod(fd, d->mode) < 0))
			rc = vn_fail_sys(err, VN_EIO, "cannot set mode and time of the folder \"%.300s\" of %s", path,
					 t->place);
	}
	t->ndirs = 0;
	vn_buf_clear(&t->names);
	return rc;
}

/* ---- removing */
/* Takes away all that is no folder with something in it; the first of those is appended to `path`. */
static int empty_once(int root, struct vn_buf *path, bool *ret_deeper, struct vn_err *err)
{
	AUTO_DIR *d = read_dir(root, vn_buf_text(path));
	const struct dirent *e;
	*ret_deeper = false;
	if (!d)
		return vn_fail_sys(err, VN_EIO, "cannot open the folder \"%.300s\"", vn_buf_text(path));
	while ((errno = 0, e = readdir(d))) {
		if (is_dots(e->d_name) || unlinkat(dirfd(d), e->d_name, 0) == 0)
			continue;
		if ((errno != EISDIR && errno != EPERM) ||
		    (unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY))
			return vn_fail_sys(err, VN_EIO, "cannot remove \"%.300s\"", e->d_name);
		if (errno != ENOTEMPTY)
			continue;
		fchmodat(dirfd(d), e->d_name, 0700, 0);
		*ret_deeper = true;
		return vn_buf_addf(path, err, "%s%s", path->len ? "/" : "", e->d_name);
	}
	return errno ? vn_fail_sys(err, VN_EIO, "cannot read the folder \"%.300s\"", vn_buf_text(path)) : 0;
}

static int empty(int root, struct vn_err *err)
{
	VN_AUTO(vn_buf) path = VN_BUF(VN_MAX_PATH);
	for (;;) {
		bool deeper;
		int rc = empty_once(root, &path, &deeper, err);
		if (rc < 0 || (!deeper && !path.len))
			return rc;
		if (deeper)
			continue;
		char *slash = strrchr(path.data, '/');
		path.len = slash ? (size_t)(slash - path.data) : 0;
		path.data[path.len] = 0;
	}
}

int vn_tree_remove(int parent, const char *name, struct vn_err *err)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return vn_fail_sys(err, VN_EIO, "cannot remove \"%.300s\"", name);
	fchmodat(parent, name, 0700, 0);
	VN_AUTO_CLOSE int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot open the folder \"%.300s\"", name);
	int rc = empty(fd, err);
	if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		rc = vn_fail_sys(err, VN_EIO, "cannot remove the folder \"%.300s\"", name);
	return rc;
}
