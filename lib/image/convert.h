/* Docker's manifests as OCI ones, for places that take only those: media types change, and with them the manifest's digest;
 * layers and configuration stay as they are. */
#ifndef VN_IMAGE_CONVERT_H
#define VN_IMAGE_CONVERT_H
#include "oci/manifest.h"

int vn_manifest_to_oci(const struct vn_manifest *m, struct vn_buf *ret_bytes, struct vn_desc *ret_desc, struct vn_err *err);
/* `children` stand for the entries of `x`, in order; their platforms and annotations are the entries'. */
int vn_index_to_oci(const struct vn_index *x, const struct vn_desc *children, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
		    struct vn_err *err);
#endif
