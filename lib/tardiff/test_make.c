#include "tardiff/fixture.h"
#include "tardiff/format.h"
#include "util/cleanup.h"
#include "util/num.h"
#include "util/test.h"

#define MOST (8u << 20)
#define BIG 300000

static uint32_t seed = 1;
static uint32_t random_u32(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8 ^ seed << 13;
}

static void fill(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(random_u32() >> 16);         /* its low bits repeat soon */
}

struct scene {
	struct vn_buf tar, delta, again;
	struct vn_tardiff_entry entries[64];
	size_t count;
	struct vn_tardiff_stats stats;
};
static void scene_release(struct scene *s)
{
	vn_buf_release(&s->tar);
	vn_buf_release(&s->delta);
	vn_buf_release(&s->again);
}
#define SCENE { .tar = VN_BUF(MOST), .delta = VN_BUF(MOST), .again = VN_BUF(MOST) }

/* A record before the contents and padding behind them, as in a tar. */
static void add_file(struct scene *s, const char *old_path, const void *data, size_t len)
{
	struct vn_err err = { 0 };
	static const uint8_t zeros[512];
	uint8_t record[512] = { 0 };
	fill(record, 64);
	CHECK_OK(vn_buf_add(&s->tar, record, sizeof(record), &err), &err);
	s->entries[s->count++] = (struct vn_tardiff_entry){ s->tar.len, len, old_path };
	CHECK_OK(vn_buf_add(&s->tar, data, len, &err), &err);
	CHECK_OK(vn_buf_add(&s->tar, zeros, -len & 511, &err), &err);
}

static int make(struct scene *s, struct fixture_image *image, int version, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_OUT *out = NULL;
	struct vn_tardiff_options options = { .version = version, .level = 6 };
	int rc = vn_out_buf(ret, &out, err);
	if (rc < 0)
		return rc;
	rc = vn_tardiff_make(&image->files, s->tar.data, s->tar.len, s->entries, s->count, &options, out, &s->stats, err);
	if (rc < 0)
		return rc;
	return vn_out_finish(out, err);
}

static int apply(const struct vn_buf *delta, struct fixture_image *image, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *out = NULL;
	int rc = vn_in_memory(delta->data, delta->len, &in, err);
	if (rc < 0 || (rc = vn_out_buf(ret, &out, err)) < 0 || (rc = vn_tardiff_apply(&image->files, in, out, NULL, err)) < 0)
		return rc;
	return vn_out_finish(out, err);
}

/* There and back again; the delta is the same when it is made again. */
static void trip(struct scene *s, const struct fixture_file *list, size_t count, int version)
{
	struct vn_err err = { 0 };
	struct fixture_image image = fixture_image(list, count);
	VN_AUTO(vn_buf) twin = VN_BUF(MOST);
	uint64_t bytes = 0;
	vn_buf_clear(&s->delta);
	vn_buf_clear(&s->again);
	CHECK_OK(make(s, &image, version, &s->delta, &err), &err);
	CHECK_OK(make(s, &image, version, &twin, &err), &err);
	CHECK(s->delta.len == twin.len && memcmp(s->delta.data, twin.data, twin.len) == 0);
	CHECK_OK(apply(&s->delta, &image, &s->again, &err), &err);
	CHECK_EQ(s->again.len, s->tar.len);
	CHECK(s->again.len == s->tar.len && (s->tar.len == 0 || memcmp(s->again.data, s->tar.data, s->tar.len) == 0));
	CHECK_EQ(image.opened, 0);
	CHECK_EQ(s->stats.size, s->delta.len);
	for (int i = 0; i < VN_TARDIFF_METHODS; i++)
		bytes += s->stats.method[i].bytes;
	for (size_t i = 0; i < s->count; i++)
		bytes -= s->entries[i].len;
	CHECK_EQ(bytes, 0);
}

