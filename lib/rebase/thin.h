/* Thin images know what they stand on, so that veneers never pile up. */
#ifndef VN_REBASE_THIN_H
#define VN_REBASE_THIN_H
#include "image/image.h"

#define VN_LABEL_BASE_NAME "org.opencontainers.image.base.name"
#define VN_LABEL_BASE_DIGEST "org.opencontainers.image.base.digest"
#define VN_LABEL_BASE_LAYERS "dev.veneer.base.layers"
#define VN_LABEL_FROM "dev.veneer.from"               /* digest of NEW */
#define VN_LABEL_MODELS "dev.veneer.models"
#define VN_LABEL_ACCEPTED "dev.veneer.accepted"
#define VN_HISTORY_COMMENT "veneer"

struct vn_base {
	size_t layers;               /* of OLD, from the bottom, that are kept */
	bool thin;                   /* OLD is a veneer on them */
	char *name;                  /* of the image that they are: "" = unknown */
	struct vn_digest digest;     /* of its manifest; "" = unknown */
};
/* What OLD stands on: itself, or for a thin image what it records. A record that contradicts the image is VN_EFORMAT. */
int vn_base_of(const struct vn_image *old_image, struct vn_base *ret, struct vn_err *err);
void vn_base_release(struct vn_base *base);
/* OLD cut down to the layers that are kept: borrows everything from `old_image`. */
struct vn_image vn_base_view(const struct vn_image *old_image, const struct vn_base *base);
/* A label of the configuration; NULL when it is not set. */
const char *vn_label(const struct vn_config *config, const char *key);
#endif
