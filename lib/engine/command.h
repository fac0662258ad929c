/* Engines that are spoken to through a command: it runs without a shell, from an argument vector, in a process group of its own that
 * is killed when the time is up. */
#ifndef VN_ENGINE_COMMAND_H
#define VN_ENGINE_COMMAND_H
#include "stream/in.h"
#include <stdbool.h>

#define VN_COMMAND_WORDS 64
struct vn_command {
	const char *argv[VN_COMMAND_WORDS];  /* argv[0]: a name in PATH, or a path */
	size_t argc;
	int in;                      /* its stdin; 0: nothing */
	int out;                     /* its stdout; 0: the caller's buffer */
	const char *tmpdir;          /* TMPDIR for it; NULL: as it is */
	unsigned seconds;            /* 0: 30 minutes: engines are silent while they pack or unpack a large image */
	int status;                  /* result: its exit status, 128 when a signal ended it */
	char said[400];              /* result: the last line of its stderr */
};
/* Appends words, up to a NULL. Too many are found by vn_command_run. */
void vn_command_add(struct vn_command *c, ...) __attribute__((sentinel));
/* VN_EIO: the program is not there (status 0), or its exit status is not 0, and then with its last line; VN_ENETWORK: the time is up.
 * `ret` (may be NULL) takes its stdout. */
int vn_command_run(struct vn_command *c, struct vn_buf *ret, struct vn_err *err);
/* Its stdout as it comes; the end of it tells what vn_command_run would, or VN_ENETWORK when a signal ended it. `out` is not used. Closed
 * earlier, the program is stopped. */
int vn_command_in(const struct vn_command *c, struct vn_in **ret, struct vn_err *err);
#endif
