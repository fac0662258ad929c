#include "registry/fake.h"
#include "registry/words.h"
#include "util/limits.h"
#include <errno.h>

#define MANIFEST                                                                                                       \
	"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"     \
	"\"application/vnd.oci.image.config.v1+json\",\"digest\":"                                                      \
	"\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},\"layers\":[]}"
#define TYPE "\nContent-Type: application/vnd.oci.image.manifest.v1+json; charset=utf-8"
#define PING { "GET /v2/ ", "!Authorization", "200", "{}" }

static int manifest(struct fake_world *w, const char *rest, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO_SOURCE *s = fake_source(w, rest);
	int n = s->ops->manifest(s, NULL, &bytes, &desc, err);

	if (n == 0) {
		CHECK_STR(vn_buf_text(&bytes), MANIFEST);
		CHECK_STR(desc.media_type, VN_MT_OCI_MANIFEST);
		CHECK_EQ(desc.size, sizeof MANIFEST - 1);
	}
	return n;
}

static int fetch(const struct fake_step *script, const char *rest, struct vn_err *err)
{
	struct fake_world w;
	fake_world_open(&w, script);
	int n = manifest(&w, rest, err);
	fake_stop(&w.fake);
	return n;
}

static void test_manifest(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/b/manifests/1 ", "application/vnd.docker.distribution.manifest.v2+json", "200" TYPE, MANIFEST },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(fetch(script, "a/b:1", &err), &err);
}

static void test_loopback_without_tls(void)
{
	static const struct fake_step script[] = { PING, { "GET /v2/a/manifests/1 ", NULL, "200" TYPE, MANIFEST }, { 0 } };
	struct fake_world w;
	struct vn_err err = { 0 };

	fake_world_open(&w, script);
	w.opt.plain_http = false;
	CHECK_OK(manifest(&w, "a:1", &err), &err);
	fake_stop(&w.fake);
}

static void test_wrong_digest(void)
{
	static const struct fake_step script[] = { PING, { "GET /v2/a/manifests/sha256:00", NULL, "200" TYPE, MANIFEST }, { 0 } };
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "a@sha256:0000000000000000000000000000000000000000000000000000000000000000", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "expected digest sha256:0000");
}

static void test_no_such_tag(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/manifests/v1.2 ", NULL, "404",
		  "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}" },
		{ "GET /v2/a/tags/list?n=1000 ", NULL, "200\nLink: </v2/a/tags/list?last=v1.1&n=2>; rel=\"next\"",
		  "{\"name\":\"a\",\"tags\":[\"latest\",\"v1.1\"]}" },
		{ "GET /v2/a/tags/list?last=v1.1&n=2 ", NULL, "200",
		  "{\"name\":\"a\",\"tags\":[\"v1.20\",\"v2.2\",\"v9.9.9\"]}" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "a:v1.2", &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "/a has no tag \"v1.2\"");
	CHECK_STR(err.hint, "Near ones: v1.1, v1.20, v2.2.");
}

static void test_no_such_repository(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/manifests/1 ", NULL, "404", "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "a:1", &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "has no repository a");
}

static void test_too_large(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/manifests/1 ", NULL, "200" TYPE "\nContent-Length: 4194305", "{", .cut = 1 },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "a:1", &err), -VN_ELIMIT);
}

static void test_too_large_unannounced(void)
{
	size_t len = VN_MAX_MANIFEST + 100;
	char *body = malloc(len + 32);
	size_t n = (size_t)snprintf(body, 32, "%zx\r\n", len);
	memset(body + n, ' ', len);
	memcpy(body + n + len, "\r\n0\r\n\r\n", 8);
	struct fake_step script[] = {
		PING,
		{ "GET /v2/a/manifests/1 ", NULL, "200" TYPE "\nTransfer-Encoding: chunked", body, n + len + 7 },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "a:1", &err), -VN_ELIMIT);
	free(body);
}

static void test_schema1(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/manifests/1 ", NULL, "200\nContent-Type: application/vnd.docker.distribution.manifest.v1+prettyjws",
		  "{\"schemaVersion\":1,\"fsLayers\":[]}" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "a:1", &err), -VN_EFORMAT);
}

