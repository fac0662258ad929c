#include "engine/device.h"
#include "oci/mediatype.h"
#include "util/cleanup.h"
#include "util/limits.h"

static vn_json *pin_config(const struct vn_image *image, size_t n)
{
	const struct vn_platform *p = &image->config.platform;
	vn_json *doc = vn_json_object(), *fs = vn_json_object(), *ids = vn_json_array();
	for (size_t i = 0; i < n; i++)
		vn_json_add(ids, vn_json_string(image->config.diff_ids[i].text));
	vn_json_set(fs, "type", vn_json_string("layers"));
	vn_json_set(fs, "diff_ids", ids);
	vn_json_set(doc, "architecture", vn_json_string(p->architecture));
	vn_json_set(doc, "os", vn_json_string(p->os));
	if (*p->variant)
		vn_json_set(doc, "variant", vn_json_string(p->variant));
	if (*p->os_version)
		vn_json_set(doc, "os.version", vn_json_string(p->os_version));
	vn_json_set(doc, "config", vn_json_object());
	vn_json_set(doc, "rootfs", fs);
	return doc;
}

static vn_json *pin_manifest(const struct vn_image *image, size_t n, const struct vn_desc *config)
{
	enum vn_family family = image->manifest.family;
	vn_json *doc = vn_json_object(), *layers = vn_json_array();
	for (size_t i = 0; i < n; i++)
		vn_json_add(layers, vn_desc_to_json(&image->manifest.layers[i]));
	vn_json_set(doc, "schemaVersion", vn_json_int(2));
	vn_json_set(doc, "mediaType", vn_json_string(vn_mediatype_manifest(family)));
	vn_json_set(doc, "config", vn_desc_to_json(config));
	vn_json_set(doc, "layers", layers);
	return doc;
}

int vn_pin_image(const struct vn_image *image, size_t n, struct vn_buf *ret_manifest, struct vn_buf *ret_config, struct vn_err *err)
{
	VN_AUTO_JSON *config = NULL, *manifest = NULL;
	VN_AUTO(vn_buf) config_text = VN_BUF(VN_MAX_CONFIG), manifest_text = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_digest digest;
	if (!n || n > image->nlayers || n > image->config.ndiff_ids || n > image->manifest.nlayers)
		return vn_fail(err, VN_EUSAGE, "%s has %zu layers, of which %zu cannot be pinned", image->source->ref.text,
			       image->nlayers, n);
	config = pin_config(image, n);
	int rc = vn_json_text(config, false, &config_text, err);
	if (rc == 0)
		rc = vn_digest_of(config_text.data, config_text.len, &digest, err);
	if (rc == 0)
		rc = vn_desc_init(&desc, vn_mediatype_config(image->manifest.family), &digest, (int64_t)config_text.len, err);
	if (rc < 0)
		return rc;
	manifest = pin_manifest(image, n, &desc);
	rc = vn_json_text(manifest, false, &manifest_text, err);
	if (rc == 0)
		rc = vn_buf_add(ret_config, config_text.data, config_text.len, err);
	if (rc == 0)
		rc = vn_buf_add(ret_manifest, manifest_text.data, manifest_text.len, err);
	return rc;
}
