#include "engine/beneath.h"
#include "engine/tree_fixture.h"
#include <errno.h>
#include <sys/xattr.h>

static unsigned told;
static char told_text[400];

static void tell(void *user, const struct vn_event *event)
{
	(void)user;
	told += event->kind == VN_EVENT_WARNING;
	snprintf(told_text, sizeof(told_text), "%s", event->text);
}
static const struct vn_events events = { tell, NULL };

/* The tree of the layers in one line, or "error CODE". Nothing may appear beside it. */
static const char *show(const char *text)
{
	static struct vn_buf out = VN_BUF(1 << 20);
	struct vn_err err = { 0 };
	fixture_begin();
	CHECK(symlink("/", below("outside")) == 0 && mkdir(below("beside"), 0755) == 0);
	vn_buf_clear(&out);
	int rc = unpack(text, "tree", &events, &err);
	if (rc == 0) {
		VN_AUTO_CLOSE int fd = open(below("tree"), O_RDONLY | O_DIRECTORY);
		tell_dir(fd, "", &out);
	} else {
		CHECK_OK(vn_buf_addf(&out, &err, "error %d", err.code), &err);
		CHECK(err.text[0]);
	}
	CHECK(rmdir(below("beside")) == 0);
	fixture_end();
	return vn_buf_text(&out);
}
#define UNSAFE "error 9"

static void test_replace(void)
{
	CHECK_STR(show("d a; f a/x 1|f a/x 2; f b 3"), "d a, - a/x=2, - b=3");
	CHECK_STR(show("d a; f a/x 1|f a 2"), "- a=2");
	CHECK_STR(show("f a 1|d a; f a/x 2"), "d a, - a/x=2");
	CHECK_STR(show("f a 1|l a b|d a"), "d a");
	CHECK_STR(show("d a; d a/b; f a/b/c 1|l a /|f a 3"), "- a=3");
	CHECK_STR(show("f a 1; f a 2"), "- a=2");
	CHECK_STR(show("f a 1; d a; f a/x 2"), "d a, - a/x=2");
	CHECK_STR(show("d a|d a; f a/x 1"), "d a, - a/x=1");
	CHECK_STR(show("d ; f x 1"), "- x=1");
	CHECK_STR(show(""), "");
	CHECK_STR(show("p a|f a 1"), "- a=1");
}

static void test_whiteouts(void)
{
	CHECK_STR(show("d a; f a/x 1; f a/y 2|w a/x"), "d a, - a/y=2");
	CHECK_STR(show("d a; f a/x 1|w a"), "");
	CHECK_STR(show("f b 1|w nothing; w no/thing"), "- b=1");
	/* in one layer a whiteout speaks of those below it, whatever the order */
	CHECK_STR(show("d a; f a/x 1|w a; d a; f a/y 1"), "d a, - a/y=1");
	CHECK_STR(show("d a; f a/x 1|d a; f a/y 1; w a"), "d a, - a/y=1");
	CHECK_STR(show("d a; f a/x 1|f a/y 1; w a"), "d a, - a/y=1");
	CHECK_STR(show("f a 1|w a; f a 2"), "- a=2");
	CHECK_STR(show("f a 1|f a 2; w a"), "- a=2");
	CHECK_STR(show("d a; f a/x 1; d a/b; f a/b/z 1|d a; d a/b; f a/b/y 1; w a"), "d a, d a/b, - a/b/y=1");
	CHECK_STR(show("f a 1; f a.b 1; d a-; f a-/x 1|w a"), "d a-, - a-/x=1, - a.b=1");
	CHECK_STR(show("f a/x 1|w a/x"), "d a");
	/* marks below what is no directory any more */
	CHECK_STR(show("d a; f a/x 1|f a 2; w a/x; o a"), "- a=2");
	CHECK_STR(show("d a; f a/x 1|w a/x; f a 2"), "- a=2");
	CHECK_STR(show("f .wh..wh.plnk/1 1; f .wh..wh.aufs 1; f .wh. 1; f a 1"), "- a=1");
}

