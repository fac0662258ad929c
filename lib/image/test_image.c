#include "image/image.h"
#include "util/cleanup.h"
#include "util/test.h"
#include <stdlib.h>
#include <unistd.h>

/* ---- a place in memory that is source and sink */
#define MAX_BLOBS 32
struct blob {
	struct vn_digest digest;
	char *bytes;
	size_t len;
};
struct place {
	struct blob at[MAX_BLOBS];
	size_t n;
	struct vn_digest root;
	const char *root_type;
	int blob_calls, manifest_calls, commits;
	char order[64];          /* b blob, m manifest, T tagged, C commit */
};
struct fake_source {
	struct vn_source s;
	struct place *place;
};
struct fake_sink {
	struct vn_sink k;
	struct place *place;
};

static const struct blob *find(const struct place *p, const struct vn_digest *digest)
{
	for (size_t i = 0; i < p->n; i++)
		if (vn_digest_equal(&p->at[i].digest, digest))
			return &p->at[i];
	return NULL;
}

static const struct vn_digest *add(struct place *p, const void *bytes, size_t len)
{
	struct vn_err err = { 0 };
	struct blob *b = &p->at[p->n++];
	b->bytes = malloc(len + 1);
	memcpy(b->bytes, bytes, len);
	b->bytes[len] = 0;
	b->len = len;
	CHECK_OK(vn_digest_of(bytes, len, &b->digest, &err), &err);
	return &b->digest;
}

static void empty(struct place *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->at[i].bytes);
	*p = (struct place){ 0 };
}

static int fake_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			 struct vn_err *err)
{
	struct place *p = ((struct fake_source *)s)->place;
	const struct blob *b = find(p, child ? &child->digest : &p->root);
	p->manifest_calls++;
	if (!b)
		return vn_fail(err, VN_ENOTFOUND, "no manifest");
	int rc = vn_buf_add(ret_bytes, b->bytes, b->len, err);
	return rc < 0 ? rc : vn_desc_init(ret_desc, child ? child->media_type : p->root_type, &b->digest, (int64_t)b->len, err);
}

static int fake_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	struct place *p = ((struct fake_source *)s)->place;
	const struct blob *b = find(p, &desc->digest);
	p->blob_calls++;
	return b ? vn_in_memory(b->bytes, b->len, ret, err) : vn_fail(err, VN_ENOTFOUND, "no blob %s", desc->digest.text);
}

static void fake_source_close(struct vn_source *s)
{
	vn_ref_release(&s->ref);
	free(s);
}

static const struct vn_source_ops near_ops = { fake_manifest, fake_blob, NULL, fake_source_close, false, NULL };
static const struct vn_source_ops far_ops = { fake_manifest, fake_blob, NULL, fake_source_close, true, NULL };

static struct vn_source *source_of(struct place *p, bool remote)
{
	struct vn_err err = { 0 };
	struct fake_source *f = calloc(1, sizeof(*f));
	f->s.ops = remote ? &far_ops : &near_ops;
	f->place = p;
	CHECK_OK(vn_ref_parse("example.org/app:v1", &f->s.ref, &err), &err);
	return &f->s;
}

static int fake_has(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	(void)err;
	*ret = find(((struct fake_sink *)k)->place, &desc->digest) != NULL;
	return 0;
}

static void note(struct place *p, char step)
{
	size_t n = strlen(p->order);
	if (n + 1 < sizeof(p->order)) {
		p->order[n] = step;
		p->order[n + 1] = 0;
	}
}

static int fake_put(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err)
{
	struct place *p = ((struct fake_sink *)k)->place;
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	int rc = body->open(body, &in, err);
	if (rc == 0)
		rc = vn_in_read_all(in, &bytes, err);
	if (rc < 0)
		return rc;
	CHECK_STR(add(p, vn_buf_text(&bytes), bytes.len)->text, desc->digest.text);
	note(p, 'b');
	return 0;
}

static int fake_put_manifest(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged,
			     struct vn_err *err)
{
	struct place *p = ((struct fake_sink *)k)->place;
	(void)err;
	CHECK_STR(add(p, bytes, len)->text, desc->digest.text);
	note(p, tagged ? 'T' : 'm');
	if (tagged) {
		p->root = desc->digest;
		p->root_type = vn_mediatype(desc->media_type)->text;
	}
	return 0;
}

