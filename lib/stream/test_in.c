#include "stream/in.h"
#include "util/cleanup.h"
#include "util/test.h"
#include <fcntl.h>

static int temp_file(const char *text)
{
	char path[] = "/tmp/veneer-test-XXXXXX";
	int fd = mkstemp(path);
	if (fd >= 0)
		unlink(path);
	if (fd >= 0 && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -1;
	return fd;
}

static void test_memory(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_IN *in = NULL;
	CHECK_OK(vn_in_memory("hello world", 11, &in, &err), &err);
	char out[16] = "";
	CHECK_EQ(vn_in_read(in, out, 5, &err), 5);
	CHECK_STR(out, "hello");
	const void *block = NULL;
	CHECK_EQ(vn_in_next(in, &block, &err), 6);
	CHECK(block && !memcmp(block, " world", 6));
	CHECK_EQ(vn_in_next(in, &block, &err), 0);
	CHECK_EQ(vn_in_next(in, &block, &err), 0);
	CHECK_EQ(vn_in_read(in, out, 5, &err), 0);
}

static void test_read_full(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_IN *in = NULL;
	CHECK_OK(vn_in_memory("abc", 3, &in, &err), &err);
	char out[8];
	CHECK_EQ(vn_in_read_full(in, out, 2, &err), 0);
	CHECK_EQ(vn_in_read_full(in, out, 2, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "1 bytes where 2");
}

static void test_read_all_is_capped(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(4);
	VN_AUTO_IN *in = NULL;
	CHECK_OK(vn_in_memory("abcde", 5, &in, &err), &err);
	CHECK_EQ(vn_in_read_all(in, &buf, &err), -VN_ELIMIT);
	VN_AUTO_IN *fits = NULL;
	CHECK_OK(vn_in_memory("abcd", 4, &fits, &err), &err);
	vn_buf_clear(&buf);
	CHECK_OK(vn_in_read_all(fits, &buf, &err), &err);
	CHECK_STR(vn_buf_text(&buf), "abcd");
}

static void test_file_absent(void)
{
	struct vn_err err = { 0 };
	struct vn_in *in = NULL;
	CHECK_EQ(vn_in_file("/nonexistent/file", &in, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "/nonexistent/file");
	CHECK(!in);
}

static void test_directory_is_no_file(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_IN *in = NULL;
	const void *block;
	CHECK_OK(vn_in_file("/", &in, &err), &err);
	CHECK_EQ(vn_in_next(in, &block, &err), -VN_EIO);
}

static void test_fd(void)
{
	struct vn_err err = { 0 };
	int fd = temp_file("content");
	CHECK(fd >= 0 && lseek(fd, 0, SEEK_SET) == 0);
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(100);
	VN_AUTO_IN *in = NULL;
	CHECK_OK(vn_in_fd(fd, "temp", &in, &err), &err);
	CHECK_OK(vn_in_read_all(in, &buf, &err), &err);
	CHECK_STR(vn_buf_text(&buf), "content");
	vn_in_close(vn_steal(in));
	CHECK(fcntl(fd, F_GETFD) < 0);
}

static void test_slice(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_CLOSE int fd = temp_file("0123456789");
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(100);
	VN_AUTO_IN *in = NULL;
	CHECK_OK(vn_in_slice(fd, 3, 4, "temp", &in, &err), &err);
	CHECK_OK(vn_in_read_all(in, &buf, &err), &err);
	CHECK_STR(vn_buf_text(&buf), "3456");

	VN_AUTO_IN *beyond = NULL;
	CHECK_OK(vn_in_slice(fd, 8, 4, "temp", &beyond, &err), &err);
	CHECK_EQ(vn_in_read_all(beyond, &buf, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "at byte 10, with 2 more expected");

	struct vn_in *none = NULL;
	CHECK_EQ(vn_in_slice(fd, UINT64_MAX, 4, "temp", &none, &err), -VN_EFORMAT);
	CHECK(!none);
}

static void test_fault(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(100);
	VN_AUTO_IN *memory = NULL, *in = NULL;
	CHECK_OK(vn_in_memory("0123456789", 10, &memory, &err), &err);
	CHECK_OK(vn_in_fault(vn_steal(memory), 5, false, 2, &in, &err), &err);
	CHECK_EQ(vn_in_read_all(in, &buf, &err), -VN_EIO);
	CHECK_STR(vn_buf_text(&buf), "01234");

	VN_AUTO_IN *again = NULL, *cut = NULL;
	vn_buf_clear(&buf);
	CHECK_OK(vn_in_memory("0123456789", 10, &again, &err), &err);
	CHECK_OK(vn_in_fault(vn_steal(again), 7, true, 3, &cut, &err), &err);
	CHECK_OK(vn_in_read_all(cut, &buf, &err), &err);
	CHECK_STR(vn_buf_text(&buf), "0123456");
}

static void test_settle_tells_the_deeper_reason(void)
{
	struct vn_err err = { 0 };
	struct vn_digest wrong = { 0 };
	VN_AUTO_IN *memory = NULL, *in = NULL;
	CHECK_OK(vn_digest_of("other", 5, &wrong, &err), &err);
	CHECK_OK(vn_in_memory("garbage", 7, &memory, &err), &err);
	CHECK_OK(vn_in_verify(vn_steal(memory), &wrong, -1, "the layer", &in, &err), &err);
	vn_fail(&err, VN_EFORMAT, "malformed");
	CHECK_EQ(vn_in_settle(in, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "the layer");

	VN_AUTO_IN *broken = NULL, *fault = NULL;
	CHECK_OK(vn_in_memory("garbage", 7, &broken, &err), &err);
	CHECK_OK(vn_in_fault(vn_steal(broken), 3, false, 0, &fault, &err), &err);
	vn_fail(&err, VN_EFORMAT, "malformed");
	CHECK_EQ(vn_in_settle(fault, &err), -VN_EFORMAT);
	CHECK_STR(err.text, "malformed");
}

int main(void)
{
	RUN(test_memory);
	RUN(test_read_full);
	RUN(test_read_all_is_capped);
	RUN(test_file_absent);
	RUN(test_directory_is_no_file);
	RUN(test_fd);
	RUN(test_slice);
	RUN(test_fault);
	RUN(test_settle_tells_the_deeper_reason);
	return vn_test_end();
}