static void test_opaque(void)
{
	CHECK_STR(show("d a; f a/x 1|d a 0700; o a; f a/y 1"), "d a, - a/y=1");
	CHECK_STR(show("d a; f a/x 1; d a/b; f a/b/z 1|f a/y 1; f a/b/n 2; o a"), "d a, d a/b, - a/b/n=2, - a/y=1");
	CHECK_STR(show("d a; f a/x 1|o a|f a/y 1"), "d a, - a/y=1");
	CHECK_STR(show("f x 1; d a|f y 1; o "), "- y=1");
	CHECK_STR(show("d a; d a/b; f a/b/x 1; f a/c 1|o a/b"), "d a, d a/b, - a/c=1");
	CHECK_STR(show("f a 1|o a"), "d a");
	CHECK_STR(show("l a b|o a; f a/x 1"), "d a, - a/x=1");
	CHECK_STR(show("o a/b"), "d a, d a/b");
	CHECK_STR(show("d a; f a/x 1|o a/b; o a"), "d a, d a/b");
	CHECK_STR(show("d a; f a/x 1|o a; w a; o a"), "d a");
	CHECK_STR(show("d a; f a/x 1|w a; o a"), "d a");
	CHECK_STR(show("d a; f a/x 1|o a; f a 2; o a"), "- a=2");
	CHECK_STR(show("d a; d a/b; f a/b/x 1|f a/b/y 2; o a; o a/b; w a/b"), "d a, d a/b, - a/b/y=2");
}

static void test_implied(void)
{
	struct stat st;
	struct vn_err err = { 0 };
	CHECK_STR(show("f a/b/c 1"), "d a, d a/b, - a/b/c=1");
	CHECK_STR(show("l a b; d b|f a/x 1"), "d a, - a/x=1, d b");
	CHECK_STR(show("f a 1|f a/x 1"), "d a, - a/x=1");
	CHECK_STR(show("l a b|w a/k"), "d a");
	CHECK_STR(show("f a 1|d b|f a/b/c 1"), "d a, d a/b, - a/b/c=1, d b");
	/* what a lower layer said of a directory goes with it */
	fixture_begin();
	CHECK_OK(unpack("d a; d a/b 0700; f a/b/x 1|f a/b/y 1; o a", "late", NULL, &err), &err);
	CHECK_OK(unpack("d a; d a/b 0700; f a/b/x 1|o a; f a/b/y 1", "early", NULL, &err), &err);
	CHECK(stat(below("late/a/b"), &st) == 0 && (st.st_mode & 07777) == 0755);
	CHECK(stat(below("early/a/b"), &st) == 0 && (st.st_mode & 07777) == 0755);
	fixture_end();
}

static void test_hostile(void)
{
	struct vn_err err = { 0 };
	/* through a link of the same layer, of a lower layer, of a lower layer by way of a directory */
	CHECK_STR(show("l a ../beside; f a/x 1"), UNSAFE);
	CHECK_STR(show("l a ../beside|f a/x 1"), "d a, - a/x=1");
	CHECK_STR(show("d d; l d/a ../../beside|f d/a/x/y 1"), "d d, d d/a, d d/a/x, - d/a/x/y=1");
	CHECK_STR(show("l a /tmp|w a/x; o a"), "d a");
	CHECK_STR(show("l a ../beside|d a; f a/x 1"), "d a, - a/x=1");
	CHECK_STR(show("f a/x 1; l a ../beside"), UNSAFE);
	CHECK_STR(show("f a 1; f a/x 1"), UNSAFE);
	CHECK_STR(show("d a; f a/x 1; f a 1"), UNSAFE);
	/* over a link itself */
	CHECK_STR(show("l a ../beside/x; f a 1"), "- a=1");
	CHECK_STR(show("l a ../beside/x|f a 1"), "- a=1");
	/* hard links */
	CHECK_STR(show("h a etc/passwd"), UNSAFE);
	CHECK_STR(show("l d ../outside; h a d/etc/passwd"), UNSAFE);
	CHECK_STR(show("l d /|h a d/etc/passwd"), UNSAFE);
	CHECK_STR(show("h a a"), UNSAFE);
	CHECK_STR(show("d a|h a a"), UNSAFE);
	CHECK_STR(show("d a; h b a"), UNSAFE);
	CHECK_STR(show("d a; f a/x 1|h a a/x"), UNSAFE);
	CHECK_STR(show("f a 1; h b/.. a"), UNSAFE);
	CHECK_STR(show("l a /etc/passwd; h b a"), "l a>/etc/passwd, l b>/etc/passwd");
	/* names */
	CHECK_STR(show("f ../x 1"), UNSAFE);
	CHECK_STR(show("f a/../../x 1"), UNSAFE);
	CHECK_STR(show("f .wh... 1"), UNSAFE);
	CHECK_STR(show("f a/.wh.. 1"), UNSAFE);
	CHECK_STR(show("f .wh.a/x 1"), UNSAFE);
	CHECK_STR(show("f //abs/./x 1"), "d abs, - abs/x=1");
	CHECK_STR(show("f a\nb 1|w a\nb; f c\nd 2"), "- c\nd=2");
	/* a long way down, and names too long for a file system */
	char text[6000] = "f ";
	for (int i = 0; i < 1000; i++)
		memcpy(text + 2 + 2 * i, "d/", 3);
	memcpy(text + 2002, "x 1|w d/d; f y 1", 17);
	fixture_begin();
	CHECK_OK(unpack(text, "deep", NULL, &err), &err);
	fixture_end();
	memset(text + 2, 'n', 300);
	memcpy(text + 302, " 1", 3);
	CHECK_STR(show(text), "error 3");
}

