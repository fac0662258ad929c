#include "delta/format.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>

#define DECODER_FIXED (256u << 10)        /* libzstd's context, a model, hashes, our own state; not libcrypto's own */
#define DEFLATE_FIXED (320u << 10)        /* zlib's state at its largest settings, and its buffers */

static unsigned window_log2(unsigned nibble)
{
	return nibble ? nibble + VN_DELTA_WINDOW_BASE : 0;
}

static unsigned nibble_of(unsigned log2)
{
	return log2 ? log2 - VN_DELTA_WINDOW_BASE : 0;
}

static int parse_numbers(const uint8_t *p, size_t len, size_t *at, uint64_t *ret, int count, struct vn_err *err)
{
	for (int i = 0; i < count; i++) {
		size_t n = vn_get_varint(p + *at, len - *at, &ret[i]);
		if (n == 0)
			return vn_fail(err, VN_EDIGEST, "delta: the head has no valid size at byte %zu", *at);
		*at += n;
	}
	return 0;
}

/* Numbers that no delta has, whoever wrote it. */
static int check_head(const struct vn_delta_head *h, const uint64_t *numbers, struct vn_err *err)
{
	if (h->block_log2 < VN_DELTA_BLOCK_MIN || h->block_log2 > VN_DELTA_BLOCK_MAX)
		return vn_fail(err, VN_ELIMIT, "delta: blocks of 2^%u bytes; 2^%d to 2^%d are allowed", h->block_log2,
			       VN_DELTA_BLOCK_MIN, VN_DELTA_BLOCK_MAX);
	for (int i = 0; i < 4; i++)
		if (numbers[i] > VN_MAX_BLOB)
			return vn_fail(err, VN_ELIMIT, "delta: a file of %llu bytes; at most %llu are allowed",
				       (unsigned long long)numbers[i], (unsigned long long)VN_MAX_BLOB);
	if (h->members && (numbers[4] == 0 || numbers[4] > VN_DELTA_TABLE_MAX))
		return vn_fail(err, VN_ELIMIT, "delta: a table of %llu bytes; at most %u are allowed",
			       (unsigned long long)numbers[4], VN_DELTA_TABLE_MAX);
	return 0;
}

int vn_delta_head_parse(const void *data, size_t len, struct vn_delta_head *ret, struct vn_err *err)
{
	const uint8_t *p = data;
	struct vn_delta_head h = { 0 };
	uint64_t v[5] = { 0 };            /* old, new, both unpacked, table */
	size_t at = VN_DELTA_MAGIC_LEN + 2;
	if (len < at || memcmp(p, VN_DELTA_MAGIC, VN_DELTA_MAGIC_LEN) != 0)
		return vn_fail(err, VN_EDIGEST, "this is no veneer delta, or its first bytes are damaged: "
			       "it does not begin with \"%s\"", VN_DELTA_MAGIC);
	h.members = p[4] & VN_DELTA_HAS_MEMBERS;
	h.block_log2 = p[4] & ~VN_DELTA_HAS_MEMBERS;
	h.old_window_log2 = window_log2(p[5] & 15);
	h.history_log2 = window_log2(p[5] >> 4);
	int rc = parse_numbers(p, len, &at, v, 2, err);
	if (rc < 0)
		return rc;
	if (len - at < VN_DELTA_OLD_DIGEST + VN_DELTA_NEW_DIGEST)
		return vn_fail(err, VN_EDIGEST, "delta: the head ends early, after %zu bytes", len);
	memcpy(h.old_digest, p + at, VN_DELTA_OLD_DIGEST);
	memcpy(h.new_digest, p + at + VN_DELTA_OLD_DIGEST, VN_DELTA_NEW_DIGEST);
	at += VN_DELTA_OLD_DIGEST + VN_DELTA_NEW_DIGEST;
	if ((h.members && (rc = parse_numbers(p, len, &at, v + 2, 3, err)) < 0) || (rc = check_head(&h, v, err)) < 0)
		return rc;
	h.old_size = v[0], h.new_size = v[1];
	h.old_unpacked = h.members ? v[2] : v[0], h.new_unpacked = h.members ? v[3] : v[1];
	h.table_len = (size_t)v[4];
	vn_delta_head_write(&h);
	/* one way to write a head, so that a changed bit always shows */
	if (h.len > len || memcmp(h.bytes, p, h.len) != 0)
		return vn_fail(err, VN_EDIGEST, "delta: a size in the head is not written in its shortest form");
	if (h.new_size == 0 && (p[4] != VN_DELTA_BLOCK_MIN || p[5] != 0))
		return vn_fail(err, VN_EDIGEST, "delta: windows for an empty file");
	*ret = h;
	return 0;
}

void vn_delta_head_write(struct vn_delta_head *h)
{
	uint8_t *p = h->bytes;
	memcpy(p, VN_DELTA_MAGIC, VN_DELTA_MAGIC_LEN);
	p[4] = (uint8_t)(h->block_log2 | (h->members ? VN_DELTA_HAS_MEMBERS : 0));
	p[5] = (uint8_t)(nibble_of(h->old_window_log2) | nibble_of(h->history_log2) << 4);
	size_t at = 6;
	at += vn_put_varint(p + at, h->old_size);
	at += vn_put_varint(p + at, h->new_size);
	memcpy(p + at, h->old_digest, VN_DELTA_OLD_DIGEST);
	at += VN_DELTA_OLD_DIGEST;
	memcpy(p + at, h->new_digest, VN_DELTA_NEW_DIGEST);
	at += VN_DELTA_NEW_DIGEST;
	if (h->members) {
		at += vn_put_varint(p + at, h->old_unpacked);
		at += vn_put_varint(p + at, h->new_unpacked);
		at += vn_put_varint(p + at, h->table_len);
	}
	h->len = at;
}

struct vn_delta_head vn_delta_inside(const struct vn_delta_head *head)
{
	struct vn_delta_head h = *head;
	if (h.members)
		h.old_size = h.old_unpacked, h.new_size = h.new_unpacked;
	return h;
}

uint64_t vn_delta_memory(const struct vn_delta_head *head)
{
	struct vn_delta_head h = vn_delta_inside(head);
	/* new, gathered old, streams, body; then the reference prefix */
	return 4 * (uint64_t)vn_delta_block_size(&h) + vn_delta_window(h.old_window_log2, h.old_size) +
	       vn_delta_window(h.history_log2, h.new_size) + DECODER_FIXED + (h.members ? DEFLATE_FIXED + h.table_len : 0);
}

static unsigned hex_value(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

int vn_delta_hash_end(struct vn_hash *hash, uint8_t ret[VN_DELTA_NEW_DIGEST], struct vn_err *err)
{
	struct vn_digest digest = { 0 };
	int rc = vn_hash_end(hash, &digest, err);
	if (rc < 0)
		return rc;
	const char *hex = vn_digest_hex(&digest);
	for (int i = 0; i < VN_DELTA_NEW_DIGEST; i++)
		ret[i] = (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
	return 0;
}
