/* A Docker engine for tests: one connection at a time, answers from a table, what was sent is kept. */
#ifndef VN_ENGINE_FAKE_DOCKER_H
#define VN_ENGINE_FAKE_DOCKER_H
#include "util/test.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct answer {
	const char *request;             /* beginning of the request line */
	unsigned status;
	const char *body;
	size_t len;                      /* 0: strlen */
};
static struct {
	int listener;
	pthread_t thread;
	const struct answer *answers;
	char loaded[1 << 18];            /* body of the last POST */
	size_t nloaded;
	char log[8192];                  /* request lines */
	char posted[4096];               /* bodies that are no archives */
} engine;

static inline void answer_one(int fd, const char *head)
{
	static const struct answer none = { "", 404, "{\"message\":\"no such image\"}", 0 };
	const struct answer *a = engine.answers;
	char text[200];
	while (a->request && strncmp(head, a->request, strlen(a->request)))
		a++;
	if (!a->request)
		a = &none;
	size_t len = a->len ? a->len : strlen(a->body);
	int n = snprintf(text, sizeof(text), "HTTP/1.1 %u X\r\nContent-Length: %zu\r\n\r\n", a->status, len);
	CHECK(send(fd, text, (size_t)n, MSG_NOSIGNAL) == n);
	for (size_t at = 0; at < len;) {
		ssize_t sent = send(fd, a->body + at, len - at, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		at += (size_t)sent;
	}
}

static inline void serve(int fd)
{
	static char buf[1 << 19];
	size_t len = 0;
	for (;;) {
		char *end = NULL;
		buf[len] = 0;
		while (!(end = strstr(buf, "\r\n\r\n"))) {
			ssize_t n = recv(fd, buf + len, sizeof(buf) - len - 1, 0);
			if (n <= 0)
				return;
			buf[len += (size_t)n] = 0;
		}
		size_t head = (size_t)(end - buf) + 4, log = strlen(engine.log);
		const char *length = strcasestr(buf, "\r\nContent-Length:");
		size_t want = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
		while (len < head + want) {
			ssize_t n = recv(fd, buf + len, sizeof(buf) - len - 1, 0);
			if (n <= 0)
				return;
			buf[len += (size_t)n] = 0;
		}
		snprintf(engine.log + log, sizeof(engine.log) - log, "%.*s\n", (int)strcspn(buf, "\r"), buf);
		if (want && want <= sizeof(engine.loaded)) {
			memcpy(engine.loaded, buf + head, want);
			engine.nloaded = want;
			if (want % 512)
				snprintf(engine.posted + strlen(engine.posted), sizeof(engine.posted) - strlen(engine.posted), "%.*s\n",
					 (int)want, buf + head);
		}
		answer_one(fd, buf);
		len -= head + want;
		memmove(buf, buf + head + want, len);
	}
}

static inline void *engine_run(void *unused)
{
	int fd;
	(void)unused;
	while ((fd = accept(engine.listener, NULL, NULL)) >= 0) {
		serve(fd);
		close(fd);
	}
	return NULL;
}

/* Its socket is in `dir`, and DOCKER_HOST names it. */
static inline void engine_begin(const char *dir, const struct answer *answers)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char host[600];
	engine.answers = answers;
	engine.nloaded = 0;
	engine.log[0] = engine.posted[0] = 0;
	snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/s", dir);
	snprintf(host, sizeof(host), "unix://%s", a.sun_path);
	setenv("DOCKER_HOST", host, 1);
	engine.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(engine.listener, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(listen(engine.listener, 8) == 0);
	pthread_create(&engine.thread, NULL, engine_run, NULL);
}

static inline void engine_end(void)
{
	shutdown(engine.listener, SHUT_RDWR);
	pthread_join(engine.thread, NULL);
	close(engine.listener);
}

#endif
