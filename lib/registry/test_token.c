#include "registry/auth.h"
#include "util/cleanup.h"
#include "util/test.h"

static int parse(const char *text, struct vn_token *t)
{
	struct vn_err err = { 0 };
	return vn_token_parse(text, strlen(text), t, &err);
}

static void test_kinds(void)
{
	VN_AUTO(vn_token) a = { 0 };
	VN_AUTO(vn_token) b = { 0 };
	VN_AUTO(vn_token) c = { 0 };

	CHECK_EQ(parse("{\"token\":\"abc\",\"expires_in\":300,\"issued_at\":\"2026-11-20T02:14:00Z\"}", &a), 0);
	CHECK_STR(a.text, "abc");
	CHECK_EQ(a.seconds, 300);
	CHECK_EQ(a.issued, 1795140840);
	CHECK_EQ(parse("{\"access_token\":\"x\",\"refresh_token\":\"r\",\"expires_in\":5}", &b), 0);
	CHECK_STR(b.text, "x");
	CHECK_STR(b.refresh, "r");
	CHECK_EQ(b.seconds, 60);
	CHECK_EQ(parse("{\"token\":\"\",\"access_token\":\"y\",\"expires_in\":\"300\",\"issued_at\":\"never\"}", &c), 0);
	CHECK_STR(c.text, "y");
	CHECK_EQ(c.seconds, 60);
	CHECK_EQ(c.issued, 0);
}

static void test_refused(void)
{
	static const char *const bad[] = { "", "{}", "[]", "{\"token\":1}", "{\"token\":\"a\\r\\nX: y\"}", "{\"token\":\"a b\"}",
					   "{\"token\":\"\"}", "{\"token\":\"a\"" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		VN_AUTO(vn_token) t = { 0 };
		CHECK_EQ(parse(bad[i], &t), -VN_EFORMAT);
	}
}

static void test_scopes(void)
{
	CHECK(vn_scope_covers("repository:a:pull,push", "repository:a:pull"));
	CHECK(!vn_scope_covers("repository:a:pull", "repository:a:pull,push"));
	CHECK(vn_scope_covers("repository:b:pull repository:h:5000/a:push,pull", "repository:h:5000/a:pull repository:b:pull"));
	CHECK(!vn_scope_covers("repository:a:pull", "repository:aa:pull"));
	CHECK(vn_scope_covers("repository:a:*", "repository:a:delete"));
	CHECK(vn_scope_covers("anything", ""));
	CHECK(!vn_scope_covers("", "repository:a:pull"));
}

int main(void)
{
	RUN(test_kinds);
	RUN(test_refused);
	RUN(test_scopes);
	return vn_test_end();
}
