/* Lists that come in pages (distribution-spec, "Listing Tags", "Listing Referrers"). */
#ifndef VN_REGISTRY_PAGE_H
#define VN_REGISTRY_PAGE_H
#include "registry/client.h"

/* The page behind `r`, the answer from `url`, into `url`; *ret_more is false at the end. `what` ("tags") is for messages. A link
 * to another host is VN_EUNSAFE. */
int vn_page_next(struct vn_client *c, const struct vn_http_response *r, const char *what, struct vn_url *url, bool *ret_more,
		 struct vn_err *err);
#endif
