#include "tar/whiteout.h"
#include "util/cleanup.h"
#include "util/test.h"

/* "w PATH" for a whiteout, "o PATH" for an opaque folder, "-" ignored, "" an ordinary name, "error" */
static const char *means(const char *path)
{
	static char text[200];
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) gone = VN_BUF(4096);
	enum vn_whiteout how;
	int rc = vn_whiteout_of(path, "layer", &gone, &how, &err);
	CHECK(rc == 0 || rc == -VN_EUNSAFE);
	if (rc < 0)
		return "error";
	if (how == VN_WHITEOUT_NO || how == VN_WHITEOUT_IGNORED)
		return how == VN_WHITEOUT_NO ? "" : "-";
	snprintf(text, sizeof(text), "%c %s", how == VN_WHITEOUT_PATH ? 'w' : 'o', vn_buf_text(&gone));
	return text;
}

static void test_names(void)
{
	CHECK_STR(means(""), "");
	CHECK_STR(means("a/b"), "");
	CHECK_STR(means("a/.whoops"), "");
	CHECK_STR(means("a.wh.b"), "");
	CHECK_STR(means(".wh.a"), "w a");
	CHECK_STR(means("a/b/.wh.c"), "w a/b/c");
	CHECK_STR(means(".wh.wh.a"), "w wh.a");
	CHECK_STR(means("a/.wh.."), "error");
	CHECK_STR(means("a/.wh..."), "error");
	CHECK_STR(means("a/.wh...."), "w a/...");
	CHECK_STR(means(".wh..wh..opq"), "o ");
	CHECK_STR(means("a/b/.wh..wh..opq"), "o a/b");
	CHECK_STR(means(".wh..wh..opqx"), "-");
	CHECK_STR(means(".wh..wh.plnk"), "-");
	CHECK_STR(means(".wh..wh.plnk/1.2"), "-");
	CHECK_STR(means("a/.wh."), "-");
	CHECK_STR(means(".wh.a/b"), "error");
	CHECK_STR(means("a/.wh.b/c/d"), "error");
}

int main(void)
{
	RUN(test_names);
	return vn_test_end();
}
