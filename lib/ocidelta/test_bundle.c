#include "ocidelta/bundle.h"
#include "util/cleanup.h"
#include "util/num.h"
#include "util/test.h"

static int write_out(const struct vn_bundle *b, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO_OUT *out = NULL;
	CHECK_OK(vn_out_buf(ret, &out, &err), &err);
	return vn_bundle_write(b, out, &err);
}

static int read_back(const void *bytes, size_t len, struct vn_bundle *ret, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	*err = (struct vn_err){ 0 };
	CHECK_OK(vn_in_memory(bytes, len, &in, err), err);
	return vn_bundle_read(in, ret, err);
}

static struct vn_bundle_layer layers[] = {
	{ .how = VN_BUNDLE_REUSED },
	{ .how = VN_BUNDLE_ORIGINAL },
	{ .how = VN_BUNDLE_PLAIN, .plain = 10240 },
	{ .how = VN_BUNDLE_UNKNOWN, .plain = 1 },
	{ .how = VN_BUNDLE_GZIP, .plain = 5ull << 32, .gzip = { .level = 9, .mem_level = 8 } },
	{ .how = VN_BUNDLE_GZIP_AS, .plain = 3, .from_source = true, .gzip = { { 0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 0, 3 }, 6, 9 } },
};

static struct vn_bundle bundle(const char **paths, size_t n)
{
	return (struct vn_bundle){ .paths = paths, .npaths = n, .manifest = 700, .config = 900, .documents = 300, .layers = layers,
				   .nlayers = sizeof(layers) / sizeof(layers[0]) };
}

static void test_round_trip(void)
{
	const char *paths[] = { "app/model.pkl", "app/models/a", "app/models/b/c", "app-2/x", "usr" };
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	VN_AUTO(vn_bundle) got = { 0 };
	struct vn_bundle b = bundle(paths, 5);
	uint64_t size = 0;
	CHECK_EQ(write_out(&b, &bytes), 0);
	CHECK_OK(read_back(bytes.data, bytes.len, &got, &err), &err);
	CHECK_EQ(got.npaths, 5);
	for (size_t i = 0; i < got.npaths; i++)
		CHECK_STR(got.paths[i], paths[i]);
	CHECK_EQ(got.nlayers, b.nlayers);
	for (size_t i = 0; i < got.nlayers; i++) {
		CHECK_EQ(got.layers[i].how, layers[i].how);
		CHECK_EQ(got.layers[i].plain, layers[i].plain);
		CHECK_EQ(got.layers[i].from_source, layers[i].from_source);
		CHECK_EQ(got.layers[i].gzip.level, layers[i].gzip.level);
		CHECK_EQ(got.layers[i].gzip.mem_level, layers[i].gzip.mem_level);
	}
	CHECK(!memcmp(got.layers[5].gzip.head, layers[5].gzip.head, VN_GZIP_HEAD));
	CHECK_OK(vn_bundle_new_size(&got, &size, &err), &err);
	CHECK_EQ(size, 10240 + 1 + (5ull << 32));
	CHECK_EQ(got.manifest, 700);
	CHECK_EQ(got.config, 900);
	CHECK_EQ(got.documents, 300);
}

/* Many paths make a table that is packed; all of them cost little. */
static void test_many_paths(void)
{
	enum { N = 5000 };
	struct vn_err err = { 0 };
	static char text[N][64];
	static const char *paths[N];
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	VN_AUTO(vn_bundle) got = { 0 };
	for (int i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "usr/lib/python3/site-packages/m%02d/file%04d.py", i / 100, i);
		paths[i] = text[i];
	}
	struct vn_bundle b = bundle(paths, N);
	CHECK_EQ(write_out(&b, &bytes), 0);
	CHECK(bytes.len < N * 4);
	CHECK_OK(read_back(bytes.data, bytes.len, &got, &err), &err);
	CHECK_EQ(got.npaths, N);
	CHECK_STR(got.paths[N - 1], text[N - 1]);
	/* packed bytes that are no zstd frame */
	bytes.data[10] ^= 1;
	VN_AUTO(vn_bundle) none = { 0 };
	CHECK_EQ(read_back(bytes.data, bytes.len, &none, &err), -VN_EDIGEST);
}

static void test_every_end(void)
{
	const char *paths[] = { "a", "b/c" };
	struct vn_err err;
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	struct vn_bundle b = bundle(paths, 2), got = { 0 };
	CHECK_EQ(write_out(&b, &bytes), 0);
	for (size_t len = 0; len < bytes.len; len++)
		CHECK_EQ(read_back(bytes.data, len, &got, &err), -VN_EDIGEST);
}

