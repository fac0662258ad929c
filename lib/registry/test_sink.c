#include "registry/fake.h"
#include "util/limits.h"

#define PING { "GET /v2/ ", "!Authorization", "200", "{}" }
#define BLOB "0123456789abcdefghijklmnopqrstuvwxyz"
#define DIGEST "sha256:74e7e5bb9d22d6db26bf76946d40fff3ea9f0346b884fd0694920fccfad15e33"
#define POST { "POST /v2/a/blobs/uploads/ ", "Content-Length: 0", "202\nLocation: /v2/a/up/1?_state=x%3D", "" }
#define PUT_1 "PUT /v2/a/up/1?_state=x%3D&digest=" DIGEST " "

static void describe(const char *text, const char *type, struct vn_desc *desc)
{
	struct vn_err err = { 0 };
	struct vn_digest digest;
	CHECK_OK(vn_digest_of(text, strlen(text), &digest, &err), &err);
	CHECK_OK(vn_desc_init(desc, type, &digest, (int64_t)strlen(text), &err), &err);
}

static int push_on(struct fake_world *w, const char *text, struct vn_err *err)
{
	VN_AUTO_SINK *k = fake_sink(w, "a:1");
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_body) body = { 0 };

	describe(text, VN_MT_OCI_LAYER, &desc);
	vn_body_memory(text, strlen(text), &body);
	return k->ops->put_blob(k, &desc, &body, err);
}

static int push(const struct fake_step *script, struct vn_err *err)
{
	struct fake_world w;
	fake_world_open(&w, script);
	int n = push_on(&w, BLOB, err);
	fake_stop(&w.fake);
	return n;
}

static void test_put(void)
{
	static const struct fake_step script[] = { PING, POST, { PUT_1, "\r\n\r\n" BLOB, "201", "" }, { 0 } };
	struct vn_err err = { 0 };
	CHECK_OK(push(script, &err), &err);
}

static void test_absolute_location(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "POST /v2/a/blobs/uploads/ ", NULL, "202\nLocation: http://%s/up", "" },
		{ "PUT /up?digest=" DIGEST " ", "!Expect", "204", "" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(push(script, &err), &err);
}

