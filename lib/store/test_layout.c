#include "store/fixture.h"
#include "store/layout.h"
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_image(const char *rest, const char *layer, bool commit, struct vn_desc *ret, struct vn_err *err)
{
	char manifest[2048];
	VN_AUTO(vn_ref) ref = ref_of("oci", rest);
	VN_AUTO_SINK *k = NULL;
	int rc = vn_layout_sink_open(&ref, NULL, &k, err);
	if (rc == 0)
		rc = put_image(k, layer, true, manifest, ret, err);
	if (rc == 0 && commit)
		rc = k->ops->commit(k, err);
	return rc;
}

static int open_layout(const char *rest, struct vn_source **ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = ref_of("oci", rest);
	return vn_layout_source_open(&ref, NULL, ret, err);
}

static void check_layer(const char *rest, const char *layer)
{
	struct vn_err err = { 0 };
	VN_AUTO_SOURCE *s = NULL;
	CHECK_OK(open_layout(rest, &s, &err), &err);
	if (s)
		check_image(s, layer);
}

static int count_files(const char *path)
{
	int n = 0;
	DIR *d = opendir(path);
	for (const struct dirent *e; d && (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return d ? n : -1;
}

static void test_roundtrip(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) a = { 0 }, b = { 0 }, c = { 0 }, now = { 0 };
	VN_AUTO_SOURCE *s = NULL, *named = NULL;
	VN_AUTO_SINK *k = NULL;
	VN_AUTO(vn_ref) ref = { 0 };
	fixture_begin();
	CHECK_OK(write_image("new/img:v1", "layer one", true, &a, &err), &err);
	check_layer("new/img", "layer one");
	check_layer("new/img:v1", "layer one");
	CHECK_OK(write_image("new/img:v2", "layer two", true, &b, &err), &err);
	check_layer("new/img:v1", "layer one");
	check_layer("new/img:v2", "layer two");
	CHECK_EQ(open_layout("new/img", &s, &err), -VN_EUSAGE);
	CHECK_HAS(err.hint, "v1, v2");
	CHECK_EQ(open_layout("new/img:v3", &s, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.hint, "v1, v2");
	CHECK_OK(write_image("new/img", "layer three", true, &c, &err), &err);
	check_layer("new/img", "layer three");
	CHECK_OK(write_image("new/img:v1", "moved", true, &now, &err), &err);
	check_layer("new/img:v1", "moved");
	CHECK_EQ(count_files(below("new/img/blobs/sha256")), 12);

	ref = ref_of("oci", "new/img:v1");
	vn_desc_release(&a);
	a = (struct vn_desc){ 0 };
	CHECK_OK(vn_layout_sink_open(&ref, NULL, &k, &err), &err);
	CHECK_OK(k->ops->current(k, &a, &err), &err);
	CHECK_STR(a.digest.text, now.digest.text);
	CHECK_OK(k->ops->reopen(k, &named, &err), &err);
	check_image(named, "moved");

	char text[300];
	snprintf(text, sizeof(text), "new/img:@%s", b.digest.text);
	check_layer(text, "layer two");
	fixture_end();
}

static void test_read_before_commit(void)
{
	struct vn_err err = { 0 };
	char manifest[2048];
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO_SINK *k = NULL;
	VN_AUTO_SOURCE *early = NULL, *late = NULL;
	VN_AUTO(vn_image) image = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(4096);
	VN_AUTO(vn_desc) none = { 0 };
	fixture_begin();
	ref = ref_of("oci", "img:v1");
	CHECK_OK(vn_layout_sink_open(&ref, NULL, &k, &err), &err);
	CHECK_OK(put_image(k, "one", true, manifest, &desc, &err), &err);
	CHECK_OK(k->ops->reopen(k, &early, &err), &err);
	CHECK_EQ(vn_source_manifest(early, NULL, &bytes, &none, &err), -VN_ENOTFOUND);
	CHECK_OK(vn_image_open_child(early, &desc, NULL, &image, &err), &err);
	CHECK(!vn_fs_exists(below("img/index.json")));
	CHECK_OK(k->ops->commit(k, &err), &err);
	CHECK_OK(k->ops->reopen(k, &late, &err), &err);
	check_image(late, "one");
	fixture_end();
}

static void test_undo(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) a = { 0 }, b = { 0 };
	fixture_begin();
	CHECK_OK(write_image("img:v1", "one", false, &a, &err), &err);
	CHECK(!vn_fs_exists(below("img")));
	vn_desc_release(&a);
	CHECK_OK(write_image("img:v1", "one", true, &a, &err), &err);
	CHECK_OK(write_image("img:v2", "two", false, &b, &err), &err);
	CHECK_EQ(count_files(below("img/blobs/sha256")), 3);
	check_layer("img:v1", "one");
	fixture_end();
}

static void test_leftovers(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) a = { 0 }, b = { 0 };
	fixture_begin();
	CHECK_OK(write_image("img:v1", "one", true, &a, &err), &err);
	CHECK_OK(vn_fs_replace(below("img/blobs/sha256/.tmp-abc123"), "half", 4, 0600, &err), &err);
	CHECK_OK(vn_fs_replace(below("img/.tmp-abc123"), "half", 4, 0600, &err), &err);
	CHECK_OK(write_image("img:v2", "two", true, &b, &err), &err);
	CHECK(!vn_fs_exists(below("img/blobs/sha256/.tmp-abc123")));
	CHECK(!vn_fs_exists(below("img/.tmp-abc123")));
	fixture_end();
}

