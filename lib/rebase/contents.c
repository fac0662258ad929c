#include "rebase/contents.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

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
	const struct vn_diff *diff;
	struct vn_payload *payload;
	const struct vn_index_options *options;
	struct vn_contents *out;
	struct want *wants;
	size_t n, cap;
	struct linked *linked;
	size_t nlinked, linked_cap;
	const struct vn_item **items;        /* of each slot */
	size_t items_cap;
	enum slot_state *state;      /* of each slot */
	struct vn_printer *printer;
	uint64_t end;                /* of the spool */
};

static int want(struct reading *g, const char *path, size_t layer, size_t slot, struct vn_err *err)
{
	int r = vn_grow(&g->wants, &g->cap, g->n + 1, sizeof(*g->wants), err);
	if (r < 0)
		return r;
	const char *copy = vn_arena_text(&g->payload->arena, path, err);
	if (!copy)
		return -(int)err->code;
	g->wants[g->n++] = (struct want){ copy, layer, slot };
	return 0;
}

static bool links_lower(const struct vn_entry *e)
{
	return e->kind == '-' && e->flags & VN_ENTRY_LINK && !e->group;
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
static int want_lower(struct reading *g, const struct vn_item *item, size_t slot, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	struct vn_entry e = { .kind = VN_KIND_LOWER };
	int r = vn_strdup(item->e.link, &path, err);
	for (size_t i = item->layer; r == 0 && i-- > 0;) {
		VN_AUTO_FREE char *link = NULL;
		r = look_up(&g->diff->trees.new_.layers[i], path, &e, &link, err);
		if (r < 0 || !e.kind)
			continue;
		if (e.kind != VN_KIND_LOWER)
			return want_entry(g, path, i, e.group, slot, err);
		free(path);
		path = vn_steal(link);
	}
	return r;
}

static int want_item(struct reading *g, struct vn_item *item, struct vn_err *err)
{
	int r = vn_grow(&g->items, &g->items_cap, g->out->n + 1, sizeof(*g->items), err);
	if (r < 0)
		return r;
	size_t slot = g->out->n++;
	g->items[slot] = item;
	item->slot = slot;
	return links_lower(&item->e) ? want_lower(g, item, slot, err) :
				       want_entry(g, item->e.path, item->layer, item->e.group, slot, err);
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
	int r = vn_cursor_open(&g->diff->trees.new_.layers[layer], &c, err), more = 0;
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
	for (size_t i = 0; r == 0 && i < g->payload->n; i++)
		if (g->payload->items[i].e.kind == '-' && g->payload->items[i].first == g->payload->items[i].e.path)
			r = want_item(g, &g->payload->items[i], err);
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

/* Append the entry's contents and fill the slots that want them: wants[first … end) are all of its path. */
static int spool(struct reading *g, struct vn_tar *tar, const struct want *first, const struct want *end, size_t *sought,
		 struct vn_err *err)
{
	uint8_t print[VN_PRINT_SIZE];
	uint64_t start = g->end;
	const void *block;
	ssize_t n;
	int r = 0;
	while (r == 0 && (n = vn_tar_data(tar, &block, err)) != 0) {
		if (n < 0)
			return (int)n;
		r = vn_printer_add(g->printer, block, (size_t)n, err);
		if (r == 0)
			r = vn_fs_write(g->out->spool.fd, block, (size_t)n, "a temporary file", err);
		g->end += (uint64_t)n;
	}
	if (r == 0)
		r = vn_printer_end(g->printer, print, err);
	for (const struct want *w = first; r == 0 && w < end; w++) {
		const struct vn_entry *e = &g->items[w->slot]->e;
		/* only what was compared */
		if (g->state[w->slot] != SOUGHT || g->end - start != e->size || memcmp(print, e->print, VN_PRINT_SIZE))
			continue;
		g->state[w->slot] = FILLED;
		g->out->at[w->slot] = start;
		--*sought;
	}
	return r;
}

static int take_entry(struct reading *g, struct vn_tar *tar, const char *path, size_t first, size_t end, size_t *sought,
		      struct vn_err *err)
{
	const struct want *w = bsearch(path, g->wants + first, end - first, sizeof(*w), find_want), *last = w;
	bool open = false;
	while (w && w > g->wants + first && !strcmp(w[-1].path, path))
		w--;
	for (; last && last < g->wants + end && !strcmp(last->path, path); last++)
		;
	for (const struct want *i = w; i < last; i++)
		open = open || g->state[i->slot] == SOUGHT;
	return open ? spool(g, tar, w, last, sought, err) : 0;
}

/* wants[first … end) are of one layer, sorted by path. */
static int read_layer(struct reading *g, size_t first, size_t end, struct vn_err *err)
{
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	const struct vn_tar_entry *entry;
	const struct vn_image *image = g->diff->trees.new_.image;
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
			r = take_entry(g, tar, entry->path, first, end, &sought, err);
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
	for (size_t i = 0; r == 0 && i < g->out->n; i++)
		if (g->state[i] != FILLED)
			r = vn_fail(err, VN_EDIGEST, "/%s of NEW was not found again in its layer as it was compared",
				    g->items[i]->e.path);
	return r;
}

int vn_contents_read(const struct vn_diff *diff, struct vn_payload *payload, const struct vn_index_options *options,
		     struct vn_contents *ret, struct vn_err *err)
{
	struct vn_contents out = { VN_TMP, NULL, 0 };
	struct reading g = { .diff = diff, .payload = payload, .options = options, .out = &out };
	int r = vn_printer_open(options->key, &g.printer, err);
	if (r == 0)
		r = want_all(&g, err);
	if (r == 0 && out.n) {
		out.at = calloc(out.n, sizeof(*out.at));
		g.state = calloc(out.n, sizeof(*g.state));
		r = out.at && g.state ? vn_tmp_anonymous(&out.spool, err) : vn_nomem(err);
	}
	if (r == 0)
		r = read_layers(&g, err);
	vn_printer_close(g.printer);
	free(g.wants);
	free(g.items);
	free(g.linked);
	free(g.state);
	if (r < 0) {
		vn_contents_release(&out);
		return r;
	}
	*ret = out;
	return 0;
}

void vn_contents_release(struct vn_contents *contents)
{
	vn_tmp_release(&contents->spool);
	free(contents->at);
	*contents = (struct vn_contents){ VN_TMP, NULL, 0 };
}
