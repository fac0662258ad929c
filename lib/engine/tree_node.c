/* One file of a tree: what it is, whose it is, and what hangs on it. */
#include "engine/beneath.h"
#include "engine/tree_state.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define NSEC_PER_SEC 1000000000

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

bool vn_xattr_kept(const char *name)
{
	static const char *const names[] = { "security.capability", "security.ima", "security.evm", "system.posix_acl_access",
					     "system.posix_acl_default" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return begins(name, "user.") && name[5] && !begins(name, "user.overlay.");
}

static bool refused(int sys)
{
	return sys == ENOTSUP || sys == EPERM || sys == EACCES;
}

/* ---- extended attributes */
static void tell_xattr(struct vn_tree *t, const char *name, const char *path, int sys)
{
	bool *told = sys ? &t->told_refused : &t->told_foreign;
	if (!*told)
		vn_warn(t->events,
			"%s: the extended attribute %.100s of \"%.300s\" is left out%s%s; others like it are not named",
			t->what, name, path, sys ? ": " : "", sys ? strerror(sys) : "");
	*told = true;
}

/* The names on fd, each NUL-ended. */
static int list_xattrs(int fd, const char *path, struct vn_buf *ret, struct vn_err *err)
{
	ssize_t n = flistxattr(fd, NULL, 0);
	if (n == 0 || (n < 0 && errno == ENOTSUP))
		return 0;
	if (n < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read the extended attributes of \"%.300s\"", path);
	int rc = vn_buf_reserve(ret, (size_t)n, err);
	if (rc < 0)
		return rc;
	n = flistxattr(fd, ret->data, (size_t)n);
	if (n < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read the extended attributes of \"%.300s\"", path);
	ret->len = (size_t)n;
	return 0;
}

static const struct vn_xattr *find_xattr(const struct vn_xattr *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}

static int set_xattrs(struct vn_tree *t, int fd, const struct vn_tar_entry *e, const char *path, struct vn_err *err)
{
	VN_AUTO(vn_buf) names = VN_BUF(VN_MAX_XATTRS);
	int rc = list_xattrs(fd, path, &names, err);
	if (rc < 0)
		return rc;
	/* a file inherits its directory's default ACL */
	for (size_t at = 0; at < names.len; at += strlen(names.data + at) + 1) {
		const char *name = names.data + at;
		if (vn_xattr_kept(name) && !find_xattr(e->xattrs, e->nxattrs, name) && fremovexattr(fd, name) < 0 &&
		    errno != ENODATA)
			return vn_fail_sys(err, VN_EIO, "cannot remove the extended attribute %.100s of \"%.300s\"", name,
					   path);
	}
	for (size_t i = 0; i < e->nxattrs; i++) {
		const struct vn_xattr *x = &e->xattrs[i];
		int set = 0;
		if (!vn_xattr_kept(x->name))
			tell_xattr(t, x->name, path, 0);
		else
			set = fsetxattr(fd, x->name, x->value, x->len, 0);
		if (set < 0 && !refused(errno))
			return vn_fail_sys(err, VN_EIO, "cannot set the extended attribute %.100s of \"%.300s\"", x->name,
					   path);
		if (set < 0)
			tell_xattr(t, x->name, path, errno);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct vn_xattr *)a)->name, ((const struct vn_xattr *)b)->name);
}

int vn_xattrs_read(int fd, const char *path, struct vn_buf *room, struct vn_xattr **ret, size_t *ret_n, struct vn_err *err)
{
	VN_AUTO_FREE struct vn_xattr *list = NULL;
	size_t n = 0, cap = 0;
	vn_buf_clear(room);
	int rc = list_xattrs(fd, path, room, err);
	size_t names = room->len;
	/* all of it at once, so that names and values stay where they are */
	if (rc == 0 && names)
		rc = vn_buf_reserve(room, room->max - names, err);
	for (size_t at = 0; rc == 0 && at < names; at += strlen(room->data + at) + 1) {
		const char *name = room->data + at;
		char *value = room->data + room->len;
		if (!vn_xattr_kept(name))
			continue;
		ssize_t len = fgetxattr(fd, name, value, room->max - room->len);
		if (len < 0)
			return vn_fail_sys(err, VN_EIO, "cannot read the extended attribute %.100s of \"%.300s\"", name, path);
		room->len += (size_t)len;
		rc = vn_grow(&list, &cap, n + 1, sizeof(*list), err);
		if (rc == 0)
			list[n++] = (struct vn_xattr){ name, value, (size_t)len };
	}
	if (rc < 0)
		return rc;
	if (n > 1)
		qsort(list, n, sizeof(*list), by_name);
	*ret = vn_steal(list);
	*ret_n = n;
	return 0;
}

