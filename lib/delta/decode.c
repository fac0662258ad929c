#include "delta/decode.h"
#include "delta/element.h"
#include "delta/model.h"
#include "delta/recast.h"
#include "util/num.h"
#include <stdlib.h>
#include <string.h>

static const uint8_t zstd_magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };

int vn_delta_damaged(const struct vn_delta_decoder *d, const char *what, struct vn_err *err)
{
	return vn_fail(err, VN_EDIGEST, "the delta is damaged: block %llu, for bytes %llu to %llu of the new file: %s",
		       (unsigned long long)d->block, (unsigned long long)d->start, (unsigned long long)d->start + d->len, what);
}
static int get_varint(struct vn_delta_decoder *d, uint64_t *ret, struct vn_err *err)
{
	size_t n = vn_get_varint(d->body + d->at, d->body_len - d->at, ret);
	if (n == 0)
		return vn_delta_damaged(d, "a number in it is not valid", err);
	d->at += n;
	return 0;
}

static int get_byte(struct vn_delta_decoder *d, uint8_t *ret, struct vn_err *err)
{
	if (d->at == d->body_len)
		return vn_delta_damaged(d, "it ends early", err);
	*ret = d->body[d->at++];
	return 0;
}

/* One stream of exactly `len` bytes. */
static int get_stream(struct vn_delta_decoder *d, uint8_t *out, size_t len, const uint8_t *prefix, size_t prefix_len, struct vn_err *err)
{
	uint64_t packed;
	int rc = get_varint(d, &packed, err);
	if (rc < 0)
		return rc;
	size_t rest = d->body_len - d->at, take = packed ? (size_t)packed : len;
	if (packed > rest || take > rest)
		return vn_delta_damaged(d, "a stream reaches beyond it", err);
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
		return vn_delta_damaged(d, ZSTD_isError(n) ? ZSTD_getErrorName(n) : "a stream has another length than it should", err);
	}
	return 0;
}

