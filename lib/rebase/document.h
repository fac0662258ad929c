/* Configuration, manifest and index of the result. */
#ifndef VN_REBASE_DOCUMENT_H
#define VN_REBASE_DOCUMENT_H
#include "rebase/thin.h"
#include "rebase/write.h"

struct vn_stamp {                        /* of the source tree: --source; texts "" when unknown */
	const char *revision, *describe, *origin;
	bool dirty;
};
struct vn_document {
	enum vn_family family;
	struct vn_buf config, manifest;
	struct vn_desc config_desc, desc;
};
struct vn_document_input {
	const struct vn_image *old_image, *new_image;
	const struct vn_base *base;
	const struct vn_veneer_blob *blobs;
	size_t nblobs;
	bool split;
	enum vn_family family;
	const struct vn_model_info *models;
	size_t nmodels;
	const char *accepted;        /* "" = nothing */
	const struct vn_stamp *stamp;        /* NULL without a source tree */
};
int vn_document_write(const struct vn_document_input *in, struct vn_document *ret, struct vn_err *err);
void vn_document_release(struct vn_document *doc);
/* The family that can say all of OLD's layers: OLD's own, or OCI where Docker's has no word (zstd). `only`: what DEST takes. */
int vn_document_family(const struct vn_image *old_image, enum vn_family only, enum vn_family *ret, struct vn_err *err);
/* NEW's index with the images replaced; what stands for none of them (attestations) is left out. */
int vn_document_index(const struct vn_index *new_index, const struct vn_desc *const *replaced, const struct vn_desc *by, size_t n,
		      struct vn_buf *ret_bytes, struct vn_desc *ret_desc, struct vn_err *err);
#endif
