#include "engine/engine.h"
#include "engine/fake_docker.h"
#include "store/fixture.h"

static void begin(const struct answer *answers)
{
	fixture_begin();
	engine_begin(test_dir, answers);
}

static void end(void)
{
	engine_end();
	fixture_end();
}

static struct vn_ref daemon_ref(const char *name)
{
	struct vn_err err = { 0 };
	struct vn_ref ref = { 0 };
	char text[200];
	snprintf(text, sizeof(text), "docker-daemon:%s", name);
	CHECK_OK(vn_ref_parse(text, &ref, &err), &err);
	return ref;
}

/* ---- the image that put_image makes of a layer */
struct expected {
	char config_id[VN_DIGEST_TEXT], layer_id[VN_DIGEST_TEXT], inspect[1024];
};

static void expect_image(const char *layer, struct expected *x)
{
	struct vn_err err = { 0 };
	struct vn_digest l, c;
	char config[1024];
	CHECK_OK(vn_digest_of(layer, strlen(layer), &l, &err), &err);
	snprintf(config, sizeof(config),
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}", l.text);
	CHECK_OK(vn_digest_of(config, strlen(config), &c, &err), &err);
	snprintf(x->config_id, sizeof(x->config_id), "%s", c.text);
	snprintf(x->layer_id, sizeof(x->layer_id), "%s", l.text);
	snprintf(x->inspect, sizeof(x->inspect), "{\"Id\":\"%s\",\"RootFS\":{\"Type\":\"layers\",\"Layers\":[\"%s\"]}}", c.text, l.text);
}

