#include "registry/challenge.h"
#include "util/cleanup.h"
#include "util/test.h"

static void refused(const char *header)
{
	VN_AUTO(vn_challenges) list = { 0 };
	struct vn_err err = { 0 };
	CHECK_EQ(vn_challenges_parse(header, &list, &err), -VN_EFORMAT);
}

static void test_bearer(void)
{
	VN_AUTO(vn_challenges) list = { 0 };
	struct vn_err err = { 0 };

	CHECK_OK(vn_challenges_parse("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
				     "scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\"", &list, &err), &err);
	CHECK_EQ(list.n, 1);
	CHECK_EQ(list.list[0].scheme, VN_SCHEME_BEARER);
	CHECK_STR(list.list[0].realm, "https://auth.docker.io/token");
	CHECK_STR(list.list[0].service, "registry.docker.io");
	CHECK_STR(list.list[0].scope, "repository:a/b:pull,push");
	CHECK_STR(list.list[0].error, "insufficient_scope");
}

static void test_several(void)
{
	VN_AUTO(vn_challenges) list = { 0 };
	struct vn_err err = { 0 };

	CHECK_OK(vn_challenges_parse("Negotiate, NTLM TlRMTVNTUAAC==, bASIC Realm = \"a \\\"b\\\"\" , charset=UTF-8", &list,
				     &err),
		 &err);
	CHECK_OK(vn_challenges_parse("bearer realm=https://x/t , SERVICE=s", &list, &err), &err);
	CHECK_EQ(list.n, 4);
	CHECK_STR(list.list[2].realm, "a \"b\"");
	CHECK_EQ(vn_challenges_best(&list)->scheme, VN_SCHEME_BEARER);
	CHECK_STR(vn_challenges_best(&list)->realm, "https://x/t");
	CHECK_STR(vn_challenges_best(&list)->service, "s");
}

static void test_best(void)
{
	VN_AUTO(vn_challenges) list = { 0 };
	struct vn_err err = { 0 };

	CHECK(!vn_challenges_best(&list));
	CHECK_OK(vn_challenges_parse("Bearer, Basic realm=\"r\"", &list, &err), &err);
	CHECK_EQ(vn_challenges_best(&list)->scheme, VN_SCHEME_BASIC);
}

static void test_refused(void)
{
	refused("Bearer realm=\"https://x");
	refused("Bearer realm=\"a\" service=\"b\"");
	refused("Bearer realm=\"a\\");
	refused("=x");
	refused("Bearer/ realm=\"a\"");
	refused("\"quoted\"");
}

int main(void)
{
	RUN(test_bearer);
	RUN(test_several);
	RUN(test_best);
	RUN(test_refused);
	return vn_test_end();
}
