/* What the table of every program must hold: names, letters, offsets, and help that fits. */
#ifndef CLI_TEST_TABLES_H
#define CLI_TEST_TABLES_H
#include "cli/cli.h"
#include "util/test.h"
#include <stdlib.h>

static void check_option(const struct vn_cmd *cmd, const struct opt *opt)
{
	size_t same_name = 0, same_letter = 0;
	bool valued = opt->kind != OPT_FLAG;

	for (const struct opt *const *group = cmd->groups; *group; group++)
		for (const struct opt *other = *group; other->name; other++) {
			same_name += !strcmp(other->name, opt->name);
			same_letter += opt->letter && other->letter == opt->letter;
		}
	CHECK_EQ(same_name, 1);
	CHECK(same_letter <= 1);
	CHECK(opt->help && *opt->help);
	CHECK_EQ(valued, opt->arg != NULL);
	CHECK_EQ(opt->kind == OPT_CHOICE || opt->kind == OPT_MAYBE || opt->kind == OPT_SET, opt->values != NULL);
	CHECK(opt->offset < cmd->size);
	CHECK(strlen(opt->name) <= 30);
}

static void check_table(const struct vn_cmd *const *cmd)
{
	for (; *cmd; cmd++) {
		if ((*cmd)->subs)
			check_table((*cmd)->subs);
		CHECK((*cmd)->size >= sizeof(struct cli_common));
		CHECK((*cmd)->run && (*cmd)->args && (*cmd)->summary && (*cmd)->about);
		for (const struct opt *const *group = (*cmd)->groups; *group; group++)
			for (const struct opt *opt = *group; opt->name; opt++)
				check_option(*cmd, opt);
	}
}

static void show_all(struct out *out, const struct cli_program *program, const struct vn_cmd *const *cmd)
{
	for (; *cmd; cmd++) {
		usage_command(out, program, *cmd);
		if ((*cmd)->subs)
			show_all(out, program, (*cmd)->subs);
	}
}

static void check_help(const struct cli_program *program)
{
	char *text = NULL;
	size_t len;
	struct out out = { .file = open_memstream(&text, &len) };

	usage_overview(&out, program);
	show_all(&out, program, program->commands);
	fclose(out.file);
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		CHECK(strcspn(line, "\n") <= 79);
	CHECK(!strchr(text, '\t'));
	CHECK(!strstr(text, " \n"));
	CHECK(!strstr(text, "@PROGRAM@") && !strstr(text, "@ID@"));
	free(text);
}
#endif
