#include "tar/reader.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/test.h"
#include <locale.h>

#define DIR_PATH "testdata/tar/"
#define VN_AUTO_BUF VN_CLEANUP(vn_buf_release) struct vn_buf

static uint32_t checksum(uint32_t sum, const void *data, ssize_t len)
{
	for (ssize_t i = 0; i < len; i++)
		sum = (sum ^ ((const uint8_t *)data)[i]) * 16777619u;
	return sum;
}

/* FNV-1a of the contents when there are any. */
static int add_contents(struct vn_tar *tar, struct vn_buf *ret, struct vn_err *err)
{
	uint32_t sum = 2166136261u;
	uint64_t size = 0;
	const void *block;
	ssize_t n;
	while ((n = vn_tar_data(tar, &block, err)) > 0) {
		sum = checksum(sum, block, n);
		size += (uint64_t)n;
	}
	if (n < 0)
		return (int)n;
	return size ? vn_buf_addf(ret, err, " #%08x", (unsigned)sum) : 0;
}

/* One line for each entry: type mode owner size time "path" -> "link" {attribute=hex} #contents */
static int describe(struct vn_in *in, struct vn_buf *ret, struct vn_err *err)
{
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	const struct vn_tar_entry *e;
	int rc = vn_tar_open(in, "layer", &tar, err);
	while (rc >= 0 && (rc = vn_tar_next(tar, &e, err)) > 0) {
		vn_buf_addf(ret, err, "%c %04o %u:%u %llu %lld.%09u \"%s\"", "fdlhcbp"[e->type], (unsigned)e->mode, (unsigned)e->uid,
			    (unsigned)e->gid, (unsigned long long)e->size, (long long)e->mtime, (unsigned)e->mtime_nsec, e->path);
		if (e->link)
			vn_buf_addf(ret, err, " -> \"%s\"", e->link);
		if (e->type == VN_CHAR || e->type == VN_BLOCK)
			vn_buf_addf(ret, err, " %u,%u", (unsigned)e->dev_major, (unsigned)e->dev_minor);
		for (size_t i = 0; i < e->nxattrs; i++) {
			vn_buf_addf(ret, err, " {%s=", e->xattrs[i].name);
			for (size_t k = 0; k < e->xattrs[i].len; k++)
				vn_buf_addf(ret, err, "%02x", ((const uint8_t *)e->xattrs[i].value)[k]);
			vn_buf_adds(ret, "}", err);
		}
		rc = add_contents(tar, ret, err);
		vn_buf_adds(ret, "\n", err);
	}
	return rc;
}

static int describe_bytes(const void *data, size_t len, size_t chunk, struct vn_buf *ret, struct vn_err *err)
{
	struct vn_in *memory = NULL, *in = NULL;
	*err = (struct vn_err){ 0 };
	if (vn_in_memory(data, len, &memory, err) < 0 || vn_in_fault(memory, UINT64_MAX, true, chunk, &in, err) < 0)
		return -(int)err->code;
	return describe(in, ret, err);
}

static void load(const char *name, const char *suffix, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	char path[200];
	snprintf(path, sizeof(path), DIR_PATH "%s%s", name, suffix);
	CHECK_OK(vn_fs_read(path, ret, &err), &err);
}

static const char *const samples[] = {
	"v7", "ustar", "oldgnu", "gnu", "posix", "sparse-old", "sparse-0.0", "sparse-0.1", "sparse-1.0", "sparse-pieces", "xattr",
	"libarchive-xattr", "acl", "negative", "python-pax", "python-gnu", "binary-names", "go-links", "hardlink-data", "odd-types",
	"star-size", "no-end", "empty", "zeros",
};

/* The list beside each sample says what a reader must see in it. */
static void check_samples(size_t chunk)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct vn_err err;
		VN_AUTO_BUF tar = VN_BUF(1 << 20), expected = VN_BUF(1 << 20), found = VN_BUF(1 << 20);
		load(samples[i], ".tar", &tar);
		load(samples[i], ".list", &expected);
		int rc = describe_bytes(tar.data, tar.len, chunk, &found, &err);
		if (rc < 0 || strcmp(vn_buf_text(&expected), vn_buf_text(&found)))
			printf("# %s: %s\n", samples[i], rc < 0 ? err.text : "");
		CHECK_EQ(rc, 0);
		CHECK_STR(vn_buf_text(&found), vn_buf_text(&expected));
	}
}

