/* How the blob of a layer follows from its tar. */
#ifndef VN_OCIDELTA_RECIPE_H
#define VN_OCIDELTA_RECIPE_H
#include "image/image.h"
#include "ocidelta/bundle.h"

/* Finds it, and proves it by making the blob again: `how`, and `gzip` where it has settings. The tar is `len` bytes at `at`. */
int vn_recipe_find(const struct vn_image *image, size_t layer, int fd, uint64_t at, uint64_t len, struct vn_bundle_layer *ret,
		   struct vn_err *err);
/* What is written to *ret becomes the blob in `inner` (owned): for UNKNOWN packed anew. */
int vn_recipe_out(const struct vn_bundle_layer *recipe, struct vn_out *inner, struct vn_out **ret, struct vn_err *err);
#endif
