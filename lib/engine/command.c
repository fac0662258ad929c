#include "engine/command.h"
#include "util/child.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_SECONDS (30u * 60)
#define LOOK_MS 200                    /* between looks whether it has ended */

struct running {
	pid_t pid;
	int out, errors;             /* pipes that never block, -1 = at their end */
	uint64_t deadline;           /* monotonic milliseconds */
	struct vn_buf said;
};

void vn_command_add(struct vn_command *c, ...)
{
	const char *word;
	va_list ap;
	va_start(ap, c);
	while ((word = va_arg(ap, const char *))) {
		if (c->argc < VN_COMMAND_WORDS - 1)
			c->argv[c->argc] = word;
		c->argc++;
	}
	va_end(ap);
}

/* The environment with TMPDIR set. */
static char **environment(const char *tmpdir, char **ret_own, struct vn_err *err)
{
	size_t n = 0, kept = 0;
	while (environ[n])
		n++;
	char **env = calloc(n + 2, sizeof(*env));
	if (!env || vn_asprintf(ret_own, err, "TMPDIR=%s", tmpdir) < 0) {
		vn_nomem(err);
		free(env);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "TMPDIR=", 7))
			env[kept++] = environ[i];
	env[kept] = *ret_own;
	return env;
}

static int start(struct running *r, const char *program, struct vn_command *c, struct vn_err *err)
{
	VN_AUTO_FREE char *own = NULL;
	VN_AUTO_FREE char **env = NULL;
	int out[2], errors[2];
	if (c->tmpdir && !(env = environment(c->tmpdir, &own, err)))
		return -(int)err->code;
	if (pipe2(out, O_CLOEXEC) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot make a pipe");
	r->out = out[0];
	VN_AUTO_CLOSE int child_out = out[1];
	if (pipe2(errors, O_CLOEXEC) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot make a pipe");
	r->errors = errors[0];
	VN_AUTO_CLOSE int child_errors = errors[1];
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	fcntl(r->errors, F_SETFL, O_NONBLOCK);
	const struct vn_child_start child = {
		.program = program, .argv = (char *const *)(uintptr_t)c->argv, .env = env ? env : environ,
		.in = c->in ? c->in : -1, .out = c->out ? c->out : child_out, .errors = child_errors, .group = true,
	};
	return vn_child_start(&child, &r->pid, err);
}

/* Of what is said at length the end counts. */
static int keep_last(struct vn_buf *buf, const char *block, size_t n, struct vn_err *err)
{
	if (buf->len + n > buf->max) {
		size_t keep = buf->len < 4096 ? buf->len : 4096;
		memmove(buf->data, buf->data + buf->len - keep, keep);
		buf->len = keep;
	}
	return vn_buf_add(buf, block, n, err);
}

static int read_some(int *fd, struct vn_buf *to, bool last, struct vn_err *err)
{
	char block[16384];
	ssize_t n = read(*fd, block, sizeof(block));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		close(*fd);
		*fd = -1;
		return 0;
	}
	if (!to)
		return 0;
	return last ? keep_last(to, block, (size_t)n, err) : vn_buf_add(to, block, (size_t)n, err);
}

/* Reads until both pipes end, or the process has ended and they are empty (what it left running may keep them open), or the time
 * is up. */
static int listen_to(struct running *r, struct vn_buf *ret, bool *ret_late, struct vn_err *err)
{
	while (r->out >= 0 || r->errors >= 0) {
		struct pollfd p[2] = { { .fd = r->out, .events = POLLIN }, { .fd = r->errors, .events = POLLIN } };
		bool over = vn_child_ended(r->pid);
		int ready = poll(p, 2, over ? 0 : LOOK_MS);
		if (ready < 0 && errno != EINTR)
			return vn_fail_sys(err, VN_EIO, "poll");
		if (ready == 0 && over)
			return 0;
		if (vn_monotonic_ms() >= r->deadline) {
			*ret_late = true;
			return 0;
		}
		if (ready <= 0)
			continue;
		int rc = p[0].revents ? read_some(&r->out, ret, false, err) : 0;
		if (rc == 0 && p[1].revents)
			rc = read_some(&r->errors, &r->said, true, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The last line that says something. */
static void last_line(const struct vn_buf *said, char *out, size_t room)
{
	const char *text = vn_buf_text(said), *end = text + said->len;
	while (end > text && strchr(" \r\n\t", end[-1]))
		end--;
	const char *begin = end;
	while (begin > text && begin[-1] != '\n' && begin[-1] != '\r')
		begin--;
	snprintf(out, room, "%.*s", (int)(end - begin), begin);
}

static int find_program(struct vn_command *c, char **ret, struct vn_err *err)
{
	if (!c->argc || c->argc >= VN_COMMAND_WORDS)
		return vn_fail(err, VN_ELIMIT, "%s would have %zu arguments", c->argc ? c->argv[0] : "a command", c->argc);
	c->argv[c->argc] = NULL;
	int rc = vn_child_find(c->argv[0], ret, err);
	if (rc != -VN_ENOTFOUND)
		return rc;
	err->code = VN_EIO;
	return vn_hint(err, "install it, or choose another kind of engine");
}

static unsigned seconds_of(const struct vn_command *c)
{
	return c->seconds ? c->seconds : DEFAULT_SECONDS;
}

/* What vn_child_exit said, and what it wrote to stderr. */
static int judge(struct vn_command *c, int status, struct vn_buf *said, struct vn_err *err)
{
	last_line(said, c->said, sizeof(c->said));
	if (status < 0)
		return vn_fail(err, VN_ENETWORK, "%s did not finish within %u seconds and was stopped", c->argv[0], seconds_of(c));
	c->status = status;
	return status ? vn_fail(err, VN_EIO, "%s: %s", c->argv[0], *c->said ? c->said : "failed without a word") : 0;
}

int vn_command_run(struct vn_command *c, struct vn_buf *ret, struct vn_err *err)
{
	struct running r = { .out = -1, .errors = -1, .said = VN_BUF(VN_MAX_COMMAND_ERRORS) };
	VN_AUTO_FREE char *program = NULL;
	bool late = false;
	int rc = find_program(c, &program, err);
	r.deadline = vn_monotonic_ms() + (uint64_t)seconds_of(c) * 1000;
	if (rc == 0)
		rc = start(&r, program, c, err);
	bool started = rc == 0;
	if (started)
		rc = listen_to(&r, ret, &late, err);
	vn_close_p(&r.out);
	vn_close_p(&r.errors);
	int status = started ? vn_child_exit(r.pid, late || rc < 0 ? 0 : r.deadline, true) : 0;
	if (rc == 0)
		rc = judge(c, status, &r.said, err);
	vn_buf_release(&r.said);
	return rc;
}

/* ---- as a stream */
struct stream {
	struct vn_in in;
	struct vn_command command;
	char name[80];               /* argv[0], which outlives the caller's */
	struct running r;
	char block[64 << 10];
};

static void stream_close(struct vn_in *in)
{
	struct stream *s = (struct stream *)in;
	vn_close_p(&s->r.out);
	vn_close_p(&s->r.errors);
	if (s->r.pid)
		vn_child_exit(s->r.pid, 0, true);
	vn_buf_release(&s->r.said);
	free(s);
}

/* Waits for what comes: its length, 0 at the end or when the time is up. */
static ssize_t read_more(struct stream *s, struct vn_err *err)
{
	struct running *r = &s->r;
	while (r->out >= 0) {
		struct pollfd p[2] = { { .fd = r->out, .events = POLLIN }, { .fd = r->errors, .events = POLLIN } };
		bool over = vn_child_ended(r->pid);
		int ready = poll(p, 2, over ? 0 : LOOK_MS);
		if (ready < 0 && errno != EINTR)
			return vn_fail_sys(err, VN_EIO, "poll");
		if ((ready == 0 && over) || vn_monotonic_ms() >= r->deadline)
			return 0;
		int rc = ready > 0 && p[1].revents ? read_some(&r->errors, &r->said, true, err) : 0;
		if (rc < 0)
			return rc;
		ssize_t n = ready > 0 && p[0].revents ? read(r->out, s->block, sizeof(s->block)) : -1;
		if (n > 0)
			return n;
		if (n == 0) {
			close(r->out);
			r->out = -1;
		}
	}
	return 0;
}

static ssize_t stream_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct stream *s = (struct stream *)in;
	ssize_t n = s->r.pid ? read_more(s, err) : 0;
	*ret_block = s->block;
	if (n || !s->r.pid)
		return n;
	while (s->r.errors >= 0 && !vn_child_ended(s->r.pid) && vn_monotonic_ms() < s->r.deadline) {
		struct pollfd p = { .fd = s->r.errors, .events = POLLIN };
		if (poll(&p, 1, LOOK_MS) > 0)
			read_some(&s->r.errors, &s->r.said, true, err);
	}
	if (s->r.errors >= 0)
		read_some(&s->r.errors, &s->r.said, true, err);
	int status = vn_child_exit(s->r.pid, s->r.deadline, true);
	s->r.pid = 0;
	if (status == 128)
		return vn_fail(err, VN_ENETWORK, "%s was ended by a signal", s->name);
	return judge(&s->command, status, &s->r.said, err);
}

int vn_command_in(const struct vn_command *c, struct vn_in **ret, struct vn_err *err)
{
	static const struct vn_in_ops ops = { stream_next, stream_close };
	VN_AUTO_FREE char *program = NULL;
	struct stream *s = calloc(1, sizeof(*s));
	if (!s)
		return vn_nomem(err);
	s->in.ops = &ops;
	s->command = *c;
	s->command.out = 0;
	s->r = (struct running){ .out = -1, .errors = -1, .said = VN_BUF(VN_MAX_COMMAND_ERRORS) };
	int rc = find_program(&s->command, &program, err);
	s->r.deadline = vn_monotonic_ms() + (uint64_t)seconds_of(c) * 1000;
	if (rc == 0)
		rc = start(&s->r, program, &s->command, err);
	if (rc < 0) {
		stream_close(&s->in);
		return rc;
	}
	snprintf(s->name, sizeof(s->name), "%s", c->argv[0]);
	s->command.argv[0] = s->name;
	*ret = &s->in;
	return 0;
}
