/* Other programs: started without a shell, with a time limit, and gone when it is up. */
#ifndef VN_UTIL_CHILD_H
#define VN_UTIL_CHILD_H
#include "util/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

uint64_t vn_monotonic_ms(void);

/* A name in PATH (absolute folders only), or a path as it is. VN_ENOTFOUND, so that "not installed" is told apart from every other
 * failure to start. */
int vn_child_find(const char *name, char **ret_path, struct vn_err *err);

struct vn_child_start {
	const char *program;         /* a path */
	char *const *argv, *const *env;
	int in, out, errors;         /* its descriptors 0, 1, 2; -1: /dev/null */
	bool group;                  /* in a process group of its own */
};
/* No signal is blocked in it, and SIGPIPE and SIGCHLD do what they usually do. */
int vn_child_start(const struct vn_child_start *c, pid_t *ret, struct vn_err *err);

/* It has ended, and nobody has asked for its status yet. */
bool vn_child_ended(pid_t pid);
/* Waits until it ends, or until `deadline` (vn_monotonic_ms; 0 = now), and then kills it or, with `group`, all that it started. Returns
 * its status as of waitpid(2), -1 when the time was up. */
int vn_child_wait(pid_t pid, uint64_t deadline, bool group);
/* The same as an exit status: 128 when a signal ended it, -1 when the time was up. */
int vn_child_exit(pid_t pid, uint64_t deadline, bool group);
#endif
