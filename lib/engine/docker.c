#include "engine/docker.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STALL_MS (30u * 60 * 1000)     /* an engine is silent while it packs or unpacks a large image */
#define DEFAULT_SOCKET "/var/run/docker.sock"

/* ---- where the engine is */
static int default_socket(char **ret, struct vn_err *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	VN_AUTO_FREE char *rootless = NULL;
	if (vn_fs_exists(DEFAULT_SOCKET) || !runtime || !*runtime)
		return vn_strdup(DEFAULT_SOCKET, ret, err);
	int rc = vn_asprintf(&rootless, err, "%s/docker.sock", runtime);
	if (rc < 0)
		return rc;
	if (!vn_fs_exists(rootless))
		return vn_strdup(DEFAULT_SOCKET, ret, err);
	*ret = vn_steal(rootless);
	return 0;
}

static int check_socket(const char *path, struct vn_err *err)
{
	if (access(path, R_OK | W_OK) == 0)
		return 0;
	if (errno == EACCES) {
		vn_fail(err, VN_EAUTH, "no permission to talk to the engine at %s", path);
		return vn_hint(err, "become a member of the group that owns the socket (docker), or run as root");
	}
	vn_fail_sys(err, VN_ENETWORK, "no engine at %s", path);
	return vn_hint(err, "start the engine, or name another: DOCKER_HOST, on a device --endpoint");
}

static int load_tls(struct vn_docker *e, struct vn_err *err)
{
	const char *dir = getenv("DOCKER_CERT_PATH"), *home = getenv("HOME");
	VN_AUTO_FREE char *own = NULL, *ca = NULL;
	int rc = dir && *dir ? vn_strdup(dir, &own, err) : vn_asprintf(&own, err, "%s/.docker", home ? home : "");
	if (rc == 0)
		rc = vn_asprintf(&ca, err, "%s/ca.pem", own);
	if (rc == 0)
		rc = vn_asprintf(&e->cert, err, "%s/cert.pem", own);
	if (rc == 0)
		rc = vn_asprintf(&e->key, err, "%s/key.pem", own);
	if (rc == 0)
		rc = vn_fs_read(ca, &e->ca, err);
	return rc < 0 ? vn_wrap(err, "DOCKER_TLS_VERIFY is set") : 0;
}

static int tcp_host(struct vn_docker *e, const char *host, const char *said, struct vn_err *err)
{
	const char *verify = getenv("DOCKER_TLS_VERIFY");
	bool tls = verify && *verify;
	size_t len = strcspn(host, "/");
	const char *end = host[0] == '[' ? strchr(host, ']') : host;
	bool port = end && memchr(end, ':', len - (size_t)(end - host)) != NULL;
	if (!len || !end || end >= host + len)
		return vn_fail(err, VN_EUSAGE, "%s names no host", said);
	int rc = tls ? load_tls(e, err) : 0;
	if (rc == 0)
		rc = vn_asprintf(&e->base, err, "%s://%.*s%s", tls ? "https" : "http", (int)len, host,
				 port ? "" : tls ? ":2376" : ":2375");
	return rc < 0 ? rc : vn_strdup(e->base, &e->where, err);
}

/* `said`: what it came from, for messages. */
static int find_engine(struct vn_docker *e, const char *host, const char *said, struct vn_err *err)
{
	if (host && !strncmp(host, "tcp://", 6))
		return tcp_host(e, host + 6, said, err);
	if (host && !strncmp(host, "http://", 7))
		return tcp_host(e, host + 7, said, err);
	if (host && *host && *host != '/' && strncmp(host, "unix://", 7)) {
		vn_fail(err, VN_EUSAGE, "%s=%.200s is not supported: unix://PATH and tcp://HOST:PORT are", said, host);
		return vn_hint(err, "forward the socket, e.g. with ssh -L, and set %s=unix://PATH", said);
	}
	int rc = host && *host ? vn_strdup(*host == '/' ? host : host + 7, &e->socket, err) : default_socket(&e->socket, err);
	if (rc == 0)
		rc = check_socket(e->socket, err);
	if (rc == 0)
		rc = vn_strdup("http://localhost", &e->base, err);
	return rc < 0 ? rc : vn_strdup(e->socket, &e->where, err);
}

int vn_docker_open(const char *endpoint, struct vn_docker *ret, struct vn_err *err)
{
	VN_AUTO(vn_docker) e = { .ca = VN_BUF(VN_MAX_TLS_FILE) };
	const struct vn_http_options opt = { .stall_ms = STALL_MS, .http1 = true };
	int rc = endpoint ? find_engine(&e, endpoint, "endpoint", err) : find_engine(&e, getenv("DOCKER_HOST"), "DOCKER_HOST", err);
	if (rc == 0)
		rc = vn_http_open(&opt, &e.http, err);
	if (rc < 0)
		return rc;
	*ret = e;
	e = (struct vn_docker){ 0 };
	return 0;
}

