#include "util/fs.h"
#include "util/test.h"

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

int main(void)
{
	RUN(test_read_at);
	return vn_test_end();
}
