#include "store/archive.h"
#include "store/fixture.h"
#include <fcntl.h>
#include <unistd.h>

typedef int (*sink_open)(const struct vn_ref *ref, const struct vn_events *events, struct vn_sink **ret, struct vn_err *err);
typedef int (*source_open)(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret, struct vn_err *err);

static int write_image(sink_open open_sink, const char *scheme, const char *rest, const char *layer, struct vn_desc *ret,
		       struct vn_err *err)
{
	char manifest[2048];
	VN_AUTO(vn_ref) ref = ref_of(scheme, rest);
	VN_AUTO_SINK *k = NULL;
	int rc = open_sink(&ref, NULL, &k, err);
	if (rc == 0)
		rc = put_image(k, layer, true, manifest, ret, err);
	return rc < 0 ? rc : k->ops->commit(k, err);
}

static int open_archive(source_open open_source, const char *scheme, const char *rest, struct vn_source **ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = ref_of(scheme, rest);
	return open_source(&ref, NULL, ret, err);
}

static int open_docker(const char *rest, struct vn_source **ret, struct vn_err *err)
{
	return open_archive(vn_docker_archive_source_open, "docker-archive", rest, ret, err);
}

static void check_layer(source_open open_source, const char *scheme, const char *rest, const char *layer, const char *digest)
{
	struct vn_err err = { 0 };
	VN_AUTO_SOURCE *s = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(4096);
	VN_AUTO(vn_desc) desc = { 0 };
	CHECK_OK(open_archive(open_source, scheme, rest, &s, &err), &err);
	if (!s)
		return;
	check_image(s, layer);
	CHECK_OK(vn_source_manifest(s, NULL, &bytes, &desc, &err), &err);
	if (digest)
		CHECK_STR(desc.digest.text, digest);
}

static void same_files(const char *a, const char *b)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) x = VN_BUF(1 << 20), y = VN_BUF(1 << 20);
	CHECK_OK(vn_fs_read(a, &x, &err), &err);
	CHECK_OK(vn_fs_read(b, &y, &err), &err);
	CHECK_EQ(x.len, y.len);
	CHECK(x.len == y.len && !memcmp(x.data, y.data, x.len));
}

static void test_oci_roundtrip(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) a = { 0 }, b = { 0 }, c = { 0 };
	VN_AUTO_SOURCE *s = NULL;
	fixture_begin();
	CHECK_OK(write_image(vn_oci_archive_sink_open, "oci-archive", "a.tar:v1", "one", &a, &err), &err);
	CHECK_OK(write_image(vn_oci_archive_sink_open, "oci-archive", "b.tar:v1", "one", &b, &err), &err);
	same_files(below("a.tar"), below("b.tar"));
	check_layer(vn_oci_archive_source_open, "oci-archive", "a.tar", "one", a.digest.text);
	check_layer(vn_oci_archive_source_open, "oci-archive", "a.tar:v1", "one", a.digest.text);
	CHECK_EQ(open_archive(vn_oci_archive_source_open, "oci-archive", "a.tar:v2", &s, &err), -VN_ENOTFOUND);
	CHECK_OK(write_image(vn_oci_archive_sink_open, "oci-archive", "a.tar:v1", "two", &c, &err), &err);
	check_layer(vn_oci_archive_source_open, "oci-archive", "a.tar:v1", "two", c.digest.text);
	vn_desc_release(&c);
	CHECK_EQ(write_image(vn_oci_archive_sink_open, "oci-archive", "a.tar:v9", "two", &c, &err), -VN_EREFUSED);
	CHECK_OK(vn_fs_replace(below("text"), "hello", 5, 0644, &err), &err);
	CHECK_EQ(write_image(vn_oci_archive_sink_open, "oci-archive", "text:v1", "two", &c, &err), -VN_EREFUSED);
	CHECK_HAS(err.hint, "another file");
	CHECK_EQ(open_archive(vn_oci_archive_source_open, "oci-archive", "text", &s, &err), -VN_EFORMAT);

	VN_AUTO(vn_buf) tar = VN_BUF(1 << 20);
	uint8_t gz[8192];
	CHECK_OK(vn_fs_read(below("b.tar"), &tar, &err), &err);
	size_t n = gzip_of(tar.data, tar.len, gz, sizeof(gz));
	CHECK_OK(vn_fs_replace(below("b.tgz"), gz, n, 0644, &err), &err);
	check_layer(vn_oci_archive_source_open, "oci-archive", "b.tgz", "one", b.digest.text);
	fixture_end();
}

