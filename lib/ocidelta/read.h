/* What opening and applying share. */
#ifndef VN_OCIDELTA_READ_H
#define VN_OCIDELTA_READ_H
#include "ocidelta/bundle.h"
#include "ocidelta/ocidelta.h"

/* The first blob of that content, and the one that makes a layer; NULL = none. */
const struct vn_ocidelta_blob *vn_ocidelta_content(const struct vn_ocidelta *delta, const char *content);
const struct vn_ocidelta_blob *vn_ocidelta_layer_for(const struct vn_ocidelta *delta, const struct vn_digest *digest);
/* From its temporary file, its descriptor, or the place where it lies. */
int vn_ocidelta_blob_open(const struct vn_ocidelta *delta, const struct vn_ocidelta_blob *blob, struct vn_in **ret,
			  struct vn_err *err);
/* Fills layers from the table, unless they are there. */
int vn_ocidelta_tell(struct vn_ocidelta *delta, const struct vn_bundle *b, struct vn_err *err);
#endif
