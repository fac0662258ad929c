/* What the tests of the engines without a daemon share: small images in a layout folder, made of layers that are written as
 * text. */
#ifndef VN_ENGINE_IMAGE_FIXTURE_H
#define VN_ENGINE_IMAGE_FIXTURE_H
#include "engine/kinds.h"
#include "engine/tree_fixture.h"
#include "store/store.h"

struct made {
	struct vn_source *source;
	struct vn_image image;
};

static inline void made_release(struct made *m)
{
	vn_image_release(&m->image);
	vn_source_close(m->source);
	*m = (struct made){ 0 };
}

static inline int put_bytes(struct vn_sink *k, const char *type, const void *bytes, size_t len, struct vn_desc *ret,
			    struct vn_err *err)
{
	struct vn_digest digest;
	struct vn_body body;
	bool there = false;
	int rc = vn_digest_of(bytes, len, &digest, err);
	if (rc == 0)
		rc = vn_desc_init(ret, type, &digest, (int64_t)len, err);
	if (rc == 0)
		rc = k->ops->has_blob(k, ret, &there, err);
	if (rc < 0 || there)
		return rc;
	rc = vn_body_memory(bytes, len, &body);
	if (rc == 0)
		rc = k->ops->put_blob(k, ret, &body, err);
	vn_body_release(&body);
	return rc;
}

/* An image of the layers ('|' between them) with a label, into the layout folder `store`, and opened there by its digest. */
static inline void make_image(const char *store, const char *layers, const char *label, struct made *ret)
{
	struct vn_err err = { 0 };
	char text[700];
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO(vn_desc) config = { 0 }, manifest = { 0 };
	VN_AUTO(vn_buf) ids = VN_BUF(1 << 16), list = VN_BUF(1 << 16), doc = VN_BUF(1 << 16);
	VN_AUTO_SINK *k = NULL;
	*ret = (struct made){ 0 };
	snprintf(text, sizeof(text), "oci:%s:%s", below(store), "made");
	CHECK_OK(vn_ref_parse(text, &ref, &err), &err);
	CHECK_OK(vn_layout_sink_open(&ref, NULL, &k, &err), &err);
	for (const char *bar; layers; layers = bar ? bar + 1 : NULL) {
		struct pen p;
		VN_AUTO(vn_desc) layer = { 0 };
		bar = strchr(layers, '|');
		pen_layer(layers, bar ? (size_t)(bar - layers) : strlen(layers), &p);
		CHECK_OK(put_bytes(k, VN_MT_OCI_LAYER, p.bytes.data, p.bytes.len, &layer, &err), &err);
		vn_buf_addf(&ids, &err, "%s\"%s\"", ids.len ? "," : "", layer.digest.text);
		vn_buf_addf(&list, &err, "%s{\"mediaType\":\"" VN_MT_OCI_LAYER "\",\"digest\":\"%s\",\"size\":%zu}",
			    list.len ? "," : "", layer.digest.text, p.bytes.len);
		vn_buf_release(&p.bytes);
	}
	vn_buf_addf(&doc, &err,
		    "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Labels\":{\"l\":\"%s\"}},"
		    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
		    label, vn_buf_text(&ids));
	CHECK_OK(put_bytes(k, VN_MT_OCI_CONFIG, doc.data, doc.len, &config, &err), &err);
	size_t config_len = doc.len;
	vn_buf_clear(&doc);
	vn_buf_addf(&doc, &err,
		    "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_MANIFEST
		    "\",\"config\":{\"mediaType\":\"" VN_MT_OCI_CONFIG "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
		    config.digest.text, config_len, vn_buf_text(&list));
	struct vn_digest digest;
	CHECK_OK(vn_digest_of(doc.data, doc.len, &digest, &err), &err);
	CHECK_OK(vn_desc_init(&manifest, VN_MT_OCI_MANIFEST, &digest, (int64_t)doc.len, &err), &err);
	CHECK_OK(k->ops->put_manifest(k, &manifest, doc.data, doc.len, true, &err), &err);
	CHECK_OK(k->ops->commit(k, &err), &err);
	CHECK_OK(k->ops->reopen(k, &ret->source, &err), &err);
	CHECK_OK(vn_image_open(ret->source, NULL, NULL, &ret->image, &err), &err);
}
#define AUTO_MADE VN_CLEANUP(made_release) struct made

/* The blob of a layer in the folder `store`; two of them live at a time. */
static inline const char *layer_file(const char *store, const struct made *m, size_t i)
{
	char name[200];
	snprintf(name, sizeof(name), "%s/blobs/sha256/%s", store, vn_digest_hex(&m->image.layers[i].desc.digest));
	return below(name);
}

static inline struct vn_incoming incoming(const struct made *m, size_t present, const char *name)
{
	return (struct vn_incoming){ &m->image, present, name };
}

static inline void vn_engine_close_p(struct vn_engine **e)
{
	vn_engine_close(*e);
}
#define AUTO_ENGINE VN_CLEANUP(vn_engine_close_p) struct vn_engine
#endif
