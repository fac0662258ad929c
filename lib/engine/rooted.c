#include "engine/rooted.h"
#include "engine/beneath.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define BLOCK (128u << 10)

static int no_file(const char *path, struct vn_err *err)
{
	return vn_fail(err, VN_ENOTFOUND, "the image has no file /%.600s", path);
}

static int failed(const char *path, struct vn_err *err)
{
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV || errno == ENAMETOOLONG)
		return no_file(path, err);
	return vn_fail_sys(err, VN_EIO, "cannot read /%.600s of the image", path);
}

int vn_rooted_open(int root, const char *path, int *ret_fd, uint64_t *ret_size, struct vn_err *err)
{
	struct stat st;
	VN_AUTO_CLOSE int fd = vn_beneath_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(path, err);
	if (!S_ISREG(st.st_mode))
		return no_file(path, err);
	*ret_fd = fd;
	*ret_size = (uint64_t)st.st_size;
	fd = -1;
	return 0;
}

int vn_put_at(int fd, const void *data, size_t len, uint64_t *at, struct vn_err *err)
{
	const char *p = data;
	uint64_t end;
	if (!vn_add_u64(*at, len, &end) || end > VN_MAX_BLOB)
		return vn_fail(err, VN_ELIMIT, "the files of the image that are needed have more than %llu bytes",
			       (unsigned long long)VN_MAX_BLOB);
	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)*at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return vn_fail_sys(err, VN_EIO, "cannot write the files of the image");
		p += n;
		*at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_one(int from, const char *path, int fd, uint64_t *at, char *block, struct vn_err *err)
{
	for (;;) {
		ssize_t n = read(from, block, BLOCK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(path, err);
		if (n == 0)
			return 0;
		int rc = vn_put_at(fd, block, (size_t)n, at, err);
		if (rc < 0)
			return rc;
	}
}

int vn_rooted_files(int root, const char *const *paths, size_t n, int fd, uint64_t at, uint64_t *ret_sizes, uint64_t *ret_end,
		    struct vn_err *err)
{
	VN_AUTO_FREE char *block = malloc(BLOCK);
	if (!block)
		return vn_nomem(err);
	for (size_t i = 0; i < n; i++) {
		VN_AUTO_CLOSE int from = -1;
		uint64_t size, begin = at;
		int rc = vn_rooted_open(root, paths[i], &from, &size, err);
		if (rc == 0)
			rc = copy_one(from, paths[i], fd, &at, block, err);
		if (rc < 0)
			return rc;
		if (ret_sizes)
			ret_sizes[i] = at - begin;
	}
	*ret_end = at;
	return 0;
}
