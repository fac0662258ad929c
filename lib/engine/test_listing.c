#include "engine/listing.h"
#include "engine/tree_fixture.h"
#include "engine/whole.h"
#include <sys/sysmacros.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static int open_dir(const char *name)
{
	return open(below(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void make_tree(const char *name, const char *from, const char *layer)
{
	struct vn_err err = { 0 };
	struct vn_in *in = NULL;
	struct pen p;
	CHECK(mkdir(below(name), 0700) == 0);
	VN_AUTO_CLOSE int fd = open_dir(name), lower = from ? open_dir(from) : -1;
	VN_AUTO_TREE *t = NULL;
	CHECK_OK(vn_tree_open(fd, name, NULL, &t, &err), &err);
	CHECK_OK(from ? vn_tree_copy(t, lower, &err) : vn_tree_begin(t, &err), &err);
	pen_layer(layer, strlen(layer), &p);
	CHECK_OK(vn_in_memory(p.bytes.data, p.bytes.len, &in, &err), &err);
	CHECK_OK(vn_tree_apply(t, in, "layer", &err), &err);
	vn_buf_release(&p.bytes);
}

static int list(const char *name, const char *from, const char *to, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = open_dir(name), lower = from ? open_dir(from) : -1;
	VN_AUTO_CLOSE int out = open(below(to), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	VN_AUTO_CLOSE int before = from ? open(below("list"), O_RDONLY) : -1;
	const struct vn_listing_below b = { lower, before };
	return vn_listing_write(fd, from ? &b : NULL, out, name, err);
}

static int compare(const char *name, const char *with, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = open_dir(name), in = open(below(with), O_RDONLY);
	*err = (struct vn_err){ 0 };
	return vn_listing_compare(fd, in, name, err);
}

static void test_text(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) text = VN_BUF(1 << 16), want = VN_BUF(1 << 16);
	unsigned uid = geteuid(), gid = getegid();
	fixture_begin();
	make_tree("tree", NULL, "d a; f a.b hello; f a/x; l a/l ../a b; d e");
	/* names that mean something to readers of mtree */
	static const char *const odd[] = { "tree/e/# c", "tree/e/\xc3\xa9=*", "tree/e/a\\b\nc" };
	for (size_t i = 0; i < 3; i++)
		CHECK_OK(vn_fs_replace(below(odd[i]), "", 0, 0644, &err), &err);
	CHECK_OK(list("tree", NULL, "list", &err), &err);
	CHECK_OK(vn_fs_read(below("list"), &text, &err), &err);
	vn_buf_addf(&want, &err,
		    ". type=dir uid=%u gid=%u mode=0755\n"
		    "./a type=dir uid=%u gid=%u mode=0755\n"
		    "./a/l type=link uid=%u gid=%u link=../a\\040b\n"
		    "./a/x type=file uid=%u gid=%u mode=0644 size=0 sha256digest=" EMPTY "\n"
		    "./a.b type=file uid=%u gid=%u mode=0644 size=5 sha256digest=" HELLO "\n",
		    uid, gid, uid, gid, uid, gid, uid, gid, uid, gid);
	CHECK_EQ(strncmp(vn_buf_text(&text), vn_buf_text(&want), want.len), 0);
	CHECK_HAS(vn_buf_text(&text), "./e/\\043\\040c type=");
	CHECK_HAS(vn_buf_text(&text), "./e/\\303\\251\\075\\052 type=");
	CHECK_HAS(vn_buf_text(&text), "./e/a\\134b\\012c type=");
	CHECK_OK(compare("tree", "list", &err), &err);
	CHECK(unlink(below(odd[2])) == 0);
	CHECK_EQ(compare("tree", "list", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "is missing");
	fixture_end();
}

static void test_damage(void)
{
	static const struct {
		const char *path, *text;
		unsigned mode;
		const char *says;
	} damage[] = {
		{ "tree/a/x", "2", 0644, "tree: /a/x has sha256digest=" }, { "tree/a/x", "11", 0644, "has size=2 instead of size=1" },
		{ "tree/a/x", "1", 0755, "has mode=0755 instead of mode=0644" }, { "tree/a/x", NULL, 0, "/a/x is missing" },
		{ "tree/l", "1", 0644, "/l has type=file instead of type=link" }, { "tree/more", "1", 0644, NULL },
	};
	struct vn_err err = { 0 };
	fixture_begin();
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		make_tree("tree", NULL, "f a/x 1; l l a; f z 2");
		CHECK_OK(list("tree", NULL, "list", &err), &err);
		unlink(below(damage[i].path));
		if (damage[i].text)
			CHECK_OK(vn_fs_replace(below(damage[i].path), damage[i].text, strlen(damage[i].text), damage[i].mode, &err), &err);
		CHECK_EQ(compare("tree", "list", &err), damage[i].says ? -VN_EDIGEST : 0);
		if (damage[i].says)
			CHECK_HAS(err.text, damage[i].says);
		CHECK_OK(vn_tree_remove(AT_FDCWD, below("tree"), &err), &err);
	}
	fixture_end();
}

/* Each of its bytes, and its end. */
static void test_list_is_damaged(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) text = VN_BUF(1 << 16);
	fixture_begin();
	make_tree("tree", NULL, "f a 1; f b 2");
	CHECK_OK(list("tree", NULL, "list", &err), &err);
	CHECK_OK(vn_fs_read(below("list"), &text, &err), &err);
	for (size_t i = 0; i < text.len; i++) {
		text.data[i] ^= 1;
		CHECK_OK(vn_fs_replace(below("other"), text.data, text.len, 0600, &err), &err);
		text.data[i] ^= 1;
		CHECK_EQ(compare("tree", "other", &err), -VN_EDIGEST);
		CHECK_HAS(err.text, "list of files is damaged");
		CHECK_OK(vn_fs_replace(below("other"), text.data, i, 0600, &err), &err);
		CHECK_EQ(compare("tree", "other", &err), -VN_EDIGEST);
	}
	fixture_end();
}

/* What is shared with the tree below is taken from its list, as that says it; the rest is read. */
static void test_below(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) alone = VN_BUF(1 << 16), along = VN_BUF(1 << 16);
	fixture_begin();
	make_tree("lower", NULL, "f a/x 1; f b 2; f gone 3; f z 4; f a-b 5");
	CHECK_OK(list("lower", NULL, "list", &err), &err);
	make_tree("upper", "lower", "f b 22; w gone; f a/new 6; h y z");
	CHECK_OK(list("upper", NULL, "alone", &err), &err);
	CHECK_OK(list("upper", "lower", "along", &err), &err);
	CHECK_OK(vn_fs_read(below("alone"), &alone, &err), &err);
	CHECK_OK(vn_fs_read(below("along"), &along, &err), &err);
	CHECK_STR(vn_buf_text(&along), vn_buf_text(&alone));
	/* another byte in a shared file is found, although the list was written afterwards; so is what was missing below */
	VN_AUTO_CLOSE int fd = open(below("upper/a/x"), O_WRONLY);
	CHECK(pwrite(fd, "7", 1, 0) == 1);
	CHECK_OK(list("upper", "lower", "along", &err), &err);
	CHECK_EQ(compare("upper", "along", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "/a/x");
	CHECK(pwrite(fd, "1", 1, 0) == 1);
	CHECK(unlink(below("lower/z")) == 0 && unlink(below("upper/z")) == 0);
	CHECK_OK(list("upper", "lower", "along", &err), &err);
	CHECK_EQ(compare("upper", "along", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "/z is missing");
	/* a list that is damaged is not used */
	CHECK(truncate(below("list"), 10) == 0);
	CHECK_OK(list("upper", "lower", "along", &err), &err);
	CHECK_OK(compare("upper", "along", &err), &err);
	fixture_end();
}

static void test_devices(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) text = VN_BUF(1 << 16);
	fixture_begin();
	make_tree("tree", NULL, "f a 1");
	CHECK(mkfifo(below("tree/p"), 0600) == 0);
	bool device = mknod(below("tree/null"), S_IFCHR | 0666, makedev(1, 3)) == 0;
	CHECK_OK(list("tree", NULL, "list", &err), &err);
	CHECK_OK(vn_fs_read(below("list"), &text, &err), &err);
	CHECK_HAS(vn_buf_text(&text), "./p type=fifo ");
	if (device)
		CHECK_HAS(vn_buf_text(&text), " device=native,1,3\n");
	CHECK_OK(compare("tree", "list", &err), &err);
	fixture_end();
}

/* ---- an engine's archive */
static int check_archive(const char *lines, const struct vn_digest *ids, size_t n, struct vn_err *err)
{
	struct vn_in *in = NULL;
	struct pen p;
	*err = (struct vn_err){ 0 };
	pen_layer(lines, strlen(lines), &p);
	CHECK_OK(vn_in_memory(p.bytes.data, p.bytes.len, &in, err), err);
	int rc = vn_whole_check(in, ids, n, "app", err);
	vn_buf_release(&p.bytes);
	return rc;
}

static void test_archive(void)
{
	struct vn_err err = { 0 };
	struct vn_digest ids[3];
	char text[300];
	CHECK_OK(vn_digest_of("one", 3, &ids[0], &err), &err);
	CHECK_OK(vn_digest_of("two", 3, &ids[1], &err), &err);
	CHECK_OK(vn_digest_of("one", 3, &ids[2], &err), &err);
	const char *good = "f a/layer.tar one; f manifest.json x; f b/layer.tar two; l c/layer.tar ../a/layer.tar";
	CHECK_OK(check_archive(good, ids, 3, &err), &err);
	CHECK_EQ(check_archive("f a/layer.tar one; f b/layer.tar twO", ids, 3, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "layer 2 of app");
	snprintf(text, sizeof(text), "f blobs/sha256/%s one; f blobs/sha256/%s two", vn_digest_hex(&ids[0]), vn_digest_hex(&ids[1]));
	CHECK_OK(check_archive(text, NULL, 0, &err), &err);
	snprintf(text, sizeof(text), "f blobs/sha256/%s one; f blobs/sha256/%s one", vn_digest_hex(&ids[0]), vn_digest_hex(&ids[1]));
	CHECK_EQ(check_archive(text, NULL, 0, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, vn_digest_hex(&ids[1]));
}

int main(void)
{
	RUN(test_text);
	RUN(test_damage);
	RUN(test_list_is_damaged);
	RUN(test_below);
	RUN(test_devices);
	RUN(test_archive);
	return vn_test_end();
}
