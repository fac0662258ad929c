#include "registry/helper.h"
#include "util/child.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

struct child {
	pid_t pid;
	int in, out;                 /* its stdin (a socket, so that a write to it raises no signal), its stdout */
	uint64_t deadline;           /* monotonic milliseconds */
};

static int start(struct child *c, const char *program, const char *verb, struct vn_err *err)
{
	int in[2], out[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot make a socket pair");
	c->in = in[0];
	VN_AUTO_CLOSE int child_in = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot make a pipe");
	c->out = out[0];
	VN_AUTO_CLOSE int child_out = out[1];
	char *const argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)verb, NULL };
	const struct vn_child_start child = { .program = program, .argv = argv, .env = environ,
					      .in = child_in, .out = child_out, .errors = -1 };
	return vn_child_start(&child, &c->pid, err);
}

/* Feeds and reads until its stdout ends; false when the time is up. */
static int converse(struct child *c, const char *input, struct vn_buf *ret, bool *ret_late, struct vn_err *err)
{
	size_t left = strlen(input);
	char block[4096];

	for (;;) {
		if (c->in >= 0 && !left) {
			close(c->in);
			c->in = -1;
		}
		uint64_t now = vn_monotonic_ms();
		*ret_late = now >= c->deadline;
		if (*ret_late)
			return 0;
		struct pollfd p[2] = { { .fd = c->out, .events = POLLIN }, { .fd = c->in, .events = POLLOUT } };
		if (poll(p, 2, (int)(c->deadline - now)) < 0 && errno != EINTR)
			return vn_fail_sys(err, VN_EIO, "poll");
		if (c->in >= 0 && p[1].revents) {
			ssize_t n = send(c->in, input, left, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				left = 0;
			else if (n > 0)
				input += n, left -= (size_t)n;
		}
		if (p[0].revents) {
			ssize_t n = read(c->out, block, sizeof block);
			if (n == 0)
				return 0;
			if (n > 0 && vn_buf_add(ret, block, (size_t)n, err) < 0)
				return -err->code;
		}
	}
}

int vn_helper_run(const char *name, const char *verb, const char *input, unsigned seconds, struct vn_buf *ret, int *ret_status,
		  struct vn_err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	struct child c = { -1, -1, -1, vn_monotonic_ms() + (uint64_t)seconds * 1000 };
	VN_AUTO_FREE char *program = NULL, *file = NULL;
	bool late = false;

	if (!*name || strlen(name) > 64 || strspn(name, allowed) != strlen(name))
		return vn_fail(err, VN_EUSAGE, "\"%.64s\" cannot be the name of a credential helper", name);
	if (vn_asprintf(&file, err, "docker-credential-%s", name) < 0 || vn_child_find(file, &program, err) < 0)
		return -err->code;
	int n = start(&c, program, verb, err);
	bool running = n == 0;
	if (running)
		n = converse(&c, input, ret, &late, err);
	vn_close_p(&c.in);
	vn_close_p(&c.out);
	int status = running ? vn_child_exit(c.pid, late || n < 0 ? 0 : c.deadline, false) : 0;
	if (n < 0)
		return n;
	if (status < 0)
		return vn_fail(err, VN_EAUTH, "%s did not finish within %u seconds and was stopped", program, seconds);
	*ret_status = status;
	return 0;
}
