#include "engine/beneath.h"
#include "engine/tree_state.h"
#include "tar/whiteout.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/path.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* A whiteout leaves alone what has one of these marks: it is the present layer's. */
#define STAYS (VN_MARK_OWN | VN_MARK_PARENT | VN_MARK_CLEARED)
#define PIECE (64u << 10) /* of contents: one that is all zero becomes a hole */

int vn_tree_open(int dir, const char *place, const struct vn_events *events, struct vn_tree **ret, struct vn_err *err)
{
	VN_AUTO_TREE *t = calloc(1, sizeof(*t));
	if (!t)
		return vn_nomem(err);
	*t = (struct vn_tree){ .root = dir,
			       .events = events,
			       .privileged = geteuid() == 0,
			       .parent = -1,
			       .names = VN_BUF(VN_MAX_TREE_DIRS),
			       .parent_path = VN_BUF(VN_MAX_PATH),
			       .scratch = VN_BUF(VN_MAX_PATH) };
	int rc = vn_strdup(place, &t->place, err);
	if (rc == 0)
		rc = vn_marks_open(&t->marks, err);
	if (rc < 0)
		return rc;
	t->what = t->place;
	*ret = vn_steal(t);
	return 0;
}

static void forget_parent(struct vn_tree *t)
{
	if (t->parent >= 0)
		close(t->parent);
	t->parent = -1;
}

void vn_tree_close(struct vn_tree *t)
{
	if (!t)
		return;
	forget_parent(t);
	vn_marks_close(t->marks);
	vn_buf_release(&t->names);
	vn_buf_release(&t->parent_path);
	vn_buf_release(&t->scratch);
	free(t->dirs);
	free(t->place);
	free(t);
}

static int get(struct vn_tree *t, const char *path, uint8_t *ret, struct vn_err *err)
{
	return vn_marks_get(t->marks, path, strlen(path), ret, err);
}

static int set(struct vn_tree *t, const char *path, uint8_t drop, uint8_t add, struct vn_err *err)
{
	return vn_marks_set(t->marks, path, strlen(path), drop, add, err);
}

/* ---- directories */
/* Something in the directory is about to change: its time is kept. */
static int note_change(struct vn_tree *t, int fd, const char *path, struct vn_err *err)
{
	uint8_t bits;
	struct stat st;
	int rc = get(t, path, &bits, err);
	if (rc < 0 || bits & VN_MARK_NOTED)
		return rc;
	if (fstat(fd, &st) < 0)
		return vn_fail_sys(err, VN_EIO, "%s: cannot look at the folder \"%.300s\"", t->what, path);
	if (!t->privileged && (st.st_mode & 0700) != 0700)
		fchmodat(t->root, *path ? path : ".", (st.st_mode & 07777) | 0700, 0);
	rc = vn_tree_note(t, path, st.st_mode & 07777, st.st_mtim.tv_sec, (uint32_t)st.st_mtim.tv_nsec, err);
	return rc < 0 ? rc : set(t, path, 0, VN_MARK_NOTED, err);
}

/* Mode, owner and time of the directory that fd is. */
static int describe_dir(struct vn_tree *t, int fd, const struct vn_tar_entry *e, const char *path, struct vn_err *err)
{
	struct vn_tar_entry now = *e;
	now.mode |= t->privileged ? 0 : 0700;
	int rc = vn_tree_attributes(t, fd, &now, path, err);
	if (rc == 0)
		rc = vn_tree_note(t, path, e->mode, e->mtime, e->mtime_nsec, err);
	return rc < 0 ? rc : set(t, path, 0, VN_MARK_NOTED, err);
}

static int describe_implied(struct vn_tree *t, int fd, const struct vn_tar_entry *cause, const char *path, struct vn_err *err)
{
	struct vn_tar_entry e = {
		.path = path, .type = VN_DIR, .mode = 0755, .mtime = cause->mtime, .mtime_nsec = cause->mtime_nsec
	};
	return describe_dir(t, fd, &e, path, err);
}

int vn_tree_begin(struct vn_tree *t, struct vn_err *err)
{
	struct vn_tar_entry none = { .path = "" };
	int rc = describe_implied(t, t->root, &none, "", err);
	return rc < 0 ? rc : vn_tree_settle(t, err);
}

