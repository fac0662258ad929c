#include "cli/test_tables.h"
#include "cmd.h"

static void test_options(void)
{
	check_table(cmd_program.commands);
}

static void test_help_fits(void)
{
	check_help(&cmd_program);
}

static void test_find(void)
{
	struct vn_err err = { 0 };

	CHECK(cmd_find(&cmd_program, NULL, "diff", &err) == &cmd_diff);
	CHECK(!cmd_find(&cmd_program, NULL, "rebsae", &err));
	CHECK_HAS(err.hint, "`veneer rebase`");
	CHECK(!cmd_find(&cmd_program, NULL, "", &err));
	CHECK_STR(cmd_find(&cmd_program, &cmd_delta, "make", &err)->name, "delta make");
	CHECK(!cmd_find(&cmd_program, &cmd_delta, "aply", &err));
	CHECK_HAS(err.text, "\"delta aply\"");
	CHECK_HAS(err.hint, "`veneer delta apply`");
	CHECK(!cmd_find(&cmd_program, NULL, "make", &err));
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
