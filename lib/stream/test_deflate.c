#include "stream/deflate.h"
#include "util/cleanup.h"
#include "util/test.h"

static void pack(const void *data, size_t len, size_t step, const struct vn_deflate *how, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO_OUT *inner = NULL, *out = NULL;
	vn_buf_clear(ret);
	CHECK_OK(vn_out_buf(ret, &inner, &err), &err);
	CHECK_OK(vn_out_deflate(inner, how, &out, &err), &err);
	for (size_t i = 0; i < len; i += step)
		CHECK_OK(vn_out_write(out, (const char *)data + i, len - i < step ? len - i : step, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
}

static int unpack(const void *data, size_t len, size_t chunk, uint64_t max, struct vn_buf *ret, uint64_t *packed,
		  struct vn_err *err)
{
	VN_AUTO_IN *memory = NULL, *in = NULL;
	VN_AUTO_OUT *out = NULL;
	uint64_t plain = 0;
	vn_buf_clear(ret);
	CHECK_OK(vn_in_memory(data, len, &memory, err), err);
	CHECK_OK(vn_in_fault(vn_steal(memory), UINT64_MAX, true, chunk, &in, err), err);
	CHECK_OK(vn_out_buf(ret, &out, err), err);
	int rc = vn_inflate_raw(in, max, out, packed, &plain, err);
	if (rc == 0)
		CHECK_EQ(plain, ret->len);
	return rc;
}

static void fill(char *data, size_t len)
{
	uint32_t x = 9;
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		data[i] = x >> 30 ? "layer"[i % 5] : (char)(x >> 17);
	}
}

static void test_every_setting(void)
{
	size_t len = 200000;
	struct vn_err err = { 0 };
	VN_AUTO_FREE char *data = malloc(len);
	VN_AUTO(vn_buf) one = VN_BUF(1u << 20), two = VN_BUF(1u << 20), plain = VN_BUF(1u << 20);
	fill(data, len);
	for (unsigned level = 1; level <= 9; level += 2)
		for (unsigned mem = 8; mem <= 9; mem++)
			for (unsigned bits = 9; bits <= 15; bits += 3) {
				struct vn_deflate how = { (uint8_t)level, level == 9 ? 1 : 0, (uint8_t)bits, (uint8_t)mem };
				uint64_t packed = 0;
				pack(data, len, len, &how, &one);
				pack(data, len, 777, &how, &two);
				CHECK_EQ(one.len, two.len);
				CHECK(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
				CHECK_OK(vn_buf_add(&one, "behind", 6, &err), &err);
				CHECK_OK(unpack(one.data, one.len, 1000, len, &plain, &packed, &err), &err);
				CHECK_EQ(packed, two.len);
				CHECK(plain.len == len && memcmp(plain.data, data, len) == 0);
			}
}

static void test_small(void)
{
	struct vn_err err = { 0 };
	struct vn_deflate how = { 6, 0, 15, 8 };
	VN_AUTO(vn_buf) packed = VN_BUF(1000), plain = VN_BUF(1000);
	uint64_t used = 0;
	pack("", 0, 1, &how, &packed);
	CHECK_EQ(packed.len, 2);
	CHECK_OK(unpack(packed.data, packed.len, 1, 0, &plain, &used, &err), &err);
	CHECK_EQ(used, 2);
	CHECK_EQ(plain.len, 0);
	pack("aaaaaaaaaaaaaaaaaaaa", 20, 20, &how, &packed);
	CHECK_OK(unpack(packed.data, packed.len, 1, 20, &plain, &used, &err), &err);
	CHECK_EQ(plain.len, 20);
	CHECK_EQ(unpack(packed.data, packed.len, 9, 19, &plain, &used, &err), -VN_ELIMIT);
	for (size_t cut = 0; cut < packed.len; cut++)
		CHECK_EQ(unpack(packed.data, cut, 9, 20, &plain, &used, &err), -VN_EFORMAT);
	CHECK_EQ(unpack("\7nothing", 8, 9, 20, &plain, &used, &err), -VN_EFORMAT);
}

static void test_wrong_settings(void)
{
	static const struct vn_deflate wrong[] = { { 0, 0, 15, 8 }, { 10, 0, 15, 8 }, { 6, 5, 15, 8 }, { 6, 0, 8, 8 },
						   { 6, 0, 16, 8 }, { 6, 0, 15, 0 }, { 6, 0, 15, 10 } };
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) buf = VN_BUF(1000);
	VN_AUTO_OUT *inner = NULL, *out = NULL;
	CHECK_OK(vn_out_buf(&buf, &inner, &err), &err);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CHECK_EQ(vn_out_deflate(inner, &wrong[i], &out, &err), -VN_EUSAGE);
}

int main(void)
{
	RUN(test_every_setting);
	RUN(test_small);
	RUN(test_wrong_settings);
	return vn_test_end();
}
