#include "layer/contents.h"
#include "util/arena.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A path of a layer whose contents fill a slot. */
struct want {
	const char *path;
	size_t layer, slot;
};
/* A slot that any path of a hard link's group fills: the tar holds the contents under one of them. */
struct linked {
	size_t layer, slot;
	uint64_t group;
};
enum slot_state { WAITING, SOUGHT /* in the layer that is being read */, FILLED };
struct reading {
	const struct vn_image *image;
	const struct vn_layer_index *layers;
	const struct vn_wanted *wanted;      /* one for each slot */
	size_t nwanted;
	const struct vn_index_options *options;
	int fd;
	struct want *wants;
	size_t n, cap;
	struct linked *linked;
	size_t nlinked, linked_cap;
	struct vn_arena arena;
	enum slot_state *state;      /* of each slot */
	struct vn_printer *printer;
};

struct vn_wanted vn_wanted_of(const struct vn_entry *e, size_t layer)
{
	struct vn_wanted w = { .path = e->path, .layer = layer, .group = e->group, .size = e->size };
	if (e->kind == '-' && e->flags & VN_ENTRY_LINK && !e->group)
		w.link = e->link;
	memcpy(w.print, e->print, sizeof(w.print));
	return w;
}

static int want(struct reading *g, const char *path, size_t layer, size_t slot, struct vn_err *err)
{
	int r = vn_grow(&g->wants, &g->cap, g->n + 1, sizeof(*g->wants), err);
	if (r < 0)
		return r;
	const char *copy = vn_arena_text(&g->arena, path, err);
	if (!copy)
		return -(int)err->code;
	g->wants[g->n++] = (struct want){ copy, layer, slot };
	return 0;
}

static int want_entry(struct reading *g, const char *path, size_t layer, uint64_t group, size_t slot, struct vn_err *err)
{
	if (!group)
		return want(g, path, layer, slot, err);
	int r = vn_grow(&g->linked, &g->linked_cap, g->nlinked + 1, sizeof(*g->linked), err);
	if (r == 0)
		g->linked[g->nlinked++] = (struct linked){ layer, slot, group };
	return r;
}

/* The entry of a layer at `path`; its kind is 0 when there is none. */
static int look_up(const struct vn_layer_index *x, const char *path, struct vn_entry *ret, char **ret_link, struct vn_err *err)
{
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	int r = vn_cursor_open(x, &c, err), order = -1, more = 0;
	ret->kind = 0;
	while (r == 0 && order < 0 && (more = vn_cursor_next(c, &e, err)) > 0)
		order = vn_path_cmp(e.path, path);
	if (r == 0 && more < 0)
		r = more;
	if (r == 0 && order == 0) {
		*ret = e;
		r = vn_strdup(e.link, ret_link, err);
	}
	vn_cursor_close(c);
	return r;
}

/* The contents of a hard link to a lower layer are where the highest layer below has its target, perhaps through further links. */
static int want_lower(struct reading *g, size_t slot, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	struct vn_entry e = { .kind = VN_KIND_LOWER };
	int r = vn_strdup(g->wanted[slot].link, &path, err);
	for (size_t i = g->wanted[slot].layer; r == 0 && i-- > 0;) {
		VN_AUTO_FREE char *link = NULL;
		r = look_up(&g->layers[i], path, &e, &link, err);
		if (r < 0 || !e.kind)
			continue;
		if (e.kind != VN_KIND_LOWER)
			return want_entry(g, path, i, e.group, slot, err);
		free(path);
		path = vn_steal(link);
	}
	return r;
}

static int order_linked(const void *x, const void *y)
{
	const struct linked *a = x, *b = y;
	if (a->layer != b->layer)
		return (a->layer > b->layer) - (a->layer < b->layer);
	return (a->group > b->group) - (a->group < b->group);
}

/* linked[first … end) are of one layer, sorted by group. */
static int want_groups(struct reading *g, size_t first, size_t end, struct vn_err *err)
{
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	size_t layer = g->linked[first].layer;
	int r = vn_cursor_open(&g->layers[layer], &c, err), more = 0;
	while (r == 0 && (more = vn_cursor_next(c, &e, err)) > 0) {
		struct linked key = { layer, 0, e.group };
		const struct linked *l = e.group ? bsearch(&key, g->linked + first, end - first, sizeof(key), order_linked) : NULL;
		while (l && l > g->linked + first && l[-1].group == e.group)
			l--;
		for (; r == 0 && l && l < g->linked + end && l->group == e.group; l++)
			r = want(g, e.path, layer, l->slot, err);
	}
	vn_cursor_close(c);
	return r == 0 && more < 0 ? more : r;
}

static int want_all(struct reading *g, struct vn_err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < g->nwanted; i++) {
		const struct vn_wanted *w = &g->wanted[i];
		r = w->link ? want_lower(g, i, err) : want_entry(g, w->path, w->layer, w->group, i, err);
	}
	if (g->nlinked)
		qsort(g->linked, g->nlinked, sizeof(*g->linked), order_linked);
	for (size_t i = 0, end; r == 0 && i < g->nlinked; i = end) {
		for (end = i; end < g->nlinked && g->linked[end].layer == g->linked[i].layer; end++)
			;
		r = want_groups(g, i, end, err);
	}
	return r;
}

