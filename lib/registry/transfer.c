#include "registry/transfer.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CURL_BLOCK (128l << 10)

/* ---- callbacks */

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
	struct vn_transfer *t = user;
	size_t len = size * n, all = len;

	t->moved += all;
	if (t->head_done)                /* trailers */
		return all;
	while (len && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	if (len >= 5 && !strncasecmp(line, "HTTP/", 5)) {
		const char *sp = memchr(line, ' ', len);
		size_t at = sp ? (size_t)(sp - line) : len;
		vn_buf_clear(&t->head);
		t->status = 0;
		for (size_t i = at + 1; i < len && i < at + 4 && line[i] >= '0' && line[i] <= '9'; i++)
			t->status = t->status * 10 + (unsigned)(line[i] - '0');
		return all;
	}
	if (!len) {
		t->head_done = t->status >= 200;
		return all;
	}
	if (memchr(line, 0, len))
		vn_fail(&t->err, VN_EFORMAT, "%s sent a header with a NUL byte", t->peer);
	else if (len > VN_MAX_HEADER)
		vn_fail(&t->err, VN_ELIMIT, "%s sent a header of %zu bytes; the limit is %u", t->peer, len, VN_MAX_HEADER);
	else if (vn_buf_add(&t->head, line, len, &t->err) == 0 && vn_buf_add(&t->head, "", 1, &t->err) == 0)
		return all;
	t->failed = true;
	return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
	struct vn_transfer *t = user;

	if (t->data.len >= (t->http->frugal ? VN_HTTP_FRUGAL_BLOCK : VN_HTTP_BLOCK)) {
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	t->moved += size * n;
	t->failed = vn_buf_add(&t->data, data, size * n, &t->err) < 0;
	return t->failed ? 0 : size * n;
}

static size_t on_send(char *out, size_t size, size_t n, void *user)
{
	struct vn_transfer *t = user;
	uint64_t want = size * n;

	if (t->body_len >= 0 && want > (uint64_t)t->body_len - t->sent)
		want = (uint64_t)t->body_len - t->sent;
	if (!t->body && t->body_len)
		return CURL_READFUNC_PAUSE;
	ssize_t got = want ? vn_in_read(t->body, out, (size_t)want, &t->err) : 0;
	if (!got && want && t->body_len >= 0)
		got = vn_fail(&t->err, VN_EDIGEST, "what was to be sent ended after %llu of %lld bytes",
			      (unsigned long long)t->sent, (long long)t->body_len);
	if (got < 0) {
		t->trouble = VN_HTTP_BODY;
		t->failed = true;
		return CURL_READFUNC_ABORT;
	}
	t->sent += (uint64_t)got;
	t->moved += (uint64_t)got;
	t->body_done = !got || (t->body_len >= 0 && t->sent == (uint64_t)t->body_len);
	return (size_t)got;
}

static int on_rewind(void *user, curl_off_t offset, int origin)
{
	struct vn_transfer *t = user;
	return !t->sent && !offset && origin == SEEK_SET ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* ---- the request */
static int add_line(struct vn_transfer *t, const char *line, struct vn_err *err)
{
	if (strpbrk(line, "\r\n"))
		return vn_fail(err, VN_EFORMAT, "a header for %s holds a line break", t->peer);
	struct curl_slist *more = curl_slist_append(t->lines, line);
	if (!more)
		return vn_nomem(err);
	t->lines = more;
	return 0;
}

static bool accepts(const struct vn_http_request *req)
{
	for (const char *const *h = req->headers; h && *h; h++)
		if (!strncasecmp(*h, "Accept:", 7))
			return true;
	return false;
}

static int set_headers(struct vn_transfer *t, const struct vn_http_request *req, struct vn_err *err)
{
	/* no waiting for a 100, and no recoding of layers on the way: silence means the same to the servers in use */
	static const char *const always[] = { "Expect:", "Accept-Encoding: identity", NULL };

	for (const char *const *h = always; *h && !t->http->frugal; h++)
		if (add_line(t, *h, err) < 0)
			return -err->code;
	if (t->http->frugal && (add_line(t, "Expect:", err) < 0 || (!accepts(req) && add_line(t, "Accept:", err) < 0)))
		return -err->code;
	for (const char *const *h = req->headers; h && *h; h++)
		if (add_line(t, *h, err) < 0)
			return -err->code;
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->lines);
	return 0;
}

static void set_method(struct vn_transfer *t, const struct vn_http_request *req)
{
	bool sends = req->body || !strcmp(req->method, "POST") || !strcmp(req->method, "PUT") || !strcmp(req->method, "PATCH");

	if (!strcmp(req->method, "HEAD")) {
		curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
	} else if (sends) {
		t->body = req->body;
		t->body_len = req->body ? req->body_len : 0;
		curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->body_len);
		curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, CURL_BLOCK);
		curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, req->method);
	} else if (strcmp(req->method, "GET")) {
		curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, req->method);
	}
}

