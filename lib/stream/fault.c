/* For tests: small blocks, an I/O error or an early end at a chosen byte. */
#include "stream/in.h"
#include "util/cleanup.h"

struct fault {
	struct vn_in in;
	struct vn_in *inner;
	const uint8_t *block;
	size_t len, chunk;
	uint64_t left;
	bool truncate;
};

static ssize_t fault_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct fault *f = (struct fault *)in;
	if (!f->left)
		return f->truncate ? 0 : vn_fail(err, VN_EIO, "injected fault");
	if (!f->len) {
		const void *block;
		ssize_t n = vn_in_next(f->inner, &block, err);
		if (n <= 0)
			return n;
		f->block = block;
		f->len = (size_t)n;
	}
	size_t n = f->len;
	if (f->chunk && n > f->chunk)
		n = f->chunk;
	if (n > f->left)
		n = (size_t)f->left;
	*ret_block = f->block;
	f->block += n;
	f->len -= n;
	f->left -= n;
	return (ssize_t)n;
}

static void fault_close(struct vn_in *in)
{
	struct fault *f = (struct fault *)in;
	vn_in_close(f->inner);
	free(f);
}

static const struct vn_in_ops fault_ops = { fault_next, fault_close };

int vn_in_fault(struct vn_in *inner, uint64_t at, bool truncate, size_t chunk, struct vn_in **ret, struct vn_err *err)
{
	VN_AUTO_IN *owned = inner;
	struct fault *f = calloc(1, sizeof(*f));
	if (!f)
		return vn_nomem(err);
	f->in.ops = &fault_ops;
	f->inner = vn_steal(owned);
	f->left = at;
	f->truncate = truncate;
	f->chunk = chunk;
	*ret = &f->in;
	return 0;
}
