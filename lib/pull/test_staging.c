/* What of a blob is still there after a cut, a kill or damage, and what is asked for again. */
#include "pull/staging.h"
#include "registry/fake.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/test_dir.h"
#include <fcntl.h>
#include <sys/stat.h>

#define PING { "GET /v2/ ", "!Authorization", "200", "{}" }
#define BLOB_PATH "GET /v2/a/blobs/sha256:"
#define UNIT VN_STAGING_UNIT
#define SIZE (3 * UNIT + 5000)
#define MARK 16
#define TAIL 24

static char blob[SIZE];
static struct vn_desc desc;

static void begin(void)
{
	struct vn_err err = { 0 };
	struct vn_digest digest;
	uint32_t x = 1;
	for (size_t i = 0; i < SIZE; i++)
		blob[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
	test_dir_make("staging");
	CHECK_OK(vn_digest_of(blob, SIZE, &digest, &err), &err);
	CHECK_OK(vn_desc_init(&desc, VN_MT_OCI_LAYER, &digest, SIZE, &err), &err);
}

static void end(void)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_staging_clear(test_dir, &err), &err);
	CHECK_OK(vn_staging_clear(test_dir, &err), &err);
	CHECK_EQ(vn_staging_bytes(test_dir), 0);
	CHECK_EQ(rmdir(test_dir), 0);
	vn_desc_release(&desc);
}

static const char *file(const char *suffix)
{
	static char path[2][500];
	static unsigned turn;
	char *p = path[turn++ % 2];
	snprintf(p, 500, "%s/%s%s", test_dir, vn_digest_hex(&desc.digest), suffix);
	return p;
}

static long long size_of(const char *suffix)
{
	struct stat st;
	return stat(file(suffix), &st) < 0 ? -1 : (long long)st.st_size;
}

/* One run of the program. */
static int run_looked(const struct fake_step *script, int (*look)(void *, const struct vn_desc *, struct vn_in *, struct vn_err *),
		      void *user, struct vn_err *err)
{
	struct fake_world w;
	struct vn_staging staging = { .dir = test_dir, .look = look, .user = user };
	struct vn_source *staged = NULL;
	*err = (struct vn_err){ 0 };
	fake_world_open(&w, script);
	struct vn_source *far = fake_source(&w, "a:1");
	CHECK_OK(vn_staging_source_open(far, &staging, &staged, err), err);
	int r = vn_staging_fetch(staged, &desc, err);
	vn_source_close(staged);
	vn_source_close(far);
	fake_stop(&w.fake);
	return r;
}

static int run(const struct fake_step *script, struct vn_err *err)
{
	return run_looked(script, NULL, NULL, err);
}

/* The connection ends after `at` bytes and then the registry refuses: the run ends there. */
static void cut(size_t at)
{
	struct fake_step script[] = {
		PING,
		{ BLOB_PATH, "!Range:", "200", blob, .body_len = SIZE, .cut = at },
		{ BLOB_PATH, "Range: bytes=", "403", "" },
		{ 0 },
	};
	struct fake_step refused[] = { PING, { BLOB_PATH, "!Range:", "403", "" }, { 0 } };
	struct vn_err err;
	CHECK_EQ(run(at ? script : refused, &err), -VN_EAUTH);
	CHECK_EQ(size_of(".blob"), -1);
}

/* A run that asks from `from` and is refused at once. */
static void cut_again(size_t from)
{
	char range[60];
	struct fake_step refused[] = { PING, { BLOB_PATH, range, "403", "" }, { 0 } };
	struct vn_err err;
	snprintf(range, sizeof(range), "Range: bytes=%zu-\r\n", from);
	CHECK_EQ(run(refused, &err), -VN_EAUTH);
}

/* A new run asks from `from` and brings it to its end. */
static void goes_on(size_t from)
{
	char range[60], answer[120];
	struct fake_step rest[] = {
		PING, { BLOB_PATH, range, answer, &blob[from], .body_len = SIZE - from }, { 0 },
	};
	struct fake_step whole[] = { PING, { BLOB_PATH, "!Range:", "200", blob, .body_len = SIZE }, { 0 } };
	struct vn_err err;
	VN_AUTO(vn_buf) got = VN_BUF(SIZE);
	snprintf(range, sizeof(range), "Range: bytes=%zu-\r\n", from);
	snprintf(answer, sizeof(answer), "206\nContent-Range: bytes %zu-%u/%u", from, SIZE - 1, SIZE);
	CHECK_OK(run(from ? rest : whole, &err), &err);
	CHECK_OK(vn_fs_read(file(".blob"), &got, &err), &err);
	CHECK_EQ(got.len, SIZE);
	CHECK(got.len == SIZE && !memcmp(got.data, blob, SIZE));
	CHECK_EQ(size_of(".part"), -1);
	CHECK_EQ(size_of(".marks"), -1);
	CHECK_EQ(size_of(".boot"), -1);
	CHECK_EQ(unlink(file(".blob")), 0);
}

