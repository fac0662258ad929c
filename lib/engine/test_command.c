#include "engine/command.h"
#include "engine/device_fixture.h"
#include "util/num.h"
#include <signal.h>
#include <time.h>

static void test_output(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) out = VN_BUF(4096);
	struct vn_command c = { .tmpdir = "/somewhere" };
	vn_command_add(&c, "sh", "-c", "echo \"$1 $TMPDIR\"; cat; echo aside >&2", "sh", "a  b", NULL);
	CHECK_OK(vn_command_run(&c, &out, &err), &err);
	CHECK_STR(vn_buf_text(&out), "a  b /somewhere\n");
	CHECK_STR(c.said, "aside");
}

static void test_files(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(4096);
	fixture_begin();
	put_text("in", "what goes in");
	int in = open(below("in"), O_RDONLY), out = open(below("out"), O_RDWR | O_CREAT, 0600);
	struct vn_command c = { .in = in, .out = out };
	vn_command_add(&c, "cat", NULL);
	CHECK_OK(vn_command_run(&c, NULL, &err), &err);
	CHECK_OK(vn_fs_read(below("out"), &bytes, &err), &err);
	CHECK_STR(vn_buf_text(&bytes), "what goes in");
	close(in);
	close(out);
	fixture_end();
}

static void test_failures(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) out = VN_BUF(100);
	struct vn_command status = { 0 }, mute = { 0 }, none = { 0 }, much = { 0 }, slain = { 0 }, words = { 0 };
	vn_command_add(&status, "sh", "-c", "echo first >&2; echo 'the reason ' >&2; echo >&2; exit 7", NULL);
	CHECK_EQ(vn_command_run(&status, NULL, &err), -VN_EIO);
	CHECK_EQ(status.status, 7);
	CHECK_STR(err.text, "sh: the reason");
	vn_command_add(&mute, "false", NULL);
	CHECK_EQ(vn_command_run(&mute, NULL, &err), -VN_EIO);
	CHECK_HAS(err.text, "without a word");
	vn_command_add(&none, "no-such-program-here", NULL);
	CHECK_EQ(vn_command_run(&none, NULL, &err), -VN_EIO);
	CHECK_EQ(none.status, 0);
	CHECK_HAS(err.text, "is not in PATH");
	vn_command_add(&much, "sh", "-c", "while :; do echo 0123456789; done", NULL);
	CHECK_EQ(vn_command_run(&much, &out, &err), -VN_ELIMIT);
	vn_command_add(&slain, "sh", "-c", "kill -9 $$", NULL);
	CHECK_EQ(vn_command_run(&slain, NULL, &err), -VN_EIO);
	CHECK_EQ(slain.status, 128);
	for (int i = 0; i < VN_COMMAND_WORDS; i++)
		vn_command_add(&words, "true", NULL);
	CHECK_EQ(vn_command_run(&words, NULL, &err), -VN_ELIMIT);
}

/* The last of much that is said is what counts. */
static void test_talkative(void)
{
	struct vn_err err = { 0 };
	struct vn_command c = { 0 };
	vn_command_add(&c, "sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789 >&2; "
		       "i=$((i+1)); done; echo at last >&2; exit 1", NULL);
	CHECK_EQ(vn_command_run(&c, NULL, &err), -VN_EIO);
	CHECK_STR(c.said, "at last");
}

static int number(const struct vn_buf *text)
{
	uint64_t n = 0;
	char digits[20];
	snprintf(digits, sizeof(digits), "%.*s", (int)strcspn(vn_buf_text(text), "\n"), vn_buf_text(text));
	CHECK(vn_parse_u64(digits, &n) && n > 1 && n < INT32_MAX);
	return (int)n;
}

