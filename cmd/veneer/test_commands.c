/* The tables themselves: names, letters, widths. */
#include "cmd.h"
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
		CHECK((*cmd)->size >= sizeof(struct cmd_common));
		CHECK((*cmd)->run && (*cmd)->args && (*cmd)->summary && (*cmd)->about);
		for (const struct opt *const *group = (*cmd)->groups; *group; group++)
			for (const struct opt *opt = *group; opt->name; opt++)
				check_option(*cmd, opt);
	}
}

static void test_options(void)
{
	check_table(cmd_all);
}

static void show_all(struct out *out, const struct vn_cmd *const *cmd)
{
	for (; *cmd; cmd++) {
		usage_command(out, *cmd);
		if ((*cmd)->subs)
			show_all(out, (*cmd)->subs);
	}
}

static void check_width(const char *text)
{
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		CHECK(strcspn(line, "\n") <= 79);
}

static void test_help_fits(void)
{
	char *text = NULL;
	size_t len;
	struct out out = { .file = open_memstream(&text, &len) };

	usage_overview(&out);
	show_all(&out, cmd_all);
	fclose(out.file);
	check_width(text);
	CHECK(!strchr(text, '\t'));
	CHECK(!strstr(text, " \n"));
	free(text);
}

static void test_find(void)
{
	struct vn_err err = { 0 };

	CHECK(cmd_find(NULL, "diff", &err) == &cmd_diff);
	CHECK(!cmd_find(NULL, "rebsae", &err));
	CHECK_HAS(err.hint, "`veneer rebase`");
	CHECK(!cmd_find(NULL, "", &err));
	CHECK_STR(cmd_find(&cmd_delta, "make", &err)->name, "delta make");
	CHECK(!cmd_find(&cmd_delta, "aply", &err));
	CHECK_HAS(err.text, "\"delta aply\"");
	CHECK_HAS(err.hint, "`veneer delta apply`");
	CHECK(!cmd_find(NULL, "make", &err));
}

static void test_class_names(void)
{
	for (int c = 0; c < VN_CLASSES; c++)
		CHECK_STR(cmd_class_names[c], vn_class_name((enum vn_class)c));
	CHECK(!cmd_class_names[VN_CLASSES]);
}

int main(void)
{
	RUN(test_options);
	RUN(test_help_fits);
	RUN(test_find);
	RUN(test_class_names);
	return vn_test_end();
}
