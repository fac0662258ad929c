/* What containerd's command ctr prints, read. */
#ifndef VN_ENGINE_CTR_H
#define VN_ENGINE_CTR_H
#include "engine/command.h"
#include "engine/device.h"

#define VN_CTR_ADDRESS "/run/containerd/containerd.sock"

struct vn_ctr {
	struct vn_engine e;
	char *address, *space, *scratch;
	char *data;                  /* NULL: not asked for yet */
	bool swept;                  /* no view of a killed run is left */
};
/* VN_ENETWORK: nobody answers at its address. */
int vn_ctr_answers(const struct vn_ctr *c, struct vn_err *err);
/* Runs `ctr` with the words of `cmd` behind address and namespace. VN_ENETWORK: nobody answers there; VN_ENOTFOUND: what it was asked
 * about is not there. */
int vn_ctr_run(struct vn_ctr *c, struct vn_command *cmd, struct vn_buf *ret, struct vn_err *err);

/* The same, its stdout as it comes. */
int vn_ctr_in(struct vn_ctr *c, const struct vn_command *cmd, struct vn_in **ret, struct vn_err *err);

/* What a full name stands for: a manifest or an index. */
int vn_ctr_target(struct vn_ctr *c, const char *full, struct vn_digest *ret, struct vn_err *err);
/* Some name that stands for it. */
int vn_ctr_name_of(struct vn_ctr *c, const struct vn_digest *target, char **ret, struct vn_err *err);
/* A small blob, compared with its digest. */
int vn_ctr_content(struct vn_ctr *c, const struct vn_digest *digest, struct vn_buf *ret, struct vn_err *err);

struct vn_ctr_image {
	char *name;
	struct vn_digest target;
	struct vn_digest digest;     /* of the manifest: the target, or of the entry of an index that is for this machine */
	struct vn_manifest manifest;
	struct vn_config config;
};
/* By full name, or by the digest of its configuration. */
int vn_ctr_find(struct vn_ctr *c, const char *name, struct vn_ctr_image *ret, struct vn_err *err);
void vn_ctr_image_release(struct vn_ctr_image *image);

/* Blobs of the content store; `name` is for messages. `ret` is closed with vn_source_close, before `c`. */
int vn_ctr_source(struct vn_ctr *c, const char *name, struct vn_source **ret, struct vn_err *err);

/* VN_EDIGEST unless everything of it is there and unpacked. */
int vn_ctr_check(struct vn_ctr *c, const char *full, struct vn_err *err);
/* The folders of its plugins, each NUL-ended, snapshotters' first. */
int vn_ctr_roots(struct vn_ctr *c, struct vn_buf *ret, struct vn_err *err);

/* The words of a line of a table, up to `n`: how many there are. The line is cut. */
size_t vn_ctr_words(char *line, char **words, size_t n);
#endif
