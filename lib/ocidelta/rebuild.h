/* A target that is being rebuilt: its documents, its layers one after the other, all compared, and at last an image to copy from. */
#ifndef VN_OCIDELTA_REBUILD_H
#define VN_OCIDELTA_REBUILD_H
#include "ocidelta/read.h"
#include "ocidelta/recipe.h"
#include "tardiff/tardiff.h"

struct vn_rebuilt_layer {
	struct vn_tmp tmp;                   /* of its blob; fd -1 = it is found elsewhere */
	struct vn_digest digest;             /* of it, as it is now */
	uint64_t size;
	const struct vn_ocidelta_blob *original;     /* of the artifact, or NULL */
	bool repacked;
};
struct vn_rebuild {
	const struct vn_ocidelta *delta;
	struct vn_ocidelta_parts *parts;
	struct vn_delta_apply_options limits;
	struct vn_buf manifest_bytes, config_bytes;
	struct vn_source *self;              /* reads all of this */
	struct vn_image image;               /* as `self` shows it: valid from vn_rebuild_documents on */
	struct vn_rebuilt_layer *layers;     /* one for each of the image's */
	/* the layer that is being written */
	size_t now;
	struct vn_out *out;
	struct vn_digest tar, blob;
	uint64_t tar_size, blob_size;
	uint64_t fetched;
};
int vn_rebuild_open(const struct vn_ocidelta *delta, struct vn_ocidelta_parts *parts, const struct vn_delta_apply_options *limits,
		    struct vn_rebuild *ret, struct vn_err *err);
void vn_rebuild_release(struct vn_rebuild *r);
/* Both documents are there: compares them with their digests and looks at them. */
int vn_rebuild_documents(struct vn_rebuild *r, struct vn_err *err);
/* A blob of the artifact. */
int vn_rebuild_fetch(struct vn_rebuild *r, const struct vn_ocidelta_blob *blob, struct vn_in **ret, struct vn_err *err);
/* The tar of a layer goes to r->out. At the end its diff_id is compared, and unless the recipe is UNKNOWN the blob with its digest. */
int vn_rebuild_begin(struct vn_rebuild *r, size_t layer, const struct vn_bundle_layer *recipe, struct vn_err *err);
int vn_rebuild_end(struct vn_rebuild *r, const struct vn_bundle_layer *recipe, struct vn_err *err);
/* The layer's tar is the one of a layer of the source. */
int vn_rebuild_from_source(struct vn_rebuild *r, size_t layer, size_t from, const struct vn_bundle_layer *recipe,
			   struct vn_err *err);
/* A tar lies in `fd`, and nobody has said how its blob was packed: tries our own ways, and packs it anew when none is right. */
int vn_rebuild_guess(struct vn_rebuild *r, size_t layer, int fd, uint64_t len, struct vn_err *err);
/* Everything is there and right. */
int vn_rebuild_write(struct vn_rebuild *r, struct vn_sink *to, struct vn_ocidelta_applied *ret, struct vn_err *err);
/* The tar that a tar-diff makes of the source's files. It is read twice: `list` for the files that it opens, then `in`. */
int vn_rebuild_tardiff(struct vn_ocidelta_parts *parts, struct vn_in *list, struct vn_in *in, const struct vn_tardiff_limits *limits,
		       struct vn_out *out, struct vn_err *err);
/* An artifact without a bundle. */
int vn_rebuild_foreign(struct vn_rebuild *r, struct vn_err *err);
#endif
