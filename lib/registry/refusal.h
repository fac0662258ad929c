/* Answers that were not hoped for, as failures with the registry's own message and a next step. */
#ifndef VN_REGISTRY_REFUSAL_H
#define VN_REGISTRY_REFUSAL_H
#include "registry/client.h"

/* "HOST answered 404 (Not Found): CODE: message to the push to NAME"; a 401 or 403 as below. Reads the body. */
int vn_refusal_unexpected(struct vn_client *c, const struct vn_call *call, struct vn_http_response *r, struct vn_err *err);
/* VN_EAUTH for a 401 or 403, naming the source of the credentials; `detail` goes into the brackets. */
int vn_refusal_denied(struct vn_client *c, const struct vn_call *call, unsigned status, const char *detail, struct vn_err *err);
/* "pull of NAME", "push to NAME", "login". */
#define VN_REFUSAL_WHAT 300
void vn_refusal_what(const struct vn_client *c, const struct vn_call *call, char out[VN_REFUSAL_WHAT]);
/* "404 (Not Found): CODE: message". Reads the body. */
void vn_refusal_said(struct vn_http_response *r, char *out, size_t size);
/* Whether an answer that should be `what` ("a manifest") is a page for people, as a hotspot gives it before one has logged in:
 * VN_ENETWORK, else 0. */
int vn_refusal_web_page(const struct vn_client *c, const struct vn_http_response *r, const char *what, struct vn_err *err);
#endif
