#include "cli/text.h"
#include "util/test.h"

#define CLEANUP(fn) __attribute__((cleanup(fn)))

static void check_escape(const char *bytes, const char *expected)
{
	CLEANUP(text_release) struct text text = { 0 };

	text_escape(&text, bytes);
	CHECK_STR(text_get(&text), expected);
}

static void test_escape(void)
{
	check_escape("", "");
	check_escape("plain text, UTF-8 → 你好", "plain text, UTF-8 → 你好");
	check_escape("\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m");
	check_escape("a\nb\tc\rd\177", "a\\nb\\tc\\rd\\x7f");
	check_escape("\xff\xfe", "\\xff\\xfe");
	check_escape("cut \xe4\xbd", "cut \\xe4\\xbd");
	check_escape("\xc0\xaf overlong", "\\xc0\\xaf overlong");
	check_escape("\xed\xa0\x80 surrogate", "\\xed\\xa0\\x80 surrogate");
	check_escape("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	check_escape("\xc2\x9b" "31m", "\\u{9b}31m");
	check_escape("x\xe2\x80\xae" "gpj.exe", "x\\u{202e}gpj.exe");
	check_escape("zero\xe2\x80\x8bwidth", "zero\\u{200b}width");
}

static void test_keep_lines(void)
{
	CLEANUP(text_release) struct text text = { 0 };

	text_escape_bytes(&text, "{\n\t\"a\": \0\033}", 11, true);
	CHECK_STR(text_get(&text), "{\n\t\"a\": \\x00\\x1b}");
}

static void test_json(void)
{
	CLEANUP(text_release) struct text text = { 0 };

	text_json(&text, "a\"b\\c\n\033\xff→");
	CHECK_STR(text_get(&text), "\"a\\\"b\\\\c\\u000a\\u001b\\ufffd→\"");
}

static void test_width(void)
{
	CHECK_EQ(text_width(""), 0);
	CHECK_EQ(text_width("abc"), 3);
	CHECK_EQ(text_width("→…é"), 3);
	CHECK_EQ(text_width("e\xcc\x81"), 1);
	CHECK_EQ(text_width("你好"), 4);
	CHECK_EQ(text_width("😀"), 2);
	CHECK_EQ(text_width("\xff"), 1);
}

static void test_fit(void)
{
	CHECK_EQ(text_fit("abc", 2), 2);
	CHECK_EQ(text_fit("abc", 9), 3);
	CHECK_EQ(text_fit("你好", 3), 3);
	CHECK_EQ(text_fit("你好", 1), 0);
	CHECK_EQ(text_fit("e\xcc\x81x", 1), 3);
}

int main(void)
{
	RUN(test_escape);
	RUN(test_keep_lines);
	RUN(test_json);
	RUN(test_width);
	RUN(test_fit);
	return vn_test_end();
}
