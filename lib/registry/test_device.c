/* What a device asks: one HEAD, a blob from where it was cut off, what refers to an image. */
#include "registry/fake.h"
#include "util/limits.h"

#define PING { "GET /v2/ ", "!Authorization", "200", "{}" }
#define BLOB "0123456789abcdefghijklmnopqrstuvwxyz"
#define BLOB_PATH "GET /v2/a/blobs/sha256:"
#define MANIFEST "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}"
#define TYPE "\nContent-Type: " VN_MT_OCI_MANIFEST
#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

/* ---- HEAD */
static int head(const struct fake_step *script, const char *rest, struct vn_desc *ret, struct vn_err *err)
{
	struct fake_world w;

	fake_world_open(&w, script);
	struct vn_source *s = fake_source(&w, rest);
	int n = vn_registry_head(s, ret, err);
	vn_source_close(s);
	fake_stop(&w.fake);
	return n;
}

static void test_head(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "HEAD /v2/a/manifests/1 ", NULL, "200" TYPE "\nContent-Length: 500\nDocker-Content-Digest: " D1, "" },
		{ 0 },
	};
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_err err = { 0 };

	CHECK_OK(head(script, "a:1", &desc, &err), &err);
	CHECK_STR(desc.digest.text, D1);
	CHECK_STR(desc.media_type, VN_MT_OCI_MANIFEST);
	CHECK_EQ(desc.size, 500);
}

static void test_head_without_digest_becomes_get(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "HEAD /v2/a/manifests/1 ", NULL, "200" TYPE "\nContent-Length: 42", "" },
		{ "GET /v2/a/manifests/1 ", NULL, "200" TYPE, MANIFEST },
		{ 0 },
	};
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_digest digest;
	struct vn_err err = { 0 };

	CHECK_OK(vn_digest_of(MANIFEST, strlen(MANIFEST), &digest, &err), &err);
	CHECK_OK(head(script, "a:1", &desc, &err), &err);
	CHECK_STR(desc.digest.text, digest.text);
	CHECK_EQ(desc.size, strlen(MANIFEST));
}

static void test_head_of_nothing(void)
{
	static const struct fake_step script[] = { PING, { "HEAD /v2/a/manifests/1 ", NULL, "404", "" }, { 0 } };
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_err err = { 0 };

	CHECK_EQ(head(script, "a:1", &desc, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "/a has no 1");
}

/* A digest that was asked for is not answered by another one. */
static void test_head_by_digest(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "HEAD /v2/a/manifests/" D1 " ", NULL, "200" TYPE "\nContent-Length: 5\nDocker-Content-Digest: " D2, "" },
		{ "GET /v2/a/manifests/" D1 " ", NULL, "200" TYPE, MANIFEST },
		{ 0 },
	};
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_err err = { 0 };

	CHECK_EQ(head(script, "a@" D1, &desc, &err), -VN_EDIGEST);
}

/* A hotspot's login page for everything. */
static void test_captive_portal(void)
{
	static const struct fake_step script[] = {
		{ "GET /v2/ ", NULL, "200\nContent-Type: text/html", "<html>log in</html>" },
		{ "HEAD /v2/a/manifests/1 ", NULL, "200\nContent-Type: text/html\nContent-Length: 19", "" },
		{ 0 },
	};
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_err err = { 0 };

	CHECK_EQ(head(script, "a:1", &desc, &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "answered with a web page, expected a manifest");
	CHECK_HAS(err.hint, "login page");
}

/* ---- blobs */
static int blob_from(const struct fake_step *script, uint64_t from, uint64_t *ret_from, struct vn_buf *ret, struct vn_err *err)
{
	struct fake_world w;
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO_IN *in = NULL;
	struct vn_digest digest;

	fake_world_open(&w, script);
	CHECK_OK(vn_digest_of(BLOB, strlen(BLOB), &digest, err), err);
	CHECK_OK(vn_desc_init(&desc, VN_MT_OCI_LAYER, &digest, (int64_t)strlen(BLOB), err), err);
	struct vn_source *s = fake_source(&w, "a:1");
	int n = vn_registry_blob_from(s, &desc, from, ret_from, &in, err);
	if (n == 0)
		n = vn_in_read_all(in, ret, err);
	vn_in_close(vn_steal(in));
	vn_source_close(s);
	fake_stop(&w.fake);
	return n;
}

static void continues_at(const struct fake_step *script, uint64_t from, uint64_t want_from)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	struct vn_err err = { 0 };
	const char *want = BLOB;
	uint64_t begins = 99;

	CHECK_OK(blob_from(script, from, &begins, &bytes, &err), &err);
	CHECK_EQ(begins, want_from);
	CHECK_STR(vn_buf_text(&bytes), want + want_from);
}

