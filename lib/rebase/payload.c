#include "rebase/payload.h"
#include "util/cleanup.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

const char *vn_role_name(enum vn_role role, bool split)
{
	static const char *const names[] = { "veneer", "score", "model" };
	return split ? names[role] : names[VN_ROLE_REST];
}

/* A path that is to be carried or hidden, before NEW's tree says what it is. Of several for one path the first kind counts. */
enum wish_kind { WISH_LINKED /* with its group */, WISH_CARRIED, WISH_WHITEOUT, WISH_BESIDE /* should NEW have it */ };
struct wish {
	const char *path;
	enum vn_role role;
	enum wish_kind kind;
};
struct group {
	const char *first;
	enum vn_role role;
};
struct gathering {
	const struct vn_diff *diff;
	struct vn_payload *out;
	bool split;
	struct wish *wishes;
	size_t nwishes, wishes_cap;
	struct group *groups;
	size_t ngroups, groups_cap;
	struct vn_item *dirs;        /* the directories above the walk's place */
	bool (*dirs_out)[VN_ROLES];  /* … and for which roles they are among the items */
	size_t ndirs, dirs_cap, dirs_out_cap;
	const char *leaf;            /* the last item that is no directory */
	size_t first;                /* number of the lowest walked layer */
	bool partial, need_base;
};

static int wish(struct gathering *g, const char *path, enum vn_role role, enum wish_kind kind, struct vn_err *err)
{
	int r = vn_grow(&g->wishes, &g->wishes_cap, g->nwishes + 1, sizeof(*g->wishes), err);
	if (r < 0)
		return r;
	const char *copy = vn_arena_text(&g->out->arena, path, err);
	if (!copy)
		return -(int)err->code;
	g->wishes[g->nwishes++] = (struct wish){ copy, g->split ? role : VN_ROLE_REST, kind };
	return 0;
}

static int order_wishes(const void *x, const void *y)
{
	const struct wish *a = x, *b = y;
	int order = vn_path_cmp(a->path, b->path);
	if (!order)
		order = (int)a->kind - (int)b->kind;
	return order ? order : (int)b->role - (int)a->role;
}

static void sort_wishes(struct gathering *g)
{
	size_t out = 0;
	if (g->nwishes)
		qsort(g->wishes, g->nwishes, sizeof(*g->wishes), order_wishes);
	for (size_t i = 0; i < g->nwishes; i++)
		if (!out || strcmp(g->wishes[out - 1].path, g->wishes[i].path))
			g->wishes[out++] = g->wishes[i];
	g->nwishes = out;
}

static enum vn_role role_of(enum vn_class c)
{
	return c == VN_CLASS_MODEL ? VN_ROLE_MODEL : c == VN_CLASS_SCORE ? VN_ROLE_SCORE : VN_ROLE_REST;
}

static int wish_change(struct gathering *g, const struct vn_file_change *f, struct vn_err *err)
{
	char source[4096];
	enum vn_role role = role_of(f->class_);
	int r = 0;
	if (f->change == VN_RENAMED)
		r = wish(g, f->from + 1, role, WISH_WHITEOUT, err);
	if (r < 0)
		return r;
	if (f->change == VN_REMOVED)
		return wish(g, f->path + 1, role, WISH_WHITEOUT, err);
	r = wish(g, f->path + 1, role, WISH_CARRIED, err);
	/* bytecode is used only beside the source whose time it is stamped with */
	if (r == 0 && f->new_.type == '-' && vn_bytecode_source(f->path + 1, source, sizeof(source)))
		r = wish(g, source, role, WISH_BESIDE, err);
	return r;
}

static int wishes_of(struct gathering *g, bool paths, struct vn_err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < g->diff->files.n; i++) {
		const struct vn_file_change *f = &g->diff->files.list[i];
		bool take = paths ? f->class_ == VN_CLASS_MODEL || f->class_ == VN_CLASS_SCORE : vn_class_is_real(f->class_);
		if (!take)
			continue;
		g->out->class_files[f->class_]++;
		r = wish_change(g, f, err);
	}
	sort_wishes(g);
	return r;
}

