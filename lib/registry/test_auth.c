/* The whole exchange with a registry that wants proof, seen through a source or a sink. */
#include "registry/fake.h"
#include "util/limits.h"

#define DOC                                                                                                            \
	"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"     \
	"\"application/vnd.oci.image.config.v1+json\",\"digest\":"                                                      \
	"\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},\"layers\":[]}"
#define TYPE "\nContent-Type: application/vnd.oci.image.manifest.v1+json"
#define WANT(more) "401\nWWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"reg\"" more
#define PING { "GET /v2/ ", "!Authorization", WANT(""), "" }
#define GOT(token) "200", "{\"token\":\"" token "\",\"expires_in\":3600}"
#define MANIFEST "GET /v2/a/manifests/1 "

static char folder[] = "/tmp/veneer-test-auth-XXXXXX";

static int fetch_from(struct fake_world *w, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO_SOURCE *s = fake_source(w, "a:1");
	return s->ops->manifest(s, NULL, &bytes, &desc, err);
}

static int fetch(const struct fake_step *script, const char *user, const char *password, struct vn_err *err)
{
	struct fake_world w;
	fake_world_open(&w, script);
	w.opt.username = user;
	w.opt.password = password;
	int n = fetch_from(&w, err);
	CHECK(!password || !strstr(w.told, password));
	fake_stop(&w.fake);
	return n;
}

static void test_anonymous_token(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?service=reg&scope=repository%3Aa%3Apull ", "!Authorization", GOT("t1") },
		{ MANIFEST, "Authorization: Bearer t1\r", "200" TYPE, DOC },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(fetch(script, NULL, NULL, &err), &err);
}

static void test_basic_for_the_token(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?service=reg&scope=repository%3Aa%3Apull&account=u ", "Authorization: Basic dTpzZWNyZXQ=\r", GOT("t1") },
		{ MANIFEST, "Authorization: Bearer t1\r", "200" TYPE, DOC },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(fetch(script, "u", "secret", &err), &err);
}

static void test_basic(void)
{
	static const struct fake_step script[] = {
		{ "GET /v2/ ", "!Authorization", "401\nWWW-Authenticate: Negotiate\nWWW-Authenticate: Basic realm=x", "" },
		{ MANIFEST, "Authorization: Basic dTpzZWNyZXQ=\r", "200" TYPE, DOC },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(fetch(script, "u", "secret", &err), &err);
}

static void test_identity_token(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "POST /token ", "grant_type=refresh_token&service=reg&client_id=veneer&scope=repository%3Aa%3Apull&refresh_token=secret",
		  "200", "{\"access_token\":\"t1\"}" },
		{ MANIFEST, "Authorization: Bearer t1\r", "200" TYPE, DOC },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(fetch(script, "<token>", "secret", &err), &err);
	CHECK_OK(fetch(script, "00000000-0000-0000-0000-000000000000", "secret", &err), &err);
}

static void test_identity_token_without_post(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "POST /token ", NULL, "404", "" },
		{ "GET /token?service=reg&scope=repository%3Aa%3Apull&account=00000000-", "Authorization: Basic", GOT("t1") },
		{ MANIFEST, "Authorization: Bearer t1\r", "200" TYPE, DOC },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(fetch(script, "00000000-0000-0000-0000-000000000000", "secret", &err), &err);
}

static void test_refused_by_token_server(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?", NULL, "401", "{\"details\":\"incorrect username or password\"}" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "u", "secret", &err), -VN_EAUTH);
	CHECK_HAS(err.text, "refused the credentials for pull of a (401 from its token server 127.0.0.1: incorrect username or "
			    "password); they came from the command line");
	CHECK_HAS(err.hint, "veneer login 127.0.0.1:");
}

static void test_refused_after_a_fresh_token(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?", NULL, GOT("t1") },
		{ MANIFEST, "Bearer t1", WANT(",scope=\"repository:a:pull\",error=\"insufficient_scope\""),
		  "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"requested access\"}]}" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, NULL, NULL, &err), -VN_EAUTH);
	CHECK_HAS(err.text, "wants credentials for pull of a (401 DENIED: requested access) and none were found");
}

static void test_scope_of_the_registry(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?service=reg&scope=repository%3Aa%3Apull ", NULL, GOT("t1") },
		{ MANIFEST, "Bearer t1", WANT(",scope=\"repository:prefix/a:pull\",error=\"insufficient_scope\""), "" },
		{ "GET /token?service=reg&scope=repository%3Aprefix%2Fa%3Apull&scope=repository%3Aa%3Apull ", NULL, GOT("t2") },
		{ MANIFEST, "Bearer t2", "200" TYPE, DOC },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(fetch(script, NULL, NULL, &err), &err);
}

