/* A copy of what passes, that never stands in the way of the reader. */
#include "stream/in.h"
#include "util/cleanup.h"
#include "util/fs.h"

struct tee {
	struct vn_in in;
	struct vn_in *inner;
	int fd;
	char *name;
	const struct vn_events *events;
	bool *failed;
};

static ssize_t tee_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct tee *t = (struct tee *)in;
	ssize_t n = vn_in_next(t->inner, ret_block, err);
	if (n <= 0 || *t->failed)
		return n;
	struct vn_err why = { 0 };
	if (vn_fs_write(t->fd, *ret_block, (size_t)n, t->name, &why) < 0) {
		*t->failed = true;
		vn_warn(t->events, "no copy is kept: %s", why.text);
	}
	return n;
}

static void tee_close(struct vn_in *in)
{
	struct tee *t = (struct tee *)in;
	vn_in_close(t->inner);
	free(t->name);
	free(t);
}

static const struct vn_in_ops tee_ops = { tee_next, tee_close };

int vn_in_tee(struct vn_in *inner, int fd, const char *name, const struct vn_events *events, bool *ret_failed,
	      struct vn_in **ret, struct vn_err *err)
{
	VN_AUTO_IN *owned = inner;
	VN_AUTO_FREE struct tee *t = calloc(1, sizeof(*t));
	if (!t)
		return vn_nomem(err);
	int rc = vn_strdup(name ? name : "copy", &t->name, err);
	if (rc < 0)
		return rc;
	t->in.ops = &tee_ops;
	t->inner = vn_steal(owned);
	t->fd = fd;
	t->events = events;
	t->failed = ret_failed;
	*ret_failed = false;
	*ret = &vn_steal(t)->in;
	return 0;
}
