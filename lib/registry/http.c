#include "registry/http.h"
#include "registry/url.h"
#include "registry/words.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define BLOCK (1u << 20)          /* received bytes held before the sender is made to wait */
#define CURL_BLOCK (128l << 10)

/* One connection cache. A transfer owns a lane while it runs, so that callers in several threads share nothing. */
struct lane {
	CURLM *multi;
	struct lane *next;
};

struct vn_http {
	pthread_mutex_t lock;
	struct lane *idle;
	unsigned connect_ms, stall_ms;
	bool http1;
};

struct transfer {
	struct vn_in in;             /* the response's body */
	struct vn_http *http;
	struct lane *lane;
	CURL *easy;
	struct curl_slist *lines;
	char why[CURL_ERROR_SIZE];
	char peer[VN_URL_SHOWN];     /* host[:port] or socket path, for messages */
	struct vn_buf head, data;
	unsigned status;
	bool head_done, over, paused, handed;
	CURLcode result;
	struct vn_in *body;
	int64_t body_len;
	uint64_t sent, moved;
	bool body_done, failed;
	enum vn_http_trouble trouble;
	struct vn_err err;           /* found inside a callback, when `failed` */
};

/* ---- set-up */
static pthread_mutex_t setup = PTHREAD_MUTEX_INITIALIZER;

int vn_http_init(struct vn_err *err)
{
	pthread_mutex_lock(&setup);
	CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
	pthread_mutex_unlock(&setup);
	return code ? vn_fail(err, VN_EIO, "libcurl does not start: %s", curl_easy_strerror(code)) : 0;
}

void vn_http_exit(void)
{
	pthread_mutex_lock(&setup);
	curl_global_cleanup();
	pthread_mutex_unlock(&setup);
}

int vn_http_open(const struct vn_http_options *opt, struct vn_http **ret, struct vn_err *err)
{
	if (vn_http_init(err) < 0)
		return -err->code;
	struct vn_http *http = calloc(1, sizeof *http);
	if (!http) {
		vn_http_exit();
		return vn_nomem(err);
	}
	pthread_mutex_init(&http->lock, NULL);
	http->connect_ms = opt && opt->connect_ms ? opt->connect_ms : 30000;
	http->stall_ms = opt && opt->stall_ms ? opt->stall_ms : 60000;
	http->http1 = opt && opt->http1;
	*ret = http;
	return 0;
}

/* A write to a closed TLS connection raises SIGPIPE, which must not reach the program; its disposition is the program's. */
struct quiet {
	sigset_t old;
	bool pending;
};

static struct quiet quiet_begin(void)
{
	struct quiet q;
	sigset_t pipe, pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	q.pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &q.old);
	return q;
}

static void quiet_end(const struct quiet *q)
{
	static const struct timespec now;
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	while (!q->pending && sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, &q->old, NULL);
}

void vn_http_close(struct vn_http *http)
{
	if (!http)
		return;
	struct quiet q = quiet_begin();
	while (http->idle) {
		struct lane *lane = http->idle;
		http->idle = lane->next;
		curl_multi_cleanup(lane->multi);
		free(lane);
	}
	quiet_end(&q);
	pthread_mutex_destroy(&http->lock);
	free(http);
	vn_http_exit();
}

static int lane_take(struct vn_http *http, struct lane **ret, struct vn_err *err)
{
	pthread_mutex_lock(&http->lock);
	struct lane *lane = http->idle;
	if (lane)
		http->idle = lane->next;
	pthread_mutex_unlock(&http->lock);
	if (!lane) {
		lane = calloc(1, sizeof *lane);
		if (!lane || !(lane->multi = curl_multi_init())) {
			free(lane);
			return vn_nomem(err);
		}
		curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, 8L);
	}
	*ret = lane;
	return 0;
}

/* ---- callbacks */

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
	struct transfer *t = user;
	size_t len = size * n, all = len;

	t->moved++;
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
	struct transfer *t = user;

	if (t->data.len >= BLOCK) {
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	t->moved++;
	t->failed = vn_buf_add(&t->data, data, size * n, &t->err) < 0;
	return t->failed ? 0 : size * n;
}

static size_t on_send(char *out, size_t size, size_t n, void *user)
{
	struct transfer *t = user;
	uint64_t want = size * n;

	if (t->body_len >= 0 && want > (uint64_t)t->body_len - t->sent)
		want = (uint64_t)t->body_len - t->sent;
	if (!t->body && t->body_len)
		return CURL_READFUNC_PAUSE;
	t->moved++;
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
	t->body_done = !got || (t->body_len >= 0 && t->sent == (uint64_t)t->body_len);
	return (size_t)got;
}

