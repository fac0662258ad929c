#include "image/convert.h"
#include "util/cleanup.h"
#include <string.h>

static const char *oci_type(const char *text)
{
	const struct vn_mediatype *type = vn_mediatype(text);
	const char *oci = NULL;
	if (type->family == VN_FAMILY_DOCKER && type->kind == VN_KIND_LAYER)
		oci = vn_mediatype_layer(VN_FAMILY_OCI, type->compression);
	else if (type->family == VN_FAMILY_DOCKER && type->kind == VN_KIND_CONFIG)
		oci = vn_mediatype_config(VN_FAMILY_OCI);
	else if (type->kind == VN_KIND_FOREIGN_LAYER && type->family == VN_FAMILY_DOCKER)
		oci = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
	return oci ? oci : text;
}

static vn_json *as_oci(const struct vn_desc *desc, const char *type)
{
	vn_json *v = vn_desc_to_json(desc);
	vn_json_set(v, "mediaType", vn_json_string(type));
	return v;
}

static int finish(const vn_json *doc, const char *type, struct vn_buf *ret_bytes, struct vn_desc *ret_desc, struct vn_err *err)
{
	struct vn_digest digest;
	vn_buf_clear(ret_bytes);
	int rc = vn_json_text(doc, false, ret_bytes, err);
	if (rc == 0)
		rc = vn_digest_of(vn_buf_text(ret_bytes), ret_bytes->len, &digest, err);
	return rc < 0 ? rc : vn_desc_init(ret_desc, type, &digest, (int64_t)ret_bytes->len, err);
}

int vn_manifest_to_oci(const struct vn_manifest *m, struct vn_buf *ret_bytes, struct vn_desc *ret_desc, struct vn_err *err)
{
	VN_AUTO_JSON *doc = vn_json_copy(m->json);
	vn_json *layers = vn_json_array();
	/* Docker 1.10 typed the configuration as octet-stream */
	bool untyped = m->family == VN_FAMILY_DOCKER && !strcmp(m->config.media_type, "application/octet-stream");
	for (size_t i = 0; i < m->nlayers; i++)
		vn_json_add(layers, as_oci(&m->layers[i], oci_type(m->layers[i].media_type)));
	vn_json_set(doc, "mediaType", vn_json_string(VN_MT_OCI_MANIFEST));
	vn_json_set(doc, "config", as_oci(&m->config, untyped ? VN_MT_OCI_CONFIG : oci_type(m->config.media_type)));
	vn_json_set(doc, "layers", layers);
	return finish(doc, VN_MT_OCI_MANIFEST, ret_bytes, ret_desc, err);
}

int vn_index_to_oci(const struct vn_index *x, const struct vn_desc *children, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
		    struct vn_err *err)
{
	VN_AUTO_JSON *doc = vn_json_copy(x->json);
	vn_json *entries = vn_json_array();
	for (size_t i = 0; i < x->nmanifests; i++) {
		struct vn_desc entry = x->manifests[i];      /* a view: nothing is owned */
		entry.digest = children[i].digest;
		entry.size = children[i].size;
		vn_json *v = as_oci(&entry, children[i].media_type);
		vn_json_del(v, "data");
		vn_json_add(entries, v);
	}
	vn_json_set(doc, "mediaType", vn_json_string(VN_MT_OCI_INDEX));
	vn_json_set(doc, "manifests", entries);
	return finish(doc, VN_MT_OCI_INDEX, ret_bytes, ret_desc, err);
}
