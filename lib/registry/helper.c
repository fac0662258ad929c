#include "registry/helper.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

struct child {
	pid_t pid;
	int in, out;                 /* its stdin (a socket, so that a write to it raises no signal), its stdout */
	uint64_t deadline;           /* monotonic milliseconds */
};

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Looked up here, so that "not installed" is told apart from every other failure to start. */
static int find_program(const char *name, char **ret, struct vn_err *err)
{
	const char *dir = getenv("PATH");

	for (dir = dir ? dir : "/usr/local/bin:/usr/bin:/bin"; *dir; dir += strspn(dir, ":")) {
		size_t len = strcspn(dir, ":");
		VN_AUTO_FREE char *path = NULL;
		if (vn_asprintf(&path, err, "%.*s/docker-credential-%s", (int)len, dir, name) < 0)
			return -err->code;
		if (*path == '/' && access(path, X_OK) == 0) {
			*ret = vn_steal(path);
			return 0;
		}
		dir += len;
	}
	return vn_fail(err, VN_ENOTFOUND, "docker-credential-%s is not in PATH", name);
}

static int spawn(const char *program, const char *verb, int in, int out, pid_t *ret_pid, struct vn_err *err)
{
	char *const argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)verb, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, usual;
	int bad;

	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	if (posix_spawn_file_actions_init(&files))
		return vn_nomem(err);
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return vn_nomem(err);
	}
	bad = posix_spawn_file_actions_adddup2(&files, in, 0);
	bad = bad ? bad : posix_spawn_file_actions_adddup2(&files, out, 1);
	bad = bad ? bad : posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	bad = bad ? bad : posix_spawnattr_setsigmask(&attr, &none);
	bad = bad ? bad : posix_spawnattr_setsigdefault(&attr, &usual);
	bad = bad ? bad : posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	bad = bad ? bad : posix_spawn(ret_pid, program, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (bad) {
		errno = bad;
		return vn_fail_sys(err, VN_EIO, "cannot run %s", program);
	}
	return 0;
}

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
	return spawn(program, verb, child_in, child_out, &c->pid, err);
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
		uint64_t now = now_ms();
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

/* Its exit status, or -1 when it had to be killed. */
static int reap(struct child *c, bool kill_now)
{
	static const struct timespec moment = { 0, 10000000 };
	int status = 0;
	pid_t got;

	while (!kill_now && ((got = waitpid(c->pid, &status, WNOHANG)) == 0 || (got < 0 && errno == EINTR))) {
		if (now_ms() >= c->deadline)
			kill_now = true;
		else
			nanosleep(&moment, NULL);
	}
	if (kill_now) {
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
			;
		return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int vn_helper_run(const char *name, const char *verb, const char *input, unsigned seconds, struct vn_buf *ret, int *ret_status,
		  struct vn_err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	struct child c = { -1, -1, -1, now_ms() + (uint64_t)seconds * 1000 };
	VN_AUTO_FREE char *program = NULL;
	bool late = false;

	if (!*name || strlen(name) > 64 || strspn(name, allowed) != strlen(name))
		return vn_fail(err, VN_EUSAGE, "\"%.64s\" cannot be the name of a credential helper", name);
	if (find_program(name, &program, err) < 0)
		return -err->code;
	int n = start(&c, program, verb, err);
	bool running = n == 0;
	if (running)
		n = converse(&c, input, ret, &late, err);
	vn_close_p(&c.in);
	vn_close_p(&c.out);
	int status = running ? reap(&c, late || n < 0) : 0;
	if (n < 0)
		return n;
	if (status < 0)
		return vn_fail(err, VN_EAUTH, "%s did not finish within %u seconds and was stopped", program, seconds);
	*ret_status = status;
	return 0;
}
