#include "stream/out.h"
#include "util/cleanup.h"
#include "util/test.h"
#include <fcntl.h>

static void test_copy_and_digest(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(100);
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *plain = NULL, *out = NULL;
	struct vn_digest digest = { 0 };
	uint64_t size = 0, copied = 0;
	CHECK_OK(vn_in_memory("hello", 5, &in, &err), &err);
	CHECK_OK(vn_out_buf(&buf, &plain, &err), &err);
	CHECK_OK(vn_out_digest(vn_steal(plain), &digest, &size, &out, &err), &err);
	CHECK_OK(vn_copy(in, out, &copied, &err), &err);
	CHECK_STR(digest.text, "");
	CHECK_OK(vn_out_finish(out, &err), &err);
	CHECK_STR(digest.text, "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	CHECK_EQ(size, 5);
	CHECK_EQ(copied, 5);
	CHECK_STR(vn_buf_text(&buf), "hello");
}

static void test_fd(void)
{
	struct vn_err err = { 0 };
	int ends[2];
	CHECK_EQ(pipe(ends), 0);
	VN_AUTO_OUT *out = NULL;
	CHECK_OK(vn_out_fd(ends[1], "pipe", &out, &err), &err);
	CHECK_OK(vn_out_write(out, "abc", 3, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
	char text[8] = "";
	CHECK_EQ(read(ends[0], text, 7), 3);
	CHECK_STR(text, "abc");
	close(ends[0]);
	CHECK_EQ(close(ends[1]), 0);      /* it stays the caller's */
}

static void test_full_disk(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_CLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	VN_AUTO_OUT *out = NULL;
	CHECK_OK(vn_out_fd(fd, "the disk", &out, &err), &err);
	CHECK_EQ(vn_out_write(out, "abc", 3, &err), -VN_EIO);
	CHECK_HAS(err.text, "the disk");
}

static void test_buffer_is_capped(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(4);
	VN_AUTO_OUT *out = NULL;
	CHECK_OK(vn_out_buf(&buf, &out, &err), &err);
	CHECK_EQ(vn_out_write(out, "abcde", 5, &err), -VN_ELIMIT);
}

int main(void)
{
	RUN(test_copy_and_digest);
	RUN(test_fd);
	RUN(test_full_disk);
	RUN(test_buffer_is_capped);
	return vn_test_end();
}
