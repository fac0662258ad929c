#include "cli/cli.h"
#include <string.h>

#define WIDTH 79           /* columns of --help, whatever the terminal */
#define OPTION_AT 29       /* column that the texts of options begin in */

void cli_insert_name(struct text *text, const struct cli_program *program, const char *with)
{
	size_t len;

	for (; *with; with += len) {
		if (!strncmp(with, "@PROGRAM@", len = 9)) {
			text_add(text, program->name);
		} else if (!strncmp(with, "@ID@", len = 4)) {
			text_add(text, "_");
			for (const char *at = program->name; *at; at++)
				text_add(text, *at == '-' ? "_" : (char[]){ *at, '\0' });
		} else {
			len = *with == '@' ? 1 : strcspn(with, "@");
			text_add_bytes(text, with, len);
		}
	}
}

/* `text` in words from column `at`, the first line already filled up to `filled`. */
static void put_words(struct out *out, size_t filled, size_t at, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, " \n"), skip = strspn(text + len, " ");

		if (filled > at && filled + 1 + len > WIDTH) {
			out_put(out, "\n");
			filled = 0;
		}
		if (filled > at)
			filled += (size_t)fprintf(out->file, " ");
		while (filled < at)
			filled += (size_t)fprintf(out->file, " ");
		fwrite(text, 1, len, out->file);
		filled += len;
		text += len + skip;
		if (*text == '\n') {
			out_put(out, "\n");
			filled = 0;
			text++;
			if (*text == '\n')
				continue;
		}
	}
	out_put(out, "\n");
}

static void put_option(struct out *out, const struct opt *opt)
{
	OUT_CLEANUP(text_release) struct text left = { 0 }, right = { 0 };
	bool optional = opt_optional(opt);

	if (opt->letter)
		text_addf(&left, "  -%c, ", opt->letter);
	else
		text_add(&left, "      ");
	text_addf(&left, "--%s", opt->name);
	if (opt->arg)
		text_addf(&left, "%s=%s%s", optional ? "[" : "", opt->arg, optional ? "]" : "");
	text_add(&right, opt->help);
	for (size_t i = 0; opt->values && opt->values[i]; i++)
		text_addf(&right, "%s %s", i ? "," : ":", opt->values[i]);
	out_put(out, text_get(&left));
	if (left.len + 2 > OPTION_AT) {
		out_put(out, "\n");
		left.len = 0;
	}
	put_words(out, left.len, OPTION_AT, text_get(&right));
}

static void put_synopsis(struct out *out, const struct cli_program *program, const struct vn_cmd *cmd)
{
	if (cmd->subs) {
		out_printf(out, "usage: %s %s COMMAND [OPTION]... ARGUMENT...\n\n", program->name, cmd->name);
		return;
	}
	out_printf(out, "usage: %s %s [OPTION]...", program->name, cmd->name);
	for (const struct opt_positional *arg = cmd->args; arg->name; arg++)
		out_printf(out, arg->optional ? " [%s]" : " %s", arg->name);
	out_put(out, "\n\n");
}

static void put_commands(struct out *out, const struct vn_cmd *const *table)
{
	for (; *table; table++)
		out_printf(out, "  %-12s%s\n", cmd_word(*table), (*table)->summary);
}

static void put_examples(struct out *out, const struct cli_program *program, const struct cmd_example *example)
{
	if (example && example->line)
		out_put(out, "\nexamples:\n");
	for (; example && example->line; example++) {
		OUT_CLEANUP(text_release) struct text line = { 0 };

		cli_insert_name(&line, program, example->line);
		out->failed |= line.failed;
		out_printf(out, "  %s\n", text_get(&line));
		put_words(out, 0, 6, example->what);
	}
}

void usage_command(struct out *out, const struct cli_program *program, const struct vn_cmd *cmd)
{
	OUT_CLEANUP(text_release) struct text about = { 0 };

	put_synopsis(out, program, cmd);
	cli_insert_name(&about, program, cmd->about);
	out->failed |= about.failed;
	put_words(out, 0, 0, text_get(&about));
	if (cmd->args[0].name)
		out_put(out, "\n");
	for (const struct opt_positional *arg = cmd->args; arg->name && !cmd->subs; arg++) {
		out_printf(out, "  %-9s ", arg->name);
		put_words(out, strlen(arg->name) > 9 ? 3 + strlen(arg->name) : 12, 12, arg->help);
	}
	if (cmd->subs)
		put_commands(out, cmd->subs);
	out_put(out, "\noptions:\n");
	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *opt = *group; opt->name; opt++)
			put_option(out, opt);
	put_examples(out, program, cmd->examples);
	if (program->page)
		out_printf(out, "\n%s says more.\n", program->page);
	else
		out_printf(out, "\n%s-%.*s(1) says more.\n", program->name, (int)strcspn(cmd->name, " "), cmd->name);
}

void usage_overview(struct out *out, const struct cli_program *program)
{
	out_printf(out, "usage: %s %s\n\n%s\n\n", program->name, program->arguments, program->about);
	put_commands(out, program->commands);
	out_printf(out, "\n%s", program->notes);
}
