/* Random pairs of images, rebased; then DEST and NEW are unpacked by a model of its own that knows nothing of indexes and merges, and
 * must be equal but for what a rule calls noise. VN_SEED and VN_ROUNDS choose others. */
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

static uint64_t state;
static unsigned groups;

static unsigned dice(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % n;
}

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

/* ---- making images */
static const char *const names[] = { "a", "b", "c", "m.py", "m.pyc" };

static void random_path(char out[64])
{
	unsigned depth = 1 + dice(3);
	size_t len = 0;
	if (dice(6) == 0)
		len = (size_t)snprintf(out, 64, "tmp");
	for (unsigned i = 0; i < depth; i++) {
		const char *name = names[dice(i + 1 == depth ? 5 : 3)];
		len += (size_t)snprintf(out + len, 64 - len, "%s%s", len ? "/" : "", name);
	}
}

struct op {
	char path[64], link[64];
	char kind;                   /* as in layer/fixture.h */
	uint32_t mode, uid;
	int64_t mtime;
	char data[32];
	size_t size;
	bool xattr;
};
struct ops {
	struct op list[24];
	size_t n;
};

static bool is_dir_like(const struct op *o)
{
	return o->kind == 'd' || o->kind == 'o';
}

/* Whether a tar that a builder makes could hold both. */
static bool fits(const struct ops *ops, const struct op *o)
{
	for (size_t i = 0; i < ops->n; i++) {
		const struct op *p = &ops->list[i];
		bool same = !strcmp(p->path, o->path);
		if (same && (p->kind == o->kind || o->kind == 'w' || p->kind == 'w'))
			return false;
		if (same && !(is_dir_like(p) && is_dir_like(o)))
			return false;
		if (!same && vn_path_below(o->path, p->path) && !is_dir_like(p) && p->kind != 'w')
			return false;
		if (!same && vn_path_below(p->path, o->path) && !is_dir_like(o) && o->kind != 'w')
			return false;
		if (p->kind == 'h' && (vn_path_below(p->link, o->path) || vn_path_below(o->path, p->link)))
			return false;
	}
	return true;
}

static bool ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);
	return n >= m && !strcmp(path + n - m, end);
}

static void random_op(struct op *o, struct ops *ops, struct tree *lower)
{
	static const char kinds[] = "fffffdddlxhHwwocp";
	memset(o, 0, sizeof(*o));
	random_path(o->path);
	o->kind = kinds[dice(sizeof(kinds) - 1)];
	o->mode = dice(5) ? 0644 : dice(2) ? 04755 : 0755;
	o->uid = dice(8) ? 0 : 1000;
	o->mtime = dice(4);
	o->size = (size_t)snprintf(o->data, sizeof(o->data), "text %u", dice(6));
	if (ends_with(o->path, ".pyc") && o->kind == 'f') {
		memcpy(o->data, "\x55\x0d\r\n\0\0\0\0A\0\0\0\x10\0\0\0body ", 21);
		o->data[8] = (char)('A' + dice(4));
		o->data[21] = (char)('0' + dice(3));
		o->size = 22;
	}
	if (o->kind == 'x') {
		o->kind = 'f';
		o->xattr = true;
	}
	if (o->kind == 'l')
		snprintf(o->link, sizeof(o->link), "%s", names[dice(3)]);
	if (o->kind == 'h' && ops->n) {
		const struct op *to = &ops->list[dice((unsigned)ops->n)];
		if (strchr("flcp", to->kind)) {
			struct op copy = *to;
			memcpy(copy.path, o->path, sizeof(copy.path));
			snprintf(copy.link, sizeof(copy.link), "%s", to->path);
			copy.kind = 'h';
			*o = copy;
			return;
		}
	}
	if (o->kind == 'H' && lower->n) {
		const struct node *to = &lower->nodes[dice((unsigned)lower->n)];
		if (to->kind != 'd') {
			o->kind = 'h';
			snprintf(o->link, sizeof(o->link), "%s", to->path);
			if (fits(ops, &(struct op){ .kind = 'h', .path = "none" }))
				for (size_t i = 0; i < ops->n; i++)
					if (vn_path_below(o->link, ops->list[i].path) || vn_path_below(ops->list[i].path, o->link))
						o->kind = 'f';
			if (vn_path_below(o->link, o->path) || vn_path_below(o->path, o->link))
				o->kind = 'f';
			return;
		}
	}
	if (o->kind == 'h' || o->kind == 'H')
		o->kind = 'f';
}

