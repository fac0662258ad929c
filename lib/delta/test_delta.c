#include "delta/delta.h"
#include "delta/element.h"
#include "util/cleanup.h"
#include "util/num.h"
#include "util/test.h"
#include <stdlib.h>

#define MOST (8u << 20)

static uint32_t seed = 1;
static uint32_t random_u32(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8 ^ seed << 13;
}

static void fill(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)random_u32();
}

/* Little-endian fp32 around 2^-4, as weights are. */
static void fill_floats(uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 4 <= len; i += 4)
		vn_put_u32(p + i, (random_u32() & 0x80000000u) | (120 + random_u32() % 4) << 23 | (random_u32() & 0x7fffff));
}

static int make(const void *old, size_t old_len, const void *data, size_t len, struct vn_buf *ret, struct vn_delta_stats *stats,
		struct vn_err *err)
{
	VN_AUTO_OUT *out = NULL;
	struct vn_delta_options options = { .effort = 1 };
	int rc = vn_out_buf(ret, &out, err);
	if (rc < 0 || (rc = vn_delta_make(old, old_len, data, len, &options, out, stats, err)) < 0)
		return rc;
	return vn_out_finish(out, err);
}

static int apply(const void *old, size_t old_len, const void *delta, size_t delta_len, const struct vn_delta_apply_options *limits,
		 struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_OUT *out = NULL;
	VN_AUTO_IN *in = NULL;
	struct vn_delta_bytes bytes;
	vn_delta_old_bytes(&bytes, old, old_len);
	int rc = vn_in_memory(delta, delta_len, &in, err);
	if (rc < 0 || (rc = vn_out_buf(ret, &out, err)) < 0 || (rc = vn_delta_apply(&bytes.old, in, out, limits, err)) < 0)
		return rc;
	return vn_out_finish(out, err);
}

/* The size of the delta; there and back again. */
static size_t trip(const void *old, size_t old_len, const void *data, size_t len, struct vn_delta_stats *stats)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), again = VN_BUF(MOST);
	CHECK_OK(make(old, old_len, data, len, &delta, stats, &err), &err);
	CHECK_OK(apply(old, old_len, delta.data, delta.len, NULL, &again, &err), &err);
	CHECK_EQ(again.len, len);
	CHECK(again.len == len && (len == 0 || memcmp(again.data, data, len) == 0));
	if (stats)
		CHECK_EQ(stats->size, delta.len);
	return delta.len;
}

static void test_elements(void)
{
	uint8_t old[67], data[67], diff[67], planes[67], joined[67];
	fill(old, sizeof(old));
	fill(data, sizeof(data));
	for (enum vn_delta_mode mode = VN_DELTA_XOR; mode <= VN_DELTA_FSUB; mode++)
		for (unsigned width = 1; width <= 8; width *= 2)
			for (unsigned phase = 0; phase < width; phase++)
				for (size_t len = 0; len <= sizeof(old); len++) {
					struct vn_delta_shape s = { mode, width, phase };
					vn_delta_difference(&s, old, data, len, diff);
					vn_delta_restore(&s, old, diff, len);
					CHECK(memcmp(diff, data, len) == 0);
				}
	for (unsigned stride = 1; stride < 80; stride++) {
		vn_delta_split(data, sizeof(data), stride, planes);
		vn_delta_join(planes, sizeof(data), stride, joined);
		CHECK(memcmp(joined, data, sizeof(data)) == 0);
	}
	/* -0.0 lies just below 0.0 */
	struct vn_delta_shape s = { VN_DELTA_FSUB, 4, 0 };
	vn_put_u32(old, 0x80000000u);
	vn_put_u32(data, 0);
	vn_delta_difference(&s, old, data, 4, diff);
	CHECK_EQ(vn_get_u32(diff), 2);
}

