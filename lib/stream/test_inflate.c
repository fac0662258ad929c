#include "stream/out.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/test.h"
#include <zstd.h>

#define PLAIN_SIZE 700000

/* Half noise, half repetition: stored and coded blocks both occur. */
static uint8_t *sample(void)
{
	uint8_t *data = malloc(PLAIN_SIZE);
	uint32_t x = 7;
	for (size_t i = 0; data && i < PLAIN_SIZE; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(i % 200000 < 100000 ? x >> 24 : i >> 10);
	}
	return data;
}

static void gzip(const void *data, size_t len, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO_OUT *plain = NULL, *out = NULL;
	CHECK_OK(vn_out_buf(ret, &plain, &err), &err);
	CHECK_OK(vn_out_gzip(vn_steal(plain), 6, &out, &err), &err);
	CHECK_OK(vn_out_write(out, data, len, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
}

static void zstd(const void *data, size_t len, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	size_t cap = ZSTD_compressBound(len);
	CHECK_OK(vn_buf_reserve(ret, cap, &err), &err);
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	size_t n = ZSTD_compress2(c, ret->data + ret->len, cap, data, len);
	ZSTD_freeCCtx(c);
	CHECK(!ZSTD_isError(n));
	ret->len += ZSTD_isError(n) ? 0 : n;
}

static int inflate(const void *data, size_t len, size_t chunk, uint64_t max_plain, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_IN *memory = NULL, *small = NULL, *in = NULL;
	CHECK_OK(vn_in_memory(data, len, &memory, err), err);
	CHECK_OK(vn_in_fault(vn_steal(memory), UINT64_MAX, true, chunk, &small, err), err);
	CHECK_OK(vn_in_inflate(vn_steal(small), max_plain, "layer", &in, err), err);
	int rc = vn_in_read_all(in, ret, err);
	struct vn_err again = { 0 };
	const void *block;
	CHECK_EQ(vn_in_next(in, &block, &again), rc);
	return rc;
}

static int inflate_text(const void *data, size_t len, struct vn_err *err)
{
	VN_CLEANUP(vn_buf_release) struct vn_buf plain = VN_BUF(1 << 20);
	*err = (struct vn_err){ 0 };
	return inflate(data, len, 0, 0, &plain, err);
}

static void round_trip(const struct vn_buf *packed, const uint8_t *data, int times)
{
	static const size_t chunks[] = { 0, 5, 4096, 65537 };
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct vn_err err = { 0 };
		VN_CLEANUP(vn_buf_release) struct vn_buf plain = VN_BUF(4 << 20);
		CHECK_OK(inflate(packed->data, packed->len, chunks[i], 0, &plain, &err), &err);
		CHECK_EQ(plain.len, (size_t)times * PLAIN_SIZE);
		for (int k = 0; plain.len == (size_t)times * PLAIN_SIZE && k < times; k++)
			CHECK(!memcmp(plain.data + (size_t)k * PLAIN_SIZE, data, PLAIN_SIZE));
	}
}

static void test_plain(void)
{
	VN_AUTO_FREE uint8_t *data = sample();
	struct vn_buf bytes = { (char *)data, PLAIN_SIZE, 0, 0 };
	round_trip(&bytes, data, 1);
}

static void test_plain_is_not_copied(void)
{
	struct vn_err err = { 0 };
	static const char text[] = "plain bytes";
	VN_AUTO_IN *memory = NULL, *in = NULL;
	CHECK_OK(vn_in_memory(text, sizeof(text), &memory, &err), &err);
	CHECK_OK(vn_in_inflate(vn_steal(memory), 0, "layer", &in, &err), &err);
	const void *block = NULL;
	CHECK_EQ(vn_in_next(in, &block, &err), sizeof(text));
	CHECK(block == text);
}

static void test_gzip(void)
{
	VN_AUTO_FREE uint8_t *data = sample();
	VN_CLEANUP(vn_buf_release) struct vn_buf packed = VN_BUF(4 << 20);
	gzip(data, PLAIN_SIZE, &packed);
	round_trip(&packed, data, 1);
	gzip("", 0, &packed);
	gzip(data, PLAIN_SIZE, &packed);
	gzip("", 0, &packed);
	round_trip(&packed, data, 2);
}

static void test_zstd(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_FREE uint8_t *data = sample();
	VN_CLEANUP(vn_buf_release) struct vn_buf packed = VN_BUF(4 << 20);
	CHECK_OK(vn_buf_add(&packed, "\x5e\x2a\x4d\x18\x03\0\0\0abc", 11, &err), &err);      /* as eStargz and zstd:chunked do */
	zstd(data, PLAIN_SIZE, &packed);
	round_trip(&packed, data, 1);
	CHECK_OK(vn_buf_add(&packed, "\x50\x2a\x4d\x18\0\0\0\0", 8, &err), &err);
	zstd(data, PLAIN_SIZE, &packed);
	zstd("", 0, &packed);
	round_trip(&packed, data, 2);
}

static void test_others_are_named(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *name;
	} cases[] = {
		{ "\xfd""7zXZ\0", 6, "xz" },
		{ "BZh91AY&SY", 10, "bzip2" },
		{ "\x04\x22\x4d\x18", 4, "lz4" },
		{ "\x5d\0\0\x80\0\xff\xff", 7, "lzma" },
		{ "LZIP\x01", 5, "lzip" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vn_err err;
		CHECK_EQ(inflate_text(cases[i].bytes, cases[i].len, &err), -VN_EFORMAT);
		CHECK_HAS(err.text, cases[i].name);
	}
	struct vn_err err;
	CHECK_EQ(inflate_text("", 0, &err), 0);
	CHECK_EQ(inflate_text("BZh", 3, &err), 0);
	CHECK_EQ(inflate_text("BZh9file\0\0\0", 11, &err), 0);
	CHECK_EQ(inflate_text("]\0\0\0\0\0", 6, &err), 0);
	CHECK_EQ(inflate_text("\x1f", 1, &err), 0);
}

static void test_damage(void)
{
	struct vn_err err;
	VN_CLEANUP(vn_buf_release) struct vn_buf gz = VN_BUF(1000), zs = VN_BUF(1000);
	gzip("hello", 5, &gz);
	zstd("hello", 5, &zs);
	for (size_t n = 2; n < gz.len; n++) {
		CHECK_EQ(inflate_text(gz.data, n, &err), -VN_EFORMAT);
		CHECK_HAS(err.text, "ends early");
	}
	for (size_t n = 4; n < zs.len; n++) {
		CHECK_EQ(inflate_text(zs.data, n, &err), -VN_EFORMAT);
		CHECK_HAS(err.text, "ends early");
	}
	gz.data[gz.len - 8] ^= 1;
	CHECK_EQ(inflate_text(gz.data, gz.len, &err), -VN_EDIGEST);
	gz.data[gz.len - 8] ^= 1;
	gz.data[gz.len - 1] ^= 1;
	CHECK_EQ(inflate_text(gz.data, gz.len, &err), -VN_EDIGEST);
	gz.data[gz.len - 1] ^= 1;
	zs.data[zs.len - 1] ^= 1;
	CHECK_EQ(inflate_text(zs.data, zs.len, &err), -VN_EDIGEST);
	zs.data[zs.len - 1] ^= 1;
	gz.data[10] = 0x07;
	CHECK_EQ(inflate_text(gz.data, gz.len, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "invalid deflate block near byte");
	gz.data[2] = 7;
	CHECK_EQ(inflate_text(gz.data, gz.len, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "method other than deflate");
}

static void test_trailing_garbage(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf gz = VN_BUF(1000), zs = VN_BUF(1000);
	gzip("hello", 5, &gz);
	CHECK_OK(vn_buf_adds(&gz, "garbage, more than a header long", &err), &err);
	CHECK_EQ(inflate_text(gz.data, gz.len, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "follows the gzip stream");
	zstd("hello", 5, &zs);
	CHECK_OK(vn_buf_adds(&zs, "garbage, more than a header long", &err), &err);
	CHECK_EQ(inflate_text(zs.data, zs.len, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "follows the zstd stream");
}

static void test_zstd_window(void)
{
	/* RFC 8878, 3.1.1.1: no single segment, window descriptor for 2^28 */
	static const char frame[] = "\x28\xb5\x2f\xfd\x00\x90\x01\0\0";
	struct vn_err err;
	CHECK_EQ(inflate_text(frame, sizeof(frame) - 1, &err), -VN_ELIMIT);
	CHECK_HAS(err.text, "128 MiB");
}

static void test_cap(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_FREE uint8_t *data = sample();
	VN_CLEANUP(vn_buf_release) struct vn_buf packed = VN_BUF(4 << 20), plain = VN_BUF(4 << 20);
	gzip(data, PLAIN_SIZE, &packed);
	CHECK_OK(inflate(packed.data, packed.len, 0, PLAIN_SIZE, &plain, &err), &err);
	CHECK_EQ(inflate(packed.data, packed.len, 0, PLAIN_SIZE - 1, &plain, &err), -VN_EUNSAFE);
	CHECK_HAS(err.text, "700.0 kB");
	CHECK_HAS(err.hint, "--max-layer-size");
	err = (struct vn_err){ 0 };
	CHECK_EQ(inflate(data, PLAIN_SIZE, 0, 1000, &plain, &err), -VN_EUNSAFE);
}

/* `members` times 16 MiB of zero bytes */
static void drain_bomb(uint64_t max_plain, int members, int expected)
{
	struct vn_err err = { 0 };
	VN_AUTO_FREE char *zeros = calloc(1, 16 << 20);
	VN_CLEANUP(vn_buf_release) struct vn_buf member = VN_BUF(20 << 20), packed = VN_BUF(4 << 20);
	zstd(zeros, 16 << 20, &member);       /* quick to make and to undo, under valgrind too */
	for (int i = 0; i < members; i++)
		CHECK_OK(vn_buf_add(&packed, member.data, member.len, &err), &err);
	VN_AUTO_IN *memory = NULL, *in = NULL;
	CHECK_OK(vn_in_memory(packed.data, packed.len, &memory, &err), &err);
	CHECK_OK(vn_in_inflate(vn_steal(memory), max_plain, "layer", &in, &err), &err);
	CHECK_EQ(vn_in_drain(in, &err), expected);
	if (expected < 0)
		CHECK_HAS(err.hint, "--max-layer-size");
}

static void test_bomb(void)
{
	drain_bomb(0, (int)(VN_RATIO_FROM >> 24) + 1, -VN_EUNSAFE);
	drain_bomb(0, 16, 0);             /* below VN_RATIO_FROM nobody asks */
	drain_bomb(1 << 20, 4, -VN_EUNSAFE);
	drain_bomb(64 << 20, 4, 0);
}

static void test_verify_below_gets_its_say(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf gz = VN_BUF(1000);
	gzip("hello", 5, &gz);
	for (size_t at = 0; at < gz.len; at++) {      /* any flipped byte: the wrong digest is told, not its consequence */
		struct vn_digest digest;
		CHECK_OK(vn_digest_of(gz.data, gz.len, &digest, &err), &err);
		gz.data[at] ^= 0x40;
		VN_AUTO_IN *memory = NULL, *verified = NULL, *in = NULL;
		CHECK_OK(vn_in_memory(gz.data, gz.len, &memory, &err), &err);
		CHECK_OK(vn_in_verify(vn_steal(memory), &digest, (int64_t)gz.len, "blob", &verified, &err), &err);
		CHECK_OK(vn_in_inflate(vn_steal(verified), 0, "layer", &in, &err), &err);
		CHECK_EQ(vn_in_drain(in, &err), -VN_EDIGEST);
		CHECK_HAS(err.text, "blob: the digest of what came");
		gz.data[at] ^= 0x40;
	}
}

static void test_failures_below_pass_through(void)
{
	VN_CLEANUP(vn_buf_release) struct vn_buf gz = VN_BUF(1000);
	gzip("hello", 5, &gz);
	for (size_t at = 0; at < gz.len; at++) {
		struct vn_err err = { 0 };
		VN_AUTO_IN *memory = NULL, *fault = NULL, *in = NULL;
		CHECK_OK(vn_in_memory(gz.data, gz.len, &memory, &err), &err);
		CHECK_OK(vn_in_fault(vn_steal(memory), at, false, 3, &fault, &err), &err);
		CHECK_OK(vn_in_inflate(vn_steal(fault), 0, "layer", &in, &err), &err);
		CHECK_EQ(vn_in_drain(in, &err), -VN_EIO);
	}
}

int main(void)
{
	RUN(test_plain);
	RUN(test_plain_is_not_copied);
	RUN(test_gzip);
	RUN(test_zstd);
	RUN(test_others_are_named);
	RUN(test_damage);
	RUN(test_trailing_garbage);
	RUN(test_zstd_window);
	RUN(test_cap);
	RUN(test_bomb);
	RUN(test_verify_below_gets_its_say);
	RUN(test_failures_below_pass_through);
	return vn_test_end();
}
