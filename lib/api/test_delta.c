/* Deltas as the public interface makes, shows and applies them. */
#include "api/fixture.h"
#include <fcntl.h>
#include <sys/stat.h>

#define FLOATS 3000

static void put_file(const char *name, const void *bytes, size_t len)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_fs_replace(below(name), bytes, len, 0644, &err), &err);
}

/* Reads it back; "" when it is not there. */
static struct vn_buf get_file(const char *name)
{
	struct vn_err err = { 0 };
	struct vn_buf bytes = VN_BUF(1u << 20);
	if (vn_fs_exists(below(name)))
		CHECK_OK(vn_fs_read(below(name), &bytes, &err), &err);
	return bytes;
}

static bool same_files(const char *a, const char *b)
{
	VN_AUTO(vn_buf) x = get_file(a), y = get_file(b);
	return x.len == y.len && (!x.len || !memcmp(x.data, y.data, x.len));
}

/* "old": weights; "new": the same, moved a little; "alien": others; "copy": old again. */
static void put_weights(void)
{
	static float w[FLOATS], moved[FLOATS], alien[FLOATS];
	uint32_t x = 7;
	for (size_t i = 0; i < FLOATS; i++) {
		x = x * 1664525 + 1013904223;
		w[i] = (float)(int32_t)x / 2147483648.0f;
		moved[i] = w[i] * (1.0f + (float)(x >> 8 & 255) / 1048576.0f);
		x = x * 1664525 + 1013904223;
		alien[i] = (float)(int32_t)(x ^ x >> 15) / 1073741824.0f;
	}
	put_file("old", w, sizeof(w));
	put_file("copy", w, sizeof(w));
	put_file("new", moved, sizeof(moved));
	put_file("alien", alien, sizeof(alien));
}

static struct vn_delta_run *make(struct vn *vn, const char *old_name, const char *new_name, const char *dest,
				 const struct vn_delta_settings *settings, int want)
{
	struct vn_err err = { 0 };
	struct vn_delta_run *run = NULL;
	int r = vn_delta_make_run(vn, below(old_name), below(new_name), dest ? below(dest) : NULL, settings, &run, &err);
	CHECK_EQ(r, -want);
	if (r != -want)
		printf("# %s\n", err.text);
	CHECK_EQ(run != NULL, want == 0 || want == VN_EREFUSED);
	return run;
}

static int apply(struct vn *vn, const char *old_name, const char *delta, const char *dest, uint64_t memory)
{
	struct vn_err err = { 0 };
	struct vn_delta_settings settings = { .size = sizeof(settings), .max_memory = memory };
	struct vn_delta_run *run = NULL;
	int r = vn_delta_apply_run(vn, below(old_name), below(delta), dest ? below(dest) : NULL, &settings, &run, &err);
	CHECK_EQ(run != NULL, r == 0);
	if (r == 0) {
		const struct vn_delta_result *result = vn_delta_get(run);
		CHECK(result->exact);
		CHECK_STR(result->target, dest ? below(dest) : "");
		CHECK_STR(result->verb, "apply");
	} else {
		CHECK(*err.text);
	}
	vn_delta_free(run);
	return -r;
}

static void test_files(void)
{
	struct vn *vn = handle("cache");
	put_weights();
	struct vn_delta_run *run = make(vn, "old", "new", "delta", NULL, 0);
	const struct vn_delta_item *item = vn_delta_get(run)->items;
	struct stat st;
	CHECK_EQ(vn_delta_get(run)->nitems, 1);
	CHECK(!item->image && item->written);
	CHECK_STR(item->reference, below("delta"));
	CHECK_STR(item->relation, "fine-tuned");
	CHECK_EQ(item->new_size, FLOATS * 4);
	CHECK_EQ(item->full, item->new_size);
	CHECK(item->size < item->full && item->memory > 0);
	CHECK(stat(below("delta"), &st) == 0 && (uint64_t)st.st_size == item->size && (st.st_mode & 0777) == 0644);
	CHECK_HAS(vn_delta_get(run)->sentence, "A device fetches ");
	vn_delta_free(run);
	CHECK_EQ(apply(vn, "old", "delta", "made", 0), 0);
	CHECK(same_files("made", "new"));
	CHECK_EQ(apply(vn, "old", "delta", NULL, 0), 0);
	CHECK_EQ(apply(vn, "copy", "delta", "copy", 0), 0);
	CHECK(same_files("copy", "new"));
	vn_close(vn);
}

static void test_nothing_is_written_by_a_question(void)
{
	struct vn *vn = handle("cache");
	struct vn_delta_run *run = make(vn, "old", "new", NULL, NULL, 0);
	CHECK(!vn_delta_get(run)->items->written);
	CHECK_STR(vn_delta_get(run)->items->reference, "");
	vn_delta_free(run);
	vn_close(vn);
}

