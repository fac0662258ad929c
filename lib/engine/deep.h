/* Whether an engine's files are those of the layers that came in: fingerprints of every regular file that the layers above `present`
 * show in the merged tree, taken from the store, and compared with the engine's. After a power cut a layer may be there with empty
 * files. */
#ifndef VN_ENGINE_DEEP_H
#define VN_ENGINE_DEEP_H
#include "engine/device.h"
#include "util/arena.h"

struct vn_deep_node;
struct vn_deep {
	struct vn_deep_node *nodes;  /* a hash table of paths */
	size_t n, cap;
	struct vn_arena arena;
	struct vn_printer *printer;
	size_t files;                /* that are to be compared */
};
int vn_deep_open(const struct vn_incoming *in, struct vn_deep *ret, struct vn_err *err);
void vn_deep_release(struct vn_deep *d);
/* The engine puts a file of its own there. */
void vn_deep_except(struct vn_deep *d, const char *path);
/* All of them below a folder: VN_EDIGEST names the first that differs. */
int vn_deep_tree(struct vn_deep *d, int root, struct vn_err *err);
/* Those that a tar of the whole tree has; the others stay for vn_deep_rest, which asks files() of the engine. Owns `tar`. */
int vn_deep_tar(struct vn_deep *d, struct vn_in *tar, const char *what, struct vn_err *err);
int vn_deep_rest(struct vn_deep *d, struct vn_engine *e, const struct vn_digest *image, const char *scratch, struct vn_err *err);
#endif
