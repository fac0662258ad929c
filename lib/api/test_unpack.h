/* For test_random.c: what an engine would show of a stack of layers, worked out from their tars in the plainest way, and compared. */
#ifndef VN_API_TEST_UNPACK_H
#define VN_API_TEST_UNPACK_H
#include "api/fixture.h"
#include "util/path.h"

#define NODES 512
#define NOISE "tmp/"

struct node {
	char path[64];
	char kind;
	uint32_t mode, uid;
	int64_t mtime;
	char text[64];               /* contents, link target, xattr behind \1 */
	unsigned group;
	bool implied;
};
struct tree {
	struct node nodes[NODES];
	size_t n;
};

static unsigned groups;

/* ---- the model: a layer's whiteouts first, then its opaque marks, then its entries in order */
static struct node *find(struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->nodes[i].path, path))
			return &t->nodes[i];
	return NULL;
}

static void cut(struct tree *t, const char *path, bool itself)
{
	size_t out = 0;
	for (size_t i = 0; i < t->n; i++) {
		bool gone = vn_path_below(t->nodes[i].path, path) && (itself || strcmp(t->nodes[i].path, path));
		if (!gone)
			t->nodes[out++] = t->nodes[i];
	}
	t->n = out;
}

static struct node *add_node(struct tree *t, const char *path)
{
	struct node *n = &t->nodes[t->n++];
	CHECK(t->n < NODES);
	memset(n, 0, sizeof(*n));
	snprintf(n->path, sizeof(n->path), "%s", path);
	return n;
}

static void need_dir(struct tree *t, const char *path)
{
	struct node *n = find(t, path);
	if (n && n->kind == 'd')
		return;
	cut(t, path, true);
	n = add_node(t, path);
	n->kind = 'd';
	n->mode = 0755;
	n->implied = true;
}

static void need_parents(struct tree *t, const char *path, bool only_replace)
{
	char dir[64];
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
		if (!only_replace || find(t, dir))
			need_dir(t, dir);
	}
}

static void hide(struct tree *t, const char *path)
{
	const char *base = vn_path_base(path);
	char target[64];
	if (!strcmp(base, ".wh..wh..opq")) {
		snprintf(target, sizeof(target), "%.*s", base == path ? 0 : (int)(base - path - 1), path);
		cut(t, target, false);
	} else if (!strncmp(base, ".wh.", 4)) {
		snprintf(target, sizeof(target), "%.*s%s", (int)(base - path), path, base + 4);
		need_parents(t, target, true);
		cut(t, target, true);
	}
}

/* `layer`: the last group before this layer's. */
static void put(struct tree *t, const struct vn_tar_entry *e, const char *text, unsigned layer)
{
	static const char kinds[] = { [VN_FILE] = '-', [VN_DIR] = 'd', [VN_SYMLINK] = 'l', [VN_CHAR] = 'c', [VN_FIFO] = 'p' };
	struct node made = { .mode = e->type == VN_SYMLINK ? 0777 : e->mode, .uid = e->uid, .mtime = e->mtime };
	struct node *n = find(t, e->path), *to;
	snprintf(made.path, sizeof(made.path), "%s", e->path);
	need_parents(t, e->path, false);
	n = find(t, e->path);
	if (e->type == VN_HARDLINK) {
		to = find(t, e->link);
		CHECK(to != NULL);
		if (!to)
			return;
		made.kind = to->kind;
		memcpy(made.text, to->text, sizeof(made.text));
		/* of a lower layer: the contents alone are its */
		if (to->group > layer) {
			made.group = to->group;
			made.mode = to->mode, made.uid = to->uid, made.mtime = to->mtime;
		} else {
			made.group = ++groups;
			made.mode = made.kind == 'l' ? 0777 : made.mode;
			char *xattr = strchr(made.text, 1);
			if (xattr)
				*xattr = 0;
		}
	} else {
		made.kind = kinds[e->type];
		made.group = made.kind == 'd' ? 0 : ++groups;
		snprintf(made.text, sizeof(made.text), "%s", text);
	}
	if (n && n->kind == 'd' && made.kind == 'd') {
		*n = made;
		return;
	}
	if (*made.path)
		cut(t, made.path, true);
	t->nodes[t->n++] = made;
}

static void text_of(struct vn_tar *tar, const struct vn_tar_entry *e, char out[64])
{
	struct vn_err err = { 0 };
	const void *block;
	size_t len = 0;
	ssize_t n;
	out[0] = 0;
	if (e->type == VN_SYMLINK)
		snprintf(out, 64, "%s", e->link);
	if (e->type == VN_CHAR)
		snprintf(out, 64, "%u:%u", e->dev_major, e->dev_minor);
	char xattr[24] = "";
	if (e->nxattrs)
		snprintf(xattr, sizeof(xattr), "\1%s=%.*s", e->xattrs[0].name, (int)e->xattrs[0].len, (const char *)e->xattrs[0].value);
	if (e->type == VN_FILE) {
		while ((n = vn_tar_data(tar, &block, &err)) > 0 && len + (size_t)n < 40) {
			memcpy(out + len, block, (size_t)n);
			len += (size_t)n;
		}
		/* bytecode holds NUL */
		for (size_t i = 0; i < len; i++)
			out[i] = out[i] ? out[i] : '~';
		out[len] = 0;
	}
	size_t end = strlen(out);
	snprintf(out + end, 64 - end, "%s", xattr);
}

