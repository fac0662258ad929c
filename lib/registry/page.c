#include "registry/page.h"
#include "util/cleanup.h"

int vn_page_next(struct vn_client *c, const struct vn_http_response *r, const char *what, struct vn_url *url, bool *ret_more,
		 struct vn_err *err)
{
	VN_AUTO_FREE char *target = NULL;
	VN_AUTO(vn_url) next = { 0 };
	const char *link;

	for (size_t i = 0; !target && (link = vn_http_header(r, "Link", i)); i++)
		if (vn_link_next(link, &target, err) < 0)
			return -err->code;
	if (target) {
		if (vn_client_follow(c, url, target, &next, err) < 0)
			return -err->code;
		if (!vn_client_home(c, &next))
			return vn_fail(err, VN_EUNSAFE, "%s continues its list of %s on another host, %s", vn_client_registry(c), what,
				       next.host);
		vn_url_release(url);
		*url = next;
		next = (struct vn_url){ 0 };
	}
	*ret_more = target != NULL;
	return 0;
}