static void test_classes(void)
{
	unsigned last = 0;
	for (unsigned bits = 2; bits < 64; bits++)
		for (int by = -1; by <= 1; by++) {
			uint64_t v = ((uint64_t)1 << bits) + (uint64_t)(int64_t)by;
			unsigned class = vn_delta_class(v);
			CHECK(class >= last && class < 252 && vn_delta_class_base(class) <= v);
			CHECK(v - vn_delta_class_base(class) < (uint64_t)1 << vn_delta_class_bits(class));
			last = class;
		}
	CHECK_EQ(vn_delta_class(UINT64_MAX), 251);
	CHECK_EQ(vn_delta_class_bits(251), 61);
	CHECK_EQ(vn_delta_class(7), 7);
	CHECK_EQ(vn_delta_class(8), 8);
}

static void test_small(void)
{
	struct vn_delta_stats stats;
	static const char old[] = "{\"threshold\": 0.5, \"features\": [\"vibration\", \"temperature\", \"load\"]}";
	static const char data[] = "{\"threshold\": 0.55, \"features\": [\"vibration\", \"temperature\", \"current\"]}";
	trip("", 0, "", 0, NULL);
	trip(old, sizeof(old), "", 0, NULL);
	CHECK(trip("", 0, old, sizeof(old), NULL) <= sizeof(old) + 64 + 4);
	CHECK(trip(old, sizeof(old), old, sizeof(old), &stats) < 70);
	CHECK_EQ(stats.mode[VN_DELTA_COPY].blocks, 1);
	trip(old, sizeof(old), data, sizeof(data), NULL);
	for (size_t len = 0; len < sizeof(data); len++)
		trip(old, sizeof(old) - len % sizeof(old), data, len, NULL);
}

static void test_floats(void)
{
	size_t len = 600001, shift = 12345;
	struct vn_delta_stats stats;
	VN_AUTO_FREE uint8_t *old = malloc(len + shift), *data = malloc(len + shift);
	fill_floats(old, len);
	for (size_t i = 0; i + 4 <= len; i += 4)
		vn_put_u32(data + i, vn_get_u32(old + i) + random_u32() % 4096 - 2048);
	data[len - 1] = old[len - 1] = 1;
	size_t tuned = trip(old, len, data, len, &stats);
	CHECK(tuned < len * 45 / 100);
	CHECK(stats.mode[VN_DELTA_SUB].blocks + stats.mode[VN_DELTA_FSUB].blocks > 0);
	/* the same with something in front, at an odd phase */
	memmove(data + shift, data, len);
	fill(data, shift);
	size_t shifted = trip(old, len, data, len + shift, &stats);
	CHECK(shifted < tuned + tuned / 10 + shift);
	/* other weights: no worse than without old */
	fill_floats(data, len);
	CHECK(trip(old, len, data, len, &stats) < len * 95 / 100);
}

/* The smaller weights became 0, or kept their sign as they did: what is left is which ones. */
static void test_pruned(void)
{
	size_t len = 400000;
	struct vn_delta_stats stats;
	VN_AUTO_FREE uint8_t *old = malloc(len), *data = malloc(len);
	fill_floats(old, len);
	for (uint32_t k = 0; k < 2; k++) {
		for (size_t i = 0; i + 4 <= len; i += 4) {
			uint32_t v = vn_get_u32(old + i);
			vn_put_u32(data + i, (v & 0x7fffffff) < 0x3d200000 ? v & k << 31 : v);
		}
		CHECK(trip(old, len, data, len, &stats) < len / 80);
	}
}

static void test_halves_and_bytes(void)
{
	size_t len = 300000;
	struct vn_delta_stats stats;
	VN_AUTO_FREE uint8_t *old = malloc(len), *data = malloc(len);
	fill(old, len);
	memcpy(data, old, len);
	for (size_t i = 0; i + 2 <= len; i += 2) {
		unsigned v = (unsigned)(data[i] | data[i + 1] << 8) + random_u32() % 8;
		data[i] = (uint8_t)v, data[i + 1] = (uint8_t)(v >> 8);
	}
	CHECK(trip(old, len, data, len, &stats) < len / 4);
	/* int8, three in a hundred moved by one: gaps and values */
	memcpy(data, old, len);
	for (size_t i = 0; i < len; i++)
		if (random_u32() % 100 < 3)
			data[i] = (uint8_t)(data[i] + 1);
	CHECK(trip(old, len, data, len, &stats) < len / 30);
	/* sparse fp64 at phase 3 */
	memcpy(data, old, len);
	for (size_t i = 3; i + 8 <= len; i += 8)
		if (random_u32() % 50 == 0)
			data[i] ^= 1, data[i + 5] ^= 7;
	CHECK(trip(old, len, data, len, &stats) < len / 100);
}