static int order_wants(const void *x, const void *y)
{
	const struct want *a = x, *b = y;
	if (a->layer != b->layer)
		return (a->layer > b->layer) - (a->layer < b->layer);
	return strcmp(a->path, b->path);
}

static int find_want(const void *key, const void *w)
{
	return strcmp(key, ((const struct want *)w)->path);
}

static int write_block(struct reading *g, size_t slot, uint64_t at, const void *block, size_t len, struct vn_err *err)
{
	if (lseek(g->fd, (off_t)(g->wanted[slot].at + at), SEEK_SET) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot seek in a temporary file");
	return vn_fs_write(g->fd, block, len, "a temporary file", err);
}

/* Write the entry's contents to the slots that want them, first … end of its path; what is written in vain is written over. */
static int spool(struct reading *g, struct vn_tar *tar, uint64_t size, const struct want *first, const struct want *end,
		 size_t *sought, struct vn_err *err)
{
	uint8_t print[VN_PRINT_SIZE];
	uint64_t done = 0;
	const void *block;
	ssize_t n;
	int r = 0;
	while (r == 0 && (n = vn_tar_data(tar, &block, err)) != 0) {
		if (n < 0)
			return (int)n;
		r = vn_printer_add(g->printer, block, (size_t)n, err);
		for (const struct want *w = first; r == 0 && w < end; w++)
			if (g->state[w->slot] == SOUGHT && g->wanted[w->slot].size == size)
				r = write_block(g, w->slot, done, block, (size_t)n, err);
		done += (uint64_t)n;
	}
	if (r == 0)
		r = vn_printer_end(g->printer, print, err);
	for (const struct want *w = first; r == 0 && w < end; w++) {
		/* only what was indexed */
		if (g->state[w->slot] != SOUGHT || done != g->wanted[w->slot].size ||
		    memcmp(print, g->wanted[w->slot].print, VN_PRINT_SIZE))
			continue;
		g->state[w->slot] = FILLED;
		--*sought;
	}
	return r;
}

static int take_entry(struct reading *g, struct vn_tar *tar, const struct vn_tar_entry *entry, size_t first, size_t end,
		      size_t *sought, struct vn_err *err)
{
	const char *path = entry->path;
	const struct want *w = bsearch(path, g->wants + first, end - first, sizeof(*w), find_want), *last = w;
	bool open = false;
	while (w && w > g->wants + first && !strcmp(w[-1].path, path))
		w--;
	for (; last && last < g->wants + end && !strcmp(last->path, path); last++)
		;
	for (const struct want *i = w; i < last; i++)
		open = open || g->state[i->slot] == SOUGHT;
	return open ? spool(g, tar, entry->size, w, last, sought, err) : 0;
}

/* wants[first … end) are of one layer, sorted by path. */
static int read_layer(struct reading *g, size_t first, size_t end, struct vn_err *err)
{
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	const struct vn_tar_entry *entry;
	const struct vn_image *image = g->image;
	struct vn_in *in = NULL;
	char name[512];
	size_t sought = 0;
	for (size_t i = first; i < end; i++)
		if (g->state[g->wants[i].slot] == WAITING) {
			g->state[g->wants[i].slot] = SOUGHT;
			sought++;
		}
	if (!sought)
		return 0;
	int r = vn_image_layer_tar(image, g->wants[first].layer, g->options->max_plain, &in, err), more = 0;
	if (r == 0)
		r = vn_tar_open(in, vn_image_layer_name(image, g->wants[first].layer, name), &tar, err);
	while (r == 0 && sought && (more = vn_tar_next(tar, &entry, err)) > 0)
		if (entry->type == VN_FILE)
			r = take_entry(g, tar, entry, first, end, &sought, err);
	for (size_t i = first; i < end; i++)
		if (g->state[g->wants[i].slot] == SOUGHT)
			g->state[g->wants[i].slot] = WAITING;
	return r == 0 && more < 0 ? more : r;
}

static int read_layers(struct reading *g, struct vn_err *err)
{
	size_t end;
	int r = 0;
	if (g->n)
		qsort(g->wants, g->n, sizeof(*g->wants), order_wants);
	for (size_t i = 0; r == 0 && i < g->n; i = end) {
		for (end = i; end < g->n && g->wants[end].layer == g->wants[i].layer; end++)
			;
		r = read_layer(g, i, end, err);
	}
	for (size_t i = 0; r == 0 && i < g->nwanted; i++)
		if (g->state[i] != FILLED)
			r = vn_fail(err, VN_EDIGEST, "/%s of %s was not found again in its layer as it was indexed",
				    g->wanted[i].path, g->image->source->ref.text);
	return r;
}

int vn_contents_read(const struct vn_image *image, const struct vn_layer_index *layers, const struct vn_wanted *wanted, size_t n,
		     const struct vn_index_options *options, int fd, struct vn_err *err)
{
	struct reading g = { .image = image, .layers = layers, .wanted = wanted, .nwanted = n, .options = options, .fd = fd };
	if (!n)
		return 0;
	int r = vn_printer_open(options->key, &g.printer, err);
	if (r == 0)
		r = want_all(&g, err);
	if (r == 0 && !(g.state = calloc(n, sizeof(*g.state))))
		r = vn_nomem(err);
	if (r == 0)
		r = read_layers(&g, err);
	vn_printer_close(g.printer);
	vn_arena_release(&g.arena);
	free(g.wants);
	free(g.linked);
	free(g.state);
	return r;
}
