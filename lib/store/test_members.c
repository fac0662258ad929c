#include "store/members.h"
#include "store/fixture.h"
#include <unistd.h>

static int open_tar(struct tarball *t, struct vn_members **ret, struct vn_err *err)
{
	tar_save(t, below("a.tar"));
	return vn_members_open(below("a.tar"), NULL, ret, err);
}

static void check_text(const struct vn_members *m, const char *name, const char *want)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(4096);
	CHECK_OK(vn_members_read(m, name, &bytes, &err), &err);
	CHECK_STR(vn_buf_text(&bytes), want);
}

static void refused(struct tarball *t, int code, const char *text)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_members_close_p) struct vn_members *m = NULL;
	CHECK_EQ(open_tar(t, &m, &err), -code);
	CHECK_HAS(err.text, text);
}

static void test_find(void)
{
	struct vn_err err = { 0 };
	struct tarball t = { .len = 0 };
	VN_CLEANUP(vn_members_close_p) struct vn_members *m = NULL;
	const struct vn_member *x;
	VN_AUTO(vn_buf) small = VN_BUF(2);
	fixture_begin();
	tar_add(&t, '5', "d/", "", "", 0);
	tar_text(&t, "./d/one", "first");
	tar_text(&t, "d/one", "second");
	tar_add(&t, '2', "d/link", "../d/./one", "", 0);
	tar_add(&t, '1', "hard", "d/link", "", 0);
	tar_add(&t, 'x', "p", "", "31 path=a/name/from/the/record\n", 31);
	tar_text(&t, "short", "pax");
	tar_add(&t, 'L', "l", "", "a/long/name", 12);
	tar_text(&t, "short", "gnu");
	tar_add(&t, '2', "loop", "loop", "", 0);
	tar_add(&t, '2', "out", "../../etc/passwd", "", 0);
	tar_add(&t, '2', "abs", "/etc/passwd", "", 0);
	CHECK_OK(open_tar(&t, &m, &err), &err);
	check_text(m, "d/one", "second");
	check_text(m, "./d//link", "second");
	check_text(m, "hard", "second");
	check_text(m, "a/name/from/the/record", "pax");
	check_text(m, "a/long/name", "gnu");
	CHECK_EQ(vn_members_find(m, "absent", &x, &err), -VN_ENOTFOUND);
	CHECK_EQ(vn_members_find(m, "d", &x, &err), -VN_ENOTFOUND);
	CHECK_EQ(vn_members_find(m, "loop", &x, &err), -VN_EFORMAT);
	CHECK_EQ(vn_members_find(m, "out", &x, &err), -VN_EUNSAFE);
	CHECK_EQ(vn_members_find(m, "abs", &x, &err), -VN_EUNSAFE);
	CHECK_EQ(vn_members_find(m, "../x", &x, &err), -VN_EUNSAFE);
	CHECK_EQ(vn_members_read(m, "d/one", &small, &err), -VN_ELIMIT);
	fixture_end();
}

static void test_hostile(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_members_close_p) struct vn_members *m = NULL;
	fixture_begin();
	struct tarball record = { .len = 0 };
	tar_add(&record, 'x', "p", "", "30 path=a/name/from/the/record\n", 31);
	refused(&record, VN_EFORMAT, "malformed pax record");
	struct tarball dots = { .len = 0 }, absolute = { .len = 0 }, text = { .len = 0 }, cut = { .len = 0 }, huge = { .len = 0 };
	tar_text(&dots, "a/../../b", "x");
	refused(&dots, VN_EUNSAFE, "..");
	tar_text(&absolute, "/etc/passwd", "x");
	refused(&absolute, VN_EUNSAFE, "absolute");
	memset(text.at, 'x', 2000);
	text.len = 2000;
	refused(&text, VN_EFORMAT, "not a tar");
	tar_text(&cut, "a", "x");
	tar_text(&cut, "b", "y");
	memcpy(cut.at + 1024 + 124, "77777777777", 11);
	tar_seal(cut.at + 1024);
	refused(&cut, VN_EFORMAT, "truncated");
	tar_text(&huge, "a", "x");
	memset(huge.at + 124, 0xff, 12);
	tar_seal(huge.at);
	refused(&huge, VN_EFORMAT, "tar");
	CHECK_OK(vn_fs_replace(below("empty"), "", 0, 0644, &err), &err);
	CHECK_EQ(vn_members_open(below("empty"), NULL, &m, &err), -VN_EFORMAT);
	CHECK_EQ(vn_members_open(below("absent"), NULL, &m, &err), -VN_ENOTFOUND);
	CHECK_EQ(vn_members_open(test_dir, NULL, &m, &err), -VN_EFORMAT);
	CHECK_HAS(err.hint, "oci:DIR");
	fixture_end();
}

static void test_cut_anywhere(void)
{
	struct tarball t = { .len = 0 };
	fixture_begin();
	tar_text(&t, "one", "1");
	tar_add(&t, 'x', "p", "", "12 path=two\n", 12);
	tar_text(&t, "x", "2");
	for (size_t len = 0; len < t.len; len += 64) {
		struct vn_err err = { 0 };
		VN_CLEANUP(vn_members_close_p) struct vn_members *m = NULL;
		CHECK_OK(vn_fs_replace(below("cut.tar"), t.at, len, 0644, &err), &err);
		int rc = vn_members_open(below("cut.tar"), NULL, &m, &err);
		CHECK(rc == 0 || rc == -VN_EFORMAT);
	}
	fixture_end();
}

static void test_packed(void)
{
	struct vn_err err = { 0 };
	struct tarball t = { .len = 0 };
	VN_CLEANUP(vn_members_close_p) struct vn_members *m = NULL, *none = NULL;
	uint8_t gz[4096];
	fixture_begin();
	tar_text(&t, "one", "packed");
	memset(t.at + t.len, 0, 1024);
	size_t n = gzip_of(t.at, t.len + 1024, gz, sizeof(gz));
	CHECK_OK(vn_fs_replace(below("a.tgz"), gz, n, 0644, &err), &err);
	CHECK_OK(vn_members_open(below("a.tgz"), NULL, &m, &err), &err);
	check_text(m, "one", "packed");
	CHECK_OK(vn_fs_replace(below("cut.tgz"), gz, n - 9, 0644, &err), &err);
	CHECK_EQ(vn_members_open(below("cut.tgz"), NULL, &none, &err), -VN_EFORMAT);
	CHECK_OK(vn_fs_replace(below("a.xz"), "\xfd" "7zXZ\0\0\0\0", 9, 0644, &err), &err);
	CHECK_EQ(vn_members_open(below("a.xz"), NULL, &none, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "xz");
	fixture_end();
}

static void test_pipe(void)
{
	struct vn_err err = { 0 };
	struct tarball t = { .len = 0 };
	int ends[2];
	VN_CLEANUP(vn_members_close_p) struct vn_members *m = NULL;
	fixture_begin();
	tar_text(&t, "one", "piped");
	memset(t.at + t.len, 0, 1024);
	CHECK(pipe(ends) == 0);
	CHECK_EQ(write(ends[1], t.at, t.len + 1024), t.len + 1024);
	close(ends[1]);
	CHECK_OK(vn_members_open_fd(ends[0], "a pipe", NULL, &m, &err), &err);
	check_text(m, "one", "piped");
	fixture_end();
}

int main(void)
{
	RUN(test_find);
	RUN(test_hostile);
	RUN(test_cut_anywhere);
	RUN(test_packed);
	RUN(test_pipe);
	return vn_test_end();
}
