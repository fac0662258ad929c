#include "image/sink.h"
#include "util/cleanup.h"
#include <stdlib.h>

void vn_sink_close(struct vn_sink *k)
{
	if (k)
		k->ops->close(k);
}

int vn_sink_expect(struct vn_sink *k, const struct vn_manifest *m, const struct vn_config *c, struct vn_err *err)
{
	return k->ops->expect ? k->ops->expect(k, m, c, err) : 0;
}

struct memory {
	const void *bytes;
	size_t len;
};

static int memory_open(const struct vn_body *body, struct vn_in **ret, struct vn_err *err)
{
	const struct memory *m = body->user;
	return vn_in_memory(m->bytes, m->len, ret, err);
}

int vn_body_memory(const void *bytes, size_t len, struct vn_body *ret)
{
	struct memory *m = malloc(sizeof(*m));
	if (!m)
		return -VN_ENOMEM;
	*m = (struct memory){ bytes, len };
	*ret = (struct vn_body){ memory_open, m };
	return 0;
}

void vn_body_release(struct vn_body *body)
{
	free(body->user);
	*body = (struct vn_body){ 0 };
}
