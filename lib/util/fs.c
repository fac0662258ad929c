#include "util/fs.h"
#include "util/cleanup.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int vn_fs_read(const char *path, struct vn_buf *ret_bytes, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return vn_fail_sys(err, errno == ENOENT || errno == ENOTDIR ? VN_ENOTFOUND : VN_EIO, "cannot read %s", path);
	for (;;) {
		size_t room = ret_bytes->max - ret_bytes->len;
		if (room == 0) {
			char one;
			ssize_t more = read(fd, &one, 1);
			if (more == 0)
				return 0;
			return vn_fail(err, VN_ELIMIT, "%s is larger than %zu bytes", path, ret_bytes->max);
		}
		size_t chunk = room < 65536 ? room : 65536;
		int r = vn_buf_reserve(ret_bytes, chunk, err);
		if (r < 0)
			return r;
		ssize_t n = read(fd, ret_bytes->data + ret_bytes->len, chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vn_fail_sys(err, VN_EIO, "cannot read %s", path);
		if (n == 0)
			return 0;
		ret_bytes->len += (size_t)n;
		ret_bytes->data[ret_bytes->len] = 0;
	}
}

int vn_fs_mkdirs(const char *path, mode_t mode, struct vn_err *err)
{
	VN_AUTO_FREE char *copy = strdup(path);
	if (!copy)
		return vn_nomem(err);
	for (char *p = copy + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char c = *p;
		*p = 0;
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return vn_fail_sys(err, VN_EIO, "cannot create the folder %s", copy);
		*p = c;
		if (!c)
			break;
	}
	struct stat st;
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return vn_fail(err, VN_EIO, "%s is in the way: not a folder", path);
	return 0;
}

bool vn_fs_exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

int vn_fs_absolute(const char *path, char **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *here = *path == '/' ? strdup("") : getcwd(NULL, 0);
	if (!here)
		return vn_fail_sys(err, VN_EIO, "cannot tell the working folder");
	int r = vn_asprintf(ret, err, "%s%s%s", here, *path == '/' ? "" : "/", path);
	for (size_t n = r == 0 ? strlen(*ret) : 0; n > 1 && (*ret)[n - 1] == '/'; n--)
		(*ret)[n - 1] = 0;
	return r;
}

int vn_fs_write(int fd, const void *data, size_t len, const char *name, struct vn_err *err)
{
	const char *p = data;
	while (len) {
		ssize_t n = write(fd, p, len < (1u << 30) ? len : 1u << 30);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vn_fail_sys(err, VN_EIO, "cannot write %s", name);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int vn_fs_read_at(int fd, uint64_t offset, void *out, size_t len, const char *name, struct vn_err *err)
{
	char *p = out;
	while (len) {
		ssize_t n = pread(fd, p, len < (1u << 30) ? len : 1u << 30, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vn_fail_sys(err, VN_EIO, "cannot read %s", name);
		if (n == 0)
			return vn_fail(err, VN_EIO, "%s became shorter while it was read", name);
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int remove_at(int parent, const char *name, struct vn_err *err)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return vn_fail_sys(err, VN_EIO, "cannot remove %s", name);
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		vn_fail_sys(err, VN_EIO, "cannot open the folder %s", name);
		if (fd >= 0)
			close(fd);
		return -VN_EIO;
	}
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = remove_at(fd, e->d_name, err);
	closedir(dir);
	if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		r = vn_fail_sys(err, VN_EIO, "cannot remove the folder %s", name);
	return r;
}

int vn_fs_remove_tree(const char *path, struct vn_err *err)
{
	return remove_at(AT_FDCWD, path, err);
}

int vn_tmp_open(struct vn_tmp *tmp, const char *dir, struct vn_err *err)
{
	char *path;
	int r = vn_asprintf(&path, err, "%s/" VN_TMP_PREFIX "XXXXXX", dir);
	if (r < 0)
		return r;
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		free(path);
		return vn_fail_sys(err, VN_EIO, "cannot create a file in %s", dir);
	}
	tmp->fd = fd;
	tmp->path = path;
	return 0;
}

int vn_tmp_anonymous(struct vn_tmp *tmp, struct vn_err *err)
{
	const char *dir = getenv("TMPDIR");
	int r = vn_tmp_open(tmp, dir && *dir ? dir : "/tmp", err);
	if (r < 0)
		return r;
	unlink(tmp->path);
	free(tmp->path);
	tmp->path = NULL;
	return 0;
}

int vn_fs_sync_dir(const char *dir, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* EINVAL: a file system that has nothing to sync here */
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		return vn_fail_sys(err, VN_EIO, "cannot sync the folder %s", dir);
	return 0;
}

int vn_fs_sync_parent(const char *path, struct vn_err *err)
{
	VN_AUTO_FREE char *dir = strdup(path);
	if (!dir)
		return vn_nomem(err);
	char *slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = 0;
	return vn_fs_sync_dir(slash ? dir : ".", err);
}

void vn_boot_id(char ret[VN_BOOT_TEXT])
{
	VN_AUTO(vn_buf) text = VN_BUF(64);
	struct vn_err ignored = { 0 };
	ret[0] = 0;
	if (vn_fs_read("/proc/sys/kernel/random/boot_id", &text, &ignored) == 0)
		snprintf(ret, VN_BOOT_TEXT, "%.*s", (int)strcspn(vn_buf_text(&text), "\n"), vn_buf_text(&text));
}

int vn_tmp_publish(struct vn_tmp *tmp, const char *path, mode_t mode, struct vn_err *err)
{
	if (fchmod(tmp->fd, mode) < 0 || fsync(tmp->fd) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write %s", path);
	if (rename(tmp->path, path) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot put %s in its place", path);
	free(tmp->path);
	tmp->path = NULL;
	return vn_fs_sync_parent(path, err);
}

void vn_tmp_release(struct vn_tmp *tmp)
{
	int saved = errno;
	if (tmp->fd >= 0)
		close(tmp->fd);
	if (tmp->path)
		unlink(tmp->path);
	free(tmp->path);
	tmp->fd = -1;
	tmp->path = NULL;
	errno = saved;
}

int vn_fs_replace(const char *path, const void *data, size_t len, mode_t mode, struct vn_err *err)
{
	VN_AUTO_FREE char *dir = strdup(path);
	if (!dir)
		return vn_nomem(err);
	char *slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = 0;
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	int r = vn_tmp_open(&tmp, slash ? dir : ".", err);
	if (r == 0)
		r = vn_fs_write(tmp.fd, data, len, path, err);
	if (r == 0)
		r = vn_tmp_publish(&tmp, path, mode, err);
	return r;
}