static void test_text_and_moves(void)
{
	size_t len = 0, most = 400000;
	struct vn_delta_stats stats;
	VN_AUTO_FREE uint8_t *old = malloc(most), *data = malloc(most), *noise = malloc(most);
	while (len + 80 < most)
		len += (size_t)snprintf((char *)old + len, 80, "%u,\"feature_%u\",%u.%u\n", random_u32() % 9000, random_u32() % 300,
					random_u32() % 10, random_u32() % 1000);
	/* halves swapped, some lines lost */
	memcpy(data, old + len / 2, len - len / 2);
	memcpy(data + len - len / 2, old, len / 2 - 777);
	CHECK(trip(old, len, data, len - 777, &stats) < 2000);
	fill(noise, most);
	size_t unrelated = trip(noise, most, old, len, &stats), alone = trip("", 0, old, len, &stats);
	CHECK(unrelated <= alone + 64);
	CHECK(trip(old, len, noise, most, NULL) <= most + 128);
	/* code: what points elsewhere has moved by a constant here and there */
	memcpy(data, noise, most);
	memmove(data + 5000, noise + 4990, most - 5000);
	for (size_t i = 0; i < most; i += 101)
		data[i] = (uint8_t)(data[i] + 16);
	CHECK(trip(noise, most, data, most, &stats) < 9000);
	memset(data, 0, most);
	CHECK(trip(noise, most, data, most, NULL) < 150);
}

/* Pairs whose delta is small and takes every path: both kinds of map, every residual, reference; kind 5 is a copy. */
static size_t small_pair(int kind, uint8_t *old, uint8_t *data)
{
	size_t len = 5000;
	seed = 7;
	fill_floats(old, len);
	memcpy(data, old, len);
	if (kind == 0)
		for (size_t i = 0; i + 4 <= len; i += 4)
			data[i] = (uint8_t)(data[i] + random_u32() % 4);
	if (kind == 1)
		for (size_t i = 50; i < len; i += 400)
			data[i]++;
	if (kind == 2) {
		memmove(data + 100, old, 2000);
		memcpy(data, "something that was not there", 28);
		data[3000]++;
	}
	if (kind == 4)
		for (size_t i = 1; i + 4 <= len; i += 4)
			vn_put_u32(data + i, vn_get_u32(old + i) + random_u32() % 60000);
	if (kind == 3)
		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)"abcdefghij klmnop"[i * i % 17 * (i / 700) % 17];
	return len;
}

static void test_damage(void)
{
	static uint8_t old[5000], data[5000];
	for (int kind = 0; kind < 6; kind++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_buf) delta = VN_BUF(MOST), out = VN_BUF(MOST);
		size_t len = small_pair(kind, old, data);
		CHECK_OK(make(old, len, data, len, &delta, NULL, &err), &err);
		for (size_t bit = 0; bit < delta.len * 8; bit++) {
			err = (struct vn_err){ 0 };
			delta.data[bit / 8] ^= (char)(1 << bit % 8);
			CHECK(apply(old, len, delta.data, delta.len, NULL, &out, &err) < 0 && err.text[0]);
			CHECK_EQ(vn_exit_status(err.code), 4);
			delta.data[bit / 8] ^= (char)(1 << bit % 8);
			vn_buf_clear(&out);
		}
		for (size_t cut = 0; cut < delta.len; cut++) {
			err = (struct vn_err){ 0 };
			int rc = apply(old, len, delta.data, cut, NULL, &out, &err);
			CHECK_EQ(rc, -VN_EDIGEST);
			vn_buf_clear(&out);
		}
		CHECK_OK(vn_buf_add(&delta, "", 1, &err), &err);
		CHECK_EQ(apply(old, len, delta.data, delta.len, NULL, &out, &err), -VN_EDIGEST);
		CHECK_HAS(err.text, "follows the end");
	}
}