static void put(const char *suffix, long long at, const void *data, size_t len)
{
	int fd = open(file(suffix), O_WRONLY | O_CREAT, 0600);
	CHECK_EQ(pwrite(fd, data, len, (off_t)at), (ssize_t)len);
	close(fd);
}

static void test_cut(void)
{
	static const size_t at[] = { 0, 1, 4096, UNIT - 1, UNIT, UNIT + 1, 2 * UNIT, 2 * UNIT + 777, 3 * UNIT, SIZE - 1 };
	begin();
	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		cut(at[i]);
		CHECK_EQ(size_of(".part"), at[i]);
		CHECK_EQ(size_of(".marks"), at[i] / UNIT * MARK + (at[i] % UNIT ? TAIL : 0));
		goes_on(at[i]);
	}
	end();
}

/* On a link on which no run brings a whole unit. */
static void test_many_small_cuts(void)
{
	struct vn_err err;
	char range[60], answer[120];
	size_t from = 0;
	begin();
	cut(from = 1000);
	for (int i = 0; i < 20; i++) {
		size_t next = from + 9001;
		struct fake_step script[] = {
			PING,
			{ BLOB_PATH, range, answer, &blob[from], .body_len = SIZE - from, .cut = 9001 },
			{ BLOB_PATH, "Range: bytes=", "403", "" },
			{ 0 },
		};
		snprintf(range, sizeof(range), "Range: bytes=%zu-\r\n", from);
		snprintf(answer, sizeof(answer), "206\nContent-Range: bytes %zu-%u/%u", from, SIZE - 1, SIZE);
		CHECK_EQ(run(script, &err), -VN_EAUTH);
		from = next;
	}
	CHECK(from > UNIT && from % UNIT);
	goes_on(from);
	end();
}

/* What the power leaves: another run of the kernel, and no word about the last one. */
static void lose_power(bool other)
{
	struct vn_err err = { 0 };
	if (other)
		CHECK_OK(vn_fs_replace(file(".boot"), "other", 5, 0600, &err), &err);
	else
		CHECK_EQ(unlink(file(".boot")), 0);
}

/* After a kill all is right that is there, whatever the marks say. */
static void test_kill(void)
{
	begin();
	cut(2 * UNIT + 777);
	CHECK_EQ(truncate(file(".marks"), 2 * MARK), 0);
	goes_on(2 * UNIT + 777);
	cut(2 * UNIT + 777);
	CHECK_EQ(truncate(file(".marks"), MARK + 5), 0);
	goes_on(2 * UNIT + 777);
	cut(3 * UNIT + 777);
	CHECK_EQ(unlink(file(".marks")), 0);
	goes_on(3 * UNIT + 777);
	cut(2 * UNIT + 777);
	CHECK_EQ(unlink(file(".part")), 0);
	goes_on(0);
	/* killed twice, and then the power goes: what the first run left without a mark has one now */
	cut(3 * UNIT + 777);
	CHECK_EQ(truncate(file(".marks"), MARK), 0);
	cut_again(3 * UNIT + 777);
	lose_power(true);
	goes_on(3 * UNIT + 777);
	end();
}

/* After a power cut nothing is believed without a mark. */
static void test_power_cut(void)
{
	static const char zeros[777];
	begin();
	for (int other = 0; other < 2; other++) {
		cut(2 * UNIT + 777);
		CHECK_EQ(truncate(file(".marks"), 2 * MARK), 0);
		put(".part", 2 * UNIT, zeros, 777);
		lose_power(other);
		goes_on(2 * UNIT);
		cut(2 * UNIT + 777);
		CHECK_EQ(truncate(file(".marks"), MARK + 5), 0);
		lose_power(other);
		goes_on(UNIT);
		cut(2 * UNIT + 777);
		CHECK_EQ(unlink(file(".marks")), 0);
		lose_power(other);
		goes_on(0);
		/* marks and no data: what a disk may leave that wrote them in the other order */
		cut(2 * UNIT + 777);
		CHECK_EQ(unlink(file(".part")), 0);
		lose_power(other);
		goes_on(0);
		/* where the connection ended, the tail was on the disk */
		cut(2 * UNIT + 777);
		lose_power(other);
		goes_on(2 * UNIT + 777);
	}
	end();
}

