/* Proving to one registry who asks (distribution docs/content/spec/auth): Basic, Bearer tokens with or without credentials,
 * OAuth2 with an identity token. Tokens are kept for each scope as long as they live. Thread-safe. */
#ifndef VN_REGISTRY_AUTH_H
#define VN_REGISTRY_AUTH_H
#include "registry/creds.h"
#include "registry/http.h"
#include "registry/trust.h"
#include "registry/url.h"

struct vn_auth_options {
	struct vn_http *http;
	struct vn_trust *trust;
	const struct vn_events *events;
	const char *registry;               /* as people name it */
	const char *repository;             /* for the lookup of credentials, may be NULL */
	const struct vn_url *origin;        /* where the registry is; may be filled in later, before the first challenge */
	const struct vn_creds_options *creds;       /* NULL: anonymous, whatever there is */
	bool lax;                           /* plain HTTP or unverified TLS was asked for, so the token server may have it too */
	struct vn_memory *memory;           /* of earlier runs; NULL: none */
};
struct vn_auth;                             /* everything in the options outlives it */
int vn_auth_open(const struct vn_auth_options *opt, struct vn_auth **ret, struct vn_err *err);
void vn_auth_close(struct vn_auth *auth);

/* The header line to send for `scope` ("repository:a/b:pull,push", several separated by spaces, "" for none); stays empty when
 * there is nothing to send. A token that lives less than `min_left` seconds more is renewed when its kind lives longer.
 * *ret_fresh: it was asked for just now. VN_EAUTH: the token server refused; err->text then is what it said, for a bracket. */
int vn_auth_line(struct vn_auth *auth, const char *scope, unsigned min_left, struct vn_buf *ret, bool *ret_fresh,
		 struct vn_err *err);
/* Learn from a 401. `sent` is the line that was refused; *ret_again tells whether asking with a new one may help. */
int vn_auth_refused(struct vn_auth *auth, const struct vn_http_response *r, const char *scope, const char *sent, bool fresh,
		    bool *ret_again, struct vn_err *err);
/* Whether an earlier run has talked to the registry at its present origin; remember it, and forget it. */
bool vn_auth_known(struct vn_auth *auth);
void vn_auth_remember(struct vn_auth *auth);
void vn_auth_forget(struct vn_auth *auth);
/* Where the credentials came from; NULL when there are none. */
const char *vn_auth_source(struct vn_auth *auth);

struct vn_token {
	char *text;
	char *refresh;               /* NULL: none */
	uint64_t seconds;            /* life; at least 60 */
	int64_t issued;              /* seconds since 1970, 0 when not said */
};
int vn_token_parse(const void *bytes, size_t len, struct vn_token *ret, struct vn_err *err);
void vn_token_release(struct vn_token *token);
/* Whether every action on every resource of `want` is in `have` (both lists of scopes separated by spaces). */
bool vn_scope_covers(const char *have, const char *want);
#endif
