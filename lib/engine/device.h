/* An engine as a device's updater sees it: what it holds, files of it, and taking a new image in so that nothing is lost when the
 * power goes. An image comes in under a private name, is proved, made durable, and only then gets the name that containers are
 * started from.
 *
 * moby         Docker Engine API over a unix socket or TCP
 * containerd   the ctr command; endpoint ADDRESS[,NAMESPACE]
 * podman       the podman command; endpoint: NULL, or arguments such as "--root DIR --runroot DIR"
 * oci          a layout folder; every blob stays in it
 * rootfs       a folder DIR: DIR/trees/HEX are unpacked images (HEX: chain ID of all layers), DIR/images/NAME are symbolic
 *              links to them, and DIR/current is the one that is switched */
#ifndef VN_ENGINE_DEVICE_H
#define VN_ENGINE_DEVICE_H
#include "image/image.h"

/* What an engine holds under one name. */
struct vn_held {
	struct vn_digest image;      /* of its configuration */
	struct vn_digest manifest;   /* under which it was pulled (an index's for some engines); "" = not known */
	struct vn_digest *diff_ids;  /* owned */
	size_t ndiff_ids;
};
void vn_held_release(struct vn_held *h);

/* An image that is to come in. `image`: opened on the store that holds manifest, configuration and at least the layers that the engine
 * lacks; `present` is what layers() said, so that the bottom `present` layers may be missing from the store. */
struct vn_incoming {
	const struct vn_image *image;
	size_t present;
	const char *name;            /* private, full: "registry/repo:0-veneer-0123456789ab" */
};

struct vn_engine;
struct vn_engine_ops {
	const char *name;
	/* `name` as people type it ("edge.example.io/app:prod"), or an image's digest. VN_ENOTFOUND: nothing there; VN_ENETWORK: the
	 * engine does not answer. */
	int (*look)(struct vn_engine *e, const char *name, struct vn_held *ret, struct vn_err *err);
	/* What runs, where that is a place of its own beside the name (rootfs: DIR/current); NULL: the name is all there is. VN_ENOTFOUND:
	 * nothing that this engine made. */
	int (*running)(struct vn_engine *e, struct vn_held *ret, struct vn_err *err);
	/* Of the layers of this image, how many from the bottom need not be sent because the engine has them and all below. */
	int (*layers)(struct vn_engine *e, const struct vn_manifest *m, const struct vn_config *c, size_t *ret, struct vn_err *err);
	/* Regular files of a held image (clean paths), as struct vn_ocidelta_parts.files: one behind the other from `at` on.
	 * NULL: its layers are the files (oci). */
	int (*files)(struct vn_engine *e, const struct vn_digest *image, const char *const *paths, size_t n, int fd, uint64_t at,
		     uint64_t *ret_sizes, uint64_t *ret_end, struct vn_err *err);
	/* Takes it in under its private name; again after a crash is fine. Afterwards the engine shows exactly that configuration and
	 * these diff_ids, and has unpacked it: VN_EIO when not. */
	int (*load)(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err);
	/* All of what load() promises, asked of the engine anew; VN_ENOTFOUND when the name is not there, VN_EDIGEST when it is another
	 * image or not whole. Creates and removes a container where the engine has them. `deep`: reads every file of the layers above
	 * `present` and compares with the store's. */
	int (*prove)(struct vn_engine *e, const struct vn_incoming *in, bool deep, struct vn_err *err);
	/* Reads all that the engine keeps of what a name stands for, its base included, and compares it with what came in: VN_EDIGEST names
	 * what differs. NULL: its layers are the files, and whoever holds them hashes them (oci). */
	int (*reread)(struct vn_engine *e, const char *name, struct vn_err *err);
	/* The same of what has no name and the next image may start from. NULL: there is no such thing. */
	int (*reread_base)(struct vn_engine *e, struct vn_err *err);
	/* Removes what killed runs left. NULL: it does so by itself. */
	int (*sweep)(struct vn_engine *e, struct vn_err *err);
	/* Everything that the engine wrote is durable: syncfs() of its data folder. */
	int (*sync)(struct vn_engine *e, struct vn_err *err);
	/* `name` is `to` (a private name) from now on, at once or not at all. */
	int (*name_as)(struct vn_engine *e, const char *to, const char *name, struct vn_err *err);
	/* A clean-up of unused images leaves what this name stands for: a container that is never started belongs to it, until forget() or
	 * discard(). Once more is fine. NULL: there is no such clean-up. */
	int (*keep)(struct vn_engine *e, const char *name, struct vn_err *err);
	/* Forgets a name that load() or name_as() gave, and what nobody else uses. Absent: no failure. Never forced: an image that a
	 * container uses stays, VN_EREFUSED. */
	int (*forget)(struct vn_engine *e, const char *name, struct vn_err *err);
	/* After a power cut between load() and sync(): removes the image with all that came with it, so that load() unpacks anew;
	 * what lies below `present` stays. Forced: nothing runs from it yet. */
	int (*discard)(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err);
	/* A folder on the file system that the engine's data is on, for statvfs; NULL: not known (a remote engine). */
	const char *(*data)(struct vn_engine *e);
	/* What a hook or check command is given: a name for engines, a folder for oci and rootfs. Owned by the caller. */
	int (*handle)(struct vn_engine *e, const char *name, char **ret, struct vn_err *err);
	void (*close)(struct vn_engine *e);
};
struct vn_engine {
	const struct vn_engine_ops *ops;
	const struct vn_events *events;      /* may be NULL */
};
/* VN_EUSAGE names the kinds there are. */
int vn_engine_known(const char *kind, struct vn_err *err);
/* `kind` NULL: moby. `endpoint` NULL: its usual place. Does not connect. VN_EUSAGE names the kinds. `scratch`: a folder for the archive
 * that is handed over; it must lie on a disk and not in memory. */
int vn_engine_open(const char *kind, const char *endpoint, const char *scratch, const struct vn_events *events,
		   struct vn_engine **ret, struct vn_err *err);
void vn_engine_close(struct vn_engine *e);         /* NULL is fine */

/* The image that keeps a base alive when everything else is removed by force: a configuration over the bottom `n` layers of `image`
 * with the same platform and nothing to run, and a manifest that names the same blobs. Deterministic. */
int vn_pin_image(const struct vn_image *image, size_t n, struct vn_buf *ret_manifest, struct vn_buf *ret_config, struct vn_err *err);
#endif