static void test_docker_roundtrip(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) a = { 0 }, b = { 0 }, now = { 0 };
	VN_AUTO_SOURCE *s = NULL;
	VN_AUTO_SINK *k = NULL;
	VN_AUTO(vn_ref) ref = { 0 };
	fixture_begin();
	CHECK_OK(write_image(vn_docker_archive_sink_open, "docker-archive", "a.tar:app:v1", "one", &a, &err), &err);
	check_layer(vn_docker_archive_source_open, "docker-archive", "a.tar", "one", a.digest.text);
	check_layer(vn_docker_archive_source_open, "docker-archive", "a.tar:app:v1", "one", a.digest.text);
	check_layer(vn_docker_archive_source_open, "docker-archive", "a.tar:docker.io/library/app:v1", "one", a.digest.text);
	check_layer(vn_oci_archive_source_open, "oci-archive", "a.tar:v1", "one", a.digest.text);
	CHECK_EQ(open_docker("a.tar:app:v2", &s, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.hint, "app:v1");
	CHECK_EQ(write_image(vn_docker_archive_sink_open, "docker-archive", "a.tar:other:v1", "one", &b, &err), -VN_EREFUSED);
	ref = ref_of("docker-archive", "a.tar:app:v1");
	CHECK_OK(vn_docker_archive_sink_open(&ref, NULL, &k, &err), &err);
	CHECK_OK(k->ops->current(k, &now, &err), &err);
	CHECK_STR(now.digest.text, a.digest.text);
	fixture_end();
}

static void test_abandoned(void)
{
	struct vn_err err = { 0 };
	char manifest[2048];
	VN_AUTO(vn_desc) a = { 0 }, none = { 0 };
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO_SINK *k = NULL;
	fixture_begin();
	ref = ref_of("oci-archive", "a.tar:v1");
	CHECK_OK(vn_oci_archive_sink_open(&ref, NULL, &k, &err), &err);
	CHECK_EQ(k->ops->current(k, &none, &err), -VN_ENOTFOUND);
	CHECK_OK(put_image(k, "one", true, manifest, &a, &err), &err);
	CHECK(!vn_fs_exists(below("a.tar")));
	vn_sink_close(vn_steal(k));
	CHECK(!vn_fs_exists(below("a.tar")));
	CHECK(rmdir(test_dir) == 0);
}

/* ---- archives as engines of all ages write them */
struct saved {
	struct tarball t;
	char layers[3][64];               /* contents */
	struct vn_digest diff_ids[3];
	char config[1024], config_name[80];
};

static void saved_begin(struct saved *s, const char *salt)
{
	struct vn_err err = { 0 };
	struct vn_digest digest;
	*s = (struct saved){ .t.len = 0 };
	for (int i = 0; i < 3; i++) {
		snprintf(s->layers[i], sizeof(s->layers[i]), "layer %d %s", i, salt);
		CHECK_OK(vn_digest_of(s->layers[i], strlen(s->layers[i]), &s->diff_ids[i], &err), &err);
	}
	snprintf(s->config, sizeof(s->config),
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\",\"%s\"]}}",
		 s->diff_ids[0].text, s->diff_ids[1].text, s->diff_ids[2].text);
	CHECK_OK(vn_digest_of(s->config, strlen(s->config), &digest, &err), &err);
	snprintf(s->config_name, sizeof(s->config_name), "%s.json", vn_digest_hex(&digest));
}

