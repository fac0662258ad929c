/* What making a delta needs on its way: both sides in two files that are mapped. */
#ifndef VN_OCIDELTA_MAKE_H
#define VN_OCIDELTA_MAKE_H
#include "ocidelta/bundle.h"
#include "ocidelta/ocidelta.h"
#include "ocidelta/pick.h"
#include "ocidelta/read.h"

struct vn_spool {                      /* a file that grows, and then memory that is only looked at */
	struct vn_tmp tmp;
	uint64_t len;
	const uint8_t *data;         /* NULL until it is mapped, and when it is empty */
};
#define VN_SPOOL { VN_TMP, 0, NULL }
void vn_spool_release(struct vn_spool *m);
int vn_spool_add(struct vn_spool *m, const void *data, size_t len, struct vn_err *err);
int vn_spool_open(struct vn_spool *m, struct vn_err *err);

struct vn_making {
	const struct vn_image *old_image, *new_image;
	const struct vn_ocidelta_options *options;
	struct vn_image_files old, now;
	struct vn_picks picks;
	struct vn_bundle bundle;             /* of the target's layers: how each is made */
	size_t *carried, ncarried;           /* numbers of those whose tar is in `target` */
	uint64_t *at;                        /* … and where it begins, for each layer */
	uint64_t *old_at, *old_size;         /* where each of picks.sources is in `source` */
	struct vn_spool source, target;
	struct vn_ocidelta out;
};
static inline bool vn_making_carries(const struct vn_making *m, size_t layer)
{
	return vn_bundle_in_delta(&m->bundle.layers[layer]);
}
/* One more blob of the artifact, whose bytes are then written to *ret and ended by vn_making_end. */
struct vn_blob_out {
	struct vn_out *out;
	struct vn_digest digest;
	uint64_t size;
	size_t number;
};
int vn_making_begin(struct vn_making *m, struct vn_blob_out *ret, struct vn_err *err);
int vn_making_end(struct vn_making *m, struct vn_blob_out *b, const char *media_type, const char *content,
		  const struct vn_digest *to, struct vn_err *err);
/* One more that is a layer of the target as it is. */
int vn_making_original(struct vn_making *m, size_t layer, struct vn_err *err);
/* The blobs of an artifact that other tools read. */
int vn_making_interop(struct vn_making *m, struct vn_err *err);
/* Where files of carried layers, and tensors of models, are in the source. Owned by the caller. */
int vn_making_hints(const struct vn_making *m, struct vn_delta_hint **ret, size_t *ret_n, struct vn_err *err);

/* Regular files in the tar of a carried layer, where they lie in `target`. */
struct vn_member {
	const struct vn_pick *pick;
	uint64_t at, len;
};
int vn_making_members(const struct vn_making *m, size_t layer, struct vn_member **ret, size_t *ret_n, struct vn_err *err);

/* Fills manifest, desc, size: the blobs are all there. */
int vn_ocidelta_document(struct vn_ocidelta *delta, const struct vn_image *old_image, const struct vn_image *new_image,
			 const struct vn_ocidelta_options *options, struct vn_err *err);
/* The empty configuration of an artifact. */
int vn_ocidelta_config(struct vn_desc *ret, struct vn_err *err);
#endif
