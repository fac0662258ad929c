#include "delta/decode.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>

#define READ_SIZE (64u << 10)

static void decoder_release(struct vn_delta_decoder *d)
{
	free(d->data);
	free(d->mapped);
	free(d->work);
	free(d->room);
	free(d->prefix);
	ZSTD_freeDCtx(d->zstd);
	vn_hash_close(d->check);
	vn_hash_close(d->whole);
}

/* A read of the delta that ends early is damage too. */
static int cut_off(uint64_t at, struct vn_err *err)
{
	if (err->code != VN_EFORMAT)
		return -(int)err->code;
	return vn_fail(err, VN_EDIGEST, "the delta ends early, before byte %llu of the new file is known", (unsigned long long)at);
}

static int read_varint(struct vn_in *in, uint64_t at, uint8_t raw[10], size_t *ret_len, struct vn_err *err)
{
	size_t n = 0;
	do {
		int rc = vn_in_read_full(in, raw + n, 1, err);
		if (rc < 0)
			return cut_off(at, err);
	} while (raw[n++] & 0x80 && n < 10);
	*ret_len = n;
	return 0;
}

static int read_head(struct vn_in *in, struct vn_delta_head *ret, struct vn_err *err)
{
	uint8_t raw[VN_DELTA_HEAD_MAX];
	size_t at = VN_DELTA_MAGIC_LEN + 2, n = 0;
	int rc = vn_in_read_full(in, raw, at, err);
	if (rc < 0)
		return cut_off(0, err);
	if (memcmp(raw, VN_DELTA_MAGIC, VN_DELTA_MAGIC_LEN) != 0)
		return vn_delta_head_parse(raw, at, ret, err);
	for (int i = 0; i < 2; i++, at += n)
		if ((rc = read_varint(in, 0, raw + at, &n, err)) < 0)
			return rc;
	if (vn_in_read_full(in, raw + at, VN_DELTA_OLD_DIGEST + VN_DELTA_NEW_DIGEST, err) < 0)
		return cut_off(0, err);
	return vn_delta_head_parse(raw, at + VN_DELTA_OLD_DIGEST + VN_DELTA_NEW_DIGEST, ret, err);
}

static void keep_history(struct vn_delta_decoder *d)
{
	uint8_t *kept = d->prefix + d->window;
	size_t take = d->len < d->history ? d->len : d->history, stay = d->history - take;
	if (d->history == 0)
		return;
	if (stay > d->history_len)
		stay = d->history_len;
	memmove(kept, kept + d->history_len - stay, stay);
	memcpy(kept + stay, d->data + d->len - take, take);
	d->history_len = stay + take;
}

static int one_block(struct vn_delta_decoder *d, struct vn_out *out, struct vn_err *err)
{
	uint8_t raw[10], check[VN_DELTA_CHECK], found[VN_DELTA_NEW_DIGEST];
	uint64_t body_len;
	size_t n = 0;
	int rc = read_varint(d->in, d->start, raw, &n, err);
	if (rc < 0)
		return rc;
	if (vn_get_varint(raw, n, &body_len) != n || body_len > vn_delta_block_size(d->head) + VN_DELTA_BODY_SLACK)
		return vn_delta_damaged(d, "its length is not valid", err);
	d->body_len = (size_t)body_len;
	d->at = 0;
	if (vn_in_read_full(d->in, &d->mode, 1, err) < 0 || vn_in_read_full(d->in, check, sizeof(check), err) < 0 ||
	    vn_in_read_full(d->in, d->body, d->body_len, err) < 0)
		return cut_off(d->start, err);
	if ((d->start == 0 && (rc = vn_hash_add(d->check, d->head->bytes, d->head->len, err)) < 0) ||
	    (rc = vn_hash_add(d->check, raw, n, err)) < 0 || (rc = vn_hash_add(d->check, &d->mode, 1, err)) < 0 ||
	    (rc = vn_hash_add(d->check, d->body, d->body_len, err)) < 0 || (rc = vn_delta_decode(d, err)) < 0 ||
	    (rc = vn_hash_add(d->check, d->data, d->len, err)) < 0 || (rc = vn_delta_hash_end(d->check, found, err)) < 0)
		return rc;
	if (memcmp(found, check, sizeof(check)) != 0)
		return vn_delta_damaged(d, "its check value differs", err);
	if ((rc = vn_hash_add(d->whole, d->data, d->len, err)) < 0 || (rc = vn_out_write(out, d->data, d->len, err)) < 0)
		return rc;
	keep_history(d);
	return 0;
}

