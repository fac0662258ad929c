/* What a tree must show of its upper layers. They are read from the top down, so that what an upper layer says of a path
 * settles it. In one layer the last description of a path counts: one that differs is only held against the tree when none
 * follows that agrees. */
#include "engine/beneath.h"
#include "engine/tree_state.h"
#include "tar/whiteout.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/path.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* What the layers above say of a path; the present one says it NOW bits higher. */
enum {
	SETTLED = 1 /* what lower layers say of it does not count */,
	COVERS = 2 /* nor what they say of paths below */,
	DIR_HERE = 4 /* it is a directory, because something is below */,
	ALL = 7,
	NOW = 3,
	ODD = 64 /* in the present layer: differs */
};

struct comparer {
	int root;
	const char *place, *what;
	bool privileged;
	struct vn_marks *marks;
	struct vn_buf gone; /* whiteouts of the present layer, each NUL-ended; opaque folders end in '/' */
	struct vn_buf path, xattrs;
	struct vn_err odd; /* a difference, code 0 = none is kept, */
	char *odd_path;	   /* and the path that it is about */
};

static int bits_of(struct comparer *c, const char *path, uint8_t *ret, struct vn_err *err)
{
	return vn_marks_get(c->marks, path, strlen(path), ret, err);
}

static int say(struct comparer *c, const char *path, unsigned bits, struct vn_err *err)
{
	int rc = vn_marks_set(c->marks, path, strlen(path), 0, (uint8_t)(bits << NOW), err);
	for (size_t n = strcspn(path, "/"); rc == 0 && path[n]; n += 1 + strcspn(path + n + 1, "/"))
		rc = vn_marks_set(c->marks, path, n, 0, DIR_HERE << NOW, err);
	return rc;
}

/* An upper layer hides whatever is below one of the directories above `path`. */
static int is_covered(struct comparer *c, const char *path, bool *ret, struct vn_err *err)
{
	uint8_t bits = 0;
	int rc = vn_marks_get(c->marks, "", 0, &bits, err);
	*ret = bits & COVERS;
	for (size_t n = strcspn(path, "/"); rc == 0 && !*ret && path[n]; n += 1 + strcspn(path + n + 1, "/")) {
		rc = vn_marks_get(c->marks, path, n, &bits, err);
		*ret = bits & COVERS;
	}
	return rc;
}

/* ---- one entry; differences are told in c->odd, with the result 1 */
static int differs(struct comparer *c, const char *path, const char *how)
{
	if (c->odd_path)
		return 1;
	c->odd_path = strdup(path);
	vn_fail(&c->odd, VN_EDIGEST, "%s: \"%.300s\" %s, unlike in %s", c->place, path, how, c->what);
	return 1;
}

static int compare_contents(struct comparer *c, struct vn_tar *tar, int fd, const char *path, struct vn_err *err)
{
	char have[64 << 10];
	const void *block;
	uint64_t at = 0;
	ssize_t n;
	while ((n = vn_tar_data(tar, &block, err)) > 0) {
		for (size_t done = 0, len = (size_t)n; done < len;) {
			size_t part = len - done < sizeof(have) ? len - done : sizeof(have);
			int rc = vn_fs_read_at(fd, at, have, part, path, err);
			if (rc < 0)
				return rc;
			if (memcmp(have, (const char *)block + done, part))
				return differs(c, path, "has other contents");
			at += part;
			done += part;
		}
	}
	return (int)n;
}

static int compare_xattrs(struct comparer *c, int fd, const struct vn_tar_entry *e, struct vn_err *err)
{
	VN_AUTO_FREE struct vn_xattr *have = NULL;
	size_t n = 0, at = 0;
	int rc = vn_xattrs_read(fd, e->path, &c->xattrs, &have, &n, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < e->nxattrs; i++) {
		const struct vn_xattr *x = &e->xattrs[i];
		if (!vn_xattr_kept(x->name))
			continue;
		if (at < n && !strcmp(have[at].name, x->name) && have[at].len == x->len &&
		    !memcmp(have[at].value, x->value, x->len))
			at++;
		else if (c->privileged && (at == n || strcmp(have[at].name, x->name))) {
			if (fgetxattr(fd, x->name, NULL, 0) < 0 && errno == ENOTSUP)
				continue; /* the file system keeps none */
			return differs(c, e->path, "lacks an extended attribute");
		} else if (c->privileged)
			return differs(c, e->path, "has an extended attribute with another value");
	}
	return at < n && c->privileged ? differs(c, e->path, "has one extended attribute more") : 0;
}

static int compare_link(struct comparer *c, int parent, const char *name, const struct vn_tar_entry *e, struct vn_err *err)
{
	int rc = vn_buf_reserve(&c->path, VN_MAX_PATH + 1, err);
	if (rc < 0)
		return rc;
	ssize_t n = readlinkat(parent, name, c->path.data, VN_MAX_PATH + 1);
	size_t len = strlen(e->link);
	return n < 0 || (size_t)n != len || memcmp(c->path.data, e->link, len) ? differs(c, e->path, "points elsewhere") : 0;
}