/* The directory `name` in `parent`, to be read; in the place of whatever else is there. *ret_made: it is new. */
static int make_dir(struct vn_tree *t, int parent, const char *name, const char *path, int *ret_fd, bool *ret_made,
		    struct vn_err *err)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, flags);
	*ret_made = false;
	if (fd < 0 && errno == EACCES && !t->privileged && fchmodat(parent, name, 0700, 0) == 0)
		fd = openat(parent, name, flags);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP) && unlinkat(parent, name, 0) == 0)
		errno = ENOENT;
	if (fd < 0 && errno == ENOENT) {
		*ret_made = mkdirat(parent, name, 0700) == 0;
		fd = *ret_made ? openat(parent, name, flags) : -1;
	}
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "%s: cannot create the folder \"%.300s\"", t->what, path);
	*ret_fd = fd;
	return 0;
}

/* Directories of `path` one by one: what is no directory gives way, what is not there is made when `create`. *ret_fd -1: not
 * there. */
static int make_parents(struct vn_tree *t, const char *path, const struct vn_tar_entry *cause, bool create, int *ret_fd,
			struct vn_err *err)
{
	VN_AUTO_CLOSE int at = vn_beneath_open(t->root, "", O_RDONLY | O_DIRECTORY);
	VN_AUTO(vn_buf) here = VN_BUF(VN_MAX_PATH);
	int rc = at < 0 ? vn_fail_sys(err, VN_EIO, "cannot open %s", t->place) : 0;
	while (rc == 0 && *path) {
		size_t n = strcspn(path, "/"), above = here.len;
		rc = vn_buf_addf(&here, err, "%s%.*s", above ? "/" : "", (int)n, path);
		if (rc < 0)
			return rc;
		const char *name = vn_buf_text(&here) + (above ? above + 1 : 0);
		struct stat st;
		int there = fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW);
		if (there < 0 && errno == ENOENT && !create)
			return 0;
		if (there < 0 || !S_ISDIR(st.st_mode)) {
			vn_buf_clear(&t->scratch);
			rc = vn_buf_add(&t->scratch, vn_buf_text(&here), above, err);
			if (rc == 0)
				rc = note_change(t, at, vn_buf_text(&t->scratch), err);
		}
		int next = -1;
		bool made;
		if (rc == 0)
			rc = make_dir(t, at, name, vn_buf_text(&here), &next, &made, err);
		if (rc < 0)
			return rc;
		close(at);
		at = next;
		if (made)
			rc = describe_implied(t, at, cause, vn_buf_text(&here), err);
		path += n + (path[n] == '/');
	}
	if (rc < 0)
		return rc;
	*ret_fd = at;
	at = -1;
	return 0;
}

/* Marks the directories above `path` when the layer describes something in them. *ret_leaf: one of them is no directory in this
 * layer. */
