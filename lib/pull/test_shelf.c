/* What is removed from a shelf, and above all what is not. */
#include "pull/shelf.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/test_dir.h"
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

static struct vn_digest put(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static struct vn_digest put(const char *fmt, ...)
{
	struct vn_digest digest = { "" };
	struct vn_err err = { 0 };
	char text[4000];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	CHECK_OK(vn_shelf_put(test_dir, text, strlen(text), &digest, &err), &err);
	return digest;
}

#define ENTRY "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":2}"

/* The texts of all blobs are two bytes long. */
static struct vn_digest put_image(const char *config, const char *one, const char *two)
{
	const struct vn_digest c = put("%s", config), a = put("%s", one), b = put("%s", two);
	return put("{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"config\":" ENTRY ",\"layers\":[" ENTRY "," ENTRY
		   "]}",
		   VN_MT_OCI_CONFIG, c.text, VN_MT_OCI_LAYER, a.text, VN_MT_OCI_LAYER, b.text);
}

static struct vn_digest put_index(const struct vn_digest *child, const char *type)
{
	return put("{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_INDEX "\",\"manifests\":[" ENTRY "]}", type, child->text);
}

static const char *blob(const struct vn_digest *digest)
{
	char name[200];
	snprintf(name, sizeof(name), "blobs/sha256/%s", vn_digest_hex(digest));
	return below(name);
}

static bool there(const char *text)
{
	struct vn_digest digest;
	struct vn_err err = { 0 };
	CHECK_OK(vn_digest_of(text, strlen(text), &digest, &err), &err);
	return vn_fs_exists(blob(&digest));
}

static void begin(void)
{
	struct vn_err err = { 0 };
	test_dir_make("shelf");
	CHECK_OK(vn_shelf_make(test_dir, &err), &err);
	CHECK_OK(vn_shelf_make(test_dir, &err), &err);
}

static void list(const struct vn_digest *digest, const char *type, const char *tag)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	struct stat st;
	CHECK_EQ(stat(blob(digest), &st), 0);
	CHECK_OK(vn_desc_init(&desc, type, digest, st.st_size, &err), &err);
	CHECK_OK(vn_shelf_list(test_dir, "0-veneer-", &desc, &tag, 1, &err), &err);
}

static void count(void *user, const char *digest, uint64_t bytes)
{
	(void)digest;
	(void)bytes;
	++*(int *)user;
}

static int collect(const struct vn_shelf_keep *keep, size_t n, const struct vn_digest *only, bool dry_run, struct vn_err *err)
{
	int told = 0;
	*err = (struct vn_err){ 0 };
	int r = vn_shelf_collect(test_dir, keep, n, only, dry_run, count, &told, err);
	return r < 0 ? r : told;
}

static void test_collect(void)
{
	struct vn_err err;
	begin();
	const struct vn_shelf_keep keep[] = { { put_image("c1", "a1", "b1"), 0 }, { put_image("c2", "a2", "b2"), 1 } };
	const struct vn_digest old = put_image("c3", "a1", "b3");
	CHECK_OK(vn_fs_replace(below("blobs/sha256/.tmp-left"), "x", 1, 0600, &err), &err);
	CHECK_OK(vn_fs_replace(below("blobs/sha256/notes"), "x", 1, 0600, &err), &err);
	/* c3, b3, its manifest; a2 stands in the engine */
	CHECK_EQ(collect(keep, 2, NULL, true, &err), 4);
	CHECK(there("c3") && there("a2"));
	CHECK_EQ(collect(keep, 2, NULL, false, &err), 4);
	CHECK(there("c1") && there("a1") && there("b1") && there("c2") && there("b2"));
	CHECK(!there("c3") && !there("b3") && !there("a2") && !vn_fs_exists(blob(&old)));
	CHECK(vn_fs_exists(below("blobs/sha256/notes")));
	CHECK_EQ(collect(keep, 2, NULL, false, &err), 0);
	/* what a run that was killed left half-written goes with the next one that begins */
	CHECK_OK(vn_shelf_make(test_dir, &err), &err);
	CHECK(!vn_fs_exists(below("blobs/sha256/.tmp-left")) && vn_fs_exists(below("blobs/sha256/notes")));
	test_dir_remove();
}

static void test_collect_only(void)
{
	struct vn_err err;
	begin();
	const struct vn_shelf_keep keep[] = { { put_image("c1", "a1", "b1"), 0 } };
	const struct vn_digest old = put_image("c3", "a1", "b3");
	put("xx");
	CHECK_EQ(collect(keep, 1, &old, false, &err), 3);
	CHECK(there("a1") && there("xx") && !there("c3") && !there("b3"));
	CHECK_EQ(collect(keep, 1, &old, false, &err), 0);
	test_dir_remove();
}

static void brought(const struct vn_digest *digest)
{
	struct vn_err err = { 0 };
	char name[200];
	snprintf(name, sizeof(name), "staging/%s" VN_SHELF_BROUGHT, vn_digest_hex(digest));
	CHECK_OK(vn_fs_replace(below(name), "", 0, 0600, &err), &err);
}

