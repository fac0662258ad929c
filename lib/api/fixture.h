/* What this module's tests share: a folder of their own and images in OCI layout directories below it, written by hand. */
#ifndef VN_API_FIXTURE_H
#define VN_API_FIXTURE_H
#include "json/json.h"
#include "layer/fixture.h"
#include "oci/manifest.h"
#include "oci/mediatype.h"
#include "veneer/veneer.h"

static char fixture_dir[256];

static inline void fixture_begin(void)
{
	const char *dir = getenv("TMPDIR");
	/* what is published is synced, hundreds of times */
	if (!dir || !*dir || strlen(dir) > 200)
		dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(fixture_dir, sizeof(fixture_dir), "%s/veneer-api-XXXXXX", dir);
	CHECK(mkdtemp(fixture_dir) != NULL);
}

static inline void fixture_end(void)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_fs_remove_tree(fixture_dir, &err), &err);
}

/* printf below the folder; eight of them live at a time. */
static inline const char *at(const char *prefix, const char *name)
{
	static char path[8][1024];
	static unsigned turn;
	char *p = path[turn++ % 8];
	snprintf(p, 1024, "%s%s/%s", prefix, fixture_dir, name);
	return p;
}
#define below(name) at("", name)
#define oci(name) at("oci:", name)

static inline struct vn *handle(const char *cache)
{
	struct vn_err err = { 0 };
	struct vn *vn = NULL;
	struct vn_options o = { .size = sizeof(o), .cache_dir = below(cache) };
	CHECK_OK(vn_open(&o, &vn, &err), &err);
	return vn;
}

struct blob {
	char digest[VN_DIGEST_TEXT];
	size_t size;
};

static inline struct blob put_blob(const char *layout, const void *bytes, size_t len)
{
	struct vn_err err = { 0 };
	struct vn_digest digest;
	struct blob blob = { .size = len };
	char name[400];
	snprintf(name, sizeof(name), "%s/blobs/sha256", layout);
	CHECK_OK(vn_fs_mkdirs(below(name), 0755, &err), &err);
	CHECK_OK(vn_digest_of(bytes, len, &digest, &err), &err);
	snprintf(name, sizeof(name), "%s/blobs/sha256/%s", layout, vn_digest_hex(&digest));
	CHECK_OK(vn_fs_replace(below(name), bytes, len, 0644, &err), &err);
	memcpy(blob.digest, digest.text, sizeof(blob.digest));
	return blob;
}

static inline struct blob put_gzip(const char *layout, const void *bytes, size_t len)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) buf = VN_BUF(64u << 20);
	VN_AUTO_OUT *gz = NULL;
	struct vn_out *plain = NULL;
	CHECK_OK(vn_out_buf(&buf, &plain, &err), &err);
	CHECK_OK(vn_out_gzip(plain, 1, &gz, &err), &err);
	CHECK_OK(vn_out_write(gz, bytes, len, &err), &err);
	CHECK_OK(vn_out_finish(gz, &err), &err);
	return put_blob(layout, buf.data, buf.len);
}

#define LAYERS_MAX 12
struct spec {
	const char *arch;            /* NULL: amd64 */
	const char *config;          /* members of "config", e.g. "\"User\":\"me\"" */
	const char *more;            /* members of the configuration behind them, each begins with a comma: history */
	bool docker;
	struct vn_buf tars[LAYERS_MAX];
	size_t n;
};

static inline void spec_add(struct spec *s, const char *text)
{
	struct pen p;
	pen_open(&p);
	pen_text(&p, text);
	pen_close(&p);
	s->tars[s->n++] = p.bytes;
}

/* "LAYER | LAYER" as in layer/fixture.h */
static inline void spec_text(struct spec *s, const char *text)
{
	char layer[8192];
	for (bool more = true; more;) {
		size_t n = strcspn(text, "|");
		more = text[n] == '|';
		snprintf(layer, sizeof(layer), "%.*s", (int)n, text);
		for (size_t end = strlen(layer); end && layer[end - 1] == ' ';)
			layer[--end] = 0;
		spec_add(s, layer);
		text += n + more;
		text += strspn(text, " ");
	}
}

static inline void spec_release(struct spec *s)
{
	for (size_t i = 0; i < s->n; i++)
		vn_buf_release(&s->tars[i]);
	s->n = 0;
}

