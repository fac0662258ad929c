/* Everything that an image can be written to. Blobs first, then child manifests, then the one that the tag names, then
 * commit: until the last step the old state of DEST is whole, and a killed run leaves it so. */
#ifndef VN_IMAGE_SINK_H
#define VN_IMAGE_SINK_H
#include "image/source.h"
#include "oci/config.h"

/* Bytes that can be read again from the start, for a retry. */
struct vn_body {
	int (*open)(const struct vn_body *body, struct vn_in **ret, struct vn_err *err);
	void *user;
};

struct vn_sink;
struct vn_sink_ops {
	/* What the destination's tag names now: VN_ENOTFOUND when nothing. */
	int (*current)(struct vn_sink *k, struct vn_desc *ret, struct vn_err *err);
	int (*has_blob)(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err);
	/* Take a blob from `from` without moving its bytes (cross-repository mount); false in *ret when it cannot. May be NULL. */
	int (*mount_blob)(struct vn_sink *k, const struct vn_desc *desc, const struct vn_ref *from, bool *ret,
			  struct vn_err *err);
	int (*put_blob)(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err);
	/* `tagged`: the one that the reference's tag will name (also the only one, without index). */
	int (*put_manifest)(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged,
			    struct vn_err *err);
	int (*commit)(struct vn_sink *k, struct vn_err *err);
	/* Frees the object and everything in it, .ref too; without commit, whatever was begun is undone. */
	void (*close)(struct vn_sink *k);
	/* A second source over the same place, to read back what was written; a registry and a layout give what was put by its
	 * digest before commit, too. An engine gives images under manifests of its own. */
	int (*reopen)(struct vn_sink *k, struct vn_source **ret, struct vn_err *err);
	enum vn_family only;                 /* VN_FAMILY_NONE: takes both */
	/* Told before an image's first blob, so that a place which knows layers by diff_id (an engine) can say in has_blob that
	 * it needs none of those which it has. May be NULL. */
	int (*expect)(struct vn_sink *k, const struct vn_manifest *m, const struct vn_config *c, struct vn_err *err);
};
struct vn_sink {
	const struct vn_sink_ops *ops;
	struct vn_ref ref;
	const struct vn_events *events;
};
void vn_sink_close(struct vn_sink *k);
int vn_sink_expect(struct vn_sink *k, const struct vn_manifest *m, const struct vn_config *c, struct vn_err *err);
static inline void vn_sink_close_p(struct vn_sink **k) { vn_sink_close(*k); }
static inline void vn_source_close_p(struct vn_source **s) { vn_source_close(*s); }
#define VN_AUTO_SINK VN_CLEANUP(vn_sink_close_p) struct vn_sink
#define VN_AUTO_SOURCE VN_CLEANUP(vn_source_close_p) struct vn_source

int vn_body_memory(const void *bytes, size_t len, struct vn_body *ret);   /* bytes stay the caller's; ret->user owned */
void vn_body_release(struct vn_body *body);
#endif
