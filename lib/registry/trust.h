/* Which certificates a host is believed by: the system's, --cacert, and containers-certs.d(5) below the user's and the
 * system's configuration: HOST[:PORT]/{*.crt: CA, X.cert with X.key: client}. */
#ifndef VN_REGISTRY_TRUST_H
#define VN_REGISTRY_TRUST_H
#include "registry/http.h"
#include "registry/url.h"
#include "util/digest.h"
#include "util/events.h"

struct vn_trust;
/* `cacert` may be NULL; it is read at once, so that a wrong name is told at the start. */
int vn_trust_open(const char *cacert, bool insecure, const struct vn_events *events, struct vn_trust **ret, struct vn_err *err);
void vn_trust_close(struct vn_trust *trust);
/* Kept until close; thread-safe. */
int vn_trust_for(struct vn_trust *trust, const struct vn_url *url, const struct vn_http_tls **ret, struct vn_err *err);
/* One value for everything that decides whom `tls` (may be NULL) believes: what was agreed under one is worth nothing under another. */
int vn_trust_print(const struct vn_http_tls *tls, struct vn_digest *ret, struct vn_err *err);
#endif
