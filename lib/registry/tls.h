/* The door to libssl: what libcurl leaves to others about the TLS connections that it makes by it. Where libcurl has another TLS
 * library, connections cost more bytes and nothing else changes. */
#ifndef VN_REGISTRY_TLS_H
#define VN_REGISTRY_TLS_H
#include "registry/http.h"

struct vn_sockets;

struct vn_tls_plan {
	bool frugal;
	struct vn_sockets *sockets;  /* learns of resumed sessions */
	struct vn_memory *memory;    /* keeps sessions; NULL: nobody does */
	const char *peer;            /* host:port */
	const struct vn_http_tls *trust;     /* may be NULL; sessions made under other trust are not taken up */
};
/* Whether libcurl uses the libssl that this program uses, so that its objects may be touched, and talks TLS to nobody but the
 * peer: a proxy that is spoken to by TLS would be shown the peer's sessions. */
bool vn_tls_usable(void);
/* `ssl_ctx` of one connection to come, as libcurl made it. sockets and memory outlive the connection, the plan need not. */
int vn_tls_prepare(void *ssl_ctx, const struct vn_tls_plan *plan);
#endif
