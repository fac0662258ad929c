#include "ocidelta/files.h"
#include "layer/contents.h"
#include "util/arena.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

int vn_image_files_open(const struct vn_image *image, const struct vn_index_options *options, struct vn_image_files *ret,
			struct vn_err *err)
{
	struct vn_image_files f = { .image = image, .options = options };
	f.layers = calloc(image->nlayers + 1, sizeof(*f.layers));
	f.list = calloc(image->nlayers + 1, sizeof(*f.list));
	if (!f.layers || !f.list) {
		free(f.layers);
		free(f.list);
		return vn_nomem(err);
	}
	for (size_t i = 0; i < image->nlayers; i++) {
		f.layers[i] = (struct vn_layer_index)VN_LAYER_INDEX;
		f.list[i] = &f.layers[i];
	}
	*ret = f;
	return 0;
}

void vn_image_files_release(struct vn_image_files *f)
{
	for (size_t i = 0; f->layers && i < f->image->nlayers; i++)
		vn_layer_index_release(&f->layers[i]);
	free(f->layers);
	free(f->list);
	memset(f, 0, sizeof(*f));
}

int vn_image_files_index(struct vn_image_files *f, size_t layer, struct vn_err *err)
{
	return f->layers[layer].fd >= 0 ? 0 : vn_layer_index_open(f->image, layer, f->options, &f->layers[layer], err);
}

/* A path that is looked for in ever lower layers. */
struct sought {
	const char *path;
	size_t slot;
};
struct search {
	struct vn_image_files *files;
	const char *const *paths;            /* of each slot, for messages */
	struct sought *left;
	size_t nleft;
	struct vn_wanted *wanted;            /* of each slot */
	struct vn_arena arena;
};

static int order_sought(const void *x, const void *y)
{
	const struct sought *a = x, *b = y;
	int order = vn_path_cmp(a->path, b->path);
	return order ? order : (a->slot > b->slot) - (a->slot < b->slot);
}

static int missing(const struct search *s, const struct sought *left, struct vn_err *err)
{
	return vn_fail(err, VN_ENOTFOUND, "%s has no file /%.600s", s->files->image->source->ref.text, s->paths[left->slot]);
}

/* What the layer has where it is sought: the file, or a hard link to a file of a lower layer, which is sought from now on. */
static int meet(struct search *s, struct sought *left, const struct vn_entry *e, size_t layer, bool *ret_found, struct vn_err *err)
{
	if (e->kind == VN_KIND_OPAQUE)
		return 0;
	if (e->kind != '-' && e->kind != VN_KIND_LOWER)
		return missing(s, left, err);
	const char *text = vn_arena_text(&s->arena, e->kind == '-' ? e->path : e->link, err);
	if (!text)
		return -(int)err->code;
	left->path = text;
	if (e->kind == '-') {
		s->wanted[left->slot] = vn_wanted_of(e, layer);
		s->wanted[left->slot].path = text;
		*ret_found = true;
	}
	return 0;
}

static int look_in(struct search *s, size_t layer, struct vn_err *err)
{
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	size_t kept = 0, at = 0;
	qsort(s->left, s->nleft, sizeof(*s->left), order_sought);
	int r = vn_image_files_index(s->files, layer, err), more = 0;
	if (r == 0)
		r = vn_cursor_open(&s->files->layers[layer], &c, err);
	while (r == 0 && at < s->nleft && (more = vn_cursor_next(c, &e, err)) > 0) {
		int order = -1;
		while (r == 0 && at < s->nleft && (order = vn_path_cmp(s->left[at].path, e.path)) <= 0) {
			bool found = false;
			if (order == 0)
				r = meet(s, &s->left[at], &e, layer, &found, err);
			if (!found)
				s->left[kept++] = s->left[at];
			at++;
		}
	}
	vn_cursor_close(c);
	while (at < s->nleft)
		s->left[kept++] = s->left[at++];
	s->nleft = kept;
	return r == 0 && more < 0 ? more : r;
}

static int search(struct search *s, struct vn_err *err)
{
	int r = 0;
	for (size_t i = s->files->image->nlayers; r == 0 && s->nleft && i-- > 0;)
		r = look_in(s, i, err);
	return r == 0 && s->nleft ? missing(s, &s->left[0], err) : r;
}

int vn_image_files_read(struct vn_image_files *f, const char *const *paths, size_t n, int fd, uint64_t at, uint64_t *ret_sizes,
		  uint64_t *ret_end, struct vn_err *err)
{
	VN_AUTO_FREE struct sought *left = calloc(n + 1, sizeof(*left));
	VN_AUTO_FREE struct vn_wanted *wanted = calloc(n + 1, sizeof(*wanted));
	struct search s = { .files = f, .paths = paths, .left = left, .nleft = n, .wanted = wanted };
	if (!left || !wanted)
		return vn_nomem(err);
	for (size_t i = 0; i < n; i++)
		left[i] = (struct sought){ paths[i], i };
	int r = search(&s, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		wanted[i].at = at;
		if (ret_sizes)
			ret_sizes[i] = wanted[i].size;
		if (!vn_add_u64(at, wanted[i].size, &at) || at > VN_MAX_BLOB)
			r = vn_fail(err, VN_ELIMIT, "the files of %s that are needed have more than %llu bytes",
				    f->image->source->ref.text, (unsigned long long)VN_MAX_BLOB);
	}
	if (r == 0)
		r = vn_contents_read(f->image, f->layers, wanted, n, f->options, fd, err);
	vn_arena_release(&s.arena);
	if (r == 0)
		*ret_end = at;
	return r;
}