/* Where each record ended, and the new bytes up to there. */
struct points {
	struct vn_delta_point at[64];
	size_t count;
};

static int note(void *context, const struct vn_delta_point *at, struct vn_err *err)
{
	struct points *p = context;
	if (p->count == 64)
		return vn_fail(err, VN_ELIMIT, "more than 64 records");
	p->at[p->count++] = *at;
	return 0;
}

static void test_resume(void)
{
	size_t len = 200000;
	struct vn_err err = { 0 };
	struct points points = { .count = 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), out = VN_BUF(MOST);
	VN_AUTO_FREE uint8_t *old = malloc(len), *data = malloc(len);
	struct vn_delta_bytes from, have;
	fill(old, len);
	memcpy(data, old, len);
	fill(data + 90000, 30000);
	for (size_t i = 30000; i < len; i += 3000)
		data[i]++;
	/* a decoder with little memory, so that there are many blocks */
	VN_AUTO_OUT *to = NULL;
	struct vn_delta_options options = { .effort = 1, .memory = 320u << 10 };
	CHECK_OK(vn_out_buf(&delta, &to, &err), &err);
	CHECK_OK(vn_delta_make(old, len, data, len, &options, to, NULL, &err), &err);
	struct vn_delta_apply_options o = { .progress = note, .context = &points };
	CHECK_OK(apply(old, len, delta.data, delta.len, &o, &out, &err), &err);
	CHECK(points.count > 5);
	CHECK_EQ(points.at[points.count - 1].new_bytes, len);
	CHECK_EQ(points.at[points.count - 1].delta_bytes, delta.len);
	vn_delta_old_bytes(&from, old, len);
	for (size_t i = 0; i <= points.count; i++) {
		struct vn_delta_head head;
		CHECK_OK(vn_delta_head_parse(delta.data, delta.len, &head, &err), &err);
		struct vn_delta_resume r = { .head = delta.data, .head_len = VN_DELTA_HEAD_MAX, .have = &have.old };
		r.at = i < points.count ? points.at[i] : (struct vn_delta_point){ 0, head.len };
		vn_delta_old_bytes(&have, data, (size_t)r.at.new_bytes);
		o = (struct vn_delta_apply_options){ .resume = &r };
		vn_buf_clear(&out);
		CHECK_OK(apply(old, len, delta.data + r.at.delta_bytes, delta.len - r.at.delta_bytes, &o, &out, &err), &err);
		CHECK_EQ(out.len, len - r.at.new_bytes);
		CHECK(out.len == len - r.at.new_bytes && (!out.len || memcmp(out.data, data + r.at.new_bytes, out.len) == 0));
		/* what is there is not what was made: found, at the latest by the digest of all */
		if (r.at.new_bytes == 0)
			continue;
		data[0] ^= 1;
		CHECK_EQ(apply(old, len, delta.data + r.at.delta_bytes, delta.len - r.at.delta_bytes, &o, &out, &err), -VN_EDIGEST);
		data[0] ^= 1;
		r.at.new_bytes--;
		CHECK_EQ(apply(old, len, delta.data + r.at.delta_bytes, delta.len - r.at.delta_bytes, &o, &out, &err), -VN_EUSAGE);
	}
}