static int compare_hardlink(struct comparer *c, const struct stat *st, const struct vn_tar_entry *e, struct vn_err *err)
{
	const char *base;
	struct stat to;
	uint8_t bits = 0;
	bool covered = false;
	int rc = bits_of(c, e->link, &bits, err);
	if (rc == 0)
		rc = is_covered(c, e->link, &covered, err);
	/* an upper layer may have put something else where the link points */
	if (rc < 0 || covered || bits & (SETTLED | DIR_HERE))
		return rc;
	VN_AUTO_CLOSE int parent = vn_beneath_parent(c->root, e->link, &base);
	if (parent < 0 || fstatat(parent, base, &to, AT_SYMLINK_NOFOLLOW) < 0 || to.st_ino != st->st_ino ||
	    to.st_dev != st->st_dev)
		return differs(c, e->path, "is no hard link to the same file");
	return 0;
}

static mode_t kind_of(enum vn_entry_type type)
{
	static const mode_t kinds[] = { [VN_FILE] = S_IFREG, [VN_DIR] = S_IFDIR,   [VN_SYMLINK] = S_IFLNK,
					[VN_CHAR] = S_IFCHR, [VN_BLOCK] = S_IFBLK, [VN_FIFO] = S_IFIFO };
	return kinds[type];
}

static int compare_stat(struct comparer *c, const struct stat *st, const struct vn_tar_entry *e)
{
	/* without privileges the kernel takes setuid and setgid away, and files keep their maker as owner */
	mode_t mask = c->privileged ? 07777 : 01777;
	if ((st->st_mode & S_IFMT) != kind_of(e->type))
		return differs(c, e->path, "is of another kind");
	if (e->type != VN_SYMLINK && (st->st_mode & mask) != (e->mode & mask))
		return differs(c, e->path, "has another mode");
	if (c->privileged && (st->st_uid != e->uid || st->st_gid != e->gid))
		return differs(c, e->path, "belongs to somebody else");
	if (e->type == VN_FILE && (uint64_t)st->st_size != e->size)
		return differs(c, e->path, "has another size");
	if ((e->type == VN_CHAR || e->type == VN_BLOCK) && st->st_rdev != makedev(e->dev_major, e->dev_minor))
		return differs(c, e->path, "is another device");
	return 0;
}

