/* podman as a device's engine, through its command. Files of an image are read where podman mounts it, or, where it may not, out of a
 * container that is created, never started, and removed. */
#ifndef VN_ENGINE_PODMAN_H
#define VN_ENGINE_PODMAN_H
#include "engine/command.h"
#include "engine/device.h"
#include "util/limits.h"

#define VN_PODMAN_LABEL "dev.veneer.pull"    /* of such containers; its value is the scratch folder */

struct vn_podman {
	struct vn_engine e;
	char *scratch, *temporary;           /* temporary: podman's own files while it takes an image in */
	char *label;
	char *text;                          /* the endpoint, cut into words */
	const char *words[VN_MAX_ENDPOINT_WORDS];
	size_t nwords;
	bool swept;                          /* what earlier runs left is gone */
	char *root, *driver;                 /* NULL: not asked for yet */
};
/* Runs `podman` with the endpoint's words and those of `cmd`. */
int vn_podman_run(struct vn_podman *p, struct vn_command *cmd, struct vn_buf *ret, struct vn_err *err);
/* The same, its stdout as it comes. */
int vn_podman_in(struct vn_podman *p, const struct vn_command *cmd, struct vn_in **ret, struct vn_err *err);
/* Before anything that containers of killed runs could stand in the way of. */
int vn_podman_sweep(struct vn_podman *p, struct vn_err *err);

struct vn_podman_container {
	struct vn_podman *p;
	char id[80];
};
int vn_podman_container(struct vn_podman *p, const char *image, struct vn_podman_container *ret, struct vn_err *err);
void vn_podman_container_release(struct vn_podman_container *c);

struct vn_podman_mount {
	struct vn_podman *p;
	const char *image;                   /* NULL: not mounted */
	int root;
};
int vn_podman_mount(struct vn_podman *p, const char *image, struct vn_podman_mount *ret, struct vn_err *err);
void vn_podman_mount_release(struct vn_podman_mount *m);

/* files() of struct vn_engine_ops */
int vn_podman_files(struct vn_engine *e, const struct vn_digest *image, const char *const *paths, size_t n, int fd, uint64_t at,
		    uint64_t *ret_sizes, uint64_t *ret_end, struct vn_err *err);
#endif
