/* The reader against tar-diffs that are put together here from the format's description (tardiff.h) and RFC 8878. */
#include "tardiff/fixture.h"
#include "tardiff/format.h"
#include "util/cleanup.h"
#include "util/num.h"
#include "util/test.h"

#define MOST (1u << 22)

static const char greeting[] = "0123456789abcdefghij";        /* 20 bytes without the NUL */
static const uint8_t high[] = { 0xff, 0x80, 0x00, 0x01 };
static const struct fixture_file list[] = {
	{ "etc/greeting", greeting, 20 },
	{ "usr/high", high, sizeof(high) },
	{ "empty", "", 0 },
};

static void put(struct vn_buf *b, const void *data, size_t len)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_buf_add(b, data, len, &err), &err);
}

static void put_op(struct vn_buf *b, int op, uint64_t size)
{
	uint8_t raw[11] = { (uint8_t)op };
	put(b, raw, 1 + vn_put_varint(raw + 1, size));
}

static void put_text(struct vn_buf *b, int op, const char *text)
{
	put_op(b, op, strlen(text));
	put(b, text, strlen(text));
}

/* A frame of raw blocks: single segment with a content size of 4 bytes. */
static void put_frame(struct vn_buf *b, const char *data, size_t len)
{
	uint8_t head[9] = { 0x28, 0xb5, 0x2f, 0xfd, 0xa0 };
	vn_put_u32(head + 5, (uint32_t)len);
	put(b, head, sizeof(head));
	do {
		size_t n = len < 100000 ? len : 100000;
		uint8_t block[4];
		vn_put_u32(block, (uint32_t)(n << 3 | (n == len)));
		put(b, block, 3);
		put(b, data, n);
		data += n, len -= n;
	} while (len > 0);
}

static void begin(struct vn_buf *b, int version)
{
	put(b, version == 1 ? "tardf1\n" : "tardf2\n", 8);
}

static int apply_with(const struct vn_buf *delta, const struct vn_tardiff_limits *limits, struct vn_buf *ret,
		      struct vn_err *err)
{
	struct fixture_image image = fixture_image(list, 3);
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *out = NULL;
	int rc = vn_in_memory(delta->data, delta->len, &in, err);
	if (rc < 0 || (rc = vn_out_buf(ret, &out, err)) < 0)
		return rc;
	rc = vn_tardiff_apply(&image.files, in, out, limits, err);
	CHECK_EQ(image.opened, 0);
	return rc < 0 ? rc : vn_out_finish(out, err);
}

/* Operations in one frame. */
static int run(int version, const struct vn_buf *ops, const struct vn_tardiff_limits *limits, struct vn_buf *ret,
	       struct vn_err *err)
{
	VN_AUTO(vn_buf) delta = VN_BUF(MOST);
	begin(&delta, version);
	put_frame(&delta, ops->data ? ops->data : "", ops->len);
	return apply_with(&delta, limits, ret, err);
}

static void gives(int version, const struct vn_buf *ops, const void *data, size_t len)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) tar = VN_BUF(MOST);
	CHECK_OK(run(version, ops, NULL, &tar, &err), &err);
	CHECK_EQ(tar.len, len);
	CHECK(tar.len == len && (len == 0 || memcmp(tar.data, data, len) == 0));
}

static void fails(int version, const struct vn_buf *ops, enum vn_code code, const char *piece)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) tar = VN_BUF(MOST);
	CHECK_EQ(run(version, ops, NULL, &tar, &err), -(int)code);
	CHECK_HAS(err.text, piece);
}

