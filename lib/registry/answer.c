#include "registry/answer.h"
#include "json/json.h"
#include "registry/creds.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *text_of(const struct vn_jv *obj, const char *key)
{
	struct vn_err ignored = { 0 };
	const char *text = NULL;
	struct vn_jv v = vn_jv_get(obj, key);

	return vn_jv_is_string(&v) && vn_jv_text(&v, &text, &ignored) == 0 && text ? text : "";
}

static void put(struct vn_answer *ret, const char *code, const char *message)
{
	char line[160];

	vn_creds_line(code, ret->code, sizeof ret->code);
	vn_creds_line(message, line, sizeof line);
	snprintf(ret->text, sizeof ret->text, "%s%s%s", ret->code, *ret->code && *line ? ": " : "", line);
}

static bool from_json(const char *body, size_t len, struct vn_answer *ret)
{
	VN_AUTO_JSON *doc = NULL;
	struct vn_err ignored = { 0 };

	if (vn_json_parse(body, len, "the answer", &doc, &ignored) < 0)
		return false;
	struct vn_jv root = vn_jv_root(doc, "the answer");
	if (!vn_jv_is_object(&root))
		return true;
	struct vn_jv errors = vn_jv_get(&root, "errors"), first = { 0 };
	if (vn_jv_is_array(&errors))
		first = vn_jv_at(&errors, 0);
	if (vn_jv_is_object(&first)) {
		put(ret, text_of(&first, "code"), text_of(&first, "message"));
		return true;
	}
	/* the forms of OAuth2 (RFC 6749, 5.2), of Docker Hub's limits, of the Docker Engine */
	const char *message = text_of(&root, "error_description");
	if (!*message)
		message = text_of(&root, "message");
	if (!*message)
		message = text_of(&root, "details");
	put(ret, text_of(&root, "error"), message);
	return true;
}

void vn_answer_parse(const char *body, size_t len, struct vn_answer *ret)
{
	*ret = (struct vn_answer){ 0 };
	body = body ? body : "";
	size_t lead = strspn(body, " \t\r\n");
	if (lead >= len)
		return;
	if (body[lead] == '<')
		snprintf(ret->text, sizeof ret->text, "an HTML page, as from a proxy");
	else if ((body[lead] != '{' && body[lead] != '[') || !from_json(body, len, ret))
		vn_creds_line(body, ret->text, sizeof ret->text);
}

void vn_answer_read(struct vn_http_response *r, struct vn_answer *ret)
{
	VN_AUTO(vn_buf) body = VN_BUF(VN_MAX_ERROR_BODY);
	struct vn_err ignored = { 0 };

	if (r->body)
		vn_in_read_all(r->body, &body, &ignored);
	vn_answer_parse(body.data, body.len, ret);
}

const char *vn_status_text(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} known[] = {
		{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" }, { 416, "Range Not Satisfiable" }, { 429, "Too Many Requests" },
		{ 500, "Internal Server Error" }, { 502, "Bad Gateway" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].status == status)
			return known[i].text;
	return "";
}

/* Days from 1970-01-01 of a proleptic Gregorian date. */
static int64_t days(int64_t year, int64_t month, int64_t day)
{
	year -= month <= 2;
	int64_t era = year / 400, of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int two(const char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return (p[0] - '0') * 10 + p[1] - '0';
}

bool vn_http_date(const char *text, int64_t *ret_seconds)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int month = -1;

	if (strlen(text) < 29 || text[3] != ',' || text[4] != ' ' || strncmp(text + 25, " GMT", 4))
		return false;
	for (int i = 0; i < 12; i++)
		if (!strncmp(text + 8, months + 3 * i, 3))
			month = i + 1;
	int day = two(text + 5), century = two(text + 12), year = two(text + 14), hour = two(text + 17), minute = two(text + 20),
	    second = two(text + 23);
	if (month < 0 || day < 1 || day > 31 || century < 19 || year < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
	    second < 0 || second > 60 || text[19] != ':' || text[22] != ':')
		return false;
	*ret_seconds = days(century * 100 + year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}

bool vn_retry_after(const struct vn_http_response *r, int64_t *ret_seconds)
{
	const char *value = vn_http_header(r, "Retry-After", 0), *date = vn_http_header(r, "Date", 0);
	int64_t then, now;
	uint64_t seconds;

	if (!value)
		return false;
	if (vn_parse_u64(value, &seconds)) {
		*ret_seconds = seconds < INT32_MAX ? (int64_t)seconds : INT32_MAX;
		return true;
	}
	if (!vn_http_date(value, &then))
		return false;
	if (!date || !vn_http_date(date, &now))
		now = (int64_t)time(NULL);
	*ret_seconds = then > now ? then - now : 0;
	return true;
}

/* One "; name=value" at *p, past it on return; true when it says rel contains "next". */
static bool link_param(const char **p)
{
	const char *name = *p + strspn(*p, " \t;"), *value;
	size_t len = strcspn(name, "=;, \t"), n;

	*p = name + len + strspn(name + len, " \t");
	if (**p != '=')
		return false;
	value = *p + 1 + strspn(*p + 1, " \t");
	if (*value == '"') {
		n = strcspn(++value, "\"");
		*p = value + n + (value[n] == '"');
	} else {
		n = strcspn(value, ";, \t");
		*p = value + n;
	}
	if (len != 3 || strncasecmp(name, "rel", 3))
		return false;
	for (size_t i = 0; i < n;) {
		size_t word = strcspn(value + i, " \t\"");
		if (word > n - i)
			word = n - i;
		if (word == 4 && !strncasecmp(value + i, "next", 4))
			return true;
		i += word + 1;
	}
	return false;
}

int vn_link_next(const char *header, char **ret, struct vn_err *err)
{
	const char *p = header;

	for (;;) {
		p += strspn(p, " \t,");
		if (!*p)
			return 0;
		const char *end = *p == '<' ? strchr(p, '>') : NULL;
		if (!end)
			return vn_fail(err, VN_EFORMAT, "Link: expected <URL> at offset %zu", (size_t)(p - header));
		const char *target = p + 1;
		bool next = false;
		for (p = end + 1, p += strspn(p, " \t"); *p == ';'; p += strspn(p, " \t"))
			next |= link_param(&p);
		if (*p && *p != ',')
			return vn_fail(err, VN_EFORMAT, "Link: unexpected \"%c\" at offset %zu", *p, (size_t)(p - header));
		if (next)
			return vn_asprintf(ret, err, "%.*s", (int)(end - target), target);
	}
}
