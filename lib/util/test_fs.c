#include "util/fs.h"
#include "util/test.h"
#include <stdlib.h>
#include <string.h>

static void test_read_at(void)
{
	struct vn_tmp tmp = VN_TMP;
	struct vn_err err = { 0 };
	char got[8] = { 0 };
	CHECK(vn_tmp_anonymous(&tmp, &err) == 0);
	CHECK(vn_fs_write(tmp.fd, "0123456789", 10, "it", &err) == 0);
	CHECK(vn_fs_read_at(tmp.fd, 3, got, 7, "it", &err) == 0);
	CHECK_STR(got, "3456789");
	CHECK(vn_fs_read_at(tmp.fd, 10, got, 0, "it", &err) == 0);
	CHECK(vn_fs_read_at(tmp.fd, 4, got, 7, "it", &err) == -VN_EIO);
	CHECK_STR(err.text, "it became shorter while it was read");
	vn_tmp_release(&tmp);
	CHECK(vn_fs_read_at(-1, 0, got, 1, "it", &err) == -VN_EIO);
	CHECK_HAS(err.text, "cannot read it");
}

static void test_absolute(void)
{
	static const struct {
		const char *typed, *is;
	} cases[] = { { "/", "/" }, { "/a", "/a" }, { "/a//", "/a" }, { "/a/../b/", "/a/../b" } };
	struct vn_err err = { 0 };
	char *path = NULL, *here = NULL, *again = NULL;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_OK(vn_fs_absolute(cases[i].typed, &path, &err), &err);
		CHECK_STR(path, cases[i].is);
		free(path);
	}
	CHECK_OK(vn_fs_absolute("x/y/", &path, &err), &err);
	CHECK_OK(vn_fs_absolute(".", &here, &err), &err);
	CHECK(path[0] == '/' && !strcmp(path + strlen(path) - 4, "/x/y"));
	CHECK_OK(vn_fs_absolute(path, &again, &err), &err);
	CHECK_STR(path, again);
	free(path);
	free(here);
	free(again);
}

int main(void)
{
	RUN(test_read_at);
	RUN(test_absolute);
	return vn_test_end();
}
