/* Blobs of one repository: pulled with resume, pushed as one PUT and only when that is refused for its size in pieces. */
#ifndef VN_REGISTRY_BLOB_H
#define VN_REGISTRY_BLOB_H
#include "registry/client.h"

/* The first request is made here, so that a missing blob is told at once (VN_ENOTFOUND). The stream begins at `from`, or at 0
 * when the server would not continue there: *ret_from (may be NULL when `from` is 0). */
int vn_blob_pull(struct vn_client *c, const struct vn_desc *desc, uint64_t from, uint64_t *ret_from, struct vn_in **ret,
		 struct vn_err *err);
int vn_blob_exists(struct vn_client *c, const struct vn_desc *desc, bool *ret, struct vn_err *err);
/* *ret false: not mounted. *ret_session: the upload session that the registry opened instead, or NULL. */
int vn_blob_mount(struct vn_client *c, const struct vn_desc *desc, const char *from, bool *ret, char **ret_session,
		  struct vn_err *err);
/* `session` (may be NULL) serves the first try. `chunk` 0: 16 MiB. */
int vn_blob_push(struct vn_client *c, const struct vn_desc *desc, const struct vn_body *body, const char *session,
		 uint64_t chunk, struct vn_err *err);
/* "bytes 5-9/10" (RFC 9110, 14.4); *ret_total is -1 for "*". */
bool vn_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last, int64_t *ret_total);
#endif
