#include "registry/url.h"
#include "util/cleanup.h"
#include "util/test.h"

static void is(const char *text, const char *want)
{
	VN_AUTO(vn_url) url = { 0 };
	VN_AUTO_FREE char *got = NULL;
	struct vn_err err = { 0 };

	CHECK_OK(vn_url_parse(text, &url, &err), &err);
	CHECK_OK(vn_url_text(&url, &got, &err), &err);
	CHECK_STR(got, want);
}

static void resolves(const char *base, const char *target, const char *want)
{
	VN_AUTO(vn_url) from = { 0 }, to = { 0 };
	VN_AUTO_FREE char *got = NULL;
	struct vn_err err = { 0 };

	CHECK_OK(vn_url_parse(base, &from, &err), &err);
	CHECK_OK(vn_url_resolve(&from, target, &to, &err), &err);
	CHECK_OK(vn_url_text(&to, &got, &err), &err);
	CHECK_STR(got, want);
}

static void test_parse(void)
{
	is("https://Edge.Example.io", "https://edge.example.io/");
	is("https://edge.example.io:443/a?b=c#d", "https://edge.example.io/a?b=c");
	is("http://edge:5000?x", "http://edge:5000/?x");
	is("HTTP://[::1]:80/v2/", "http://[::1]/v2/");
}

static void test_parse_refused(void)
{
	static const char *const bad[] = { "", "ftp://a/", "https://", "https://a:0/", "https://a:65536/", "https://u:p@a/",
					   "https://a b/", "https://a/\r\nX: y", "https://a/\x80", "https://[::1/", "https://[]/",
					   "https://a:1x/", "//a/" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		VN_AUTO(vn_url) url = { 0 };
		struct vn_err err = { 0 };
		CHECK_EQ(vn_url_parse(bad[i], &url, &err), -VN_EFORMAT);
	}
}

static void test_resolve(void)
{
	resolves("https://r/v2/a/blobs/uploads/?x=1", "/v2/a/u/1?_state=q", "https://r/v2/a/u/1?_state=q");
	resolves("https://r:5000/v2/a/b?x", "https://s/t?u", "https://s/t?u");
	resolves("https://r:5000/v2/a/b?x/y", "c", "https://r:5000/v2/a/c");
	resolves("https://r/v2/a", "?last=b", "https://r/v2/a?last=b");
	resolves("http://r/v2/a", "//s:81/b", "http://s:81/b");
	resolves("http://r/v2/a/tags", "/v2/a:b/tags", "http://r/v2/a:b/tags");
}

static void test_host_kind(void)
{
	CHECK_EQ(vn_host_kind("registry.example.io"), VN_HOST_PUBLIC);
	CHECK_EQ(vn_host_kind("8.8.8.8"), VN_HOST_PUBLIC);
	CHECK_EQ(vn_host_kind("localhost"), VN_HOST_LOOPBACK);
	CHECK_EQ(vn_host_kind("a.localhost"), VN_HOST_LOOPBACK);
	CHECK_EQ(vn_host_kind("notlocalhost"), VN_HOST_PUBLIC);
	CHECK_EQ(vn_host_kind("127.9.9.9"), VN_HOST_LOOPBACK);
	CHECK_EQ(vn_host_kind("127.1"), VN_HOST_LOOPBACK);
	CHECK_EQ(vn_host_kind("0x7f.1"), VN_HOST_LOOPBACK);
	CHECK_EQ(vn_host_kind("[::1]"), VN_HOST_LOOPBACK);
	CHECK_EQ(vn_host_kind("[::ffff:10.0.0.1]"), VN_HOST_PRIVATE);
	CHECK_EQ(vn_host_kind("169.254.169.254"), VN_HOST_LINK_LOCAL);
	CHECK_EQ(vn_host_kind("[fe80::1]"), VN_HOST_LINK_LOCAL);
	CHECK_EQ(vn_host_kind("172.31.0.1"), VN_HOST_PRIVATE);
	CHECK_EQ(vn_host_kind("172.32.0.1"), VN_HOST_PUBLIC);
	CHECK_EQ(vn_host_kind("[fd00::1]"), VN_HOST_PRIVATE);
}

static void test_shown(void)
{
	VN_AUTO(vn_url) url = { 0 };
	struct vn_err err = { 0 };
	char out[VN_URL_SHOWN];

	CHECK_OK(vn_url_parse("https://store:444/blob?sig=secret", &url, &err), &err);
	CHECK_STR(vn_url_shown(&url, out), "https://store:444/blob?…");
}

static void test_escape(void)
{
	VN_AUTO(vn_buf) buf = VN_BUF(100);
	struct vn_err err = { 0 };

	CHECK_OK(vn_url_escape(&buf, "a/b:c d&\xc3\xa4~", &err), &err);
	CHECK_STR(vn_buf_text(&buf), "a%2Fb%3Ac%20d%26%C3%A4~");
}

int main(void)
{
	RUN(test_parse);
	RUN(test_parse_refused);
	RUN(test_resolve);
	RUN(test_host_kind);
	RUN(test_shown);
	RUN(test_escape);
	return vn_test_end();
}
