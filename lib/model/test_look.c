#include "model/test_bytes.h"

static void test_cursor(void)
{
	struct vn_cur c = vn_cur_of((struct vn_bytes){ (const uint8_t *)"\1\2\3\4\5a\nb", 8 });
	CHECK_EQ(vn_cur_uint(&c, 2), 0x201);
	c.big = true;
	CHECK_EQ(vn_cur_uint(&c, 2), 0x304);
	CHECK_EQ(vn_cur_uint(&c, 1), 5);
	struct vn_bytes line = vn_cur_line(&c);
	CHECK(vn_bytes_are(line, "a"));
	CHECK(!vn_cur_end(&c));
	CHECK_EQ(vn_cur_line(&c).len, 0);
	CHECK(c.bad);
	CHECK_EQ(vn_cur_uint(&c, 8), 0);
	CHECK_EQ(vn_cur_take(&c, UINT64_MAX).len, 0);
}

static void test_protobuf(void)
{
	struct made m = { .n = 0 };
	struct vn_pb f = { 0 };
	pb_int(&m, 3, 300);
	pb_text(&m, 2, "abc");
	PUT(&m, "\x0d\1\0\0\0"
		"\x09\1\0\0\0\0\0\0\0");
	struct vn_cur c = vn_cur_of((struct vn_bytes){ m.p, m.n });
	CHECK(vn_pb_next(&c, &f) && f.number == 3 && f.wire == 0 && f.value == 300);
	CHECK(vn_pb_next(&c, &f) && f.number == 2 && vn_bytes_are(f.bytes, "abc"));
	CHECK(vn_pb_next(&c, &f) && f.number == 1 && f.wire == 5 && f.value == 1);
	CHECK(vn_pb_next(&c, &f) && f.number == 1 && f.wire == 1 && f.value == 1);
	CHECK(!vn_pb_next(&c, &f) && !c.bad);
	static const char *const bad[] = { "\x0a\x05", "\x0b", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x02\x01",
					   "\x08" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		c = vn_cur_of((struct vn_bytes){ (const uint8_t *)bad[i], strlen(bad[i]) });
		CHECK(!vn_pb_next(&c, &f) && c.bad);
	}
}

static void test_tally(void)
{
	struct vn_tally t = { 0 };
	CHECK(!vn_tally_top(&t));
	vn_tally_add(&t, "f32", 10);
	vn_tally_add(&t, "i8", 20);
	vn_tally_add(&t, NULL, 99);
	CHECK_STR(vn_tally_top(&t), "i8");
	vn_tally_add(&t, "f32", UINT64_MAX);
	CHECK_STR(vn_tally_top(&t), "f32");
	CHECK_EQ(vn_tally_of(&t, "i8"), 20);
	CHECK_EQ(vn_tally_of(&t, "u8"), 0);
}

static void test_text(void)
{
	char out[8] = "";
	VN_FACT(out, "a\x1b[1m\xc3\xa4");
	CHECK_STR(out, "a?[1m??");
	VN_FACT(out, "ab");
	vn_fact_adds(out, sizeof(out), "");
	vn_fact_adds(out, sizeof(out), "cdefghi");
	CHECK_STR(out, "ab cdef");
	vn_fact_adds(out, sizeof(out), "x");
	CHECK_STR(out, "ab cdef");
	struct vn_bytes d = { (const uint8_t *)"<f4", 3 };
	CHECK_STR(vn_numpy_element(d), "f32");
	d.p = (const uint8_t *)"|V4";
	CHECK(!vn_numpy_element(d));
	CHECK_STR(vn_quantisation_of("i64"), "");
}

int main(void)
{
	RUN(test_cursor);
	RUN(test_protobuf);
	RUN(test_tally);
	RUN(test_text);
	return vn_test_end();
}
