/* Changing index.json of a layout folder: under an exclusive flock on the folder, by rename. */
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
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
