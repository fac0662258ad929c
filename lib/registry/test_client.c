/* Where answers may lead, and who may be told what: the rules that need no server. */
#include "registry/client.h"
#include "registry/manifest.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/test.h"

static int follow(const char *registry, const struct vn_registry_options *opt, const char *target, char **ret)
{
	struct vn_client *c = NULL;
	VN_AUTO(vn_url) url = { 0 };
	struct vn_err err = { 0 };

	CHECK_OK(vn_client_open(registry, "a", opt, NULL, &c, &err), &err);
	int n = vn_client_follow(c, NULL, target, &url, &err);
	if (n == 0)
		CHECK_OK(vn_url_text(&url, ret, &err), &err);
	vn_client_close(c);
	return n;
}

static void leads(const char *registry, const char *target, const char *want)
{
	VN_AUTO_FREE char *got = NULL;
	CHECK_EQ(follow(registry, NULL, target, &got), 0);
	CHECK_STR(got, want);
}

static void test_follow(void)
{
	leads("r.example", "/v2/a/up?x=1", "https://r.example/v2/a/up?x=1");
	leads("r.example", "https://store.example/x?sig=1", "https://store.example/x?sig=1");
	leads("r.example:5000", "http://r.example/v2/up", "https://r.example:5000/v2/up");
	leads("docker.io", "/v2/", "https://registry-1.docker.io/v2/");
	leads("r.example", "https://10.0.0.7:9000/minio", "https://10.0.0.7:9000/minio");
	leads("localhost:5000", "https://127.0.0.1/x", "https://127.0.0.1/x");
}

static void test_follow_refused(void)
{
	static const struct vn_registry_options lax = { .insecure = true };
	VN_AUTO_FREE char *got = NULL;

	CHECK_EQ(follow("r.example", NULL, "http://store.example/x", &got), -VN_EUNSAFE);
	CHECK_EQ(follow("r.example", NULL, "https://127.0.0.1/x", &got), -VN_EUNSAFE);
	CHECK_EQ(follow("r.example", NULL, "https://[::1]:2375/x", &got), -VN_EUNSAFE);
	CHECK_EQ(follow("r.example", NULL, "https://169.254.169.254/latest", &got), -VN_EUNSAFE);
	CHECK_EQ(follow("r.example", &lax, "http://store.example/x", &got), -VN_EUNSAFE);
	CHECK_EQ(follow("r.example", NULL, "ftp://store.example/x", &got), -VN_EFORMAT);
	CHECK(!got);
	CHECK_EQ(follow("r.example", &lax, "https://127.0.0.1/x", &got), 0);
}

static void test_bad_names(void)
{
	struct vn_client *c = NULL;
	struct vn_err err = { 0 };
	static const struct vn_registry_options cacert = { .cacert = "/nonexistent.pem" }, text = { .cacert = "/dev/null" };

	CHECK_EQ(vn_client_open("r example", "a", NULL, NULL, &c, &err), -VN_EUSAGE);
	CHECK_EQ(vn_client_open("r:99999", "a", NULL, NULL, &c, &err), -VN_EUSAGE);
	CHECK_EQ(vn_client_open("r", "a", &cacert, NULL, &c, &err), -VN_ENOTFOUND);
	CHECK_EQ(vn_client_open("r", "a", &text, NULL, &c, &err), -VN_EFORMAT);
	CHECK(!c);
}

/* What becomes of a realm that a registry at `home` names; nothing is sent in the refused cases. */
static int realm(const char *home, const char *challenge, bool lax, struct vn_err *err)
{
	VN_AUTO(vn_url) origin = { 0 };
	VN_AUTO(vn_buf) line = VN_BUF(10000);
	struct vn_http_options fast = { .connect_ms = 100, .stall_ms = 100 };
	struct vn_creds_options creds = { .username = "u", .password = "secret" };
	struct vn_http_response r = { .status = 401, .head = VN_BUF(10000) };
	struct vn_auth *auth = NULL;
	struct vn_http *http = NULL;
	struct vn_trust *trust = NULL;
	bool again = false, fresh = false;

	CHECK_OK(vn_url_parse(home, &origin, err), err);
	CHECK_OK(vn_http_open(&fast, &http, err), err);
	CHECK_OK(vn_trust_open(NULL, false, NULL, &trust, err), err);
	struct vn_auth_options opt = { http, trust, NULL, "r.example", NULL, &origin, &creds, lax, NULL };
	CHECK_OK(vn_auth_open(&opt, &auth, err), err);
	CHECK_OK(vn_buf_add(&r.head, challenge, strlen(challenge) + 1, err), err);
	CHECK_OK(vn_auth_refused(auth, &r, "", "", false, &again, err), err);
	CHECK(again);
	int n = vn_auth_line(auth, "repository:a:pull", 0, &line, &fresh, err);
	vn_auth_close(auth);
	vn_trust_close(trust);
	vn_http_close(http);
	vn_http_response_release(&r);
	return n;
}

static void test_realms(void)
{
	struct vn_err err = { 0 };

	CHECK_EQ(realm("https://r.example/", "WWW-Authenticate: Bearer realm=\"http://auth.example/t\"", false, &err), -VN_EUNSAFE);
	CHECK_HAS(err.text, "a token server without TLS");
	CHECK_EQ(realm("https://r.example/", "WWW-Authenticate: Bearer realm=\"https://10.0.0.1/t\"", false, &err), -VN_EUNSAFE);
	CHECK_EQ(realm("https://r.example/", "WWW-Authenticate: Bearer realm=\"https://169.254.169.254/t\"", false, &err),
		 -VN_EUNSAFE);
	CHECK_EQ(realm("https://r.example/", "WWW-Authenticate: Bearer realm=\"https://u:p@x/t\"", false, &err), -VN_EFORMAT);
	/* allowed, and then nobody is there */
	CHECK_EQ(realm("https://10.0.0.1/", "WWW-Authenticate: Bearer realm=\"https://127.0.0.1:1/t\"", false, &err), -VN_ENETWORK);
	CHECK_EQ(realm("https://r.example/", "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/t\"", true, &err), -VN_ENETWORK);
}

static void test_worth_retry(void)
{
	static const unsigned yes[] = { 408, 425, 429, 499, 500, 502, 503, 504, 522 },
			      no[] = { 200, 400, 401, 403, 404, 413, 501, 507 };
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		CHECK(vn_client_worth_retry(yes[i]));
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		CHECK(!vn_client_worth_retry(no[i]));
}

static void test_near_tags(void)
{
	static const char tags[] = "iot-1\0iot-2\0iot-33\0latest\0prod\0iot-2-arm64";
	char out[100];

	vn_tags_near(tags, 6, "iot-3", out, sizeof out);
	CHECK_STR(out, "iot-1, iot-2, iot-33");
	vn_tags_near(tags, 6, "lastest", out, sizeof out);
	CHECK_STR(out, "latest");
	vn_tags_near(tags, 6, "completely-different", out, sizeof out);
	CHECK_STR(out, "");
	vn_tags_near(tags, 0, "x", out, sizeof out);
	CHECK_STR(out, "");
	vn_tags_near(tags, 6, "iot-3", out, 9);
	CHECK_STR(out, "iot-1, i");
}

int main(void)
{
	RUN(test_follow);
	RUN(test_follow_refused);
	RUN(test_bad_names);
	RUN(test_realms);
	RUN(test_worth_retry);
	RUN(test_near_tags);
	return vn_test_end();
}
