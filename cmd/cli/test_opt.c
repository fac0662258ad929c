#include "cli/opt.h"
#include "util/test.h"
#include <stddef.h>

struct options {
	bool flag, other, not;
	const char *text;
	unsigned count, choice, maybe, set;
	uint64_t size;
	struct opt_list list;
};
#define AT(field) offsetof(struct options, field)
static const char *const words[] = { "red", "green", "blue", NULL };
static const struct opt table[] = {
	{ "flag", 'f', OPT_FLAG, AT(flag), NULL, "", NULL },     { "other", 'o', OPT_FLAG, AT(other), NULL, "", NULL },
	{ "text", 't', OPT_TEXT, AT(text), "TEXT", "", NULL },   { "count", 0, OPT_COUNT, AT(count), "N", "", NULL },
	{ "verify", 0, OPT_NOT, AT(not), "BOOL", "", NULL },     { "choice", 0, OPT_CHOICE, AT(choice), "C", "", words },
	{ "set", 0, OPT_SET, AT(set), "C,...", "", words },      { "size", 0, OPT_SIZE, AT(size), "SIZE", "", NULL },
	{ "list", 0, OPT_LIST, AT(list), "X", "", NULL },        { "maybe", 0, OPT_MAYBE, AT(maybe), "C", "", words },
	{ 0 },
};
static const struct opt *const groups[] = { table, NULL };
static const struct opt_positional positional[] = {
	{ "A", "", false, NULL }, { "B", "", false, NULL }, { "C", "", true, NULL }, { 0 },
};

static struct options got;
static const char *args[OPT_MOST_ARGS];
static size_t nargs;
static struct vn_err err;

static int parse(int argc, const char *const *argv)
{
	memset(&got, 0, sizeof(got));
	memset(&err, 0, sizeof(err));
	return opt_parse("veneer", "test", groups, positional, argc, (char *const *)(uintptr_t)argv, &got, args, &nargs, &err);
}
#define PARSE(...) parse((int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), (const char *const[]){ __VA_ARGS__ })

static void test_forms(void)
{
	CHECK_EQ(PARSE("a", "--flag", "--text=x", "b"), 0);
	CHECK(got.flag && !got.other);
	CHECK_STR(got.text, "x");
	CHECK_EQ(nargs, 2);
	CHECK_STR(args[1], "b");
	CHECK_EQ(PARSE("--text", "--flag", "a", "b"), 0);
	CHECK_STR(got.text, "--flag");
	CHECK(!got.flag);
	CHECK_EQ(PARSE("-fo", "-tx", "a", "-", "c"), 0);
	CHECK(got.flag && got.other);
	CHECK_STR(got.text, "x");
	CHECK_STR(args[1], "-");
	CHECK_EQ(nargs, 3);
	CHECK_EQ(PARSE("-ft", "y", "a", "b"), 0);
	CHECK_STR(got.text, "y");
	CHECK_EQ(PARSE("--maybe", "green", "b"), 0);
	CHECK_EQ(got.maybe, 1);
	CHECK_STR(args[0], "green");
	CHECK_EQ(PARSE("--maybe=green", "a", "b"), 0);
	CHECK_EQ(got.maybe, 2);
	CHECK(PARSE("--maybe=grey", "a", "b") < 0);
	CHECK_HAS(err.text, "red, green or blue");
	CHECK_EQ(PARSE("a", "--", "--flag"), 0);
	CHECK_STR(args[1], "--flag");
	CHECK(!got.flag);
}

static void test_values(void)
{
	CHECK_EQ(PARSE("a", "b", "--choice=green", "--set", "blue,red", "--count=7", "--size=64"), 0);
	CHECK_EQ(got.choice, 2);
	CHECK_EQ(got.set, 5);
	CHECK_EQ(got.count, 7);
	CHECK_EQ(got.size, 64);
	CHECK_EQ(PARSE("a", "b", "--verify"), 0);
	CHECK(!got.not);
	CHECK_EQ(PARSE("a", "b", "--verify=false"), 0);
	CHECK(got.not);
	CHECK_EQ(PARSE("a", "b", "--list=1", "--list", "2"), 0);
	CHECK_EQ(got.list.n, 2);
	CHECK_STR(got.list.at[1], "2");
	CHECK(!got.list.at[2]);
	CHECK_EQ(PARSE("a", "b", "--set=red", "--set=green"), 0);
	CHECK_EQ(got.set, 3);
}

static void test_refused(void)
{
	CHECK_EQ(PARSE("a"), -VN_EUSAGE);
	CHECK_HAS(err.text, "B is missing");
	CHECK_EQ(PARSE("a", "b", "c", "d\033"), -VN_EUSAGE);
	CHECK_HAS(err.text, "\"d\\x1b\" is one argument too many");
	CHECK_EQ(PARSE("a", "b", "c", "4", "5", "6", "7", "8", "9", "10"), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "--flga"), -VN_EUSAGE);
	CHECK_HAS(err.hint, "Did you mean --flag?");
	CHECK_EQ(PARSE("a", "b", "--zzzzzz"), -VN_EUSAGE);
	CHECK_HAS(err.hint, "--help");
	CHECK_EQ(PARSE("a", "b", "-z"), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "-\xc3\xa9"), -VN_EUSAGE);
	CHECK_HAS(err.text, "-\xc3\xa9");
	CHECK_EQ(PARSE("a", "b", "--flag=1"), -VN_EUSAGE);
	CHECK_HAS(err.text, "takes no value");
	CHECK_EQ(PARSE("a", "b", "--text"), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "--text="), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "-t"), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "--choice=gree"), -VN_EUSAGE);
	CHECK_HAS(err.text, "red, green or blue");
	CHECK_EQ(PARSE("a", "b", "--set=red,"), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "--set="), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "--verify=perhaps"), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "--count=0"), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "--count=-1"), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "--count=99999999999999999999"), -VN_EUSAGE);
	CHECK_EQ(PARSE("a", "b", "--size=big"), -VN_EUSAGE);
}

static void test_list_full(void)
{
	const char *argv[OPT_LIST_MOST + 3] = { "a", "b" };

	for (int i = 2; i < OPT_LIST_MOST + 3; i++)
		argv[i] = "--list=x";
	CHECK_EQ(parse(OPT_LIST_MOST + 2, argv), 0);
	CHECK_EQ(parse(OPT_LIST_MOST + 3, argv), -VN_EUSAGE);
}

static void test_nearest(void)
{
	static const char *const names[] = { "diff", "rebase", "copy", "completion" };
	char *long_word = (char[600]){ 0 };

	CHECK_STR(opt_nearest("dif", names, 4), "diff");
	CHECK_STR(opt_nearest("idff", names, 4), "diff");
	CHECK_STR(opt_nearest("rebsae", names, 4), "rebase");
	CHECK_STR(opt_nearest("comp", names, 4), "completion");
	CHECK(!opt_nearest("nope", names, 4));
	CHECK(!opt_nearest("", names, 4));
	memset(long_word, 'x', 599);
	CHECK(!opt_nearest(long_word, names, 4));
}

int main(void)
{
	RUN(test_forms);
	RUN(test_values);
	RUN(test_refused);
	RUN(test_list_full);
	RUN(test_nearest);
	return vn_test_end();
}
