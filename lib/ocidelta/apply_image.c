/* Deltas applied to an image whose layers are at hand. A device has files instead, and takes none of this along. */
#include "ocidelta/files.h"
#include "ocidelta/rebuild.h"

struct image_parts {
	struct vn_ocidelta_parts parts;
	struct vn_image_files files;
};

static int image_files(struct vn_ocidelta_parts *parts, const char *const *paths, size_t n, int fd, uint64_t at,
		       uint64_t *ret_sizes, uint64_t *ret_end, struct vn_err *err)
{
	return vn_image_files_read(&((struct image_parts *)parts)->files, paths, n, fd, at, ret_sizes, ret_end, err);
}

int vn_ocidelta_apply(const struct vn_ocidelta *delta, const struct vn_image *source, const struct vn_index_options *index,
		      const struct vn_delta_apply_options *limits, struct vn_sink *to, struct vn_ocidelta_applied *ret,
		      struct vn_err *err)
{
	struct image_parts p = { .parts = { source, image_files } };
	int r = vn_image_files_open(source, index, &p.files, err);
	if (r == 0)
		r = vn_ocidelta_apply_parts(delta, &p.parts, limits, to, ret, err);
	if (p.files.layers)
		vn_image_files_release(&p.files);
	return r;
}

int vn_ocidelta_apply_tardiff(const struct vn_image *source, const struct vn_index_options *index, struct vn_in *list, struct vn_in *in,
			      const struct vn_tardiff_limits *limits, struct vn_out *to, struct vn_err *err)
{
	struct image_parts p = { .parts = { source, image_files } };
	int r = vn_image_files_open(source, index, &p.files, err);
	if (r == 0)
		r = vn_rebuild_tardiff(&p.parts, list, in, limits, to, err);
	if (p.files.layers)
		vn_image_files_release(&p.files);
	return r;
}
