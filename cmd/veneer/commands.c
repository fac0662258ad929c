/* The table of commands. */
#include "cmd.h"
#include <stdio.h>
#include <string.h>

#define MOST_COMMANDS 32   /* behind one word */

const struct vn_cmd *const cmd_all[] = {
	&cmd_diff, &cmd_rebase, &cmd_delta, &cmd_inspect, &cmd_copy, &cmd_sign, &cmd_verify, &cmd_login, &cmd_logout,
	&cmd_version, &cmd_completion, &cmd_help, NULL,
};

const char *cmd_word(const struct vn_cmd *cmd)
{
	const char *space = strrchr(cmd->name, ' ');

	return space ? space + 1 : cmd->name;
}

const struct vn_cmd *cmd_find(const struct vn_cmd *parent, const char *word, struct vn_err *err)
{
	OUT_CLEANUP(text_release) struct text safe = { 0 }, help = { 0 };
	const struct vn_cmd *const *table = parent ? parent->subs : cmd_all;
	const char *words[MOST_COMMANDS] = { NULL }, *nearest;
	size_t n = 0;

	for (; n < MOST_COMMANDS && table[n]; n++) {
		if (!strcmp(cmd_word(table[n]), word))
			return table[n];
		words[n] = cmd_word(table[n]);
	}
	nearest = opt_nearest(word, words, n);
	text_escape(&safe, word);
	text_addf(&help, "`veneer help%s%s` lists the commands.", parent ? " " : "", parent ? parent->name : "");
	opt_fail(err, VN_EUSAGE, text_get(&help), "there is no command \"%s%s%s\"", parent ? parent->name : "", parent ? " " : "",
		 text_get(&safe));
	if (nearest)
		snprintf(err->hint, sizeof(err->hint), "Did you mean `veneer %s%s%s`?  %s", parent ? parent->name : "",
			 parent ? " " : "", nearest, text_get(&help));
	return NULL;
}
