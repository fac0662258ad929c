#include "registry/wire.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#define TIMESTAMPS 12                /* bytes of the option in each segment, with its padding (RFC 7323, appendix A) */
#define SYN_OPTIONS 20               /* size, SACK, timestamps and window scale, as Linux sends them */
#define HEADER_V4 40u
#define HEADER_V6 60u

/* the kernel's include/net/tcp_states.h, which tcp_info shows to programs */
enum { ESTABLISHED = 1, SYN_SENT = 2, CLOSE_WAIT = 8 };

struct entry {
	int fd;
	uint64_t cookie;             /* of the socket: a number of a file is used again */
	unsigned header;             /* bytes of IP and TCP without options */
	uint64_t sent, received;     /* counted so far */
	bool connected;
	struct tcp_info last;
};

struct vn_sockets {
	pthread_mutex_t lock;
	struct vn_wire *wire;        /* never NULL: `nobody` where nobody counts */
	struct vn_wire nobody;
	bool frugal, held;
	struct entry *list;
	size_t n, cap;
};

int vn_sockets_open(struct vn_wire *wire, bool frugal, struct vn_sockets **ret, struct vn_err *err)
{
	struct vn_sockets *s = calloc(1, sizeof *s);

	if (!s)
		return vn_nomem(err);
	pthread_mutex_init(&s->lock, NULL);
	s->wire = wire ? wire : &s->nobody;
	s->frugal = frugal;
	*ret = s;
	return 0;
}

void vn_sockets_close(struct vn_sockets *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->list);
	free(s);
}

static bool cookie_of(int fd, uint64_t *ret)
{
	socklen_t len = sizeof *ret;
	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, ret, &len) == 0;
}

static void add(struct vn_sockets *s, int fd)
{
	struct entry e = { .fd = fd };
	int domain = 0, protocol = 0, off = 0;
	socklen_t len = sizeof domain, len2 = sizeof protocol;
	struct vn_err ignored = { 0 };

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len2) < 0 ||
	    protocol != IPPROTO_TCP || !cookie_of(fd, &e.cookie) ||
	    vn_grow(&s->list, &s->cap, s->n + 1, sizeof *s->list, &ignored) < 0)
		return;
	e.header = domain == AF_INET6 ? HEADER_V6 : HEADER_V4;
	if (s->frugal)
		setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
	s->list[s->n++] = e;
}

void vn_sockets_add(struct vn_sockets *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	add(s, fd);
	pthread_mutex_unlock(&s->lock);
}

static unsigned header_of(const struct entry *e)
{
	return e->header + (e->last.tcpi_options & TCPI_OPT_TIMESTAMPS ? TIMESTAMPS : 0);
}

static void more(uint64_t *total, uint64_t *before, uint64_t now)
{
	if (now <= *before)
		return;
	*total += now - *before;
	*before = now;
}

/* false: the socket is not there any more. What it had moved at the last look stays counted. */
static bool count(struct vn_sockets *s, struct entry *e)
{
	struct tcp_info i = { 0 };
	socklen_t len = sizeof i;
	uint64_t cookie = 0;

	if (!cookie_of(e->fd, &cookie) || cookie != e->cookie || getsockopt(e->fd, IPPROTO_TCP, TCP_INFO, &i, &len) < 0)
		return false;
	e->last = i;
	unsigned header = header_of(e);
	if (i.tcpi_state == SYN_SENT) {
		more(&s->wire->sent, &e->sent, (uint64_t)i.tcpi_segs_out * (e->header + SYN_OPTIONS));
		return true;
	}
	if (!e->connected && (i.tcpi_state == ESTABLISHED || i.tcpi_state == CLOSE_WAIT || i.tcpi_bytes_received)) {
		e->connected = true;
		s->wire->connections++;
	}
	/* of kernels before 4.19 only what was acknowledged is known */
	uint64_t sent = len >= offsetof(struct tcp_info, tcpi_bytes_retrans) ? i.tcpi_bytes_sent : i.tcpi_bytes_acked;
	unsigned syn = e->connected ? e->header + SYN_OPTIONS - header : 0;
	more(&s->wire->sent, &e->sent, sent + (uint64_t)i.tcpi_segs_out * header + syn);
	more(&s->wire->received, &e->received, i.tcpi_bytes_received + (uint64_t)i.tcpi_segs_in * header + syn);
	return true;
}

void vn_sockets_count(struct vn_sockets *s)
{
	pthread_mutex_lock(&s->lock);
	for (size_t k = 0; k < s->n;)
		if (count(s, &s->list[k]))
			k++;
		else
			s->list[k] = s->list[--s->n];
	pthread_mutex_unlock(&s->lock);
}

/* The segments that end the connection cannot be counted by a socket that is closed. */
static void count_end(struct vn_sockets *s, const struct entry *e)
{
	unsigned state = e->last.tcpi_state, header = header_of(e);
	bool ours = state == ESTABLISHED || state == CLOSE_WAIT, theirs = state == ESTABLISHED;

	if (!ours)
		return;
	s->wire->sent += header;
	if (s->frugal)
		return;
	s->wire->received += header + (theirs ? header : 0);
	s->wire->sent += theirs ? header : 0;
}

int vn_sockets_end(struct vn_sockets *s, int fd)
{
	static const struct linger reset = { 1, 0 };

	pthread_mutex_lock(&s->lock);
	for (size_t k = 0; k < s->n; k++)
		if (s->list[k].fd == fd) {
			if (count(s, &s->list[k]))
				count_end(s, &s->list[k]);
			if (s->frugal)
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
			s->list[k] = s->list[--s->n];
			break;
		}
	pthread_mutex_unlock(&s->lock);
	return close(fd);
}

static void cork(struct vn_sockets *s, int on)
{
	pthread_mutex_lock(&s->lock);
	for (size_t k = 0; s->frugal && k < s->n; k++)
		setsockopt(s->list[k].fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
	pthread_mutex_unlock(&s->lock);
}

void vn_sockets_hold(struct vn_sockets *s)
{
	cork(s, 1);
}

void vn_sockets_let_go(struct vn_sockets *s)
{
	cork(s, 0);
}

void vn_sockets_request(struct vn_sockets *s)
{
	pthread_mutex_lock(&s->lock);
	s->wire->requests++;
	pthread_mutex_unlock(&s->lock);
}

void vn_sockets_resumed(struct vn_sockets *s)
{
	pthread_mutex_lock(&s->lock);
	s->wire->resumed++;
	pthread_mutex_unlock(&s->lock);
}

void vn_sockets_retry_after(struct vn_sockets *s, int64_t seconds)
{
	pthread_mutex_lock(&s->lock);
	s->wire->retry_after = seconds;
	pthread_mutex_unlock(&s->lock);
}