static void test_blob_continues(void)
{
	static const struct fake_step script[] = {
		PING,
		{ BLOB_PATH, "Range: bytes=10-\r", "206\nContent-Range: bytes 10-35/36", &BLOB[10] },
		{ 0 },
	};
	static const struct fake_step begins[] = { PING, { BLOB_PATH, "!Range:", "200", BLOB }, { 0 } };
	static const struct fake_step nothing[] = { { 0 } };

	continues_at(script, 10, 10);
	continues_at(begins, 0, 0);
	continues_at(nothing, 36, 36);
}

static void test_blob_starts_over(void)
{
	static const struct fake_step whole[] = { PING, { BLOB_PATH, "Range: bytes=10-", "200", BLOB }, { 0 } };
	static const struct fake_step more[] = { PING, { BLOB_PATH, "!Range:", "200", BLOB }, { 0 } };
	static const char *const wrong[] = {
		"206\nContent-Range: bytes 9-35/36",  "206\nContent-Range: bytes 10-34/36", "206\nContent-Range: bytes 10-35/37",
		"206\nContent-Range: lines 10-35/36", "206",                                "416\nContent-Range: bytes */36",
		"206\nContent-Range: bytes 10-35/36\nContent-Length: 20",
	};

	continues_at(whole, 10, 0);
	continues_at(more, 37, 0);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const struct fake_step script[] = {
			PING,
			{ BLOB_PATH, "Range: bytes=10-", wrong[i], &BLOB[10], .unread = true },
			{ BLOB_PATH, "!Range:", "200", BLOB },
			{ 0 },
		};
		continues_at(script, 10, 0);
	}
}

static void test_blob_is_cut_again(void)
{
	static const struct fake_step script[] = {
		PING,
		{ BLOB_PATH, "Range: bytes=10-", "302\nLocation: /store?sig=a", "" },
		{ "GET /store?sig=a", "Range: bytes=10-", "206\nContent-Range: bytes 10-35/36", &BLOB[10], .cut = 5 },
		{ BLOB_PATH, "Range: bytes=15-", "302\nLocation: /store?sig=b", "" },
		{ "GET /store?sig=b", "Range: bytes=15-", "206\nContent-Range: bytes 15-35/36", &BLOB[15] },
		{ 0 },
	};
	/* what was handed out is not handed out again */
	static const struct fake_step whole[] = {
		PING,
		{ BLOB_PATH, "Range: bytes=10-", "206\nContent-Range: bytes 10-35/36", &BLOB[10], .cut = 5 },
		{ BLOB_PATH, "Range: bytes=15-", "200", BLOB },
		{ 0 },
	};
	static const struct fake_step started_over[] = {
		PING,
		{ BLOB_PATH, "Range: bytes=10-", "200", BLOB, .cut = 5 },
		{ BLOB_PATH, "Range: bytes=5-", "206\nContent-Range: bytes 5-35/36", &BLOB[5] },
		{ 0 },
	};

	continues_at(script, 10, 10);
	continues_at(whole, 10, 10);
	continues_at(started_over, 10, 0);
}

