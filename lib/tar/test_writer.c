#include "tar/writer.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/test.h"

#define VN_AUTO_BUF VN_CLEANUP(vn_buf_release) struct vn_buf
#define P10 "0123456789"
#define P50 P10 P10 P10 P10 P10
#define P99 P50 P10 P10 P10 P10 "012345678"

static const struct vn_xattr xattrs[] = {
	{ "security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20 },
	{ "user.empty", "", 0 },
	{ "user.note", "\0\n=\xff", 4 },
};

static const struct {
	struct vn_tar_entry entry;
	const char *data;
} entries[] = {
	{ { .path = "", .type = VN_DIR, .mode = 0755 }, NULL },
	{ { .path = "dir", .type = VN_DIR, .mode = 01777, .uid = 1, .gid = 2, .mtime = 1700000000 }, NULL },
	{ { .path = "dir/empty", .type = VN_FILE, .mode = 0644, .mtime = 1700000000 }, NULL },
	{ { .path = "dir/file", .type = VN_FILE, .mode = 04755, .size = 5, .mtime = 1700000000, .mtime_nsec = 120000000 }, "hello" },
	{ { .path = "dir/hard", .type = VN_HARDLINK, .mode = 04755, .link = "dir/file" }, NULL },
	{ { .path = "dir/link", .type = VN_SYMLINK, .mode = 0777, .link = "../else where" }, NULL },
	{ { .path = "dir/latin\xe9", .type = VN_SYMLINK, .mode = 0777, .link = "caf\xc3\xa9" }, NULL },
	{ { .path = "caf\xc3\xa9", .type = VN_FILE, .mode = 0600, .size = 3, .mtime = -2, .mtime_nsec = 500000000 }, "abc" },
	{ { .path = "owner", .type = VN_FILE, .mode = 0600, .uid = 3000000, .gid = UINT32_MAX - 1, .mtime = -7 }, NULL },
	{ { .path = "future", .type = VN_FIFO, .mode = 0600, .mtime = 1ll << 36 }, NULL },
	{ { .path = "null", .type = VN_CHAR, .mode = 0666, .dev_major = 1, .dev_minor = 3 }, NULL },
	{ { .path = "loop", .type = VN_BLOCK, .mode = 0660, .dev_major = 7, .dev_minor = 0 }, NULL },
	{ { .path = P99 "d", .type = VN_FILE, .mode = 0644 }, NULL },
	{ { .path = P99 "d", .type = VN_DIR, .mode = 0755 }, NULL },
	{ { .path = P99 "/" P99, .type = VN_FILE, .mode = 0644 }, NULL },
	{ { .path = P99 "/" P99, .type = VN_DIR, .mode = 0755 }, NULL },
	{ { .path = P99 P50 "x/" P99 "d", .type = VN_FILE, .mode = 0644, .size = 1 }, "x" },
	{ { .path = P99 "/" P99 "/" P99, .type = VN_FILE, .mode = 0644, .size = 1 }, "y" },
	{ { .path = "longlink", .type = VN_SYMLINK, .mode = 0777, .link = P99 P10 }, NULL },
	{ { .path = "exactlink", .type = VN_HARDLINK, .mode = 0644, .link = P99 "d" }, NULL },
	{ { .path = "attributes", .type = VN_FILE, .mode = 0644, .size = 3, .xattrs = xattrs, .nxattrs = 3 }, "cap" },
};

static void write_all(struct vn_out *out)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_tar_writer_close_p) struct vn_tar_writer *w = NULL;
	CHECK_OK(vn_tar_writer_open(out, &w, &err), &err);
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		const struct vn_tar_entry *e = &entries[i].entry;
		CHECK_OK(vn_tar_write_entry(w, e, &err), &err);
		for (size_t k = 0; k < e->size; k++)
			CHECK_OK(vn_tar_write_data(w, entries[i].data + k, 1, &err), &err);
	}
	CHECK_OK(vn_tar_writer_finish(w, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
}

static void write_buf(struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO_OUT *out = NULL;
	CHECK_OK(vn_out_buf(ret, &out, &err), &err);
	write_all(out);
}

/* The digests of veneer layers hang on these bytes: a change here makes every layer another one. */
static void test_bytes_are_fixed(void)
{
	struct vn_err err = { 0 };
	struct vn_digest digest = { 0 };
	VN_AUTO_BUF tar = VN_BUF(1 << 20);
	write_buf(&tar);
	CHECK_EQ(tar.len % 512, 0);
	CHECK_OK(vn_digest_of(tar.data, tar.len, &digest, &err), &err);
	CHECK_STR(digest.text, "sha256:0800d0168eb0f6245ca81122a411e364ea8066b1bb3bfabf4ef30dd872e82cfc");
}

static void test_plain_header(void)
{
	struct vn_err err = { 0 };
	static const struct vn_tar_entry e = { .path = "etc/hosts", .mode = 0644, .uid = 8, .gid = 9, .mtime = 1 };
	VN_AUTO_BUF tar = VN_BUF(1 << 20);
	VN_AUTO_OUT *out = NULL;
	VN_CLEANUP(vn_tar_writer_close_p) struct vn_tar_writer *w = NULL;
	CHECK_OK(vn_out_buf(&tar, &out, &err), &err);
	CHECK_OK(vn_tar_writer_open(out, &w, &err), &err);
	CHECK_OK(vn_tar_write_entry(w, &e, &err), &err);
	CHECK_EQ(tar.len, 512);
	CHECK_STR(tar.data, "etc/hosts");
	CHECK_STR(tar.data + 100, "0000644");
	CHECK_STR(tar.data + 108, "0000010");
	CHECK_STR(tar.data + 116, "0000011");
	CHECK_STR(tar.data + 124, "00000000000");
	CHECK_STR(tar.data + 136, "00000000001");
	CHECK_EQ(tar.data[156], '0');
	CHECK(!memcmp(tar.data + 257, "ustar\00000", 8));
	CHECK_STR(tar.data + 265, "");
}

static void test_round_trip(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_BUF tar = VN_BUF(1 << 20);
	write_buf(&tar);
	struct vn_in *in = NULL;
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *t = NULL;
	CHECK_OK(vn_in_memory(tar.data, tar.len, &in, &err), &err);
	CHECK_OK(vn_tar_open(in, "layer", &t, &err), &err);
	const struct vn_tar_entry *f;
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		const struct vn_tar_entry *e = &entries[i].entry;
		int rc = vn_tar_next(t, &f, &err);
		CHECK_OK(rc, &err);
		CHECK_EQ(rc, 1);
		if (rc != 1)
			return;
		CHECK_STR(f->path, e->path);
		CHECK_STR(f->link, e->link);
		CHECK_EQ(f->type, e->type);
		CHECK_EQ(f->mode, e->mode);
		CHECK_EQ(f->uid, e->uid);
		CHECK_EQ(f->gid, e->gid);
		CHECK_EQ(f->size, e->size);
		CHECK_EQ(f->mtime, e->mtime);
		CHECK_EQ(f->mtime_nsec, e->mtime_nsec);
		CHECK_EQ(f->dev_major, e->dev_major);
		CHECK_EQ(f->dev_minor, e->dev_minor);
		CHECK_EQ(f->nxattrs, e->nxattrs);
		for (size_t k = 0; f->nxattrs == e->nxattrs && k < e->nxattrs; k++) {
			CHECK_STR(f->xattrs[k].name, e->xattrs[k].name);
			CHECK_EQ(f->xattrs[k].len, e->xattrs[k].len);
			CHECK(f->xattrs[k].len != e->xattrs[k].len ||
			      !memcmp(f->xattrs[k].value, e->xattrs[k].value, e->xattrs[k].len));
		}
		const void *block = NULL;
		ssize_t n = vn_tar_data(t, &block, &err);
		CHECK_EQ(n, e->size);
		CHECK(n <= 0 || !memcmp(block, entries[i].data, (size_t)n));
	}
	CHECK_EQ(vn_tar_next(t, &f, &err), 0);
}