/* ---- items */
static int copy_entry(struct vn_arena *arena, const struct vn_merged *m, struct vn_item *ret, struct vn_err *err)
{
	struct vn_item item = { .e = m->e, .layer = m->layer, .slot = SIZE_MAX };
	item.e.path = vn_arena_text(arena, m->e.path, err);
	item.first = strcmp(m->first, m->e.path) ? vn_arena_text(arena, m->first, err) : item.e.path;
	item.e.link = vn_arena_text(arena, m->e.link, err);
	if (!item.e.path || !item.first || (m->e.link && !item.e.link))
		return -(int)err->code;
	if (m->e.xattrs_len) {
		uint8_t *xattrs = vn_arena_take(arena, m->e.xattrs_len, err);
		if (!xattrs)
			return -(int)err->code;
		memcpy(xattrs, m->e.xattrs, m->e.xattrs_len);
		item.e.xattrs = xattrs;
	}
	*ret = item;
	return 0;
}

static int push_item(struct gathering *g, const struct vn_item *item, enum vn_role role, struct vn_err *err)
{
	struct vn_payload *out = g->out;
	int r = vn_grow(&out->items, &out->cap, out->n + 1, sizeof(*out->items), err);
	if (r < 0)
		return r;
	out->items[out->n] = *item;
	out->items[out->n++].role = role;
	return 0;
}

/* The parents of `path` that the role does not have yet. */
static int push_parents(struct gathering *g, const char *path, enum vn_role role, struct vn_err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < g->ndirs; i++) {
		const char *dir = g->dirs[i].e.path;
		if (g->dirs_out[i][role] || !*dir || !strcmp(dir, path) || !vn_path_below(path, dir))
			continue;
		g->dirs_out[i][role] = true;
		g->need_base = g->need_base || (g->partial && g->dirs[i].e.flags & VN_ENTRY_IMPLIED);
		r = push_item(g, &g->dirs[i], role, err);
	}
	return r;
}

static int push_whiteout(struct gathering *g, const struct wish *w, const char **hidden, struct vn_err *err)
{
	if (*hidden && vn_path_below(w->path, *hidden))
		return 0;
	/* gone with its parent, which is no directory any more */
	if (g->leaf && vn_path_below(w->path, g->leaf))
		return 0;
	struct vn_item item = { .e = { .path = w->path, .kind = VN_KIND_WHITEOUT }, .first = w->path, .slot = SIZE_MAX };
	int r = push_parents(g, w->path, w->role, err);
	if (r == 0)
		r = push_item(g, &item, w->role, err);
	*hidden = w->path;
	return r;
}

static int enter(struct gathering *g, struct vn_merged *m, struct vn_err *err)
{
	m->layer += g->first;
	while (g->ndirs && !vn_path_below(m->e.path, g->dirs[g->ndirs - 1].e.path))
		g->ndirs--;
	if (m->e.kind != 'd')
		return 0;
	int r = vn_grow(&g->dirs, &g->dirs_cap, g->ndirs + 1, sizeof(*g->dirs), err);
	if (r == 0)
		r = vn_grow(&g->dirs_out, &g->dirs_out_cap, g->ndirs + 1, sizeof(*g->dirs_out), err);
	if (r == 0)
		r = copy_entry(&g->out->arena, m, &g->dirs[g->ndirs], err);
	if (r < 0)
		return r;
	memset(g->dirs_out[g->ndirs], 0, sizeof(g->dirs_out[0]));
	g->ndirs++;
	return 0;
}

static int carry(struct gathering *g, const struct vn_merged *m, enum vn_role role, struct vn_err *err)
{
	struct vn_item item = { .slot = SIZE_MAX };
	int r = push_parents(g, m->e.path, role, err);
	if (m->e.kind == 'd') {
		if (r == 0 && !g->dirs_out[g->ndirs - 1][role]) {
			g->dirs_out[g->ndirs - 1][role] = true;
			r = push_item(g, &g->dirs[g->ndirs - 1], role, err);
		}
		return r;
	}
	if (r == 0)
		r = copy_entry(&g->out->arena, m, &item, err);
	if (r == 0)
		r = push_item(g, &item, role, err);
	g->leaf = item.e.path;
	return r;
}

