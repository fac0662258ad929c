/* The engines of engine/device.h, one function for each kind. They do not connect; texts are copied, `events` outlives the engine. */
#ifndef VN_ENGINE_KINDS_H
#define VN_ENGINE_KINDS_H
#include "engine/device.h"

int vn_engine_moby_open(const char *endpoint, const char *scratch, const struct vn_events *events, struct vn_engine **ret,
			struct vn_err *err);
int vn_engine_containerd_open(const char *endpoint, const char *scratch, const struct vn_events *events, struct vn_engine **ret,
			      struct vn_err *err);
int vn_engine_podman_open(const char *endpoint, const char *scratch, const struct vn_events *events, struct vn_engine **ret,
			  struct vn_err *err);
int vn_engine_oci_open(const char *endpoint, const struct vn_events *events, struct vn_engine **ret, struct vn_err *err);
int vn_engine_rootfs_open(const char *endpoint, const struct vn_events *events, struct vn_engine **ret, struct vn_err *err);
#endif