/* Are the contents of the present file where the tar is said to have them? */
static bool contents_at(struct vn_tar *tar, const struct vn_buf *bytes, uint64_t size)
{
	struct vn_err err = { 0 };
	VN_AUTO_BUF data = VN_BUF(16 << 20);
	uint64_t at = vn_tar_offset(tar);
	const void *block;
	ssize_t n;
	while ((n = vn_tar_data(tar, &block, &err)) > 0)
		CHECK_OK(vn_buf_add(&data, block, (size_t)n, &err), &err);
	return data.len == size && at <= bytes->len && size <= bytes->len - at && !memcmp(bytes->data + at, data.data, data.len);
}

static void test_offsets(void)
{
	size_t found = 0;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct vn_err err = { 0 };
		VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
		VN_AUTO_BUF bytes = VN_BUF(16 << 20);
		const struct vn_tar_entry *e;
		struct vn_in *in = NULL;
		load(samples[i], ".tar", &bytes);
		CHECK_OK(vn_in_memory(bytes.data, bytes.len, &in, &err), &err);
		CHECK_OK(vn_tar_open(in, "layer", &tar, &err), &err);
		while (vn_tar_next(tar, &e, &err) > 0) {
			if (e->type != VN_FILE || !e->size)
				continue;
			bool there = contents_at(tar, &bytes, e->size);
			found += there;
			CHECK(there || strstr(samples[i], "sparse"));
		}
	}
	CHECK(found > 10);
}

static void test_samples(void)
{
	check_samples(0);
}

static void test_samples_in_small_blocks(void)
{
	check_samples(7);
	check_samples(512);
}

static void test_locale_takes_no_part(void)
{
	static const char *const locales[] = { "C", "C.UTF-8", "en_US.UTF-8" };
	for (size_t i = 0; i < sizeof(locales) / sizeof(locales[0]); i++)
		if (setlocale(LC_ALL, locales[i]))
			check_samples(0);
	setlocale(LC_ALL, "C");
}

static void test_truncation(void)
{
	VN_AUTO_BUF tar = VN_BUF(1 << 20);
	load("posix", ".tar", &tar);
	for (size_t n = 0; n < tar.len; n += 100) {
		struct vn_err err;
		VN_AUTO_BUF found = VN_BUF(1 << 20);
		int rc = describe_bytes(tar.data, n, 0, &found, &err);
		if (rc == 0)      /* an end between entries is an end, as with GNU tar */
			continue;
		CHECK_EQ(rc, -VN_EFORMAT);
		CHECK_HAS(err.text, "layer: ");
		CHECK_HAS(err.text, "at byte ");
		CHECK(!strstr(err.text, "byte -"));
	}
}

static void test_truncation_names_the_entry(void)
{
	struct vn_err err;
	VN_AUTO_BUF tar = VN_BUF(1 << 20), found = VN_BUF(1 << 20);
	load("no-end", ".tar", &tar);
	CHECK_EQ(describe_bytes(tar.data, 514, 0, &found, &err), -VN_EFORMAT);
	CHECK_STR(err.text, "layer: the tar ends early, at byte 0 of the tar, near file");
}