static void test_source(void)
{
	struct vn_err err = { 0 };
	struct tarball t = { .len = 0 };
	struct expected x;
	char config[1024], json[300];
	expect_image("layer of the engine", &x);
	snprintf(config, sizeof(config),
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}", x.layer_id);
	snprintf(json, sizeof(json), "[{\"Config\":\"c.json\",\"RepoTags\":[\"app:v1\"],\"Layers\":[\"l/layer.tar\"]}]");
	tar_text(&t, "c.json", config);
	tar_text(&t, "l/layer.tar", "layer of the engine");
	tar_text(&t, "manifest.json", json);
	memset(t.at + t.len, 0, 1024);
	const struct answer answers[] = { { "GET /images/app:v1/json", 200, x.inspect, 0 },
					  { "GET /images/app:v1/get", 200, (const char *)t.at, t.len + 1024 },
					  { "GET /images/cut:v1/json", 200, x.inspect, 0 },
					  { "GET /images/cut:v1/get", 200, (const char *)t.at, 600 },
					  { "GET /images/sick:v1/json", 500, "{\"message\":\"disk on fire\"}", 0 },
					  { 0 } };
	begin(answers);
	VN_AUTO_SOURCE *s = NULL, *none = NULL;
	VN_AUTO(vn_ref) ref = daemon_ref("app:v1"), absent = daemon_ref("absent"), cut = daemon_ref("cut:v1"),
			sick = daemon_ref("sick:v1");
	CHECK_OK(vn_docker_daemon_source_open(&ref, NULL, &s, &err), &err);
	if (s)
		check_image(s, "layer of the engine");
	CHECK_EQ(vn_docker_daemon_source_open(&absent, NULL, &none, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "no image absent");
	CHECK_EQ(vn_docker_daemon_source_open(&cut, NULL, &none, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "truncated");
	CHECK_EQ(vn_docker_daemon_source_open(&sick, NULL, &none, &err), -VN_EIO);
	CHECK_HAS(err.text, "disk on fire");
	end();
}

static int send_image(const char *name, const char *layer, bool told, struct vn_err *err)
{
	char text[2048];
	VN_AUTO(vn_ref) ref = daemon_ref(name);
	VN_AUTO_SINK *k = NULL;
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_ref) at = { 0 };
	VN_AUTO_SINK *layout = NULL;
	VN_AUTO_SOURCE *from = NULL;
	struct vn_copy_result result = { 0 };
	int rc = vn_docker_daemon_sink_open(&ref, NULL, &k, err);
	if (rc < 0)
		return rc;
	if (!told) {
		rc = put_image(k, layer, true, text, &desc, err);
		return rc < 0 ? rc : k->ops->commit(k, err);
	}
	at = ref_of("oci", "from:v1");
	CHECK_OK(vn_layout_sink_open(&at, NULL, &layout, err), err);
	CHECK_OK(put_image(layout, layer, true, text, &desc, err), err);
	CHECK_OK(layout->ops->commit(layout, err), err);
	CHECK_OK(vn_layout_source_open(&at, NULL, &from, err), err);
	rc = vn_image_copy(from, NULL, NULL, k, &result, err);
	vn_desc_release(&result.root);
	return rc;
}

static bool loaded_has(const char *text)
{
	return memmem(engine.loaded, engine.nloaded, text, strlen(text)) != NULL;
}

static void test_sink(void)
{
	struct vn_err err = { 0 };
	struct expected x;
	expect_image("new layer", &x);
	const struct answer answers[] = { { "POST /images/load", 200, "{\"stream\":\"Loaded image: app:v1\\n\"}\r\n", 0 },
					  { "GET /images/app:v1/json", 200, x.inspect, 0 },
					  { 0 } };
	begin(answers);
	CHECK_OK(send_image("app:v1", "new layer", false, &err), &err);
	CHECK(loaded_has("new layer"));
	CHECK(loaded_has("\"RepoTags\":[\"app:v1\"]"));
	CHECK(loaded_has("docker.io/library/app:v1"));
	CHECK_EQ(engine.nloaded % 512, 0);
	VN_AUTO(vn_ref) ref = daemon_ref("app:v1");
	VN_AUTO_SINK *k = NULL;
	VN_AUTO(vn_desc) now = { 0 };
	CHECK_OK(vn_docker_daemon_sink_open(&ref, NULL, &k, &err), &err);
	CHECK_OK(k->ops->current(k, &now, &err), &err);
	CHECK_STR(now.digest.text, x.config_id);
	vn_sink_close(vn_steal(k));
	end();
}

static void test_left_out(void)
{
	struct vn_err err = { 0 };
	struct expected x;
	expect_image("base layer", &x);
	const struct answer classic[] = { { "GET /info", 200, "{\"Driver\":\"overlay2\",\"DriverStatus\":[[\"a\",\"b\"]]}", 0 },
					  { "GET /images/json", 200, "[{\"Id\":\"sha256:gone\"},{\"Id\":\"sha256:base\"}]", 0 },
					  { "GET /images/sha256:base/json", 200, x.inspect, 0 },
					  { "GET /images/app:v1/json", 200, x.inspect, 0 },
					  { "POST /images/load", 200, "{\"stream\":\"Loaded image: app:v1\\n\"}\r\n", 0 },
					  { 0 } };
	begin(classic);
	CHECK_OK(send_image("app:v1", "base layer", true, &err), &err);
	CHECK(!loaded_has("base layer"));
	CHECK(loaded_has(x.layer_id + 7));
	end();

	struct answer containerd[6];
	memcpy(containerd, classic, sizeof(classic));
	containerd[0].body = "{\"Driver\":\"overlayfs\",\"DriverStatus\":[[\"driver-type\",\"io.containerd.snapshotter.v1\"]]}";
	begin(containerd);
	CHECK_OK(send_image("app:v1", "base layer", true, &err), &err);
	CHECK(loaded_has("base layer"));
	end();
}

static void test_load_fails(void)
{
	struct vn_err err = { 0 };
	struct expected x, other;
	expect_image("new layer", &x);
	expect_image("other layer", &other);
	struct answer answers[] = { { "POST /images/load", 200, "", 0 }, { "GET /images/app:v1/json", 200, x.inspect, 0 }, { 0 } };
	begin(answers);
	answers[0].body = "{\"stream\":\"Loading\"}\r\n{\"errorDetail\":{\"message\":\"no space\"},\"error\":\"no space\"}\r\n";
	CHECK_EQ(send_image("app:v1", "new layer", false, &err), -VN_EIO);
	CHECK_HAS(err.text, "no space");
	answers[0].body = "{\"stream\":\"Error unpacking image app:v1: gone\\n\"}\r\n";
	CHECK_EQ(send_image("app:v1", "new layer", false, &err), -VN_EIO);
	CHECK_HAS(err.text, "gone");
	answers[0].body = "{\"stream\":\"Loaded image: app:v1\\n\"}\r\n";
	answers[1].body = other.inspect;
	CHECK_EQ(send_image("app:v1", "new layer", false, &err), -VN_EIO);
	CHECK_HAS(err.text, "instead of");
	answers[1].status = 404;
	CHECK_EQ(send_image("app:v1", "new layer", false, &err), -VN_ENOTFOUND);
	answers[0].status = 500;
	answers[0].body = "not json";
	CHECK_EQ(send_image("app:v1", "new layer", false, &err), -VN_EIO);
	CHECK_HAS(err.text, "not json");
	end();
}

static void test_nobody(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_ref) ref = daemon_ref("app:v1");
	VN_AUTO_SOURCE *s = NULL;
	setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	CHECK_EQ(vn_docker_daemon_source_open(&ref, NULL, &s, &err), -VN_ENETWORK);
	CHECK_HAS(err.hint, "DOCKER_HOST");
	setenv("DOCKER_HOST", "tcp://127.0.0.1:1", 1);
	CHECK_EQ(vn_docker_daemon_source_open(&ref, NULL, &s, &err), -VN_ENETWORK);
	setenv("DOCKER_HOST", "ssh://somewhere", 1);
	CHECK_EQ(vn_docker_daemon_source_open(&ref, NULL, &s, &err), -VN_EUSAGE);
	setenv("DOCKER_HOST", "tcp://", 1);
	CHECK_EQ(vn_docker_daemon_source_open(&ref, NULL, &s, &err), -VN_EUSAGE);
}

int main(void)
{
	RUN(test_source);
	RUN(test_sink);
	RUN(test_left_out);
	RUN(test_load_fails);
	RUN(test_nobody);
	return vn_test_end();
}