static int on_rewind(void *user, curl_off_t offset, int origin)
{
	struct transfer *t = user;
	return !t->sent && !offset && origin == SEEK_SET ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* ---- what went wrong */
static int stalled(struct transfer *t, unsigned ms, struct vn_err *err)
{
	t->trouble = VN_HTTP_STALLED;
	return vn_fail(err, VN_ENETWORK, "nothing moved between here and %s for %.3g seconds", t->peer, ms / 1000.0);
}

static int cut(struct transfer *t, struct vn_err *err)
{
	t->trouble = VN_HTTP_CUT;
	return vn_fail(err, VN_ENETWORK, "the connection to %s ended early%s%s", t->peer, t->why[0] ? ": " : "", t->why);
}

static int explain(struct transfer *t, struct vn_err *err)
{
	long number = 0;

	if (t->failed) {
		*err = t->err;
		t->trouble = t->trouble ? t->trouble : VN_HTTP_OTHER;
		return -err->code;
	}
	t->trouble = VN_HTTP_OTHER;
	switch (t->result) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		t->trouble = vn_words_resolve(t->peer, t->why, t->result == CURLE_COULDNT_RESOLVE_PROXY, err);
		return -(int)err->code;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
		t->trouble = vn_words_connect(t->peer, t->why, (int)number, err);
		return -(int)err->code;
	case CURLE_OPERATION_TIMEDOUT:
		t->trouble = VN_HTTP_NO_CONNECTION;
		return vn_fail(err, VN_ENETWORK, "%s did not answer: %s", t->peer, t->why);
	case CURLE_SSL_CONNECT_ERROR:
		t->trouble = vn_words_tls(t->peer, t->why, err);
		return -(int)err->code;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		t->trouble = vn_words_untrusted(t->peer, t->why, err);
		return -(int)err->code;
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		return vn_fail(err, VN_EIO, "the certificate files for %s cannot be used: %s", t->peer, t->why);
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		t->trouble = VN_HTTP_H2;
		return vn_fail(err, VN_ENETWORK, "%s broke off an HTTP/2 stream: %s", t->peer, t->why);
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return vn_fail(err, VN_EFORMAT, "%s does not answer in HTTP: %s", t->peer, t->why);
	case CURLE_URL_MALFORMAT:
		return vn_fail(err, VN_EFORMAT, "a URL for %s is malformed", t->peer);
	case CURLE_OUT_OF_MEMORY:
		return vn_nomem(err);
	default:
		if (!t->why[0])
			snprintf(t->why, sizeof t->why, "%s", curl_easy_strerror(t->result));
		return cut(t, err);
	}
}

/* ---- moving bytes */
static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void collect(struct transfer *t)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(t->lane->multi, &left)))
		if (msg->msg == CURLMSG_DONE && msg->easy_handle == t->easy) {
			t->over = true;
			t->result = msg->data.result;
		}
}

static bool have_head(const struct transfer *t)
{
	return t->head_done;
}

static bool have_data(const struct transfer *t)
{
	return t->data.len > 0;
}

/* Only time spent waiting counts as a stall, so a slow consumer is not taken for a slow server. A registry hashes and moves
 * an upload before it answers: that silence may last five times as long. */
static int drive(struct transfer *t, bool (*enough)(const struct transfer *), struct vn_err *err)
{
	uint64_t since = now_ms();

	for (;;) {
		uint64_t moved = t->moved, limit = t->http->stall_ms;
		int running = 0;
		struct quiet q = quiet_begin();
		CURLMcode code = curl_multi_perform(t->lane->multi, &running);
		quiet_end(&q);
		if (code)
			return vn_fail(err, VN_EIO, "libcurl: %s", curl_multi_strerror(code));
		collect(t);
		if (t->over || enough(t))
			return 0;
		uint64_t now = now_ms();
		if (t->moved != moved)
			since = now;
		if (t->body_done && (t->body_len < 0 || t->body_len > (int64_t)BLOCK))
			limit *= 5;
		if (now - since >= limit)
			return stalled(t, (unsigned)limit, err);
		uint64_t left = limit - (now - since);
		curl_multi_poll(t->lane->multi, NULL, 0, left < 1000 ? (int)left : 1000, NULL);
	}
}

static ssize_t body_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct transfer *t = (struct transfer *)in;

	if (t->handed)
		vn_buf_clear(&t->data);
	t->handed = false;
	if (t->trouble && !t->data.len)
		return t->failed || t->result ? explain(t, err) : cut(t, err);
	if (!t->data.len && t->paused) {
		struct quiet q = quiet_begin();
		t->paused = false;
		curl_easy_pause(t->easy, CURLPAUSE_CONT);
		quiet_end(&q);
	}
	if (!t->data.len && !t->over && drive(t, have_data, err) < 0)
		return -(ssize_t)err->code;
	if (!t->data.len)
		return t->result || t->failed ? explain(t, err) : 0;
	t->handed = true;
	*ret_block = t->data.data;
	return (ssize_t)t->data.len;
}

static void body_close(struct vn_in *in)
{
	struct transfer *t = (struct transfer *)in;
	struct quiet q = quiet_begin();
	int running;

	/* what is already here may complete the exchange, and then the connection serves again */
	if (t->easy && t->lane && t->head_done && !t->over && !t->paused && t->data.len < BLOCK)
		curl_multi_perform(t->lane->multi, &running);
	if (t->easy && t->lane)
		curl_multi_remove_handle(t->lane->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->lines);
	quiet_end(&q);
	if (t->lane) {
		pthread_mutex_lock(&t->http->lock);
		t->lane->next = t->http->idle;
		t->http->idle = t->lane;
		pthread_mutex_unlock(&t->http->lock);
	}
	vn_buf_release(&t->head);
	vn_buf_release(&t->data);
	free(t);
}