/* Many blocks of old, moved by one shift: one record. */
static void test_runs(void)
{
	size_t len = 3u << 20;
	struct vn_delta_stats stats;
	VN_AUTO_FREE uint8_t *old = malloc(len), *data = malloc(len);
	fill(old, len);
	memcpy(data, old, len);
	fill_floats(data + len / 2, 1000);
	size_t size = trip(old, len, data, len, &stats);
	CHECK_EQ(stats.mode[VN_DELTA_COPY].blocks, 11);
	CHECK(stats.mode[VN_DELTA_COPY].packed <= 2 * 12);
	CHECK(size < 1200);
	/* pieces in another order */
	for (size_t i = 0; i < 192; i++)
		memcpy(data + (i << 14), old + (i * 71 % 192 << 14), 1u << 14);
	CHECK(trip(old, len, data, len, &stats) < 192 * 6 + 100);
	CHECK_EQ(stats.mode[VN_DELTA_COPY].blocks, 12);
	/* of any length, from anywhere: one record, across blocks */
	memcpy(data, old + 1234567, 1000001);
	memcpy(data + 1000001, old + 77, 300000);
	memset(data + 1300001, 0, 5000);
	memcpy(data + 1305001, old + 600001, len - 1305001);
	CHECK(trip(old, len, data, len, &stats) < 120);
	CHECK_EQ(stats.mode[VN_DELTA_COPY].blocks, 12);
}

struct seen {
	struct vn_delta_stats stats;
	uint64_t at;
	char facts[VN_DELTA_MODES][96];
};

static int see(void *context, const struct vn_delta_record *r, struct vn_err *err)
{
	struct seen *s = context;
	(void)err;
	CHECK_EQ(r->start, s->at);
	s->at += r->len;
	s->stats.mode[r->mode].blocks += r->blocks;
	s->stats.mode[r->mode].plain += r->len;
	s->stats.mode[r->mode].packed += r->packed;
	memcpy(s->facts[r->mode], r->facts, sizeof(r->facts));
	return 0;
}

static int walk(const void *delta, size_t len, struct seen *ret, struct vn_delta_head *head, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	int rc = vn_in_memory(delta, len, &in, err);
	*ret = (struct seen){ .at = 0 };
	return rc < 0 ? rc : vn_delta_walk(in, head, see, ret, err);
}

static void test_walk(void)
{
	static uint8_t old[5000], data[5000];
	struct vn_err err = { 0 };
	struct vn_delta_head head;
	struct vn_delta_stats stats;
	static struct seen seen;
	for (int kind = 0; kind < 6; kind++) {
		VN_AUTO(vn_buf) delta = VN_BUF(MOST);
		size_t len = small_pair(kind, old, data);
		CHECK_OK(make(old, len, data, len, &delta, &stats, &err), &err);
		CHECK_OK(walk(delta.data, delta.len, &seen, &head, &err), &err);
		CHECK_EQ(seen.at, len);
		CHECK_EQ(head.new_size, len);
		for (int mode = 0; mode < VN_DELTA_MODES; mode++) {
			CHECK_EQ(seen.stats.mode[mode].blocks, stats.mode[mode].blocks);
			CHECK_EQ(seen.stats.mode[mode].plain, stats.mode[mode].plain);
			CHECK_EQ(seen.stats.mode[mode].packed, stats.mode[mode].packed);
			CHECK(!seen.stats.mode[mode].blocks || seen.facts[mode][0]);
		}
		for (size_t cut = 0; cut < delta.len; cut++)
			CHECK_EQ(walk(delta.data, cut, &seen, &head, &err), -VN_EDIGEST);
		CHECK_OK(vn_buf_add(&delta, "", 1, &err), &err);
		CHECK_EQ(walk(delta.data, delta.len, &seen, &head, &err), -VN_EDIGEST);
		delta.len--;
		delta.data[head.len + (delta.data[head.len] & 0x80 ? 2 : 1)] = 99;
		CHECK_EQ(walk(delta.data, delta.len, &seen, &head, &err), -VN_EDIGEST);
	}
}