static void test_every_try_is_a_new_session(void)
{
	static const struct fake_step script[] = {
		PING,
		POST,
		{ PUT_1, NULL, "503", "" },
		{ "POST /v2/a/blobs/uploads/ ", NULL, "202\nLocation: /up/2", "" },
		{ "PUT /up/2?digest=", NULL, "404", "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\"}]}" },
		{ "POST /v2/a/blobs/uploads/ ", NULL, "202\nLocation: /up/3", "" },
		{ "PUT /up/3?digest=", "\r\n\r\n" BLOB, "201", "" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(push(script, &err), &err);
}

static void test_refused_digest(void)
{
	static const struct fake_step script[] = {
		PING,
		POST,
		{ PUT_1, NULL, "400", "{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"no match\"}]}" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_EQ(push(script, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "DIGEST_INVALID: no match to the push to a");
}

static void test_too_large_goes_in_pieces(void)
{
	static const struct fake_step script[] = {
		PING,
		POST,
		{ "PUT /v2/a/up/1?_state=x%3D&digest=", NULL, "413", "<html>413 Request Entity Too Large</html>" },
		{ "POST /v2/a/blobs/uploads/ ", NULL, "202\nLocation: /up/2?s=0\nOCI-Chunk-Min-Length: 10", "" },
		{ "PATCH /up/2?s=0 ", "Content-Range: 0-262143\r", "202\nLocation: /up/2?s=1\nRange: 0-262143", "" },
		{ "PATCH /up/2?s=1 ", "Content-Range: 262144-524287\r", "201\nLocation: /up/2?s=2", "" },
		{ "PATCH /up/2?s=2 ", "Content-Range: 524288-599999\r", "202\nLocation: /up/2?s=3", "" },
		{ "PUT /up/2?s=3&digest=sha256:", "Content-Length: 0\r", "201", "" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	char *text = malloc(600001);

	memset(text, 'x', 600000);
	text[600000] = 0;
	fake_world_open(&w, script);
	w.opt.chunk = 1000;
	CHECK_OK(push_on(&w, text, &err), &err);
	fake_stop(&w.fake);
	free(text);
}

static void test_too_large_at_all(void)
{
	static const struct fake_step script[] = { PING, POST, { PUT_1, NULL, "413", "" }, { 0 } };
	struct vn_err err = { 0 };
	CHECK_EQ(push(script, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "too large (413)");
}

static void test_has_blob(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "HEAD /v2/a/blobs/" DIGEST " ", NULL, "200", "" },
		{ "HEAD /v2/a/blobs/" DIGEST " ", NULL, "404", "" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	bool has = false;

	describe(BLOB, VN_MT_OCI_LAYER, &desc);
	fake_world_open(&w, script);
	struct vn_sink *k = fake_sink(&w, "a:1");
	CHECK_OK(k->ops->has_blob(k, &desc, &has, &err), &err);
	CHECK(has);
	CHECK_OK(k->ops->has_blob(k, &desc, &has, &err), &err);
	CHECK(!has);
	vn_sink_close(k);
	fake_stop(&w.fake);
}

static bool mount(const struct fake_step *script, bool then_put)
{
	struct fake_world w;
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_body) body = { 0 };
	VN_AUTO(vn_ref) from = { 0 };
	bool mounted = false;

	describe(BLOB, VN_MT_OCI_LAYER, &desc);
	vn_body_memory(BLOB, strlen(BLOB), &body);
	fake_world_open(&w, script);
	fake_ref(&w, "x/y:1", &from);
	struct vn_sink *k = fake_sink(&w, "a:1");
	CHECK_OK(k->ops->mount_blob(k, &desc, &from, &mounted, &err), &err);
	if (then_put)
		CHECK_OK(k->ops->put_blob(k, &desc, &body, &err), &err);
	vn_sink_close(k);
	fake_stop(&w.fake);
	return mounted;
}

#define MOUNT "POST /v2/a/blobs/uploads/?mount=" DIGEST "&from=x%2Fy "
static void test_mount(void)
{
	static const struct fake_step done[] = { PING, { MOUNT, NULL, "201", "" }, { 0 } };
	static const struct fake_step session[] = {
		PING,
		{ MOUNT, NULL, "202\nLocation: /up/9", "" },
		{ "PUT /up/9?digest=", NULL, "201", "" },
		{ 0 },
	};
	static const struct fake_step denied[] = {
		PING,
		{ MOUNT, NULL, "401", "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"project x not found\"}]}" },
		POST,
		{ PUT_1, NULL, "201", "" },
		{ 0 },
	};
	CHECK(mount(done, false));
	CHECK(!mount(session, true));
	CHECK(!mount(denied, true));
}

static void test_mount_needs_one_registry(void)
{
	static const struct fake_step none[] = { { 0 } };
	struct fake_world w;
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_ref) from = { 0 };
	bool mounted = true;

	describe(BLOB, VN_MT_OCI_LAYER, &desc);
	CHECK_OK(vn_ref_parse("other.example/x:1", &from, &err), &err);
	fake_world_open(&w, none);
	struct vn_sink *k = fake_sink(&w, "a:1");
	CHECK_OK(k->ops->mount_blob(k, &desc, &from, &mounted, &err), &err);
	CHECK(!mounted);
	vn_sink_close(k);
	fake_stop(&w.fake);
}

#define DOC "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}"
static int put_manifest(const struct fake_step *script, const char *type, bool tagged, struct vn_err *err)
{
	struct fake_world w;
	VN_AUTO(vn_desc) desc = { 0 };

	describe(DOC, type, &desc);
	fake_world_open(&w, script);
	struct vn_sink *k = fake_sink(&w, "a:1");
	int n = k->ops->put_manifest(k, &desc, DOC, strlen(DOC), tagged, err);
	vn_sink_close(k);
	fake_stop(&w.fake);
	return n;
}

static void test_put_manifest(void)
{
	static const struct fake_step tagged[] = {
		PING,
		{ "PUT /v2/a/manifests/1 ", "Content-Type: " VN_MT_OCI_MANIFEST "\r", "503", "" },
		{ "PUT /v2/a/manifests/1 ", DOC, "201", "" },
		{ 0 },
	};
	static const struct fake_step child[] = { PING, { "PUT /v2/a/manifests/sha256:", NULL, "201", "" }, { 0 } };
	static const struct fake_step other[] = {
		PING,
		{ "PUT /v2/a/manifests/1 ", NULL, "201\nDocker-Content-Digest: " DIGEST, "" },
		{ 0 },
	};
	static const struct fake_step refused[] = {
		PING,
		{ "PUT /v2/a/manifests/1 ", NULL, "415", "{\"errors\":[{\"code\":\"MANIFEST_INVALID\"}]}" },
		{ 0 },
	};
	struct vn_err err = { 0 };
	CHECK_OK(put_manifest(tagged, VN_MT_OCI_MANIFEST, true, &err), &err);
	CHECK_OK(put_manifest(child, VN_MT_OCI_MANIFEST, false, &err), &err);
	CHECK_EQ(put_manifest(other, VN_MT_OCI_MANIFEST, true, &err), -VN_EDIGEST);
	CHECK_EQ(put_manifest(refused, VN_MT_DOCKER_MANIFEST, true, &err), -VN_EFORMAT);
	CHECK_HAS(err.hint, "only OCI media types");
}

static void test_current(void)
{
	static const struct fake_step script[] = {
		PING,
		{ "HEAD /v2/a/manifests/1 ", NULL,
		  "200\nContent-Type: " VN_MT_OCI_INDEX "\nDocker-Content-Digest: " DIGEST "\nContent-Length: 36", "" },
		{ "HEAD /v2/a/manifests/1 ", NULL, "200\nContent-Type: " VN_MT_OCI_INDEX, "" },
		{ "GET /v2/a/manifests/1 ", NULL, "200\nContent-Type: " VN_MT_OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[]}" },
		{ "HEAD /v2/a/manifests/1 ", NULL, "404", "" },
		{ 0 },
	};
	struct fake_world w;
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) one = { 0 };
	VN_AUTO(vn_desc) two = { 0 };
	VN_AUTO(vn_desc) three = { 0 };

	fake_world_open(&w, script);
	struct vn_sink *k = fake_sink(&w, "a:1");
	CHECK_OK(k->ops->current(k, &one, &err), &err);
	CHECK_STR(one.digest.text, DIGEST);
	CHECK_EQ(one.size, 36);
	CHECK_OK(k->ops->current(k, &two, &err), &err);
	CHECK_STR(two.media_type, VN_MT_OCI_INDEX);
	CHECK_EQ(two.size, 34);
	CHECK_EQ(k->ops->current(k, &three, &err), -VN_ENOTFOUND);
	vn_sink_close(k);
	fake_stop(&w.fake);
}

static void test_body_that_ends_early(void)
{
	static const struct fake_step script[] = { PING, POST, { PUT_1, "!" BLOB, "400", "" }, { 0 } };
	struct fake_world w;
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_body) body = { 0 };

	describe(BLOB, VN_MT_OCI_LAYER, &desc);
	vn_body_memory(BLOB, strlen(BLOB) - 1, &body);
	fake_world_open(&w, script);
	struct vn_sink *k = fake_sink(&w, "a:1");
	CHECK_EQ(k->ops->put_blob(k, &desc, &body, &err), -VN_EDIGEST);
	vn_sink_close(k);
	fake_stop(&w.fake);
}

int main(void)
{
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	RUN(test_put);
	RUN(test_absolute_location);
	RUN(test_every_try_is_a_new_session);
	RUN(test_refused_digest);
	RUN(test_too_large_goes_in_pieces);
	RUN(test_too_large_at_all);
	RUN(test_has_blob);
	RUN(test_mount);
	RUN(test_mount_needs_one_registry);
	RUN(test_put_manifest);
	RUN(test_current);
	RUN(test_body_that_ends_early);
	return vn_test_end();
}