static int compare_entry(struct comparer *c, struct vn_tar *tar, const struct vn_tar_entry *e, struct vn_err *err)
{
	const char *base;
	struct stat st;
	bool device = e->type == VN_CHAR || e->type == VN_BLOCK;
	VN_AUTO_CLOSE int parent = vn_beneath_parent(c->root, e->path, &base);
	if (parent < 0 || fstatat(parent, *base ? base : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return device && !c->privileged ? 0 : differs(c, e->path, "is missing");
	if (e->type == VN_HARDLINK)
		return compare_hardlink(c, &st, e, err);
	int rc = compare_stat(c, &st, e);
	if (rc)
		return rc;
	if (e->type == VN_SYMLINK)
		return compare_link(c, parent, base, e, err);
	if (e->type != VN_FILE && e->type != VN_DIR)
		return 0;
	VN_AUTO_CLOSE int fd = vn_beneath_open(c->root, e->path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read \"%.300s\" in %s", e->path, c->place);
	rc = compare_xattrs(c, fd, e, err);
	if (rc || e->type != VN_FILE)
		return rc;
	/* the texts of `e` go when the contents are read */
	vn_buf_clear(&c->path);
	rc = vn_buf_adds(&c->path, e->path, err);
	return rc < 0 ? rc : compare_contents(c, tar, fd, vn_buf_text(&c->path), err);
}

static void forget_odd(struct comparer *c)
{
	free(vn_steal(c->odd_path));
	c->odd = (struct vn_err){ 0 };
}

/* ---- one layer */
static int take_entry(struct comparer *c, struct vn_tar *tar, const struct vn_tar_entry *e, struct vn_err *err)
{
	uint8_t bits = 0;
	bool covered = false;
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_strdup(e->path, &path, err);
	if (rc == 0)
		rc = bits_of(c, path, &bits, err);
	if (rc == 0)
		rc = is_covered(c, path, &covered, err);
	if (rc == 0)
		rc = say(c, path, e->type == VN_DIR ? SETTLED : SETTLED | COVERS, err);
	if (rc < 0 || covered || bits & SETTLED || (bits & DIR_HERE && e->type != VN_DIR))
		return rc;
	rc = compare_entry(c, tar, e, err);
	if (rc == 0 && c->odd_path && !strcmp(c->odd_path, path))
		forget_odd(c);
	return rc < 0 ? rc : vn_marks_set(c->marks, path, strlen(path), rc ? 0 : ODD, rc ? ODD : 0, err);
}

static int note_gone(struct comparer *c, const char *path, bool opaque, struct vn_err *err)
{
	return vn_buf_addf(&c->gone, err, "%s%s%c", path, opaque ? "/" : "", 0);
}

/* What the layer takes away must not be there, unless it or an upper layer puts something in its place. */
static int check_gone(struct comparer *c, const char *path, struct vn_err *err)
{
	const char *base;
	struct stat st;
	uint8_t bits = 0;
	bool covered = false;
	int rc = bits_of(c, path, &bits, err);
	if (rc == 0)
		rc = is_covered(c, path, &covered, err);
	if (rc < 0 || covered || bits & (SETTLED | DIR_HERE | (SETTLED | DIR_HERE) << NOW))
		return rc;
	VN_AUTO_CLOSE int parent = vn_beneath_parent(c->root, path, &base);
	if (parent < 0 || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	differs(c, path, "is there");
	return vn_marks_set(c->marks, path, strlen(path), 0, ODD, err);
}

static int end_whiteouts(struct comparer *c, struct vn_err *err)
{
	int rc = 0;
	const char *end = c->gone.data + c->gone.len;
	for (const char *p = c->gone.data; rc == 0 && p && p < end; p += strlen(p) + 1)
		if (!*p || p[strlen(p) - 1] != '/')
			rc = check_gone(c, p, err);
	for (char *p = c->gone.data; rc == 0 && p && p < end;) {
		size_t n = strlen(p);
		bool opaque = n && p[n - 1] == '/';
		if (opaque)
			p[n - 1] = 0;
		rc = say(c, p, opaque ? COVERS : SETTLED | COVERS, err);
		p += n + 1;
	}
	vn_buf_clear(&c->gone);
	return rc;
}

static uint8_t age(uint8_t bits)
{
	return (uint8_t)((bits & ALL) | (bits >> NOW & ALL));
}

static int read_layer(struct comparer *c, struct vn_tar *tar, struct vn_err *err)
{
	VN_AUTO(vn_buf) path = VN_BUF(VN_MAX_PATH);
	const struct vn_tar_entry *e;
	enum vn_whiteout how;
	int rc;
	while ((rc = vn_tar_next(tar, &e, err)) > 0) {
		rc = vn_whiteout_of(e->path, c->what, &path, &how, err);
		if (rc == 0 && how == VN_WHITEOUT_NO)
			rc = take_entry(c, tar, e, err);
		else if (rc == 0 && how != VN_WHITEOUT_IGNORED)
			rc = note_gone(c, vn_buf_text(&path), how == VN_WHITEOUT_OPAQUE, err);
		if (rc < 0)
			return rc;
	}
	if (rc == 0)
		rc = end_whiteouts(c, err);
	if (rc < 0 || !vn_marks_each(c->marks, ODD, age))
		return rc;
	if (!c->odd.code)
		return vn_fail(err, VN_EDIGEST, "%s has files that differ from those of %s", c->place, c->what);
	*err = c->odd;
	return -(int)err->code;
}

static int compare_layers(struct comparer *c, const struct vn_image *image, size_t from, size_t *ret_looked, struct vn_err *err)
{
	*ret_looked = 0;
	for (size_t i = image->nlayers; i-- > from;) {
		char what[512];
		struct vn_in *in = NULL;
		VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
		c->what = vn_image_layer_name(image, i, what);
		int rc = vn_image_layer_tar(image, i, 0, &in, err);
		if (rc == -VN_ENOTFOUND) {
			*err = (struct vn_err){ 0 };
			return 0;
		}
		if (rc == 0)
			rc = vn_tar_open(in, what, &tar, err);
		if (rc == 0)
			rc = read_layer(c, tar, err);
		if (rc < 0)
			return rc;
		++*ret_looked;
	}
	return 0;
}

int vn_tree_compare(int dir, const char *place, const struct vn_image *image, size_t from, size_t *ret_looked,
		    struct vn_err *err)
{
	struct comparer c = { .root = dir,
			      .place = place,
			      .privileged = geteuid() == 0,
			      .gone = VN_BUF(VN_MAX_TREE_DIRS),
			      .path = VN_BUF(2 * VN_MAX_PATH),
			      .xattrs = VN_BUF(VN_MAX_XATTRS) };
	int rc = vn_marks_open(&c.marks, err);
	if (rc == 0)
		rc = compare_layers(&c, image, from, ret_looked, err);
	vn_marks_close(c.marks);
	free(c.odd_path);
	vn_buf_release(&c.gone);
	vn_buf_release(&c.path);
	vn_buf_release(&c.xattrs);
	return rc;
}
