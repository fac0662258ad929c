/* Kind, manifest and index of arbitrary bytes; what parsed must select, copy and print. */
#include "oci/manifest.h"
#include "util/cleanup.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct vn_desc *desc)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) copy = { 0 }, again = { 0 };
	VN_AUTO_JSON *json = vn_desc_to_json(desc);
	struct vn_jv root = vn_jv_root(json, "printed");
	if (vn_desc_copy(desc, &copy, &err) < 0 || vn_desc_of_json(&root, &again, &err) < 0 ||
	    strcmp(again.digest.text, desc->digest.text) != 0 || again.size != desc->size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	enum vn_kind kind = VN_KIND_UNKNOWN;
	const char *type = NULL;
	VN_AUTO(vn_manifest) m = { 0 };
	VN_AUTO(vn_index) x = { 0 };
	int known = vn_manifest_kind(data, size, NULL, &kind, &type, &err);
	int as_manifest = vn_manifest_parse(data, size, &m, &err), as_index = vn_index_parse(data, size, &x, &err);
	if ((as_manifest == 0 && (known < 0 || kind != VN_KIND_MANIFEST)) ||
	    (as_index == 0 && (known < 0 || kind != VN_KIND_INDEX)))
		abort();
	for (size_t i = 0; i < m.nlayers; i++)
		print(&m.layers[i]);
	for (size_t i = 0; i < x.nmanifests; i++)
		print(&x.manifests[i]);
	const struct vn_desc *entry;
	struct vn_platform want;
	vn_index_select(&x, NULL, &entry, &err);
	if (vn_platform_parse("linux/arm64", &want, &err) == 0)
		vn_index_select(&x, &want, &entry, &err);
	return 0;
}