/* ---- owner, mode, times */
static int owner_refused(struct vn_tree *t, const char *path, const struct vn_tar_entry *e, struct vn_err *err)
{
	if (t->privileged)
		return vn_fail_sys(err, VN_EIO, "%s: cannot give \"%.300s\" to %u:%u", t->what, path, e->uid, e->gid);
	if (!t->told_owner)
		vn_warn(t->events, "%s: without privileges every file belongs to the user who runs this", t->place);
	t->told_owner = true;
	return 0;
}

int vn_tree_attributes(struct vn_tree *t, int fd, const struct vn_tar_entry *e, const char *path, struct vn_err *err)
{
	/* a change of the owner takes setuid bits and capabilities away */
	int rc = fchown(fd, e->uid, e->gid) < 0 ? owner_refused(t, path, e, err) : 0;
	if (rc == 0)
		rc = set_xattrs(t, fd, e, path, err);
	if (rc == 0 && fchmod(fd, e->mode) < 0)
		rc = vn_fail_sys(err, VN_EIO, "%s: cannot set the mode of \"%.300s\"", t->what, path);
	return rc;
}

static struct timespec time_of(int64_t mtime, uint32_t nsec)
{
	struct timespec ts = { .tv_sec = (time_t)mtime, .tv_nsec = nsec < NSEC_PER_SEC ? (long)nsec : 0 };
	if (ts.tv_sec != mtime)
		ts.tv_sec = 0;
	return ts;
}

int vn_tree_times(int fd, int64_t mtime, uint32_t nsec)
{
	struct timespec ts[2] = { time_of(mtime, nsec), time_of(mtime, nsec) };
	return futimens(fd, ts);
}

/* ---- what cannot be opened for writing */
/* A default ACL of the directory reaches devices and pipes, too. Where /proc is not mounted, it stays. */
static void drop_acl(int parent, const char *name)
{
	char at[300];
	snprintf(at, sizeof(at), "/proc/self/fd/%d/%s", parent, name);
	lremovexattr(at, "system.posix_acl_access");
}

static int make_special(struct vn_tree *t, int parent, const char *name, const struct vn_tar_entry *e, bool *ret_made,
			struct vn_err *err)
{
	int rc;
	if (e->type == VN_SYMLINK)
		rc = symlinkat(e->link, parent, name);
	else if (e->type == VN_FIFO)
		rc = mkfifoat(parent, name, 0600);
	else
		rc = mknodat(parent, name, (e->type == VN_CHAR ? S_IFCHR : S_IFBLK) | 0600,
			     makedev(e->dev_major, e->dev_minor));
	*ret_made = rc == 0;
	if (rc == 0)
		return 0;
	if (t->privileged || errno != EPERM || e->type == VN_SYMLINK || e->type == VN_FIFO)
		return vn_fail_sys(err, VN_EIO, "%s: cannot create \"%.300s\"", t->what, e->path);
	if (!t->told_device)
		vn_warn(t->events, "%s: without privileges device nodes are left out, as \"%.300s\"", t->place, e->path);
	t->told_device = true;
	return 0;
}

int vn_tree_special(struct vn_tree *t, int parent, const char *name, const struct vn_tar_entry *e, struct vn_err *err)
{
	struct timespec ts[2] = { time_of(e->mtime, e->mtime_nsec), time_of(e->mtime, e->mtime_nsec) };
	bool made = false;
	int rc = make_special(t, parent, name, e, &made, err);
	if (rc < 0 || !made)
		return rc;
	if (fchownat(parent, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
		rc = owner_refused(t, e->path, e, err);
	if (rc == 0 && e->nxattrs)
		tell_xattr(t, e->xattrs[0].name, e->path, 0);
	if (rc < 0 || e->type == VN_SYMLINK)
		return rc < 0 || utimensat(parent, name, ts, AT_SYMLINK_NOFOLLOW) == 0
			       ? rc
			       : vn_fail_sys(err, VN_EIO, "%s: cannot set the time of \"%.300s\"", t->what, e->path);
	drop_acl(parent, name);
	if (fchmodat(parent, name, e->mode, 0) < 0 || utimensat(parent, name, ts, AT_SYMLINK_NOFOLLOW) < 0)
		rc = vn_fail_sys(err, VN_EIO, "%s: cannot set mode and time of \"%.300s\"", t->what, e->path);
	return rc;
}
