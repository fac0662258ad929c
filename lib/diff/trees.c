#include "diff/trees.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int side_init(struct vn_side *s, const struct vn_image *image, struct vn_err *err)
{
	size_t n = image->nlayers ? image->nlayers : 1;
	s->image = image;
	s->layers = calloc(n, sizeof(*s->layers));
	s->list = calloc(n, sizeof(*s->list));
	if (!s->layers || !s->list)
		return vn_nomem(err);
	for (size_t i = 0; i < image->nlayers; i++) {
		s->layers[i] = (struct vn_layer_index)VN_LAYER_INDEX;
		s->list[i] = &s->layers[i];
	}
	return 0;
}

static void side_release(struct vn_side *s)
{
	for (size_t i = 0; s->layers && s->image && i < s->image->nlayers; i++)
		vn_layer_index_release(&s->layers[i]);
	free(s->layers);
	free(s->list);
	memset(s, 0, sizeof(*s));
}

int vn_trees_init(const struct vn_image *old_image, const struct vn_image *new_image, struct vn_trees *ret, struct vn_err *err)
{
	struct vn_trees t = { 0 };
	int r = side_init(&t.old_, old_image, err);
	if (r == 0)
		r = side_init(&t.new_, new_image, err);
	if (r < 0) {
		vn_trees_release(&t);
		return r;
	}
	while (t.shared < old_image->nlayers && t.shared < new_image->nlayers &&
	       vn_digest_equal(&old_image->layers[t.shared].diff_id, &new_image->layers[t.shared].diff_id))
		t.shared++;
	*ret = t;
	return 0;
}

void vn_trees_release(struct vn_trees *t)
{
	side_release(&t->old_);
	side_release(&t->new_);
}

struct work {
	struct vn_side *side;
	const struct vn_side *other; /* its layers come from there, where it has them */
	size_t first;
	const struct vn_index_options *options;
	struct vn_err err;
	int result;
};

static bool held_by(const struct vn_side *side, size_t first, const struct vn_digest *digest, size_t *ret)
{
	for (size_t i = first; side && i < side->image->nlayers; i++)
		if (vn_digest_equal(&side->image->layers[i].desc.digest, digest)) {
			*ret = i;
			return true;
		}
	return false;
}

static void *open_side(void *user)
{
	struct work *w = user;
	size_t elsewhere;
	for (size_t i = w->first; w->result == 0 && i < w->side->image->nlayers; i++) {
		if (w->side->layers[i].fd >= 0 || held_by(w->other, w->first, &w->side->image->layers[i].desc.digest, &elsewhere))
			continue;
		w->result = vn_layer_index_open(w->side->image, i, w->options, &w->side->layers[i], &w->err);
	}
	return NULL;
}

static int share(const struct vn_layer_index *from, struct vn_layer_index *to, struct vn_err *err)
{
	if (to->fd >= 0)
		return 0;
	int fd = dup(from->fd);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot keep the index of %s open", from->name);
	int r = vn_layer_index_adopt(fd, from->name, to, err);
	if (r < 0)
		close(fd);
	return r;
}

static int open_both(struct vn_trees *t, size_t first, const struct vn_index_options *options, struct vn_err *err)
{
	struct work old_work = { &t->old_, NULL, first, options, { 0 }, 0 };
	struct work new_work = { &t->new_, &t->old_, first, options, { 0 }, 0 };
	pthread_t thread;
	bool threaded = pthread_create(&thread, NULL, open_side, &new_work) == 0;
	open_side(&old_work);
	if (threaded)
		pthread_join(thread, NULL);
	else
		open_side(&new_work);
	const struct work *bad = old_work.result < 0 ? &old_work : &new_work;
	if (bad->result < 0) {
		*err = bad->err;
		return bad->result;
	}
	int r = 0;
	size_t elsewhere;
	for (size_t i = first; r == 0 && i < t->new_.image->nlayers; i++)
		if (held_by(&t->old_, first, &t->new_.image->layers[i].desc.digest, &elsewhere))
			r = share(&t->old_.layers[elsewhere], &t->new_.layers[i], err);
	return r;
}

int vn_trees_open(struct vn_trees *t, bool whole, const struct vn_index_options *options, struct vn_err *err)
{
	int r = open_both(t, t->shared, options, err);
	for (size_t i = 0; whole && r == 0 && i < t->shared; i++) {
		/* the same tar perhaps under two compressions: OLD's is the one that is likely to be cached */
		if (t->old_.layers[i].fd < 0)
			r = vn_layer_index_open(t->old_.image, i, options, &t->old_.layers[i], err);
		if (r == 0)
			r = share(&t->old_.layers[i], &t->new_.layers[i], err);
	}
	if (r == 0)
		t->whole = whole;
	return r;
}

int vn_trees_merge(const struct vn_trees *t, const struct vn_side *side, struct vn_merge **ret, struct vn_err *err)
{
	size_t first = t->whole ? 0 : t->shared;
	return vn_merge_open(side->list + first, side->image->nlayers - first, !t->whole, ret, err);
}
