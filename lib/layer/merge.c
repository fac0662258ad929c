#include "layer/merge.h"
#include "util/cleanup.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

struct stacked {
	struct vn_cursor *cursor;
	struct vn_entry head;
	bool live;                   /* head holds the next record */
	bool used;                   /* head was handed out: move on before the next look */
	struct vn_buf hidden;        /* lower layers show nothing below this path while the walk is there */
	bool hides;
};

struct group {
	uint64_t id;                 /* group << 16 | layer; 0 = empty slot */
	char *first;
};

struct vn_merge {
	const struct vn_layer_index *const *layers;
	struct stacked *stack;
	size_t n;
	bool partial;
	struct group *groups;        /* open addressing, a power of two */
	size_t ngroups, groups_cap;
	struct vn_buf chain;         /* the last directory handed out; all above it have been, too */
	struct vn_buf implied;
	struct vn_buf target;        /* of a hard link to a lower layer */
	struct vn_merged held;       /* waits until its implied parents are out */
	bool holding;
	bool rooted;                 /* the root was handed out */
};

int vn_merge_open(const struct vn_layer_index *const *layers, size_t n, bool partial, struct vn_merge **ret, struct vn_err *err)
{
	struct vn_merge *m = calloc(1, sizeof(*m));
	if (!m)
		return vn_nomem(err);
	m->layers = layers;
	m->n = n;
	m->partial = partial;
	m->chain.max = m->implied.max = m->target.max = SIZE_MAX / 2;
	m->stack = calloc(n ? n : 1, sizeof(*m->stack));
	int r = m->stack ? 0 : vn_nomem(err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		m->stack[i].hidden.max = SIZE_MAX / 2;
		m->stack[i].used = true;
		r = vn_cursor_open(layers[i], &m->stack[i].cursor, err);
	}
	if (r < 0) {
		vn_merge_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void vn_merge_close(struct vn_merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; m->stack && i < m->n; i++) {
		vn_cursor_close(m->stack[i].cursor);
		vn_buf_release(&m->stack[i].hidden);
	}
	for (size_t i = 0; i < m->groups_cap; i++)
		free(m->groups[i].first);
	free(m->groups);
	free(m->stack);
	vn_buf_release(&m->chain);
	vn_buf_release(&m->implied);
	vn_buf_release(&m->target);
	free(m);
}

static int advance(struct vn_merge *m, struct vn_err *err)
{
	for (size_t i = 0; i < m->n; i++) {
		struct stacked *s = &m->stack[i];
		if (!s->used)
			continue;
		int r = vn_cursor_next(s->cursor, &s->head, err);
		if (r < 0)
			return r;
		s->live = r > 0;
		s->used = false;
	}
	return 0;
}

static const char *smallest(const struct vn_merge *m)
{
	const char *path = NULL;
	for (size_t i = 0; i < m->n; i++)
		if (m->stack[i].live && (!path || vn_path_cmp(m->stack[i].head.path, path) < 0))
			path = m->stack[i].head.path;
	return path;
}

static int hide(struct stacked *s, const char *path, struct vn_err *err)
{
	if (s->hides && vn_path_below(path, vn_buf_text(&s->hidden)))
		return 0;
	vn_buf_clear(&s->hidden);
	s->hides = true;
	return vn_buf_adds(&s->hidden, path, err);
}

/* The layer above `layer` that puts something below `path` without describing `path` itself; n when none does. A whiteout there needs
 * the directory, too. */
static size_t implied_above(const struct vn_merge *m, size_t layer, const char *path)
{
	for (size_t i = layer + 1; i < m->n; i++) {
		const struct stacked *s = &m->stack[i];
		if (s->live && !s->used && strcmp(s->head.path, path) && vn_path_below(s->head.path, path))
			return i;
	}
	return m->n;
}

static struct vn_merged implied_dir(const char *path, size_t layer, uint8_t flags)
{
	return (struct vn_merged){ .e = { .path = path, .kind = 'd', .mode = 0755, .flags = VN_ENTRY_IMPLIED | flags },
				   .layer = layer, .first = path };
}

/* What the stack shows at `path`; false in *ret_any when nothing. All heads at `path` are used up. */
static int settle(struct vn_merge *m, const char *path, struct vn_merged *ret, bool *ret_any, struct vn_err *err)
{
	bool covered = false, any = false, opaque = false, hiding = false;
	size_t opaque_layer = 0;
	int r = 0;
	for (size_t i = m->n; r == 0 && i-- > 0;) {
		struct stacked *s = &m->stack[i];
		bool hides = s->hides && vn_path_below(path, vn_buf_text(&s->hidden)) && strcmp(path, vn_buf_text(&s->hidden));
		if (s->hides && !hides)
			s->hides = false;
		if (s->live && !strcmp(s->head.path, path)) {
			s->used = true;
			if (!covered) {
				const struct vn_entry *e = &s->head;
				if (e->kind == VN_KIND_OPAQUE) {
					opaque_layer = opaque ? opaque_layer : i;
					opaque = true;
				} else if (!any && (e->kind != VN_KIND_WHITEOUT || m->partial)) {
					*ret = (struct vn_merged){ .e = *e, .layer = i, .first = e->path };
					any = true;
				}
				if (e->kind != 'd' || e->flags & VN_ENTRY_HIDES) {
					r = hide(s, path, err);
					hiding = true;
					covered = e->kind != VN_KIND_OPAQUE;
				}
			}
		}
		covered |= hides;
	}
	/* an opaque mark needs a directory to stand in */
	if (opaque && (!any || ret->e.kind != 'd')) {
		bool link = any && ret->e.kind == 'l';
		*ret = implied_dir(path, opaque_layer, VN_ENTRY_HIDES);
		ret->over_link = link;
		any = true;
	}
	if (any && ret->e.kind == 'd' && hiding)
		ret->e.flags |= VN_ENTRY_HIDES;
	*ret_any = any;
	return r;
}

static struct group *find_group(struct vn_merge *m, uint64_t id)
{
	size_t mask = m->groups_cap - 1, at = (size_t)(id * 0x9e3779b97f4a7c15u >> 20) & mask;
	while (m->groups[at].id && m->groups[at].id != id)
		at = (at + 1) & mask;
	return &m->groups[at];
}

static int grow_groups(struct vn_merge *m, struct vn_err *err)
{
	struct group *old = m->groups;
	size_t cap = m->groups_cap;
	if (m->ngroups * 2 < cap)
		return 0;
	struct group *larger = calloc(cap ? cap * 2 : 256, sizeof(*larger));
	if (!larger)
		return vn_nomem(err);
	m->groups = larger;
	m->groups_cap = cap ? cap * 2 : 256;
	for (size_t i = 0; i < cap; i++)
		if (old[i].id)
			*find_group(m, old[i].id) = old[i];
	free(old);
	return 0;
}

/* The first path of the hard link's group that the walk has shown. */
static int name_group(struct vn_merge *m, struct vn_merged *e, struct vn_err *err)
{
	int r = grow_groups(m, err);
	if (r < 0)
		return r;
	uint64_t id = e->e.group << 16 | e->layer;
	struct group *g = find_group(m, id);
	if (!g->id) {
		r = vn_strdup(e->e.path, &g->first, err);
		if (r < 0)
			return r;
		g->id = id;
		m->ngroups++;
	}
	e->first = g->first;
	return 0;
}

/* What the lowest `n` layers show at `path`, hard links to still lower layers as they are: 1, or 0 when there is nothing. Of the texts
 * only the link stays, in `ret_link`. */
static int look_below(const struct vn_merge *m, size_t n, const char *path, struct vn_merged *ret, struct vn_buf *ret_link,
		      struct vn_err *err)
{
	VN_AUTO_MERGE *below = NULL;
	int r = vn_merge_open(m->layers, n, true, &below, err), order = -1;
	while (r == 0 && order < 0 && (r = vn_merge_next(below, ret, err)) > 0) {
		order = vn_path_cmp(ret->e.path, path);
		r = 0;
	}
	if (r < 0 || order || ret->e.kind == VN_KIND_WHITEOUT)
		return r;
	vn_buf_clear(ret_link);
	r = ret->e.link ? vn_buf_adds(ret_link, ret->e.link, err) : 0;
	return r < 0 ? r : 1;
}

/* A hard link whose file is in a lower layer: what that part of the stack shows there, through further links. */
static int follow_lower(struct vn_merge *m, struct vn_merged *e, struct vn_err *err)
{
	struct vn_merged at = { .layer = e->layer, .e = { .kind = VN_KIND_LOWER } };
	VN_AUTO(vn_buf) path = VN_BUF(SIZE_MAX / 2);
	vn_buf_clear(&m->target);
	int r = vn_buf_adds(&m->target, e->e.link, err) < 0 ? -(int)err->code : 1;
	while (r > 0 && at.e.kind == VN_KIND_LOWER) {
		vn_buf_clear(&path);
		r = vn_buf_adds(&path, vn_buf_text(&m->target), err);
		if (r == 0)
			r = look_below(m, at.layer, vn_buf_text(&path), &at, &m->target, err);
	}
	if (r < 0)
		return r;
	if (r == 0 || at.e.kind == 'd')
		return vn_fail(err, VN_EUNSAFE, "%s: the hard link \"%s\" points to \"%s\", which is no file in the image",
			       m->layers[e->layer]->name, e->e.path, e->e.link);
	e->e.kind = at.e.kind;
	e->e.size = at.e.size;
	e->e.major = at.e.major, e->e.minor = at.e.minor;
	memcpy(e->e.print, at.e.print, sizeof(at.e.print));
	memcpy(e->e.bare, at.e.bare, sizeof(at.e.bare));
	e->e.flags |= at.e.flags & VN_ENTRY_STAMPED;
	if (at.e.kind == 'l')
		e->e.link = vn_buf_text(&m->target);
	return 0;
}

/* The next entry without regard to parents that nobody describes. */
static int next_described(struct vn_merge *m, struct vn_merged *ret, struct vn_err *err)
{
	for (;;) {
		bool any;
		int r = advance(m, err);
		const char *path = r == 0 ? smallest(m) : NULL;
		if (r < 0 || !path)
			return r;
		r = settle(m, path, ret, &any, err);
		if (r < 0)
			return r;
		if (!any)
			continue;
		size_t above = ret->e.kind != 'd' ? implied_above(m, ret->layer, path) : m->n;
		if (above < m->n) {
			bool link = ret->e.kind == 'l';
			*ret = implied_dir(path, above, VN_ENTRY_HIDES);
			ret->over_link = link;
			return 1;
		}
		if (ret->e.kind == VN_KIND_LOWER && !m->partial)
			r = follow_lower(m, ret, err);
		if (r == 0 && ret->e.group)
			r = name_group(m, ret, err);
		return r < 0 ? r : 1;
	}
}

/* The length of `path` up to the first parent that has not been handed out; 0 when all have. */
static size_t missing_parent(const struct vn_merge *m, const char *path)
{
	const char *chain = vn_buf_text(&m->chain), *slash = strrchr(path, '/');
	size_t parent = slash ? (size_t)(slash - path) : 0, at = 0;
	while (at < parent) {
		size_t end = at + strcspn(path + at, "/");
		if (strncmp(chain, path, end) || (chain[end] && chain[end] != '/') || m->chain.len < end)
			return end;
		at = end + 1;
	}
	return 0;
}

static int keep_chain(struct vn_merge *m, const char *path, struct vn_err *err)
{
	vn_buf_clear(&m->chain);
	return vn_buf_adds(&m->chain, path, err);
}

/* Every tree has a root, whether a layer describes it or not: engines make it as any other directory. */
static int first_entry(struct vn_merge *m, struct vn_merged *ret, struct vn_err *err)
{
	int r = next_described(m, &m->held, err);
	m->rooted = true;
	if (r < 0 || (r > 0 && !m->held.e.path[0])) {
		*ret = m->held;
		return r;
	}
	m->holding = r > 0;
	*ret = implied_dir("", 0, 0);
	return 1;
}

int vn_merge_next(struct vn_merge *m, struct vn_merged *ret, struct vn_err *err)
{
	int r = 1;
	if (!m->rooted)
		return first_entry(m, ret, err);
	if (!m->holding)
		r = next_described(m, &m->held, err);
	if (r <= 0)
		return r;
	size_t missing = m->held.e.kind == VN_KIND_WHITEOUT ? 0 : missing_parent(m, m->held.e.path);
	m->holding = missing > 0;
	if (missing) {
		vn_buf_clear(&m->implied);
		r = vn_buf_add(&m->implied, m->held.e.path, missing, err);
		if (r == 0)
			r = keep_chain(m, vn_buf_text(&m->implied), err);
		const char *path = vn_buf_text(&m->implied);
		*ret = implied_dir(path, m->held.layer, 0);
		return r < 0 ? r : 1;
	}
	*ret = m->held;
	if (ret->e.kind == 'd') {
		r = keep_chain(m, ret->e.path, err);
		if (r < 0)
			return r;
	}
	return 1;
}