static CURLcode on_ssl_ctx(CURL *easy, void *ctx, void *user)
{
	(void)easy;
	return vn_tls_prepare(ctx, user) < 0 ? CURLE_OUT_OF_MEMORY : CURLE_OK;
}

static int on_socket(void *user, curl_socket_t fd, curlsocktype purpose)
{
	(void)purpose;
	vn_sockets_add(user, fd);
	return CURL_SOCKOPT_OK;
}

static int on_close(void *user, curl_socket_t fd)
{
	return vn_sockets_end(user, fd);
}

static void set_tls(struct vn_transfer *t, const struct vn_http_tls *tls)
{
	CURL *easy = t->easy;
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");

	if (file && *file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, file);
	if (dir && *dir)
		curl_easy_setopt(easy, CURLOPT_CAPATH, dir);
	if (t->http->sockets && vn_tls_usable()) {
		t->tls = (struct vn_tls_plan){ t->http->frugal, t->http->sockets, t->http->memory, t->session, tls };
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, &t->tls);
		curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, t->http->frugal ? 0L : 1L);
	}
	if (!tls)
		return;
	if (tls->ca_pem) {
		struct curl_blob blob = { .data = (void *)(uintptr_t)tls->ca_pem, .len = tls->ca_len, .flags = CURL_BLOB_COPY };
		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (tls->cert)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->cert);
	if (tls->key)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->key);
	if (tls->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_peer(struct vn_transfer *t, const struct vn_http_request *req, const struct vn_url *url)
{
	bool usual = url->port == (url->tls ? 443u : 80u);

	snprintf(t->session, sizeof t->session, "%.240s:%u", url->host, url->port);
	t->engine = req->unix_socket != NULL;
	if (req->unix_socket) {
		snprintf(t->peer, sizeof t->peer, "%s", req->unix_socket);
		curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, req->unix_socket);
	} else if (usual) {
		snprintf(t->peer, sizeof t->peer, "%s", url->host);
	} else {
		snprintf(t->peer, sizeof t->peer, "%.240s:%u", url->host, url->port);
	}
	/* as everywhere else, a proxy is not asked for this very machine */
	if (req->unix_socket || vn_host_kind(url->host) == VN_HOST_LOOPBACK)
		curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
}

static void set_rest(struct vn_transfer *t, const struct vn_http_request *req)
{
	CURL *easy = t->easy;

	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->why);
	if (!t->http->frugal)
		curl_easy_setopt(easy, CURLOPT_USERAGENT, "veneer/" VN_VERSION);
	if (t->http->sockets) {
		curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
		curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, t->http->sockets);
		curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
		curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, t->http->sockets);
	}
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)t->http->connect_ms);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, t->http->frugal ? (long)VN_HTTP_FRUGAL_BLOCK : CURL_BLOCK);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 t->http->http1 || req->http1 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(easy, CURLOPT_READDATA, t);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
}

int vn_transfer_set_up(struct vn_transfer *t, const struct vn_http_request *req, const struct vn_url *url, struct vn_err *err)
{
	set_peer(t, req, url);
	set_rest(t, req);
	set_method(t, req);
	set_tls(t, req->tls);
	curl_easy_setopt(t->easy, CURLOPT_URL, req->url);
	return set_headers(t, req, err);
}
