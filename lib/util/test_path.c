#include "util/path.h"
#include "util/test.h"

static void clean(void)
{
	struct vn_buf out = VN_BUF(8192);
	struct vn_err err = { 0 };
	static const char *cases[][2] = {
		{ "./", "" }, { "/", "" }, { ".", "" }, { "./a//b/", "a/b" }, { "/etc/x", "etc/x" }, { "a/./b", "a/b" },
		{ "..a/b..", "..a/b.." },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_OK(vn_path_clean(cases[i][0], &out, &err), &err);
		CHECK_STR(vn_buf_text(&out), cases[i][1]);
	}
	CHECK_EQ(vn_path_clean("a/../../etc", &out, &err), -VN_EUNSAFE);
	CHECK_EQ(vn_path_clean("..", &out, &err), -VN_EUNSAFE);
	char longest[6000];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	CHECK_EQ(vn_path_clean(longest, &out, &err), -VN_ELIMIT);
	vn_buf_release(&out);
}

static void a_directory_comes_right_before_what_it_holds(void)
{
	static const char *sorted[] = { "", "a", "a/b", "a/b/c", "a/z", "a-b", "a.b", "ab", "b", "\xc3\xa9" };
	size_t n = sizeof(sorted) / sizeof(sorted[0]);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			CHECK_EQ(vn_path_cmp(sorted[i], sorted[j]), (i > j) - (i < j));
}

static void below(void)
{
	CHECK(vn_path_below("a/b", "a") && vn_path_below("a", "a") && vn_path_below("x", ""));
	CHECK(!vn_path_below("ab", "a") && !vn_path_below("a", "a/b"));
}

static void patterns(void)
{
	static const struct {
		const char *pattern, *path;
		int hit;
	} cases[] = {
		{ "*.pyc", "usr/lib/x.pyc", 1 },          { "*.pyc", "usr/lib/x.py", 0 },
		{ "/var/log/**", "var/log/apt/term.log", 1 }, { "/var/log/**", "var/log", 0 },
		{ "var/log/", "var/log/dpkg.log", 1 },     { "/var/*/x", "var/a/x", 1 },
		{ "/var/*/x", "var/a/b/x", 0 },            { "**/conda-meta/history", "opt/conda/conda-meta/history", 1 },
		{ "**/conda-meta/history", "conda-meta/history", 1 }, { "**/conda-meta/history", "xconda-meta/history", 0 },
		{ "/a/**/b", "a/b", 1 },                   { "/a/**/b", "a/x/y/b", 1 },
		{ "/a/**/b", "a/x/yb", 0 },                { "[a-c]x", "bx", 1 },
		{ "[!a-c]x", "bx", 0 },                    { "?", "ab", 0 },
		{ "m\\*", "m*", 1 },                       { "**", "any/thing", 1 },
		{ "**/*.bin", "a/b.bin", 1 },              { "/opt/models/**", "opt/models/v1/m.onnx", 1 },
		{ "a*b*c", "aXbYbZc", 1 },                 { "[", "[", 1 },
		{ "**/a/**/b", "x/a/y/a/z/b", 1 },         { "", "a", 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int hit = vn_path_match(cases[i].pattern, cases[i].path);
		if (hit != cases[i].hit)
			printf("# pattern %s path %s\n", cases[i].pattern, cases[i].path);
		CHECK_EQ(hit, cases[i].hit);
	}
}

int main(void)
{
	RUN(clean);
	RUN(a_directory_comes_right_before_what_it_holds);
	RUN(below);
	RUN(patterns);
	return vn_test_end();
}