static void test_whole_vector(void)
{
	/* every byte by hand: DATA "ab", OPEN "usr/high", COPY 1, ADD_DATA 02 90, SEEK 1, COPY 2 */
	static const uint8_t v1[] = {
		't', 'a', 'r', 'd', 'f', '1', '\n', 0, 0x28, 0xb5, 0x2f, 0xfd, 0x20, 24, 24 << 3 | 1, 0, 0,
		0, 2, 'a', 'b', 1, 8, 'u', 's', 'r', '/', 'h', 'i', 'g', 'h', 2, 1, 3, 2, 0x02, 0x90, 4, 1, 2, 2,
	};
	/* OPEN "etc/greeting", ZSTD_DICT of 16 bytes: no literals, one match of 10 bytes at distance 20 from the start, then
	 * COPY 0, SEEK 10, COPY 3. The sequence: literal length code 0, offset code 4 with bits 0111 (value 23), match length
	 * code 7. */
	static const uint8_t v2[] = {
		't', 'a', 'r', 'd', 'f', '2', '\n', 0, 0x28, 0xb5, 0x2f, 0xfd, 0x20, 38, (38 << 3 | 1) & 255, (38 << 3) >> 8, 0,
		1, 12, 'e', 't', 'c', '/', 'g', 'r', 'e', 'e', 't', 'i', 'n', 'g', 5, 16,
		0x28, 0xb5, 0x2f, 0xfd, 0x20, 10, 7 << 3 | 2 << 1 | 1, 0, 0, 0x00, 0x01, 0x54, 0x00, 0x04, 0x07, 0x17,
		2, 0, 4, 10, 2, 3,
	};
	static const uint8_t tar[] = { 'a', 'b', 0xff, 0x82, 0x90, 0x80, 0x00 };
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), first = VN_BUF(MOST), second = VN_BUF(MOST);
	put(&delta, v1, sizeof(v1));
	CHECK_OK(apply_with(&delta, NULL, &first, &err), &err);
	CHECK(first.len == sizeof(tar) && memcmp(first.data, tar, sizeof(tar)) == 0);
	vn_buf_clear(&delta);
	put(&delta, v2, sizeof(v2));
	CHECK_OK(apply_with(&delta, NULL, &second, &err), &err);
	CHECK_STR(vn_buf_text(&second), "0123456789abc");
}

static void test_positions(void)
{
	VN_AUTO(vn_buf) ops = VN_BUF(MOST);
	put_text(&ops, VN_TARDIFF_OP_OPEN, "etc/greeting");
	put_op(&ops, VN_TARDIFF_OP_COPY, 3);
	put_op(&ops, VN_TARDIFF_OP_COPY, 2);                  /* goes on behind the first */
	put_text(&ops, VN_TARDIFF_OP_ADD_DATA, "\1\1");       /* likewise: "56" + 1 */
	put_op(&ops, VN_TARDIFF_OP_COPY, 1);
	put_text(&ops, VN_TARDIFF_OP_OPEN, "./etc//greeting");        /* again: back to its start */
	put_op(&ops, VN_TARDIFF_OP_COPY, 1);
	put_op(&ops, VN_TARDIFF_OP_SEEK, 19);
	put_op(&ops, VN_TARDIFF_OP_COPY, 1);
	put_op(&ops, VN_TARDIFF_OP_COPY, 0);
	put_op(&ops, VN_TARDIFF_OP_DATA, 0);
	put_op(&ops, VN_TARDIFF_OP_ADD_DATA, 0);
	put_op(&ops, VN_TARDIFF_OP_SEEK, UINT64_MAX);         /* behind the end: nothing is read there */
	put_op(&ops, VN_TARDIFF_OP_COPY, 0);
	put_text(&ops, VN_TARDIFF_OP_OPEN, "empty");
	gives(1, &ops, "01234677" "0j", 10);
	put_op(&ops, VN_TARDIFF_OP_COPY, 1);
	fails(1, &ops, VN_EDIGEST, "which has 0");
	vn_buf_clear(&ops);
	gives(1, &ops, "", 0);
}

static void test_streams(void)
{
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z' };
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), tar = VN_BUF(MOST), again = VN_BUF(MOST);
	begin(&delta, 1);
	CHECK_OK(apply_with(&delta, NULL, &tar, &err), &err);         /* a writer that has nothing to say writes no frame */
	CHECK_EQ(tar.len, 0);
	put_frame(&delta, "\0\3ab", 4);       /* an operation across two frames */
	put_frame(&delta, "c\0\1d", 4);
	put(&delta, skippable, sizeof(skippable));
	CHECK_OK(apply_with(&delta, NULL, &tar, &err), &err);
	CHECK_STR(vn_buf_text(&tar), "abcd");
	put(&delta, "tail", 4);
	CHECK_EQ(apply_with(&delta, NULL, &again, &err), -VN_EDIGEST);
	for (size_t len = 0; len < delta.len - 4; len++) {
		struct vn_buf part = delta;
		part.len = len;
		vn_buf_clear(&again);
		int rc = apply_with(&part, NULL, &again, &err);
		bool between = len == 8 || len == delta.len - 4 - sizeof(skippable);
		CHECK_EQ(rc, between ? 0 : len < 8 ? -VN_EFORMAT : -VN_EDIGEST);
	}
	vn_buf_clear(&delta);
	put(&delta, "tardf3\n\0\0", 9);
	CHECK_EQ(apply_with(&delta, NULL, &again, &err), -VN_EFORMAT);
}

static void put_dict(struct vn_buf *ops, const char *path, const char *data, size_t behind)
{
	VN_AUTO(vn_buf) frame = VN_BUF(MOST);
	put_frame(&frame, data, strlen(data));
	put(&frame, "behind", behind);
	put_text(ops, VN_TARDIFF_OP_OPEN, path);
	put_op(ops, VN_TARDIFF_OP_ZSTD_DICT, frame.len);
	put(ops, frame.data, frame.len);
}