static int take_back(const struct vn_shelf_keep *keep, size_t n, struct vn_err *err)
{
	int told = 0;
	char staging[300];
	*err = (struct vn_err){ 0 };
	snprintf(staging, sizeof(staging), "%s/staging", test_dir);
	int r = vn_shelf_take_back(test_dir, staging, keep, n, count, &told, err);
	return r < 0 ? r : told;
}

/* Of a folder that others use as well, only what an update brought and nothing needs. */
static void test_take_back(void)
{
	struct vn_err err;
	begin();
	const struct vn_shelf_keep keep[] = { { put_image("c1", "a1", "b1"), 0 } };
	const struct vn_digest half = put("half"), needed = put("b1");
	put("theirs");
	CHECK_OK(vn_fs_mkdirs(below("staging"), 0700, &err), &err);
	CHECK_EQ(take_back(keep, 1, &err), 0);
	brought(&half);
	brought(&needed);
	CHECK_OK(vn_fs_replace(below("staging/notes" VN_SHELF_BROUGHT), "", 0, 0600, &err), &err);
	CHECK_EQ(take_back(keep, 1, &err), 1);
	CHECK(!there("half") && there("b1") && there("theirs"));
	CHECK_EQ(take_back(keep, 1, &err), 0);
	/* while something damaged lies there nobody knows what is needed */
	put("half");
	CHECK_EQ(truncate(blob(&keep[0].manifest), 20), 0);
	CHECK_EQ(take_back(keep, 1, &err), -VN_EDIGEST);
	CHECK(there("half"));
	test_dir_remove();
}

/* What others have put into index.json is theirs, in whatever depth. */
static void test_foreign(void)
{
	static const char foreign_type[] = "application/vnd.example.thing";
	struct vn_err err;
	begin();
	const struct vn_digest image = put_image("c1", "a1", "b1"), deep = put_index(&image, VN_MT_OCI_MANIFEST);
	const struct vn_digest top = put_index(&deep, VN_MT_OCI_INDEX), thing = put("thing"), ours = put_image("c2", "a2", "b2");
	list(&top, VN_MT_OCI_INDEX, "theirs");
	list(&thing, foreign_type, "thing");
	list(&ours, VN_MT_OCI_MANIFEST, "0-veneer-1");
	CHECK_EQ(collect(NULL, 0, NULL, false, &err), 0);
	/* another image of ours takes the place of the first in index.json, and of theirs none is touched */
	const struct vn_digest next = put_image("c3", "a2", "b3");
	list(&next, VN_MT_OCI_MANIFEST, "0-veneer-2");
	CHECK_EQ(collect(NULL, 0, NULL, false, &err), 3);
	CHECK(there("c1") && there("a1") && there("b1") && there("thing") && there("a2") && there("b3"));
	CHECK(!there("c2") && !there("b2"));
	test_dir_remove();
}

/* Nothing is removed while it is not known what is needed. */
static void test_unreadable(void)
{
	struct vn_err err;
	begin();
	const struct vn_shelf_keep keep[] = { { put_image("c1", "a1", "b1"), 0 } };
	put("xx");
	CHECK_EQ(chmod(blob(&keep[0].manifest), 0600), 0);
	CHECK_EQ(truncate(blob(&keep[0].manifest), 20), 0);
	CHECK_EQ(collect(keep, 1, NULL, false, &err), -VN_EDIGEST);
	CHECK(there("xx") && there("b1"));
	CHECK_OK(vn_fs_replace(below("index.json"), "{\"schemaVersion\":2,", 19, 0644, &err), &err);
	CHECK_EQ(collect(NULL, 0, NULL, false, &err), -VN_EFORMAT);
	CHECK(there("xx") && there("b1"));
	test_dir_remove();

	begin();
	struct vn_digest d = put_image("c1", "a1", "b1");
	const char *type = VN_MT_OCI_MANIFEST;
	for (int i = 0; i < 6; i++, type = VN_MT_OCI_INDEX)
		d = put_index(&d, type);
	list(&d, VN_MT_OCI_INDEX, "theirs");
	CHECK_EQ(collect(NULL, 0, NULL, false, &err), -VN_ELIMIT);
	CHECK(there("c1") && there("a1") && there("b1"));
	test_dir_remove();
}

struct told {
	int sound, bad;
	char digest[VN_DIGEST_TEXT];
};

static void hear(void *user, const char *digest, uint64_t bytes, const char *problem)
{
	struct told *t = user;
	(void)bytes;
	t->sound += !problem;
	t->bad += problem != NULL;
	if (problem)
		snprintf(t->digest, sizeof(t->digest), "%s", digest);
}

static void test_verify(void)
{
	struct vn_err err = { 0 };
	struct told t = { 0 };
	begin();
	put_image("c1", "a1", "b1");
	const struct vn_digest bad = put("zz");
	CHECK_OK(vn_fs_replace(blob(&bad), "zy", 2, 0644, &err), &err);
	CHECK_OK(vn_shelf_verify(test_dir, hear, &t, &err), &err);
	CHECK_EQ(t.sound, 4);
	CHECK_EQ(t.bad, 1);
	CHECK_STR(t.digest, bad.text);
	test_dir_remove();
}

int main(void)
{
	RUN(test_collect);
	RUN(test_collect_only);
	RUN(test_take_back);
	RUN(test_foreign);
	RUN(test_unreadable);
	RUN(test_verify);
	return vn_test_end();
}
