#include "cmd.h"
#include <string.h>

#define WIDTH 79           /* columns of --help, whatever the terminal */
#define OPTION_AT 29       /* column that the texts of options begin in */

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

static void put_synopsis(struct out *out, const struct vn_cmd *cmd)
{
	if (cmd->subs) {
		out_printf(out, "usage: veneer %s COMMAND [OPTION]... ARGUMENT...\n\n", cmd->name);
		return;
	}
	out_printf(out, "usage: veneer %s [OPTION]...", cmd->name);
	for (const struct opt_positional *arg = cmd->args; arg->name; arg++)
		out_printf(out, arg->optional ? " [%s]" : " %s", arg->name);
	out_put(out, "\n\n");
}

static void put_commands(struct out *out, const struct vn_cmd *const *table)
{
	for (; *table; table++)
		out_printf(out, "  %-12s%s\n", cmd_word(*table), (*table)->summary);
}

void usage_command(struct out *out, const struct vn_cmd *cmd)
{
	put_synopsis(out, cmd);
	put_words(out, 0, 0, cmd->about);
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
	if (cmd->examples && cmd->examples->line)
		out_put(out, "\nexamples:\n");
	for (const struct cmd_example *example = cmd->examples; example && example->line; example++) {
		out_printf(out, "  %s\n", example->line);
		put_words(out, 0, 6, example->what);
	}
	out_printf(out, "\nveneer-%.*s(1) says more.\n", (int)strcspn(cmd->name, " "), cmd->name);
}

void usage_overview(struct out *out)
{
	out_put(out, "usage: veneer COMMAND [OPTION]... ARGUMENT...\n\n"
		     "Ships a new model to devices without shipping the container image again.\n\n");
	put_commands(out, cmd_all);
	out_put(out, "\n"
		     "An image is REGISTRY/REPOSITORY:TAG[@DIGEST], oci:DIR[:TAG], oci-archive:FILE,\n"
		     "docker-archive:FILE[:REF] or docker-daemon:REF.\n\n"
		     "exit status: 0 done, or the same; 1 differs, or refused; 2 usage; 3 failed;\n"
		     "4 integrity (do not retry); 5 may pass (retry)\n\n"
		     "`veneer help COMMAND` and veneer(1) say more.\n");
}