static void test_refused(void)
{
	struct vn_err err = { 0 };
	static const struct vn_xattr bad[] = { { "user.a=b", "", 0 } };
	static const struct vn_tar_entry cases[] = {
		{ .path = "", .type = VN_FILE },
		{ .path = "l", .type = VN_SYMLINK, .link = "" },
		{ .path = "x", .type = VN_FILE, .xattrs = bad, .nxattrs = 1 },
		{ .path = "t", .type = VN_FILE, .mtime_nsec = 1000000000 },
		{ .path = "s", .type = VN_FILE, .size = UINT64_MAX },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		VN_AUTO_BUF tar = VN_BUF(1 << 20);
		VN_AUTO_OUT *out = NULL;
		VN_CLEANUP(vn_tar_writer_close_p) struct vn_tar_writer *w = NULL;
		CHECK_OK(vn_out_buf(&tar, &out, &err), &err);
		CHECK_OK(vn_tar_writer_open(out, &w, &err), &err);
		CHECK_EQ(vn_tar_write_entry(w, &cases[i], &err), -VN_EFORMAT);
		CHECK_EQ(vn_tar_writer_finish(w, &err), -VN_EIO);
	}
}

static void test_sizes_are_kept(void)
{
	struct vn_err err = { 0 };
	static const struct vn_tar_entry e = { .path = "f", .type = VN_FILE, .size = 4 };
	VN_AUTO_BUF tar = VN_BUF(1 << 20);
	VN_AUTO_OUT *out = NULL;
	CHECK_OK(vn_out_buf(&tar, &out, &err), &err);
	VN_CLEANUP(vn_tar_writer_close_p) struct vn_tar_writer *w = NULL, *x = NULL, *y = NULL;
	CHECK_OK(vn_tar_writer_open(out, &w, &err), &err);
	CHECK_OK(vn_tar_write_entry(w, &e, &err), &err);
	CHECK_EQ(vn_tar_write_data(w, "12345", 5, &err), -VN_EIO);
	CHECK_OK(vn_tar_writer_open(out, &x, &err), &err);
	CHECK_OK(vn_tar_write_entry(x, &e, &err), &err);
	CHECK_OK(vn_tar_write_data(x, "123", 3, &err), &err);
	CHECK_EQ(vn_tar_writer_finish(x, &err), -VN_EIO);
	CHECK_HAS(err.text, "1 bytes are missing");
	CHECK_OK(vn_tar_writer_open(out, &y, &err), &err);
	CHECK_OK(vn_tar_write_entry(y, &e, &err), &err);
	CHECK_EQ(vn_tar_write_entry(y, &e, &err), -VN_EIO);
}

