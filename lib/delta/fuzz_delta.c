/* The decoder on foreign bytes: as a whole delta; as mode and body of a second block behind a head and a first block that are
 * right, at once and resumed between the two; as a table of members behind a right head. The check value of the second block is
 * wrong, which is found only when the body was decoded; that of the table is right. */
#include "delta/delta.h"
#include "delta/frame.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OLD 20000
#define BLOCK 4096
#define MEMBER 5000
#define NEW (BLOCK + 3000)

static void run(const uint8_t *old, const uint8_t *data, size_t size, const struct vn_delta_resume *resume)
{
	struct vn_err err = { 0 };
	struct vn_delta_apply_options limits = { .memory = 4u << 20, .new_size = 1u << 20, .unpacked = 1u << 20 };
	struct vn_delta_bytes bytes;
	VN_AUTO(vn_buf) buf = VN_BUF(1u << 20);
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *out = NULL;
	limits.resume = resume;
	vn_delta_old_bytes(&bytes, old, OLD);
	if (vn_in_memory(data, size, &in, &err) == 0 && vn_out_buf(&buf, &out, &err) == 0)
		(void)vn_delta_apply(&bytes.old, in, out, &limits, &err);
}

static int ignore(void *context, const struct vn_delta_record *r, struct vn_err *err)
{
	(void)context, (void)r, (void)err;
	return 0;
}

static void walk(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	struct vn_delta_head head;
	VN_AUTO_IN *in = NULL;
	if (vn_in_memory(data, size, &in, &err) == 0)
		(void)vn_delta_walk(in, &head, ignore, NULL, &err);
}

/* Head and first block: a copy of the start of old. */
static int begin(const uint8_t *old, struct vn_buf *record, struct vn_err *err)
{
	static const uint8_t copy[] = { 1, 1, 0 };      /* one block: one piece, shift 0 */
	struct vn_delta_head head = { .old_size = OLD, .new_size = NEW, .block_log2 = 12, .old_window_log2 = 14,
				      .history_log2 = 12 };
	struct vn_hash *hash = NULL;
	VN_AUTO(vn_buf) body = VN_BUF(sizeof(copy));
	uint8_t digest[VN_DELTA_NEW_DIGEST];
	int rc = vn_hash_open("sha256", &hash, err);
	if (rc == 0 && (rc = vn_hash_add(hash, old, OLD, err)) == 0 && (rc = vn_delta_hash_end(hash, digest, err)) == 0) {
		memcpy(head.old_digest, digest, sizeof(head.old_digest));
		vn_delta_head_write(&head);
		if ((rc = vn_buf_add(record, head.bytes, head.len, err)) == 0 &&
		    (rc = vn_buf_add(&body, copy, sizeof(copy), err)) == 0)
			rc = vn_delta_put_record(hash, &head, 0, VN_DELTA_COPY, &body, "", 0, record, err);
	}
	vn_hash_close(hash);
	return rc;
}

static void run_block(const uint8_t *old, const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) record = VN_BUF(1u << 20);
	uint8_t raw[10 + 1 + VN_DELTA_CHECK] = { 0 };
	if (size < 1 || begin(old, &record, &err) < 0)
		return;
	size_t n = vn_put_varint(raw, size - 1);
	raw[n] = (uint8_t)((data[0] & 0x7f) % VN_DELTA_MODES | (data[0] & VN_DELTA_CONVERT));
	if (vn_buf_add(&record, raw, n + 1 + VN_DELTA_CHECK, &err) == 0 && vn_buf_add(&record, data + 1, size - 1, &err) == 0)
		run(old, (const uint8_t *)record.data, record.len, NULL);
	struct vn_delta_bytes have;
	size_t rest = n + VN_DELTA_CHECK + size;
	struct vn_delta_resume resume = { record.data, record.len, { BLOCK, record.len - rest }, &have.old };
	vn_delta_old_bytes(&have, old, BLOCK);
	run(old, (const uint8_t *)record.data + record.len - rest, rest, &resume);
}

/* The first two bytes are what the two files add when they are unpacked. */
static void run_table(const uint8_t *old, const uint8_t *data, size_t size)
{
	struct vn_delta_head head = { .old_size = OLD, .new_size = NEW, .members = true, .block_log2 = 12 };
	struct vn_err err = { 0 };
	struct vn_hash *hash = NULL;
	VN_AUTO(vn_buf) delta = VN_BUF(1u << 20);
	VN_AUTO(vn_buf) body = VN_BUF(20);
	uint8_t digest[VN_DELTA_NEW_DIGEST], numbers[12];
	if (size < 3)
		return;
	head.old_unpacked = OLD + (uint64_t)(int64_t)(int8_t)data[0];
	head.new_unpacked = NEW + (uint64_t)(int64_t)(int8_t)data[1];
	head.table_len = size - 2;
	struct vn_delta_head inside = vn_delta_inside(&head);
	size_t n = vn_put_varint(numbers, vn_delta_count_blocks(&inside));
	n += vn_put_varint(numbers + n, vn_delta_count_blocks(&inside));
	numbers[n++] = 0;
	int rc = vn_hash_open("sha256", &hash, &err);
	if (rc == 0 && (rc = vn_hash_add(hash, old, OLD, &err)) == 0 && (rc = vn_delta_hash_end(hash, digest, &err)) == 0) {
		memcpy(head.old_digest, digest, sizeof(head.old_digest));
		vn_delta_head_write(&head);
		if ((rc = vn_hash_add(hash, head.bytes, head.len, &err)) == 0 && (rc = vn_hash_add(hash, "", 1, &err)) == 0 &&
		    (rc = vn_hash_add(hash, data + 2, size - 2, &err)) == 0)
			rc = vn_delta_hash_end(hash, digest, &err);
	}
	inside = vn_delta_inside(&head);
	if (rc == 0 && vn_buf_add(&delta, head.bytes, head.len, &err) == 0 &&
	    vn_buf_add(&delta, digest, VN_DELTA_CHECK, &err) == 0 && vn_buf_add(&delta, "", 1, &err) == 0 &&
	    vn_buf_add(&delta, data + 2, size - 2, &err) == 0 &&
	    vn_buf_add(&body, numbers, n, &err) == 0 &&
	    vn_delta_put_record(hash, &inside, 0, VN_DELTA_COPY, &body, "", 0, &delta, &err) == 0)
		run(old, (const uint8_t *)delta.data, delta.len, NULL);
	vn_hash_close(hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a deflate stream of 100 bytes, stored */
	static const uint8_t stored[] = { 1, 100, 0, 155, 255 };
	static uint8_t old[OLD];
	for (size_t i = 0; i < OLD; i++)
		old[i] = (uint8_t)(i * i >> 5);
	memcpy(old + MEMBER, stored, sizeof(stored));
	if (size > 1u << 16)
		return 0;
	run(old, data, size, NULL);
	walk(data, size);
	run_block(old, data, size);
	run_table(old, data, size);
	return 0;
}