/* From a source that hands out single bytes, and from one that knows better why the operations make no sense. */
static void test_sources(void)
{
	struct fixture_image image = fixture_image(list, 3);
	struct vn_err err = { 0 };
	struct vn_digest digest;
	VN_AUTO(vn_buf) ops = VN_BUF(MOST), delta = VN_BUF(MOST), tar = VN_BUF(MOST);
	VN_AUTO_IN *in = NULL, *checked = NULL;
	VN_AUTO_OUT *out = NULL;
	begin(&delta, 2);
	put_dict(&ops, "etc/greeting", "hello", 0);
	put_frame(&delta, ops.data, ops.len);
	CHECK_OK(vn_out_buf(&tar, &out, &err), &err);
	CHECK_OK(vn_in_memory(delta.data, delta.len, &in, &err), &err);
	CHECK_OK(vn_in_fault(vn_steal(in), UINT64_MAX, false, 1, &in, &err), &err);
	CHECK_OK(vn_tardiff_apply(&image.files, in, out, NULL, &err), &err);
	CHECK_STR(vn_buf_text(&tar), "hello");
	CHECK_OK(vn_digest_of(delta.data, delta.len, &digest, &err), &err);
	delta.data[20] ^= 1;
	CHECK_OK(vn_in_memory(delta.data, delta.len, &checked, &err), &err);
	CHECK_OK(vn_in_verify(vn_steal(checked), &digest, (int64_t)delta.len, "the blob", &checked, &err), &err);
	CHECK_EQ(vn_tardiff_apply(&image.files, checked, out, NULL, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "the blob");
}

static void test_paths(void)
{
	static const struct {
		const char *path;
		enum vn_code code;
		const char *piece;
	} bad[] = {
		{ "../etc/greeting", VN_EUNSAFE, ".." },
		{ "etc/../etc/greeting", VN_EUNSAFE, ".." },
		{ "..", VN_EUNSAFE, ".." },
		{ "/etc/greeting", VN_EUNSAFE, "absolute" },
		{ "", VN_EDIGEST, "no file" },
		{ ".", VN_EDIGEST, "no file" },
		{ "etc", VN_EDIGEST, "\"etc\", which the old image does not have" },
		{ "usr/lib/absent", VN_EDIGEST, "\"usr/lib/absent\"" },
	};
	VN_AUTO(vn_buf) ops = VN_BUF(MOST);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vn_buf_clear(&ops);
		put_text(&ops, VN_TARDIFF_OP_OPEN, bad[i].path);
		fails(1, &ops, bad[i].code, bad[i].piece);
	}
	vn_buf_clear(&ops);
	put_op(&ops, VN_TARDIFF_OP_OPEN, 13);
	put(&ops, "etc/greeting", 13);
	fails(1, &ops, VN_EUNSAFE, "NUL");
	vn_buf_clear(&ops);
	put_op(&ops, VN_TARDIFF_OP_OPEN, 4097);
	fails(1, &ops, VN_ELIMIT, "4097");
}

static void test_damage(void)
{
	static const uint8_t huge[] = { VN_TARDIFF_OP_DATA, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2 };
	VN_AUTO(vn_buf) ops = VN_BUF(MOST);
	for (int op = VN_TARDIFF_OP_COPY; op <= VN_TARDIFF_OP_ZSTD_DICT; op++) {
		vn_buf_clear(&ops);
		put_op(&ops, op, 0);
		fails(2, &ops, VN_EDIGEST, "before it opens one");
	}
	vn_buf_clear(&ops);
	put_op(&ops, 6, 0);
	fails(2, &ops, VN_EDIGEST, "operation 6 is not known");
	vn_buf_clear(&ops);
	put(&ops, huge, sizeof(huge));
	fails(1, &ops, VN_EDIGEST, "size of an operation");
	vn_buf_clear(&ops);
	put_op(&ops, VN_TARDIFF_OP_DATA, 5);
	put(&ops, "four", 4);
	fails(1, &ops, VN_EDIGEST, "ends within new bytes");
	for (int op = VN_TARDIFF_OP_COPY; op <= VN_TARDIFF_OP_ADD_DATA; op++) {
		static const uint64_t sizes[] = { 21, UINT64_MAX };
		for (int i = 0; i < 2; i++) {
			vn_buf_clear(&ops);
			put_text(&ops, VN_TARDIFF_OP_OPEN, "etc/greeting");
			put_op(&ops, op, sizes[i]);
			fails(1, &ops, VN_EDIGEST, "\"etc/greeting\", which has 20");
		}
	}
	vn_buf_clear(&ops);
	put_text(&ops, VN_TARDIFF_OP_OPEN, "etc/greeting");
	put_op(&ops, VN_TARDIFF_OP_SEEK, 20);
	put_text(&ops, VN_TARDIFF_OP_ADD_DATA, "x");
	fails(1, &ops, VN_EDIGEST, "1 bytes at 20");
}