static void test_wrong_old(void)
{
	static uint8_t old[5000], data[5000];
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), out = VN_BUF(MOST);
	size_t len = small_pair(0, old, data);
	CHECK_OK(make(old, len, data, len, &delta, NULL, &err), &err);
	CHECK_EQ(apply(old, len - 1, delta.data, delta.len, NULL, &out, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "another old file: 4999 bytes, expected 5000");
	old[17] ^= 1;
	CHECK_EQ(apply(old, len, delta.data, delta.len, NULL, &out, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "another old file");
	CHECK_EQ(out.len, 0);
	/* and before anything is spent */
	struct vn_delta_head head;
	struct vn_delta_bytes bytes;
	vn_delta_old_bytes(&bytes, old, len);
	CHECK_OK(vn_delta_head_parse(delta.data, delta.len, &head, &err), &err);
	CHECK_EQ(vn_delta_check_old(&head, &bytes.old, &err), -VN_EDIGEST);
	old[17] ^= 1;
	CHECK_OK(vn_delta_check_old(&head, &bytes.old, &err), &err);
}

/* Never larger than new, 64 bytes and 10 for each block. */
static void test_bound(void)
{
	size_t len = 600000;
	VN_AUTO_FREE uint8_t *old = malloc(len), *data = malloc(len);
	uint64_t x = 88172645463325252u;      /* xorshift, which does not repeat */
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		old[i] = (uint8_t)x, data[i] = (uint8_t)(x >> 20);
	}
	for (size_t n = 0; n < 200; n++) {
		CHECK(trip(old, 100, data, n, NULL) <= n + 64 + 10);
		CHECK(trip("", 0, data, n, NULL) <= n + 64 + 10);
	}
	CHECK(trip(old, len, data, len, NULL) <= len + 64 + 10 * 3);
	for (unsigned memory = 300; memory < 1000; memory += 300) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_buf) delta = VN_BUF(MOST);
		VN_AUTO_OUT *out = NULL;
		struct vn_delta_head head;
		struct vn_delta_options options = { .effort = 1, .memory = memory << 10 };
		CHECK_OK(vn_out_buf(&delta, &out, &err), &err);
		CHECK_OK(vn_delta_make(old, len, data, len, &options, out, NULL, &err), &err);
		CHECK_OK(vn_delta_head_parse(delta.data, delta.len, &head, &err), &err);
		CHECK(vn_delta_memory(&head) <= memory << 10);
		CHECK(delta.len <= len + 64 + 10 * vn_delta_count_blocks(&head));
	}
}

/* A decoder with more memory gets one block that sees all of new. */
static void test_one_block(void)
{
	size_t half = 1500000;
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), out = VN_BUF(MOST);
	VN_AUTO_FREE uint8_t *data = malloc(2 * half);
	VN_AUTO_OUT *to = NULL;
	struct vn_delta_head head;
	struct vn_delta_options options = { .effort = 1, .memory = 32u << 20 };
	uint64_t x = 88172645463325252u;
	for (size_t i = 0; i < half; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		data[i] = data[half + i] = (uint8_t)x;
	}
	CHECK_OK(vn_out_buf(&delta, &to, &err), &err);
	CHECK_OK(vn_delta_make("", 0, data, 2 * half, &options, to, NULL, &err), &err);
	CHECK_OK(vn_delta_head_parse(delta.data, delta.len, &head, &err), &err);
	CHECK(vn_delta_block_size(&head) == 2 * half && vn_delta_memory(&head) <= options.memory);
	CHECK(delta.len < half * 5 / 4);
	CHECK_OK(apply("", 0, delta.data, delta.len, NULL, &out, &err), &err);
	CHECK(out.len == 2 * half && memcmp(out.data, data, out.len) == 0);
}

