/* A content descriptor (image-spec descriptor.md). */
#ifndef VN_OCI_DESC_H
#define VN_OCI_DESC_H
#include "oci/mediatype.h"
#include "oci/platform.h"
#include "util/digest.h"

struct vn_desc {
	char *media_type;            /* owned; NULL only in a zeroed descriptor */
	struct vn_digest digest;
	int64_t size;
	struct vn_platform platform; /* os "" = none */
	vn_json *json;               /* the whole object as read or NULL: annotations, urls, data, artifactType stay in it */
};
int vn_desc_init(struct vn_desc *desc, const char *media_type, const struct vn_digest *digest, int64_t size,
		 struct vn_err *err);
int vn_desc_of_json(const struct vn_jv *v, struct vn_desc *ret, struct vn_err *err);
/* A copy of .json with mediaType, digest and size set; other members stay. */
vn_json *vn_desc_to_json(const struct vn_desc *desc);
int vn_desc_copy(const struct vn_desc *desc, struct vn_desc *ret, struct vn_err *err);
const char *vn_desc_annotation(const struct vn_desc *desc, const char *key);        /* NULL = none */
void vn_desc_release(struct vn_desc *desc);
#endif