/* The manifest of an image whose blobs lie in the layout. */
static inline struct blob put_image(const char *layout, const struct spec *s)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) config = VN_BUF(1 << 20), manifest = VN_BUF(1 << 20), ids = VN_BUF(1 << 20);
	struct vn_digest digest;
	const char *types[] = { VN_MT_OCI_MANIFEST, VN_MT_OCI_CONFIG, VN_MT_OCI_LAYER "+gzip" };
	const char *docker[] = { VN_MT_DOCKER_MANIFEST, VN_MT_DOCKER_CONFIG, VN_MT_DOCKER_LAYER ".gzip" };
	const char **t = s->docker ? docker : types;
	vn_buf_addf(&manifest, &err, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"layers\":[", t[0]);
	for (size_t i = 0; i < s->n; i++) {
		struct blob layer = put_gzip(layout, s->tars[i].data, s->tars[i].len);
		CHECK_OK(vn_digest_of(s->tars[i].data, s->tars[i].len, &digest, &err), &err);
		vn_buf_addf(&ids, &err, "%s\"%s\"", i ? "," : "", digest.text);
		vn_buf_addf(&manifest, &err, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", i ? "," : "", t[2], layer.digest,
			    layer.size);
	}
	vn_buf_addf(&config, &err, "{\"architecture\":\"%s\",\"os\":\"linux\",\"created\":\"2026-11-20T02:14:00Z\",\"config\":{%s},"
		    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}%s}", s->arch ? s->arch : "amd64", s->config ? s->config : "",
		    vn_buf_text(&ids), s->more ? s->more : "");
	struct blob c = put_blob(layout, config.data, config.len);
	vn_buf_addf(&manifest, &err, "],\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}}", t[1], c.digest, c.size);
	return put_blob(layout, manifest.data, manifest.len);
}

static inline void put_text(const char *layout, const char *name, const char *text)
{
	struct vn_err err = { 0 };
	char path[400];
	snprintf(path, sizeof(path), "%s/%s", layout, name);
	CHECK_OK(vn_fs_replace(below(path), text, strlen(text), 0644, &err), &err);
}

/* The layout then holds just this. */
static inline void name_root(const char *layout, const struct blob *root, const char *type)
{
	char text[1024];
	snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu,"
		 "\"annotations\":{\"org.opencontainers.image.ref.name\":\"v1\"}}]}", type, root->digest, root->size);
	put_text(layout, "index.json", text);
	put_text(layout, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
}

static inline struct blob put_layout(const char *layout, struct spec *s)
{
	struct blob root = put_image(layout, s);
	name_root(layout, &root, s->docker ? VN_MT_DOCKER_MANIFEST : VN_MT_OCI_MANIFEST);
	spec_release(s);
	return root;
}

static inline struct blob put_stack(const char *layout, const char *text)
{
	struct spec s = { .n = 0 };
	spec_text(&s, text);
	return put_layout(layout, &s);
}

/* A base that is worth keeping, and an application over it. Random bytes do not compress: the shared layer weighs something. */
static inline void heavy(struct spec *s, unsigned seed)
{
	struct pen p;
	char bytes[6000];
	for (size_t i = 0; i < sizeof(bytes); i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = (char)(seed >> 16);
	}
	pen_open(&p);
	pen_text(&p, "d usr 0755; d usr/lib");
	pen_file(&p, "usr/lib/big", bytes, sizeof(bytes));
	pen_close(&p);
	s->tars[s->n++] = p.bytes;
}

/* NEW's rebuilt layer is as heavy as OLD's and differs by what `text` says. */
static inline void heavy_text(struct spec *s, unsigned seed, const char *text, unsigned stamp)
{
	struct pen p;
	char bytes[6000], line[64];
	for (size_t i = 0; i < sizeof(bytes); i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = (char)(seed >> 16);
	}
	pen_open(&p);
	pen_file(&p, "opt/data", bytes, sizeof(bytes));
	snprintf(line, sizeof(line), "m opt/stamp %u", stamp);
	pen_text(&p, line);
	pen_text(&p, text);
	pen_close(&p);
	s->tars[s->n++] = p.bytes;
}

static inline struct blob put_heavy(const char *layout, const char *text, unsigned stamp, const char *config)
{
	struct spec s = { .config = config };
	heavy(&s, 1);
	heavy_text(&s, 2, text, stamp);
	return put_layout(layout, &s);
}

/* ---- reading results */
static inline void read_blob(const char *layout, const char *digest, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	char name[400];
	snprintf(name, sizeof(name), "%s/blobs/sha256/%s", layout, strchr(digest, ':') ? strchr(digest, ':') + 1 : digest);
	CHECK_OK(vn_fs_read(below(name), ret, &err), &err);
}

static inline void read_plain(const char *layout, const char *digest, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(64u << 20);
	VN_AUTO_IN *in = NULL;
	struct vn_in *memory = NULL;
	read_blob(layout, digest, &bytes);
	CHECK_OK(vn_in_memory(bytes.data, bytes.len, &memory, &err), &err);
	CHECK_OK(vn_in_inflate(memory, 0, "a layer", &in, &err), &err);
	if (in)
		CHECK_OK(vn_in_read_all(in, ret, &err), &err);
}

static inline void read_manifest(const char *layout, const char *digest, struct vn_manifest *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(4u << 20);
	read_blob(layout, digest, &bytes);
	CHECK_OK(vn_manifest_parse(bytes.data, bytes.len, ret, &err), &err);
}
#endif