static void test_forbidden(void)
{
	static const struct fake_step script[] = {
		{ "GET /v2/ ", NULL, "401\nWWW-Authenticate: Basic realm=x", "" },
		{ MANIFEST, NULL, "403", "" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(script, "u", "secret", &err), -VN_EAUTH);
	CHECK_HAS(err.text, "does not allow pull of a (403); the credentials came from the command line");
}

static void test_busy_token_server(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?", NULL, "503", "" },
		{ "GET /token?", NULL, GOT("t1") },
		{ MANIFEST, "Bearer t1", "200" TYPE, DOC },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(fetch(script, NULL, NULL, &err), &err);
}

static void test_bad_token_servers(void)
{
	static const struct fake_step html[] = { PING, { "GET /token?", NULL, "200", "<html>" }, { 0 } };
	static const struct fake_step broken[] = { { "GET /v2/ ", NULL, "401\nWWW-Authenticate: Bearer realm=\"x", "" }, { 0 } };
	static const struct fake_step foreign[] = {
		{ "GET /v2/ ", NULL, "401\nWWW-Authenticate: Bearer realm=\"file:///etc\"", "" }, { 0 }
	};
	struct vn_err err = { 0 };
	CHECK_EQ(fetch(html, NULL, NULL, &err), -VN_EFORMAT);
	CHECK_EQ(fetch(broken, NULL, NULL, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "the quote at offset");
	CHECK_EQ(fetch(foreign, NULL, NULL, &err), -VN_EFORMAT);
}

/* A token that expires between the last blob byte and the manifest, and one in the middle of a blob's PUT. */
static void test_expiry_while_pushing(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?service=reg&scope=repository%3Aa%3Apull%2Cpush ", NULL, GOT("t1") },
		{ "POST /v2/a/blobs/uploads/ ", "Bearer t1", "202\nLocation: /up/1", "" },
		{ "PUT /up/1?digest=", "Bearer t1", WANT(",error=\"invalid_token\""), "" },
		{ "GET /token?", NULL, GOT("t2") },
		{ "POST /v2/a/blobs/uploads/ ", "Bearer t2", "202\nLocation: /up/2", "" },
		{ "PUT /up/2?digest=", "Bearer t2", "201", "" },
		{ "PUT /v2/a/manifests/1 ", "Bearer t2", WANT(""), "" },
		{ "GET /token?", NULL, GOT("t3") },
		{ "PUT /v2/a/manifests/1 ", "Bearer t3", "201", "" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_body) body = { 0 };
	struct vn_digest digest;

	CHECK_OK(vn_digest_of(DOC, strlen(DOC), &digest, &err), &err);
	CHECK_OK(vn_desc_init(&desc, VN_MT_OCI_MANIFEST, &digest, (int64_t)strlen(DOC), &err), &err);
	vn_body_memory(DOC, strlen(DOC), &body);
	fake_world_open(&w, script);
	struct vn_sink *k = fake_sink(&w, "a:1");
	CHECK_OK(k->ops->put_blob(k, &desc, &body, &err), &err);
	CHECK_OK(k->ops->put_manifest(k, &desc, DOC, strlen(DOC), true, &err), &err);
	CHECK(!strstr(w.told, "t2"));
	vn_sink_close(k);
	fake_stop(&w.fake);
}

static void test_expiry_while_pulling(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?", NULL, GOT("t1") },
		{ "GET /v2/a/blobs/", "Bearer t1", "200", DOC, .cut = 50 },
		{ "GET /v2/a/blobs/", "Range: bytes=50-", "401", "" },
		{ "GET /token?", NULL, GOT("t2") },
		{ "GET /v2/a/blobs/", "Bearer t2", "200", DOC },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(10000);
	struct vn_digest digest;
	struct vn_in *in = NULL;

	CHECK_OK(vn_digest_of(DOC, strlen(DOC), &digest, &err), &err);
	CHECK_OK(vn_desc_init(&desc, VN_MT_OCI_LAYER, &digest, (int64_t)strlen(DOC), &err), &err);
	fake_world_open(&w, script);
	struct vn_source *s = fake_source(&w, "a:1");
	CHECK_OK(s->ops->blob(s, &desc, &in, &err), &err);
	CHECK_OK(in ? vn_in_read_all(in, &bytes, &err) : -1, &err);
	CHECK_STR(vn_buf_text(&bytes), DOC);
	vn_in_close(in);
	vn_source_close(s);
	fake_stop(&w.fake);
}

static void test_mount_asks_for_both(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?service=reg&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ax%3Apull ", NULL, GOT("t1") },
		{ "POST /v2/a/blobs/uploads/?mount=", "Bearer t1", "201", "" },
		{ "HEAD /v2/a/blobs/", "Bearer t1", "200", "" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_ref) from = { 0 };
	struct vn_digest digest;
	bool done = false;

	CHECK_OK(vn_digest_of(DOC, strlen(DOC), &digest, &err), &err);
	CHECK_OK(vn_desc_init(&desc, VN_MT_OCI_LAYER, &digest, (int64_t)strlen(DOC), &err), &err);
	fake_world_open(&w, script);
	fake_ref(&w, "x:1", &from);
	struct vn_sink *k = fake_sink(&w, "a:1");
	CHECK_OK(k->ops->mount_blob(k, &desc, &from, &done, &err), &err);
	CHECK(done);
	CHECK_OK(k->ops->has_blob(k, &desc, &done, &err), &err);
	vn_sink_close(k);
	fake_stop(&w.fake);
}

/* ---- login and logout */
static void read_file(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(out, 1, size - 1, f) : 0;
	out[n] = 0;
	if (f)
		fclose(f);
}

static void test_login(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "GET /token?service=reg&account=u ", "Authorization: Basic dTpzZWNyZXQ=", GOT("t1") },
		{ "GET /v2/ ", "Bearer t1", "200", "" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	char path[200], text[2000];
	char *stored = NULL, *from = NULL;

	snprintf(path, sizeof path, "%s/sub/config.json", folder);
	fake_world_open(&w, script);
	w.opt.authfile = path;
	CHECK_OK(vn_registry_login(w.fake.host, "u", "secret", &w.opt, &w.events, &stored, &err), &err);
	CHECK_STR(stored, path);
	read_file(path, text, sizeof text);
	CHECK_HAS(text, "\"auth\": \"dTpzZWNyZXQ=\"");
	CHECK_OK(vn_registry_logout(w.fake.host, &w.opt, &w.events, &from, &err), &err);
	CHECK_STR(from, path);
	read_file(path, text, sizeof text);
	CHECK(!strstr(text, "dTpzZWNyZXQ="));
	CHECK_EQ(vn_registry_logout(w.fake.host, &w.opt, &w.events, &from, &err), -VN_ENOTFOUND);
	free(stored);
	free(from);
	fake_stop(&w.fake);
}

static void test_login_refused(void)
{
	static const struct fake_step script[] = {
		{ "GET /v2/ ", "!Authorization", "401\nWWW-Authenticate: Basic realm=x", "" },
		{ "GET /v2/ ", "Authorization: Basic", "401\nWWW-Authenticate: Basic realm=x",
		  "{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	char *stored = NULL;

	fake_world_open(&w, script);
	CHECK_EQ(vn_registry_login(w.fake.host, "u", "secret", &w.opt, &w.events, &stored, &err), -VN_EAUTH);
	CHECK_HAS(err.text, "refused the credentials for login (401 UNAUTHORIZED)");
	CHECK(!stored);
	fake_stop(&w.fake);
}

static void test_login_names(void)
{
	struct vn_err err = { 0 };
	char *stored = NULL;

	CHECK_EQ(vn_registry_login("host/path", "u", "p", NULL, NULL, &stored, &err), -VN_EUSAGE);
	CHECK_EQ(vn_registry_login("a b", "u", "p", NULL, NULL, &stored, &err), -VN_EUSAGE);
	CHECK_EQ(vn_registry_login("host", "u:v", "p", NULL, NULL, &stored, &err), -VN_EUSAGE);
	CHECK_EQ(vn_registry_login("host", "u", "", NULL, NULL, &stored, &err), -VN_EUSAGE);
}

int main(void)
{
	struct vn_err err = { 0 };

	if (!mkdtemp(folder))
		return 1;
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	RUN(test_anonymous_token);
	RUN(test_basic_for_the_token);
	RUN(test_basic);
	RUN(test_identity_token);
	RUN(test_identity_token_without_post);
	RUN(test_refused_by_token_server);
	RUN(test_refused_after_a_fresh_token);
	RUN(test_scope_of_the_registry);
	RUN(test_forbidden);
	RUN(test_busy_token_server);
	RUN(test_bad_token_servers);
	RUN(test_expiry_while_pushing);
	RUN(test_expiry_while_pulling);
	RUN(test_mount_asks_for_both);
	RUN(test_login);
	RUN(test_login_refused);
	RUN(test_login_names);
	vn_fs_remove_tree(folder, &err);
	return vn_test_end();
}
