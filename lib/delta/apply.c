#include "delta/delta.h"
#include "delta/element.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>
#include <zstd.h>

#define READ_SIZE (64u << 10)
static const uint8_t zstd_magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };

struct decoder {
	const struct vn_delta_head *head;
	struct vn_delta_old *old;
	struct vn_in *in;
	uint64_t block;               /* its number */
	uint64_t start;               /* its place in new */
	size_t len;                   /* its bytes */
	uint8_t mode;
	uint8_t *data, *mapped, *work;
	uint8_t *room, *body;         /* body lies in room, behind space for a magic number */
	size_t body_len, at;
	uint8_t *prefix;              /* old window, then history */
	size_t window, history, history_len;
	ZSTD_DCtx *zstd;
	struct vn_hash *check, *whole;
};

static void decoder_release(struct decoder *d)
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

static int damaged(const struct decoder *d, const char *what, struct vn_err *err)
{
	return vn_fail(err, VN_EDIGEST, "the delta is damaged: block %llu, for bytes %llu to %llu of the new file: %s",
		       (unsigned long long)d->block, (unsigned long long)d->start, (unsigned long long)d->start + d->len, what);
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

/* ---- the body */
static int get_varint(struct decoder *d, uint64_t *ret, struct vn_err *err)
{
	size_t n = vn_get_varint(d->body + d->at, d->body_len - d->at, ret);
	if (n == 0)
		return damaged(d, "a number in it is not valid", err);
	d->at += n;
	return 0;
}

static int get_byte(struct decoder *d, uint8_t *ret, struct vn_err *err)
{
	if (d->at == d->body_len)
		return damaged(d, "it ends early", err);
	*ret = d->body[d->at++];
	return 0;
}

/* One stream of exactly `len` bytes. */
static int get_stream(struct decoder *d, uint8_t *out, size_t len, const uint8_t *prefix, size_t prefix_len, struct vn_err *err)
{
	uint64_t packed;
	int rc = get_varint(d, &packed, err);
	if (rc < 0)
		return rc;
	size_t rest = d->body_len - d->at, take = packed ? (size_t)packed : len;
	if (packed > rest || take > rest)
		return damaged(d, "a stream reaches beyond it", err);
	uint8_t *p = d->body + d->at;
	d->at += take;
	if (packed == 0) {
		memcpy(out, p, len);
		return 0;
	}
	if (packed == 1) {
		memset(out, *p, len);
		return 0;
	}
	memcpy(p - 4, zstd_magic, 4);         /* over bytes that were read already, or the room in front */
	if (prefix_len && ZSTD_isError(ZSTD_DCtx_refPrefix(d->zstd, prefix, prefix_len)))
		return vn_nomem(err);
	size_t n = ZSTD_decompressDCtx(d->zstd, out, len, p - 4, take + 4);
	if (ZSTD_isError(n) || n != len) {
		ZSTD_DCtx_reset(d->zstd, ZSTD_reset_session_and_parameters);
		return damaged(d, ZSTD_isError(n) ? ZSTD_getErrorName(n) : "a stream has another length than it should", err);
	}
	return 0;
}

/* Bytes [at, at + len) of the block, predicted by old at `shift`; what lies outside of old is 0. */
static int gather(struct decoder *d, size_t at, size_t len, int64_t shift, struct vn_err *err)
{
	uint8_t *out = d->mapped + at;
	int64_t from = (int64_t)(d->start + at) + shift, size = (int64_t)d->old->size;
	int64_t first = from < 0 ? 0 : from, end = from + (int64_t)len < size ? from + (int64_t)len : size;
	if (first >= end) {
		memset(out, 0, len);
		return 0;
	}
	size_t skip = (size_t)(first - from), count = (size_t)(end - first);
	memset(out, 0, skip);
	memset(out + skip + count, 0, len - skip - count);
	return d->old->read(d->old, (uint64_t)first, out + skip, count, err);
}

static int move_shift(struct decoder *d, uint64_t z, int64_t *shift, struct vn_err *err)
{
	int64_t step = vn_delta_unzigzag(z);
	if (step > 2 * VN_DELTA_SHIFT_MAX || step < -2 * VN_DELTA_SHIFT_MAX || *shift + step > VN_DELTA_SHIFT_MAX ||
	    *shift + step < -VN_DELTA_SHIFT_MAX)
		return damaged(d, "a shift is out of range", err);
	*shift += step;
	return 0;
}

static int get_map(struct decoder *d, struct vn_err *err)
{
	size_t at = 0;
	int64_t shift = 0;
	while (at < d->len) {
		uint64_t pieces, step;
		int rc = get_varint(d, &pieces, err);
		if (rc < 0 || (rc = get_varint(d, &step, err)) < 0 || (rc = move_shift(d, step, &shift, err)) < 0)
			return rc;
		size_t rest = d->len - at, most = (rest + (1u << VN_DELTA_PIECE_LOG) - 1) >> VN_DELTA_PIECE_LOG;
		if (pieces == 0 || pieces > most)
			return damaged(d, "its map does not cover it", err);
		size_t len = (size_t)pieces << VN_DELTA_PIECE_LOG;
		if (len > rest)
			len = rest;
		if ((rc = gather(d, at, len, shift, err)) < 0)
			return rc;
		at += len;
	}
	return 0;
}

static int fine_map(struct decoder *d, const uint8_t *p, size_t map_len, struct vn_err *err)
{
	size_t at = 0, pos = 0;
	int64_t shift = 0;
	while (at < d->len) {
		uint64_t v[3];
		for (int i = 0; i < 3; i++) {
			size_t n = vn_get_varint(p + pos, map_len - pos, &v[i]);
			if (n == 0)
				return damaged(d, "its map ends early", err);
			pos += n;
		}
		if (v[0] > d->len - at || v[1] > d->len - at - v[0] || v[0] + v[1] == 0)
			return damaged(d, "its map does not cover it", err);
		int rc = move_shift(d, v[2], &shift, err);
		if (rc < 0 || (rc = gather(d, at, (size_t)v[0], shift, err)) < 0)
			return rc;
		memset(d->mapped + at + v[0], 0, (size_t)v[1]);
		at += (size_t)(v[0] + v[1]);
	}
	return pos == map_len ? 0 : damaged(d, "its map is too long", err);
}

static int get_fine_map(struct decoder *d, struct vn_err *err)
{
	uint64_t len;
	int rc = get_varint(d, &len, err);
	if (rc < 0)
		return rc;
	if (len > d->len)
		return damaged(d, "its map is larger than it", err);
	/* the map is used up before the streams of the residual need this buffer */
	if ((rc = get_stream(d, d->work, (size_t)len, NULL, 0, err)) < 0)
		return rc;
	return fine_map(d, d->work, (size_t)len, err);
}

static int get_planes(struct decoder *d, unsigned stride, struct vn_err *err)
{
	if (stride == 1)
		return get_stream(d, d->data, d->len, NULL, 0, err);
	size_t at = 0;
	for (unsigned k = 0; k < stride; k++) {
		size_t len = vn_delta_plane_len(d->len, stride, k);
		int rc = get_stream(d, d->work + at, len, NULL, 0, err);
		if (rc < 0)
			return rc;
		at += len;
	}
	vn_delta_join(d->work, d->len, stride, d->data);
	return 0;
}

/* Elements that differ: the distance from one to the next, and their values as planes. */
static int get_sparse(struct decoder *d, const struct vn_delta_shape *s, struct vn_err *err)
{
	size_t pad = (s->width - s->phase) % s->width, elements = (pad + d->len + s->width - 1) / s->width;
	uint64_t count, gaps;
	int rc = get_varint(d, &count, err);
	if (rc < 0 || (rc = get_varint(d, &gaps, err)) < 0)
		return rc;
	size_t room = d->len + VN_DELTA_STREAM_SLACK;
	if (count > elements || gaps > room || count * s->width > room - gaps || gaps < count)
		return damaged(d, "it lists more elements than it has", err);
	const uint8_t *gap = d->work, *gap_end = gap + gaps;
	uint8_t *values = d->work + gaps;
	if ((rc = get_stream(d, d->work, (size_t)gaps, NULL, 0, err)) < 0)
		return rc;
	for (unsigned k = 0; k < s->width; k++)
		if ((rc = get_stream(d, values + k * count, (size_t)count, NULL, 0, err)) < 0)
			return rc;
	memset(d->data, 0, d->len);
	size_t element = 0;
	for (size_t i = 0; i < count; i++, element++) {
		for (; gap < gap_end && *gap == 255; gap++)
			element += 255;
		if (gap == gap_end)
			return damaged(d, "its gaps end early", err);
		element += *gap++;
		if (element >= elements)
			return damaged(d, "its gaps reach beyond it", err);
		for (unsigned k = 0; k < s->width; k++) {
			size_t at = element * s->width + k;
			uint8_t value = values[k * count + i];
			if (at >= pad && at - pad < d->len)
				d->data[at - pad] = value;
			else if (value != 0)
				return damaged(d, "an element reaches beyond it", err);
		}
	}
	return gap == gap_end ? 0 : damaged(d, "it has more gaps than elements", err);
}

static int get_bits(struct decoder *d, size_t *bit, unsigned count, uint64_t *ret, struct vn_err *err)
{
	uint64_t v = 0;
	if (count > (d->body_len - d->at) * 8 - *bit)
		return damaged(d, "its low bits end early", err);
	for (unsigned have = 0; have < count;) {
		unsigned skip = *bit & 7, take = 8 - skip < count - have ? 8 - skip : count - have;
		v |= (uint64_t)(d->body[d->at + *bit / 8] >> skip & ((1u << take) - 1)) << have;
		have += take;
		*bit += take;
	}
	*ret = v;
	return 0;
}

static int get_classes(struct decoder *d, const struct vn_delta_shape *s, struct vn_err *err)
{
	size_t head = s->phase < d->len ? s->phase : d->len, count = (d->len - head) / s->width;
	size_t tail = head + count * s->width, edges = d->len - count * s->width, bit = 0;
	int rc = get_stream(d, d->work, count, NULL, 0, err);
	if (rc < 0)
		return rc;
	if (edges > d->body_len - d->at)
		return damaged(d, "it ends early", err);
	memcpy(d->data, d->body + d->at, head);
	memcpy(d->data + tail, d->body + d->at + head, edges - head);
	d->at += edges;
	for (size_t i = 0; i < count; i++) {
		unsigned class = d->work[i];
		uint64_t low = 0;
		if (vn_delta_class_bits(class) + 3 > 8 * s->width)
			return damaged(d, "an element is wider than its width", err);
		if ((rc = get_bits(d, &bit, vn_delta_class_bits(class), &low, err)) < 0)
			return rc;
		vn_delta_store(d->data + head + i * s->width, s->width, vn_delta_class_base(class) + low);
	}
	d->at += (bit + 7) / 8;
	return 0;
}

static int get_difference(struct decoder *d, struct vn_err *err)
{
	uint8_t shape = 0;
	int rc = get_byte(d, &shape, err);
	if (rc < 0)
		return rc;
	struct vn_delta_shape s = { d->mode, 1u << (shape & VN_DELTA_SHAPE_WIDTH), shape >> VN_DELTA_SHAPE_PHASE_SHIFT & 7 };
	bool sparse = shape & VN_DELTA_SHAPE_SPARSE, classes = shape & VN_DELTA_SHAPE_CLASSES;
	if ((sparse && classes) || s.phase >= s.width)
		return damaged(d, "its shape is not valid", err);
	if ((rc = shape & VN_DELTA_SHAPE_FINE ? get_fine_map(d, err) : get_map(d, err)) < 0)
		return rc;
	rc = sparse ? get_sparse(d, &s, err) : classes ? get_classes(d, &s, err) : get_planes(d, s.width, err);
	if (rc < 0)
		return rc;
	vn_delta_restore(&s, d->mapped, d->data, d->len);
	return 0;
}

static int get_history(struct decoder *d, size_t *ret, struct vn_err *err)
{
	uint64_t len;
	int rc = get_varint(d, &len, err);
	if (rc < 0)
		return rc;
	if (len > d->history_len)
		return damaged(d, "it refers to more history than is kept", err);
	*ret = (size_t)len;
	return 0;
}

/* The prefix is one piece of memory: a slice of old that ends where the history begins, and the history's last bytes behind
 * it; both at once only when all of the history is taken. */
static int get_reference(struct decoder *d, struct vn_err *err)
{
	uint64_t from, len = 0;
	size_t history = 0;
	int rc;
	if (d->mode == VN_DELTA_RAW) {
		if ((rc = get_history(d, &history, err)) < 0)
			return rc;
		return get_stream(d, d->data, d->len, d->prefix + d->window + d->history_len - history, history, err);
	}
	if ((rc = get_varint(d, &from, err)) < 0 || (rc = get_varint(d, &len, err)) < 0 || (rc = get_history(d, &history, err)) < 0)
		return rc;
	int64_t step = vn_delta_unzigzag(from);
	if (step > VN_DELTA_SHIFT_MAX || step < -VN_DELTA_SHIFT_MAX || (int64_t)d->start + step < 0)
		return damaged(d, "its reference lies outside of the old file", err);
	uint64_t at = d->start + (uint64_t)step;
	if (at > d->old->size || len > d->old->size - at || len > d->window)
		return damaged(d, "its reference lies outside of the old file or its window", err);
	if (history != 0 && history != d->history_len)
		return damaged(d, "it takes a part of the history only", err);
	uint8_t *slice = d->prefix + d->window - len;
	if (len && (rc = d->old->read(d->old, at, slice, (size_t)len, err)) < 0)
		return rc;
	return get_stream(d, d->data, d->len, slice, (size_t)len + history, err);
}

static int get_body(struct decoder *d, struct vn_err *err)
{
	uint8_t stride = 0;
	int rc;
	switch (d->mode) {
	case VN_DELTA_COPY:
		if ((rc = get_map(d, err)) < 0)
			return rc;
		memcpy(d->data, d->mapped, d->len);
		break;
	case VN_DELTA_RAW:
	case VN_DELTA_REF:
		if ((rc = get_reference(d, err)) < 0)
			return rc;
		break;
	case VN_DELTA_PLANES:
		if ((rc = get_byte(d, &stride, err)) < 0)
			return rc;
		if (stride == 0)
			return damaged(d, "planes of nothing", err);
		if ((rc = get_planes(d, stride, err)) < 0)
			return rc;
		break;
	case VN_DELTA_XOR:
	case VN_DELTA_SUB:
	case VN_DELTA_FSUB:
		if ((rc = get_difference(d, err)) < 0)
			return rc;
		break;
	default:
		return damaged(d, "it has a mode that this version does not know", err);
	}
	return d->at == d->body_len ? 0 : damaged(d, "something follows its body", err);
}

static void keep_history(struct decoder *d)
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

static int one_block(struct decoder *d, struct vn_out *out, struct vn_err *err)
{
	uint8_t raw[10], check[VN_DELTA_CHECK], found[VN_DELTA_NEW_DIGEST];
	uint64_t body_len;
	size_t n = 0;
	int rc = read_varint(d->in, d->start, raw, &n, err);
	if (rc < 0)
		return rc;
	if (vn_get_varint(raw, n, &body_len) != n || body_len > vn_delta_block_size(d->head) + VN_DELTA_BODY_SLACK)
		return damaged(d, "its length is not valid", err);
	d->body_len = (size_t)body_len;
	d->at = 0;
	if (vn_in_read_full(d->in, &d->mode, 1, err) < 0 || vn_in_read_full(d->in, check, sizeof(check), err) < 0 ||
	    vn_in_read_full(d->in, d->body, d->body_len, err) < 0)
		return cut_off(d->start, err);
	if ((d->start == 0 && (rc = vn_hash_add(d->check, d->head->bytes, d->head->len, err)) < 0) ||
	    (rc = vn_hash_add(d->check, raw, n, err)) < 0 || (rc = vn_hash_add(d->check, &d->mode, 1, err)) < 0 ||
	    (rc = vn_hash_add(d->check, d->body, d->body_len, err)) < 0 || (rc = get_body(d, err)) < 0 ||
	    (rc = vn_hash_add(d->check, d->data, d->len, err)) < 0 || (rc = vn_delta_hash_end(d->check, found, err)) < 0)
		return rc;
	if (memcmp(found, check, sizeof(check)) != 0)
		return damaged(d, "its check value differs", err);
	if ((rc = vn_hash_add(d->whole, d->data, d->len, err)) < 0 || (rc = vn_out_write(out, d->data, d->len, err)) < 0)
		return rc;
	keep_history(d);
	return 0;
}

static int open_decoder(struct decoder *d, struct vn_err *err)
{
	size_t block = vn_delta_block_size(d->head);
	d->window = vn_delta_window(d->head->old_window_log2, d->head->old_size);
	d->history = vn_delta_window(d->head->history_log2, d->head->new_size);
	d->data = malloc(block + 1);
	d->mapped = malloc(block + 1);
	d->work = malloc(block + VN_DELTA_STREAM_SLACK);
	d->room = malloc(block + VN_DELTA_BODY_SLACK + sizeof(zstd_magic));
	d->prefix = malloc(d->window + d->history + 1);
	d->zstd = ZSTD_createDCtx();
	if (!d->data || !d->mapped || !d->work || !d->room || !d->prefix || !d->zstd)
		return vn_nomem(err);
	d->body = d->room + sizeof(zstd_magic);
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
	VN_CLEANUP(decoder_release) struct decoder d = { .head = &head, .old = old, .in = delta };
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
