/* Where credentials come from, in the order that people's other tools have taught them:
 * the command line; --authfile or $REGISTRY_AUTH_FILE alone; else $DOCKER_AUTH_CONFIG, containers-auth.json(5) at run time
 * and in the configuration directory, Docker's config.json, ~/.dockercfg. In each file credHelpers, then (Docker) credsStore,
 * then auths, whose keys may be narrowed to a namespace or a repository. */
#ifndef VN_REGISTRY_CREDS_H
#define VN_REGISTRY_CREDS_H
#include "json/json.h"
#include "util/events.h"

struct vn_creds {
	char *user, *password;       /* NULL: none */
	char *identity;              /* a token for the token server only (OAuth2 refresh token), or NULL */
	char *bearer;                /* a ready token for the registry, or NULL */
	char *source;                /* for messages: `credHelpers "acr-env" in /root/.docker/config.json` */
};
struct vn_creds_options {
	const char *authfile;        /* NULL: $REGISTRY_AUTH_FILE, then the usual places */
	const char *username, *password;
	unsigned helper_seconds;     /* 0: 60 */
	const struct vn_events *events;
};
/* Nothing found is no failure: then only `source` is set. A helper or a usual file that does not work is a warning; a file
 * that was asked for must be there and be valid. */
int vn_creds_find(const char *registry, const char *repository, const struct vn_creds_options *opt, struct vn_creds *ret,
		  struct vn_err *err);
void vn_creds_release(struct vn_creds *creds);
static inline bool vn_creds_any(const struct vn_creds *c)
{
	return c->password || c->identity || c->bearer;
}
/* Sorts a user and secret into a pair or an identity token ("<token>", or ACR's all-zero GUID). */
int vn_creds_fill(struct vn_creds *creds, const char *user, const char *secret, struct vn_err *err);

/* "docker.io" for each of Docker Hub's names, otherwise the name itself. */
const char *vn_registry_name(const char *registry);
/* The key under which Docker stores a registry's credentials. */
const char *vn_creds_key(const char *registry);
/* Whether a key of `auths` is this registry in any of the forms in use. */
bool vn_creds_key_is(const char *key, const char *registry);

struct vn_creds_place {
	char *path;
	bool docker;                 /* credsStore counts */
	bool bare;                   /* ~/.dockercfg: the document is what others keep under `auths` */
	bool asked;
};
struct vn_creds_places {
	struct vn_creds_place list[5];
	size_t n;
	size_t home;                 /* index of the one that login writes to unless another knows the registry */
};
int vn_creds_places(const char *authfile, struct vn_creds_places *ret, struct vn_err *err);
void vn_creds_places_release(struct vn_creds_places *places);
/* *ret stays NULL when the file is absent or empty. */
int vn_creds_load(const struct vn_creds_place *place, vn_json **ret, struct vn_err *err);
/* The first line of what a foreign program or server said, printable, at most `size` bytes with the NUL. */
void vn_creds_line(const char *said, char *out, size_t size);

/* For the fuzz target: everything that a file's bytes may decide, without running helpers. */
int vn_creds_of_json(const void *bytes, size_t len, const char *registry, const char *repository, struct vn_creds *ret,
		     struct vn_err *err);
#endif
