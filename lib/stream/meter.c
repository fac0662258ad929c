/* Progress as a decorator. */
#include "stream/in.h"
#include "util/cleanup.h"

#define STEP (256u << 10)     /* bytes between two reports, however small the blocks are */

struct meter {
	struct vn_in in;
	struct vn_in *inner;
	const struct vn_events *events;
	uint64_t done, told, total;
	bool ended;
	char *what;
};

static ssize_t meter_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct meter *m = (struct meter *)in;
	ssize_t n = vn_in_next(m->inner, ret_block, err);
	if (n < 0)
		return n;
	m->done += (uint64_t)n;
	if (n > 0 && m->done - m->told >= STEP) {
		m->told = m->done;
		vn_progress(m->events, m->what, m->done, m->total);
	}
	if (n == 0 && !m->ended) {
		m->ended = true;
		vn_done(m->events, m->what, m->done);
	}
	return n;
}

static void meter_close(struct vn_in *in)
{
	struct meter *m = (struct meter *)in;
	vn_in_close(m->inner);
	free(m->what);
	free(m);
}

static const struct vn_in_ops meter_ops = { meter_next, meter_close };

int vn_in_meter(struct vn_in *inner, const char *what, uint64_t total, const struct vn_events *events, struct vn_in **ret,
		struct vn_err *err)
{
	VN_AUTO_IN *owned = inner;
	VN_AUTO_FREE struct meter *m = calloc(1, sizeof(*m));
	if (!m)
		return vn_nomem(err);
	int rc = vn_strdup(what ? what : "", &m->what, err);
	if (rc < 0)
		return rc;
	m->in.ops = &meter_ops;
	m->inner = vn_steal(owned);
	m->events = events;
	m->total = total;
	vn_progress(events, m->what, 0, total);
	*ret = &vn_steal(m)->in;
	return 0;
}
