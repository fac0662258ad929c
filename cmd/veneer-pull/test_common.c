#include "cmd.h"
#include "util/test.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static void test_times(void)
{
	char out[CMD_TIME_TEXT];

	CHECK_STR(cmd_time_text(1795000000, out), "2026-11-18 11:06 UTC");
	CHECK_STR(cmd_time_rfc3339(1795000000, out), "2026-11-18T11:06:40Z");
	CHECK_STR(cmd_time_rfc3339(951827696, out), "2000-02-29T12:34:56Z");
	CHECK_STR(cmd_time_text(0, out), "1970-01-01 00:00 UTC");
	CHECK_STR(cmd_time_text(INT64_MAX, out), "an unknown time");
	CHECK_STR(cmd_time_rfc3339(INT64_MIN, out), "-");
}

static void check_release(const char *label, const char *digest, const char *expected)
{
	OUT_CLEANUP(text_release) struct text text = { 0 };

	cmd_add_release(&text, label, digest);
	CHECK_STR(text_get(&text), expected);
}

static void test_releases(void)
{
	check_release("iot-3", "sha256:0123456789abcdef", "iot-3");
	check_release("", "sha256:0123456789abcdef", "sha256:0123456789ab");
	check_release("", "sha256:01", "sha256:01");
	check_release("", "", "");
}

/* What a listener at `address` gets, "" when nothing. */
static void hear(const struct sockaddr_un *address, socklen_t len, const char *name, char *into, size_t size)
{
	struct timeval limit = { .tv_sec = 5 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t n = -1;

	CHECK_EQ(bind(fd, (const struct sockaddr *)address, len), 0);
	CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	CHECK_EQ(setenv("NOTIFY_SOCKET", name, 1), 0);
	cmd_notify("READY=1");
	n = recv(fd, into, size - 1, 0);
	into[n < 0 ? 0 : n] = '\0';
	close(fd);
}

static void test_notify(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/veneer-notify.XXXXXX", name[sizeof(address.sun_path)], got[64];
	int len;

	CHECK(mkdtemp(folder) != NULL);
	len = snprintf(name, sizeof(name), "%s/socket", folder);
	memcpy(address.sun_path, name, (size_t)len);
	hear(&address, sizeof(address), name, got, sizeof(got));
	CHECK_STR(got, "READY=1");
	unlink(name);
	rmdir(folder);

	/* in the abstract namespace the name has no end but the address's */
	len = snprintf(name, sizeof(name), "@veneer-notify-%d", (int)getpid());
	memcpy(address.sun_path, name, (size_t)len);
	address.sun_path[0] = '\0';
	hear(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len), name, got, sizeof(got));
	CHECK_STR(got, "READY=1");

	CHECK_EQ(setenv("NOTIFY_SOCKET", "neither", 1), 0);
	cmd_notify("READY=1");
	CHECK_EQ(unsetenv("NOTIFY_SOCKET"), 0);
	cmd_notify("READY=1");
}

int main(void)
{
	RUN(test_times);
	RUN(test_releases);
	RUN(test_notify);
	return vn_test_end();
}