static void test_kinds(void)
{
	static uint8_t old[BIG], data[BIG + 100], floats[BIG], tuned[BIG], fresh[5000];
	VN_CLEANUP(scene_release) struct scene s = SCENE;
	const struct fixture_file list[] = { { "a/same", old, BIG }, { "a/floats", floats, BIG }, { "short", "tiny", 4 },
					     { "empty", "", 0 } };
	fill(old, BIG);
	fill(fresh, sizeof(fresh));
	memcpy(data, old, 100000);                            /* 100 bytes come in between, and every 1,000th changes */
	fill(data + 100000, 100);
	memcpy(data + 100100, old + 100000, BIG - 100000);
	for (size_t i = 0; i < sizeof(data); i += 1000)
		data[i]++;
	for (size_t i = 0; i < BIG; i += 4) {                 /* no four bytes in a row agree, their high halves do */
		vn_put_u32(floats + i, 0x3d000000 + random_u32() % 0x1000000);
		vn_put_u32(tuned + i, vn_get_u32(floats + i) + 1 + random_u32() % 200);
	}
	add_file(&s, "a/same", old, BIG);
	add_file(&s, "a/same", data, sizeof(data));
	add_file(&s, "a/same", old + 1000, 50000);            /* a part */
	add_file(&s, "a/floats", tuned, BIG);
	add_file(&s, NULL, fresh, sizeof(fresh));
	add_file(&s, "a/same", fresh, sizeof(fresh));         /* nothing in common */
	add_file(&s, "short", "tiny", 4);
	add_file(&s, "empty", "x", 1);
	add_file(&s, "short", "", 0);
	trip(&s, list, 4, 1);
	CHECK_EQ(s.stats.method[VN_TARDIFF_COPY].files, 1);
	CHECK_EQ(s.stats.method[VN_TARDIFF_ADD].files, 3);
	CHECK_EQ(s.stats.method[VN_TARDIFF_DICT].files, 0);
	/* new bytes, 300 changed ones, a third of the floats, one record for each file */
	CHECK(s.stats.size < 100 + sizeof(fresh) * 2 + 300 * 8 + BIG / 3 + 9 * 96);
	trip(&s, list, 4, 2);
	CHECK_EQ(s.stats.method[VN_TARDIFF_COPY].files, 1);
	CHECK(s.stats.method[VN_TARDIFF_ADD].files >= 1);
}

/* Sentences in another order: ranges find them one by one, a dictionary costs less. */
static void test_dictionary(void)
{
	static char old[60000], data[60000];
	VN_CLEANUP(scene_release) struct scene s = SCENE;
	const struct fixture_file list[] = { { "words", old, sizeof(old) } };
	fill((uint8_t *)old, sizeof(old));
	for (size_t i = 0; i < sizeof(data); i += 20)
		memcpy(data + i, old + (i * 7919) % sizeof(old) / 20 * 20, 20);
	add_file(&s, "words", data, sizeof(data));
	trip(&s, list, 1, 1);
	size_t first = s.delta.len;
	CHECK_EQ(s.stats.method[VN_TARDIFF_DICT].files, 0);
	CHECK(memcmp(s.delta.data, "tardf1\n", 8) == 0);
	trip(&s, list, 1, 2);
	CHECK_EQ(s.stats.method[VN_TARDIFF_DICT].files, 1);
	CHECK(memcmp(s.delta.data, "tardf2\n", 8) == 0);
	CHECK(s.delta.len < first);
}