int vn_delta_read_old(struct vn_delta_decoder *d, int64_t from, uint8_t *out, size_t len, struct vn_err *err)
{
	int64_t size = (int64_t)d->old->size;
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

/* Bytes [at, at + len) of the block, predicted by old at `shift`. */
static int gather(struct vn_delta_decoder *d, size_t at, size_t len, int64_t shift, struct vn_err *err)
{
	return vn_delta_read_old(d, (int64_t)(d->start + at) + shift, d->mapped + at, len, err);
}

static int move_shift(struct vn_delta_decoder *d, uint64_t z, int64_t *shift, struct vn_err *err)
{
	int64_t step = vn_delta_unzigzag(z);
	if (step > 2 * VN_DELTA_SHIFT_MAX || step < -2 * VN_DELTA_SHIFT_MAX || *shift + step > VN_DELTA_SHIFT_MAX ||
	    *shift + step < -VN_DELTA_SHIFT_MAX)
		return vn_delta_damaged(d, "a shift is out of range", err);
	*shift += step;
	return 0;
}

static int get_pair(struct vn_delta_decoder *d, uint64_t at, struct vn_err *err)
{
	uint64_t pieces, step, rest = d->covered - at, piece = vn_delta_piece(d->head);
	int rc = get_varint(d, &pieces, err);
	if (rc < 0 || (rc = get_varint(d, &step, err)) < 0 || (rc = move_shift(d, step, &d->shift, err)) < 0)
		return rc;
	if (pieces == 0 || pieces > (rest + piece - 1) / piece)
		return vn_delta_damaged(d, "its map does not cover it", err);
	d->pieces = pieces;
	return 0;
}

/* The map of a run goes on from block to block. */
static int get_map(struct vn_delta_decoder *d, struct vn_err *err)
{
	size_t piece = vn_delta_piece(d->head);
	for (size_t at = 0, len; at < d->len; at += len) {
		int rc = d->pieces ? 0 : get_pair(d, d->start + at, err);
		if (rc < 0)
			return rc;
		len = d->len - at;
		if (d->pieces < (len + piece - 1) / piece)
			len = (size_t)d->pieces * piece;
		d->pieces -= (len + piece - 1) / piece;
		if ((rc = gather(d, at, len, d->shift, err)) < 0)
			return rc;
	}
	return 0;
}

static int get_triple(struct vn_delta_decoder *d, uint64_t rest, struct vn_err *err)
{
	uint64_t v[3];
	for (int i = 0; i < 3; i++) {
		size_t n = vn_get_varint(d->work + d->list.at, d->list.len - d->list.at, &v[i]);
		if (n == 0)
			return vn_delta_damaged(d, "its map ends early", err);
		d->list.at += n;
	}
	if (v[0] > rest || v[1] > rest - v[0] || v[0] + v[1] == 0)
		return vn_delta_damaged(d, "its map does not cover it", err);
	d->list.mapped = v[0];
	d->list.unmapped = v[1];
	return move_shift(d, v[2], &d->shift, err);
}

/* The list lies in `work`; that of a run goes on from block to block. */
static int get_fine_map(struct vn_delta_decoder *d, struct vn_err *err)
{
	for (size_t at = 0, n; at < d->len; at += n) {
		int rc = d->list.mapped + d->list.unmapped ? 0 : get_triple(d, d->covered - d->start - at, err);
		if (rc < 0)
			return rc;
		n = d->list.mapped < d->len - at ? (size_t)d->list.mapped : d->len - at;
		if ((rc = gather(d, at, n, d->shift, err)) < 0)
			return rc;
		d->list.mapped -= n;
		at += n;
		n = d->list.unmapped < d->len - at ? (size_t)d->list.unmapped : d->len - at;
		memset(d->mapped + at, 0, n);
		d->list.unmapped -= n;
	}
	return 0;
}

static int get_list(struct vn_delta_decoder *d, size_t most, size_t *ret_len, struct vn_err *err)
{
	uint64_t len;
	int rc = get_varint(d, &len, err);
	if (rc < 0)
		return rc;
	if (len > most)
		return vn_delta_damaged(d, "its map is larger than it", err);
	*ret_len = (size_t)len;
	return get_stream(d, d->work, (size_t)len, NULL, 0, err);
}

/* The map of one block, which is used up before the streams of the residual need `work`. */
static int get_block_map(struct vn_delta_decoder *d, bool fine, struct vn_err *err)
{
	size_t len = 0;
	int rc;
	if (!fine && !d->convert)
		return get_map(d, err);
	if ((rc = get_list(d, d->len, fine ? &d->list.len : &len, err)) < 0)
		return rc;
	return fine ? get_fine_map(d, err) : vn_delta_recast(d, d->work, len, err);
}

static int get_planes(struct vn_delta_decoder *d, unsigned stride, struct vn_err *err)
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
static int get_sparse(struct vn_delta_decoder *d, const struct vn_delta_shape *s, struct vn_err *err)
{
	size_t pad = (s->width - s->phase) % s->width, elements = (pad + d->len + s->width - 1) / s->width;
	uint64_t count, gaps;
	int rc = get_varint(d, &count, err);
	if (rc < 0 || (rc = get_varint(d, &gaps, err)) < 0)
		return rc;
	size_t room = d->len + VN_DELTA_STREAM_SLACK;
	if (count > elements || gaps > room || count * s->width > room - gaps || gaps < count)
		return vn_delta_damaged(d, "it lists more elements than it has", err);
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
			return vn_delta_damaged(d, "its gaps end early", err);
		element += *gap++;
		if (element >= elements)
			return vn_delta_damaged(d, "its gaps reach beyond it", err);
		for (unsigned k = 0; k < s->width; k++) {
			size_t at = element * s->width + k;
			uint8_t value = values[k * count + i];
			if (at >= pad && at - pad < d->len)
				d->data[at - pad] = value;
			else if (value != 0)
				return vn_delta_damaged(d, "an element reaches beyond it", err);
		}
	}
	return gap == gap_end ? 0 : vn_delta_damaged(d, "it has more gaps than elements", err);
}

/* Elements of new from classes under a model, and what their classes leave open. */
static int get_classes(struct vn_delta_decoder *d, const struct vn_delta_shape *s, struct vn_err *err)
{
	size_t head = s->phase < d->len ? s->phase : d->len, count = (d->len - head) / s->width, used = 0;
	size_t tail = head + count * s->width, edges = d->len - count * s->width;
	uint64_t lag, model, coded;
	if (edges > d->body_len - d->at)
		return vn_delta_damaged(d, "it ends early", err);
	for (size_t i = 0; i < edges; i++) {
		size_t at = i < head ? i : tail + i - head;
		d->data[at] = d->mapped[at] ^ d->body[d->at++];
	}
	int rc = get_varint(d, &lag, err);
	if (rc < 0 || (rc = get_varint(d, &model, err)) < 0)
		return rc;
	if (lag > d->len / 2 || model > VN_DELTA_MODEL_MAX)
		return vn_delta_damaged(d, "its model is larger than it", err);
	if (!d->model && !(d->model = malloc(sizeof(*d->model))))
		return vn_nomem(err);
	if ((rc = get_stream(d, d->model->raw, (size_t)model, NULL, 0, err)) < 0 || (rc = get_varint(d, &coded, err)) < 0)
		return rc;
	if (coded > d->body_len - d->at)
		return vn_delta_damaged(d, "its symbols reach beyond it", err);
	const char *wrong = vn_delta_model_parse(d->model->raw, (size_t)model, s->width, lag > 0, d->model);
	const uint8_t *p = d->body + d->at, *low = p + coded;
	if (!wrong)
		wrong = vn_delta_symbols_get(d->model, s, (size_t)lag, (uint16_t *)(void *)d->work, d->mapped + head, count,
					     p, (size_t)coded, low, d->body_len - d->at - (size_t)coded, d->data + head, &used);
	d->at += (size_t)coded + used;
	return wrong ? vn_delta_damaged(d, wrong, err) : 0;
}

