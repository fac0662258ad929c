#include "registry/transfer.h"
#include "registry/answer.h"
#include "registry/words.h"
#include "util/child.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define LEAST_PROGRESS 1024          /* bytes in the time after which silence is a stall: 17 a second by default */

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
	http->frugal = opt && opt->frugal;
	http->http1 = opt && (opt->http1 || opt->frugal);
	http->memory = opt ? opt->memory : NULL;
	if (opt && (opt->wire || opt->frugal || opt->memory) &&
	    vn_sockets_open(opt->wire, opt->frugal, &http->sockets, err) < 0) {
		vn_http_close(http);
		return -err->code;
	}
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
		struct vn_lane *lane = http->idle;
		http->idle = lane->next;
		curl_multi_cleanup(lane->multi);
		free(lane);
	}
	quiet_end(&q);
	vn_sockets_close(http->sockets);
	pthread_mutex_destroy(&http->lock);
	free(http);
	vn_http_exit();
}

static int lane_take(struct vn_http *http, struct vn_lane **ret, struct vn_err *err)
{
	pthread_mutex_lock(&http->lock);
	struct vn_lane *lane = http->idle;
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

/* ---- what went wrong */
static int stalled(struct vn_transfer *t, unsigned ms, struct vn_err *err)
{
	t->trouble = VN_HTTP_STALLED;
	if (t->moved == t->mark)
		return vn_fail(err, VN_ENETWORK, "nothing moved between here and %s for %.3g seconds", t->peer, ms / 1000.0);
	return vn_fail(err, VN_ENETWORK, "only %llu bytes moved between here and %s in %.3g seconds",
		       (unsigned long long)(t->moved - t->mark), t->peer, ms / 1000.0);
}

static int cut(struct vn_transfer *t, struct vn_err *err)
{
	t->trouble = VN_HTTP_CUT;
	return vn_fail(err, VN_ENETWORK, "the connection to %s ended early%s%s", t->peer, t->why[0] ? ": " : "", t->why);
}

static int explain(struct vn_transfer *t, struct vn_err *err)
{
	long number = 0;

	if (t->failed) {
		*err = t->err;
		t->trouble = t->trouble ? t->trouble : VN_HTTP_OTHER;
		return -err->code;
	}
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
	t->trouble = vn_words_curl(t->peer, t->why, (int)t->result, (int)number, err);
	if (t->trouble != VN_HTTP_CUT)
		return -(int)err->code;
	if (!t->why[0])
		snprintf(t->why, sizeof t->why, "%s", curl_easy_strerror(t->result));
	return cut(t, err);
}

/* ---- moving bytes */
static void collect(struct vn_transfer *t)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(t->lane->multi, &left)))
		if (msg->msg == CURLMSG_DONE && msg->easy_handle == t->easy) {
			t->over = true;
			t->result = msg->data.result;
		}
}

static bool have_head(const struct vn_transfer *t)
{
	return t->head_done;
}

static bool have_data(const struct vn_transfer *t)
{
	return t->data.len > 0;
}

static int perform(struct vn_transfer *t, struct vn_err *err)
{
	struct vn_sockets *sockets = t->http->sockets;
	int running = 0;

	if (sockets)
		vn_sockets_hold(sockets);
	struct quiet q = quiet_begin();
	CURLMcode code = curl_multi_perform(t->lane->multi, &running);
	quiet_end(&q);
	if (sockets) {
		vn_sockets_let_go(sockets);
		vn_sockets_count(sockets);
	}
	if (code)
		return vn_fail(err, VN_EIO, "libcurl: %s", curl_multi_strerror(code));
	collect(t);
	return 0;
}

/* Only time spent waiting counts as a stall, so a slow consumer is not taken for a slow server. A server that gives a byte now and
 * then stalls too; an engine on its socket may take its time. A registry hashes and moves an upload before it answers: that
 * silence may last five times as long. */
static int drive(struct vn_transfer *t, bool (*enough)(const struct vn_transfer *), struct vn_err *err)
{
	uint64_t least = t->engine ? 1 : LEAST_PROGRESS;

	for (;;) {
		uint64_t limit = t->http->stall_ms;
		if (perform(t, err) < 0)
			return -err->code;
		if (t->moved - t->mark >= least) {
			t->mark = t->moved;
			t->waited = 0;
		}
		if (t->over || enough(t))
			return 0;
		if (t->body_done && (t->body_len < 0 || t->body_len > (int64_t)VN_HTTP_BLOCK))
			limit *= 5;
		if (t->waited >= limit)
			return stalled(t, (unsigned)limit, err);
		uint64_t left = limit - t->waited, before = vn_monotonic_ms();
		curl_multi_poll(t->lane->multi, NULL, 0, left < 1000 ? (int)left : 1000, NULL);
		t->waited += vn_monotonic_ms() - before;
	}
}

static ssize_t body_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct vn_transfer *t = (struct vn_transfer *)in;

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
	struct vn_transfer *t = (struct vn_transfer *)in;
	struct vn_sockets *sockets = t->http->sockets;
	struct quiet q = quiet_begin();
	int running;

	/* what is already here may complete the exchange, and then the connection serves again */
	if (t->easy && t->lane && t->head_done && !t->over && !t->paused && t->data.len < VN_HTTP_BLOCK)
		curl_multi_perform(t->lane->multi, &running);
	if (t->easy && t->lane)
		curl_multi_remove_handle(t->lane->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->lines);
	quiet_end(&q);
	if (sockets)
		vn_sockets_count(sockets);
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
	return body && body->ops == &body_ops ? ((const struct vn_transfer *)body)->trouble : VN_HTTP_FINE;
}

/* ---- a request */
static int begin(struct vn_transfer *t, const struct vn_http_request *req, struct vn_err *err)
{
	VN_AUTO(vn_url) url = { 0 };

	if (vn_url_parse(req->url, &url, err) < 0)
		return -err->code;
	t->easy = curl_easy_init();
	if (!t->easy)
		return vn_nomem(err);
	if (vn_transfer_set_up(t, req, &url, err) < 0 || lane_take(t->http, &t->lane, err) < 0)
		return -err->code;
	CURLMcode code = curl_multi_add_handle(t->lane->multi, t->easy);
	return code ? vn_fail(err, VN_EIO, "libcurl: %s", curl_multi_strerror(code)) : 0;
}

int vn_http_send(struct vn_http *http, const struct vn_http_request *req, struct vn_http_response *ret,
		 enum vn_http_trouble *ret_trouble, struct vn_err *err)
{
	struct vn_transfer *t = calloc(1, sizeof *t);
	int n;

	if (ret_trouble)
		*ret_trouble = VN_HTTP_OTHER;
	if (!t)
		return vn_nomem(err);
	VN_AUTO_IN *owned = &t->in;
	t->in.ops = &body_ops;
	t->http = http;
	t->head.max = VN_MAX_HEADERS;
	t->data.max = 4 * VN_HTTP_BLOCK;
	n = begin(t, req, err);
	if (n == 0 && http->sockets)
		vn_sockets_request(http->sockets);
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
	if (http->sockets && (ret->status == 429 || ret->status == 503)) {
		int64_t asked = 0;
		vn_sockets_retry_after(http->sockets, vn_retry_after(ret, &asked) ? asked : 0);
	}
	return 0;
}

void vn_http_stop_sending(struct vn_http_response *r)
{
	if (r->body && r->body->ops == &body_ops)
		((struct vn_transfer *)r->body)->body = NULL;
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