static void test_blob_with_lying_length(void)
{
	static const struct fake_step script[] = { PING, { BLOB_PATH, "Range: bytes=10-", "200", BLOB "more" }, { 0 } };
	VN_AUTO(vn_buf) bytes = VN_BUF(100);
	struct vn_err err = { 0 };
	uint64_t begins = 99;

	CHECK_EQ(blob_from(script, 10, &begins, &bytes, &err), -VN_EDIGEST);
	CHECK_EQ(begins, 99);
}

static void test_web_page_for_a_blob(void)
{
	static const struct fake_step script[] = {
		PING, { BLOB_PATH, NULL, "200\nContent-Type: text/html", "<html>log in</html>" }, { 0 },
	};
	VN_AUTO(vn_buf) bytes = VN_BUF(100);
	struct vn_err err = { 0 };
	uint64_t begins;

	CHECK_EQ(blob_from(script, 10, &begins, &bytes, &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "answered with a web page, expected a blob");
}

/* A byte now and then is no progress. */
static void test_slow_loris(void)
{
	char drops[120];
	struct fake_step script[] = {
		PING,
		{ BLOB_PATH, NULL, "200\nTransfer-Encoding: chunked", drops, .drops = true },
		{ BLOB_PATH, "Range: bytes=", "200", BLOB },
		{ 0 },
	};
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(100);
	VN_AUTO_IN *in = NULL;
	struct fake_world w;
	struct vn_digest digest;
	struct vn_err err = { 0 };
	uint64_t begins;

	size_t n = (size_t)snprintf(drops, sizeof drops, "%zx\r\n", strlen(BLOB));
	snprintf(drops + n, sizeof drops - n, "%s\r\n0\r\n\r\n", BLOB);
	fake_world_open(&w, script);
	w.opt.stall_seconds = 1;
	CHECK_OK(vn_digest_of(BLOB, strlen(BLOB), &digest, &err), &err);
	CHECK_OK(vn_desc_init(&desc, VN_MT_OCI_LAYER, &digest, (int64_t)strlen(BLOB), &err), &err);
	struct vn_source *s = fake_source(&w, "a:1");
	CHECK_OK(vn_registry_blob_from(s, &desc, 0, &begins, &in, &err), &err);
	CHECK_OK(vn_in_read_all(in, &bytes, &err), &err);
	CHECK_STR(vn_buf_text(&bytes), BLOB);
	CHECK_HAS(w.told, "bytes moved between here and");
	vn_in_close(vn_steal(in));
	vn_source_close(s);
	fake_stop(&w.fake);
}

/* The storage behind the registry refuses the link once; the registry gives another one. */
static void test_old_link(void)
{
	static const struct fake_step storage[] = {
		{ "GET /old ", "!Authorization", "403", "<Error>Request has expired</Error>" },
		{ "GET /new ", "Range: bytes=10-", "206\nContent-Range: bytes 10-35/36", &BLOB[10] },
		{ 0 },
	};
	struct fake other;
	char old[64], new[64];

	fake_start(&other, storage);
	snprintf(old, sizeof old, "307\nLocation: http://%s/old", other.host);
	snprintf(new, sizeof new, "307\nLocation: http://%s/new", other.host);
	const struct fake_step script[] = { PING, { BLOB_PATH, NULL, old, "" }, { BLOB_PATH, NULL, new, "" }, { 0 } };
	continues_at(script, 10, 10);
	fake_stop(&other);
}

static void test_token_ends_in_the_middle(void)
{
	static const struct fake_step script[] = {
		{ "GET /v2/ ", NULL, "401\nWWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"x\"", "" },
		{ "GET /token?service=x&scope=repository%3Aa%3Apull ", NULL, "200", "{\"token\":\"one\"}" },
		{ BLOB_PATH, "Authorization: Bearer one", "206\nContent-Range: bytes 10-35/36", &BLOB[10], .cut = 5 },
		{ BLOB_PATH, "Authorization: Bearer one",
		  "401\nWWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"x\",error=\"invalid_token\"", "" },
		{ "GET /token?service=x&scope=repository%3Aa%3Apull ", NULL, "200", "{\"token\":\"two\"}" },
		{ BLOB_PATH, "Authorization: Bearer two\r\n", "206\nContent-Range: bytes 15-35/36", &BLOB[15] },
		{ 0 },
	};

	continues_at(script, 10, 10);
}

/* ---- referrers, and sources that are no registry */
static void test_referrers(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /v2/a/referrers/" D1 "?artifactType=application%2Fx ", NULL, "200\nContent-Type: " VN_MT_OCI_INDEX,
		  "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_INDEX "\",\"manifests\":[{\"mediaType\":\"" VN_MT_OCI_MANIFEST
		  "\",\"digest\":\"" D2 "\",\"size\":7,\"artifactType\":\"application/x\"}]}" },
		{ 0 },
	};
	struct fake_world w;
	VN_AUTO(vn_referrers) found = { 0 };
	struct vn_digest subject;
	struct vn_err err = { 0 };

	fake_world_open(&w, script);
	struct vn_source *s = fake_source(&w, "a:1");
	CHECK_OK(vn_digest_parse(D1, &subject, &err), &err);
	CHECK_OK(vn_registry_referrers_of(s, &subject, "application/x", false, &found, &err), &err);
	CHECK_EQ(found.n, 1);
	CHECK_STR(found.list[0].digest.text, D2);
	vn_source_close(s);
	fake_stop(&w.fake);
}