static const struct vn_in_ops body_ops = { body_next, body_close };

enum vn_http_trouble vn_http_body_trouble(const struct vn_in *body)
{
	return body && body->ops == &body_ops ? ((const struct transfer *)body)->trouble : VN_HTTP_FINE;
}

/* ---- a request */
static int add_line(struct transfer *t, const char *line, struct vn_err *err)
{
	if (strpbrk(line, "\r\n"))
		return vn_fail(err, VN_EFORMAT, "a header for %s holds a line break", t->peer);
	struct curl_slist *more = curl_slist_append(t->lines, line);
	if (!more)
		return vn_nomem(err);
	t->lines = more;
	return 0;
}

static int set_headers(struct transfer *t, const struct vn_http_request *req, struct vn_err *err)
{
	/* no waiting for a 100, and no recoding of layers on the way */
	static const char *const always[] = { "Expect:", "Accept-Encoding: identity", NULL };

	for (const char *const *h = always; *h; h++)
		if (add_line(t, *h, err) < 0)
			return -err->code;
	for (const char *const *h = req->headers; h && *h; h++)
		if (add_line(t, *h, err) < 0)
			return -err->code;
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->lines);
	return 0;
}

static void set_method(struct transfer *t, const struct vn_http_request *req)
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

static void set_tls(CURL *easy, const struct vn_http_tls *tls)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");

	if (file && *file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, file);
	if (dir && *dir)
		curl_easy_setopt(easy, CURLOPT_CAPATH, dir);
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

static void set_peer(struct transfer *t, const struct vn_http_request *req, const struct vn_url *url)
{
	bool usual = url->port == (url->tls ? 443u : 80u);

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

static void set_rest(struct transfer *t, const struct vn_http_request *req)
{
	CURL *easy = t->easy;

	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->why);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "veneer/" VN_VERSION);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)t->http->connect_ms);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, CURL_BLOCK);
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

static int begin(struct transfer *t, const struct vn_http_request *req, struct vn_err *err)
{
	VN_AUTO(vn_url) url = { 0 };

	if (vn_url_parse(req->url, &url, err) < 0)
		return -err->code;
	t->easy = curl_easy_init();
	if (!t->easy)
		return vn_nomem(err);
	set_peer(t, req, &url);
	set_rest(t, req);
	set_method(t, req);
	set_tls(t->easy, req->tls);
	curl_easy_setopt(t->easy, CURLOPT_URL, req->url);
	if (set_headers(t, req, err) < 0 || lane_take(t->http, &t->lane, err) < 0)
		return -err->code;
	CURLMcode code = curl_multi_add_handle(t->lane->multi, t->easy);
	return code ? vn_fail(err, VN_EIO, "libcurl: %s", curl_multi_strerror(code)) : 0;
}

int vn_http_send(struct vn_http *http, const struct vn_http_request *req, struct vn_http_response *ret,
		 enum vn_http_trouble *ret_trouble, struct vn_err *err)
{
	struct transfer *t = calloc(1, sizeof *t);
	int n;

	if (ret_trouble)
		*ret_trouble = VN_HTTP_OTHER;
	if (!t)
		return vn_nomem(err);
	VN_AUTO_IN *owned = &t->in;
	t->in.ops = &body_ops;
	t->http = http;
	t->head.max = VN_MAX_HEADERS;
	t->data.max = 4 * BLOCK;
	n = begin(t, req, err);
	if (n == 0)
		n = drive(t, have_head, err);
	if (n == 0 && !t->head_done)
		n = t->result || t->failed ? explain(t, err) : cut(t, err);
	if (ret_trouble)
		*ret_trouble = n < 0 && !t->trouble ? VN_HTTP_OTHER : t->trouble;
	if (n < 0)
		return n;
	ret->status = t->status;
	ret->head = t->head;
	t->head = (struct vn_buf){ 0 };
	ret->body = vn_steal(owned);
	return 0;
}

void vn_http_stop_sending(struct vn_http_response *r)
{
	if (r->body && r->body->ops == &body_ops)
		((struct transfer *)r->body)->body = NULL;
}

void vn_http_response_release(struct vn_http_response *r)
{
	vn_buf_release(&r->head);
	vn_in_close(r->body);
	*r = (struct vn_http_response){ 0 };
}

const char *vn_http_header(const struct vn_http_response *r, const char *name, size_t nth)
{
	size_t len = strlen(name);

	for (size_t at = 0; at < r->head.len; at += strlen(r->head.data + at) + 1) {
		const char *line = r->head.data + at;
		if (!strncasecmp(line, name, len) && line[len] == ':' && nth-- == 0)
			return line + len + 1 + strspn(line + len + 1, " \t");
	}
	return NULL;
}
