/* Manifests and indexes of both families: bytes in, structs out; the bytes themselves are never written again unless they
 * were changed. */
#ifndef VN_OCI_MANIFEST_H
#define VN_OCI_MANIFEST_H
#include "oci/desc.h"

struct vn_manifest {
	enum vn_family family;
	struct vn_desc config;
	struct vn_desc *layers;
	size_t nlayers;
	vn_json *json;           /* the whole document */
};
struct vn_index {
	enum vn_family family;
	struct vn_desc *manifests;
	size_t nmanifests;
	vn_json *json;
};

/* Which of the two the bytes are: by `media_type` (NULL or unknown: by mediaType in the document, then by shape). A document
 * that contradicts its type, or is both, is refused (CVE-2021-41190); schema 1 is refused by name. */
int vn_manifest_kind(const void *bytes, size_t len, const char *media_type, enum vn_kind *ret_kind,
		     const char **ret_media_type /* constant */, struct vn_err *err);
int vn_manifest_parse(const void *bytes, size_t len, struct vn_manifest *ret, struct vn_err *err);
int vn_index_parse(const void *bytes, size_t len, struct vn_index *ret, struct vn_err *err);
void vn_manifest_release(struct vn_manifest *m);
void vn_index_release(struct vn_index *x);
/* The entry for a platform (image-spec image-index.md; attestations "unknown/unknown" never match); NULL `want` = this
 * machine's, or the only entry. VN_ENOTFOUND lists what is there. */
int vn_index_select(const struct vn_index *x, const struct vn_platform *want, const struct vn_desc **ret, struct vn_err *err);
bool vn_index_is_image(const struct vn_desc *entry);     /* false for attestations and unknown kinds */
const char *vn_manifest_annotation(const struct vn_manifest *m, const char *key);
#endif
