#include "stream/out.h"
#include "util/cleanup.h"
#include "util/test.h"

static void pack(const void *data, size_t len, size_t step, int level, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO_OUT *plain = NULL, *out = NULL;
	CHECK_OK(vn_out_buf(ret, &plain, &err), &err);
	CHECK_OK(vn_out_gzip(vn_steal(plain), level, &out, &err), &err);
	for (size_t i = 0; i < len; i += step)
		CHECK_OK(vn_out_write(out, (const char *)data + i, len - i < step ? len - i : step, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
}

/* The digests of veneer layers hang on these bytes. */
static void test_bytes_are_fixed(void)
{
	static const uint8_t expected[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07,
					    0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(1000);
	pack("hello", 5, 5, 6, &buf);
	CHECK_EQ(buf.len, sizeof(expected));
	CHECK(buf.len == sizeof(expected) && !memcmp(buf.data, expected, buf.len));
}

static void test_empty(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf packed = VN_BUF(1000), plain = VN_BUF(1000);
	VN_AUTO_IN *memory = NULL, *in = NULL;
	pack("", 0, 1, 9, &packed);
	CHECK_EQ(packed.len, 20);
	CHECK_OK(vn_in_memory(packed.data, packed.len, &memory, &err), &err);
	CHECK_OK(vn_in_inflate(vn_steal(memory), 0, "empty", &in, &err), &err);
	CHECK_OK(vn_in_read_all(in, &plain, &err), &err);
	CHECK_EQ(plain.len, 0);
}

static void test_round_trip_whatever_the_steps(void)
{
	struct vn_err err = { 0 };
	size_t len = 1 << 20;
	VN_AUTO_FREE uint8_t *data = malloc(len);
	uint32_t x = 1;
	for (size_t i = 0; data && i < len; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(i % 4096 < 2048 ? x >> 24 : i >> 12);
	}
	VN_CLEANUP(vn_buf_release) struct vn_buf whole = VN_BUF(2 << 20), steps = VN_BUF(2 << 20), plain = VN_BUF(2 << 20);
	pack(data, len, len, 6, &whole);
	pack(data, len, 777, 6, &steps);
	CHECK_EQ(whole.len, steps.len);
	CHECK(whole.len == steps.len && !memcmp(whole.data, steps.data, whole.len));
	VN_AUTO_IN *memory = NULL, *in = NULL;
	CHECK_OK(vn_in_memory(whole.data, whole.len, &memory, &err), &err);
	CHECK_OK(vn_in_inflate(vn_steal(memory), 0, "data", &in, &err), &err);
	CHECK_OK(vn_in_read_all(in, &plain, &err), &err);
	CHECK(plain.len == len && !memcmp(plain.data, data, len));
}

static void test_level(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(10);
	VN_AUTO_OUT *plain = NULL;
	struct vn_out *out = NULL;
	CHECK_OK(vn_out_buf(&buf, &plain, &err), &err);
	CHECK_EQ(vn_out_gzip(vn_steal(plain), 42, &out, &err), -VN_EUSAGE);
	CHECK(!out);
}

/* What gzip(1) writes: a time, Unix, level 9; and less memory, which makes other blocks of it. */
static void test_as_another_writer(void)
{
	static const uint8_t head[VN_GZIP_HEAD] = { 0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 2, 3 };
	struct vn_err err = { 0 };
	struct vn_gzip_like like = { .level = 9, .mem_level = 8 };
	VN_CLEANUP(vn_buf_release) struct vn_buf own = VN_BUF(1000), other = VN_BUF(1000);
	VN_AUTO_OUT *plain = NULL, *out = NULL;
	memcpy(like.head, head, sizeof(head));
	pack("hello", 5, 5, 9, &own);
	CHECK_OK(vn_out_buf(&other, &plain, &err), &err);
	CHECK_OK(vn_out_gzip_like(vn_steal(plain), &like, &out, &err), &err);
	CHECK_OK(vn_out_write(out, "hello", 5, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
	CHECK_EQ(other.len, own.len);
	CHECK(other.len > 10 && !memcmp(other.data, head, 10));
	CHECK(other.len == own.len && other.len > 10 && !memcmp(other.data + 10, own.data + 10, own.len - 10));
	vn_gzip_own(1, &like);
	CHECK_EQ(like.head[8], 4);
	like.mem_level = 10;
	out = (vn_out_close(out), NULL);
	CHECK_OK(vn_out_buf(&other, &plain, &err), &err);
	CHECK_EQ(vn_out_gzip_like(vn_steal(plain), &like, &out, &err), -VN_EUSAGE);
}

static void test_zstd(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf packed = VN_BUF(1 << 20), plain = VN_BUF(1 << 20);
	VN_AUTO_OUT *memory = NULL, *out = NULL;
	VN_AUTO_IN *in = NULL, *inflate = NULL;
	CHECK_OK(vn_out_buf(&packed, &memory, &err), &err);
	CHECK_OK(vn_out_zstd(vn_steal(memory), 19, &out, &err), &err);
	for (int i = 0; i < 10000; i++)
		CHECK_OK(vn_out_write(out, "usr/lib/python3/dist-packages/", 30, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
	CHECK(packed.len < 200);
	CHECK_OK(vn_in_memory(packed.data, packed.len, &in, &err), &err);
	CHECK_OK(vn_in_inflate(vn_steal(in), 0, "data", &inflate, &err), &err);
	CHECK_OK(vn_in_read_all(inflate, &plain, &err), &err);
	CHECK_EQ(plain.len, 300000);
}

int main(void)
{
	RUN(test_as_another_writer);
	RUN(test_zstd);
	RUN(test_bytes_are_fixed);
	RUN(test_empty);
	RUN(test_round_trip_whatever_the_steps);
	RUN(test_level);
	return vn_test_end();
}
