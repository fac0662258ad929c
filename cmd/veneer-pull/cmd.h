/* What the commands of veneer-pull share. Programs know libveneer by include/veneer only. */
#ifndef CMD_CMD_H
#define CMD_CMD_H
#include "cli/cli.h"
#include "veneer/pull.h"

/* Every command that touches the device's state begins with these. */
struct cmd_common {
	struct cli_common cli;
	const char *config, *endpoint, *state, *platform, *authfile, *cacert;
	unsigned engine;         /* 1 + the place in cmd_engines */
	bool plain_http, insecure;
};
extern const char *const cmd_engines[];
/* Where the state is and which engine it belongs to; what is asked over the network. Every command takes both, so that one set of
 * options serves them all. */
extern const struct opt cmd_device_options[], cmd_registry_options[];

extern const struct vn_cmd cmd_once, cmd_watch, cmd_status, cmd_history, cmd_rollback, cmd_pin, cmd_gc, cmd_wake, cmd_verify, cmd_import,
	cmd_help;
extern const struct cli_program cmd_program;

/* `reference` may be NULL. */
int cmd_open(const struct cmd_call *call, const char *reference, struct vn_pull **ret, struct vn_err *err);
void cmd_close(struct vn_pull **pull);
#define CMD_AUTO_PULL OUT_CLEANUP(cmd_close) struct vn_pull *

/* What the last call did. Returns the exit status. */
int cmd_put_report(const struct cmd_call *call, const struct vn_pull *pull, struct vn_err *err);

/* Whether the reason says more than the sentence. */
bool cmd_adds_why(const struct vn_pull_report *report);

/* "2026-11-20 02:14 UTC" */
#define CMD_TIME_TEXT 32
const char *cmd_time_text(int64_t time, char out[CMD_TIME_TEXT]);
/* The same as RFC 3339 has it. */
const char *cmd_time_rfc3339(int64_t time, char out[CMD_TIME_TEXT]);
/* What people call a release: its label, or the beginning of its digest. */
void cmd_add_release(struct text *text, const char *label, const char *digest);

/* Tells systemd (sd_notify(3)) when $NOTIFY_SOCKET names a socket: "READY=1". Nobody listening is no failure. */
void cmd_notify(const char *state);
#endif