static void check_texts(struct vn_source *src, const struct saved *s)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_image) image = { 0 };
	CHECK_OK(vn_image_open(src, NULL, NULL, &image, &err), &err);
	CHECK_EQ(image.nlayers, 3);
	for (size_t i = 0; i < image.nlayers; i++) {
		VN_AUTO_IN *in = NULL;
		VN_AUTO(vn_buf) bytes = VN_BUF(4096);
		CHECK_OK(vn_image_layer_tar(&image, i, 0, &in, &err), &err);
		if (in)
			CHECK_OK(vn_in_read_all(in, &bytes, &err), &err);
		CHECK_STR(vn_buf_text(&bytes), s->layers[i]);
	}
}

static void test_docker_save(void)
{
	struct vn_err err = { 0 };
	struct saved s;
	char json[2048];
	uint8_t gz[512];
	VN_AUTO_SOURCE *src = NULL;
	fixture_begin();
	saved_begin(&s, "");
	tar_text(&s.t, s.config_name, s.config);
	tar_text(&s.t, "aaa/layer.tar", s.layers[0]);
	size_t n = gzip_of(s.layers[1], strlen(s.layers[1]), gz, sizeof(gz));
	tar_add(&s.t, '0', "bbb/layer.tar", "", gz, n);
	tar_text(&s.t, "real.tar", s.layers[2]);
	tar_add(&s.t, '2', "ccc/layer.tar", "../real.tar", "", 0);
	snprintf(json, sizeof(json),
		 "[{\"Config\":\"%s\",\"RepoTags\":[\"app:v1\"],\"Layers\":[\"aaa/layer.tar\",\"bbb/layer.tar\",\"ccc/layer.tar\"]}]",
		 s.config_name);
	tar_text(&s.t, "manifest.json", json);
	tar_save(&s.t, below("a.tar"));
	CHECK_OK(open_docker("a.tar", &src, &err), &err);
	if (src)
		check_texts(src, &s);
	VN_AUTO(vn_image) image = { 0 };
	CHECK_OK(vn_image_open(src, NULL, NULL, &image, &err), &err);
	CHECK_EQ(image.manifest.family, VN_FAMILY_OCI);
	CHECK_STR(image.layers[0].desc.digest.text, s.diff_ids[0].text);
	CHECK_EQ(image.layers[1].desc.size, n);
	fixture_end();
}

