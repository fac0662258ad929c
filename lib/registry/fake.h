/* Tests: a scripted HTTP/1.1 server on a loopback port. A script is a list of expected requests with canned answers, served in
 * order; what does not match is answered with 599 and remembered, so that the test names it. Requests are recorded. */
#ifndef VN_REGISTRY_FAKE_H
#define VN_REGISTRY_FAKE_H
#include "registry/registry.h"
#include "util/cleanup.h"
#include "util/test.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* a step names what it is about and leaves the rest at zero */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct fake_step {
	const char *want;            /* "GET /v2/": the request line up to a prefix of the path and query */
	const char *has;             /* a piece that the request's header or body must hold; a leading '!' forbids it */
	const char *answer;          /* "200" or "200 OK\nName: value\nName: value"; %s in it is the server's host:port */
	const char *body;            /* NULL: none. Content-Length is added unless the answer has one or chunked */
	size_t body_len;             /* 0: strlen */
	size_t cut;                  /* not 0: the connection ends after that many bytes of the body */
	bool reset;                  /* … by a reset, a moment later */
	unsigned drip_ms;            /* not 0: the body's second half comes after that time */
	bool drops;                  /* … or a byte every 100 ms */
	bool hang;                   /* nothing more is sent, the connection stays open until the client leaves */
	bool unread;                 /* answered without reading the request's body, connection closed */
};

#define FAKE_LOG 64
struct fake {
	int listener;
	char host[32];               /* "127.0.0.1:PORT" */
	pthread_t thread;
	const struct fake_step *script;
	size_t at, connections;
	char *log[FAKE_LOG];         /* request head and body */
	size_t logged;
	char wrong[512];             /* first request off the script */
};

static inline void fake_send(int fd, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

static inline void fake_reset(int fd)
{
	struct linger now = { 1, 0 };
	struct timespec moment = { 0, 100000000 };
	nanosleep(&moment, NULL);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* One byte more of `buf`, or false at the end. */
static inline bool fake_more(int fd, char **buf, size_t *len, size_t *cap)
{
	if (*len + 65536 > *cap)
		*buf = realloc(*buf, *cap = *cap * 2 + 131072);
	ssize_t n = *buf ? recv(fd, *buf + *len, 65535, 0) : -1;
	if (n <= 0)
		return false;
	*len += (size_t)n;
	(*buf)[*len] = 0;
	return true;
}

/* Head and, unless told not to, body of one request, NUL-ended; NULL when the client has left. Pipelining is not expected. */
static inline char *fake_request(int fd, bool unread)
{
	char *buf = NULL, *end;
	size_t len = 0, cap = 0;

	do {
		if (!fake_more(fd, &buf, &len, &cap)) {
			free(buf);
			return NULL;
		}
		/* a TLS ClientHello: what web servers say to it */
		if (buf[0] == 0x16) {
			fake_send(fd, "HTTP/1.0 400 Bad Request\r\n\r\n", 28);
			free(buf);
			return NULL;
		}
	} while (!(end = strstr(buf, "\r\n\r\n")));
	size_t head = (size_t)(end - buf) + 4;
	const char *length = strcasestr(buf, "\r\nContent-Length:"), *chunked = strcasestr(buf, "\r\nTransfer-Encoding: chunked");
	size_t want = length && length < buf + head ? (size_t)strtoull(length + 17, NULL, 10) : 0;
	while (!unread && len < head + want && fake_more(fd, &buf, &len, &cap))
		;
	while (!unread && chunked && (len < 5 || memcmp(buf + len - 5, "0\r\n\r\n", 5)) && fake_more(fd, &buf, &len, &cap))
		;
	return buf;
}

static inline bool fake_matches(const struct fake_step *s, const char *request)
{
	if (!s->want || strncmp(request, s->want, strlen(s->want)))
		return false;
	if (!s->has)
		return true;
	return *s->has == '!' ? !strcasestr(request, s->has + 1) : strcasestr(request, s->has) != NULL;
}

static inline size_t fake_head(const struct fake *f, const struct fake_step *s, size_t body_len, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "HTTP/1.1 ");
	for (const char *p = s->answer; *p && n + 64 < size; p++) {
		if (*p == '\n')
			n += (size_t)snprintf(out + n, size - n, "\r\n");
		else if (p[0] == '%' && p[1] == 's')
			n += (size_t)snprintf(out + n, size - n, "%s", f->host), p++;
		else
			out[n++] = *p;
	}
	out[n] = 0;
	if (!strcasestr(s->answer, "Content-Length") && !strcasestr(s->answer, "Transfer-Encoding") && strncmp(s->answer, "204", 3))
		n += (size_t)snprintf(out + n, size - n, "\r\nContent-Length: %zu", body_len);
	n += (size_t)snprintf(out + n, size - n, "\r\n\r\n");
	return n;
}

/* false: the connection is to be closed. */
static inline bool fake_answer(struct fake *f, int fd, const struct fake_step *s, bool head_only)
{
	size_t len = s->body ? s->body_len ? s->body_len : strlen(s->body) : 0, part = s->cut && s->cut < len ? s->cut : len;
	char head[4096];
	char gone;

	if (s->hang && !s->cut) {
		while (recv(fd, &gone, 1, 0) > 0)
			;
		return false;
	}
	fake_send(fd, head, fake_head(f, s, len, head, sizeof head));
	if (head_only)
		return true;
	if (s->drip_ms) {
		struct timespec ts = { s->drip_ms / 1000, (long)(s->drip_ms % 1000) * 1000000 };
		fake_send(fd, s->body, part / 2);
		nanosleep(&ts, NULL);
		fake_send(fd, s->body + part / 2, part - part / 2);
	} else if (s->drops) {
		static const struct timespec ts = { 0, 100000000 };
		for (size_t i = 0; i < part && send(fd, s->body + i, 1, MSG_NOSIGNAL) == 1; i++)
			nanosleep(&ts, NULL);
	} else {
		fake_send(fd, s->body, part);
	}
	if (s->hang)
		while (recv(fd, &gone, 1, 0) > 0)
			;
	return !s->cut && !s->hang && !s->unread;
}

static inline void fake_serve(struct fake *f, int fd)
{
	static const struct fake_step off = { .answer = "599 Off The Script\nConnection: close" };

	for (bool more = true; more;) {
		const struct fake_step *s = &f->script[f->at];
		char *request = fake_request(fd, s->unread);
		if (!request)
			return;
		bool fits = fake_matches(s, request);
		if (fits)
			f->at++;
		else if (!f->wrong[0])
			snprintf(f->wrong, sizeof f->wrong, "step %zu wants \"%s\" (%s), got: %.300s", f->at, s->want ? s->want : "nothing",
				 s->has ? s->has : "", request);
		bool head_only = !strncmp(request, "HEAD ", 5);
		/* before the answer: who has it may look at the log */
		if (f->logged < FAKE_LOG)
			f->log[f->logged++] = request;
		else
			free(request);
		more = fake_answer(f, fd, fits ? s : &off, head_only) && fits;
	}
}

static inline void *fake_run(void *user)
{
	struct fake *f = user;
	int fd;

	/* one connection after the other: clients under test keep at most one open that matters */
	while ((fd = accept(f->listener, NULL, NULL)) >= 0) {
		struct timeval tv = { 10, 0 };
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
		f->connections++;
		size_t before = f->at;
		fake_serve(f, fd);
		if (f->at > before && f->script[f->at - 1].reset)
			fake_reset(fd);
		close(fd);
	}
	return NULL;
}

static inline void fake_start(struct fake *f, const struct fake_step *script)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;

	memset(f, 0, sizeof *f);
	f->script = script;
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(f->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(f->listener, 16) < 0 ||
	    getsockname(f->listener, (struct sockaddr *)&a, &len) < 0)
		abort();
	snprintf(f->host, sizeof f->host, "127.0.0.1:%u", ntohs(a.sin_port));
	pthread_create(&f->thread, NULL, fake_run, f);
}

