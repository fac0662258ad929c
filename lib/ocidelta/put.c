#include "ocidelta/make.h"
#include "util/cleanup.h"
#include <stdlib.h>
#include <string.h>

void vn_ocidelta_release(struct vn_ocidelta *d)
{
	for (size_t i = 0; i < d->nblobs; i++) {
		vn_tmp_release(&d->blobs[i].tmp);
		vn_desc_release(&d->blobs[i].desc);
	}
	for (size_t i = 0; i < d->nlayers; i++)
		free(d->layers[i].sources);
	free(d->blobs);
	free(d->layers);
	vn_buf_release(&d->manifest);
	vn_desc_release(&d->desc);
	memset(d, 0, sizeof(*d));
}

struct blob {
	const struct vn_ocidelta *delta;
	size_t i;
};

static int open_blob(const struct vn_body *body, struct vn_in **ret, struct vn_err *err)
{
	const struct blob *b = body->user;
	return vn_ocidelta_blob_open(b->delta, &b->delta->blobs[b->i], ret, err);
}

static int put_one(struct vn_sink *to, const struct vn_desc *desc, const struct vn_body *body, uint64_t *moved, struct vn_err *err)
{
	bool there = false;
	int r = to->ops->has_blob(to, desc, &there, err);
	if (r < 0 || there)
		return r;
	r = to->ops->put_blob(to, desc, body, err);
	*moved += r == 0 ? (uint64_t)desc->size : 0;
	return r;
}

static int put_config(struct vn_sink *to, uint64_t *moved, struct vn_err *err)
{
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_body body = { 0 };
	int r = vn_ocidelta_config(&desc, err);
	if (r == 0 && vn_body_memory("{}", 2, &body) < 0)
		r = vn_nomem(err);
	if (r == 0)
		r = put_one(to, &desc, &body, moved, err);
	vn_body_release(&body);
	return r;
}

int vn_ocidelta_put(struct vn_ocidelta *delta, struct vn_sink *to, uint64_t *ret_moved, struct vn_err *err)
{
	uint64_t moved = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < delta->nblobs; i++) {
		struct blob b = { delta, i };
		struct vn_body body = { open_blob, &b };
		uint64_t copied = 0;
		/* a layer as it is may be mounted where the place is a registry */
		if (delta->blobs[i].tmp.fd < 0 && delta->at)
			r = vn_copy_blob(delta->at, &delta->blobs[i].desc, NULL, to, "layer", &copied, err);
		else
			r = put_one(to, &delta->blobs[i].desc, &body, &moved, err);
		moved += copied;
	}
	if (r == 0)
		r = put_config(to, &moved, err);
	if (r == 0)
		r = to->ops->put_manifest(to, &delta->desc, vn_buf_text(&delta->manifest), delta->manifest.len, true, err);
	if (r == 0)
		r = to->ops->commit(to, err);
	if (r == 0 && ret_moved)
		*ret_moved = moved;
	return r;
}