static void test_large_sizes_go_to_pax(void)
{
	struct vn_err err = { 0 };
	static const struct vn_tar_entry e = { .path = "f", .type = VN_FILE, .size = 9ull << 30 };
	VN_AUTO_BUF tar = VN_BUF(1 << 20);
	VN_AUTO_OUT *out = NULL;
	VN_CLEANUP(vn_tar_writer_close_p) struct vn_tar_writer *w = NULL;
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *t = NULL;
	struct vn_in *in = NULL;
	CHECK_OK(vn_out_buf(&tar, &out, &err), &err);
	CHECK_OK(vn_tar_writer_open(out, &w, &err), &err);
	CHECK_OK(vn_tar_write_entry(w, &e, &err), &err);
	CHECK_HAS(tar.data + 512, "19 size=9663676416\n");
	CHECK_OK(vn_in_memory(tar.data, tar.len, &in, &err), &err);
	CHECK_OK(vn_tar_open(in, "layer", &t, &err), &err);
	const struct vn_tar_entry *f = NULL;
	CHECK_EQ(vn_tar_next(t, &f, &err), 1);
	CHECK(f && f->size == 9ull << 30);
}

/* What another program sees in the archive, when it is installed. */
static void check_with(const char *program, const char *command)
{
	char path[] = "/tmp/veneer-test-XXXXXX", line[400];
	struct vn_err err = { 0 };
	VN_AUTO_CLOSE int fd = mkstemp(path);
	VN_AUTO_OUT *out = NULL;
	CHECK_OK(vn_out_fd(fd, path, &out, &err), &err);
	write_all(out);
	snprintf(line, sizeof(line), "command -v %s >/dev/null", program);
	if (system(line)) {
		printf("# %s is not installed: its view is skipped\n", program);
	} else {
		setenv("TAR", path, 1);
		CHECK_EQ(system(command), 0);
	}
	unlink(path);
}

static void test_gnu_tar_reads_it(void)
{
	check_with("tar", "LC_ALL=C tar -tvf \"$TAR\" >/dev/null && LC_ALL=C tar -xOf \"$TAR\" dir/file | grep -qx hello && "
			  "test \"$(LC_ALL=C tar -tf \"$TAR\" | wc -l)\" = 21");
}

static void test_python_reads_it(void)
{
	check_with("python3", "python3 -c \"import os,tarfile; t = tarfile.open(os.environ['TAR']); m = t.getmembers(); "
			      "assert len(m) == 21; f = [x for x in m if x.mtime < 0]; assert f[0].mtime == -1.5; "
			      "assert t.extractfile('dir/file').read() == b'hello'\"");
}

int main(void)
{
	RUN(test_bytes_are_fixed);
	RUN(test_plain_header);
	RUN(test_round_trip);
	RUN(test_refused);
	RUN(test_sizes_are_kept);
	RUN(test_large_sizes_go_to_pax);
	RUN(test_gnu_tar_reads_it);
	RUN(test_python_reads_it);
	return vn_test_end();
}
