#include "pull/calendar.h"
#include "util/num.h"
#include "util/test.h"

static int64_t at(const char *text)
{
	int64_t t = -1;
	CHECK(vn_parse_time(text, &t));
	return t;
}

static void test_durations(void)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} good[] = { { "0", 0 }, { "90", 90 }, { "90s", 90 }, { "15m", 900 }, { "1h", 3600 }, { "7d", 604800 } };
	static const char *const bad[] = { "", "s", "-1", "1w", "1h30", "99999999999999999999", "400d", "1.5h", " 1" };
	int64_t got = 7;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK(vn_parse_duration(good[i].text, &got));
		CHECK_EQ(got, good[i].seconds);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!vn_parse_duration(bad[i], &got));
}

/* Seconds to wait at a time of the week, 0 = open. */
static int64_t wait_at(const struct vn_windows *w, int day, int hour, int minute)
{
	int64_t wait = -1;
	CHECK(vn_windows_open(w, day * VN_DAY + hour * 3600 + minute * 60, &wait) == (wait == 0));
	return wait;
}

static void test_windows(void)
{
	struct vn_windows w = { .n = 0 };
	CHECK_EQ(wait_at(&w, 3, 12, 0), 0);
	CHECK(vn_windows_add(&w, "Mon-Fri 01:00-05:00"));
	CHECK(vn_windows_add(&w, "Sun 22:00-02:00"));
	CHECK_EQ(wait_at(&w, 0, 1, 0), 0);
	CHECK_EQ(wait_at(&w, 0, 4, 59), 0);
	CHECK_EQ(wait_at(&w, 0, 5, 0), 20 * 3600);
	CHECK_EQ(wait_at(&w, 5, 3, 0), 43 * 3600);
	CHECK_EQ(wait_at(&w, 6, 23, 0), 0);
	/* over the end of the week */
	CHECK_EQ(wait_at(&w, 0, 0, 30), 0);
	CHECK_EQ(wait_at(&w, 4, 5, 30), 64 * 3600 + 1800);
	struct vn_windows every = { .n = 0 };
	CHECK(vn_windows_add(&every, "23:30-00:30"));
	CHECK_EQ(wait_at(&every, 6, 23, 45), 0);
	CHECK_EQ(wait_at(&every, 0, 0, 15), 0);
	CHECK_EQ(wait_at(&every, 0, 0, 30), 23 * 3600);
	struct vn_windows all = { .n = 0 };
	CHECK(vn_windows_add(&all, "Fri-Mon,Wed 00:00-24:00"));
	CHECK_EQ(all.n, 5);
	CHECK_EQ(wait_at(&all, 1, 0, 0), VN_DAY);
}

static void test_bad_windows(void)
{
	static const char *const bad[] = { "", "Mon", "Mon 1:00-2:00", "Mon 01:00", "Mon 01:00-25:00", "Mon 01:60-02:00", "Mo 01:00-02:00",
					   "Mon,01:00-02:00", "Mon- 01:00-02:00", "01:00-01:00", "01:00-02:00 x", "Mon 24:01-01:00" };
	struct vn_windows w = { .n = 0 };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!vn_windows_add(&w, bad[i]));
	for (size_t i = 0; i < VN_MAX_WINDOWS / 7; i++)
		CHECK(vn_windows_add(&w, "01:00-02:00"));
	CHECK(!vn_windows_add(&w, "01:00-02:00"));
}

static void test_week(void)
{
	CHECK_EQ(vn_week_seconds(at("2026-11-23T00:00:00Z"), 0), 0);
	CHECK_EQ(vn_week_seconds(at("2026-11-29T23:59:59Z"), 0), VN_WEEK - 1);
	CHECK_EQ(vn_week_seconds(at("2026-11-23T01:00:00Z"), -7200), VN_WEEK - 3600);
	CHECK_EQ(vn_week_seconds(0, 0), 3 * VN_DAY);
	CHECK_EQ(vn_week_seconds(-1, 0), 3 * VN_DAY - 1);
}

static void test_months(void)
{
	CHECK_EQ(vn_month_start(at("2026-11-26T12:00:00Z"), 1), at("2026-11-01T00:00:00Z"));
	CHECK_EQ(vn_month_start(at("2026-11-01T00:00:00Z"), 1), at("2026-11-01T00:00:00Z"));
	CHECK_EQ(vn_month_start(at("2026-11-14T23:59:59Z"), 15), at("2026-10-15T00:00:00Z"));
	CHECK_EQ(vn_month_start(at("2026-01-02T00:00:00Z"), 15), at("2025-12-15T00:00:00Z"));
	CHECK_EQ(vn_month_start(at("2028-02-29T10:00:00Z"), 28), at("2028-02-28T00:00:00Z"));
	CHECK_EQ(vn_month_start(0, 1), 0);
	CHECK_EQ(vn_month_start(-1, 1), -31 * VN_DAY);
}

static void test_spreading(void)
{
	CHECK_EQ(vn_splay("device", 0), 0);
	CHECK_EQ(vn_splay("device-1", 3600), vn_splay("device-1", 3600));
	int buckets[4] = { 0 };
	char name[32];
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "device-%d", i);
		int64_t s = vn_splay(name, 3600);
		CHECK(s >= 0 && s < 3600);
		buckets[s / 900 % 4]++;
	}
	for (int i = 0; i < 4; i++)
		CHECK(buckets[i] > 60 && buckets[i] < 140);
	CHECK_EQ(vn_backoff(0, 30, 3600, 30), 30);
	CHECK_EQ(vn_backoff(1, 30, 3600, 60), 60);
	CHECK_EQ(vn_backoff(40, 30, 3600, 3600), 3600);
	CHECK_EQ(vn_backoff(40, 30, 3600, 3601), 1);
}

int main(void)
{
	RUN(test_durations);
	RUN(test_windows);
	RUN(test_bad_windows);
	RUN(test_week);
	RUN(test_months);
	RUN(test_spreading);
	return vn_test_end();
}