static void test_time(void)
{
	struct vn_err err = { 0 };
	struct vn_command c = { .seconds = 1 };
	VN_AUTO(vn_buf) out = VN_BUF(100);
	vn_command_add(&c, "sh", "-c", "sleep 1000 & echo $!; wait", NULL);
	CHECK_EQ(vn_command_run(&c, &out, &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "within 1 seconds");
	/* what it started was killed too: gone, or waiting for its new parent */
	char path[64], state = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", number(&out));
	for (int i = 0; i < 1000 && state != 'Z'; i++) {
		static const struct timespec moment = { 0, 10000000 };
		FILE *f = fopen(path, "r");
		if (!f)
			return;
		CHECK(fscanf(f, "%*d %*s %c", &state) == 1);
		fclose(f);
		nanosleep(&moment, NULL);
	}
	CHECK_EQ(state, 'Z');
}

/* A process that it leaves behind keeps its pipes open. */
static void test_left_behind(void)
{
	struct vn_err err = { 0 };
	struct vn_command c = { .seconds = 500 };
	VN_AUTO(vn_buf) out = VN_BUF(100);
	vn_command_add(&c, "sh", "-c", "sleep 1000 & echo $!", NULL);
	CHECK_OK(vn_command_run(&c, &out, &err), &err);
	pid_t left = number(&out);
	CHECK(left > 1);
	if (left > 1)
		CHECK(kill(left, SIGKILL) == 0);
}

/* ---- as a stream */
static int read_stream(const struct vn_command *c, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	*err = (struct vn_err){ 0 };
	int rc = vn_command_in(c, &in, err);
	return rc < 0 ? rc : vn_in_read_all(in, ret, err);
}

static void test_stream(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) out = VN_BUF(1 << 20);
	struct vn_command much = { 0 }, fails = { 0 }, late = { .seconds = 1 }, none = { 0 };
	vn_command_add(&much, "sh", "-c", "echo aside >&2; i=0; while [ $i -lt 9999 ]; do echo 0123456789; i=$((i+1)); done", NULL);
	CHECK_OK(read_stream(&much, &out, &err), &err);
	CHECK_EQ(out.len, 9999 * 11);
	vn_buf_clear(&out);
	vn_command_add(&fails, "sh", "-c", "echo some; echo 'the reason' >&2; exit 3", NULL);
	CHECK_EQ(read_stream(&fails, &out, &err), -VN_EIO);
	CHECK_STR(vn_buf_text(&out), "some\n");
	CHECK_STR(err.text, "sh: the reason");
	vn_buf_clear(&out);
	vn_command_add(&late, "sh", "-c", "echo some; sleep 1000", NULL);
	CHECK_EQ(read_stream(&late, &out, &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "within 1 seconds");
	vn_command_add(&none, "no-such-program-here", NULL);
	CHECK_EQ(read_stream(&none, &out, &err), -VN_EIO);
	/* what is left behind is not waited for; what is killed may be well another time */
	struct vn_command leaves = { .seconds = 500 }, slain = { 0 };
	vn_buf_clear(&out);
	vn_command_add(&leaves, "sh", "-c", "sleep 1000 & echo $!", NULL);
	CHECK_OK(read_stream(&leaves, &out, &err), &err);
	kill(number(&out), SIGKILL);
	vn_command_add(&slain, "sh", "-c", "kill -9 $$", NULL);
	CHECK_EQ(read_stream(&slain, &out, &err), -VN_ENETWORK);
	/* closed early */
	struct vn_command endless = { 0 };
	struct vn_in *in = NULL;
	const void *block;
	vn_command_add(&endless, "sh", "-c", "while :; do echo 0123456789; done", NULL);
	CHECK_OK(vn_command_in(&endless, &in, &err), &err);
	CHECK(vn_in_next(in, &block, &err) > 0);
	vn_in_close(in);
}

int main(void)
{
	RUN(test_stream);
	RUN(test_output);
	RUN(test_files);
	RUN(test_failures);
	RUN(test_talkative);
	RUN(test_time);
	RUN(test_left_behind);
	return vn_test_end();
}
