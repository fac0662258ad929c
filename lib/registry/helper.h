/* Credential helpers: programs "docker-credential-NAME" (docker-credential-helpers, README "Development"). */
#ifndef VN_REGISTRY_HELPER_H
#define VN_REGISTRY_HELPER_H
#include "util/buf.h"
#include <stdbool.h>

/* Runs `docker-credential-NAME VERB` with `input` on its stdin and appends its stdout to `ret`, which it fills also on
 * failure. *ret_status: the exit status. VN_ENOTFOUND: no such program in PATH; VN_EAUTH: it was still running after
 * `seconds` and was killed; VN_EUSAGE: the name is not one. */
int vn_helper_run(const char *name, const char *verb, const char *input, unsigned seconds, struct vn_buf *ret, int *ret_status,
		  struct vn_err *err);
#endif