static void write_op(struct pen *p, const struct op *o)
{
	struct vn_xattr xattr = { .name = "user.k", .value = "v", .len = 1 };
	struct vn_tar_entry e = { .path = o->path, .mode = o->mode, .uid = o->uid, .gid = o->uid, .mtime = o->mtime };
	char path[64];
	switch (o->kind) {
	case 'w':
	case 'o':
		snprintf(path, sizeof(path), "%s", o->path);
		pen_line(p, o->kind, path, path + strlen(path));
		return;
	case 'd':
		e.type = VN_DIR;
		break;
	case 'l':
		e.type = VN_SYMLINK;
		e.mode = 0777;
		e.link = o->link;
		break;
	case 'h':
		e.type = VN_HARDLINK;
		e.link = o->link;
		break;
	case 'c':
		e.type = VN_CHAR;
		e.dev_major = 1, e.dev_minor = 3;
		break;
	case 'p':
		e.type = VN_FIFO;
		break;
	default:
		e.size = o->size;
		e.xattrs = &xattr;
		e.nxattrs = o->xattr;
	}
	pen_entry(p, &e, o->data);
}

/* `like`: some of these entries, times moved; NULL for a layer out of nothing. */
static void random_layer(struct ops *ops, const struct ops *like, struct tree *lower)
{
	ops->n = 0;
	for (size_t i = 0; like && i < like->n; i++) {
		struct op o = like->list[i];
		if (dice(8) == 0 || o.kind == 'h' || !fits(ops, &o))
			continue;
		if (dice(3) == 0)
			o.mtime = dice(4);
		if (dice(8) == 0 && o.kind == 'f' && !ends_with(o.path, ".pyc"))
			o.size = (size_t)snprintf(o.data, sizeof(o.data), "other %u", dice(6));
		ops->list[ops->n++] = o;
	}
	for (unsigned i = 0, n = like ? dice(4) : 2 + dice(8); i < n; i++) {
		struct op o;
		random_op(&o, ops, lower);
		if (fits(ops, &o) && ops->n < 20)
			ops->list[ops->n++] = o;
	}
}

static void add_layer(struct spec *s, const struct ops *ops, struct tree *t)
{
	struct pen p;
	pen_open(&p);
	for (size_t i = 0; i < ops->n; i++)
		write_op(&p, &ops->list[i]);
	pen_close(&p);
	apply(t, &p.bytes);
	s->tars[s->n++] = p.bytes;
}

static void copy_layer(struct spec *s, const struct vn_buf *tar)
{
	struct vn_err err = { 0 };
	struct vn_buf copy = VN_BUF(64u << 20);
	CHECK_OK(vn_buf_add(&copy, tar->data, tar->len, &err), &err);
	s->tars[s->n++] = copy;
}

static void unpack(const char *layout, const char *digest, struct tree *t)
{
	struct vn_manifest m = { 0 };
	read_manifest(layout, digest, &m);
	t->n = 0;
	for (size_t i = 0; i < m.nlayers; i++) {
		VN_AUTO(vn_buf) tar = VN_BUF(1 << 20);
		read_plain(layout, m.layers[i].digest.text, &tar);
		apply(t, &tar);
	}
	vn_manifest_release(&m);
}

static struct tree old_tree, new_tree, dest_tree, scratch;
static unsigned done, refused;

/* OLD and NEW share some layers, and NEW's others are like OLD's. */
static void make_pair(struct spec *old_spec, struct spec *new_spec)
{
	struct ops layers[5];
	unsigned shared = dice(3), total = shared + 1 + dice(3);
	old_tree.n = new_tree.n = 0;
	for (unsigned i = 0; i < total; i++) {
		random_layer(&layers[i], NULL, &old_tree);
		add_layer(old_spec, &layers[i], &old_tree);
	}
	for (unsigned i = 0; i < total + dice(2); i++) {
		struct ops ops;
		if (i < shared) {
			copy_layer(new_spec, &old_spec->tars[i]);
			apply(&new_tree, &old_spec->tars[i]);
			continue;
		}
		random_layer(&ops, i < total && dice(4) ? &layers[i] : NULL, &new_tree);
		add_layer(new_spec, &ops, &new_tree);
	}
}