static void test_kept_members(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) a = { 0 };
	VN_AUTO(vn_buf) index = VN_BUF(1 << 16);
	fixture_begin();
	CHECK_OK(vn_fs_mkdirs(below("img/blobs/sha256"), 0755, &err), &err);
	CHECK_OK(vn_fs_replace(below("img/oci-layout"), VN_LAYOUT_TEXT, strlen(VN_LAYOUT_TEXT), 0644, &err), &err);
	static const char old[] = "{\"schemaVersion\":2,\"annotations\":{\"mine\":\"yes\"},\"manifests\":[{\"mediaType\":"
				  "\"application/x-else\",\"digest\":"
				  "\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,"
				  "\"annotations\":{\"" VN_REF_NAME "\":\"other\",\"k\":\"v\"}}]}";
	CHECK_OK(vn_fs_replace(below("img/index.json"), old, strlen(old), 0644, &err), &err);
	CHECK_OK(write_image("img:v1", "one", true, &a, &err), &err);
	CHECK_OK(vn_fs_read(below("img/index.json"), &index, &err), &err);
	CHECK_HAS(vn_buf_text(&index), "\"mine\":\"yes\"");
	CHECK_HAS(vn_buf_text(&index), "\"k\":\"v\"");
	CHECK_HAS(vn_buf_text(&index), "\"" VN_REF_NAME "\":\"v1\"");
	fixture_end();
}

