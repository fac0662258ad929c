/* Changing a layout folder: its index.json by rename, under an exclusive flock on the folder; blobs by way of temporary files. */
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

int vn_layout_lock(const char *dir, int how, int *ret_fd, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return vn_fail_sys(err, errno == ENOENT ? VN_ENOTFOUND : VN_EIO, "cannot open %s", dir);
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return vn_fail_sys(err, VN_EIO, "cannot lock %s", dir);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int index_path(const char *dir, char **ret, struct vn_err *err)
{
	return vn_asprintf(ret, err, "%s/index.json", dir);
}

int vn_layout_index(const char *dir, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = index_path(dir, &path, err);
	return rc < 0 ? rc : vn_fs_read(path, ret, err);
}

static int put_index(const char *dir, const struct vn_buf *index, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = index_path(dir, &path, err);
	return rc < 0 ? rc : vn_fs_replace(path, vn_buf_text(index), index->len, 0644, err);
}

int vn_layout_put_entry(const char *dir, const struct vn_desc *desc, const char *tag, const char *full_name, struct vn_err *err)
{
	VN_AUTO(vn_buf) old = VN_BUF(VN_MAX_ARCHIVE_JSON), new = VN_BUF(VN_MAX_ARCHIVE_JSON);
	int rc = vn_layout_index(dir, &old, err);
	if (rc < 0 && rc != -VN_ENOTFOUND)
		return rc;
	rc = vn_layout_with_entry(&old, dir, desc, tag, full_name, &new, err);
	return rc < 0 ? rc : put_index(dir, &new, err);
}

int vn_layout_drop_entry(const char *dir, const char *tag, struct vn_err *err)
{
	VN_AUTO(vn_buf) old = VN_BUF(VN_MAX_ARCHIVE_JSON), new = VN_BUF(VN_MAX_ARCHIVE_JSON);
	bool found = false;
	int rc = vn_layout_index(dir, &old, err);
	if (rc == 0)
		rc = vn_layout_without_entry(&old, dir, tag, &new, &found, err);
	if (rc < 0 || !found)
		return rc == -VN_ENOTFOUND ? 0 : rc;
	return put_index(dir, &new, err);
}

/* ---- blobs on their way */
static void tidy_folder(const char *dir)
{
	DIR *d = opendir(dir);
	for (const struct dirent *e; d && (e = readdir(d));) {
		if (strncmp(e->d_name, VN_TMP_PREFIX, strlen(VN_TMP_PREFIX)))
			continue;
		VN_AUTO_CLOSE int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

void vn_layout_tidy(const char *dir)
{
	static const char *const places[] = { "", "/blobs/sha256", "/blobs/sha512" };
	struct vn_err ignored = { 0 };
	VN_AUTO_CLOSE int lock = -1;
	if (vn_layout_lock(dir, LOCK_EX | LOCK_NB, &lock, &ignored) < 0)
		return;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		VN_AUTO_FREE char *path = NULL;
		if (vn_asprintf(&path, &ignored, "%s%s", dir, places[i]) == 0)
			tidy_folder(path);
	}
}

int vn_layout_tmp_open(const char *dir, const char *path, struct vn_tmp *tmp, struct vn_err *err)
{
	VN_AUTO_CLOSE int lock = -1;
	VN_AUTO_FREE char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
	if (!folder)
		return vn_nomem(err);
	int rc = vn_fs_mkdirs(folder, 0755, err);
	if (rc == 0)
		rc = vn_layout_lock(dir, LOCK_SH, &lock, err);
	if (rc == 0)
		rc = vn_tmp_open(tmp, folder, err);
	if (rc == 0)
		flock(tmp->fd, LOCK_EX | LOCK_NB);
	return rc;
}