static int here_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			 struct vn_err *err)
{
	struct vn_digest digest;
	(void)s, (void)child;
	if (vn_digest_of(MANIFEST, strlen(MANIFEST), &digest, err) < 0 || vn_buf_adds(ret_bytes, MANIFEST, err) < 0)
		return -err->code;
	return vn_desc_init(ret_desc, VN_MT_OCI_MANIFEST, &digest, (int64_t)strlen(MANIFEST), err);
}

static int here_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	(void)s, (void)desc;
	return vn_in_memory(BLOB, strlen(BLOB), ret, err);
}

static void test_other_sources(void)
{
	static const struct vn_source_ops ops = { .manifest = here_manifest, .blob = here_blob };
	struct vn_source s = { .ops = &ops };
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(100);
	VN_AUTO(vn_referrers) found = { 0 };
	VN_AUTO_IN *in = NULL;
	struct vn_err err = { 0 };
	uint64_t begins = 99;

	CHECK_OK(vn_registry_head(&s, &desc, &err), &err);
	CHECK_EQ(desc.size, strlen(MANIFEST));
	CHECK_OK(vn_registry_blob_from(&s, &desc, 7, &begins, &in, &err), &err);
	CHECK_EQ(begins, 0);
	CHECK_OK(vn_in_read_all(in, &bytes, &err), &err);
	CHECK_STR(vn_buf_text(&bytes), BLOB);
	CHECK_OK(vn_registry_referrers_of(&s, &desc.digest, NULL, false, &found, &err), &err);
	CHECK_EQ(found.n, 0);
}

int main(void)
{
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	RUN(test_head);
	RUN(test_head_without_digest_becomes_get);
	RUN(test_head_of_nothing);
	RUN(test_head_by_digest);
	RUN(test_captive_portal);
	RUN(test_blob_continues);
	RUN(test_blob_starts_over);
	RUN(test_blob_is_cut_again);
	RUN(test_blob_with_lying_length);
	RUN(test_web_page_for_a_blob);
	RUN(test_slow_loris);
	RUN(test_old_link);
	RUN(test_token_ends_in_the_middle);
	RUN(test_referrers);
	RUN(test_other_sources);
	return vn_test_end();
}