static void test_limits(void)
{
	static uint8_t old[5000], data[5000];
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), out = VN_BUF(MOST);
	size_t len = small_pair(0, old, data);
	CHECK_OK(make(old, len, data, len, &delta, NULL, &err), &err);
	struct vn_delta_apply_options limits = { .new_size = len - 1 };
	CHECK_EQ(apply(old, len, delta.data, delta.len, &limits, &out, &err), -VN_ELIMIT);
	CHECK_HAS(err.text, "at most 4999");
	limits = (struct vn_delta_apply_options){ .memory = 100000 };
	CHECK_EQ(apply(old, len, delta.data, delta.len, &limits, &out, &err), -VN_ELIMIT);
	/* heads that ask for much */
	struct vn_delta_head head = { .old_size = 1ull << 37, .new_size = 1ull << 37, .block_log2 = 24, .old_window_log2 = 26,
				      .history_log2 = 26 };
	vn_delta_head_write(&head);
	limits = (struct vn_delta_apply_options){ .memory = VN_DELTA_MEMORY };
	CHECK_EQ(apply(old, len, head.bytes, head.len, &limits, &out, &err), -VN_ELIMIT);
	head.block_log2 = 25;
	vn_delta_head_write(&head);
	CHECK_EQ(apply(old, len, head.bytes, head.len, NULL, &out, &err), -VN_ELIMIT);
	head.block_log2 = 18;
	head.new_size = UINT64_MAX;
	vn_delta_head_write(&head);
	CHECK_EQ(apply(old, len, head.bytes, head.len, NULL, &out, &err), -VN_ELIMIT);
	CHECK_EQ(apply(old, len, "PK\3\4....", 8, NULL, &out, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "no veneer delta, or its first bytes are damaged");
	/* what a delta of 256 KiB blocks takes is what was promised */
	head = (struct vn_delta_head){ .old_size = 1u << 30, .new_size = 1u << 30, .block_log2 = 18, .old_window_log2 = 21,
				       .history_log2 = 19 };
	CHECK(vn_delta_memory(&head) <= VN_DELTA_MEMORY);
}

static void count_progress(void *context, uint64_t done)
{
	uint64_t *told = context;
	told[0]++;
	told[1] = done > told[1] ? done : told[1];
}

static void test_progress(void)
{
	VN_AUTO_OUT *out = NULL;
	VN_AUTO(vn_buf) delta = VN_BUF(MOST);
	struct vn_err err = { 0 };
	static uint8_t data[3 << 18];
	uint64_t told[2] = { 0, 0 };
	struct vn_delta_options options = { .effort = 1, .memory = 3u << 20, .progress = count_progress, .context = told };
	fill(data, sizeof(data));
	CHECK_OK(vn_out_buf(&delta, &out, &err), &err);
	CHECK_OK(vn_delta_make(data, sizeof(data), data, sizeof(data), &options, out, NULL, &err), &err);
	CHECK(told[0] >= 3 && told[1] >= 2u << 18 && told[1] < sizeof(data));
}

static void test_same_bytes(void)
{
	size_t len = 700000;
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) one = VN_BUF(MOST), two = VN_BUF(MOST);
	VN_AUTO_FREE uint8_t *old = malloc(len), *data = malloc(len);
	fill_floats(old, len);
	memcpy(data, old + 16, len - 16);
	memset(data + len - 16, 0, 16);
	for (size_t i = 0; i < len; i += 8)
		data[i]++;
	for (unsigned threads = 1; threads <= 3; threads += 2) {
		VN_AUTO_OUT *out = NULL;
		struct vn_delta_options options = { .effort = 1, .threads = threads };
		CHECK_OK(vn_out_buf(threads == 1 ? &one : &two, &out, &err), &err);
		CHECK_OK(vn_delta_make(old, len, data, len, &options, out, NULL, &err), &err);
	}
	CHECK_EQ(one.len, two.len);
	CHECK(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
	struct vn_delta_options options = { .memory = 1000 };
	VN_AUTO_OUT *out = NULL;
	CHECK_OK(vn_out_buf(&one, &out, &err), &err);
	CHECK_EQ(vn_delta_make(old, len, data, len, &options, out, NULL, &err), -VN_EUSAGE);
}

int main(void)
{
	RUN(test_elements);
	RUN(test_classes);
	RUN(test_small);
	RUN(test_floats);
	RUN(test_pruned);
	RUN(test_halves_and_bytes);
	RUN(test_text_and_moves);
	RUN(test_damage);
	RUN(test_resume);
	RUN(test_runs);
	RUN(test_walk);
	RUN(test_wrong_old);
	RUN(test_bound);
	RUN(test_one_block);
	RUN(test_limits);
	RUN(test_progress);
	RUN(test_same_bytes);
	return vn_test_end();
}
