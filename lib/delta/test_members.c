#include "delta/members.h"
#include "util/cleanup.h"
#include "util/num.h"
#include "util/test.h"
#include <stdlib.h>
#include <unistd.h>

#define MOST (8u << 20)

static uint32_t seed = 1;
static uint32_t random_u32(void)
{
	seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
	return seed;
}

static void fill_floats(uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 4 <= len; i += 4)
		vn_put_u32(p + i, (random_u32() & 0x80000000u) | (120 + random_u32() % 4) << 23 | (random_u32() & 0x7fffff));
}

static void add(struct vn_buf *to, const void *data, size_t len)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_buf_add(to, data, len, &err), &err);
}

static void add_deflated(struct vn_buf *to, const void *data, size_t len, uint8_t level, uint8_t mem)
{
	struct vn_err err = { 0 };
	struct vn_deflate how = { level, 0, 15, mem };
	VN_AUTO_OUT *inner = NULL, *out = NULL;
	CHECK_OK(vn_out_buf(to, &inner, &err), &err);
	CHECK_OK(vn_out_deflate(inner, &how, &out, &err), &err);
	CHECK_OK(vn_out_write(out, data, len, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
}

static void add_zlib(struct vn_buf *to, const void *data, size_t len, uint8_t level)
{
	add(to, "\x78\x9c", 2);
	add_deflated(to, data, len, level, 8);
	add(to, "sum!", 4);
}

static void add_gzip(struct vn_buf *to, const void *data, size_t len)
{
	add(to, "\x1f\x8b\x08\x1e\0\0\0\0\0\3\2\0xyname\0comment\0h!", 29);
	add_deflated(to, data, len, 9, 9);
	add(to, "crc!size", 8);
}

/* Sizes are in a descriptor behind the bytes, as writers of streams do it. */
static void add_zip(struct vn_buf *to, const void *data, size_t len, bool stored)
{
	uint8_t head[30] = { 'P', 'K', 3, 4, 20, 0, 8, 0, stored ? 0 : 8, 0 };
	head[26] = 5;
	add(to, head, sizeof(head));
	add(to, "w.npy", 5);
	if (stored)
		add(to, data, len);
	else
		add_deflated(to, data, len, 6, 8);
	add(to, "PK\7\10crc!packplain", 16);
}

/* Deflate by somebody else: blocks of 100 bytes, stored (RFC 1951, 3.2.4). */
static void add_foreign(struct vn_buf *to, const uint8_t *data, size_t len)
{
	add(to, "\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
	for (size_t i = 0; i < len; i += 100) {
		size_t n = len - i < 100 ? len - i : 100;
		uint8_t block[5] = { i + n == len, (uint8_t)n, 0, (uint8_t)~n, 0xff };
		add(to, block, sizeof(block));
		add(to, data + i, n);
	}
	add(to, "crc!size", 8);
}

static int make(const struct vn_buf *old, const struct vn_buf *data, uint64_t memory, struct vn_buf *ret,
		struct vn_delta_stats *stats, struct vn_err *err)
{
	VN_AUTO_OUT *out = NULL;
	struct vn_delta_options options = { .effort = 1, .memory = memory };
	int rc = vn_out_buf(ret, &out, err);
	return rc < 0 ? rc : vn_delta_make(old->data, old->len, data->data, data->len, &options, out, stats, err);
}

static int apply(const struct vn_buf *old, const void *delta, size_t len, const struct vn_delta_apply_options *o,
		 struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_OUT *out = NULL;
	VN_AUTO_IN *in = NULL;
	struct vn_delta_bytes bytes;
	vn_delta_old_bytes(&bytes, old->data, old->len);
	vn_buf_clear(ret);
	int rc = vn_in_memory(delta, len, &in, err);
	if (rc < 0 || (rc = vn_out_buf(ret, &out, err)) < 0)
		return rc;
	return vn_delta_apply(&bytes.old, in, out, o, err);
}

static size_t trip(const struct vn_buf *old, const struct vn_buf *data, struct vn_delta_stats *stats)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), out = VN_BUF(MOST);
	CHECK_OK(make(old, data, 0, &delta, stats, &err), &err);
	CHECK_OK(apply(old, delta.data, delta.len, NULL, &out, &err), &err);
	CHECK_EQ(out.len, data->len);
	CHECK(out.len == data->len && memcmp(out.data, data->data, out.len) == 0);
	CHECK_EQ(stats->size, delta.len);
	return delta.len;
}

static void test_containers(void)
{
	size_t len = 400000;
	VN_AUTO_FREE uint8_t *a = malloc(len), *b = malloc(len);
	struct vn_delta_stats stats;
	fill_floats(a, len);
	memcpy(b, a, len);
	for (size_t i = 0; i < len; i += 400)
		b[i]++;
	for (int kind = 0; kind < 3; kind++) {
		VN_AUTO(vn_buf) old = VN_BUF(MOST), data = VN_BUF(MOST);
		for (int i = 0; i < 2; i++) {
			struct vn_buf *to = i ? &data : &old;
			const uint8_t *p = i ? b : a;
			if (kind == 0)
				add_zlib(to, p, len, 3);
			else if (kind == 1)
				add_gzip(to, p, len);
			else
				add_zip(to, p, len / 2, false), add_zip(to, p, 1000, true),
					add_zip(to, p + len / 2, len / 2, false);
		}
		CHECK(trip(&old, &data, &stats) < 5000);
		CHECK_EQ(stats.members, kind == 2 ? 2 : 1);
	}
}

static void test_mixed(void)
{
	size_t len = 100000;
	VN_AUTO_FREE uint8_t *a = malloc(len), *b = malloc(len);
	VN_AUTO(vn_buf) old = VN_BUF(MOST), data = VN_BUF(MOST), plain = VN_BUF(MOST);
	struct vn_delta_stats stats;
	fill_floats(a, len);
	memcpy(b, a, len);
	for (size_t i = 1; i < len; i += 400)
		b[i] ^= 1;
	/* the first member stands in both, the second was changed, the third is new, the fourth cannot be packed again */
	memset(a + 50000, 7, 1000);
	memset(b + 50000, 7, 1000);
	add_zlib(&old, a, 30000, 1), add_zip(&old, a + 30000, 50000, false), add_foreign(&old, a + 50000, 20000);
	add(&data, "in front", 8);
	add_zlib(&data, a, 30000, 1), add_zip(&data, b + 30000, 50000, false), add_gzip(&data, b + 30000, 50000);
	add_foreign(&data, b + 50000, 20000);
	CHECK(trip(&old, &data, &stats) < 6000);
	CHECK_EQ(stats.members, 2);
	/* nobody's members: left alone */
	vn_buf_clear(&old), vn_buf_clear(&data);
	add_foreign(&old, a, len), add_foreign(&data, b, len);
	CHECK(trip(&old, &data, &stats) < 6000);
	CHECK_EQ(stats.members, 0);
	/* packed in old alone */
	vn_buf_clear(&old);
	add_gzip(&old, a, len);
	add(&plain, b, len);
	CHECK(trip(&old, &plain, &stats) < 6000);
	CHECK_EQ(stats.members, 0);
	/* and in new alone */
	CHECK(trip(&plain, &old, &stats) < 6000);
	CHECK_EQ(stats.members, 1);
	/* things that only begin like members */
	vn_buf_clear(&data);
	for (int i = 0; i < 1000; i++)
		add(&data, "PK\3\4\x14\0\0\0\x08\0xx\x78\x9c\x1f\x8b\x08\0", 18), add(&data, b + 50 * i, 30);
	trip(&old, &data, &stats);
	CHECK_EQ(stats.members, 0);
}

/* A pair whose delta has members and is small. */
static void small_pair(struct vn_buf *old, struct vn_buf *data)
{
	static uint8_t a[4000], b[4000];
	seed = 3;
	fill_floats(a, sizeof(a));
	memcpy(b, a, sizeof(a));
	for (size_t i = 10; i < sizeof(a); i += 600)
		b[i]++;
	add_zlib(old, a, sizeof(a), 6);
	add_zlib(data, b, sizeof(b), 6);
}

static void test_same_bytes(void)
{
	size_t len = 700000;
	struct vn_err err = { 0 };
	VN_AUTO_FREE uint8_t *a = malloc(len);
	VN_AUTO(vn_buf) old = VN_BUF(MOST), data = VN_BUF(MOST), one = VN_BUF(MOST), many = VN_BUF(MOST);
	fill_floats(a, len);
	add_gzip(&old, a, len);
	for (size_t i = 0; i < len; i += 40)
		a[i]++;
	add_gzip(&data, a, len);
	for (unsigned threads = 1; threads <= 4; threads += 3) {
		VN_AUTO_OUT *out = NULL;
		struct vn_delta_options options = { .effort = 1, .threads = threads };
		CHECK_OK(vn_out_buf(threads == 1 ? &one : &many, &out, &err), &err);
		CHECK_OK(vn_delta_make(old.data, old.len, data.data, data.len, &options, out, NULL, &err), &err);
	}
	CHECK_EQ(one.len, many.len);
	CHECK(one.len == many.len && memcmp(one.data, many.data, one.len) == 0);
}

static int nobody(void *context, const struct vn_delta_record *r, struct vn_err *err)
{
	(void)r, (void)err;
	++*(int *)context;
	return 0;
}

static int walk(const void *delta, size_t len, int *ret_count, struct vn_delta_head *head, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	int rc = vn_in_memory(delta, len, &in, err);
	*ret_count = 0;
	return rc < 0 ? rc : vn_delta_walk(in, head, nobody, ret_count, err);
}

static void test_damage(void)
{
	struct vn_err err = { 0 };
	struct vn_delta_stats stats;
	struct vn_delta_head head;
	int records;
	VN_AUTO(vn_buf) old = VN_BUF(MOST), data = VN_BUF(MOST), delta = VN_BUF(MOST), out = VN_BUF(MOST);
	small_pair(&old, &data);
	CHECK_OK(make(&old, &data, 0, &delta, &stats, &err), &err);
	CHECK_EQ(stats.members, 1);
	CHECK_OK(walk(delta.data, delta.len, &records, &head, &err), &err);
	CHECK_EQ(records, 1);
	CHECK(head.members && head.new_size == data.len && head.new_unpacked > data.len);
	for (size_t bit = 0; bit < delta.len * 8; bit++) {
		err = (struct vn_err){ 0 };
		delta.data[bit / 8] ^= (char)(1 << bit % 8);
		CHECK(apply(&old, delta.data, delta.len, NULL, &out, &err) < 0 && err.text[0]);
		CHECK_EQ(vn_exit_status(err.code), 4);
		delta.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t cut = 0; cut < delta.len; cut++) {
		CHECK_EQ(apply(&old, delta.data, cut, NULL, &out, &err), -VN_EDIGEST);
		CHECK_EQ(walk(delta.data, cut, &records, &head, &err), -VN_EDIGEST);
	}
	add(&delta, "", 1);
	CHECK_EQ(apply(&old, delta.data, delta.len, NULL, &out, &err), -VN_EDIGEST);
	old.data[100] ^= 1;
	CHECK_EQ(apply(&old, delta.data, delta.len, NULL, &out, &err), -VN_EDIGEST);
}

/* Tables whose check is right and which say what cannot be. */
static void try_table(const struct vn_buf *old, const void *table, size_t len, uint64_t old_unpacked, uint64_t new_unpacked,
		      const char *expected)
{
	struct vn_err err = { 0 };
	struct vn_hash *hash = NULL;
	struct vn_delta_head head = { .old_size = old->len, .new_size = 10, .members = true, .block_log2 = 12 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST), out = VN_BUF(MOST), body = VN_BUF(100);
	uint8_t digest[VN_DELTA_NEW_DIGEST];
	head.table_len = len;
	head.old_unpacked = old_unpacked;
	head.new_unpacked = new_unpacked;
	CHECK_OK(vn_hash_open("sha256", &hash, &err), &err);
	CHECK_OK(vn_hash_add(hash, old->data, old->len, &err), &err);
	CHECK_OK(vn_delta_hash_end(hash, digest, &err), &err);
	memcpy(head.old_digest, digest, sizeof(head.old_digest));
	vn_delta_head_write(&head);
	CHECK_OK(vn_hash_add(hash, head.bytes, head.len, &err), &err);
	CHECK_OK(vn_hash_add(hash, "", 1, &err), &err);
	CHECK_OK(vn_hash_add(hash, table, len, &err), &err);
	CHECK_OK(vn_delta_hash_end(hash, digest, &err), &err);
	add(&delta, head.bytes, head.len), add(&delta, digest, VN_DELTA_CHECK), add(&delta, "", 1), add(&delta, table, len);
	add(&body, "\1\1\0", 3);
	struct vn_delta_head inside = vn_delta_inside(&head);
	CHECK_OK(vn_delta_put_record(hash, &inside, 0, VN_DELTA_COPY, &body, "", 0, &delta, &err), &err);
	vn_hash_close(hash);
	CHECK_EQ(apply(old, delta.data, delta.len, NULL, &out, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, expected);
}

static void test_hostile_tables(void)
{
	VN_AUTO(vn_buf) old = VN_BUF(MOST), data = VN_BUF(MOST);
	static const uint8_t far[] = { 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1 };
	small_pair(&old, &data);
	try_table(&old, far, sizeof(far), old.len, 3000, "reaches beyond the old");
	try_table(&old, far, 5, old.len, 3000, "not valid");
	try_table(&old, "\1\0\1", 3, old.len, 3000, "names what is none");
	try_table(&old, "\1\2\x10", 3, old.len, 3000, "names what is none");
	try_table(&old, "\1\2\xa1\x1f", 4, 1u << 20, 3000, "another length");
	try_table(&old, "\1\2\xa0\x1f", 4, 1u << 20, 3000, "does not make the unpacked old");
	try_table(&old, "\0", 1, old.len + 1, 3000, "does not make the unpacked old");
	try_table(&old, "\0", 1, old.len, 3000, "larger than the 10 bytes");
	try_table(&old, "\0\0\7\0\x8f", 5, old.len, 3000, "settings");
	try_table(&old, "\0\0\7\6\x8f", 5, old.len, 6, "reaches beyond the new");
	try_table(&old, "\0\0\7\6", 4, old.len, 3000, "reaches beyond the new");
	try_table(&old, "\0\x10\7\6", 4, old.len, 3000, "reaches beyond the new");
	try_table(&old, "\0\0\x10\6\x8f\0\0\6\x8f", 9, old.len, 16, "larger than the 10 bytes");
}

static int refuse(void *context, const struct vn_delta_point *at, struct vn_err *err)
{
	(void)context, (void)at;
	return vn_fail(err, VN_EIO, "not to be called");
}

static void test_terms(void)
{
	struct vn_err err = { 0 };
	struct vn_delta_stats stats;
	struct vn_delta_head head;
	VN_AUTO(vn_buf) old = VN_BUF(MOST), data = VN_BUF(MOST), delta = VN_BUF(MOST), out = VN_BUF(MOST);
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	small_pair(&old, &data);
	CHECK_OK(make(&old, &data, 0, &delta, &stats, &err), &err);
	CHECK_OK(vn_delta_head_parse(delta.data, delta.len, &head, &err), &err);
	/* on a disk that the caller names; no points to resume at */
	CHECK_OK(vn_tmp_anonymous(&tmp, &err), &err);
	struct vn_delta_apply_options o = { .scratch = &tmp, .progress = refuse, .unpacked = head.new_unpacked };
	CHECK_OK(apply(&old, delta.data, delta.len, &o, &out, &err), &err);
	CHECK_EQ(lseek(tmp.fd, 0, SEEK_END), head.old_unpacked);
	struct vn_delta_bytes have;
	vn_delta_old_bytes(&have, "", 0);
	struct vn_delta_resume resume = { delta.data, delta.len, { 0, head.len }, &have.old };
	o = (struct vn_delta_apply_options){ .resume = &resume };
	CHECK_EQ(apply(&old, delta.data + head.len, delta.len - head.len, &o, &out, &err), -VN_EUSAGE);
	o = (struct vn_delta_apply_options){ .unpacked = head.old_unpacked - 1 };
	CHECK_EQ(apply(&old, delta.data, delta.len, &o, &out, &err), -VN_ELIMIT);
	/* zlib's state counts, and a decoder that has no room for it gets a delta without */
	o = (struct vn_delta_apply_options){ .memory = vn_delta_memory(&head) - 1 };
	CHECK_EQ(apply(&old, delta.data, delta.len, &o, &out, &err), -VN_ELIMIT);
	vn_buf_clear(&delta);
	CHECK_OK(make(&old, &data, 400000, &delta, &stats, &err), &err);
	CHECK_EQ(stats.members, 0);
}

int main(void)
{
	RUN(test_containers);
	RUN(test_mixed);
	RUN(test_same_bytes);
	RUN(test_damage);
	RUN(test_hostile_tables);
	RUN(test_terms);
	return vn_test_end();
}
