/* What every byte source shares, and the sources themselves: file, descriptor, slice, memory. */
#include "stream/in.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define READ_SIZE (256u << 10)       /* measured: larger reads gain nothing */
#define MEMORY_BLOCK (1u << 30)      /* most that one block holds, so that its length fits every consumer */

ssize_t vn_in_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	if (!in->rest_len)
		return in->ops->next(in, ret_block, err);
	size_t len = in->rest_len;
	*ret_block = in->rest;
	in->rest_len = 0;
	return (ssize_t)len;
}

ssize_t vn_in_read(struct vn_in *in, void *out, size_t len, struct vn_err *err)
{
	size_t done = 0;
	while (done < len) {
		if (!in->rest_len) {
			const void *block;
			ssize_t n = in->ops->next(in, &block, err);
			if (n < 0)
				return n;
			if (n == 0)
				break;
			in->rest = block;
			in->rest_len = (size_t)n;
		}
		size_t take = len - done < in->rest_len ? len - done : in->rest_len;
		memcpy((uint8_t *)out + done, in->rest, take);
		in->rest += take;
		in->rest_len -= take;
		done += take;
	}
	return (ssize_t)done;
}

int vn_in_read_full(struct vn_in *in, void *out, size_t len, struct vn_err *err)
{
	ssize_t n = vn_in_read(in, out, len, err);
	if (n < 0)
		return (int)n;
	if ((size_t)n < len)
		return vn_fail(err, VN_EFORMAT, "ends early: %zd bytes where %zu were expected", n, len);
	return 0;
}

int vn_in_read_all(struct vn_in *in, struct vn_buf *ret_bytes, struct vn_err *err)
{
	for (;;) {
		const void *block;
		ssize_t n = vn_in_next(in, &block, err);
		if (n <= 0)
			return (int)n;
		int rc = vn_buf_add(ret_bytes, block, (size_t)n, err);
		if (rc < 0)
			return rc;
	}
}

int vn_in_drain(struct vn_in *in, struct vn_err *err)
{
	const void *block;
	ssize_t n;
	while ((n = vn_in_next(in, &block, err)) > 0)
		;
	return (int)n;
}

int vn_in_settle(struct vn_in *in, struct vn_err *err)
{
	struct vn_err below = { 0 };
	int rc = vn_in_drain(in, &below);
	if (rc < 0 && (below.code == VN_EDIGEST || below.code == VN_EFORMAT || below.code == VN_ENETWORK))
		*err = below;
	return -(int)err->code;
}

void vn_in_close(struct vn_in *in)
{
	if (in)
		in->ops->close(in);
}

/* ---- descriptor and slice: one kind, a slice being read by pread and having an end */
struct fd_in {
	struct vn_in in;
	int fd;
	bool owned, sliced;
	uint64_t offset, left;       /* sliced */
	char *name;
	uint8_t *buffer;
};

static int slice_ended(const struct fd_in *f, struct vn_err *err)
{
	return vn_fail(err, VN_EFORMAT, "%s ends early: at byte %llu, with %llu more expected", f->name,
		       (unsigned long long)f->offset, (unsigned long long)f->left);
}

static ssize_t fd_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct fd_in *f = (struct fd_in *)in;
	size_t want = READ_SIZE;
	if (f->sliced && f->left < want)
		want = (size_t)f->left;
	if (!want)
		return 0;
	ssize_t n;
	do
		n = f->sliced ? pread(f->fd, f->buffer, want, (off_t)f->offset) : read(f->fd, f->buffer, want);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return vn_fail_sys(err, VN_EIO, "read %s", f->name);
	if (f->sliced && n == 0)
		return slice_ended(f, err);
	f->offset += (uint64_t)n;
	f->left -= f->sliced ? (uint64_t)n : 0;
	*ret_block = f->buffer;
	return n;
}

static void fd_close(struct vn_in *in)
{
	struct fd_in *f = (struct fd_in *)in;
	if (f->owned)
		close(f->fd);
	free(f->name);
	free(f->buffer);
	free(f);
}

static const struct vn_in_ops fd_ops = { fd_next, fd_close };

static struct fd_in *fd_new(int fd, const char *name, struct vn_err *err)
{
	VN_AUTO_FREE struct fd_in *f = calloc(1, sizeof(*f));
	VN_AUTO_FREE uint8_t *buffer = malloc(READ_SIZE);
	if (!f || !buffer) {
		vn_nomem(err);
		return NULL;
	}
	if (vn_strdup(name ? name : "input", &f->name, err) < 0)
		return NULL;
	f->in.ops = &fd_ops;
	f->fd = fd;
	f->buffer = vn_steal(buffer);
	return vn_steal(f);
}

int vn_in_fd(int fd, const char *name, struct vn_in **ret, struct vn_err *err)
{
	VN_AUTO_CLOSE int owned = fd;
	struct fd_in *f = fd_new(fd, name, err);
	if (!f)
		return -(int)err->code;
	f->owned = true;
	owned = -1;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*ret = &f->in;
	return 0;
}

int vn_in_file(const char *path, struct vn_in **ret, struct vn_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return vn_fail_sys(err, errno == ENOENT || errno == ENOTDIR ? VN_ENOTFOUND : VN_EIO, "open %s", path);
	return vn_in_fd(fd, path, ret, err);
}

int vn_in_slice(int fd, uint64_t offset, uint64_t len, const char *name, struct vn_in **ret, struct vn_err *err)
{
	uint64_t end;
	if (__builtin_add_overflow(offset, len, &end) || end > INT64_MAX)
		return vn_fail(err, VN_EFORMAT, "%s: %llu bytes at %llu lie beyond what a file can hold", name,
			       (unsigned long long)len, (unsigned long long)offset);
	struct fd_in *f = fd_new(fd, name, err);
	if (!f)
		return -(int)err->code;
	f->sliced = true;
	f->offset = offset;
	f->left = len;
	(void)posix_fadvise(fd, (off_t)offset, (off_t)len, POSIX_FADV_SEQUENTIAL);
	*ret = &f->in;
	return 0;
}

/* ---- memory */
struct memory_in {
	struct vn_in in;
	const uint8_t *data;
	size_t left;
};

static ssize_t memory_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct memory_in *m = (struct memory_in *)in;
	size_t n = m->left < MEMORY_BLOCK ? m->left : MEMORY_BLOCK;
	(void)err;
	if (!n)
		return 0;
	*ret_block = m->data;
	m->data += n;
	m->left -= n;
	return (ssize_t)n;
}

static void memory_close(struct vn_in *in)
{
	free(in);
}

static const struct vn_in_ops memory_ops = { memory_next, memory_close };

int vn_in_memory(const void *data, size_t len, struct vn_in **ret, struct vn_err *err)
{
	struct memory_in *m = calloc(1, sizeof(*m));
	if (!m)
		return vn_nomem(err);
	m->in.ops = &memory_ops;
	m->data = data;
	m->left = len;
	*ret = &m->in;
	return 0;
}