static int open_decoder(struct vn_delta_decoder *d, struct vn_err *err)
{
	size_t block = vn_delta_block_size(d->head);
	d->window = vn_delta_window(d->head->old_window_log2, d->head->old_size);
	d->history = vn_delta_window(d->head->history_log2, d->head->new_size);
	d->data = malloc(block + 1);
	d->mapped = malloc(block + 1);
	d->work = malloc(block + VN_DELTA_STREAM_SLACK);
	d->room = malloc(block + VN_DELTA_BODY_SLACK + VN_DELTA_MAGIC_ROOM);
	d->prefix = malloc(d->window + d->history + 1);
	d->zstd = ZSTD_createDCtx();
	if (!d->data || !d->mapped || !d->work || !d->room || !d->prefix || !d->zstd)
		return vn_nomem(err);
	d->body = d->room + VN_DELTA_MAGIC_ROOM;
	int rc = vn_hash_open("sha256", &d->check, err);
	return rc < 0 ? rc : vn_hash_open("sha256", &d->whole, err);
}

int vn_delta_check_old(const struct vn_delta_head *head, struct vn_delta_old *old, struct vn_err *err)
{
	VN_AUTO_FREE uint8_t *buf = NULL;
	uint8_t found[VN_DELTA_NEW_DIGEST];
	struct vn_hash *hash = NULL;
	if (old->size != head->old_size)
		return vn_fail(err, VN_EDIGEST, "this delta is for another old file: %llu bytes, expected %llu",
			       (unsigned long long)old->size, (unsigned long long)head->old_size);
	if (!(buf = malloc(READ_SIZE)))
		return vn_nomem(err);
	int rc = vn_hash_open("sha256", &hash, err);
	for (uint64_t at = 0; rc == 0 && at < old->size;) {
		size_t n = old->size - at < READ_SIZE ? (size_t)(old->size - at) : READ_SIZE;
		if ((rc = old->read(old, at, buf, n, err)) == 0)
			rc = vn_hash_add(hash, buf, n, err);
		at += n;
	}
	if (rc == 0)
		rc = vn_delta_hash_end(hash, found, err);
	vn_hash_close(hash);
	if (rc == 0 && memcmp(found, head->old_digest, VN_DELTA_OLD_DIGEST) != 0)
		return vn_fail(err, VN_EDIGEST, "this delta is for another old file: the sizes agree, the digests do not");
	return rc;
}

static int check_limits(const struct vn_delta_head *head, const struct vn_delta_limits *limits, struct vn_err *err)
{
	uint64_t memory = limits && limits->memory ? limits->memory : VN_MAX_DELTA_MEMORY;
	uint64_t size = limits && limits->new_size ? limits->new_size : VN_MAX_BLOB;
	if (head->new_size > size)
		return vn_fail(err, VN_ELIMIT, "the delta makes a file of %llu bytes, at most %llu are allowed",
			       (unsigned long long)head->new_size, (unsigned long long)size);
	if (vn_delta_memory(head) > memory)
		return vn_fail(err, VN_ELIMIT, "the delta takes %llu bytes of memory, at most %llu are allowed",
			       (unsigned long long)vn_delta_memory(head), (unsigned long long)memory);
	return 0;
}

int vn_delta_apply(struct vn_delta_old *old, struct vn_in *delta, struct vn_out *out, const struct vn_delta_limits *limits,
		   struct vn_err *err)
{
	struct vn_delta_head head;
	uint8_t found[VN_DELTA_NEW_DIGEST], more;
	int rc = read_head(delta, &head, err);
	if (rc < 0 || (rc = check_limits(&head, limits, err)) < 0 || (rc = vn_delta_check_old(&head, old, err)) < 0)
		return rc;
	VN_CLEANUP(decoder_release) struct vn_delta_decoder d = { .head = &head, .old = old, .in = delta };
	if ((rc = open_decoder(&d, err)) < 0)
		return rc;
	for (uint64_t size = (uint64_t)1 << head.block_log2; d.start < head.new_size; d.start += d.len, d.block++) {
		d.len = head.new_size - d.start < size ? (size_t)(head.new_size - d.start) : (size_t)size;
		if ((rc = one_block(&d, out, err)) < 0)
			return rc;
	}
	if ((rc = vn_delta_hash_end(d.whole, found, err)) < 0)
		return rc;
	if (memcmp(found, head.new_digest, sizeof(found)) != 0)
		return vn_fail(err, VN_EDIGEST, "the rebuilt file has not the digest that the delta promises");
	ssize_t n = vn_in_read(delta, &more, 1, err);
	if (n < 0)
		return (int)n;
	return n == 0 ? 0 : vn_fail(err, VN_EDIGEST, "something follows the end of the delta");
}

static int read_bytes(struct vn_delta_old *old, uint64_t offset, void *out, size_t len, struct vn_err *err)
{
	const struct vn_delta_bytes *b = (const struct vn_delta_bytes *)old;
	if (offset > old->size || len > old->size - offset)
		return vn_fail(err, VN_EIO, "a read beyond the old file");
	memcpy(out, b->data + offset, len);
	return 0;
}

void vn_delta_old_bytes(struct vn_delta_bytes *ret, const void *data, size_t len)
{
	ret->old.read = read_bytes;
	ret->old.size = len;
	ret->data = data;
}
