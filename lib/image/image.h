/* One image of one platform, opened: manifest, configuration, layers with the step that made each. */
#ifndef VN_IMAGE_IMAGE_H
#define VN_IMAGE_IMAGE_H
#include "image/sink.h"
#include "oci/config.h"

struct vn_image_layer {
	struct vn_desc desc;             /* of the blob as stored */
	struct vn_digest diff_id;        /* of the tar */
	const char *step;                /* history's created_by, "" when unknown */
	bool foreign;                    /* urls instead of a blob in the registry */
};
struct vn_image {
	struct vn_source *source;        /* borrowed */
	struct vn_cache *cache;          /* borrowed, may be NULL */
	struct vn_desc root;             /* what the reference names: an index, or the manifest itself */
	bool from_index;
	struct vn_desc desc;             /* the image manifest */
	struct vn_buf manifest_bytes, config_bytes;
	struct vn_manifest manifest;
	struct vn_config config;
	struct vn_image_layer *layers;
	size_t nlayers;
};
/* `want` NULL: the image's only platform, or this machine's. Fails clearly when manifest and configuration disagree on the
 * number of layers, or the manifest is an artifact and no image. */
int vn_image_open(struct vn_source *source, const struct vn_platform *want, struct vn_cache *cache, struct vn_image *ret,
		  struct vn_err *err);
/* As vn_image_open for one manifest (a child of an index). */
int vn_image_open_child(struct vn_source *source, const struct vn_desc *child, struct vn_cache *cache, struct vn_image *ret,
			struct vn_err *err);
void vn_image_release(struct vn_image *image);

/* Layer i as a verified plain tar stream; `max_plain` as in vn_in_inflate. Foreign layers are VN_EFORMAT. */
int vn_image_layer_tar(const struct vn_image *image, size_t i, uint64_t max_plain, struct vn_in **ret, struct vn_err *err);
/* "layer 3 of 6 of NAME", for messages. */
const char *vn_image_layer_name(const struct vn_image *image, size_t i, char out[512]);

/* Copy a blob of `from` that `to` does not have: has → mount → put. *ret_moved (may be NULL) is what crossed: its size or 0. */
int vn_copy_blob(struct vn_source *from, const struct vn_desc *desc, struct vn_cache *cache, struct vn_sink *to,
		 const char *what, uint64_t *ret_moved, struct vn_err *err);

struct vn_copy_result {
	struct vn_desc root;
	uint64_t bytes;                  /* that moved */
	size_t blobs, images;
};
/* Whole image or index (`want` NULL: everything it names), exact bytes, and commits. Only where the sink takes nothing but OCI, a
 * Docker manifest becomes an OCI one over the same blobs. */
int vn_image_copy(struct vn_source *from, const struct vn_platform *want, struct vn_cache *cache, struct vn_sink *to,
		  struct vn_copy_result *ret, struct vn_err *err);
#endif