static int fake_commit(struct vn_sink *k, struct vn_err *err)
{
	(void)err;
	note(((struct fake_sink *)k)->place, 'C');
	return 0;
}

static const struct vn_sink_ops sink_ops = { .has_blob = fake_has, .put_blob = fake_put, .put_manifest = fake_put_manifest,
					     .commit = fake_commit };
static const struct vn_sink_ops oci_sink_ops = { .has_blob = fake_has, .put_blob = fake_put, .put_manifest = fake_put_manifest,
						 .commit = fake_commit, .only = VN_FAMILY_OCI };

/* ---- images to put there */
static void add_image(struct place *p, const char *arch, const char *layer, const char *extra_diff_id, char *ret_desc, size_t size)
{
	char config[1024], manifest[2048];
	struct vn_digest l = *add(p, layer, strlen(layer));
	snprintf(config, sizeof(config),
		 "{\"architecture\":\"%s\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"%s]},"
		 "\"history\":[{\"created_by\":\"ENV a\",\"empty_layer\":true},{\"created_by\":\"COPY x\"}]}",
		 arch, l.text, extra_diff_id);
	struct vn_digest c = *add(p, config, strlen(config));
	snprintf(manifest, sizeof(manifest),
		 "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_DOCKER_MANIFEST "\",\"config\":{\"mediaType\":\"" VN_MT_DOCKER_CONFIG
		 "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":\"" VN_MT_DOCKER_LAYER
		 "\",\"digest\":\"%s\",\"size\":%zu}]}",
		 c.text, strlen(config), l.text, strlen(layer));
	struct vn_digest m = *add(p, manifest, strlen(manifest));
	p->root = m;
	p->root_type = VN_MT_DOCKER_MANIFEST;
	snprintf(ret_desc, size,
		 "{\"mediaType\":\"" VN_MT_DOCKER_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\","
		 "\"architecture\":\"%s\"}}",
		 m.text, strlen(manifest), arch);
}

static size_t add_index(struct place *p, const char *entries)
{
	char index[4096];
	snprintf(index, sizeof(index), "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_DOCKER_LIST "\",\"manifests\":[%s]}", entries);
	p->root = *add(p, index, strlen(index));
	p->root_type = VN_MT_DOCKER_LIST;
	return strlen(index);
}

static void read_layer(const struct vn_image *image, const char *want)
{
	struct vn_err err = { 0 };
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	CHECK_OK(vn_image_layer_tar(image, 0, 0, &in, &err), &err);
	CHECK_OK(vn_in_read_all(in, &bytes, &err), &err);
	CHECK_STR(vn_buf_text(&bytes), want);
}