static void test_random(void)
{
	static uint8_t old[2][20000], data[30000];
	for (int round = 0; round < 60; round++) {
		VN_CLEANUP(scene_release) struct scene s = SCENE;
		const struct fixture_file list[] = { { "one", old[0], random_u32() % 20000 },
						     { "d/two", old[1], random_u32() % 3000 } };
		fill(old[0], sizeof(old[0]));
		fill(old[1], sizeof(old[1]));
		for (int f = 0; f < 4; f++) {
			const struct fixture_file *from = &list[random_u32() % 2];
			size_t len = 0;
			for (int part = random_u32() % 5; part > 0; part--) {
				size_t n = random_u32() % 5000, at = from->len ? random_u32() % from->len : 0;
				if (random_u32() % 3 == 0 || n > from->len - at)
					fill(data + len, n);
				else
					memcpy(data + len, (const uint8_t *)from->data + at, n);
				for (size_t i = 0; random_u32() % 2 && i < n; i += 1 + random_u32() % 60)
					data[len + i] = (uint8_t)(data[len + i] + random_u32());
				len += n;
			}
			add_file(&s, random_u32() % 8 ? from->path : NULL, data, len);
		}
		trip(&s, list, 2, 1 + round % 2);
	}
}

static void test_arguments(void)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(scene_release) struct scene s = SCENE;
	static char text[6000], deep[5000];
	memset(text, 'x', sizeof(text));
	memset(deep, 'd', sizeof(deep) - 1);
	const struct fixture_file list[] = { { "here", text, sizeof(text) }, { "latin\xe9", text, sizeof(text) },
					     { "not/../clean", text, sizeof(text) }, { deep, text, sizeof(text) } };
	struct fixture_image image = fixture_image(list, 4);
	for (int i = 1; i < 4; i++)
		add_file(&s, list[i].path, text, sizeof(text));
	trip(&s, list, 4, 1);
	CHECK_EQ(s.stats.method[VN_TARDIFF_DATA].files, 3);   /* paths that other readers refuse */
	add_file(&s, "absent", text, sizeof(text));
	vn_buf_clear(&s.delta);
	CHECK_EQ(make(&s, &image, 1, &s.delta, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "absent");
	s.count--;
	s.entries[1].offset = s.entries[0].offset + s.entries[0].len - 1;
	CHECK_EQ(make(&s, &image, 1, &s.delta, &err), -VN_EUSAGE);
	s.entries[1].offset = s.tar.len - 10;
	CHECK_EQ(make(&s, &image, 1, &s.delta, &err), -VN_EUSAGE);
	s.count = 1;
	CHECK_EQ(make(&s, &image, 3, &s.delta, &err), -VN_EUSAGE);
}

/* Every bit of a small tar-diff: never anything else than the tar, unless an error says so. */
static void test_flips(void)
{
	static uint8_t old[400], data[400];
	VN_CLEANUP(scene_release) struct scene s = SCENE;
	const struct fixture_file list[] = { { "old", old, sizeof(old) } };
	struct fixture_image image = fixture_image(list, 1);
	size_t unseen = 0;
	fill(old, sizeof(old));
	memcpy(data, old, sizeof(data));
	data[200] ^= 1;
	add_file(&s, "old", data, sizeof(data));
	for (int version = 1; version <= 2; version++) {
		trip(&s, list, 1, version);
		for (size_t bit = 0; bit < s.delta.len * 8; bit++) {
			struct vn_err err = { 0 };
			s.delta.data[bit / 8] = (char)(s.delta.data[bit / 8] ^ 1 << bit % 8);
			vn_buf_clear(&s.again);
			int rc = apply(&s.delta, &image, &s.again, &err);
			s.delta.data[bit / 8] = (char)(s.delta.data[bit / 8] ^ 1 << bit % 8);
			if (rc == 0)
				unseen += s.again.len != s.tar.len || memcmp(s.again.data, s.tar.data, s.tar.len) != 0;
			else if (rc != -VN_EDIGEST && rc != -VN_ELIMIT && rc != -VN_EUNSAFE)
				CHECK(rc == -VN_EFORMAT && bit < 64);
		}
	}
	CHECK_EQ(unseen, 0);
}

int main(void)
{
	RUN(test_kinds);
	RUN(test_dictionary);
	RUN(test_random);
	RUN(test_arguments);
	RUN(test_flips);
	return vn_test_end();
}
