/* What every byte sink shares, and the plain sinks: descriptor, buffer, digest. */
#include "stream/out.h"
#include "util/cleanup.h"
#include "util/fs.h"

int vn_out_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	return len ? out->ops->write(out, data, len, err) : 0;
}

int vn_out_finish(struct vn_out *out, struct vn_err *err)
{
	return out->ops->finish(out, err);
}

void vn_out_close(struct vn_out *out)
{
	if (out)
		out->ops->close(out);
}

int vn_copy(struct vn_in *in, struct vn_out *out, uint64_t *ret_bytes, struct vn_err *err)
{
	uint64_t bytes = 0;
	for (;;) {
		const void *block;
		ssize_t n = vn_in_next(in, &block, err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		int rc = vn_out_write(out, block, (size_t)n, err);
		if (rc < 0)
			return rc;
		bytes += (uint64_t)n;
	}
	if (ret_bytes)
		*ret_bytes = bytes;
	return 0;
}

/* ---- descriptor */
struct fd_out {
	struct vn_out out;
	int fd;
	char *name;
};

static int fd_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	struct fd_out *f = (struct fd_out *)out;
	return vn_fs_write(f->fd, data, len, f->name, err);
}

static int nothing_to_finish(struct vn_out *out, struct vn_err *err)
{
	(void)out;
	(void)err;
	return 0;
}

static void fd_close(struct vn_out *out)
{
	struct fd_out *f = (struct fd_out *)out;
	free(f->name);
	free(f);
}

static const struct vn_out_ops fd_ops = { fd_write, nothing_to_finish, fd_close };

int vn_out_fd(int fd, const char *name, struct vn_out **ret, struct vn_err *err)
{
	VN_AUTO_FREE struct fd_out *f = calloc(1, sizeof(*f));
	if (!f)
		return vn_nomem(err);
	int rc = vn_strdup(name ? name : "output", &f->name, err);
	if (rc < 0)
		return rc;
	f->out.ops = &fd_ops;
	f->fd = fd;
	*ret = &vn_steal(f)->out;
	return 0;
}

/* ---- buffer */
struct buf_out {
	struct vn_out out;
	struct vn_buf *buf;
};

static int buf_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	return vn_buf_add(((struct buf_out *)out)->buf, data, len, err);
}

static void buf_close(struct vn_out *out)
{
	free(out);
}

static const struct vn_out_ops buf_ops = { buf_write, nothing_to_finish, buf_close };

int vn_out_buf(struct vn_buf *buf, struct vn_out **ret, struct vn_err *err)
{
	struct buf_out *b = calloc(1, sizeof(*b));
	if (!b)
		return vn_nomem(err);
	b->out.ops = &buf_ops;
	b->buf = buf;
	*ret = &b->out;
	return 0;
}

/* ---- digest */
struct digest_out {
	struct vn_out out;
	struct vn_out *inner;
	struct vn_hash *hash;
	uint64_t size;
	struct vn_digest *ret_digest;
	uint64_t *ret_size;
};

static int digest_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	struct digest_out *d = (struct digest_out *)out;
	int rc = vn_hash_add(d->hash, data, len, err);
	if (rc == 0)
		rc = vn_out_write(d->inner, data, len, err);
	d->size += rc == 0 ? len : 0;
	return rc;
}

static int digest_finish(struct vn_out *out, struct vn_err *err)
{
	struct digest_out *d = (struct digest_out *)out;
	struct vn_digest digest;
	int rc = vn_hash_end(d->hash, &digest, err);
	if (rc == 0)
		rc = vn_out_finish(d->inner, err);
	if (rc < 0)
		return rc;
	if (d->ret_digest)
		*d->ret_digest = digest;
	if (d->ret_size)
		*d->ret_size = d->size;
	return 0;
}

static void digest_close(struct vn_out *out)
{
	struct digest_out *d = (struct digest_out *)out;
	vn_out_close(d->inner);
	vn_hash_close(d->hash);
	free(d);
}

static const struct vn_out_ops digest_ops = { digest_write, digest_finish, digest_close };

int vn_out_digest(struct vn_out *inner, struct vn_digest *ret_digest, uint64_t *ret_size, struct vn_out **ret,
		  struct vn_err *err)
{
	VN_AUTO_OUT *owned = inner;
	VN_AUTO_FREE struct digest_out *d = calloc(1, sizeof(*d));
	if (!d)
		return vn_nomem(err);
	int rc = vn_hash_open("sha256", &d->hash, err);
	if (rc < 0)
		return rc;
	d->out.ops = &digest_ops;
	d->inner = vn_steal(owned);
	d->ret_digest = ret_digest;
	d->ret_size = ret_size;
	*ret = &vn_steal(d)->out;
	return 0;
}