static void test_refused(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_SOURCE *s = NULL;
	VN_AUTO(vn_desc) a = { 0 };
	fixture_begin();
	CHECK_EQ(open_layout("absent", &s, &err), -VN_ENOTFOUND);
	CHECK_OK(vn_fs_mkdirs(below("full"), 0755, &err), &err);
	CHECK_OK(vn_fs_replace(below("full/file"), "x", 1, 0644, &err), &err);
	CHECK_EQ(open_layout("full", &s, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "oci-layout");
	CHECK_EQ(open_layout("full/file", &s, &err), -VN_EFORMAT);
	CHECK_EQ(write_image("full:v1", "one", true, &a, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "not empty");
	CHECK_EQ(write_image("full/file:v1", "one", true, &a, &err), -VN_EIO);
	CHECK_OK(vn_fs_replace(below("full/oci-layout"), "{\"imageLayoutVersion\":\"2.0.0\"}", 30, 0644, &err), &err);
	CHECK_EQ(open_layout("full", &s, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "2.0.0");
	fixture_end();
}

static void test_damage(void)
{
	struct vn_err err = { 0 };
	char path[200];
	VN_AUTO(vn_desc) a = { 0 };
	VN_AUTO(vn_image) image = { 0 };
	VN_AUTO_SOURCE *s = NULL;
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(4096);
	fixture_begin();
	CHECK_OK(write_image("img:v1", "one", true, &a, &err), &err);
	CHECK_OK(open_layout("img:v1", &s, &err), &err);
	CHECK_OK(vn_image_open(s, NULL, NULL, &image, &err), &err);
	snprintf(path, sizeof(path), "img/blobs/sha256/%s", vn_digest_hex(&image.layers[0].desc.digest));
	CHECK_OK(vn_fs_replace(below(path), "0ne", 3, 0644, &err), &err);
	CHECK_OK(vn_image_layer_tar(&image, 0, 0, &in, &err), &err);
	CHECK_EQ(vn_in_read_all(in, &bytes, &err), -VN_EDIGEST);
	vn_in_close(vn_steal(in));
	CHECK(unlink(below(path)) == 0);
	CHECK_EQ(vn_image_layer_tar(&image, 0, 0, &in, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "not in this layout");
	snprintf(path, sizeof(path), "img/blobs/sha256/%s", vn_digest_hex(&a.digest));
	CHECK_OK(vn_fs_replace(below(path), "{}", 2, 0644, &err), &err);
	vn_image_release(&image);
	CHECK_EQ(vn_image_open(s, NULL, NULL, &image, &err), -VN_EDIGEST);
	CHECK_OK(vn_fs_replace(below("img/index.json"), "{\"manifests\":", 13, 0644, &err), &err);
	VN_AUTO_SOURCE *broken = NULL;
	CHECK_EQ(open_layout("img:v1", &broken, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "index.json");
	fixture_end();
}

static void test_wrong_bytes(void)
{
	struct vn_err err = { 0 };
	struct vn_body body;
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_digest digest;
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO_SINK *k = NULL;
	bool there = true;
	fixture_begin();
	ref = ref_of("oci", "img:v1");
	CHECK_OK(vn_layout_sink_open(&ref, NULL, &k, &err), &err);
	CHECK_OK(vn_digest_of("right", 5, &digest, &err), &err);
	CHECK_OK(vn_desc_init(&desc, VN_MT_OCI_LAYER, &digest, 5, &err), &err);
	CHECK_EQ(vn_body_memory("wrong", 5, &body), 0);
	CHECK_EQ(k->ops->put_blob(k, &desc, &body, &err), -VN_EDIGEST);
	vn_body_release(&body);
	CHECK_OK(k->ops->has_blob(k, &desc, &there, &err), &err);
	CHECK(!there);
	CHECK_EQ(count_files(below("img/blobs/sha256")), 0);
	CHECK_EQ(k->ops->commit(k, &err), -VN_EUSAGE);
	vn_sink_close(vn_steal(k));
	fixture_end();
}

static void test_untagged_index(void)
{
	struct vn_err err = { 0 };
	char text[2048];
	VN_AUTO(vn_desc) a = { 0 }, b = { 0 };
	VN_AUTO_SOURCE *s = NULL;
	VN_AUTO(vn_image) image = { 0 };
	fixture_begin();
	CHECK_OK(write_image("img:v1", "one", true, &a, &err), &err);
	CHECK_OK(write_image("img:v2", "two", true, &b, &err), &err);
	snprintf(text, sizeof(text),
		 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%lld,"
		 "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}},{\"mediaType\":\"" VN_MT_OCI_MANIFEST
		 "\",\"digest\":\"%s\",\"size\":%lld,\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}}]}",
		 a.digest.text, (long long)a.size, b.digest.text, (long long)b.size);
	CHECK_OK(vn_fs_replace(below("img/index.json"), text, strlen(text), 0644, &err), &err);
	struct vn_platform want;
	CHECK_OK(vn_platform_parse("linux/s390x", &want, &err), &err);
	CHECK_OK(open_layout("img", &s, &err), &err);
	CHECK_OK(vn_image_open(s, &want, NULL, &image, &err), &err);
	CHECK(image.from_index);
	CHECK_STR(image.desc.digest.text, b.digest.text);
	fixture_end();
}

int main(void)
{
	RUN(test_roundtrip);
	RUN(test_read_before_commit);
	RUN(test_undo);
	RUN(test_leftovers);
	RUN(test_kept_members);
	RUN(test_refused);
	RUN(test_damage);
	RUN(test_wrong_bytes);
	RUN(test_untagged_index);
	return vn_test_end();
}