/* After the client is closed. Checks that the whole script was played and nothing else. */
static inline void fake_stop(struct fake *f)
{
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->listener);
	CHECK_STR(f->wrong, "");
	CHECK_STR(f->script[f->at].want ? f->script[f->at].want : "", "");
	for (size_t i = 0; i < f->logged; i++)
		free(f->log[i]);
}

/* ---- what the tests of source and sink share */
struct fake_world {
	struct fake fake;
	char told[8192];             /* every event's text */
	unsigned pauses;
	uint64_t paused_ms;
	struct vn_registry_options opt;
	struct vn_events events;
};

static inline void fake_tell(void *user, const struct vn_event *event)
{
	struct fake_world *w = user;
	size_t n = strlen(w->told);
	if (event->kind == VN_EVENT_WARNING || event->kind == VN_EVENT_DEBUG)
		snprintf(w->told + n, sizeof w->told - n, "%s%s\n", event->kind == VN_EVENT_WARNING ? "W " : "", event->text);
}

static inline void fake_pause(void *user, uint64_t ms)
{
	struct fake_world *w = user;
	w->pauses++;
	w->paused_ms += ms;
}

/* Plain HTTP, no real waiting, credentials from a file that is not there unless a test names one. */
static inline void fake_world_open(struct fake_world *w, const struct fake_step *script)
{
	memset(w, 0, sizeof *w);
	fake_start(&w->fake, script);
	w->opt = (struct vn_registry_options){ .plain_http = true, .pause = fake_pause, .pause_user = w };
	w->events = (struct vn_events){ fake_tell, w };
}

static inline void fake_ref(const struct fake_world *w, const char *rest, struct vn_ref *ret)
{
	struct vn_err err = { 0 };
	char text[400];
	snprintf(text, sizeof text, "%s/%s", w->fake.host, rest);
	CHECK_OK(vn_ref_parse(text, ret, &err), &err);
}

static inline struct vn_source *fake_source(struct fake_world *w, const char *rest)
{
	VN_AUTO(vn_ref) ref = { 0 };
	struct vn_err err = { 0 };
	struct vn_source *s = NULL;
	fake_ref(w, rest, &ref);
	CHECK_OK(vn_registry_source_open(&ref, &w->opt, &w->events, &s, &err), &err);
	return s;
}

static inline struct vn_sink *fake_sink(struct fake_world *w, const char *rest)
{
	VN_AUTO(vn_ref) ref = { 0 };
	struct vn_err err = { 0 };
	struct vn_sink *k = NULL;
	fake_ref(w, rest, &ref);
	CHECK_OK(vn_registry_sink_open(&ref, &w->opt, &w->events, &k, &err), &err);
	return k;
}
#endif
