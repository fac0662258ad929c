#include "pull/journal.h"
#include "util/fs.h"
#include "util/test.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct vn_digest digest_of(int n)
{
	struct vn_digest d;
	snprintf(d.text, sizeof(d.text), "sha256:%064d", n);
	return d;
}

static struct vn_release release_of(int n)
{
	struct vn_release r = { .manifest = digest_of(n), .image = digest_of(n + 1000), .channel = digest_of(n + 2000),
				.counter = (uint64_t)n, .layers = 3, .base = 2, .installed = 1700000000 + n };
	snprintf(r.name, sizeof(r.name), "edge.example.io/app:veneer-%d", n);
	snprintf(r.label, sizeof(r.label), "iot-%d", n);
	snprintf(r.how, sizeof(r.how), "delta");
	return r;
}

static struct vn_journal *new_journal(void)
{
	struct vn_journal *j = calloc(1, sizeof(*j));
	struct vn_release r;
	for (int i = 1; i <= 3; i++) {
		r = release_of(i);
		vn_journal_add(j, &r);
	}
	j->active = digest_of(3);
	snprintf(j->reference, sizeof(j->reference), "edge.example.io/app:prod");
	j->update.step = VN_STEP_FETCHING;
	j->update.release = release_of(4);
	j->update.from = digest_of(3);
	j->update.need = 12345;
	j->update.present = 2;
	snprintf(j->update.key, sizeof(j->update.key), "%064d", 7);
	j->update.expires = 1893456000;
	j->update.starts = 2;
	j->starts = 1;
	j->update.delta_failed = true;
	j->pinned = true;
	j->trial = digest_of(3);
	j->back = digest_of(2);
	j->month_bytes = 77;
	j->error_status = 5;
	snprintf(j->error, sizeof(j->error), "a \"quoted\" line\nand another");
	j->refused = j->asked = digest_of(2009);
	vn_journal_happened(j, 1700000000, "active", &j->releases[0], "delta", 9000);
	return j;
}

static void test_round_trip(void)
{
	struct vn_err err = { 0 };
	struct vn_journal *j = new_journal(), *got = calloc(1, sizeof(*got));
	VN_AUTO(vn_buf) text = VN_BUF(1 << 20), again = VN_BUF(1 << 20);
	CHECK_OK(vn_journal_text(j, &text, &err), &err);
	CHECK_OK(vn_journal_parse(text.data, text.len, got, &err), &err);
	CHECK_OK(vn_journal_text(got, &again, &err), &err);
	CHECK_STR(vn_buf_text(&text), vn_buf_text(&again));
	CHECK_EQ(got->update.step, VN_STEP_FETCHING);
	CHECK_STR(got->update.release.label, "iot-4");
	CHECK_STR(got->error, j->error);
	CHECK(got->pinned && got->update.delta_failed);
	CHECK_STR(got->update.key, j->update.key);
	CHECK_EQ(got->update.starts, 2);
	CHECK_EQ(got->starts, 1);
	free(j);
	free(got);
}

static void test_before(void)
{
	struct vn_journal *j = new_journal();
	CHECK(!vn_journal_before(j, 0));
	for (size_t i = j->nreleases; i-- > 0;)
		vn_journal_activate(j, &j->releases[i], 0);
	CHECK_STR(vn_journal_active(j)->label, "iot-3");
	CHECK_STR(vn_journal_before(j, 0)->label, "iot-2");
	j->releases[1].unhealthy = true;
	CHECK_STR(vn_journal_before(j, 0)->label, "iot-1");
	j->releases[2].turn = 0;
	CHECK(!vn_journal_before(j, 0));
	free(j);
}

static void test_wanting(void)
{
	struct vn_journal *j = calloc(1, sizeof(*j));
	struct vn_digest d[20];
	for (int i = 0; i < 20; i++) {
		d[i] = digest_of(i);
		CHECK(!vn_journal_is_wanting(j, &d[i]));
		vn_journal_set_wanting(j, &d[i], true);
		vn_journal_set_wanting(j, &d[i], true);
		CHECK(vn_journal_is_wanting(j, &d[i]));
	}
	CHECK(vn_journal_is_wanting(j, &d[12]) && !vn_journal_is_wanting(j, &d[2]));
	vn_journal_set_wanting(j, &d[15], false);
	vn_journal_set_wanting(j, &d[2], false);
	CHECK(!vn_journal_is_wanting(j, &d[15]) && vn_journal_is_wanting(j, &d[14]) && vn_journal_is_wanting(j, &d[16]));
	for (int i = 0; i < 20; i++)
		vn_journal_set_wanting(j, &d[i], false);
	CHECK_STR(j->wanting, "");
	free(j);
}