static void test_links(void)
{
	struct vn_err err = { 0 };
	struct stat a, b, c, old;
	CHECK_STR(show("f a 1; h b a; h c b"), "- a=1, - b=1, - c=1");
	CHECK_STR(show("f a 1|h b a|w a"), "- b=1");
	CHECK_STR(show("f a 1|w a|h b a"), UNSAFE);
	/* a copy shares files with what it came from, and what changes parts from them */
	fixture_begin();
	CHECK_OK(unpack("f a 1; h b a; h c a; f d 1|f b 2; h e a", "new", NULL, &err), &err);
	CHECK(stat(below("new/a"), &a) == 0 && stat(below("new/c"), &c) == 0 && stat(below("new.0/a"), &old) == 0);
	CHECK(a.st_ino == c.st_ino && a.st_ino == old.st_ino);
	CHECK_EQ(a.st_nlink, 3 + 3);
	CHECK(stat(below("new/b"), &b) == 0 && b.st_nlink == 1);
	CHECK(stat(below("new.0/b"), &b) == 0 && b.st_ino == old.st_ino && b.st_size == 1);
	fixture_end();
}

static void put_entry(const struct vn_tar_entry *e, const char *data, const char *name, struct vn_err *err)
{
	struct pen p;
	struct vn_in *in = NULL;
	VN_AUTO_TREE *t = NULL;
	pen_open(&p);
	pen_entry(&p, e, data);
	pen_close(&p);
	CHECK(mkdir(below(name), 0755) == 0);
	VN_AUTO_CLOSE int fd = open(below(name), O_RDONLY | O_DIRECTORY);
	CHECK_OK(vn_tree_open(fd, name, &events, &t, err), err);
	CHECK_OK(vn_in_memory(p.bytes.data, p.bytes.len, &in, err), err);
	CHECK_OK(vn_tree_apply(t, in, "layer", err), err);
	vn_buf_release(&p.bytes);
}

static void test_attributes(void)
{
	struct vn_err err = { 0 };
	struct stat st;
	fixture_begin();
	struct vn_tar_entry e = {
		.path = "d/f", .type = VN_FILE, .mode = 04751, .size = 1, .mtime = 1234567890, .mtime_nsec = 42
	};
	put_entry(&e, "x", "file", &err);
	CHECK(stat(below("file/d/f"), &st) == 0);
	CHECK_EQ(st.st_mode & 07777, 04751);
	CHECK_EQ(st.st_mtim.tv_sec, 1234567890);
	CHECK_EQ(st.st_mtim.tv_nsec, 42);
	CHECK(stat(below("file/d"), &st) == 0);
	CHECK_EQ(st.st_mode & 07777, 0755);
	CHECK_EQ(st.st_mtim.tv_sec, 1234567890);
	e = (struct vn_tar_entry){ .path = "l", .type = VN_SYMLINK, .mode = 0777, .link = "t", .mtime = 77 };
	put_entry(&e, NULL, "link", &err);
	CHECK(lstat(below("link/l"), &st) == 0 && st.st_mtim.tv_sec == 77);
	/* a directory keeps its time when something in it changes, unless it is described again */
	CHECK_OK(unpack("d a 0555; d b|f a/x 1; f b/x 1; w b/y; d b 0700|f b/z 1", "dirs", NULL, &err), &err);
	CHECK(stat(below("dirs/a"), &st) == 0);
	CHECK_EQ(st.st_mode & 07777, 0555);
	CHECK_EQ(st.st_mtim.tv_sec, 1000);
	CHECK(stat(below("dirs/b"), &st) == 0);
	CHECK_EQ(st.st_mode & 07777, 0700);
	CHECK_EQ(st.st_mtim.tv_sec, 1000);
	fixture_end();
}

