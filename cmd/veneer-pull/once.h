/* What once and import share: an update, asked for by a person. */
#ifndef CMD_ONCE_H
#define CMD_ONCE_H
#include "cmd.h"

struct once_options {
	struct cmd_common common;
	bool now, dry_run, allow_downgrade;
};
extern const struct opt once_own_options[];
struct vn_pull_once_options once_settings(const struct cmd_call *call);
#endif