static void test_refusals(void)
{
	struct vn *vn = handle("cache");
	struct vn_delta_settings larger = { .size = sizeof(larger), .larger = true };
	uint8_t noise[600];
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * i * 151 + i * 31 + (i >> 3));
	put_file("noise", noise, 40);
	struct vn_delta_run *run = make(vn, "old", "noise", "none", NULL, VN_EREFUSED);
	CHECK_STR(vn_delta_get(run)->items->reason, "it saves nothing");
	CHECK(!vn_delta_get(run)->items->written && !vn_fs_exists(below("none")));
	vn_delta_free(run);
	run = make(vn, "old", "noise", "none", &larger, 0);
	CHECK(vn_delta_get(run)->items->written && vn_fs_exists(below("none")));
	vn_delta_free(run);
	CHECK_EQ(apply(vn, "old", "none", "made", 0), 0);
	CHECK(same_files("made", "noise"));
	make(vn, "old", "new", "old", NULL, VN_EUSAGE);
	make(vn, "old", "new", "new", NULL, VN_EUSAGE);
	make(vn, "old", "nowhere", NULL, NULL, VN_ENOTFOUND);
	vn_close(vn);
}

/* Whatever is wrong: a failure of integrity, and OUT stays as it was. */
static void test_bad_deltas(void)
{
	struct vn *vn = handle("cache");
	struct vn_delta_run *run = make(vn, "old", "new", "delta", NULL, 0);
	VN_AUTO(vn_buf) good = get_file("delta");
	vn_delta_free(run);
	put_file("before", "before", 6);
	put_file("made", "before", 6);
	for (size_t at = 0; at < good.len; at += at < 80 ? 1 : 397) {
		put_file("bad", good.data, at);
		CHECK_EQ(vn_exit_status((enum vn_code)apply(vn, "old", "bad", "made", 0)), 4);
		good.data[at] ^= 0x20;
		put_file("bad", good.data, good.len);
		good.data[at] ^= 0x20;
		/* a damaged magic makes it a plain file, which is no delta either */
		CHECK_EQ(vn_exit_status((enum vn_code)apply(vn, "old", "bad", "made", 0)), 4);
	}
	CHECK_EQ(vn_exit_status((enum vn_code)apply(vn, "alien", "delta", "made", 0)), 4);
	CHECK_EQ(vn_exit_status((enum vn_code)apply(vn, "noise", "delta", "made", 0)), 4);
	CHECK_EQ(vn_exit_status((enum vn_code)apply(vn, "old", "delta", "made", 1000)), 4);
	CHECK(same_files("made", "before"));
	vn_close(vn);
}

static void test_show(void)
{
	struct vn *vn = handle("cache");
	struct vn_err err = { 0 };
	struct vn_delta_run *made = make(vn, "old", "new", "delta", NULL, 0), *run = NULL;
	const struct vn_delta_item *was = vn_delta_get(made)->items, *item;
	VN_AUTO_FREE char *json = NULL;
	uint64_t plain = 0;
	CHECK_OK(vn_delta_show_run(vn, below("delta"), NULL, &run, &err), &err);
	item = vn_delta_get(run)->items;
	CHECK_EQ(item->size, was->size);
	CHECK_EQ(item->memory, was->memory);
	CHECK_STR(item->new_digest, was->new_digest);
	CHECK(!strncmp(item->old_digest, was->old_digest, strlen(item->old_digest)) && strlen(item->old_digest) >= 23);
	CHECK_STR(item->relation, was->relation);
	CHECK_EQ(item->nmethods, was->nmethods);
	for (size_t i = 0; i < item->nregions; i++) {
		CHECK_EQ(item->regions[i].at, plain);
		CHECK_STR(item->regions[i].file, "");
		plain += item->regions[i].length;
	}
	CHECK_EQ(plain, FLOATS * 4);
	CHECK_OK(vn_delta_json(run, &json, &err), &err);
	CHECK_HAS(json, "veneer.delta/1");
	vn_delta_free(made);
	vn_delta_free(run);
	vn_close(vn);
}

static void test_relations(void)
{
	struct vn *vn = handle("cache");
	static const char *const pairs[][3] = { { "old", "old", "same weights" }, { "old", "alien", "unrelated" } };
	for (size_t i = 0; i < 2; i++) {
		struct vn_delta_settings larger = { .size = sizeof(larger), .larger = true, .effort = 1 };
		struct vn_delta_run *run = make(vn, pairs[i][0], pairs[i][1], NULL, &larger, 0);
		CHECK_STR(vn_delta_get(run)->items->relation, pairs[i][2]);
		vn_delta_free(run);
	}
	vn_close(vn);
}

/* What names mean, and what does not go together. */
static int names(struct vn *vn, const char *old_name, const char *new_name, const struct vn_delta_settings *settings, const char *says)
{
	struct vn_err err = { 0 };
	struct vn_delta_run *run = NULL;
	int r = vn_delta_make_run(vn, old_name, new_name, NULL, settings, &run, &err);
	CHECK_HAS(err.text, says);
	CHECK(!run);
	vn_delta_free(run);
	return -r;
}

