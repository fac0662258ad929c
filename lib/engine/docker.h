/* Calls to the Docker Engine API. Paths carry no version, which every engine takes as its own newest. */
#ifndef VN_ENGINE_DOCKER_H
#define VN_ENGINE_DOCKER_H
#include "json/json.h"
#include "oci/config.h"
#include "registry/http.h"

struct vn_docker {
	struct vn_http *http;
	char *base;                  /* "http://host:port" */
	char *socket;                /* NULL: TCP */
	char *where;                 /* for messages */
	char *cert, *key;            /* TLS, or NULL */
	struct vn_buf ca;
};
/* `endpoint` NULL: DOCKER_HOST, then the usual places. */
int vn_docker_open(const char *endpoint, struct vn_docker *ret, struct vn_err *err);
void vn_docker_release(struct vn_docker *e);

/* `name` percent-encoded between `before` and `after`. */
int vn_docker_path(const char *before, const char *name, const char *after, char **ret, struct vn_err *err);
/* Any status but 2xx is an error in the engine's own words: 404 is VN_ENOTFOUND,
 * 409 VN_EREFUSED. `body` as in struct vn_http_request. */
int vn_docker_call(struct vn_docker *e, const char *method, const char *path, struct vn_in *body, int64_t body_len,
		   struct vn_http_response *ret, struct vn_err *err);
int vn_docker_json(struct vn_docker *e, const char *path, vn_json **ret, struct vn_err *err);
int vn_docker_post(struct vn_docker *e, const char *path, const vn_json *body, vn_json **ret, struct vn_err *err);
/* Without a body, and whatever the answer says beside its status. */
int vn_docker_do(struct vn_docker *e, const char *method, const char *path, struct vn_err *err);

/* ---- images (engine/images.c) */
int vn_docker_inspect(struct vn_docker *e, const char *name, vn_json **ret, struct vn_err *err);
/* Such an engine keeps compressed blobs and wants every one of an image. True also when it cannot be told. */
bool vn_docker_keeps_in_containerd(struct vn_docker *e);
/* How many of the bottom layers some image of the engine has in the same order. `ret_image` (may be NULL, room for
 * VN_DOCKER_ID): such an image's ID, "" when there is none. */
#define VN_DOCKER_ID 160
size_t vn_docker_layers_present(struct vn_docker *e, const struct vn_config *c, char *ret_image);
/* POST /images/load of a whole archive, and what the engine says while it reads. `thin`: layers were left out. */
int vn_docker_load(struct vn_docker *e, int fd, const char *what, bool thin, const struct vn_events *events, struct vn_err *err);
/* What vn_docker_inspect gave is that image: its configuration's or manifest's digest, and its layers (NULL: not looked at). `code`:
 * of the failure when it is another one. */
int vn_docker_same(const struct vn_docker *e, const char *name, const vn_json *inspected, const struct vn_digest *config,
		   const struct vn_digest *manifest, const struct vn_digest *diff_ids, size_t ndiff_ids, enum vn_code code,
		   struct vn_err *err);
#endif
