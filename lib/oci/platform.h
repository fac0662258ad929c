/* OS / architecture / variant, as image-spec's platform object; normalised as containerd's platforms database does. */
#ifndef VN_OCI_PLATFORM_H
#define VN_OCI_PLATFORM_H
#include "json/json.h"

struct vn_platform {
	char os[32], architecture[32], variant[32];      /* "" = not said */
	char os_version[64];
};
#define VN_PLATFORM_TEXT 100
/* "linux/arm64/v8", "arm64" (linux is meant), "local". Normalised: x86_64 → amd64, aarch64 → arm64, armhf → arm/v7 … */
int vn_platform_parse(const char *text, struct vn_platform *ret, struct vn_err *err);
int vn_platform_of_json(const struct vn_jv *v, struct vn_platform *ret, struct vn_err *err);
vn_json *vn_platform_to_json(const struct vn_platform *p);
void vn_platform_local(struct vn_platform *ret);
void vn_platform_normalise(struct vn_platform *p);
const char *vn_platform_text(const struct vn_platform *p, char out[VN_PLATFORM_TEXT]);
/* How well a device of `want` runs `have`: 0 not at all, else the larger the better (equal variant first, then falling
 * variants: arm64 v8 … arm v7, v6, v5; amd64 v3 … v1). */
int vn_platform_score(const struct vn_platform *want, const struct vn_platform *have);
bool vn_platform_same(const struct vn_platform *a, const struct vn_platform *b);
#endif
