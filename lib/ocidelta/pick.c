#include "ocidelta/pick.h"
#include "model/facts.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

#define LEAST 64                     /* bytes below which a file is not worth a path */

/* How well a file of the source suits; the larger member decides first. */
struct suits {
	unsigned near;               /* directories in common, from the root and from the file */
	uint64_t unlike;             /* difference of the sizes, negated: less is better */
};
struct lonely {                      /* a pick without a source so far, ordered by its name */
	struct vn_pick *pick;
	struct suits best;
};
struct picking {
	struct vn_picks *out;
	struct lonely *lonely;
	size_t nlonely;
	struct vn_pick *models;      /* the source's model files: path and size */
	size_t nmodels, models_cap;
};

void vn_picks_release(struct vn_picks *p)
{
	vn_arena_release(&p->arena);
	free(p->list);
	free(p->sources);
	memset(p, 0, sizeof(*p));
}

static int order_picks(const void *x, const void *y)
{
	return vn_path_cmp(((const struct vn_pick *)x)->path, ((const struct vn_pick *)y)->path);
}

const struct vn_pick *vn_pick_find(const struct vn_picks *p, const char *path)
{
	struct vn_pick key = { .path = path };
	return p->n ? bsearch(&key, p->list, p->n, sizeof(key), order_picks) : NULL;
}

static int add(struct vn_arena *arena, struct vn_pick **list, size_t *n, size_t *cap, const struct vn_entry *e, struct vn_err *err)
{
	int r = vn_grow(list, cap, *n + 1, sizeof(**list), err);
	const char *path = r == 0 ? vn_arena_text(arena, e->path, err) : NULL;
	if (!path)
		return -(int)err->code;
	(*list)[(*n)++] = (struct vn_pick){ .path = path, .size = e->size };
	return 0;
}

static int gather(struct vn_picks *out, struct vn_image_files *now, size_t layer, struct vn_err *err)
{
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	int r = vn_image_files_index(now, layer, err), more = 0;
	if (r == 0)
		r = vn_cursor_open(&now->layers[layer], &c, err);
	while (r == 0 && (more = vn_cursor_next(c, &e, err)) > 0)
		if (e.kind == '-' && e.size >= LEAST)
			r = add(&out->arena, &out->list, &out->n, &out->cap, &e, err);
	vn_cursor_close(c);
	return r == 0 && more < 0 ? more : r;
}

static void sort_picks(struct vn_picks *out)
{
	size_t kept = 0;
	if (out->n)
		qsort(out->list, out->n, sizeof(*out->list), order_picks);
	for (size_t i = 0; i < out->n; i++)
		if (!kept || strcmp(out->list[kept - 1].path, out->list[i].path))
			out->list[kept++] = out->list[i];
	out->n = kept;
}

/* ---- the same path */
static int match_paths(struct picking *p, struct vn_merge *tree, struct vn_err *err)
{
	struct vn_merged m;
	struct vn_picks *out = p->out;
	size_t at = 0;
	int r = 0;
	while (at < out->n && (r = vn_merge_next(tree, &m, err)) > 0) {
		while (at < out->n && vn_path_cmp(out->list[at].path, m.e.path) < 0)
			at++;
		if (at == out->n || out->list[at].source || strcmp(out->list[at].path, m.e.path) || m.e.kind != '-' ||
		    m.e.size < LEAST)
			continue;
		out->list[at].source = m.first == m.e.path || !strcmp(m.first, m.e.path) ? out->list[at].path :
											  vn_arena_text(&out->arena, m.first, err);
		if (!out->list[at].source)
			return -(int)err->code;
	}
	return r < 0 ? r : 0;
}

/* ---- the same name, or kind */
static int order_lonely(const void *x, const void *y)
{
	const struct lonely *a = x, *b = y;
	int order = strcmp(vn_path_base(a->pick->path), vn_path_base(b->pick->path));
	return order ? order : vn_path_cmp(a->pick->path, b->pick->path);
}

static unsigned nearness(const char *a, const char *b)
{
	unsigned near = 0;
	size_t head = 0, x = strlen(a), y = strlen(b);
	for (; a[head] && a[head] == b[head]; head++)
		near += a[head] == '/';
	while (x > head && y > head && a[x - 1] == b[y - 1]) {
		near += a[x - 1] == '/';
		x--, y--;
	}
	return near;
}

static bool better(const struct vn_pick *pick, const char *path, uint64_t size, struct suits *best)
{
	struct suits s = { nearness(pick->path, path), pick->size > size ? pick->size - size : size - pick->size };
	if (pick->source && (s.near < best->near || (s.near == best->near && s.unlike >= best->unlike)))
		return false;
	*best = s;
	return true;
}

static int match_name(struct picking *p, const struct vn_merged *m, struct vn_err *err)
{
	const char *base = vn_path_base(m->e.path), *copy = NULL;
	size_t low = 0, high = p->nlonely;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(vn_path_base(p->lonely[mid].pick->path), base) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < p->nlonely && !strcmp(vn_path_base(p->lonely[low].pick->path), base); low++) {
		struct lonely *l = &p->lonely[low];
		if (!better(l->pick, m->e.path, m->e.size, &l->best))
			continue;
		if (!copy)
			copy = vn_arena_text(&p->out->arena, m->first, err);
		if (!copy)
			return -(int)err->code;
		l->pick->source = copy;
	}
	return 0;
}

