#include "rebase/contents.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

/* A path of a layer whose contents fill a slot. Every path of a hard link's group serves. */
struct want {
	const char *path;
	size_t layer, slot;
};
struct reading {
	const struct vn_diff *diff;
	struct vn_payload *payload;
	const struct vn_index_options *options;
	struct vn_contents *out;
	struct want *wants;
	size_t n, cap;
	const struct vn_item **items;        /* of each slot */
	size_t items_cap;
	bool *done;                  /* each slot */
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

/* The other paths of the same file in the item's layer: the tar holds the contents under one of them. */
static int want_group(struct reading *g, const struct vn_item *item, size_t slot, struct vn_err *err)
{
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	int r = vn_cursor_open(&g->diff->trees.new_.layers[item->layer], &c, err), more = 0;
	while (r == 0 && (more = vn_cursor_next(c, &e, err)) > 0)
		if (e.group == item->e.group)
			r = want(g, e.path, item->layer, slot, err);
	vn_cursor_close(c);
	return r == 0 && more < 0 ? more : r;
}

static int want_item(struct reading *g, struct vn_item *item, struct vn_err *err)
{
	int r = vn_grow(&g->items, &g->items_cap, g->out->n + 1, sizeof(*g->items), err);
	if (r < 0)
		return r;
	size_t slot = g->out->n++;
	g->items[slot] = item;
	item->slot = slot;
	if (item->e.group)
		return want_group(g, item, slot, err);
	if (!links_lower(&item->e))
		return want(g, item->e.path, item->layer, slot, err);
	for (size_t i = 0; r == 0 && i < item->layer; i++)
		r = want(g, item->e.link, i, slot, err);
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

/* Append the entry's contents; the slot is filled when they are what was compared. */
static int spool(struct reading *g, struct vn_tar *tar, const struct want *w, size_t *left, struct vn_err *err)
{
	uint8_t print[VN_PRINT_SIZE] = { 0 };
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
	const struct vn_entry *e = &g->items[w->slot]->e;
	if (r < 0 || g->end - start != e->size || memcmp(print, e->print, VN_PRINT_SIZE))
		return r;
	if (!g->done[w->slot])
		--*left;
	g->done[w->slot] = true;
	g->out->at[w->slot] = start;
	return 0;
}

/* wants[first … end) are of one layer, sorted by path. */
static int read_layer(struct reading *g, size_t first, size_t end, size_t *left, struct vn_err *err)
{
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	const struct vn_tar_entry *entry;
	const struct vn_image *image = g->diff->trees.new_.image;
	struct vn_in *in = NULL;
	char name[512];
	size_t open = 0;
	bool needed = false;
	for (size_t i = first; i < end; i++)
		needed = needed || !g->done[g->wants[i].slot];
	if (!needed)
		return 0;
	for (size_t i = first; i < end; i++)
		open += !g->done[g->wants[i].slot];
	int r = vn_image_layer_tar(image, g->wants[first].layer, g->options->max_plain, &in, err), more = 0;
	if (r == 0)
		r = vn_tar_open(in, vn_image_layer_name(image, g->wants[first].layer, name), &tar, err);
	while (r == 0 && open && *left && (more = vn_tar_next(tar, &entry, err)) > 0) {
		if (entry->type != VN_FILE)
			continue;
		const struct want *w = bsearch(entry->path, g->wants + first, end - first, sizeof(*w), find_want);
		bool before = w && g->done[w->slot];
		if (w && !before) {
			r = spool(g, tar, w, left, err);
			open -= g->done[w->slot];
		}
	}
	return r == 0 && more < 0 ? more : r;
}

static int read_layers(struct reading *g, struct vn_err *err)
{
	size_t left = g->out->n, end;
	int r = 0;
	if (g->n)
		qsort(g->wants, g->n, sizeof(*g->wants), order_wants);
	for (size_t i = 0; r == 0 && left && i < g->n; i = end) {
		for (end = i; end < g->n && g->wants[end].layer == g->wants[i].layer; end++)
			;
		r = read_layer(g, i, end, &left, err);
	}
	for (size_t i = 0; r == 0 && i < g->out->n; i++)
		if (!g->done[i])
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
	for (size_t i = 0; r == 0 && i < payload->n; i++)
		if (payload->items[i].e.kind == '-' && payload->items[i].first == payload->items[i].e.path)
			r = want_item(&g, &payload->items[i], err);
	if (r == 0 && out.n) {
		out.at = calloc(out.n, sizeof(*out.at));
		g.done = calloc(out.n, sizeof(*g.done));
		r = out.at && g.done ? vn_tmp_anonymous(&out.spool, err) : vn_nomem(err);
	}
	if (r == 0)
		r = read_layers(&g, err);
	vn_printer_close(g.printer);
	free(g.wants);
	free(g.items);
	free(g.done);
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