static int mark_parents(struct vn_tree *t, const char *path, bool described, bool *ret_leaf, struct vn_err *err)
{
	*ret_leaf = false;
	for (size_t n = strcspn(path, "/"); path[n]; n += 1 + strcspn(path + n + 1, "/")) {
		uint8_t bits;
		int rc = vn_marks_get(t->marks, path, n, &bits, err);
		if (rc == 0 && bits & VN_MARK_LEAF) {
			*ret_leaf = true;
			return described ? vn_fail(err, VN_EUNSAFE, "%s: \"%.300s\" lies below \"%.*s\", which is no directory",
						   t->what, path, (int)(n < 300 ? n : 300), path)
					 : 0;
		}
		if (rc == 0 && described && !(bits & VN_MARK_PARENT))
			rc = vn_marks_set(t->marks, path, n, 0, VN_MARK_PARENT, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* t->parent becomes the directory that holds e's `path`, or -1 where there is none: for a whiteout (not `described`) that is
 * fine. */
static int open_parent(struct vn_tree *t, const char *path, const struct vn_tar_entry *e, bool described, struct vn_err *err)
{
	const char *base = vn_path_base(path), *known = vn_buf_text(&t->parent_path);
	size_t n = base == path ? 0 : (size_t)(base - path - 1);
	bool leaf, same = t->parent >= 0 && t->parent_path.len == n && !strncmp(known, path, n);
	if (same && (t->parent_marked || !described))
		return 0;
	forget_parent(t);
	vn_buf_clear(&t->parent_path);
	int rc = mark_parents(t, path, described, &leaf, err);
	if (rc < 0 || leaf)
		return rc;
	rc = vn_buf_add(&t->parent_path, path, n, err);
	if (rc < 0)
		return rc;
	known = vn_buf_text(&t->parent_path);
	t->parent_marked = described;
	t->parent = vn_beneath_open(t->root, known, O_PATH | O_DIRECTORY);
	if (t->parent < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return vn_fail_sys(err, VN_EIO, "%s: cannot open the folder \"%.300s\"", t->what, known);
	if (t->parent < 0)
		rc = make_parents(t, known, e, described, &t->parent, err);
	return rc < 0 || t->parent < 0 ? rc : note_change(t, t->parent, known, err);
}

/* ---- whiteouts */
/* A directory that the layer only implies shows nothing of what a lower layer said of it. */
static int forget_lower(struct vn_tree *t, const char *path, const struct vn_tar_entry *cause, struct vn_err *err)
{
	uint8_t bits = 0;
	int rc = get(t, path, &bits, err);
	if (rc < 0 || bits & VN_MARK_OWN)
		return rc;
	VN_AUTO_CLOSE int fd = vn_beneath_open(t->root, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "%s: cannot open the folder \"%.300s\"", t->what, path);
	return describe_implied(t, fd, cause, path, err);
}

/* Takes from the directory all that is not the present layer's own. `path` changes on the way and is the same at the end. */
static int clear_lower(struct vn_tree *t, struct vn_buf *path, const struct vn_tar_entry *cause, struct vn_err *err)
{
	VN_AUTO(vn_buf) kept = VN_BUF(VN_MAX_TREE_DIRS);
	VN_AUTO_CLOSE int fd = vn_beneath_open(t->root, vn_buf_text(path), O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return vn_fail_sys(err, VN_EIO, "%s: cannot open the folder \"%.300s\"", t->what, vn_buf_text(path));
	int rc = note_change(t, fd, vn_buf_text(path), err);
	if (rc == 0)
		rc = set(t, vn_buf_text(path), 0, VN_MARK_CLEARED, err);
	size_t len = path->len;
	for (const struct dirent *e; rc == 0 && (e = readdir(d));) {
		uint8_t bits = 0;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		rc = vn_buf_addf(path, err, "%s%s", len ? "/" : "", e->d_name);
		if (rc == 0)
			rc = get(t, vn_buf_text(path), &bits, err);
		if (rc == 0 && !(bits & STAYS))
			rc = vn_tree_remove(fd, e->d_name, err);
		else if (rc == 0 && !(bits & (VN_MARK_LEAF | VN_MARK_CLEARED)))
			rc = vn_buf_add(&kept, e->d_name, strlen(e->d_name) + 1, err);
		path->data[path->len = len] = 0;
	}
	closedir(d);
	fd = -1;
	/* directories of this layer that stood on lower ones */
	for (const char *name = kept.data; rc == 0 && name && name < kept.data + kept.len; name += strlen(name) + 1) {
		rc = vn_buf_addf(path, err, "%s%s", len ? "/" : "", name);
		if (rc == 0)
			rc = forget_lower(t, vn_buf_text(path), cause, err);
		if (rc == 0)
			rc = clear_lower(t, path, cause, err);
		path->data[path->len = len] = 0;
	}
	return rc;
}

/* The folder `path` shows nothing of lower layers. A file or link of a lower layer becomes a folder. */
static int make_opaque(struct vn_tree *t, struct vn_buf *path, const struct vn_tar_entry *e, struct vn_err *err)
{
	uint8_t bits = 0;
	VN_AUTO_CLOSE int fd = -1;
	int rc = get(t, vn_buf_text(path), &bits, err);
	if (rc < 0 || bits & (VN_MARK_LEAF | VN_MARK_CLEARED))
		return rc;
	if (path->len) {
		bool leaf;
		rc = mark_parents(t, vn_buf_text(path), false, &leaf, err);
		if (rc < 0 || leaf)
			return rc;
		forget_parent(t);
		rc = make_parents(t, vn_buf_text(path), e, true, &fd, err);
	}
	return rc < 0 ? rc : clear_lower(t, path, e, err);
}

static int white_out(struct vn_tree *t, struct vn_buf *path, const struct vn_tar_entry *e, struct vn_err *err)
{
	uint8_t bits = 0;
	int rc = get(t, vn_buf_text(path), &bits, err);
	if (rc < 0 || bits & VN_MARK_LEAF)
		return rc;
	rc = open_parent(t, vn_buf_text(path), e, false, err);
	if (rc < 0 || t->parent < 0)
		return rc;
	if (!(bits & STAYS))
		return vn_tree_remove(t->parent, vn_path_base(vn_buf_text(path)), err);
	if (bits & VN_MARK_CLEARED)
		return 0;
	rc = forget_lower(t, vn_buf_text(path), e, err);
	return rc < 0 ? rc : clear_lower(t, path, e, err);
}

/* ---- what a layer describes */
static int put_dir(struct vn_tree *t, const struct vn_tar_entry *e, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = -1;
	bool made;
	if (!e->path[0]) {
		int rc = set(t, "", 0, VN_MARK_OWN, err);
		return rc < 0 ? rc : describe_dir(t, t->root, e, "", err);
	}
	int rc = open_parent(t, e->path, e, true, err);
	if (rc == 0)
		rc = make_dir(t, t->parent, vn_path_base(e->path), e->path, &fd, &made, err);
	if (rc == 0)
		rc = set(t, e->path, VN_MARK_LEAF, VN_MARK_OWN, err);
	return rc < 0 ? rc : describe_dir(t, fd, e, e->path, err);
}

/* The way is free for what is no directory. */
static int clear_way(struct vn_tree *t, const struct vn_tar_entry *e, struct vn_err *err)
{
	uint8_t bits = 0;
	int rc = open_parent(t, e->path, e, true, err);
	if (rc == 0)
		rc = get(t, e->path, &bits, err);
	if (rc == 0 && bits & VN_MARK_PARENT)
		rc = vn_fail(err, VN_EUNSAFE, "%s: \"%.300s\" is no directory, and the layer has something below it", t->what,
			     e->path);
	if (rc == 0)
		rc = vn_tree_remove(t->parent, vn_path_base(e->path), err);
	return rc < 0 ? rc : set(t, e->path, VN_MARK_NOTED | VN_MARK_CLEARED, VN_MARK_OWN | VN_MARK_LEAF, err);
}

static int put_link(struct vn_tree *t, const struct vn_tar_entry *e, struct vn_err *err)
{
	const char *base;
	struct stat st;
	int rc = strcmp(e->path, e->link)
			 ? clear_way(t, e, err)
			 : vn_fail(err, VN_EUNSAFE, "%s: \"%.300s\" is a hard link to itself", t->what, e->path);
	if (rc < 0)
		return rc;
	VN_AUTO_CLOSE int from = vn_beneath_parent(t->root, e->link, &base);
	if (from < 0 || fstatat(from, base, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return vn_fail(err, VN_EUNSAFE,
			       "%s: the hard link \"%.200s\" points to \"%.200s\", which is no file in the image", t->what,
			       e->path, e->link);
	if (linkat(from, base, t->parent, vn_path_base(e->path), 0) < 0)
		return vn_fail_sys(err, VN_EIO, "%s: cannot link \"%.200s\" to \"%.200s\"", t->what, e->path, e->link);
	return 0;
}

static bool is_zero(const char *data, size_t len)
{
	return len && !data[0] && !memcmp(data, data + 1, len - 1);
}

static int write_piece(int fd, const char *data, size_t len, const char *path, struct vn_err *err)
{
	if (len < PIECE || !is_zero(data, len))
		return vn_fs_write(fd, data, len, path, err);
	return lseek(fd, (off_t)len, SEEK_CUR) < 0 ? vn_fail_sys(err, VN_EIO, "cannot write %s", path) : 0;
}

static int write_contents(struct vn_tree *t, struct vn_tar *tar, int fd, const char *path, struct vn_err *err)
{
	const void *block;
	uint64_t size = 0;
	ssize_t n;
	while ((n = vn_tar_data(tar, &block, err)) > 0) {
		for (size_t at = 0, len = (size_t)n; at < len; at += PIECE) {
			int rc = write_piece(fd, (const char *)block + at, len - at < PIECE ? len - at : PIECE, path, err);
			if (rc < 0)
				return vn_wrap(err, "%s", t->what);
		}
		size += (uint64_t)n;
	}
	if (n == 0 && ftruncate(fd, (off_t)size) < 0)
		return vn_fail_sys(err, VN_EIO, "%s: cannot write \"%.300s\"", t->what, path);
	return n < 0 ? (int)n : 0;
}

/* The entry with texts of its own: those of the reader go when the contents are read. */
struct kept {
	struct vn_tar_entry e;
	char *path;
	struct vn_buf bytes;
	struct vn_xattr *xattrs;
};
static void kept_release(struct kept *k)
{
	free(k->path);
	free(k->xattrs);
	vn_buf_release(&k->bytes);
}

static int keep(const struct vn_tar_entry *e, struct kept *k, struct vn_err *err)
{
	size_t need = 0;
	*k = (struct kept){ .e = *e, .bytes = VN_BUF(2 * VN_MAX_XATTRS) };
	for (size_t i = 0; i < e->nxattrs; i++)
		need += strlen(e->xattrs[i].name) + 1 + e->xattrs[i].len;
	int rc = vn_strdup(e->path, &k->path, err);
	if (rc == 0)
		rc = vn_buf_reserve(&k->bytes, need, err);
	k->xattrs = calloc(e->nxattrs + 1, sizeof(*k->xattrs));
	if (rc < 0 || !k->xattrs)
		return rc < 0 ? rc : vn_nomem(err);
	for (size_t i = 0; rc == 0 && i < e->nxattrs; i++) {
		const struct vn_xattr *x = &e->xattrs[i];
		char *name = k->bytes.data + k->bytes.len;
		rc = vn_buf_add(&k->bytes, x->name, strlen(x->name) + 1, err);
		k->xattrs[i] = (struct vn_xattr){ name, k->bytes.data + k->bytes.len, x->len };
		if (rc == 0 && x->len)
			rc = vn_buf_add(&k->bytes, x->value, x->len, err);
	}
	k->e.path = k->path;
	k->e.link = NULL;
	k->e.xattrs = k->xattrs;
	return rc;
}

static int put_file(struct vn_tree *t, struct vn_tar *tar, const struct vn_tar_entry *e, struct vn_err *err)
{
	VN_CLEANUP(kept_release) struct kept k = { 0 };
	VN_AUTO_CLOSE int fd = -1;
	int rc = keep(e, &k, err);
	if (rc == 0)
		rc = clear_way(t, &k.e, err);
	if (rc < 0)
		return rc;
	fd = openat(t->parent, vn_path_base(k.path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "%s: cannot create \"%.300s\"", t->what, k.path);
	rc = write_contents(t, tar, fd, k.path, err);
	if (rc == 0)
		rc = vn_tree_attributes(t, fd, &k.e, k.path, err);
	if (rc == 0 && vn_tree_times(fd, k.e.mtime, k.e.mtime_nsec) < 0)
		rc = vn_fail_sys(err, VN_EIO, "%s: cannot set the time of \"%.300s\"", t->what, k.path);
	return rc;
}

static int put(struct vn_tree *t, struct vn_tar *tar, const struct vn_tar_entry *e, struct vn_buf *gone, struct vn_err *err)
{
	enum vn_whiteout how;
	int rc = vn_whiteout_of(e->path, t->what, gone, &how, err);
	if (rc < 0 || how == VN_WHITEOUT_IGNORED)
		return rc;
	if (how != VN_WHITEOUT_NO)
		return how == VN_WHITEOUT_PATH ? white_out(t, gone, e, err) : make_opaque(t, gone, e, err);
	switch (e->type) {
	case VN_DIR:
		return put_dir(t, e, err);
	case VN_FILE:
		return put_file(t, tar, e, err);
	case VN_HARDLINK:
		return put_link(t, e, err);
	default:
		rc = clear_way(t, e, err);
		return rc < 0 ? rc : vn_tree_special(t, t->parent, vn_path_base(e->path), e, err);
	}
}

static int apply(struct vn_tree *t, struct vn_tar *tar, struct vn_err *err)
{
	VN_AUTO(vn_buf) gone = VN_BUF(VN_MAX_PATH);
	const struct vn_tar_entry *e;
	int rc;
	vn_marks_clear(t->marks);
	while ((rc = vn_tar_next(tar, &e, err)) > 0) {
		rc = put(t, tar, e, &gone, err);
		if (rc < 0)
			return rc;
	}
	forget_parent(t);
	return rc < 0 ? rc : vn_tree_settle(t, err);
}

int vn_tree_apply(struct vn_tree *t, struct vn_in *layer, const char *what, struct vn_err *err)
{
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	int rc = vn_tar_open(layer, what, &tar, err);
	if (rc < 0)
		return rc;
	t->what = what;
	rc = apply(t, tar, err);
	t->what = t->place;
	return rc < 0 ? vn_wrap(err, "unpack into %s", t->place) : 0;
}
