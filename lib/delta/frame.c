#include "delta/frame.h"
#include "util/num.h"
#include <string.h>

int vn_delta_read(struct vn_delta_frames *f, uint64_t at, void *out, size_t len, struct vn_err *err)
{
	int rc = vn_in_read_full(f->in, out, len, err);
	if (rc < 0 && err->code == VN_EFORMAT)
		return vn_fail(err, VN_EDIGEST, "the delta ends early, before byte %llu of the new file is known",
			       (unsigned long long)at);
	if (rc == 0)
		f->consumed += len;
	return rc;
}

int vn_delta_read_varint(struct vn_delta_frames *f, uint64_t at, uint8_t raw[10], size_t *ret_len, struct vn_err *err)
{
	size_t n = 0;
	do {
		int rc = vn_delta_read(f, at, raw + n, 1, err);
		if (rc < 0)
			return rc;
	} while (raw[n++] & 0x80 && n < 10);
	*ret_len = n;
	return 0;
}

int vn_delta_read_head(struct vn_delta_frames *f, struct vn_delta_head *ret, struct vn_err *err)
{
	uint8_t raw[VN_DELTA_HEAD_MAX];
	size_t at = VN_DELTA_MAGIC_LEN + 2, n = 0;
	int rc = vn_delta_read(f, 0, raw, at, err);
	if (rc < 0)
		return rc;
	if (memcmp(raw, VN_DELTA_MAGIC, VN_DELTA_MAGIC_LEN) != 0)
		return vn_delta_head_parse(raw, at, ret, err);
	for (int i = 0; i < 2; i++, at += n)
		if ((rc = vn_delta_read_varint(f, 0, raw + at, &n, err)) < 0)
			return rc;
	if ((rc = vn_delta_read(f, 0, raw + at, VN_DELTA_OLD_DIGEST + VN_DELTA_NEW_DIGEST, err)) < 0)
		return rc;
	at += VN_DELTA_OLD_DIGEST + VN_DELTA_NEW_DIGEST;
	for (int i = 0; i < 3 && raw[VN_DELTA_MAGIC_LEN] & VN_DELTA_HAS_MEMBERS; i++, at += n)
		if ((rc = vn_delta_read_varint(f, 0, raw + at, &n, err)) < 0)
			return rc;
	return vn_delta_head_parse(raw, at, ret, err);
}

int vn_delta_read_frame(struct vn_delta_frames *f, const struct vn_delta_head *head, uint64_t at, struct vn_delta_frame *ret,
			struct vn_err *err)
{
	struct vn_delta_frame frame;
	uint64_t len;
	int rc = vn_delta_read_varint(f, at, frame.length, &frame.length_len, err);
	if (rc < 0)
		return rc;
	if (vn_get_varint(frame.length, frame.length_len, &len) != frame.length_len ||
	    len > vn_delta_block_size(head) + VN_DELTA_BODY_SLACK)
		return vn_fail(err, VN_EDIGEST, "the delta is damaged: the record for byte %llu of the new file has no length",
			       (unsigned long long)at);
	if ((rc = vn_delta_read(f, at, &frame.mode, 1, err)) < 0 ||
	    (rc = vn_delta_read(f, at, frame.check, sizeof(frame.check), err)) < 0)
		return rc;
	frame.body_len = (size_t)len;
	*ret = frame;
	return 0;
}

int vn_delta_read_end(struct vn_delta_frames *f, struct vn_err *err)
{
	uint8_t more;
	ssize_t n = vn_in_read(f->in, &more, 1, err);
	if (n < 0)
		return (int)n;
	return n == 0 ? 0 : vn_fail(err, VN_EDIGEST, "something follows the end of the delta");
}

int vn_delta_hash_frame(struct vn_hash *hash, const struct vn_delta_head *head, uint64_t start,
			const struct vn_delta_frame *frame, const void *body, struct vn_err *err)
{
	int rc = start == 0 ? vn_hash_add(hash, head->bytes, head->len, err) : 0;
	if (rc < 0 || (rc = vn_hash_add(hash, frame->length, frame->length_len, err)) < 0 ||
	    (rc = vn_hash_add(hash, &frame->mode, 1, err)) < 0)
		return rc;
	return vn_hash_add(hash, body, frame->body_len, err);
}

int vn_delta_put_record(struct vn_hash *hash, const struct vn_delta_head *head, uint64_t start, uint8_t mode,
			const struct vn_buf *body, const void *data, size_t len, struct vn_buf *out, struct vn_err *err)
{
	struct vn_delta_frame frame = { .body_len = body->len, .mode = mode };
	uint8_t digest[VN_DELTA_NEW_DIGEST];
	frame.length_len = vn_put_varint(frame.length, body->len);
	int rc = vn_delta_hash_frame(hash, head, start, &frame, body->data, err);
	if (rc < 0 || (rc = vn_hash_add(hash, data, len, err)) < 0 || (rc = vn_delta_hash_end(hash, digest, err)) < 0)
		return rc;
	if ((rc = vn_buf_add(out, frame.length, frame.length_len, err)) < 0 || (rc = vn_buf_add(out, &mode, 1, err)) < 0 ||
	    (rc = vn_buf_add(out, digest, VN_DELTA_CHECK, err)) < 0)
		return rc;
	return vn_buf_add(out, body->data, body->len, err);
}