static void apply(struct tree *t, const struct vn_buf *tar_bytes)
{
	unsigned layer = groups;
	struct vn_err err = { 0 };
	const struct vn_tar_entry *e;
	char path[64], link[64], text[64];
	for (int pass = 0; pass < 3; pass++) {
		struct vn_in *in = NULL;
		VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
		CHECK_OK(vn_in_memory(tar_bytes->data, tar_bytes->len, &in, &err), &err);
		CHECK_OK(vn_tar_open(in, "a layer", &tar, &err), &err);
		while (vn_tar_next(tar, &e, &err) > 0) {
			bool mark = !strncmp(vn_path_base(e->path), ".wh.", 4), opaque = !strcmp(vn_path_base(e->path), ".wh..wh..opq");
			if (mark && pass == opaque)
				hide(t, e->path);
			/* the mark needs a directory to stand in */
			if (pass == 2 && opaque)
				need_parents(t, e->path, false);
			if (pass < 2 || mark)
				continue;
			struct vn_tar_entry copy = *e;
			snprintf(path, sizeof(path), "%s", e->path);
			snprintf(link, sizeof(link), "%s", e->link ? e->link : "");
			copy.path = path;
			copy.link = link;
			text_of(tar, e, text);
			put(t, &copy, text, layer);
		}
	}
}

/* Directories that nobody describes come and go with what is in them. */
static bool is_bare(struct tree *t, const struct node *n)
{
	if (!n->implied)
		return false;
	for (size_t i = 0; i < t->n; i++)
		if (!t->nodes[i].implied && vn_path_below(t->nodes[i].path, n->path) && strncmp(t->nodes[i].path, NOISE, strlen(NOISE)))
			return false;
	return true;
}

static bool is_noise(const struct node *n)
{
	return !strncmp(n->path, NOISE, strlen(NOISE));
}

static const char *first_of(struct tree *t, const struct node *n)
{
	const char *first = n->path;
	for (size_t i = 0; i < t->n; i++)
		if (n->group && t->nodes[i].group == n->group && !is_noise(&t->nodes[i]) && strcmp(t->nodes[i].path, first) < 0)
			first = t->nodes[i].path;
	return first;
}

static bool is_pyc(const struct node *n)
{
	size_t len = strlen(n->path);
	return n->kind == '-' && len > 4 && !strcmp(n->path + len - 4, ".pyc") && n->text[0] == 'U';
}

/* Bytecode is stamped with one letter here: 'A' + the source's time. */
static bool is_paired(struct tree *t, const struct node *pyc)
{
	char path[64];
	snprintf(path, sizeof(path), "%.*s", (int)strlen(pyc->path) - 1, pyc->path);
	const struct node *py = find(t, path);
	return py && py->kind == '-' && py->mtime == pyc->text[8] - 'A';
}

static bool same_text(const struct node *a, const struct node *b)
{
	char x[64], y[64];
	memcpy(x, a->text, sizeof(x));
	memcpy(y, b->text, sizeof(y));
	if (is_pyc(a) && is_pyc(b))
		x[8] = y[8] = '?';
	return !strcmp(x, y);
}

static int compare_trees(struct tree *dest, struct tree *made, struct tree *old, const char *what)
{
	int bad = 0;
	for (int side = 0; side < 2; side++) {
		struct tree *t = side ? made : dest, *other = side ? dest : made;
		for (size_t i = 0; i < t->n; i++) {
			struct node *n = &t->nodes[i], *m = find(other, n->path);
			if (is_noise(n) || (is_bare(t, n) && (!m || is_bare(other, m))))
				continue;
			if (!m || m->kind != n->kind || m->mode != n->mode || m->uid != n->uid || !same_text(m, n) ||
			    strcmp(first_of(t, n), first_of(other, m))) {
				printf("# %s: \"%s\" %c%o %u \"%s\" =%s of %s, the other %c%o %u \"%s\" =%s\n", what, n->path, n->kind,
				       n->mode, n->uid, n->text, first_of(t, n), side ? "NEW" : "DEST", m ? m->kind : '0',
				       m ? m->mode : 0, m ? m->uid : 0, m ? m->text : "", m ? first_of(other, m) : "");
				bad++;
			}
			if (side && m && is_pyc(n) && is_paired(made, n) && !is_paired(dest, m)) {
				struct node *before = find(old, n->path);
				if (before && is_pyc(before) && is_paired(old, before)) {
					printf("# %s: %s has lost its source\n", what, n->path);
					bad++;
				}
			}
		}
	}
	return bad;
}
#endif
