#include "util/num.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool vn_parse_u64(const char *text, uint64_t *ret)
{
	uint64_t n = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return false;
	}
	*ret = n;
	return true;
}

static bool unit_of(const char *text, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = {
		{ "", 1 },          { "b", 1 },          { "k", 1000 },          { "kb", 1000 },
		{ "m", 1000000 },   { "mb", 1000000 },   { "g", 1000000000 },    { "gb", 1000000000 },
		{ "t", 1000000000000 }, { "tb", 1000000000000 }, { "kib", 1ull << 10 }, { "mib", 1ull << 20 },
		{ "gib", 1ull << 30 }, { "tib", 1ull << 40 },
	};
	char low[8];
	size_t n = strlen(text);
	if (n >= sizeof(low))
		return false;
	for (size_t i = 0; i <= n; i++)
		low[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(units[i].name, low)) {
			*ret = units[i].bytes;
			return true;
		}
	return false;
}

bool vn_parse_size(const char *text, uint64_t *ret)
{
	uint64_t whole = 0, tenths = 0, scale = 1, unit, n, part;
	const char *p = text;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(whole, 10u, &whole) || __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return false;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9' && scale < 1000000; p++) {
			tenths = tenths * 10 + (uint64_t)(*p - '0');
			scale *= 10;
		}
	while (*p == ' ')
		p++;
	if (!unit_of(p, &unit) || __builtin_mul_overflow(whole, unit, &n))
		return false;
	part = unit >= scale ? tenths * (unit / scale) : 0;
	return vn_add_u64(n, part, ret);
}

const char *vn_size_text(uint64_t bytes, char out[VN_SIZE_TEXT])
{
	static const char units[] = "kMGTPE";
	if (bytes < 1000) {
		snprintf(out, VN_SIZE_TEXT, "%u B", (unsigned)bytes);
		return out;
	}
	uint64_t unit = 1000, digits, n;
	for (int i = 0;; i++, unit *= 1000) {
		digits = i < 2 ? 10 : 100;
		uint64_t step = unit / digits;
		n = bytes / step + (bytes % step >= step - step / 2);
		if (n >= 1000 * digits && i < 5)
			continue;
		snprintf(out, VN_SIZE_TEXT, "%" PRIu64 ".%0*" PRIu64 " %cB", n / digits, digits == 10 ? 1 : 2, n % digits, units[i]);
		return out;
	}
}

const char *vn_count_text(uint64_t n, char out[VN_COUNT_TEXT])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n), o = 0;
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			out[o++] = ',';
		out[o++] = digits[i];
	}
	out[o] = 0;
	return out;
}

const char *vn_times_text(uint64_t whole, uint64_t part, char out[VN_TIMES_TEXT])
{
	char count[VN_COUNT_TEXT];
	uint64_t times = part ? whole / part : 0;
	for (uint64_t step = 10; times >= 1000 && step < times / 100; step *= 10)
		times -= times % step;
	uint64_t percent = whole > part ? (whole - part) / (whole / 100 + 1) : 0;
	out[0] = 0;
	if (times >= 2)
		snprintf(out, VN_TIMES_TEXT, " (%s times less)", vn_count_text(times, count));
	else if (part && percent)
		snprintf(out, VN_TIMES_TEXT, " (%u %% less)", (unsigned)percent);
	return out;
}

size_t vn_put_varint(uint8_t out[10], uint64_t v)
{
	size_t n = 0;
	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

size_t vn_get_varint(const uint8_t *p, size_t len, uint64_t *ret)
{
	uint64_t v = 0;
	for (size_t i = 0; i < len && i < 10; i++) {
		if (i == 9 && p[i] > 1)
			return 0;
		v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (!(p[i] & 0x80)) {
			*ret = v;
			return i + 1;
		}
	}
	return 0;
}

/* Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + (int64_t)doe - 719468;
}

const char *vn_time_text(int64_t seconds, char out[VN_TIME_TEXT])
{
	int64_t days = seconds / 86400, rest = seconds % 86400;
	if (rest < 0)
		rest += 86400, days--;
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	unsigned d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
	int64_t y = (int64_t)yoe + era * 400 + (m <= 2);
	snprintf(out, VN_TIME_TEXT, "%04" PRId64 "-%02u-%02uT%02u:%02u:%02uZ", y, m, d, (unsigned)(rest / 3600),
		 (unsigned)(rest / 60 % 60), (unsigned)(rest % 60));
	return out;
}

static bool digits(const char **p, int n, unsigned *ret)
{
	unsigned v = 0;
	for (int i = 0; i < n; i++) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (unsigned)(*(*p)++ - '0');
	}
	*ret = v;
	return true;
}

static bool literal(const char **p, char c)
{
	return *(*p)++ == c;
}

bool vn_parse_time(const char *text, int64_t *ret_seconds)
{
	const char *p = text;
	unsigned y, mo, d, h, mi, s, oh = 0, om = 0;
	int sign = 0;
	if (!(digits(&p, 4, &y) && literal(&p, '-') && digits(&p, 2, &mo) && literal(&p, '-') && digits(&p, 2, &d)))
		return false;
	if (*p != 'T' && *p != 't' && *p != ' ')
		return false;
	p++;
	if (!(digits(&p, 2, &h) && literal(&p, ':') && digits(&p, 2, &mi) && literal(&p, ':') && digits(&p, 2, &s)))
		return false;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9';)
			p++;
	if (*p == '+' || *p == '-') {
		sign = *p++ == '+' ? 1 : -1;
		if (!(digits(&p, 2, &oh) && literal(&p, ':') && digits(&p, 2, &om)))
			return false;
	} else if (*p == 'Z' || *p == 'z') {
		p++;
	} else {
		return false;
	}
	if (*p || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || s > 60 || oh > 23 || om > 59)
		return false;
	if (d > (unsigned)(days_of(y + mo / 12, mo % 12 + 1, 1) - days_of(y, mo, 1)))
		return false;
	*ret_seconds = days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + s - sign * (int64_t)(oh * 3600 + om * 60);
	return true;
}