/* Walk NEW's tree beside the sorted wishes. */
static int collect(struct gathering *g, struct vn_err *err)
{
	VN_AUTO_MERGE *tree = NULL;
	struct vn_merged m;
	const char *hidden = NULL;
	size_t at = 0;
	int r = vn_trees_merge(&g->diff->trees, &g->diff->trees.new_, &tree, err), more = 0;
	while (r == 0 && (more = vn_merge_next(tree, &m, err)) > 0) {
		if (m.e.kind == VN_KIND_WHITEOUT)
			continue;
		for (; r == 0 && at < g->nwishes && vn_path_cmp(g->wishes[at].path, m.e.path) < 0; at++)
			if (g->wishes[at].kind == WISH_WHITEOUT)
				r = push_whiteout(g, &g->wishes[at], &hidden, err);
		if (r == 0)
			r = enter(g, &m, err);
		if (r == 0 && at < g->nwishes && !strcmp(g->wishes[at].path, m.e.path)) {
			r = carry(g, &m, g->wishes[at].role, err);
			at++;
		}
	}
	if (r == 0 && more < 0)
		r = more;
	for (; r == 0 && at < g->nwishes; at++)
		if (g->wishes[at].kind == WISH_WHITEOUT)
			r = push_whiteout(g, &g->wishes[at], &hidden, err);
	return r;
}

/* ---- hard links: a group goes together */
static int find_groups(struct gathering *g, struct vn_err *err)
{
	VN_AUTO_MERGE *tree = NULL;
	struct vn_merged m;
	size_t at = 0;
	int r = vn_trees_merge(&g->diff->trees, &g->diff->trees.new_, &tree, err), more = 0;
	while (r == 0 && at < g->nwishes && (more = vn_merge_next(tree, &m, err)) > 0) {
		while (at < g->nwishes && vn_path_cmp(g->wishes[at].path, m.e.path) < 0)
			at++;
		if (at == g->nwishes || strcmp(g->wishes[at].path, m.e.path) || !m.e.group)
			continue;
		r = vn_grow(&g->groups, &g->groups_cap, g->ngroups + 1, sizeof(*g->groups), err);
		if (r == 0) {
			g->groups[g->ngroups] = (struct group){ vn_arena_text(&g->out->arena, m.first, err), g->wishes[at].role };
			r = g->groups[g->ngroups].first ? 0 : -(int)err->code;
			g->ngroups++;
		}
	}
	return r == 0 && more < 0 ? more : r;
}

static int order_groups(const void *x, const void *y)
{
	return strcmp(((const struct group *)x)->first, ((const struct group *)y)->first);
}

static int add_groups(struct gathering *g, struct vn_err *err)
{
	VN_AUTO_MERGE *tree = NULL;
	struct vn_merged m;
	int r = find_groups(g, err), more = 0;
	if (r < 0 || !g->ngroups)
		return r;
	qsort(g->groups, g->ngroups, sizeof(*g->groups), order_groups);
	r = vn_trees_merge(&g->diff->trees, &g->diff->trees.new_, &tree, err);
	while (r == 0 && (more = vn_merge_next(tree, &m, err)) > 0) {
		struct group key = { m.first, VN_ROLE_REST };
		const struct group *hit = m.e.group ? bsearch(&key, g->groups, g->ngroups, sizeof(key), order_groups) : NULL;
		if (!hit)
			continue;
		/* one role for the whole group, or it could not stay linked */
		r = wish(g, m.e.path, hit->role, WISH_LINKED, err);
	}
	sort_wishes(g);
	return r == 0 && more < 0 ? more : r;
}

int vn_payload_gather(const struct vn_diff *diff, const struct vn_payload_options *options, struct vn_payload *ret,
		      bool *ret_need_base, struct vn_err *err)
{
	struct vn_payload out;
	memset(&out, 0, sizeof(out));
	struct gathering g = { .diff = diff, .out = &out, .split = options->split, .partial = !diff->trees.whole,
			       .first = diff->trees.whole ? 0 : diff->trees.shared };
	int r = wishes_of(&g, options->paths, err);
	if (r == 0)
		r = add_groups(&g, err);
	if (r == 0)
		r = collect(&g, err);
	free(g.wishes);
	free(g.groups);
	free(g.dirs);
	free(g.dirs_out);
	if (r < 0 || g.need_base) {
		vn_payload_release(&out);
		if (r == 0)
			*ret_need_base = true;
		return r;
	}
	*ret = out;
	*ret_need_base = false;
	return 0;
}

void vn_payload_release(struct vn_payload *payload)
{
	vn_arena_release(&payload->arena);
	free(payload->items);
	memset(payload, 0, sizeof(*payload));
}