static void test_releases(void)
{
	struct vn_journal *j = new_journal();
	struct vn_release r = release_of(2);
	struct vn_digest d = digest_of(2);
	CHECK_STR(j->releases[0].label, "iot-3");
	CHECK_STR(vn_journal_active(j)->label, "iot-3");
	vn_journal_add(j, &r);
	CHECK_EQ(j->nreleases, 3);
	CHECK_STR(j->releases[0].label, "iot-2");
	CHECK_STR(j->releases[2].label, "iot-1");
	vn_journal_remove(j, &d);
	CHECK_EQ(j->nreleases, 2);
	CHECK(!vn_journal_release(j, &d));
	for (int i = 10; i < 40; i++) {
		r = release_of(i);
		vn_journal_add(j, &r);
	}
	CHECK_EQ(j->nreleases, VN_MAX_RELEASES);
	CHECK_STR(j->releases[0].label, "iot-39");
	free(j);
}

static void test_history(void)
{
	struct vn_journal *j = calloc(1, sizeof(*j));
	for (int i = 0; i < VN_MAX_HISTORY + 5; i++)
		vn_journal_happened(j, i, "active", NULL, "", 0);
	CHECK_EQ(j->nhistory, VN_MAX_HISTORY);
	CHECK_EQ(j->history[0].time, 5);
	free(j);
}

static void test_bad(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "{", "journal.json" },
		{ "[]", "object" },
		{ "{}", "schema" },
		{ "{\"schema\":\"x/1\"}", "x/1" },
		{ "{\"schema\":\"veneer-pull.journal/1\",\"active\":\"sha256:0\"}", "" },
		{ "{\"schema\":\"veneer-pull.journal/1\",\"releases\":[{}]}", "has no manifest" },
		{ "{\"schema\":\"veneer-pull.journal/1\",\"failures\":-1}", "out of range" },
		{ "{\"schema\":\"veneer-pull.journal/1\",\"update\":{\"step\":\"flying\"}}", "flying" },
		{ "{\"schema\":\"veneer-pull.journal/1\",\"active\":"
		  "\"sha256:0000000000000000000000000000000000000000000000000000000000000001\"}", "does not hold it" },
	};
	struct vn_journal *j = calloc(1, sizeof(*j));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vn_err err = { 0 };
		CHECK(vn_journal_parse(bad[i].text, strlen(bad[i].text), j, &err) < 0);
		CHECK_HAS(err.text, bad[i].says);
	}
	free(j);
}

static void put(const char *dir, const char *name, const char *text)
{
	struct vn_err err = { 0 };
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK_OK(vn_fs_replace(path, text, strlen(text), 0644, &err), &err);
}

/* The newest may be lost by a disk; the one before it may not be used while the newest is fine. */
static void test_files(void)
{
	char dir[] = "/tmp/veneer-journal-XXXXXX";
	struct vn_err err = { 0 };
	bool older = true;
	CHECK(mkdtemp(dir) != NULL);
	struct vn_journal *j = new_journal(), *got = calloc(1, sizeof(*got));
	CHECK_OK(vn_journal_read(dir, got, &older, &err), &err);
	CHECK(!older && !got->nreleases);
	CHECK_OK(vn_journal_write(dir, j, false, &err), &err);
	j->month_bytes = 78;
	CHECK_OK(vn_journal_write(dir, j, false, &err), &err);
	CHECK_OK(vn_journal_read(dir, got, &older, &err), &err);
	CHECK(!older);
	CHECK_EQ(got->month_bytes, 78);
	put(dir, VN_JOURNAL_FILE, "");
	CHECK_OK(vn_journal_read(dir, got, &older, &err), &err);
	CHECK(older);
	CHECK_EQ(got->month_bytes, 77);
	/* the damaged one does not take the place of the one before it */
	CHECK_OK(vn_journal_write(dir, j, true, &err), &err);
	put(dir, VN_JOURNAL_FILE, "");
	CHECK_OK(vn_journal_read(dir, got, &older, &err), &err);
	CHECK_EQ(got->month_bytes, 77);
	put(dir, VN_JOURNAL_BEFORE, "{");
	CHECK_EQ(vn_journal_read(dir, got, &older, &err), -VN_EDIGEST);
	CHECK_HAS(err.hint, "Move");
	CHECK_OK(vn_fs_remove_tree(dir, &err), &err);
	free(j);
	free(got);
}

int main(void)
{
	RUN(test_round_trip);
	RUN(test_releases);
	RUN(test_before);
	RUN(test_wanting);
	RUN(test_history);
	RUN(test_bad);
	RUN(test_files);
	return vn_test_end();
}
