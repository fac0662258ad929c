/* Manifests and tags of one repository. */
#ifndef VN_REGISTRY_MANIFEST_H
#define VN_REGISTRY_MANIFEST_H
#include "registry/client.h"

/* The manifest that `name` (a tag or digest) names: exact bytes, capped; its digest is our own hash, and equal to `name` when
 * that is a digest. `child` (may be NULL): what an index says about it. VN_ENOTFOUND suggests near tags. */
int vn_manifest_fetch(struct vn_client *c, const char *name, const struct vn_desc *child, struct vn_buf *ret_bytes,
		      struct vn_desc *ret_desc, struct vn_err *err);
/* The same without the bytes where the registry's HEAD says it all (Docker Hub does not count that as a pull). */
int vn_manifest_head(struct vn_client *c, const char *name, struct vn_desc *ret, struct vn_err *err);
/* *ret_subject (may be NULL): the registry said that it lists the manifest among its subject's referrers (OCI-Subject). */
int vn_manifest_put(struct vn_client *c, const char *name, const struct vn_desc *desc, const void *bytes, size_t len,
		    bool *ret_subject, struct vn_err *err);

/* Appends each tag with its NUL, `max_pages` (0: all) answers long; VN_ELIMIT beyond VN_MAX_TAGS. */
int vn_tags_list(struct vn_client *c, unsigned max_pages, struct vn_buf *ret_tags, size_t *ret_count, struct vn_err *err);
/* Up to three of `tags` that are likely meant by `tag`, in `out` as ", "-separated text; "" when none is near. */
void vn_tags_near(const char *tags, size_t count, const char *tag, char *out, size_t size);
#endif
