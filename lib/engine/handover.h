/* The archive by which an image is handed to an engine: an OCI layout with manifest.json beside it (store/archive.h), without the bottom
 * layers that the engine has. */
#ifndef VN_ENGINE_HANDOVER_H
#define VN_ENGINE_HANDOVER_H
#include "engine/device.h"
#include "store/archive.h"

/* A file in `scratch` without a name, so that a killed run leaves nothing. */
int vn_scratch_file(const char *scratch, int *ret_fd, struct vn_err *err);
int vn_handover(const struct vn_incoming *in, int fd, struct vn_err *err);
#endif