static void test_names(void)
{
	struct vn *vn = handle("cache");
	struct vn_delta_settings files = { .size = sizeof(files), .files = true };
	struct vn_delta_settings both = { .size = sizeof(both), .files = true, .images = true };
	struct vn_delta_settings hard = { .size = sizeof(hard), .effort = 4 };
	struct vn_delta_settings tardiff = { .size = sizeof(tardiff), .interop = 3 };
	struct vn_delta_settings unset = { .size = 0 };
	struct vn_err err = { 0 };
	CHECK_OK(vn_fs_mkdirs(below("folder"), 0755, &err), &err);
	CHECK_EQ(mkfifo(below("pipe"), 0600), 0);
	CHECK_EQ(names(vn, below("old"), oci("layout"), NULL, "is a file, and NEW oci:"), VN_EUSAGE);
	CHECK_EQ(names(vn, "oci:x:1", below("old"), NULL, "is an image, and NEW"), VN_EUSAGE);
	CHECK_EQ(names(vn, "model.onnx", below("old"), NULL, "there is no file model.onnx"), VN_ENOTFOUND);
	CHECK_EQ(names(vn, "repo/app:1", below("old"), &files, "there is no file repo/app:1"), VN_ENOTFOUND);
	CHECK_EQ(names(vn, below("folder"), below("old"), NULL, "is a folder"), VN_EUSAGE);
	CHECK_EQ(names(vn, below("pipe"), below("old"), NULL, "no regular file"), VN_EUSAGE);
	CHECK_EQ(names(vn, "", below("old"), NULL, "OLD is empty"), VN_EUSAGE);
	CHECK_EQ(names(vn, below("old"), below("old"), &both, "not both"), VN_EUSAGE);
	CHECK_EQ(names(vn, below("old"), below("old"), &hard, "effort"), VN_EUSAGE);
	CHECK_EQ(names(vn, below("old"), below("old"), &tardiff, "tar-diff"), VN_EUSAGE);
	CHECK_EQ(names(vn, below("old"), below("old"), &unset, "size is not set"), VN_EUSAGE);
	vn_close(vn);
}

static void test_images(void)
{
	struct vn *vn = handle("cache");
	struct vn_delta_settings larger = { .size = sizeof(larger), .larger = true };
	struct vn_delta_settings wrong = { .size = sizeof(wrong), .digest = "sha256:"
					   "0000000000000000000000000000000000000000000000000000000000000000" };
	struct vn_delta_run *made = NULL, *shown = NULL, *applied = NULL, *none = NULL;
	struct vn_err err = { 0 };
	put_stack("image-1", "d a; f a/base 1|f a/model.onnx 1; f a/other 1");
	put_stack("image-2", "d a; f a/base 1|f a/model.onnx 2; f a/other 1");
	put_stack("image-3", "d a; f a/base 1|f a/model.onnx 3");
	CHECK_OK(vn_delta_make_run(vn, oci("image-1"), oci("image-2"), below("delta.oci"), &larger, &made, &err), &err);
	CHECK_OK(vn_delta_show_run(vn, below("delta.oci"), NULL, &shown, &err), &err);
	CHECK_OK(vn_delta_apply_run(vn, oci("image-1"), below("delta.oci"), oci("rebuilt"), NULL, &applied, &err), &err);
	if (!made || !shown || !applied) {
		vn_close(vn);
		return;
	}
	const struct vn_delta_item *item = vn_delta_get(made)->items, *seen = vn_delta_get(shown)->items;
	CHECK(item->image && item->written && item->inline_data);
	CHECK_STR(item->platform, "linux/amd64");
	CHECK_EQ(item->nlayers, 2);
	CHECK_STR(item->layers[0].how, "reused");
	CHECK_STR(item->layers[1].how, "rebuilt");
	CHECK_STR(seen->reference, below("delta.oci"));
	CHECK_STR(seen->digest, item->digest);
	CHECK_STR(seen->new_digest, item->new_digest);
	CHECK_EQ(seen->memory, item->memory);
	CHECK(seen->nregions > 0 && !strcmp(seen->regions[0].file, "manifest"));
	CHECK(vn_delta_get(applied)->exact);
	CHECK_HAS(vn_delta_get(applied)->target, item->new_digest);
	CHECK_EQ(vn_delta_apply_run(vn, oci("image-3"), below("delta.oci"), oci("never"), NULL, &none, &err), -VN_EDIGEST);
	CHECK_EQ(vn_delta_apply_run(vn, oci("image-1"), below("delta.oci"), oci("never"), &wrong, &none, &err), -VN_EDIGEST);
	CHECK(!none && !vn_fs_exists(below("never")));
	CHECK_EQ(vn_delta_push_run(vn, NULL, 0, oci("image-2"), NULL, &none, &err), -VN_EUSAGE);
	vn_delta_free(made);
	vn_delta_free(shown);
	vn_delta_free(applied);
	vn_close(vn);
}

int main(void)
{
	fixture_begin();
	RUN(test_files);
	RUN(test_nothing_is_written_by_a_question);
	RUN(test_refusals);
	RUN(test_bad_deltas);
	RUN(test_show);
	RUN(test_relations);
	RUN(test_names);
	RUN(test_images);
	fixture_end();
	return vn_test_end();
}