static void test_truncated_manifest_is_asked_for_again(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/manifests/1 ", NULL, "200" TYPE, MANIFEST, .cut = 20 },
		{ "GET /v2/a/manifests/1 ", NULL, "200" TYPE, MANIFEST },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(fetch(script, "a:1", &err), &err);
}

static void test_retry_after(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/manifests/1 ", NULL, "429\nRetry-After: 20", "slow down" },
		{ "GET /v2/a/manifests/1 ", NULL,
		  "503\nDate: Sun, 06 Nov 1994 08:49:37 GMT\nRetry-After: Sun, 06 Nov 1994 08:49:42 GMT", "<html>" },
		{ "GET /v2/a/manifests/1 ", NULL, "500", "" },
		{ "GET /v2/a/manifests/1 ", NULL, "200" TYPE, MANIFEST },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };

	fake_world_open(&w, script);
	CHECK_OK(manifest(&w, "a:1", &err), &err);
	CHECK_EQ(w.pauses, 3);
	CHECK(w.paused_ms >= 25000 && w.paused_ms < 28000);
	CHECK_HAS(w.told, "asks to wait 20 seconds");
	fake_stop(&w.fake);
}

static void test_retry_after_too_long(void)
{
	static const struct fake_step script[] = { PING, { "GET /v2/a/", NULL, "429\nRetry-After: 7200", "" }, { 0 } };
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "a:1", &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "left alone for 7200 seconds");
}

static void test_retries_end(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/", NULL, "502", "<html>bad gateway</html>" },
		{ "GET /v2/a/", NULL, "503", "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":\"later\"}]}" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };

	fake_world_open(&w, script);
	w.opt.retries = 1;
	CHECK_EQ(manifest(&w, "a:1", &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "answered 503 (Service Unavailable): UNAVAILABLE: later to the pull of a; tried 2 times");
	fake_stop(&w.fake);
}

static void test_html_refusal(void)
{
	static const struct fake_step script[] = { PING,
						   { "GET /v2/a/", NULL, "400\nContent-Type: text/html", "<html>no</html>" },
						   { 0 } };
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "a:1", &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "400 (Bad Request): an HTML page");
}

