#include "util/child.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define USUAL_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define LOOK_NS 10000000             /* between looks whether it has ended */

uint64_t vn_monotonic_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int vn_child_find(const char *name, char **ret_path, struct vn_err *err)
{
	const char *dir = getenv("PATH");
	if (strchr(name, '/'))
		return vn_strdup(name, ret_path, err);
	for (dir = dir && *dir ? dir : USUAL_PATH; *dir; dir += strspn(dir, ":")) {
		size_t len = strcspn(dir, ":");
		VN_AUTO_FREE char *path = NULL;
		if (vn_asprintf(&path, err, "%.*s/%s", (int)len, dir, name) < 0)
			return -(int)err->code;
		if (*path == '/' && access(path, X_OK) == 0) {
			*ret_path = vn_steal(path);
			return 0;
		}
		dir += len;
	}
	return vn_fail(err, VN_ENOTFOUND, "the program %s is not in PATH", name);
}

static int set_files(posix_spawn_file_actions_t *files, const struct vn_child_start *c)
{
	const int from[] = { c->in, c->out, c->errors };
	int bad = 0;
	for (int i = 0; i < 3 && !bad; i++)
		bad = from[i] < 0 ? posix_spawn_file_actions_addopen(files, i, "/dev/null", i ? O_WRONLY : O_RDONLY, 0)
				  : posix_spawn_file_actions_adddup2(files, from[i], i);
	return bad;
}

static int set_attributes(posix_spawnattr_t *attr, bool group)
{
	const short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, usual;
	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	sigaddset(&usual, SIGCHLD);
	int bad = posix_spawnattr_setsigmask(attr, &none);
	bad = bad ? bad : posix_spawnattr_setsigdefault(attr, &usual);
	bad = bad || !group ? bad : posix_spawnattr_setpgroup(attr, 0);
	return bad ? bad : posix_spawnattr_setflags(attr, (short)(group ? flags | POSIX_SPAWN_SETPGROUP : flags));
}

int vn_child_start(const struct vn_child_start *c, pid_t *ret, struct vn_err *err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	if (posix_spawn_file_actions_init(&files))
		return vn_nomem(err);
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return vn_nomem(err);
	}
	int bad = set_files(&files, c);
	bad = bad ? bad : set_attributes(&attr, c->group);
	bad = bad ? bad : posix_spawn(ret, c->program, &files, &attr, c->argv, c->env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (!bad)
		return 0;
	errno = bad;
	return vn_fail_sys(err, VN_EIO, "cannot run %s", c->program);
}

bool vn_child_ended(pid_t pid)
{
	siginfo_t info = { 0 };
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

int vn_child_wait(pid_t pid, uint64_t deadline, bool group)
{
	static const struct timespec moment = { 0, LOOK_NS };
	int status = 0;
	for (; vn_monotonic_ms() < deadline; nanosleep(&moment, NULL)) {
		pid_t got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return status;
		if (got < 0 && errno != EINTR)
			return -1;
	}
	if (group)
		kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return -1;
}

int vn_child_exit(pid_t pid, uint64_t deadline, bool group)
{
	int status = vn_child_wait(pid, deadline, group);
	if (status < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
