/* What this module's tests share: a folder of their own, small tars made by hand, one small image. */
#ifndef VN_STORE_FIXTURE_H
#define VN_STORE_FIXTURE_H
#include "image/image.h"
#include "store/store.h"
#include "stream/out.h"
#include "util/cleanup.h"
#include "util/test_dir.h"
#include <stdlib.h>

static inline void fixture_begin(void)
{
	test_dir_make("store");
}
#define fixture_end test_dir_remove

/* "SCHEME:FOLDER/REST" */
static inline struct vn_ref ref_of(const char *scheme, const char *rest)
{
	struct vn_err err = { 0 };
	struct vn_ref ref = { 0 };
	char text[700];
	snprintf(text, sizeof(text), "%s:%s", scheme, below(rest));
	CHECK_OK(vn_ref_parse(text, &ref, &err), &err);
	return ref;
}

/* ---- tar by hand */
struct tarball {
	uint8_t at[65536];
	size_t len;
};

static inline void tar_seal(uint8_t h[512])
{
	unsigned sum = 0;
	char text[8];
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(h + 148, text, 7);
}

static inline void tar_add(struct tarball *t, char type, const char *name, const char *link, const void *data, size_t len)
{
	uint8_t *h = t->at + t->len;
	char size[32];
	memset(h, 0, 512);
	memcpy(h, name, strlen(name) < 100 ? strlen(name) : 100);
	memcpy(h + 100, "0000644", 7);
	snprintf(size, sizeof(size), "%011zo", len);
	memcpy(h + 124, size, 11);
	h[156] = (uint8_t)type;
	memcpy(h + 157, link, strlen(link) < 100 ? strlen(link) : 100);
	memcpy(h + 257, "ustar\0" "00", 8);
	tar_seal(h);
	t->len += 512;
	if (len)
		memcpy(t->at + t->len, data, len);
	size_t padded = (len + 511) / 512 * 512;
	memset(t->at + t->len + len, 0, padded - len);
	t->len += padded;
}

static inline void tar_text(struct tarball *t, const char *name, const char *text)
{
	tar_add(t, '0', name, "", text, strlen(text));
}

static inline void tar_save(struct tarball *t, const char *path)
{
	struct vn_err err = { 0 };
	memset(t->at + t->len, 0, 1024);
	CHECK_OK(vn_fs_replace(path, t->at, t->len + 1024, 0644, &err), &err);
}

static inline size_t gzip_of(const void *data, size_t len, uint8_t *out, size_t room)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) buf = VN_BUF(1 << 20);
	VN_AUTO_OUT *gz = NULL;
	struct vn_out *plain = NULL;
	CHECK_OK(vn_out_buf(&buf, &plain, &err), &err);
	CHECK_OK(vn_out_gzip(plain, 6, &gz, &err), &err);
	CHECK_OK(vn_out_write(gz, data, len, &err), &err);
	CHECK_OK(vn_out_finish(gz, &err), &err);
	CHECK(buf.len <= room);
	memcpy(out, buf.data, buf.len <= room ? buf.len : room);
	return buf.len;
}

/* ---- an image of one layer, which is just a text */
static inline int put_text(struct vn_sink *k, const char *type, const char *text, struct vn_desc *ret, struct vn_err *err)
{
	struct vn_digest digest;
	struct vn_body body;
	int rc = vn_digest_of(text, strlen(text), &digest, err);
	if (rc == 0)
		rc = vn_desc_init(ret, type, &digest, (int64_t)strlen(text), err);
	bool there = false;
	if (rc == 0)
		rc = k->ops->has_blob(k, ret, &there, err);
	if (rc < 0 || there)
		return rc;
	rc = vn_body_memory(text, strlen(text), &body);
	if (rc == 0) {
		rc = k->ops->put_blob(k, ret, &body, err);
		vn_body_release(&body);
	}
	return rc;
}

/* The manifest's text stays in `ret_manifest` (2048 bytes); committing is the caller's. */
static inline int put_image(struct vn_sink *k, const char *layer, bool tagged, char *ret_manifest, struct vn_desc *ret_desc,
			    struct vn_err *err)
{
	char config[1024];
	VN_AUTO(vn_desc) l = { 0 }, c = { 0 };
	struct vn_digest digest;
	int rc = put_text(k, VN_MT_OCI_LAYER, layer, &l, err);
	snprintf(config, sizeof(config),
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}", l.digest.text);
	if (rc == 0)
		rc = put_text(k, VN_MT_OCI_CONFIG, config, &c, err);
	snprintf(ret_manifest, 2048,
		 "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"config\":{\"mediaType\":\"" VN_MT_OCI_CONFIG
		 "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":\"" VN_MT_OCI_LAYER "\",\"digest\":\"%s\",\"size\":%zu}]}",
		 c.digest.text, strlen(config), l.digest.text, strlen(layer));
	if (rc == 0)
		rc = vn_digest_of(ret_manifest, strlen(ret_manifest), &digest, err);
	if (rc == 0)
		rc = vn_desc_init(ret_desc, VN_MT_OCI_MANIFEST, &digest, (int64_t)strlen(ret_manifest), err);
	if (rc == 0)
		rc = k->ops->put_manifest(k, ret_desc, ret_manifest, strlen(ret_manifest), tagged, err);
	return rc;
}

/* The text of the image's only layer is `layer`. */
static inline void check_image(struct vn_source *s, const char *layer)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_image) image = { 0 };
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	CHECK_OK(vn_image_open(s, NULL, NULL, &image, &err), &err);
	CHECK_EQ(image.nlayers, 1);
	if (image.nlayers != 1)
		return;
	CHECK_OK(vn_image_layer_tar(&image, 0, 0, &in, &err), &err);
	if (in)
		CHECK_OK(vn_in_read_all(in, &bytes, &err), &err);
	CHECK_STR(vn_buf_text(&bytes), layer);
}
#endif
