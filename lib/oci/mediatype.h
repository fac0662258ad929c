/* Media types of image-spec (media-types.md) and of Docker's Image Manifest v2 schema 2, in one table. */
#ifndef VN_OCI_MEDIATYPE_H
#define VN_OCI_MEDIATYPE_H
#include <stdbool.h>

enum vn_family { VN_FAMILY_NONE, VN_FAMILY_OCI, VN_FAMILY_DOCKER };
enum vn_kind { VN_KIND_UNKNOWN, VN_KIND_INDEX, VN_KIND_MANIFEST, VN_KIND_CONFIG, VN_KIND_LAYER, VN_KIND_FOREIGN_LAYER,
	       VN_KIND_SCHEMA1, VN_KIND_EMPTY };
enum vn_compression { VN_PLAIN, VN_GZIP, VN_ZSTD };

struct vn_mediatype {
	const char *text;
	enum vn_family family;
	enum vn_kind kind;
	enum vn_compression compression;       /* layers */
};

#define VN_MT_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define VN_MT_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define VN_MT_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define VN_MT_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define VN_MT_OCI_EMPTY "application/vnd.oci.empty.v1+json"
#define VN_MT_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define VN_MT_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define VN_MT_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define VN_MT_DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
/* Every manifest kind that veneer reads, as an Accept header's value. */
#define VN_ACCEPT VN_MT_OCI_INDEX ", " VN_MT_OCI_MANIFEST ", " VN_MT_DOCKER_LIST ", " VN_MT_DOCKER_MANIFEST

/* Parameters after ';' and letter case are ignored. Never NULL: an unknown type has kind VN_KIND_UNKNOWN. */
const struct vn_mediatype *vn_mediatype(const char *text);
/* The type of a layer with that compression in a family; NULL where the family has none (Docker and zstd). */
const char *vn_mediatype_layer(enum vn_family family, enum vn_compression compression);
const char *vn_mediatype_manifest(enum vn_family family);
const char *vn_mediatype_index(enum vn_family family);
const char *vn_mediatype_config(enum vn_family family);
#endif
