/* The archive that an engine gives of an image (`docker save`, `podman save`), read while it comes: an engine puts the tar of a layer
 * together again from the files that it unpacked, and says so when one is not what it was. */
#ifndef VN_ENGINE_WHOLE_H
#define VN_ENGINE_WHOLE_H
#include "stream/in.h"

/* VN_EDIGEST unless every one of these layers is in it, byte for byte. Blobs that are named by their digests (image-layout.md) are
 * compared with their names. `what` is for messages. Owns `archive`. */
int vn_whole_check(struct vn_in *archive, const struct vn_digest *diff_ids, size_t n, const char *what, struct vn_err *err);
#endif
