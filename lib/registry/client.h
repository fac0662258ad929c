/* Requests to one registry for one repository: authorised, retried, redirected. Shared by source, sink and login; requests may
 * be made from several threads. */
#ifndef VN_REGISTRY_CLIENT_H
#define VN_REGISTRY_CLIENT_H
#include "registry/answer.h"
#include "registry/auth.h"
#include "registry/registry.h"

struct vn_client;
/* `repository` NULL: only /v2/ (login). */
int vn_client_open(const char *registry, const char *repository, const struct vn_registry_options *opt,
		   const struct vn_events *events, struct vn_client **ret, struct vn_err *err);
/* One more owner, each of which closes it. */
struct vn_client *vn_client_hold(struct vn_client *c);
void vn_client_close(struct vn_client *c);
const char *vn_client_registry(const struct vn_client *c);
const char *vn_client_repository(const struct vn_client *c);
const struct vn_events *vn_client_events(const struct vn_client *c);
/* The texts of credentials and files are not in it. */
const struct vn_registry_options *vn_client_options(const struct vn_client *c);

enum vn_access { VN_ACCESS_NONE, VN_ACCESS_PULL, VN_ACCESS_PUSH };

struct vn_call {
	const char *method;
	const char *path;            /* "/v2/a/b/manifests/1" */
	const struct vn_url *url;    /* instead of path: a Location, checked by vn_client_follow */
	enum vn_access access;
	const char *from;            /* VN_ACCESS_PUSH: a second repository that is to be read */
	const char *headers[4];      /* further lines, NULL-ended */
	const struct vn_body *body;  /* opened anew for each try */
	int64_t body_len;
	unsigned min_left;           /* seconds that a token should live on */
	bool soft;                   /* 401 and 403 are answers, not failures */
	bool home;                   /* a redirect to another host is an answer, not followed */
	bool once;                   /* no second try: the caller has its own way. 401 and 403 are answers; after a 401 the next
				      * call comes with a new token when *ret_again says so */
};
/* *ret is any answer but those worth another try, which become VN_ENETWORK when they last, and 401 and 403: VN_EAUTH. */
int vn_client_call(struct vn_client *c, const struct vn_call *call, struct vn_http_response *ret, struct vn_err *err);
int vn_client_once(struct vn_client *c, const struct vn_call *call, struct vn_http_response *ret, bool *ret_again,
		   struct vn_err *err);
/* Whether an answer of that status may turn out otherwise next time. */
bool vn_client_worth_retry(unsigned status);
/* Wait before try number `tries` (from 1) as the reply (may be NULL) or the backoff says. VN_ENETWORK: the server asks for
 * longer than VN_MAX_RETRY_AFTER. */
int vn_client_wait(struct vn_client *c, unsigned tries, const struct vn_http_response *r, struct vn_err *err);
/* The target of a Location or Link header of an answer to `from` (NULL: the registry itself): VN_EUNSAFE when it leads from
 * TLS to plain HTTP, or from a public registry into this machine. */
int vn_client_follow(const struct vn_client *c, const struct vn_url *from, const char *target, struct vn_url *ret,
		     struct vn_err *err);
bool vn_client_home(const struct vn_client *c, const struct vn_url *url);

/* Where the credentials came from; NULL: there are none. */
const char *vn_client_source(const struct vn_client *c);
/* Whether anybody had to prove anything, and what /v2/ says with the credentials at hand (login). */
int vn_client_verify(struct vn_client *c, bool *ret_asked, struct vn_err *err);
#endif
