/* The files of one image, as its containers see them: indexes of its layers, opened when they are needed, from the top. */
#ifndef VN_OCIDELTA_FILES_H
#define VN_OCIDELTA_FILES_H
#include "layer/merge.h"

struct vn_image_files {
	const struct vn_image *image;
	const struct vn_index_options *options;
	struct vn_layer_index *layers;       /* one for each of the image's; fd -1 = not opened */
	const struct vn_layer_index **list;  /* pointers to them, as vn_merge_open wants */
};
/* Both stay the caller's. */
int vn_image_files_open(const struct vn_image *image, const struct vn_index_options *options, struct vn_image_files *ret,
			struct vn_err *err);
void vn_image_files_release(struct vn_image_files *f);
int vn_image_files_index(struct vn_image_files *f, size_t layer, struct vn_err *err);
/* Writes the regular files at `paths` (in any order, clean) to `fd`, one behind the other from `at` on. ret_sizes[n] may be NULL. Only
 * layers down to the lowest that holds one are indexed. VN_ENOTFOUND names a path where there is no regular file. */
int vn_image_files_read(struct vn_image_files *f, const char *const *paths, size_t n, int fd, uint64_t at, uint64_t *ret_sizes,
		  uint64_t *ret_end, struct vn_err *err);
#endif