static void test_garbage(void)
{
	struct vn_err err;
	VN_AUTO_BUF found = VN_BUF(1 << 20), tar = VN_BUF(1 << 20);
	char noise[4096];
	memset(noise, 'x', sizeof(noise));
	CHECK_EQ(describe_bytes(noise, sizeof(noise), 0, &found, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "this is no tar");
	CHECK_EQ(describe_bytes("short", 5, 0, &found, &err), -VN_EFORMAT);
	load("odd-types", ".tar", &tar);
	tar.data[1024 + 5] ^= 1;
	CHECK_EQ(describe_bytes(tar.data, tar.len, 0, &found, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "wrong checksum, at byte 1024 of the tar, near unknown");
}

static void test_refused(void)
{
	static const struct {
		const char *name;
		int code;
		const char *text;
	} cases[] = {
		{ "bad-dotdot", -VN_EUNSAFE, ".." },
		{ "bad-hardlink", -VN_EUNSAFE, ".." },
		{ "bad-long-path", -VN_ELIMIT, "longer than 4096" },
		{ "bad-xattrs", -VN_ELIMIT, "extended attributes" },
		{ "bad-holes", -VN_EUNSAFE, "holes" },
		{ "bad-map", -VN_ELIMIT, "headers of one entry" },
		{ "bad-pieces", -VN_EFORMAT, "" },
		{ "bad-owner", -VN_EFORMAT, "no system can keep" },
		{ "bad-pax", -VN_EFORMAT, "pax" },
		{ "bad-link", -VN_EFORMAT, "link without a target" },
		{ "bad-root", -VN_EFORMAT, "root is no directory" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vn_err err;
		VN_AUTO_BUF gz = VN_BUF(1 << 20);
		VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
		struct vn_in *memory = NULL, *in = NULL;
		const struct vn_tar_entry *e;
		const void *block;
		load(cases[i].name, ".tar.gz", &gz);
		err = (struct vn_err){ 0 };
		CHECK_OK(vn_in_memory(gz.data, gz.len, &memory, &err), &err);
		CHECK_OK(vn_in_inflate(memory, 0, "layer", &in, &err), &err);
		CHECK_OK(vn_tar_open(in, "layer", &tar, &err), &err);
		ssize_t rc;
		while ((rc = vn_tar_next(tar, &e, &err)) > 0)
			while ((rc = vn_tar_data(tar, &block, &err)) > 0)
				;
		if (rc != cases[i].code)
			printf("# %s\n", cases[i].name);
		CHECK_EQ(rc, cases[i].code);
		CHECK_HAS(err.text, cases[i].text);
		CHECK_EQ(vn_tar_next(tar, &e, &err), cases[i].code);
	}
}

static void test_end_verifies_the_input(void)
{
	struct vn_err err = { 0 };
	struct vn_digest digest;
	VN_AUTO_BUF tar = VN_BUF(1 << 20), found = VN_BUF(1 << 20);
	load("gnu", ".tar", &tar);
	CHECK_OK(vn_digest_of("something else", 14, &digest, &err), &err);
	struct vn_in *memory = NULL, *in = NULL;
	CHECK_OK(vn_in_memory(tar.data, tar.len, &memory, &err), &err);
	CHECK_OK(vn_in_verify(memory, &digest, -1, "blob", &in, &err), &err);
	CHECK_EQ(describe(in, &found, &err), -VN_EDIGEST);
}

static void test_failures_below_pass_through(void)
{
	VN_AUTO_BUF tar = VN_BUF(1 << 20);
	load("gnu", ".tar", &tar);
	for (size_t at = 0; at < tar.len; at += 301) {
		struct vn_err err = { 0 };
		VN_AUTO_BUF found = VN_BUF(1 << 20);
		struct vn_in *memory = NULL, *in = NULL;
		CHECK_OK(vn_in_memory(tar.data, tar.len, &memory, &err), &err);
		CHECK_OK(vn_in_fault(memory, at, false, 0, &in, &err), &err);
		CHECK_EQ(describe(in, &found, &err), -VN_EIO);
		CHECK_HAS(err.text, "injected fault");
	}
}

static void test_contents_may_be_left_unread(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_BUF tar = VN_BUF(1 << 20);
	load("sparse-1.0", ".tar", &tar);
	struct vn_in *memory = NULL;
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *t = NULL;
	const struct vn_tar_entry *e;
	const void *block;
	CHECK_OK(vn_in_memory(tar.data, tar.len, &memory, &err), &err);
	CHECK_OK(vn_tar_open(memory, "layer", &t, &err), &err);
	CHECK_EQ(vn_tar_next(t, &e, &err), 1);
	CHECK(vn_tar_data(t, &block, &err) > 0);
	CHECK_EQ(vn_tar_next(t, &e, &err), 0);
	CHECK_EQ(vn_tar_data(t, &block, &err), 0);
}

int main(int argc, char **argv)
{
	if (argc > 1) {      /* prints the list of one archive: how the .list files are made, and then read by a person */
		struct vn_err err = { 0 };
		struct vn_in *in = NULL;
		VN_AUTO_BUF found = VN_BUF(1 << 20);
		int rc = vn_in_file(argv[1], &in, &err);
		rc = rc < 0 ? rc : describe(in, &found, &err);
		printf("%s%s", vn_buf_text(&found), rc < 0 ? err.text : "");
		return rc < 0;
	}
	RUN(test_offsets);
	RUN(test_samples);
	RUN(test_samples_in_small_blocks);
	RUN(test_locale_takes_no_part);
	RUN(test_truncation);
	RUN(test_truncation_names_the_entry);
	RUN(test_garbage);
	RUN(test_refused);
	RUN(test_end_verifies_the_input);
	RUN(test_failures_below_pass_through);
	RUN(test_contents_may_be_left_unread);
	return vn_test_end();
}
