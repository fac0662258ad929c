#include "layer/compare.h"
#include "util/path.h"
#include <string.h>

static bool xattrs_equal(const struct vn_entry *a, const struct vn_entry *b)
{
	return a->xattrs_len == b->xattrs_len && (!a->xattrs_len || !memcmp(a->xattrs, b->xattrs, a->xattrs_len));
}

static unsigned differences(const struct vn_merged *a, const struct vn_merged *b, bool *ret_only_stamp)
{
	const struct vn_entry *x = &a->e, *y = &b->e;
	unsigned fields = 0;
	*ret_only_stamp = false;
	if (x->kind != y->kind)
		return VN_FIELD_TYPE;
	if (x->kind == '-' && (x->size != y->size || memcmp(x->print, y->print, VN_PRINT_SIZE))) {
		fields |= VN_FIELD_CONTENT;
		*ret_only_stamp = x->flags & y->flags & VN_ENTRY_STAMPED && !memcmp(x->bare, y->bare, VN_PRINT_SIZE);
	}
	if (x->kind == 'l' && strcmp(x->link, y->link))
		fields |= VN_FIELD_LINK;
	if (x->kind != 'l' && x->mode != y->mode)
		fields |= VN_FIELD_MODE;
	if (x->uid != y->uid || x->gid != y->gid)
		fields |= VN_FIELD_OWNER;
	if (!xattrs_equal(x, y))
		fields |= VN_FIELD_XATTRS;
	if ((x->kind == 'c' || x->kind == 'b') && (x->major != y->major || x->minor != y->minor))
		fields |= VN_FIELD_DEVICE;
	if (strcmp(a->first, b->first))
		fields |= VN_FIELD_HARDLINK;
	if (x->mtime != y->mtime || x->nsec != y->nsec)
		fields |= VN_FIELD_MTIME;
	return fields;
}

static bool is_implied(const struct vn_merged *a)
{
	return a->e.flags & VN_ENTRY_IMPLIED;
}

/* Whether what lies below the two partial stacks has a say at this path. */
static bool base_decides(const struct vn_merged *a, const struct vn_merged *b)
{
	if (!a || !b)
		return true;
	if (a->e.kind == VN_KIND_LOWER || b->e.kind == VN_KIND_LOWER)
		return true;
	if (is_implied(a) != is_implied(b))
		return true;
	/* the face of such a directory is the base's, unless the base is hidden by more than its own opaque mark */
	if (is_implied(a) && (a->e.flags | b->e.flags) & VN_ENTRY_HIDES)
		return true;
	/* a directory that is not opaque lets the base's children through; everything else hides them */
	bool open_a = a->e.kind == 'd' && !(a->e.flags & VN_ENTRY_HIDES);
	bool open_b = b->e.kind == 'd' && !(b->e.flags & VN_ENTRY_HIDES);
	return open_a != open_b;
}

static int one_path(const struct vn_merged *a, const struct vn_merged *b, bool partial,
		    int (*pair)(void *, const struct vn_pair *, struct vn_err *), void *user, bool *need_base, struct vn_err *err)
{
	/* a root that nobody describes is nothing to tell */
	if (a && b && !a->e.path[0] && is_implied(a) && is_implied(b))
		return 0;
	if (partial && base_decides(a, b)) {
		*need_base = true;
		return 0;
	}
	if (a && a->e.kind == VN_KIND_WHITEOUT)
		a = NULL;
	if (b && b->e.kind == VN_KIND_WHITEOUT)
		b = NULL;
	const struct vn_merged *any = a ? a : b;
	if (!any)
		return 0;
	struct vn_pair p = { .path = any->e.path, .old_ = a, .new_ = b };
	/* the directory's true face is the base's on both sides */
	if (a && b && !(partial && is_implied(a)))
		p.fields = differences(a, b, &p.only_stamp);
	return pair(user, &p, err);
}

int vn_compare(struct vn_merge *old_tree, struct vn_merge *new_tree, bool partial,
	       int (*pair)(void *user, const struct vn_pair *p, struct vn_err *err), void *user, bool *ret_need_base,
	       struct vn_err *err)
{
	struct vn_merged a, b;
	bool need_base = false;
	int more_a = vn_merge_next(old_tree, &a, err), more_b = more_a < 0 ? 0 : vn_merge_next(new_tree, &b, err), r = 0;
	while (r == 0 && !need_base && more_a >= 0 && more_b >= 0 && (more_a || more_b)) {
		int order = !more_a ? 1 : !more_b ? -1 : vn_path_cmp(a.e.path, b.e.path);
		r = one_path(order <= 0 ? &a : NULL, order >= 0 ? &b : NULL, partial, pair, user, &need_base, err);
		if (r == 0 && order <= 0)
			more_a = vn_merge_next(old_tree, &a, err);
		if (r == 0 && order >= 0 && more_a >= 0)
			more_b = vn_merge_next(new_tree, &b, err);
	}
	if (r == 0)
		r = more_a < 0 ? more_a : more_b < 0 ? more_b : 0;
	if (r == 0 && ret_need_base)
		*ret_need_base = need_base;
	return r;
}
