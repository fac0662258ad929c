/* Absolute http and https URLs (RFC 3986), as far as a registry client meets them, and what kind of host a name is. */
#ifndef VN_REGISTRY_URL_H
#define VN_REGISTRY_URL_H
#include "util/buf.h"
#include <stdbool.h>

struct vn_url {
	bool tls;
	unsigned port;
	char *host;          /* lower case; IPv6 literals keep their brackets */
	char *path;          /* begins with '/', holds the query, no fragment */
};
int vn_url_parse(const char *text, struct vn_url *ret, struct vn_err *err);      /* VN_EFORMAT; user info is refused */
/* A Location or Link target, absolute or relative to `base`. */
int vn_url_resolve(const struct vn_url *base, const char *target, struct vn_url *ret, struct vn_err *err);
int vn_url_text(const struct vn_url *url, char **ret, struct vn_err *err);
void vn_url_release(struct vn_url *url);
bool vn_url_same_origin(const struct vn_url *a, const struct vn_url *b);
/* For messages: without the query, which may hold a signature. Returns `out`. */
#define VN_URL_SHOWN 256
const char *vn_url_shown(const struct vn_url *url, char out[VN_URL_SHOWN]);
/* Append `text`, percent-encoded for a query's value. */
int vn_url_escape(struct vn_buf *buf, const char *text, struct vn_err *err);

enum vn_host_kind {
	VN_HOST_PUBLIC,      /* a name, or an address that is none of the following */
	VN_HOST_LOOPBACK,    /* localhost, *.localhost, 127.0.0.0/8, ::1, the unspecified address */
	VN_HOST_LINK_LOCAL,  /* 169.254.0.0/16, fe80::/10 */
	VN_HOST_PRIVATE,     /* RFC 1918, fc00::/7 */
};
/* `host` without port. Names are not resolved. */
enum vn_host_kind vn_host_kind(const char *host);
/* Splits "host", "host:port", "[::1]:port"; *ret_port is 0 when there is none. VN_EUSAGE when it is neither. */
int vn_host_split(const char *text, char **ret_host, unsigned *ret_port, struct vn_err *err);
#endif