static void test_dict(void)
{
	VN_AUTO(vn_buf) ops = VN_BUF(MOST);
	put_dict(&ops, "etc/greeting", "hello ", 0);
	fails(1, &ops, VN_EDIGEST, "version 1");
	put_op(&ops, VN_TARDIFF_OP_COPY, 0);
	put_dict(&ops, "empty", "you", 0);
	gives(2, &ops, "hello you", 9);
	put_op(&ops, VN_TARDIFF_OP_COPY, 1);          /* the position is the end of the source */
	fails(2, &ops, VN_EDIGEST, "at 0 from \"empty\"");
	vn_buf_clear(&ops);
	put_dict(&ops, "etc/greeting", "hello", 3);
	fails(2, &ops, VN_EDIGEST, "follows a zstd frame");
	vn_buf_clear(&ops);
	put_text(&ops, VN_TARDIFF_OP_OPEN, "etc/greeting");
	put_op(&ops, VN_TARDIFF_OP_ZSTD_DICT, 0);
	fails(2, &ops, VN_EDIGEST, "ends early");
	vn_buf_clear(&ops);
	put_dict(&ops, "etc/greeting", "hello", 0);
	ops.len--;
	fails(2, &ops, VN_EDIGEST, "ends within a zstd frame");
}

/* A reader that is given too little says so. */
static void limited(int version, const struct vn_buf *ops, const struct vn_tardiff_limits *too_little,
		    const struct vn_tardiff_limits *enough, const char *piece)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) tar = VN_BUF(MOST), again = VN_BUF(MOST);
	CHECK_EQ(run(version, ops, too_little, &tar, &err), -VN_ELIMIT);
	CHECK_HAS(err.text, piece);
	CHECK_OK(run(version, ops, enough, &again, &err), &err);
}

static void test_limits(void)
{
	static const struct vn_tardiff_limits small = { .new_size = 19 }, fits = { .new_size = 20 };
	static const struct vn_tardiff_limits tight = { .memory = 32768 }, roomy = { .memory = 1u << 20 };
	VN_AUTO(vn_buf) ops = VN_BUF(MOST);
	put_text(&ops, VN_TARDIFF_OP_OPEN, "etc/greeting");
	put_op(&ops, VN_TARDIFF_OP_COPY, 20);
	limited(1, &ops, &small, &fits, "19 bytes");
	vn_buf_clear(&ops);
	put_dict(&ops, "etc/greeting", "hello", 0);
	limited(2, &ops, &tight, &roomy, "\"etc/greeting\", 20 bytes, as a dictionary");
	/* a file for every few bytes of tar */
	vn_buf_clear(&ops);
	for (int i = 0; i < 1 << 16; i++)
		put_text(&ops, VN_TARDIFF_OP_OPEN, "empty");
	gives(1, &ops, "", 0);
	put_text(&ops, VN_TARDIFF_OP_OPEN, "empty");
	fails(1, &ops, VN_ELIMIT, "opens 65537 files for 0 bytes");
}

/* A frame of RLE blocks of 128 KiB: a small delta of more than 64 MiB of operations that make nothing. */
static void test_idle(void)
{
	static const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38 };        /* a window of 128 KiB */
	static const uint8_t seek[] = { 1 << 1 | (131072 << 3 & 255), 131072 >> 5 & 255, 131072 >> 13, VN_TARDIFF_OP_SEEK };
	static const uint8_t last[] = { 1, 0, 0 };
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), tar = VN_BUF(MOST);
	begin(&delta, 1);
	put_frame(&delta, "\1\5empty", 7);
	put(&delta, head, sizeof(head));
	for (int i = 0; i < 2000; i++)        /* SEEK 4, over and over */
		put(&delta, seek, sizeof(seek));
	put(&delta, last, sizeof(last));
	CHECK_EQ(apply_with(&delta, NULL, &tar, &err), -VN_ELIMIT);
	CHECK_HAS(err.text, "bytes of operations on 0 bytes of tar");
	CHECK_EQ(tar.len, 0);
}

int main(void)
{
	RUN(test_whole_vector);
	RUN(test_positions);
	RUN(test_streams);
	RUN(test_sources);
	RUN(test_paths);
	RUN(test_damage);
	RUN(test_dict);
	RUN(test_limits);
	RUN(test_idle);
	return vn_test_end();
}
