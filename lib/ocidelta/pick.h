/* Which files of the source image predict the files of the target's new layers: the one at the same path; else one of the same name,
 * in the directory that is nearest; for models, else one of the same kind, as model-v1.onnx is for model-v2.onnx. */
#ifndef VN_OCIDELTA_PICK_H
#define VN_OCIDELTA_PICK_H
#include "ocidelta/files.h"
#include "util/arena.h"

struct vn_pick {
	const char *path;            /* of a regular file in a new layer */
	uint64_t size;
	const char *source;          /* its predictor in the source image, a hard link's first path; NULL = none */
};
struct vn_picks {
	struct vn_arena arena;
	struct vn_pick *list;        /* by vn_path_cmp of path, each path once */
	size_t n, cap;
	const char **sources;        /* by vn_path_cmp, each once */
	size_t nsources;
};
/* `layers`: numbers of the new layers in `now`. */
int vn_picks_make(struct vn_image_files *old, struct vn_image_files *now, const size_t *layers, size_t nlayers, struct vn_picks *ret,
		  struct vn_err *err);
void vn_picks_release(struct vn_picks *p);
const struct vn_pick *vn_pick_find(const struct vn_picks *p, const char *path);      /* NULL = none */
#endif
