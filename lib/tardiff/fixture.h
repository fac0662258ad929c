/* An old image of a few files in memory, for tests. */
#ifndef VN_TARDIFF_FIXTURE_H
#define VN_TARDIFF_FIXTURE_H
#include "tardiff/tardiff.h"
#include <string.h>

struct fixture_file {
	const char *path;
	const void *data;
	size_t len;
};
struct fixture_image {
	struct vn_tardiff_files files;
	const struct fixture_file *list;
	size_t count;
	struct vn_delta_bytes open;
	int opened;                   /* minus closed: at most one */
	int opens;
};

static inline int fixture_open(struct vn_tardiff_files *files, const char *path, struct vn_delta_old **ret_file,
			       struct vn_err *err)
{
	struct fixture_image *image = (struct fixture_image *)files;
	for (size_t i = 0; i < image->count; i++)
		if (strcmp(image->list[i].path, path) == 0) {
			vn_delta_old_bytes(&image->open, image->list[i].data, image->list[i].len);
			*ret_file = &image->open.old;
			image->opened++;
			image->opens++;
			return 0;
		}
	return vn_fail(err, VN_ENOTFOUND, "no file \"%.200s\"", path);
}

static inline void fixture_close(struct vn_tardiff_files *files, struct vn_delta_old *file)
{
	struct fixture_image *image = (struct fixture_image *)files;
	image->opened -= file == &image->open.old;
}

static inline struct fixture_image fixture_image(const struct fixture_file *list, size_t count)
{
	return (struct fixture_image){ .files = { fixture_open, fixture_close }, .list = list, .count = count };
}
#endif
