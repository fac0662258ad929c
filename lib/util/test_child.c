#include "util/child.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/test.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

static pid_t shell(const char *script, int out, bool group)
{
	char *const argv[] = { (char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)script, NULL };
	const struct vn_child_start c = { .program = "/bin/sh", .argv = argv, .env = environ, .in = -1, .out = out, .errors = -1,
					  .group = group };
	struct vn_err err = { 0 };
	pid_t pid = -1;
	CHECK_OK(vn_child_start(&c, &pid, &err), &err);
	return pid;
}

static void test_find(void)
{
	VN_AUTO_FREE char *path = NULL, *same = NULL, *usual = NULL;
	struct vn_err err = { 0 };
	const char *kept = getenv("PATH");
	VN_AUTO_FREE char *path_was = strdup(kept ? kept : "");
	setenv("PATH", ":.:bin::/nonexistent:/bin:", 1);
	CHECK_OK(vn_child_find("sh", &path, &err), &err);
	CHECK_STR(path, "/bin/sh");
	CHECK_OK(vn_child_find("./sh", &same, &err), &err);
	CHECK_STR(same, "./sh");
	CHECK_EQ(vn_child_find("no-such-program", &usual, &err), -VN_ENOTFOUND);
	CHECK_STR(err.text, "the program no-such-program is not in PATH");
	setenv("PATH", "", 1);
	CHECK_OK(vn_child_find("sh", &usual, &err), &err);
	CHECK_HAS(usual, "/bin/sh");
	setenv("PATH", path_was, 1);
}

static void test_ends(void)
{
	int status = vn_child_wait(shell("exit 7", -1, false), UINT64_MAX, false);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 7);
	status = vn_child_wait(shell("kill -TERM $$", -1, true), UINT64_MAX, true);
	CHECK(WIFSIGNALED(status));
	pid_t pid = shell("exit 3", -1, false);
	while (!vn_child_ended(pid))
		;
	CHECK(vn_child_ended(pid));
	CHECK_EQ(WEXITSTATUS(vn_child_wait(pid, UINT64_MAX, false)), 3);
	CHECK(!vn_child_ended(pid));
}

static void test_cannot_start(void)
{
	char *const argv[] = { (char *)(uintptr_t)"x", NULL };
	const struct vn_child_start c = { .program = "/nonexistent/x", .argv = argv, .env = environ, .in = -1, .out = -1, .errors = -1 };
	struct vn_err err = { 0 };
	pid_t pid;
	/* posix_spawn may also say it by the child's status 127, as it does under valgrind */
	if (vn_child_start(&c, &pid, &err) == 0) {
		int status = vn_child_wait(pid, UINT64_MAX, false);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 127);
		return;
	}
	CHECK_EQ(err.code, VN_EIO);
	CHECK_HAS(err.text, "cannot run /nonexistent/x");
}

/* What it left running holds the pipe open until that is gone as well. */
static void test_time_is_up(void)
{
	int fd[2];
	char byte;
	CHECK_EQ(pipe2(fd, O_CLOEXEC), 0);
	pid_t pid = shell("sleep 1000 & echo; wait", fd[1], true);
	close(fd[1]);
	CHECK_EQ(read(fd[0], &byte, 1), 1);
	CHECK_EQ(vn_child_wait(pid, vn_monotonic_ms() + 20, true), -1);
	CHECK_EQ(read(fd[0], &byte, 1), 0);
	close(fd[0]);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), -1);
	CHECK_EQ(errno, ECHILD);
}

/* This process ignores the signal and blocks others; what it starts does neither. */
static void test_signals(void)
{
	sigset_t all, before;
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	int status = vn_child_wait(shell("kill -PIPE $$; exit 0", -1, false), UINT64_MAX, false);
	CHECK(status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
}

int main(void)
{
	RUN(test_find);
	RUN(test_ends);
	RUN(test_cannot_start);
	RUN(test_time_is_up);
	RUN(test_signals);
	return vn_test_end();
}
