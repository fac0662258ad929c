/* The table of commands. */
#include "cmd.h"
#include <stdio.h>
#include <string.h>

const struct vn_cmd *const cmd_all[] = {
	&cmd_diff, &cmd_rebase, &cmd_inspect, &cmd_copy, &cmd_login, &cmd_logout, &cmd_version, &cmd_completion, &cmd_help,
	NULL,
};

const struct vn_cmd *cmd_find(const char *name, struct vn_err *err)
{
	OUT_CLEANUP(text_release) struct text safe = { 0 };
	const char *names[sizeof(cmd_all) / sizeof(cmd_all[0])], *nearest;
	size_t n = 0;

	for (; cmd_all[n]; n++) {
		if (!strcmp(cmd_all[n]->name, name))
			return cmd_all[n];
		names[n] = cmd_all[n]->name;
	}
	nearest = opt_nearest(name, names, n);
	text_escape(&safe, name);
	opt_fail(err, VN_EUSAGE, "`veneer help` lists the commands.", "there is no command \"%s\"", text_get(&safe));
	if (nearest)
		snprintf(err->hint, sizeof(err->hint), "Did you mean `veneer %s`?  `veneer help` lists the commands.", nearest);
	return NULL;
}
