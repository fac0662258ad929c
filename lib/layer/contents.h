/* The contents of chosen files of a stack of layers, read in one pass over each layer that holds some. */
#ifndef VN_LAYER_CONTENTS_H
#define VN_LAYER_CONTENTS_H
#include "layer/merge.h"

struct vn_wanted {
	const char *path;            /* of a regular file as the merged tree shows it */
	const char *link;            /* of a hard link to a lower layer, else NULL */
	size_t layer;                /* of the image, from 0, that describes it */
	uint64_t group, size;
	uint8_t print[VN_PRINT_SIZE];
	uint64_t at;                 /* where its bytes go */
};
/* The texts stay the entry's. */
struct vn_wanted vn_wanted_of(const struct vn_entry *e, size_t layer);
/* Writes each wanted file to `fd` at its place. Layers are read only as far as needed, and what is read must have the fingerprint that
 * the index saw: VN_EDIGEST when not. `layers`: an index for each layer of the image; those that are looked at are open. */
int vn_contents_read(const struct vn_image *image, const struct vn_layer_index *layers, const struct vn_wanted *wanted, size_t n,
		     const struct vn_index_options *options, int fd, struct vn_err *err);
#endif
