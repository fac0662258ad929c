#include "oci/mediatype.h"
#include <stddef.h>
#include <string.h>

#define DOCKER "application/vnd.docker."
#define OCI "application/vnd.oci.image."

static const struct vn_mediatype types[] = {
	{ VN_MT_OCI_INDEX, VN_FAMILY_OCI, VN_KIND_INDEX, VN_PLAIN },
	{ VN_MT_OCI_MANIFEST, VN_FAMILY_OCI, VN_KIND_MANIFEST, VN_PLAIN },
	{ VN_MT_OCI_CONFIG, VN_FAMILY_OCI, VN_KIND_CONFIG, VN_PLAIN },
	{ VN_MT_OCI_LAYER, VN_FAMILY_OCI, VN_KIND_LAYER, VN_PLAIN },
	{ VN_MT_OCI_LAYER "+gzip", VN_FAMILY_OCI, VN_KIND_LAYER, VN_GZIP },
	{ VN_MT_OCI_LAYER "+zstd", VN_FAMILY_OCI, VN_KIND_LAYER, VN_ZSTD },
	{ OCI "layer.nondistributable.v1.tar", VN_FAMILY_OCI, VN_KIND_FOREIGN_LAYER, VN_PLAIN },
	{ OCI "layer.nondistributable.v1.tar+gzip", VN_FAMILY_OCI, VN_KIND_FOREIGN_LAYER, VN_GZIP },
	{ OCI "layer.nondistributable.v1.tar+zstd", VN_FAMILY_OCI, VN_KIND_FOREIGN_LAYER, VN_ZSTD },
	{ VN_MT_OCI_EMPTY, VN_FAMILY_OCI, VN_KIND_EMPTY, VN_PLAIN },
	{ VN_MT_DOCKER_LIST, VN_FAMILY_DOCKER, VN_KIND_INDEX, VN_PLAIN },
	{ VN_MT_DOCKER_MANIFEST, VN_FAMILY_DOCKER, VN_KIND_MANIFEST, VN_PLAIN },
	{ VN_MT_DOCKER_CONFIG, VN_FAMILY_DOCKER, VN_KIND_CONFIG, VN_PLAIN },
	{ VN_MT_DOCKER_LAYER, VN_FAMILY_DOCKER, VN_KIND_LAYER, VN_PLAIN },
	{ VN_MT_DOCKER_LAYER ".gzip", VN_FAMILY_DOCKER, VN_KIND_LAYER, VN_GZIP },
	{ DOCKER "image.rootfs.foreign.diff.tar", VN_FAMILY_DOCKER, VN_KIND_FOREIGN_LAYER, VN_PLAIN },
	{ DOCKER "image.rootfs.foreign.diff.tar.gzip", VN_FAMILY_DOCKER, VN_KIND_FOREIGN_LAYER, VN_GZIP },
	{ DOCKER "distribution.manifest.v1+json", VN_FAMILY_DOCKER, VN_KIND_SCHEMA1, VN_PLAIN },
	{ DOCKER "distribution.manifest.v1+prettyjws", VN_FAMILY_DOCKER, VN_KIND_SCHEMA1, VN_PLAIN },
	/* met in the field: BuildKit and umoci (zstd under the Docker name), and the first drafts of the OCI names */
	{ VN_MT_DOCKER_LAYER ".zstd", VN_FAMILY_DOCKER, VN_KIND_LAYER, VN_ZSTD },
	{ VN_MT_DOCKER_LAYER "+gzip", VN_FAMILY_DOCKER, VN_KIND_LAYER, VN_GZIP },
	{ OCI "layer.v1.tar.gzip", VN_FAMILY_OCI, VN_KIND_LAYER, VN_GZIP },
	{ OCI "layer.v1.tar.zstd", VN_FAMILY_OCI, VN_KIND_LAYER, VN_ZSTD },
};

/* Letter case of ASCII alone, whatever the locale. */
static bool same_letters(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + 32) : a[i],
		     y = b[i] >= 'A' && b[i] <= 'Z' ? (char)(b[i] + 32) : b[i];
		if (x != y)
			return false;
	}
	return true;
}

const struct vn_mediatype *vn_mediatype(const char *text)
{
	static const struct vn_mediatype unknown = { "", VN_FAMILY_NONE, VN_KIND_UNKNOWN, VN_PLAIN };
	if (!text)
		return &unknown;
	size_t len = strcspn(text, "; \t");
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strlen(types[i].text) == len && same_letters(types[i].text, text, len))
			return &types[i];
	return &unknown;
}

const char *vn_mediatype_layer(enum vn_family family, enum vn_compression compression)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i].family == family && types[i].kind == VN_KIND_LAYER && types[i].compression == compression)
			return family == VN_FAMILY_DOCKER && compression == VN_ZSTD ? NULL : types[i].text;
	return NULL;
}

static const char *of_kind(enum vn_family family, enum vn_kind kind)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i].family == family && types[i].kind == kind)
			return types[i].text;
	return NULL;
}

const char *vn_mediatype_manifest(enum vn_family family)
{
	return of_kind(family, VN_KIND_MANIFEST);
}

const char *vn_mediatype_index(enum vn_family family)
{
	return of_kind(family, VN_KIND_INDEX);
}

const char *vn_mediatype_config(enum vn_family family)
{
	return of_kind(family, VN_KIND_CONFIG);
}
