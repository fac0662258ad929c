#include "registry/answer.h"
#include "util/cleanup.h"
#include "util/test.h"
#include <stdlib.h>

static void says(const char *body, const char *text)
{
	struct vn_answer a;
	vn_answer_parse(body, strlen(body), &a);
	CHECK_STR(a.text, text);
}

static void test_bodies(void)
{
	says("{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\",\"detail\":{}}]}",
	     "MANIFEST_UNKNOWN: manifest unknown");
	says("{\"errors\":[{\"code\":\"DENIED\"}]}", "DENIED");
	says("{\"error\":\"invalid_grant\",\"error_description\":\"bad\\nthing\"}", "invalid_grant: bad");
	says("{\"message\":\"You have reached your pull rate limit\"}", "You have reached your pull rate limit");
	says("{\"details\":\"incorrect username or password\"}", "incorrect username or password");
	says("<html><body>413</body></html>", "an HTML page, as from a proxy");
	says("  plain \x1b[31mtext\nmore", "plain ?[31mtext");
	says("{not json", "{not json");
	says("{\"errors\":{}}", "");
	says("{\"errors\":[1]}", "");
	says("[1]", "");
	says("", "");
}

static void test_date(void)
{
	int64_t t;

	CHECK(vn_http_date("Sun, 06 Nov 1994 08:49:37 GMT", &t));
	CHECK_EQ(t, 784111777);
	CHECK(vn_http_date("Thu, 29 Feb 2024 00:00:00 GMT", &t));
	CHECK_EQ(t, 1709164800);
	CHECK(!vn_http_date("Sunday, 06-Nov-94 08:49:37 GMT", &t));
	CHECK(!vn_http_date("Sun, 06 Nox 1994 08:49:37 GMT", &t));
	CHECK(!vn_http_date("Sun, 06 Nov 1994 25:49:37 GMT", &t));
	CHECK(!vn_http_date("", &t));
}

static void link_is(const char *header, const char *want)
{
	VN_AUTO_FREE char *got = NULL;
	struct vn_err err = { 0 };
	CHECK_OK(vn_link_next(header, &got, &err), &err);
	CHECK_STR(got ? got : "", want);
}

static void test_link(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_FREE char *none = NULL;

	link_is("</v2/a/tags/list?last=b&n=1>; rel=\"next\"", "/v2/a/tags/list?last=b&n=1");
	link_is("<x>; title=\"a, b\"; rel=next", "x");
	link_is("<p>;rel=prev, <n>; REL=\"last Next\"", "n");
	link_is("<p>;rel=\"nextish\"", "");
	link_is("<p>", "");
	link_is("<p>;rel", "");
	link_is("", "");
	CHECK_EQ(vn_link_next("x", &none, &err), -VN_EFORMAT);
	CHECK_EQ(vn_link_next("<x", &none, &err), -VN_EFORMAT);
	CHECK_EQ(vn_link_next("<x>; rel=\"a\" <y>", &none, &err), -VN_EFORMAT);
}

static void wait_is(const char *lines, size_t len, int64_t want)
{
	struct vn_http_response r = { 0 };
	struct vn_err err = { 0 };
	int64_t got = -1;

	r.head.max = 1000;
	CHECK_OK(vn_buf_add(&r.head, lines, len, &err), &err);
	vn_retry_after(&r, &got);
	CHECK_EQ(got, want);
	vn_buf_release(&r.head);
}

#define LINES(text) text, sizeof text
static void test_retry_after(void)
{
	wait_is(LINES("Retry-After: 60"), 60);
	wait_is(LINES("retry-after:99999999999"), INT32_MAX);
	wait_is(LINES("Date: Sun, 06 Nov 1994 08:49:37 GMT\0Retry-After: Sun, 06 Nov 1994 08:50:37 GMT"), 60);
	wait_is(LINES("Date: Sun, 06 Nov 1994 08:49:37 GMT\0Retry-After: Sun, 06 Nov 1994 08:40:37 GMT"), 0);
	wait_is(LINES("Retry-After: soon"), -1);
	wait_is(LINES("X-Retry-After: 60"), -1);
}

int main(void)
{
	RUN(test_bodies);
	RUN(test_date);
	RUN(test_link);
	RUN(test_retry_after);
	return vn_test_end();
}