static int get_difference(struct vn_delta_decoder *d, struct vn_err *err)
{
	uint8_t shape = 0;
	int rc = get_byte(d, &shape, err);
	if (rc < 0)
		return rc;
	struct vn_delta_shape s = { d->mode, 1u << (shape & VN_DELTA_SHAPE_WIDTH), shape >> VN_DELTA_SHAPE_PHASE_SHIFT & 7 };
	bool sparse = shape & VN_DELTA_SHAPE_SPARSE, classes = shape & VN_DELTA_SHAPE_CLASSES;
	bool fine = shape & VN_DELTA_SHAPE_FINE;
	if ((classes && (sparse || s.mode == VN_DELTA_XOR)) || s.phase >= s.width || (fine && d->convert))
		return vn_delta_damaged(d, "its shape is not valid", err);
	if ((rc = get_block_map(d, fine, err)) < 0)
		return rc;
	if (classes)
		return get_classes(d, &s, err);
	if ((rc = sparse ? get_sparse(d, &s, err) : get_planes(d, s.width, err)) < 0)
		return rc;
	vn_delta_restore(&s, d->mapped, d->data, d->len);
	return 0;
}

static int get_history(struct vn_delta_decoder *d, size_t *ret, struct vn_err *err)
{
	uint64_t len;
	int rc = get_varint(d, &len, err);
	if (rc < 0)
		return rc;
	if (len > d->history_len)
		return vn_delta_damaged(d, "it refers to more history than is kept", err);
	*ret = (size_t)len;
	return 0;
}

/* The prefix is one piece of memory: a slice of old that ends where the history begins, and the history's last bytes behind
 * it; both at once only when all of the history is taken. */
static int get_reference(struct vn_delta_decoder *d, struct vn_err *err)
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
		return vn_delta_damaged(d, "its reference lies outside of the old file", err);
	uint64_t at = d->start + (uint64_t)step;
	if (at > d->old->size || len > d->old->size - at || len > d->window)
		return vn_delta_damaged(d, "its reference lies outside of the old file or its window", err);
	if (history != 0 && history != d->history_len)
		return vn_delta_damaged(d, "it takes a part of the history only", err);
	uint8_t *slice = d->prefix + d->window - len;
	if (len && (rc = d->old->read(d->old, at, slice, (size_t)len, err)) < 0)
		return rc;
	return get_stream(d, d->data, d->len, slice, (size_t)len + history, err);
}

int vn_delta_decode(struct vn_delta_decoder *d, struct vn_err *err)
{
	uint8_t stride = 0;
	int rc;
	d->covered = d->start + d->len;
	d->convert = d->mode & VN_DELTA_CONVERT;
	if (d->convert && (d->mode & ~VN_DELTA_CONVERT) >= VN_DELTA_XOR)
		d->mode &= (uint8_t)~VN_DELTA_CONVERT;
	switch (d->mode) {
	case VN_DELTA_RAW:
	case VN_DELTA_REF:
		if ((rc = get_reference(d, err)) < 0)
			return rc;
		break;
	case VN_DELTA_PLANES:
		if ((rc = get_byte(d, &stride, err)) < 0)
			return rc;
		if (stride == 0)
			return vn_delta_damaged(d, "planes of nothing", err);
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
		return vn_delta_damaged(d, "it has a mode that this version does not know", err);
	}
	return vn_delta_body_end(d, err);
}

int vn_delta_copy_begin(struct vn_delta_decoder *d, uint64_t *ret_blocks, struct vn_err *err)
{
	uint64_t blocks, left = vn_delta_count_blocks(d->head) - d->block;
	int rc = get_varint(d, &blocks, err);
	if (rc < 0)
		return rc;
	if (blocks == 0 || blocks > left)
		return vn_delta_damaged(d, "it has more blocks than the new file", err);
	d->covered = blocks == left ? d->head->new_size : d->start + (blocks << d->head->block_log2);
	*ret_blocks = blocks;
	return d->fine ? get_list(d, vn_delta_block_size(d->head), &d->list.len, err) : 0;
}

int vn_delta_copy_next(struct vn_delta_decoder *d, struct vn_err *err)
{
	int rc = d->fine ? get_fine_map(d, err) : get_map(d, err);
	if (rc == 0)
		memcpy(d->data, d->mapped, d->len);
	return rc;
}

int vn_delta_body_end(const struct vn_delta_decoder *d, struct vn_err *err)
{
	if (d->list.at != d->list.len)
		return vn_delta_damaged(d, "its map is too long", err);
	return d->at == d->body_len ? 0 : vn_delta_damaged(d, "something follows its body", err);
}