static void test_xattrs(void)
{
	struct vn_err err = { 0 };
	char value[40] = "";
	fixture_begin();
	CHECK(mkdir(below("probe"), 0755) == 0);
	bool kept = setxattr(below("probe"), "user.probe", "1", 1, 0) == 0;
	told = 0;
	CHECK_OK(unpack("x a user.a=1|x b security.selinux=label; x c user.overlay.opaque=y; d d", "tree", &events, &err),
		 &err);
	/* of the label, of an attribute that the file system refuses, and without privileges of owners */
	CHECK_EQ(told, 1 + !kept + (geteuid() != 0));
	if (kept) {
		CHECK_EQ(getxattr(below("tree/a"), "user.a", value, sizeof(value)), 1);
		CHECK_STR(value, "1");
		CHECK(getxattr(below("tree/c"), "user.overlay.opaque", value, sizeof(value)) < 0);
	}
	fixture_end();
}

static void test_sparse(void)
{
	struct vn_err err = { 0 };
	struct stat st;
	static char data[1 << 20];
	memcpy(data + 300000, "middle", 6);
	fixture_begin();
	struct vn_tar_entry e = { .path = "big", .type = VN_FILE, .mode = 0600, .size = sizeof(data) };
	put_entry(&e, data, "file", &err);
	CHECK(stat(below("file/big"), &st) == 0);
	CHECK_EQ(st.st_size, sizeof(data));
	CHECK(st.st_blocks * 512 < (blkcnt_t)sizeof(data));
	VN_AUTO(vn_buf) back = VN_BUF(sizeof(data));
	CHECK_OK(vn_fs_read(below("file/big"), &back, &err), &err);
	CHECK(back.len == sizeof(data) && !memcmp(back.data, data, sizeof(data)));
	fixture_end();
}

static void test_privileged(void)
{
	struct vn_err err = { 0 };
	struct stat st;
	if (geteuid()) {
		told = 0;
		CHECK_STR(show("c null 1:3; f a 1"), "- a=1");
		CHECK_EQ(told, 2);
		CHECK_HAS(told_text, "device");
		return;
	}
	CHECK_STR(show("c null 1:3; f a 1"), "- a=1, c null");
	fixture_begin();
	struct vn_tar_entry e = { .path = "f", .type = VN_FILE, .mode = 06755, .uid = 1234, .gid = 4321 };
	put_entry(&e, NULL, "file", &err);
	CHECK(stat(below("file/f"), &st) == 0);
	CHECK_EQ(st.st_uid, 1234);
	CHECK_EQ(st.st_gid, 4321);
	CHECK_EQ(st.st_mode & 07777, 06755);
	e = (struct vn_tar_entry){ .path = "d", .type = VN_DIR, .mode = 02770, .uid = 1, .gid = 2 };
	put_entry(&e, NULL, "dir", &err);
	CHECK(stat(below("dir/d"), &st) == 0 && st.st_uid == 1 && st.st_gid == 2);
	CHECK_EQ(st.st_mode & 07777, 02770);
	fixture_end();
}

static void test_beneath(void)
{
	fixture_begin();
	CHECK(mkdir(below("a"), 0755) == 0 && mkdir(below("a/b"), 0755) == 0 && symlink("b", below("a/l")) == 0);
	VN_AUTO_CLOSE int root = open(below("a"), O_RDONLY | O_DIRECTORY);
	static const struct {
		const char *path;
		bool good;
	} cases[] = { { "", true },	    { "b", true },   { "l", false },	    { "l/x", false },
		      { "nothing", false }, { "..", false }, { "b/../../a", false } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		VN_AUTO_CLOSE int fd = vn_beneath_open(root, cases[i].path, O_RDONLY | O_DIRECTORY);
		VN_AUTO_CLOSE int walked = vn_beneath_walk(root, cases[i].path, O_RDONLY | O_DIRECTORY);
		CHECK_EQ(fd >= 0, cases[i].good);
		CHECK_EQ(walked >= 0, cases[i].good);
	}
	fixture_end();
}

int main(void)
{
	RUN(test_replace);
	RUN(test_whiteouts);
	RUN(test_opaque);
	RUN(test_implied);
	RUN(test_hostile);
	RUN(test_links);
	RUN(test_attributes);
	RUN(test_xattrs);
	RUN(test_sparse);
	RUN(test_privileged);
	RUN(test_beneath);
	return vn_test_end();
}
