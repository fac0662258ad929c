/* Commands that the configuration names: hooks, the check before a release runs, the health check behind it. */
#include "pull/pull.h"
#include "util/child.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define WORDS 80

struct words {
	char *list[WORDS];
	size_t n;
};

static void words_release(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->list[i]);
}

/* {image} may stand in an argument, as often as one likes. */
static int add_word(struct words *w, const char *text, const char *image, struct vn_err *err)
{
	VN_AUTO(vn_buf) word = VN_BUF(1u << 20);
	int r = 0;
	if (w->n + 1 >= WORDS)
		return vn_fail(err, VN_EUSAGE, "the command has more than %d words", WORDS - 1);
	for (const char *mark; r == 0 && (mark = strstr(text, "{image}")); text = mark + strlen("{image}"))
		r = vn_buf_addf(&word, err, "%.*s%s", (int)(mark - text), text, image);
	if (r == 0)
		r = vn_buf_addf(&word, err, "%s", text);
	if (r == 0)
		r = vn_strdup(vn_buf_text(&word), &w->list[w->n], err);
	w->n += r == 0;
	return r;
}

static int add_var(struct words *w, const char *name, const char *value, struct vn_err *err)
{
	if (w->n + 1 >= WORDS)
		return vn_fail(err, VN_EUSAGE, "the environment of a command is full");
	int r = vn_asprintf(&w->list[w->n], err, "%s=%s", name, value ? value : "");
	w->n += r == 0;
	return r;
}

static int make_environment(struct vn_pull *p, const struct vn_pull_env *env, struct words *w, struct vn_err *err)
{
	static const char *const passed[] = { "PATH=", "HOME=", "LANG=", "LC_ALL=", "TZ=", "DOCKER_HOST=", "XDG_RUNTIME_DIR=" };
	int r = 0;
	for (char **e = environ; r == 0 && e && *e; e++)
		for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
			if (r == 0 && !strncmp(*e, passed[i], strlen(passed[i])) && w->n + 1 < WORDS) {
				r = vn_strdup(*e, &w->list[w->n], err);
				w->n += r == 0;
			}
	if (r == 0)
		r = add_var(w, "VENEER_EVENT", env->event, err);
	if (r == 0)
		r = add_var(w, "VENEER_REFERENCE", p->public_name, err);
	if (r == 0)
		r = add_var(w, "VENEER_IMAGE", env->image, err);
	if (r == 0)
		r = add_var(w, "VENEER_DIGEST", env->digest ? env->digest->text : "", err);
	if (r == 0)
		r = add_var(w, "VENEER_PREVIOUS", env->previous ? env->previous->text : "", err);
	if (r == 0)
		r = add_var(w, "VENEER_LABEL", env->label, err);
	return r < 0 ? r : add_var(w, "VENEER_STATUS", p->config.status_file, err);
}

/* What it prints goes where this program's messages go. */
static void become(char *const *argv, char *const *envp, int failed)
{
	int null = open("/dev/null", O_RDONLY);
	setpgid(0, 0);
	/* the run after a kill starts another one */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* what this program ignores is its own affair */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	umask(077);
	if (null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0 || chdir("/") < 0)
		_exit(126);
	execve(argv[0], argv, envp);
	int why = errno;
	if (write(failed, &why, sizeof(why)) < 0)
		_exit(126);
	_exit(127);
}

static int start(char *const *argv, char *const *envp, pid_t *ret, struct vn_err *err)
{
	int pipes[2], why = 0;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot start %s", argv[0]);
	pid_t pid = fork();
	if (pid == 0)
		become(argv, envp, pipes[1]);
	close(pipes[1]);
	ssize_t n = pid < 0 ? -1 : read(pipes[0], &why, sizeof(why));
	close(pipes[0]);
	if (pid < 0)
		return vn_fail_sys(err, VN_EIO, "cannot start %s", argv[0]);
	if (n == (ssize_t)sizeof(why)) {
		vn_child_wait(pid, UINT64_MAX, false);
		errno = why;
		return vn_fail_sys(err, VN_EIO, "cannot run %s", argv[0]);
	}
	*ret = pid;
	return 0;
}

int vn_pull_run(struct vn_pull *p, const struct vn_pull_command *command, const struct vn_pull_env *env, struct vn_err *err)
{
	VN_AUTO(words) argv = { .n = 0 };
	VN_AUTO(words) envp = { .n = 0 };
	pid_t pid = 0;
	int r = make_environment(p, env, &envp, err);
	for (size_t i = 0; r == 0 && command->argv[i]; i++)
		r = add_word(&argv, command->argv[i], env->image, err);
	argv.list[argv.n] = envp.list[envp.n] = NULL;
	if (r == 0)
		r = start(argv.list, envp.list, &pid, err);
	if (r < 0)
		return r;
	int status = vn_child_wait(pid, vn_monotonic_ms() + (uint64_t)command->timeout * 1000, true);
	if (status == -1)
		return vn_fail(err, VN_EREFUSED, "%s was not done after %lld seconds", argv.list[0], (long long)command->timeout);
	if (WIFSIGNALED(status))
		return vn_fail(err, VN_EREFUSED, "%s was ended by the signal %d", argv.list[0], WTERMSIG(status));
	if (WEXITSTATUS(status))
		return vn_fail(err, VN_EREFUSED, "%s ended with status %d", argv.list[0], WEXITSTATUS(status));
	return 0;
}

static int run_command(struct vn_pull *p, const struct vn_pull_command *command, const char *event, const struct vn_release *r,
		       const char *name, struct vn_err *err)
{
	VN_AUTO_FREE char *handle = NULL;
	int rc = p->engine->ops->handle(p->engine, name, &handle, err);
	if (rc < 0)
		return rc;
	const struct vn_pull_env env = { event, handle, r->label, &r->manifest, &p->journal.active };
	return vn_pull_run(p, command, &env, err);
}

#define MOST_STARTS 3
int vn_pull_run_counted(struct vn_pull *p, const struct vn_pull_command *command, const char *event, const struct vn_release *r,
			const char *name, unsigned *starts, char boot[VN_BOOT_TEXT], struct vn_err *err)
{
	char now[VN_BOOT_TEXT];
	struct vn_err ignored = { 0 };
	vn_boot_id(now);
	unsigned before = *starts;
	bool again = before && *now && !strcmp(now, boot);
	if (before >= MOST_STARTS && !again) {
		*starts = 0;
		return vn_fail(err, VN_EREFUSED,
			       "the %s command was started %u times, and each time this device went down before it had ended",
			       event, before);
	}
	*starts = before + !again;
	memcpy(boot, now, sizeof(now));
	/* a full disk keeps nobody from asking */
	vn_pull_save(p, &ignored);
	int rc = run_command(p, command, event, r, name, err);
	*starts = 0;
	return rc;
}