static const char *rebase(struct vn *vn, const char *old_ref, const char *new_ref, const char *dest, const char *what)
{
	static char digest[VN_DIGEST_TEXT];
	struct vn_err err = { 0 };
	struct vn_rebase *r = NULL;
	struct vn_diff *d = NULL;
	struct vn_rebase_options o = { .size = sizeof(o), .larger = true, .split = dice(3) == 0, .mode = VN_MODE_CONTENT };
	int rc = vn_rebase_run(vn, old_ref, new_ref, dest, &o, &r, &err);
	digest[0] = 0;
	if (rc == -VN_EREFUSED) {
		CHECK_HAS(err.text, "same image");
		refused++;
	} else if (rc < 0) {
		printf("# %s: %s\n", what, err.text);
		CHECK(rc == 0);
	} else {
		const struct vn_rebase_result *result = vn_rebase_get(r);
		CHECK(result->written && result->images[0].proved);
		snprintf(digest, sizeof(digest), "%s", result->digest);
		done++;
		CHECK_OK(vn_diff_run(vn, dest, new_ref, NULL, &d, &err), &err);
		if (d)
			CHECK(vn_diff_get_summary(d)->same);
		vn_diff_free(d);
	}
	vn_rebase_free(r);
	return *digest ? digest : NULL;
}

/* VN_SHOW: what a round works on. */
static void show(const char *name, struct spec *s)
{
	for (size_t i = 0; getenv("VN_SHOW") && i < s->n; i++) {
		struct vn_err err = { 0 };
		const struct vn_tar_entry *e;
		struct vn_in *in = NULL;
		VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
		char text[64];
		CHECK_OK(vn_in_memory(s->tars[i].data, s->tars[i].len, &in, &err), &err);
		CHECK_OK(vn_tar_open(in, "a layer", &tar, &err), &err);
		printf("# %s layer %zu\n", name, i);
		while (vn_tar_next(tar, &e, &err) > 0) {
			printf("#   %d %s %o %u %lld %s", (int)e->type, e->path, e->mode, e->uid, (long long)e->mtime, e->link ? e->link : "");
			text_of(tar, e, text);
			printf(" %s\n", text);
		}
	}
}

static int one_round(struct vn *vn, unsigned seed)
{
	struct spec old_spec = { .n = 0 }, new_spec = { .n = 0 };
	char what[64], dest_ref[700], thin_ref[700], new_ref[700];
	int bad = vn_test_bad;
	state = 0x9e3779b97f4a7c15u * (seed + 1);
	for (int i = 0; i < 8; i++)
		dice(2);
	make_pair(&old_spec, &new_spec);
	show("OLD", &old_spec);
	show("NEW", &new_spec);
	put_layout("old", &old_spec);
	put_layout("new", &new_spec);
	snprintf(what, sizeof(what), "seed %u", seed);
	snprintf(dest_ref, sizeof(dest_ref), "%s:v1", oci("dest"));
	const char *digest = rebase(vn, oci("old"), oci("new"), dest_ref, what);
	if (digest) {
		unpack("dest", digest, &dest_tree);
		bad -= compare_trees(&dest_tree, &new_tree, &old_tree, what) != 0;
	}
	/* and onto the result, which is thin */
	if (digest && dice(3) == 0) {
		struct spec other = { .n = 0 }, next = { .n = 0 };
		scratch = old_tree;
		make_pair(&other, &next);
		show("NEW, thin on thin", &next);
		put_layout("new2", &next);
		spec_release(&other);
		snprintf(what, sizeof(what), "seed %u, thin on thin", seed);
		snprintf(thin_ref, sizeof(thin_ref), "%s:v2", oci("dest"));
		snprintf(new_ref, sizeof(new_ref), "%s", oci("new2"));
		digest = rebase(vn, dest_ref, new_ref, thin_ref, what);
		if (digest) {
			unpack("dest", digest, &dest_tree);
			bad -= compare_trees(&dest_tree, &new_tree, &scratch, what) != 0;
		}
	}
	struct vn_err err = { 0 };
	CHECK_OK(vn_fs_remove_tree(below("old"), &err), &err);
	CHECK_OK(vn_fs_remove_tree(below("new"), &err), &err);
	if (vn_fs_exists(below("dest")))
		CHECK_OK(vn_fs_remove_tree(below("dest"), &err), &err);
	return bad != vn_test_bad;
}

static void test_random(void)
{
	const char *seed = getenv("VN_SEED"), *rounds = getenv("VN_ROUNDS");
	unsigned first = seed ? (unsigned)strtoul(seed, NULL, 10) : 1, n = rounds ? (unsigned)strtoul(rounds, NULL, 10) : 200;
	struct vn *vn = handle("cache");
	unsigned bad = 0;
	for (unsigned i = 0; i < n && bad < 8; i++) {
		int wrong = one_round(vn, first + i);
		if (wrong)
			printf("# seed %u is wrong\n", first + i);
		bad += wrong != 0;
	}
	CHECK_EQ(bad, 0);
	printf("# %u rebases, %u refused\n", done, refused);
	CHECK(done > refused);
	vn_close(vn);
}

int main(void)
{
	fixture_begin();
	RUN(test_random);
	fixture_end();
	return vn_test_end();
}
