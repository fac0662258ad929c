/* Calls to the Docker Engine API. Paths carry no version, which every engine takes as its own newest. */
#ifndef VN_ENGINE_DOCKER_H
#define VN_ENGINE_DOCKER_H
#include "json/json.h"
#include "registry/http.h"

struct vn_docker {
	struct vn_http *http;
	char *base;                  /* "http://host:port" */
	char *socket;                /* NULL: TCP */
	char *where;                 /* for messages */
	char *cert, *key;            /* TLS, or NULL */
	struct vn_buf ca;
};
int vn_docker_open(struct vn_docker *ret, struct vn_err *err);
void vn_docker_release(struct vn_docker *e);

/* `name` percent-encoded between `before` and `after`. */
int vn_docker_path(const char *before, const char *name, const char *after, char **ret, struct vn_err *err);
/* Any status but 2xx is an error in the engine's own words: 404 is VN_ENOTFOUND. `body` as in struct vn_http_request. */
int vn_docker_call(struct vn_docker *e, const char *method, const char *path, struct vn_in *body, int64_t body_len,
		   struct vn_http_response *ret, struct vn_err *err);
int vn_docker_json(struct vn_docker *e, const char *path, vn_json **ret, struct vn_err *err);
#endif