static void test_open(void)
{
	struct vn_err err = { 0 };
	char desc[1024], name[512];
	struct place p = { 0 };
	add_image(&p, "amd64", "layer one", "", desc, sizeof(desc));
	VN_AUTO_SOURCE *s = source_of(&p, false);
	VN_AUTO(vn_image) image = { 0 };
	CHECK_OK(vn_image_open(s, NULL, NULL, &image, &err), &err);
	CHECK_EQ(image.nlayers, 1);
	CHECK(!image.from_index);
	CHECK_STR(image.layers ? image.layers[0].step : NULL, "COPY x");
	CHECK_STR(vn_image_layer_name(&image, 0, name), "layer 1 of 1 of example.org/app:v1");
	read_layer(&image, "layer one");

	struct vn_platform arm;
	VN_AUTO(vn_image) other = { 0 };
	CHECK_OK(vn_platform_parse("linux/arm64", &arm, &err), &err);
	CHECK_EQ(vn_image_open(s, &arm, NULL, &other, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "linux/amd64");
	empty(&p);
}

static void test_refused(void)
{
	struct vn_err err = { 0 };
	char desc[1024];
	struct place p = { 0 };
	VN_AUTO(vn_image) image = { 0 };
	VN_AUTO_SOURCE *s = source_of(&p, false);
	add_image(&p, "amd64", "x",
		  ",\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"", desc, sizeof(desc));
	CHECK_EQ(vn_image_open(s, NULL, NULL, &image, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "1 layers, the configuration 2 diff_ids");

	static const char artifact[] =
		"{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"artifactType\":\"application/x-model\",\"config\":"
		"{\"mediaType\":\"" VN_MT_OCI_EMPTY
		"\",\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},\"layers\":[]}";
	p.root = *add(&p, artifact, strlen(artifact));
	p.root_type = VN_MT_OCI_MANIFEST;
	CHECK_EQ(vn_image_open(s, NULL, NULL, &image, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "artifact of the type application/x-model");

	p.at[p.n - 1].bytes[3] = 'S';              /* what came is not what its digest says */
	CHECK_EQ(vn_image_open(s, NULL, NULL, &image, &err), -VN_EDIGEST);
	empty(&p);
}

static void test_index(void)
{
	struct vn_err err = { 0 };
	char a[1024], b[1024], entries[2100], nested[1024];
	struct place p = { 0 };
	struct vn_platform want;
	VN_AUTO_SOURCE *s = source_of(&p, false);
	add_image(&p, "amd64", "for amd64", "", a, sizeof(a));
	add_image(&p, "arm64", "for arm64", "", b, sizeof(b));
	snprintf(entries, sizeof(entries), "%s,%s", a, b);
	size_t len = add_index(&p, entries);
	VN_AUTO(vn_image) image = { 0 }, deeper = { 0 }, none = { 0 };
	CHECK_OK(vn_platform_parse("arm64", &want, &err), &err);
	CHECK_OK(vn_image_open(s, &want, NULL, &image, &err), &err);
	CHECK(image.from_index);
	CHECK_STR(image.root.media_type, VN_MT_DOCKER_LIST);
	read_layer(&image, "for arm64");

	CHECK_OK(vn_platform_parse("linux/s390x", &want, &err), &err);
	CHECK_EQ(vn_image_open(s, &want, NULL, &none, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "linux/amd64");

	snprintf(nested, sizeof(nested),
		 "{\"mediaType\":\"" VN_MT_DOCKER_LIST "\",\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\","
		 "\"architecture\":\"arm64\"}}",
		 p.root.text, len);
	add_index(&p, nested);
	CHECK_OK(vn_platform_parse("arm64", &want, &err), &err);
	if (vn_image_open(s, &want, NULL, &deeper, &err) == 0)
		read_layer(&deeper, "for arm64");
	empty(&p);
}

static void test_cached(void)
{
	struct vn_err err = { 0 };
	char desc[1024], dir[512], blob[1024];
	const char *tmpdir = getenv("TMPDIR");
	struct place p = { 0 };
	struct vn_cache *cache = NULL;
	snprintf(dir, sizeof(dir), "%s/veneer-image-XXXXXX", tmpdir && *tmpdir ? tmpdir : "/tmp");
	CHECK(mkdtemp(dir) != NULL);
	CHECK_OK(vn_cache_open(dir, 0, NULL, &cache, &err), &err);
	add_image(&p, "amd64", "layer one", "", desc, sizeof(desc));
	add_index(&p, desc);
	VN_AUTO_SOURCE *s = source_of(&p, true);
	for (int i = 0; i < 2; i++) {
		VN_AUTO(vn_image) image = { 0 };
		CHECK_OK(vn_image_open(s, NULL, cache, &image, &err), &err);
		read_layer(&image, "layer one");
		CHECK_EQ(p.blob_calls, 2);
		CHECK_EQ(p.manifest_calls, i ? 3 : 2);
	}
	VN_AUTO(vn_image) image = { 0 };
	CHECK_OK(vn_image_open(s, NULL, cache, &image, &err), &err);
	snprintf(blob, sizeof(blob), "%s/blob/%s", dir, image.layers[0].desc.digest.text);
	CHECK_OK(vn_fs_replace(blob, "layer 1ne", 9, 0600, &err), &err);
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(100);
	CHECK_OK(vn_image_layer_tar(&image, 0, 0, &in, &err), &err);
	CHECK_OK(vn_in_read_all(in, &bytes, &err), &err);
	CHECK_STR(vn_buf_text(&bytes), "layer one");
	CHECK_EQ(p.blob_calls, 3);
	vn_cache_close(cache);
	CHECK_OK(vn_fs_remove_tree(dir, &err), &err);
	empty(&p);
}

static void check_inline(const char *data, int want)
{
	struct vn_err err = { 0 };
	char text[512];
	struct place p = { 0 };
	struct vn_digest digest;
	CHECK_OK(vn_digest_of("{}", 2, &digest, &err), &err);
	snprintf(text, sizeof(text), "{\"mediaType\":\"" VN_MT_OCI_EMPTY "\",\"digest\":\"%s\",\"size\":2,\"data\":\"%s\"}",
		 digest.text, data);
	VN_AUTO_JSON *json = NULL;
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO_SOURCE *s = source_of(&p, true);
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(100);
	CHECK_OK(vn_json_parse(text, strlen(text), "desc", &json, &err), &err);
	struct vn_jv root = vn_jv_root(json, "desc");
	CHECK_OK(vn_desc_of_json(&root, &desc, &err), &err);
	int rc = vn_source_blob(s, &desc, NULL, "config", &in, &err);
	if (rc == 0)
		rc = vn_in_read_all(in, &bytes, &err);
	CHECK_EQ(rc, want);
	CHECK_EQ(p.blob_calls, 0);
}

static void test_inline(void)
{
	check_inline("e30=", 0);
	check_inline("e3Q=", -VN_EDIGEST);
	check_inline("e30gIA==", -VN_EDIGEST);
}

static void test_copy(void)
{
	struct vn_err err = { 0 };
	char a[1024], b[1024], entries[2100];
	struct place from = { 0 }, to = { 0 };
	struct fake_sink k = { { .ops = &sink_ops }, &to }, oci = { { .ops = &oci_sink_ops }, &to };
	struct vn_copy_result result = { 0 };
	VN_AUTO_SOURCE *s = source_of(&from, false);
	k.k.ref.text = oci.k.ref.text = strdup("dest");
	add_image(&from, "amd64", "for amd64", "", a, sizeof(a));
	add_image(&from, "arm64", "for arm64", "", b, sizeof(b));
	snprintf(entries, sizeof(entries), "%s,%s", a, b);
	add_index(&from, entries);
	CHECK_OK(vn_image_copy(s, NULL, NULL, &k.k, &result, &err), &err);
	CHECK_STR(to.order, "bbmbbmTC");
	CHECK_EQ(result.images, 2);
	CHECK_EQ(result.blobs, 4);
	CHECK_STR(result.root.digest.text, from.root.text);
	vn_desc_release(&result.root);
	struct vn_platform want;
	to.order[0] = 0;
	CHECK_OK(vn_platform_parse("arm64", &want, &err), &err);
	CHECK_OK(vn_image_copy(s, &want, NULL, &k.k, &result, &err), &err);
	CHECK_STR(to.order, "TC");
	CHECK_EQ(result.bytes, 0);
	CHECK_STR(result.root.media_type, VN_MT_DOCKER_MANIFEST);
	vn_desc_release(&result.root);

	/* for a place that takes OCI only: other manifests over the same blobs */
	empty(&to);
	CHECK_OK(vn_image_copy(s, NULL, NULL, &oci.k, &result, &err), &err);
	CHECK_STR(to.order, "bbmbbmTC");
	CHECK_STR(result.root.media_type, VN_MT_OCI_INDEX);
	vn_desc_release(&result.root);
	VN_AUTO_SOURCE *converted = source_of(&to, false);
	VN_AUTO(vn_image) image = { 0 };
	CHECK_OK(vn_image_open(converted, &want, NULL, &image, &err), &err);
	CHECK_EQ(image.manifest.family, VN_FAMILY_OCI);
	CHECK_STR(image.manifest.config.media_type, VN_MT_OCI_CONFIG);
	CHECK_STR(image.nlayers ? image.layers[0].desc.media_type : NULL, VN_MT_OCI_LAYER);
	read_layer(&image, "for arm64");
	free(k.k.ref.text);
	empty(&from);
	empty(&to);
}

int main(void)
{
	RUN(test_open);
	RUN(test_refused);
	RUN(test_index);
	RUN(test_cached);
	RUN(test_inline);
	RUN(test_copy);
	return vn_test_end();
}