static void test_damage(void)
{
	static const char zeros[5000];
	uint8_t len[8];
	begin();
	cut(3 * UNIT + 10);
	put(".part", 3 * UNIT - 9, "x", 1);
	lose_power(true);
	goes_on(2 * UNIT);
	/* the tail's bytes, its mark, its length */
	cut(2 * UNIT + 777);
	put(".part", 2 * UNIT + 3, "xyz", 3);
	lose_power(true);
	goes_on(2 * UNIT);
	cut(2 * UNIT + 777);
	put(".marks", 2 * MARK, "0123456789abcdef", MARK);
	lose_power(true);
	goes_on(2 * UNIT);
	static const uint64_t lengths[] = { 0, 776, 778, UNIT, UINT64_MAX, UINT64_MAX - 2 * UNIT };
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		cut(2 * UNIT + 777);
		vn_put_u64(len, lengths[i]);
		put(".marks", 3 * MARK, len, 8);
		lose_power(true);
		goes_on(2 * UNIT);
	}
	/* another file's data under the right name, longer than the blob: marks of it are not believed for this one's size */
	cut(3 * UNIT);
	put(".part", 3 * UNIT, zeros, 5000);
	put(".part", 3 * UNIT + 5000, zeros, 5000);
	lose_power(true);
	goes_on(3 * UNIT);
	end();
}

/* All of it is there and it is not what it should be: nothing of it is kept. */
static void test_wrong_bytes(void)
{
	struct fake_step script[] = { PING, { BLOB_PATH, NULL, "200", blob, .body_len = SIZE }, { 0 } };
	char answer[120];
	struct fake_step rest[] = {
		PING, { BLOB_PATH, "Range: bytes=", answer, &blob[UNIT + 10], .body_len = SIZE - UNIT - 10 }, { 0 },
	};
	struct vn_err err;
	begin();
	snprintf(answer, sizeof(answer), "206\nContent-Range: bytes %u-%u/%u", UNIT + 10, SIZE - 1, SIZE);
	cut(UNIT + 10);
	CHECK_OK(vn_staging_clear(test_dir, &err), &err);
	blob[SIZE / 2] ^= 1;
	CHECK_EQ(run(script, &err), -VN_EDIGEST);
	CHECK_EQ(vn_staging_bytes(test_dir), 0);
	blob[SIZE / 2] ^= 1;
	goes_on(0);
	/* the folder itself is damaged while the machine runs: found at the end, and begun anew */
	cut(UNIT + 10);
	put(".part", 5, "x", 1);
	CHECK_EQ(run(rest, &err), -VN_EDIGEST);
	CHECK_EQ(vn_staging_bytes(test_dir), 0);
	goes_on(0);
	end();
}

/* A registry that knows no ranges: what was there is not mixed with what comes. */
static void test_no_ranges(void)
{
	struct fake_step script[] = { PING, { BLOB_PATH, "Range: bytes=", "200", blob, .body_len = SIZE }, { 0 } };
	struct vn_err err;
	VN_AUTO(vn_buf) got = VN_BUF(SIZE);
	begin();
	cut(UNIT + 10);
	CHECK_OK(run(script, &err), &err);
	CHECK_OK(vn_fs_read(file(".blob"), &got, &err), &err);
	CHECK(got.len == SIZE && !memcmp(got.data, blob, SIZE));
	end();
}

static void test_too_large(void)
{
	static const struct fake_step none[] = { { 0 } };
	struct vn_err err;
	begin();
	desc.size = INT64_MAX;
	CHECK_EQ(run(none, &err), -VN_ELIMIT);
	desc.size = -1;
	CHECK_EQ(run(none, &err), -VN_ELIMIT);
	CHECK_EQ(vn_staging_bytes(test_dir), 0);
	end();
}

/* ---- look() */
struct looked {
	int calls, enough_after, fails_with;
	uint64_t seen[8];
};

static int look(void *user, const struct vn_desc *what, struct vn_in *prefix, struct vn_err *err)
{
	struct looked *l = user;
	const void *block;
	ssize_t n;
	uint64_t sum = 0;
	struct vn_err end = { 0 };
	CHECK_STR(what->digest.text, desc.digest.text);
	while ((n = vn_in_next(prefix, &block, &end)) > 0) {
		CHECK(!memcmp(block, &blob[sum], (size_t)n));
		sum += (uint64_t)n;
	}
	CHECK_EQ(n, -VN_ENETWORK);
	l->seen[l->calls++ % 8] = sum;
	if (l->fails_with)
		return vn_fail(err, l->fails_with, "no");
	return l->calls < l->enough_after ? vn_fail(err, VN_ENETWORK, "more") : 0;
}