static bool same_kind(const char *a, const char *b)
{
	const char *x = strrchr(vn_path_base(a), '.'), *y = strrchr(vn_path_base(b), '.');
	return x && y && !strcmp(x, y);
}

static void match_kind(struct picking *p, struct lonely *l)
{
	for (size_t i = 0; i < p->nmodels; i++)
		if (same_kind(l->pick->path, p->models[i].path) && better(l->pick, p->models[i].path, p->models[i].size, &l->best))
			l->pick->source = p->models[i].path;
}

static int match_names(struct picking *p, struct vn_merge *tree, struct vn_err *err)
{
	struct vn_merged m;
	int r = 0;
	while ((r = vn_merge_next(tree, &m, err)) > 0) {
		if (m.e.kind != '-' || m.e.size < LEAST)
			continue;
		r = match_name(p, &m, err);
		if (r == 0 && vn_model_by_path(m.e.path) && (m.first == m.e.path || !strcmp(m.first, m.e.path)))
			r = add(&p->out->arena, &p->models, &p->nmodels, &p->models_cap, &m.e, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; r == 0 && i < p->nlonely; i++)
		if (!p->lonely[i].pick->source && vn_model_by_path(p->lonely[i].pick->path))
			match_kind(p, &p->lonely[i]);
	return r;
}

/* ---- all */
static int list_lonely(struct picking *p, struct vn_err *err)
{
	struct vn_picks *out = p->out;
	p->lonely = calloc(out->n + 1, sizeof(*p->lonely));
	if (!p->lonely)
		return vn_nomem(err);
	for (size_t i = 0; i < out->n; i++)
		if (!out->list[i].source)
			p->lonely[p->nlonely++].pick = &out->list[i];
	qsort(p->lonely, p->nlonely, sizeof(*p->lonely), order_lonely);
	return 0;
}

static int order_paths(const void *x, const void *y)
{
	return vn_path_cmp(*(const char *const *)x, *(const char *const *)y);
}

static int list_sources(struct vn_picks *out, struct vn_err *err)
{
	size_t n = 0;
	out->sources = calloc(out->n + 1, sizeof(*out->sources));
	if (!out->sources)
		return vn_nomem(err);
	for (size_t i = 0; i < out->n; i++)
		if (out->list[i].source)
			out->sources[n++] = out->list[i].source;
	qsort(out->sources, n, sizeof(*out->sources), order_paths);
	for (size_t i = 0; i < n && out->nsources < VN_MAX_DELTA_FILES; i++)
		if (!out->nsources || strcmp(out->sources[out->nsources - 1], out->sources[i]))
			out->sources[out->nsources++] = out->sources[i];
	return 0;
}

/* The `n` topmost layers, or all. */
static int walk(struct picking *p, struct vn_image_files *old, size_t n,
		int (*match)(struct picking *, struct vn_merge *, struct vn_err *), struct vn_err *err)
{
	VN_AUTO_MERGE *tree = NULL;
	size_t first = old->image->nlayers - n;
	int r = 0;
	for (size_t i = first; r == 0 && i < old->image->nlayers; i++)
		r = vn_image_files_index(old, i, err);
	if (r == 0)
		r = vn_merge_open(old->list + first, n, first > 0, &tree, err);
	return r < 0 ? r : match(p, tree, err);
}

static bool any_lonely(const struct vn_picks *out)
{
	for (size_t i = 0; i < out->n; i++)
		if (!out->list[i].source)
			return true;
	return false;
}

/* What upper layers show is shown by the image: a thin image's base is not even read when they have everything. */
static int walk_down(struct picking *p, struct vn_image_files *old, struct vn_err *err)
{
	size_t all = old->image->nlayers;
	int r = 0;
	for (size_t n = 1; r == 0 && n / 2 < all && any_lonely(p->out); n *= 2)
		r = walk(p, old, n < all ? n : all, match_paths, err);
	return r;
}

int vn_picks_make(struct vn_image_files *old, struct vn_image_files *now, const size_t *layers, size_t nlayers, struct vn_picks *ret,
		  struct vn_err *err)
{
	VN_AUTO(vn_picks) out = { 0 };
	struct picking p = { .out = &out };
	int r = 0;
	for (size_t i = 0; r == 0 && i < nlayers; i++)
		r = gather(&out, now, layers[i], err);
	sort_picks(&out);
	if (r == 0)
		r = walk_down(&p, old, err);
	if (r == 0)
		r = list_lonely(&p, err);
	if (r == 0 && p.nlonely)
		r = walk(&p, old, old->image->nlayers, match_names, err);
	if (r == 0)
		r = list_sources(&out, err);
	free(p.lonely);
	free(p.models);
	if (r < 0)
		return r;
	*ret = out;
	out = (struct vn_picks){ 0 };
	return 0;
}
