/* Docker Engine as a device's engine. Files of an image are read out of a container that is created, never started, and removed; a label
 * with the scratch folder marks it, so that what a killed run left is found. */
#ifndef VN_ENGINE_MOBY_H
#define VN_ENGINE_MOBY_H
#include "engine/device.h"
#include "engine/docker.h"

struct vn_moby {
	struct vn_engine e;
	char *endpoint, *scratch;
	struct vn_docker docker;             /* .http NULL: not used yet */
	bool swept;                          /* what earlier runs left is gone */
	char *root;                          /* the engine's data folder, NULL when it is not on this machine */
	bool asked_root;
};
int vn_moby_reach(struct vn_moby *m, struct vn_err *err);
/* Before anything that containers of killed runs could stand in the way of. */
int vn_moby_ready(struct vn_moby *m, struct vn_err *err);

struct vn_moby_container {
	struct vn_moby *m;
	char id[VN_DOCKER_ID];
};
int vn_moby_container(struct vn_moby *m, const char *image, struct vn_moby_container *ret, struct vn_err *err);
void vn_moby_container_release(struct vn_moby_container *c);
/* keep() of struct vn_engine_ops, and its end; `full` is a full name */
int vn_moby_keep(struct vn_engine *e, const char *name, struct vn_err *err);
int vn_moby_let_go(struct vn_moby *m, const char *full, struct vn_err *err);

/* files() of struct vn_engine_ops */
int vn_moby_files(struct vn_engine *e, const struct vn_digest *image, const char *const *paths, size_t n, int fd, uint64_t at,
		  uint64_t *ret_sizes, uint64_t *ret_end, struct vn_err *err);
#endif