static void test_look(void)
{
	struct fake_step script[] = { PING, { BLOB_PATH, "!Range:", "200", blob, .body_len = SIZE }, { 0 } };
	struct fake_step part[] = { PING, { BLOB_PATH, "!Range:", "200", blob, .body_len = SIZE, .unread = true }, { 0 } };
	struct fake_step none[] = { { 0 } };
	struct looked l = { .enough_after = 9 };
	struct vn_err err;
	begin();
	CHECK_OK(run_looked(script, look, &l, &err), &err);
	CHECK_EQ(l.calls, 2);
	CHECK_EQ(l.seen[0], UNIT);
	CHECK_EQ(l.seen[1], 2 * UNIT);
	/* it stands there: nothing is asked for and nobody looks */
	CHECK_OK(run_looked(none, look, &l, &err), &err);
	CHECK_EQ(l.calls, 2);
	CHECK_OK(vn_staging_clear(test_dir, &err), &err);

	l = (struct looked){ .enough_after = 1 };
	CHECK_OK(run_looked(script, look, &l, &err), &err);
	CHECK_EQ(l.calls, 1);
	CHECK_OK(vn_staging_clear(test_dir, &err), &err);

	l = (struct looked){ .fails_with = VN_EREFUSED };
	CHECK_EQ(run_looked(part, look, &l, &err), -VN_EREFUSED);
	CHECK_EQ(l.calls, 1);
	CHECK_STR(err.text, "no");
	/* what is there is looked at before anything is asked for */
	CHECK_EQ(run_looked(none, look, &l, &err), -VN_EREFUSED);
	CHECK_EQ(l.calls, 2);
	CHECK_EQ(l.seen[1], UNIT);
	end();
}

/* ---- manifests */
#define MANIFEST "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}"
#define TYPE "\nContent-Type: " VN_MT_OCI_MANIFEST

static void reads_manifest(const struct fake_step *script)
{
	struct fake_world w;
	struct vn_staging staging = { .dir = test_dir };
	struct vn_source *staged = NULL;
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) found = { 0 };
	fake_world_open(&w, script);
	struct vn_source *far = fake_source(&w, "a:1");
	CHECK_OK(vn_staging_source_open(far, &staging, &staged, &err), &err);
	CHECK_OK(vn_source_manifest(staged, NULL, &bytes, &found, &err), &err);
	CHECK_STR(vn_buf_text(&bytes), MANIFEST);
	CHECK_STR(found.media_type, VN_MT_OCI_MANIFEST);
	CHECK_EQ(found.size, strlen(MANIFEST));
	vn_source_close(staged);
	vn_source_close(far);
	fake_stop(&w.fake);
}

static void test_manifest(void)
{
	static const struct fake_step script[] = { PING, { "GET /v2/a/manifests/1 ", NULL, "200" TYPE, MANIFEST }, { 0 } };
	static const struct fake_step none[] = { { 0 } };
	char path[400];
	begin();
	reads_manifest(script);
	reads_manifest(none);
	snprintf(path, sizeof(path), "%s/1.manifest", test_dir);
	CHECK_EQ(truncate(path, 10), 0);
	reads_manifest(script);
	CHECK_EQ(truncate(path, 0), 0);
	reads_manifest(script);
	reads_manifest(none);
	end();
}

/* What an engine leaves in its scratch folder when it is killed stops nobody. */
static void test_clear(void)
{
	struct vn_err err = { 0 };
	begin();
	CHECK_EQ(mkdir(below("view"), 0700), 0);
	CHECK_EQ(mkdir(below("podman"), 0700), 0);
	CHECK_OK(vn_fs_replace(below("podman/image.tar"), "x", 1, 0600, &err), &err);
	CHECK_OK(vn_fs_replace(below("file"), "x", 1, 0600, &err), &err);
	CHECK_OK(vn_staging_clear(test_dir, &err), &err);
	CHECK(!vn_fs_exists(below("view")) && !vn_fs_exists(below("file")) && vn_fs_exists(below("podman/image.tar")));
	CHECK_OK(vn_fs_remove_tree(below("podman"), &err), &err);
	end();
}

int main(void)
{
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	RUN(test_cut);
	RUN(test_many_small_cuts);
	RUN(test_kill);
	RUN(test_power_cut);
	RUN(test_damage);
	RUN(test_wrong_bytes);
	RUN(test_no_ranges);
	RUN(test_too_large);
	RUN(test_look);
	RUN(test_manifest);
	RUN(test_clear);
	return vn_test_end();
}
