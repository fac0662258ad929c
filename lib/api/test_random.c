/* Random pairs of images, rebased; then DEST and NEW are unpacked by a model of its own that knows nothing of indexes and merges, and
 * must be equal but for what a rule calls noise. VN_SEED and VN_ROUNDS choose others. */
#include "api/test_unpack.h"

static uint64_t state;

static unsigned dice(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % n;
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
			printf("#   %d %s %o %u %lld %s", (int)e->type, e->path, e->mode, e->uid, (long long)e->mtime,
			       e->link ? e->link : "");
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
