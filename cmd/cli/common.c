#include "cli/cli.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MOST_COMMANDS 32   /* behind one word */

static const char *const formats[] = { "text", "json", NULL };

#define AT(field) offsetof(struct cli_common, field)
const struct opt cmd_general_options[] = {
	{ "format", 0, OPT_CHOICE, AT(format), "FORMAT", "what stdout gets", formats },
	{ "quiet", 'q', OPT_FLAG, AT(quiet), NULL, "errors only, and of the result no more than a name", NULL },
	{ "verbose", 'v', OPT_FLAG, AT(verbose), NULL, "tell requests, retries and cache hits on stderr", NULL },
	{ "help", 'h', OPT_FLAG, AT(help), NULL, "show this text", NULL },
	{ 0 },
};

const char *cmd_word(const struct vn_cmd *cmd)
{
	const char *space = strrchr(cmd->name, ' ');

	return space ? space + 1 : cmd->name;
}

const struct vn_cmd *cmd_find(const struct cli_program *program, const struct vn_cmd *parent, const char *word, struct vn_err *err)
{
	OUT_CLEANUP(text_release) struct text safe = { 0 }, help = { 0 };
	const struct vn_cmd *const *table = parent ? parent->subs : program->commands;
	const char *words[MOST_COMMANDS] = { NULL }, *nearest, *name = parent ? parent->name : "", *space = parent ? " " : "";
	size_t n = 0;

	for (; n < MOST_COMMANDS && table[n]; n++) {
		if (!strcmp(cmd_word(table[n]), word))
			return table[n];
		words[n] = cmd_word(table[n]);
	}
	nearest = opt_nearest(word, words, n);
	text_escape(&safe, word);
	text_addf(&help, "`%s help%s%s` lists the commands.", program->name, space, name);
	opt_fail(err, VN_EUSAGE, text_get(&help), "there is no command \"%s%s%s\"", name, space, text_get(&safe));
	if (nearest)
		snprintf(err->hint, sizeof(err->hint), "Did you mean `%s %s%s%s`?  %s", program->name, name, space, nearest,
			 text_get(&help));
	return NULL;
}

void cmd_free(void *pointer)
{
	free(*(void **)pointer);
}

void cmd_put_line(struct out *out, const char *text)
{
	out_escaped(out, text);
	out_put(out, "\n");
}

int cmd_put_json(struct out *out, const char *json)
{
	size_t len = strlen(json);

	out_put(out, json);
	if (!len || json[len - 1] != '\n')
		out_put(out, "\n");
	return 0;
}