static void check_table(const char *table, size_t len, int code, const char *piece)
{
	struct vn_err err;
	struct vn_bundle got = { 0 };
	char bytes[200] = "VNI1";
	bytes[4] = (char)len;
	memcpy(bytes + 6, table, len);
	int r = read_back(bytes, len + 6, &got, &err);
	CHECK_EQ(r, code);
	CHECK_HAS(err.text, piece);
	vn_bundle_release(&got);
}

#define TABLE(text) text, sizeof(text) - 1
static void test_hostile(void)
{
	check_table(TABLE("\0\0\0\0\0"), 0, "");
	check_table(TABLE("\1\0\4../a\0\0\0\0"), -VN_EUNSAFE, "..");
	check_table(TABLE("\1\0\2/a\0\0\0\0"), -VN_EUNSAFE, "no clean path");
	check_table(TABLE("\1\0\3a/.\0\0\0\0"), -VN_EUNSAFE, "no clean path");
	check_table(TABLE("\1\0\0\0\0\0\0"), -VN_EUNSAFE, "no clean path");
	check_table(TABLE("\1\0\3a\0b\0\0\0\0"), -VN_EUNSAFE, "NUL");
	check_table(TABLE("\2\0\1b\0\1a\0\0\0\0"), -VN_EDIGEST, "out of order");
	check_table(TABLE("\2\0\1b\1\0\0\0\0\0"), -VN_EDIGEST, "out of order");
	check_table(TABLE("\1\1\1b\0\0\0\0"), -VN_EDIGEST, "keeps 1 bytes of one with 0");
	check_table(TABLE("\xff\xff\xff\x7f\0\0\0\0"), -VN_ELIMIT, "at most");
	check_table(TABLE("\0\xff\xff\xff\x7f\0\0\0"), -VN_ELIMIT, "at most");
	check_table(TABLE("\0\0\0\0\xff\xff\x7f"), -VN_ELIMIT, "at most");
	check_table(TABLE("\0\0\0\0\1\6"), -VN_EDIGEST, "no kind of a layer");
	check_table(TABLE("\0\0\0\0\1\x80"), -VN_EDIGEST, "no kind of a layer");
	check_table(TABLE("\0\0\0\0\1\4\5\0"), -VN_EDIGEST, "no level");
	check_table(TABLE("\0\0\0\0\1\4\5\12"), -VN_EDIGEST, "no level");
	check_table(TABLE("\0\0\0\0\1\2\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), -VN_ELIMIT, "at most");
	check_table(TABLE("\0\0\0\0\2\2\x80\x80\x80\x80\xa0\6\2\1"), -VN_ELIMIT, "more than");
	check_table(TABLE("\0\0\0\0\0\0"), -VN_EDIGEST, "1 bytes follow");
}

/* A short table whose paths each keep almost all of the longest that is allowed. */
static void test_paths_that_grow(void)
{
	struct vn_err err;
	struct vn_bundle got = { 0 };
	VN_AUTO(vn_buf) table = VN_BUF(1 << 20), bytes = VN_BUF(1 << 20);
	uint8_t number[10];
	vn_buf_add(&table, number, vn_put_varint(number, 40000), &err);
	for (int i = 0; i < 40000; i++) {
		char path[4096];
		memset(path, 'a', sizeof(path));
		snprintf(path + 4000, 10, "%06d", i);
		size_t kept = i ? 4000 : 0;
		vn_buf_add(&table, number, vn_put_varint(number, kept), &err);
		vn_buf_add(&table, number, vn_put_varint(number, 4006 - kept), &err);
		vn_buf_add(&table, path + kept, 4006 - kept, &err);
	}
	vn_buf_adds(&bytes, "VNI1", &err);
	vn_buf_add(&bytes, number, vn_put_varint(number, table.len), &err);
	vn_buf_add(&bytes, "", 1, &err);
	vn_buf_add(&bytes, table.data, table.len, &err);
	CHECK_EQ(read_back(bytes.data, bytes.len, &got, &err), -VN_ELIMIT);
	CHECK_HAS(err.text, "the paths that the delta names");
}

int main(void)
{
	RUN(test_round_trip);
	RUN(test_many_paths);
	RUN(test_every_end);
	RUN(test_hostile);
	RUN(test_paths_that_grow);
	return vn_test_end();
}
