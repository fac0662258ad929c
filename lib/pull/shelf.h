/* What this device holds, as an OCI layout: manifests, configurations, and the layers that the engine does not keep safe itself. Exact
 * bytes, whatever the family, so that digests stay. For the engine `oci` it is the engine's own folder. */
#ifndef VN_PULL_SHELF_H
#define VN_PULL_SHELF_H
#include "engine/device.h"
#include "image/image.h"

/* Makes the folder a layout unless it is one, and removes what killed runs left half-written. */
int vn_shelf_make(const char *dir, struct vn_err *err);
/* Manifests and blobs by digest; `ref` of the source is "oci:DIR". */
int vn_shelf_open(const char *dir, const struct vn_events *events, struct vn_source **ret, struct vn_err *err);
/* The image of a manifest on the shelf. */
int vn_shelf_image(struct vn_source *shelf, const struct vn_digest *manifest, struct vn_image *ret, struct vn_err *err);
int vn_shelf_path(const char *dir, const struct vn_digest *digest, char **ret, struct vn_err *err);

/* Puts an image there; nothing has a name before somebody gives it one. Layers at the bottom that `engine` says it has are left
 * out, and *ret_present tells how many they are. A blob that stands in `staging` as HEX.blob is moved and not copied. */
int vn_shelf_sink_open(const char *dir, const char *staging, struct vn_engine *engine, size_t *ret_present,
		       const struct vn_events *events, struct vn_sink **ret, struct vn_err *err);
/* One blob of memory, durable. */
int vn_shelf_put(const char *dir, const void *bytes, size_t len, struct vn_digest *ret, struct vn_err *err);
/* index.json lists these images under these tags and no others of ours (tags that begin with `prefix`). */
int vn_shelf_list(const char *dir, const char *prefix, const struct vn_desc *images, const char *const *tags, size_t n,
		  struct vn_err *err);

/* Removes every blob that neither a kept manifest nor an entry of index.json needs; with `only`, of the blobs that this manifest needs.
 * Stops with an error, and removes nothing, when something cannot be read. */
struct vn_shelf_keep {
	struct vn_digest manifest;
	size_t base;                 /* layers at its bottom whose blobs need not stay */
};
int vn_shelf_collect(const char *dir, const struct vn_shelf_keep *keep, size_t n, const struct vn_digest *only, bool dry_run,
		     void (*tell)(void *user, const char *digest, uint64_t bytes), void *user, struct vn_err *err);
/* Beside what is staged, for engines whose folder the shelf is: HEX.brought, empty, for each blob that the update put on the shelf. Removes
 * those that neither a kept manifest nor an entry needs. */
#define VN_SHELF_BROUGHT ".brought"
int vn_shelf_take_back(const char *dir, const char *staging, const struct vn_shelf_keep *keep, size_t n,
		       void (*tell)(void *user, const char *digest, uint64_t bytes), void *user, struct vn_err *err);
/* Hashes every blob there. `tell` hears of the bad ones, with what is wrong, and of all others with NULL. */
int vn_shelf_verify(const char *dir, void (*tell)(void *user, const char *digest, uint64_t bytes, const char *problem), void *user,
		    struct vn_err *err);
#endif
