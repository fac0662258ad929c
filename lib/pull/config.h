/* veneer-pull.json(5): what the device follows, into which engine, when, and whom it believes. */
#ifndef VN_PULL_CONFIG_H
#define VN_PULL_CONFIG_H
#include "pull/calendar.h"
#include "util/arena.h"
#include "veneer/pull.h"

struct vn_pull_command {
	const char *const *argv;     /* NULL-terminated; NULL: none */
	int64_t timeout;             /* seconds */
};
struct vn_pull_hook {
	const char *event;           /* or "any" */
	struct vn_pull_command command;
};
#define VN_MAX_HOOKS 32
struct vn_pull_config {
	struct vn_arena arena;       /* of all texts */
	const char *reference, *engine, *endpoint, *state, *platform, *authfile, *cacert;    /* NULL = not set */
	const char *inhibit, *status_file, *metrics_file;
	bool plain_http, insecure, staged, local_zone;
	unsigned keep, first_day;
	int64_t every, splay;
	struct vn_windows windows;
	uint64_t month_budget, update_budget;        /* 0 = none */
	uint64_t memory, reserve;
	const char *const *keys;     /* PEM files */
	size_t nkeys;
	struct vn_pull_command check, health;
	struct vn_pull_hook hooks[VN_MAX_HOOKS];
	size_t nhooks;
};
/* Defaults, the file's fields, the options over them. VN_EUSAGE names file and field. */
int vn_pull_config_read(const struct vn_pull_options *options, struct vn_pull_config *ret, struct vn_err *err);
/* The same from memory; `name` is what messages call it. */
int vn_pull_config_parse(const void *bytes, size_t len, const char *name, struct vn_pull_config *config, struct vn_err *err);
void vn_pull_config_release(struct vn_pull_config *config);
#endif
