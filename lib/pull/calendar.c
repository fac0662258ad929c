#include "pull/calendar.h"
#include "util/digest.h"
#include <string.h>

#define MOST_DURATION (366ll * VN_DAY)

bool vn_parse_duration(const char *text, int64_t *ret)
{
	int64_t n = 0, unit;
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		n = n * 10 + (*text - '0');
		if (n > MOST_DURATION)
			return false;
	}
	switch (*text) {
	case 0:
	case 's':
		unit = 1;
		break;
	case 'm':
		unit = 60;
		break;
	case 'h':
		unit = 3600;
		break;
	case 'd':
		unit = VN_DAY;
		break;
	default:
		return false;
	}
	if ((*text && text[1]) || n > MOST_DURATION / unit)
		return false;
	*ret = n * unit;
	return true;
}

/* ---- windows */
static const char days[] = "MonTueWedThuFriSatSun";

static bool take_day(const char **text, int *ret)
{
	for (int i = 0; i < 7; i++)
		if (!strncmp(*text, days + 3 * i, 3)) {
			*ret = i;
			*text += 3;
			return true;
		}
	return false;
}

/* "Mon-Fri,Sun " as bits from Monday on; without any day all of them. */
static bool take_days(const char **text, unsigned *ret)
{
	int first, last;
	*ret = 0;
	if (**text >= '0' && **text <= '9') {
		*ret = 0x7f;
		return true;
	}
	for (;; (*text)++) {
		if (!take_day(text, &first))
			return false;
		last = first;
		if (**text == '-') {
			(*text)++;
			if (!take_day(text, &last))
				return false;
		}
		for (int i = first;; i = (i + 1) % 7) {
			*ret |= 1u << i;
			if (i == last)
				break;
		}
		if (**text == ' ')
			break;
		if (**text != ',')
			return false;
	}
	while (**text == ' ')
		(*text)++;
	return true;
}

/* HH:MM up to 24:00, as seconds of the day. */
static bool take_time(const char **text, int32_t *ret)
{
	const char *t = *text;
	for (int i = 0; i < 5; i++)
		if (i == 2 ? t[i] != ':' : t[i] < '0' || t[i] > '9')
			return false;
	int32_t hours = (t[0] - '0') * 10 + t[1] - '0', minutes = (t[3] - '0') * 10 + t[4] - '0';
	if (minutes > 59 || hours > 24 || (hours == 24 && minutes))
		return false;
	*ret = hours * 3600 + minutes * 60;
	*text += 5;
	return true;
}

bool vn_windows_add(struct vn_windows *w, const char *text)
{
	unsigned set;
	int32_t from, to;
	if (!take_days(&text, &set) || !take_time(&text, &from) || *text++ != '-' || !take_time(&text, &to) || *text || from == to)
		return false;
	if (to < from)
		to += VN_DAY;
	for (int i = 0; i < 7; i++) {
		if (!(set & 1u << i))
			continue;
		if (w->n == VN_MAX_WINDOWS)
			return false;
		w->list[w->n++] = (struct vn_window){ i * VN_DAY + from, i * VN_DAY + to };
	}
	return true;
}

bool vn_windows_open(const struct vn_windows *w, int64_t week, int64_t *ret_wait)
{
	int64_t wait = VN_WEEK;
	bool open = !w->n;
	for (size_t i = 0; i < w->n; i++) {
		const struct vn_window *x = &w->list[i];
		open |= (week >= x->from && week < x->to) || week + VN_WEEK < x->to;
		int64_t ahead = (x->from - week + VN_WEEK) % VN_WEEK;
		wait = ahead < wait ? ahead : wait;
	}
	*ret_wait = open ? 0 : wait;
	return open;
}

static int64_t floor_mod(int64_t a, int64_t b)
{
	int64_t r = a % b;
	return r < 0 ? r + b : r;
}

int64_t vn_week_seconds(int64_t now, int64_t offset)
{
	/* 1970-01-01 was a Thursday */
	return floor_mod(now + offset + 3 * VN_DAY, VN_WEEK);
}

/* ---- months */
/* Days since 1970-01-01 of a civil date and back (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400), doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static void date_of(int64_t day, int64_t *ret_y, unsigned *ret_m, unsigned *ret_d)
{
	day += 719468;
	int64_t era = (day >= 0 ? day : day - 146096) / 146097;
	unsigned doe = (unsigned)(day - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	*ret_d = doy - (153 * mp + 2) / 5 + 1;
	*ret_m = mp < 10 ? mp + 3 : mp - 9;
	*ret_y = (int64_t)yoe + era * 400 + (*ret_m <= 2);
}

int64_t vn_month_start(int64_t now, unsigned day)
{
	int64_t y;
	unsigned m, d;
	date_of((now - floor_mod(now, VN_DAY)) / VN_DAY, &y, &m, &d);
	if (d < day && m == 1)
		return days_of(y - 1, 12, day) * VN_DAY;
	return days_of(y, d < day ? m - 1 : m, day) * VN_DAY;
}

/* ---- spreading */
int64_t vn_splay(const char *device, int64_t range)
{
	struct vn_digest digest;
	struct vn_err ignored = { 0 };
	uint64_t n = 0;
	if (range <= 0 || vn_digest_of(device, strlen(device), &digest, &ignored) < 0)
		return 0;
	for (const char *p = vn_digest_hex(&digest), *end = p + 12; p < end; p++)
		n = n * 16 + (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
	return (int64_t)(n % (uint64_t)range);
}

int64_t vn_backoff(unsigned failures, int64_t first, int64_t most, uint64_t random)
{
	int64_t limit = first;
	for (unsigned i = 0; i < failures && limit < most; i++)
		limit *= 2;
	limit = limit < most ? limit : most;
	int64_t n = (int64_t)(random % ((uint64_t)limit + 1));
	return n > 0 ? n : 1;
}
