#include "util/num.h"
#include "util/test.h"

static void sizes_as_people_read_them(void)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {
		{ 0, "0 B" }, { 999, "999 B" }, { 1000, "1.0 kB" }, { 31081, "31.1 kB" }, { 999949, "999.9 kB" },
		{ 999950, "1.0 MB" }, { 393212951, "393.2 MB" }, { 999999999, "1.00 GB" }, { 1020000000, "1.02 GB" },
		{ UINT64_MAX, "18.45 EB" },
	};
	char out[VN_SIZE_TEXT];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(vn_size_text(cases[i].n, out), cases[i].text);
}

static void sizes_as_people_type_them(void)
{
	uint64_t n = 0;
	CHECK(vn_parse_size("1500", &n) && n == 1500);
	CHECK(vn_parse_size("64k", &n) && n == 64000);
	CHECK(vn_parse_size("1.5GB", &n) && n == 1500000000);
	CHECK(vn_parse_size("2 GiB", &n) && n == 2ull << 30);
	CHECK(!vn_parse_size("", &n) && !vn_parse_size("-1", &n) && !vn_parse_size("5x", &n) && !vn_parse_size("k", &n));
	CHECK(!vn_parse_size("99999999999999999999", &n) && !vn_parse_size("99999999999TB", &n));
}

static void counts_have_commas(void)
{
	char out[VN_COUNT_TEXT];
	CHECK_STR(vn_count_text(7, out), "7");
	CHECK_STR(vn_count_text(38250, out), "38,250");
	CHECK_STR(vn_count_text(1000000, out), "1,000,000");
}

static void whole_numbers(void)
{
	uint64_t n = 0;
	CHECK(vn_parse_u64("18446744073709551615", &n) && n == UINT64_MAX);
	CHECK(!vn_parse_u64("18446744073709551616", &n) && !vn_parse_u64("", &n) && !vn_parse_u64("1 ", &n));
}

static void varints_round_trip_and_are_bounded(void)
{
	static const uint64_t values[] = { 0, 127, 128, 300, UINT32_MAX, UINT64_MAX };
	uint8_t out[10];
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint64_t back = 1;
		size_t n = vn_put_varint(out, values[i]);
		CHECK_EQ(vn_get_varint(out, n, &back), n);
		CHECK(back == values[i]);
		CHECK_EQ(vn_get_varint(out, n - 1, &back), 0);
	}
	uint64_t back;
	CHECK_EQ(vn_get_varint((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &back), 0);
}

static void times(void)
{
	char out[VN_TIME_TEXT];
	int64_t t = 0;
	CHECK_STR(vn_time_text(0, out), "1970-01-01T00:00:00Z");
	CHECK_STR(vn_time_text(-1, out), "1969-12-31T23:59:59Z");
	CHECK_STR(vn_time_text(1795225800, out), "2026-11-21T01:50:00Z");
	CHECK(vn_parse_time("2026-11-21T01:50:00Z", &t) && t == 1795225800);
	CHECK(vn_parse_time("2026-11-21T02:50:00.123456789+01:00", &t) && t == 1795225800);
	CHECK(vn_parse_time("2028-02-29T00:00:00Z", &t) && vn_parse_time("2026-12-31T00:00:00Z", &t));
	CHECK(!vn_parse_time("2026-02-29T00:00:00Z", &t) && !vn_parse_time("2026-11-31T00:00:00Z", &t));
	CHECK(!vn_parse_time("2026-11-21", &t) && !vn_parse_time("2026-13-01T00:00:00Z", &t) && !vn_parse_time("x", &t));
}

int main(void)
{
	RUN(sizes_as_people_read_them);
	RUN(sizes_as_people_type_them);
	RUN(counts_have_commas);
	RUN(whole_numbers);
	RUN(varints_round_trip_and_are_bounded);
	RUN(times);
	return vn_test_end();
}
