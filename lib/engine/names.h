/* What the engines of engine/device.h share about names and what is shown under them. */
#ifndef VN_ENGINE_NAMES_H
#define VN_ENGINE_NAMES_H
#include "engine/device.h"

/* "docker.io/library/app:latest" for "app"; digests stay as they are. */
int vn_engine_full_name(const char *typed, char **ret, struct vn_err *err);
/* "repo@sha256:…" of the repository that `ref` is in, and its digest. */
bool vn_engine_same_repository(const struct vn_ref *ref, const char *repo_digest, struct vn_digest *ret);
/* The digest under which an image was pulled, of a list of "repo@sha256:…": that of `name`'s repository, or for an image's digest the
 * first. "" when there is none. */
int vn_engine_repo_digest(const char *name, const struct vn_jv *list, struct vn_digest *ret, struct vn_err *err);
/* The name of the container that keeps an image from being cleaned up. */
#define VN_KEEPER 200
#define VN_KEEPER_LABEL "dev.veneer.keep"
const char *vn_engine_keeper(const char *full, char ret[VN_KEEPER]);
/* RootFS.Layers */
int vn_engine_diff_ids(const struct vn_jv *layers, struct vn_held *ret, struct vn_err *err);
#endif