void vn_docker_release(struct vn_docker *e)
{
	vn_http_close(e->http);
	free(e->base);
	free(e->socket);
	free(e->where);
	free(e->cert);
	free(e->key);
	vn_buf_release(&e->ca);
	*e = (struct vn_docker){ 0 };
}

/* ---- calls */
int vn_docker_path(const char *before, const char *name, const char *after, char **ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) path = VN_BUF(VN_MAX_URL);
	int rc = vn_buf_adds(&path, before, err);
	for (const unsigned char *p = (const unsigned char *)name; rc == 0 && *p; p++) {
		bool fine = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("/:@._-", *p);
		rc = fine ? vn_buf_add(&path, p, 1, err) : vn_buf_addf(&path, err, "%%%02X", *p);
	}
	if (rc == 0)
		rc = vn_buf_adds(&path, after, err);
	return rc < 0 ? rc : vn_buf_steal(&path, ret, err);
}

/* {"message": "…"}, or whatever text came. */
static int engine_says(const struct vn_docker *e, struct vn_http_response *r, struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_buf) body = VN_BUF(VN_MAX_ERROR_BODY);
	VN_AUTO_JSON *json = NULL;
	const char *text = NULL;
	vn_in_read_all(r->body, &body, &ignored);
	if (vn_json_parse(vn_buf_text(&body), body.len, "reply", &json, &ignored) == 0 && json) {
		struct vn_jv root = vn_jv_root(json, "reply");
		if (vn_jv_is_object(&root))
			vn_jv_opt_text(&root, "message", &text, &ignored);
	}
	if (!text)
		text = vn_buf_text(&body);
	enum vn_code code = r->status == 404 ? VN_ENOTFOUND : r->status == 401 || r->status == 403 ? VN_EAUTH :
			    r->status == 409 ? VN_EREFUSED : VN_EIO;
	return vn_fail(err, code, "the engine at %s says %u: %.400s", e->where, r->status, *text ? text : "nothing");
}

static int call(struct vn_docker *e, const char *method, const char *path, const char *const *headers, struct vn_in *body,
		int64_t body_len, struct vn_http_response *ret, struct vn_err *err)
{
	const struct vn_http_tls tls = { .ca_pem = e->ca.data, .ca_len = e->ca.len, .cert = e->cert, .key = e->key };
	VN_AUTO_FREE char *url = NULL;
	VN_AUTO(vn_http_response) r = { 0 };
	int rc = vn_asprintf(&url, err, "%s%s", e->base, path);
	if (rc < 0)
		return rc;
	const struct vn_http_request req = { .method = method, .url = url, .headers = headers, .unix_socket = e->socket,
					     .tls = e->cert ? &tls : NULL, .body = body, .body_len = body_len, .http1 = true };
	enum vn_http_trouble trouble;
	rc = vn_http_send(e->http, &req, &r, &trouble, err);
	if (rc < 0 && trouble != VN_HTTP_BODY) {
		vn_wrap(err, "engine at %s", e->where);
		return vn_hint(err, "start the engine, or name another: DOCKER_HOST, on a device --endpoint");
	}
	if (rc < 0)
		return rc;
	if (r.status < 200 || r.status > 299)
		return engine_says(e, &r, err);
	*ret = r;
	r = (struct vn_http_response){ 0 };
	return 0;
}

int vn_docker_call(struct vn_docker *e, const char *method, const char *path, struct vn_in *body, int64_t body_len,
		   struct vn_http_response *ret, struct vn_err *err)
{
	static const char *const tar[] = { "Content-Type: application/x-tar", NULL };
	return call(e, method, path, body ? tar : NULL, body, body_len, ret, err);
}

static int read_json(struct vn_http_response *r, vn_json **ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) body = VN_BUF(VN_MAX_ENGINE_JSON);
	int rc = vn_in_read_all(r->body, &body, err);
	return rc < 0 ? rc : vn_json_parse(vn_buf_text(&body), body.len, "the engine's reply", ret, err);
}

int vn_docker_json(struct vn_docker *e, const char *path, vn_json **ret, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	int rc = vn_docker_call(e, "GET", path, NULL, 0, &r, err);
	return rc < 0 ? rc : read_json(&r, ret, err);
}

int vn_docker_post(struct vn_docker *e, const char *path, const vn_json *body, vn_json **ret, struct vn_err *err)
{
	static const char *const json[] = { "Content-Type: application/json", NULL };
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_ENGINE_JSON);
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_http_response) r = { 0 };
	int rc = vn_json_text(body, false, &text, err);
	if (rc == 0)
		rc = vn_in_memory(text.data, text.len, &in, err);
	if (rc == 0)
		rc = call(e, "POST", path, json, in, (int64_t)text.len, &r, err);
	if (rc == 0)
		rc = read_json(&r, ret, err);
	/* the response ends before what it was an answer to */
	vn_http_response_release(&r);
	return rc;
}

int vn_docker_do(struct vn_docker *e, const char *method, const char *path, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	int rc = vn_docker_call(e, method, path, NULL, 0, &r, err);
	return rc < 0 ? rc : vn_in_drain(r.body, err);
}