static void test_refused_connection(void)
{
	static const struct fake_step none[] = { { 0 } };
	struct fake_world w;
	struct vn_err err = { 0 };

	fake_world_open(&w, none);
	fake_stop(&w.fake);
	CHECK_EQ(manifest(&w, "a:1", &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "cannot connect to 127.0.0.1:");
	CHECK_HAS(err.text, "refused");
}

static void test_refused_by_proxy(void)
{
	struct vn_err err = { 0 };

	CHECK_EQ(vn_words_connect("r.example:5000", "Failed to connect to proxy.example port 3128 after 1 ms: Couldn't connect",
				  ECONNREFUSED, &err),
		 VN_HTTP_NO_CONNECTION);
	CHECK_HAS(err.text, "cannot connect to proxy.example:3128, the proxy on the way to r.example:5000: Connection refused");
	CHECK_HAS(err.hint, "https_proxy");
	vn_words_connect("[::1]:5000", "Failed to connect to ::1 port 5000 after 1 ms: Couldn't connect", ECONNREFUSED, &err);
	CHECK_HAS(err.text, "cannot connect to [::1]:5000: ");
}

static void test_unknown_host(void)
{
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO_SOURCE *s = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_err err = { 0 };

	CHECK_OK(vn_ref_parse("registry.invalid/a:1", &ref, &err), &err);
	CHECK_OK(vn_registry_source_open(&ref, NULL, NULL, &s, &err), &err);
	CHECK_EQ(s->ops->manifest(s, NULL, &bytes, &desc, &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "registry.invalid");
}

/* ---- blobs */
#define BLOB "0123456789abcdefghijklmnopqrstuvwxyz"
#define BLOB_PATH "GET /v2/a/blobs/sha256:"

static int pull_from(struct fake_world *w, const char *want, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO_SOURCE *s = fake_source(w, "a:1");
	VN_AUTO_IN *in = NULL;
	struct vn_digest digest;

	CHECK_OK(vn_digest_of(want, strlen(want), &digest, err), err);
	CHECK_OK(vn_desc_init(&desc, VN_MT_OCI_LAYER, &digest, (int64_t)strlen(want), err), err);
	int n = s->ops->blob(s, &desc, &in, err);
	if (n == 0)
		n = vn_in_read_all(in, &bytes, err);
	if (n == 0)
		CHECK_STR(vn_buf_text(&bytes), want);
	return n;
}

static int pull(const struct fake_step *script, struct vn_err *err)
{
	struct fake_world w;
	fake_world_open(&w, script);
	int n = pull_from(&w, BLOB, err);
	fake_stop(&w.fake);
	return n;
}

static void test_blob(void)
{
	static const struct fake_step script[] = { PING, { BLOB_PATH, "Accept-Encoding: identity", "200", BLOB }, { 0 } };
	struct vn_err err = { 0 };
	CHECK_OK(pull(script, &err), &err);
}

static void test_resume(void)
{
	static const struct fake_step script[] = {
		PING,
		{ BLOB_PATH, "!Range:", "200", BLOB, .cut = 10, .reset = true },
		{ BLOB_PATH, "Range: bytes=10-\r", "206\nContent-Range: bytes 10-35/36", &BLOB[10], .cut = 5 },
		{ BLOB_PATH, "Range: bytes=15-\r", "206\nContent-Range: bytes 15-35/*", &BLOB[15] },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(pull(script, &err), &err);
}

static void test_resume_with_wrong_range(void)
{
	static const struct fake_step script[] = {
		PING,
		{ BLOB_PATH, "!Range:", "200", BLOB, .cut = 10 },
		{ BLOB_PATH, "Range: bytes=10-", "206\nContent-Range: bytes 9-35/36", &BLOB[9] },
		{ BLOB_PATH, "!Range:", "200", BLOB },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(pull(script, &err), &err);
}

static void test_resume_from_the_start(void)
{
	static const struct fake_step script[] = {
		PING,
		{ BLOB_PATH, NULL, "200", BLOB, .cut = 10 },
		{ BLOB_PATH, "Range: bytes=10-", "200", BLOB },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(pull(script, &err), &err);
}

static void test_resume_gives_up(void)
{
	static const struct fake_step script[] = {
		PING,
		{ BLOB_PATH, NULL, "200", BLOB, .cut = 10 },
		{ BLOB_PATH, "Range: bytes=10-", "206\nContent-Range: bytes 10-35/36", &BLOB[10], .cut = 1 },
		{ BLOB_PATH, "Range: bytes=11-", "206\nContent-Range: bytes 11-35/36", &BLOB[11], .cut = 1 },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(pull(script, &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "ended after 12 of 36 bytes; resumed twice, gave up");
}

static void test_ends_early_but_in_form(void)
{
	static const struct fake_step script[] = {
		PING,
		{ BLOB_PATH, NULL, "200\nTransfer-Encoding: chunked", "a\r\n0123456789\r\n0\r\n\r\n" },
		{ BLOB_PATH, "Range: bytes=10-", "206\nContent-Range: bytes 10-35/36", &BLOB[10] },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(pull(script, &err), &err);
}

static void test_lying_length(void)
{
	static const struct fake_step script[] = { PING, { BLOB_PATH, NULL, "200", BLOB "more" }, { 0 } };
	static const struct fake_step chunked[] = {
		PING,
		{ BLOB_PATH, NULL, "200\nTransfer-Encoding: chunked", "28\r\n" BLOB "more\r\n0\r\n\r\n" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(pull(script, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "expected 36 bytes, the registry announces 40");
	CHECK_EQ(pull(chunked, &err), -VN_EDIGEST);
}

static void test_missing_blob(void)
{
	static const struct fake_step script[] = { PING, { BLOB_PATH, NULL, "404", "" }, { 0 } };
	struct vn_err err = { 0 };
	CHECK_EQ(pull(script, &err), -VN_ENOTFOUND);
}

static void test_slow_is_fine_and_stalled_is_not(void)
{
	static const struct fake_step slow[] = { PING, { BLOB_PATH, NULL, "200", BLOB, .drip_ms = 300 }, { 0 } };
	static const struct fake_step stalled[] = {
		PING,
		{ BLOB_PATH, NULL, "200", BLOB, .cut = 4, .hang = true },
		{ BLOB_PATH, "Range: bytes=4-", "206\nContent-Range: bytes 4-35/36", &BLOB[4] },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };

	CHECK_OK(pull(slow, &err), &err);
	fake_world_open(&w, stalled);
	w.opt.stall_seconds = 1;
	CHECK_OK(pull_from(&w, BLOB, &err), &err);
	CHECK_HAS(w.told, "bytes moved between here and");
	fake_stop(&w.fake);
}

/* ---- redirects */
static void test_redirect_leaves_credentials_behind(void)
{
	static const struct fake_step store[] = { { "GET /signed?sig=secret ", "!Authorization", "200", BLOB }, { 0 } };
	struct fake_step script[] = {
		{ "GET /v2/ ", NULL, "401\nWWW-Authenticate: Basic realm=\"x\"", "" },
		{ BLOB_PATH, "Authorization: Basic dTpw", "307", "" },
		{ 0 },
	};
	struct fake other;
	struct fake_world w;
	struct vn_err err = { 0 };
	char location[128];

	fake_start(&other, store);
	snprintf(location, sizeof location, "307\nLocation: http://%s/signed?sig=secret", other.host);
	script[1].answer = location;
	fake_world_open(&w, script);
	w.opt.username = "u";
	w.opt.password = "p";
	CHECK_OK(pull_from(&w, BLOB, &err), &err);
	CHECK(!strstr(w.told, "secret"));
	CHECK(!strstr(w.told, "dTpw"));
	fake_stop(&other);
	fake_stop(&w.fake);
}

static void test_redirects_end(void)
{
	static const struct fake_step script[] = {
		PING,
#define AROUND { "GET ", NULL, "302\nLocation: /around", "" }
		AROUND, AROUND, AROUND, AROUND, AROUND, AROUND, AROUND, AROUND, AROUND,
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(pull(script, &err), -VN_ELIMIT);
}

static void test_resume_asks_the_registry_again(void)
{
	static const struct fake_step script[] = {
		PING,
		{ BLOB_PATH, NULL, "302\nLocation: /store/1?sig=a", "" },
		{ "GET /store/1?sig=a", NULL, "200", BLOB, .cut = 8 },
		{ BLOB_PATH, "Range: bytes=8-", "302\nLocation: /store/1?sig=b", "" },
		{ "GET /store/1?sig=b", "Range: bytes=8-", "206\nContent-Range: bytes 8-35/36", &BLOB[8] },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(pull(script, &err), &err);
}

/* ---- tags */
static void test_tags(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/tags/list?n=1000 ", NULL, "200", "{\"name\":\"a\",\"tags\":null}" },
		{ "GET /v2/a/tags/list?n=1000 ", NULL, "200\nLink: <http://elsewhere.example/x>; rel=next", "{\"tags\":[\"b\"]}" },
		{ 0 },
	};
	struct fake_world w;
	VN_AUTO(vn_buf) tags = VN_BUF(1000);
	struct vn_err err = { 0 };
	size_t count = 7;

	fake_world_open(&w, script);
	struct vn_source *s = fake_source(&w, "a:1");
	CHECK_OK(s->ops->tags(s, &tags, &count, &err), &err);
	CHECK_EQ(count, 0);
	CHECK_EQ(s->ops->tags(s, &tags, &count, &err), -VN_EUNSAFE);
	vn_source_close(s);
	fake_stop(&w.fake);
}

int main(void)
{
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	RUN(test_manifest);
	RUN(test_loopback_without_tls);
	RUN(test_wrong_digest);
	RUN(test_no_such_tag);
	RUN(test_no_such_repository);
	RUN(test_too_large);
	RUN(test_too_large_unannounced);
	RUN(test_schema1);
	RUN(test_truncated_manifest_is_asked_for_again);
	RUN(test_retry_after);
	RUN(test_retry_after_too_long);
	RUN(test_retries_end);
	RUN(test_html_refusal);
	RUN(test_refused_connection);
	RUN(test_refused_by_proxy);
	RUN(test_unknown_host);
	RUN(test_blob);
	RUN(test_resume);
	RUN(test_resume_with_wrong_range);
	RUN(test_resume_from_the_start);
	RUN(test_resume_gives_up);
	RUN(test_ends_early_but_in_form);
	RUN(test_lying_length);
	RUN(test_missing_blob);
	RUN(test_slow_is_fine_and_stalled_is_not);
	RUN(test_redirect_leaves_credentials_behind);
	RUN(test_redirects_end);
	RUN(test_resume_asks_the_registry_again);
	RUN(test_tags);
	return vn_test_end();
}
