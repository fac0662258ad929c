#include "image/cache.h"
#include "util/cleanup.h"
#include "util/test.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char base[512];
static int warnings;

static void tell(void *user, const struct vn_event *event)
{
	(void)user;
	warnings += event->kind == VN_EVENT_WARNING;
}
static const struct vn_events events = { tell, NULL };

static void setup(void)
{
	const char *dir = getenv("TMPDIR");
	snprintf(base, sizeof(base), "%s/veneer-cache-XXXXXX", dir && *dir ? dir : "/tmp");
	CHECK(mkdtemp(base) != NULL);
	warnings = 0;
}

static void teardown(void)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_fs_remove_tree(base, &err), &err);
}

static const char *below(const char *name)
{
	static char path[2][700];
	static int turn;
	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", base, name);
	return path[turn];
}

static void put(struct vn_cache *c, const char *kind, const char *key, size_t len)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	VN_AUTO_FREE char *data = calloc(1, len);
	CHECK_OK(vn_cache_begin(c, kind, &tmp, &err), &err);
	CHECK(tmp.fd >= 0);
	CHECK_OK(vn_fs_write(tmp.fd, data, len, "test", &err), &err);
	CHECK_OK(vn_cache_commit(c, kind, key, &tmp, &err), &err);
}

static bool has(struct vn_cache *c, const char *kind, const char *key)
{
	int fd = vn_cache_get(c, kind, key);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void age(const char *name, time_t seconds)
{
	struct timespec t[2] = { { time(NULL) - seconds, 0 }, { time(NULL) - seconds, 0 } };
	CHECK(utimensat(AT_FDCWD, below(name), t, 0) == 0);
}

static void test_put_get_drop(void)
{
	struct vn_err err = { 0 };
	struct vn_cache *c = NULL;
	struct stat st;
	setup();
	CHECK_OK(vn_cache_open(below("a/b"), 1000, &events, &c, &err), &err);
	CHECK(stat(below("a/b"), &st) == 0 && (st.st_mode & 0777) == 0700);
	CHECK(!has(c, "blob", "sha256:11"));
	put(c, "blob", "sha256:11", 10);
	put(c, "index", "k", 20);
	CHECK(has(c, "blob", "sha256:11"));
	CHECK(has(c, "index", "k"));
	CHECK(!has(c, "blob", "k"));
	vn_cache_drop(c, "blob", "sha256:11");
	CHECK(!has(c, "blob", "sha256:11"));
	CHECK(!has(c, "blob", "../index/k"));
	CHECK(!has(c, "tmp", "k"));
	CHECK_EQ(warnings, 0);
	vn_cache_close(c);
	teardown();
}

static void test_eviction(void)
{
	struct vn_err err = { 0 };
	struct vn_cache *c = NULL;
	setup();
	CHECK_OK(vn_cache_open(base, 1000, &events, &c, &err), &err);
	put(c, "blob", "old", 300);
	put(c, "blob", "used", 300);
	put(c, "blob", "open", 300);
	age("blob/old", 500);
	age("blob/used", 900);
	age("blob/open", 1000);
	CHECK(has(c, "blob", "used"));             /* stamps it */
	int fd = open(below("blob/open"), O_RDONLY);
	CHECK(flock(fd, LOCK_SH) == 0);            /* another run reads it */
	put(c, "blob", "new", 300);
	CHECK(!has(c, "blob", "old"));
	CHECK(has(c, "blob", "used"));
	CHECK(has(c, "blob", "open"));
	CHECK(has(c, "blob", "new"));
	close(fd);
	put(c, "blob", "huge", 2000);              /* larger than the whole cache: not kept */
	CHECK(!has(c, "blob", "huge"));
	CHECK(has(c, "blob", "new"));
	vn_cache_close(c);
	teardown();
}

static void test_leftovers(void)
{
	struct vn_err err = { 0 };
	struct vn_cache *c = NULL;
	VN_AUTO(vn_tmp) busy = VN_TMP;
	setup();
	CHECK_OK(vn_cache_open(base, 1000, &events, &c, &err), &err);
	CHECK_OK(vn_fs_replace(below("tmp/dead"), "x", 1, 0600, &err), &err);
	CHECK_OK(vn_cache_begin(c, "blob", &busy, &err), &err);
	vn_cache_close(c);
	CHECK_OK(vn_cache_open(base, 1000, &events, &c, &err), &err);
	CHECK(!vn_fs_exists(below("tmp/dead")));
	CHECK(vn_fs_exists(busy.path));
	vn_cache_close(c);
	vn_tmp_release(&busy);
	teardown();
}

static void test_unwritable(void)
{
	struct vn_err err = { 0 };
	struct vn_cache *c = NULL;
	uint8_t a[16], b[16];
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	setup();
	CHECK_OK(vn_fs_replace(below("file"), "x", 1, 0600, &err), &err);
	CHECK_OK(vn_cache_open(below("file/cache"), 1000, &events, &c, &err), &err);
	CHECK_EQ(warnings, 1);
	CHECK_OK(vn_cache_begin(c, "blob", &tmp, &err), &err);
	CHECK_EQ(tmp.fd, -1);
	CHECK_OK(vn_cache_commit(c, "blob", "k", &tmp, &err), &err);
	CHECK(!has(c, "blob", "k"));
	CHECK_OK(vn_cache_secret(c, a, &err), &err);
	CHECK_OK(vn_cache_secret(c, b, &err), &err);
	CHECK(!memcmp(a, b, 16));
	CHECK_EQ(warnings, 1);
	vn_cache_close(c);
	/* a folder that vanishes while we run */
	CHECK_OK(vn_cache_open(below("gone"), 1000, &events, &c, &err), &err);
	CHECK_OK(vn_fs_remove_tree(below("gone"), &err), &err);
	CHECK_OK(vn_cache_begin(c, "blob", &tmp, &err), &err);
	CHECK_EQ(tmp.fd, -1);
	CHECK_EQ(warnings, 2);
	vn_cache_close(c);
	teardown();
}

static void test_secret(void)
{
	struct vn_err err = { 0 };
	struct vn_cache *c = NULL, *d = NULL;
	uint8_t a[16], b[16];
	setup();
	CHECK_OK(vn_cache_open(base, 1000, &events, &c, &err), &err);
	CHECK_OK(vn_cache_open(base, 1000, &events, &d, &err), &err);
	CHECK_OK(vn_cache_secret(c, a, &err), &err);
	CHECK_OK(vn_cache_secret(d, b, &err), &err);
	CHECK(!memcmp(a, b, 16));
	vn_cache_close(c);
	vn_cache_close(d);
	CHECK_OK(vn_fs_replace(below("secret"), "short", 5, 0600, &err), &err);
	CHECK_OK(vn_cache_open(base, 1000, &events, &c, &err), &err);
	CHECK_OK(vn_cache_secret(c, b, &err), &err);
	CHECK(memcmp(a, b, 16));
	vn_cache_close(c);
	CHECK_OK(vn_cache_open(base, 1000, &events, &c, &err), &err);
	CHECK_OK(vn_cache_secret(c, a, &err), &err);
	CHECK(!memcmp(a, b, 16));
	vn_cache_close(c);
	teardown();
}

static void test_places(void)
{
	struct vn_err err = { 0 };
	struct vn_cache *c = NULL;
	setup();
	unsetenv("VENEER_CACHE_DIR");
	unsetenv("VENEER_CACHE_SIZE");
	setenv("XDG_CACHE_HOME", base, 1);
	CHECK_OK(vn_cache_open(NULL, 0, &events, &c, &err), &err);
	CHECK(vn_fs_exists(below("veneer/tmp")));
	vn_cache_close(c);
	setenv("VENEER_CACHE_DIR", below("own"), 1);
	setenv("VENEER_CACHE_SIZE", "nonsense", 1);
	CHECK_OK(vn_cache_open(NULL, 0, &events, &c, &err), &err);
	CHECK(vn_fs_exists(below("own/tmp")));
	CHECK_EQ(warnings, 1);
	vn_cache_close(c);
	setenv("VENEER_CACHE_SIZE", "0", 1);
	CHECK_OK(vn_cache_open(NULL, 0, &events, &c, &err), &err);
	CHECK_EQ(warnings, 1);
	CHECK(!has(c, "blob", "k"));
	vn_cache_close(c);
	unsetenv("VENEER_CACHE_SIZE");
	unsetenv("VENEER_CACHE_DIR");
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	CHECK_OK(vn_cache_open(NULL, 0, &events, &c, &err), &err);
	CHECK_EQ(warnings, 2);
	vn_cache_close(c);
	teardown();
}

int main(void)
{
	RUN(test_put_get_drop);
	RUN(test_eviction);
	RUN(test_leftovers);
	RUN(test_unwritable);
	RUN(test_secret);
	RUN(test_places);
	return vn_test_end();
}
