/* verify, tee and meter: the decorators that only watch. */
#include "stream/in.h"
#include "util/cleanup.h"
#include "util/test.h"
#include <fcntl.h>

static struct vn_in *chunks(const char *text, size_t chunk)
{
	struct vn_err err = { 0 };
	struct vn_in *memory = NULL, *in = NULL;
	if (vn_in_memory(text, strlen(text), &memory, &err) < 0 || vn_in_fault(memory, UINT64_MAX, true, chunk, &in, &err) < 0)
		printf("# %s\n", err.text);
	return in;
}

static int verify(const char *text, const char *promised, int64_t size, struct vn_err *err)
{
	struct vn_digest digest = { 0 };
	if (promised && vn_digest_of(promised, strlen(promised), &digest, err) < 0)
		return -1;
	VN_AUTO_IN *in = NULL;
	int rc = vn_in_verify(chunks(text, 2), &digest, size, "thing", &in, err);
	if (rc < 0)
		return rc;
	rc = vn_in_drain(in, err);
	CHECK_EQ(vn_in_drain(in, err), rc);      /* the verdict stays */
	return rc;
}

static void test_verify(void)
{
	struct vn_err err = { 0 };
	CHECK_OK(verify("hello", "hello", 5, &err), &err);
	CHECK_OK(verify("hello", "hello", -1, &err), &err);
	CHECK_OK(verify("hello", NULL, 5, &err), &err);
	CHECK_OK(verify("", "", 0, &err), &err);
	CHECK_EQ(verify("hello", "hellO", 5, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "thing: the digest of what came is sha256:2cf24dba");
	CHECK_EQ(verify("hell", "hello", 5, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "4 bytes came where 5 were promised");
	CHECK_EQ(verify("hello!", "hello", 5, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "more than the promised 5 bytes");
}

static void test_verify_passes_failures_through(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_IN *memory = NULL, *fault = NULL, *in = NULL;
	CHECK_OK(vn_in_memory("hello", 5, &memory, &err), &err);
	CHECK_OK(vn_in_fault(vn_steal(memory), 3, false, 0, &fault, &err), &err);
	CHECK_OK(vn_in_verify(vn_steal(fault), NULL, 5, "thing", &in, &err), &err);
	CHECK_EQ(vn_in_drain(in, &err), -VN_EIO);
}

struct told {
	int progress, warnings, done;
	uint64_t bytes, total;
	char text[200];
};

static void tell(void *user, const struct vn_event *event)
{
	struct told *t = user;
	t->progress += event->kind == VN_EVENT_PROGRESS;
	t->warnings += event->kind == VN_EVENT_WARNING;
	t->done += event->kind == VN_EVENT_DONE;
	t->bytes = event->done;
	if (event->kind == VN_EVENT_PROGRESS)
		t->total = event->total;
	snprintf(t->text, sizeof(t->text), "%s", event->text);
}

static void test_tee(void)
{
	struct vn_err err = { 0 };
	int ends[2];
	CHECK_EQ(pipe(ends), 0);
	bool failed = true;
	VN_AUTO_IN *in = NULL;
	CHECK_OK(vn_in_tee(chunks("copied text", 3), ends[1], "copy", NULL, &failed, &in, &err), &err);
	CHECK_OK(vn_in_drain(in, &err), &err);
	CHECK(!failed);
	char out[32] = "";
	CHECK_EQ(read(ends[0], out, sizeof(out) - 1), 11);
	CHECK_STR(out, "copied text");
	close(ends[0]);
	close(ends[1]);
}

static void test_tee_gives_up_the_copy_only(void)
{
	struct vn_err err = { 0 };
	struct told told = { 0 };
	struct vn_events events = { tell, &told };
	VN_AUTO_CLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	bool failed = false;
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(100);
	VN_AUTO_IN *in = NULL;
	CHECK_OK(vn_in_tee(chunks("copied text", 3), fd, "the copy", &events, &failed, &in, &err), &err);
	CHECK_OK(vn_in_read_all(in, &buf, &err), &err);
	CHECK_STR(vn_buf_text(&buf), "copied text");
	CHECK(failed);
	CHECK_EQ(told.warnings, 1);
	CHECK_HAS(told.text, "the copy");
}

static void test_meter(void)
{
	struct vn_err err = { 0 };
	struct told told = { 0 };
	struct vn_events events = { tell, &told };
	VN_AUTO_FREE char *data = calloc(1, 1 << 20);
	VN_AUTO_IN *memory = NULL, *small = NULL, *in = NULL;
	CHECK_OK(vn_in_memory(data, 1 << 20, &memory, &err), &err);
	CHECK_OK(vn_in_fault(vn_steal(memory), UINT64_MAX, true, 1000, &small, &err), &err);
	CHECK_OK(vn_in_meter(vn_steal(small), "layer", 1 << 20, &events, &in, &err), &err);
	CHECK_OK(vn_in_drain(in, &err), &err);
	CHECK_OK(vn_in_drain(in, &err), &err);
	CHECK_EQ(told.progress, 4);       /* the start, and three times 256 KiB with up to 999 bytes more */
	CHECK_EQ(told.total, 1 << 20);
	CHECK_EQ(told.done, 1);
	CHECK_EQ(told.bytes, 1 << 20);
	CHECK_STR(told.text, "layer");
}

int main(void)
{
	RUN(test_verify);
	RUN(test_verify_passes_failures_through);
	RUN(test_tee);
	RUN(test_tee_gives_up_the_copy_only);
	RUN(test_meter);
	return vn_test_end();
}