static void test_thin(void)
{
	struct vn_err err = { 0 };
	struct saved s;
	char json[2048];
	VN_AUTO_SOURCE *src = NULL;
	VN_AUTO(vn_image) image = { 0 };
	VN_AUTO_IN *in = NULL;
	fixture_begin();
	saved_begin(&s, "");
	tar_text(&s.t, s.config_name, s.config);
	tar_text(&s.t, "ccc/layer.tar", s.layers[2]);
	snprintf(json, sizeof(json),
		 "[{\"Config\":\"%s\",\"RepoTags\":null,\"Layers\":[\"aaa/layer.tar\",\"bbb/layer.tar\",\"ccc/layer.tar\"],"
		 "\"LayerSources\":{\"%s\":{\"mediaType\":\"" VN_MT_OCI_LAYER "\",\"size\":77,\"digest\":\"%s\"}}}]",
		 s.config_name, s.diff_ids[1].text, s.diff_ids[1].text);
	tar_text(&s.t, "manifest.json", json);
	tar_save(&s.t, below("a.tar"));
	CHECK_OK(open_docker("a.tar", &src, &err), &err);
	CHECK_OK(vn_image_open(src, NULL, NULL, &image, &err), &err);
	CHECK_EQ(image.nlayers, 3);
	CHECK_EQ(image.layers[0].desc.size, 0);
	CHECK_EQ(image.layers[1].desc.size, 77);
	CHECK_EQ(vn_image_layer_tar(&image, 0, 0, &in, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "layer 1 of 3, aaa/layer.tar");
	CHECK_OK(vn_image_layer_tar(&image, 2, 0, &in, &err), &err);
	fixture_end();
}

static void test_several(void)
{
	struct vn_err err = { 0 };
	struct saved a, b;
	char json[4096];
	VN_AUTO_SOURCE *src = NULL, *named = NULL;
	fixture_begin();
	saved_begin(&a, "of a");
	saved_begin(&b, "of b");
	tar_text(&a.t, a.config_name, a.config);
	tar_text(&a.t, b.config_name, b.config);
	for (int i = 0; i < 3; i++) {
		char name[16];
		snprintf(name, sizeof(name), "a%d", i);
		tar_text(&a.t, name, a.layers[i]);
		snprintf(name, sizeof(name), "b%d", i);
		tar_text(&a.t, name, b.layers[i]);
	}
	snprintf(json, sizeof(json),
		 "[{\"Config\":\"%s\",\"RepoTags\":[\"app:v1\",\"app:latest\"],\"Layers\":[\"a0\",\"a1\",\"a2\"]},"
		 "{\"Config\":\"%s\",\"RepoTags\":[\"example.org/app:v2\"],\"Layers\":[\"b0\",\"b1\",\"b2\"]}]",
		 a.config_name, b.config_name);
	tar_text(&a.t, "manifest.json", json);
	tar_save(&a.t, below("ab.tar"));
	CHECK_EQ(open_docker("ab.tar", &src, &err), -VN_EUSAGE);
	CHECK_HAS(err.hint, "app:v1 app:latest example.org/app:v2");
	CHECK_OK(open_docker("ab.tar:example.org/app:v2", &src, &err), &err);
	if (src)
		check_texts(src, &b);
	CHECK_OK(open_docker("ab.tar:app", &named, &err), &err);
	if (named)
		check_texts(named, &a);

	VN_AUTO_SOURCE *second = NULL, *none = NULL;
	CHECK_OK(open_docker("ab.tar:@1", &second, &err), &err);
	if (second)
		check_texts(second, &b);
	CHECK_EQ(open_docker("ab.tar:@2", &none, &err), -VN_ENOTFOUND);
	fixture_end();
}

static void refused(const char *config_name, const char *config, const char *json, int code, const char *text)
{
	struct vn_err err = { 0 };
	struct tarball t = { .len = 0 };
	VN_AUTO_SOURCE *src = NULL;
	if (config)
		tar_text(&t, config_name, config);
	tar_text(&t, json ? "manifest.json" : "oci-layout", json ? json : "{}");
	tar_save(&t, below("bad.tar"));
	CHECK_EQ(open_docker("bad.tar", &src, &err), -code);
	CHECK_HAS(err.text, text);
}

static void test_refused(void)
{
	static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
	fixture_begin();
	refused(NULL, NULL, NULL, VN_EFORMAT, "no manifest.json");
	refused("c", config, "{}", VN_EFORMAT, "manifest.json");
	refused("c", config, "[", VN_EFORMAT, "manifest.json");
	refused("c", config, "[]", VN_ENOTFOUND, "no image");
	refused("c", config, "[{}]", VN_EFORMAT, "Config");
	refused("c", config, "[{\"Config\":\"d\",\"Layers\":[]}]", VN_ENOTFOUND, "no member d");
	refused("c", config, "[{\"Config\":\"../c\",\"Layers\":[]}]", VN_EUNSAFE, "..");
	refused("c", config, "[{\"Config\":\"c\",\"Layers\":[\"x\"]}]", VN_EFORMAT, "1 layers");
	refused("c", "{", "[{\"Config\":\"c\",\"Layers\":[]}]", VN_EFORMAT, "c");
	refused("c", config, "[{\"Config\":\"c\",\"Layers\":[]},7]", VN_EUSAGE, "2 images");
	fixture_end();
}

int main(void)
{
	RUN(test_oci_roundtrip);
	RUN(test_docker_roundtrip);
	RUN(test_abandoned);
	RUN(test_docker_save);
	RUN(test_thin);
	RUN(test_several);
	RUN(test_refused);
	return vn_test_end();
}
