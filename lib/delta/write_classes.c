#include "delta/coder.h"
#include "delta/fit.h"
#include "util/num.h"
#include <string.h>

/* The words of rANS from the last symbol to the first, at the end of `out`; SIZE_MAX when they do not fit. */
static size_t put_symbols(const struct vn_delta_model *m, const uint8_t *symbols, const uint8_t *tables, size_t count,
			  uint8_t *out, size_t room)
{
	uint32_t state[2] = { VN_DELTA_RANS_LOW, VN_DELTA_RANS_LOW };
	size_t at = room;
	for (size_t i = count; i-- > 0;) {
		uint32_t n = m->range[tables[i]][symbols[i]].count, x = state[i & 1];
		if (at < 16)
			return SIZE_MAX;
		if (x >= (uint64_t)n << 20) {
			out[--at] = (uint8_t)(x >> 8);
			out[--at] = (uint8_t)x;
			x >>= 16;
		}
		state[i & 1] = (x / n << VN_DELTA_RANS_LOG) + x % n + m->range[tables[i]][symbols[i]].start;
	}
	vn_put_u32(out + at - 4, state[1]);
	vn_put_u32(out + at - 8, state[0]);
	return at - 8;
}

int vn_delta_put_classes(struct vn_delta_coder *c, const struct vn_delta_shape *s, const uint8_t *predicted, bool zeros,
			 bool *ret_fits, struct vn_err *err)
{
	size_t head = s->phase < c->len ? s->phase : c->len, count = (c->len - head) / s->width, tail = head + count * s->width;
	size_t bit = 0;
	uint64_t low;
	*ret_fits = false;
	memset(c->gaps, 0, c->len);
	for (size_t i = 0; i < count; i++) {
		unsigned symbol = vn_delta_symbol(vn_delta_load(c->residual + head + i * s->width, s->width), s->width, &low);
		if (zeros && vn_delta_zeroed(s, predicted + head + i * s->width, c->data + head + i * s->width))
			symbol = VN_DELTA_ZERO;
		unsigned left = vn_delta_class_bits(symbol >> vn_delta_signed(s->width));
		c->planes[i] = (uint8_t)symbol;
		while (left > 0) {
			unsigned skip = bit & 7, take = 8 - skip < left ? 8 - skip : left;
			c->gaps[bit / 8] |= (uint8_t)((low & ((1u << take) - 1)) << skip);
			low >>= take, left -= take, bit += take;
		}
	}
	struct vn_delta_elements e = { predicted + head, c->planes, count, s->width, c->averages, c->tables };
	vn_delta_fit(c->fit, &e, c->job->effort);
	int rc = vn_buf_add(&c->body, c->residual, head, err);
	if (rc < 0 || (rc = vn_buf_add(&c->body, c->residual + tail, c->len - tail, err)) < 0 ||
	    (rc = vn_delta_put_varint(&c->body, c->fit->lag, err)) < 0 ||
	    (rc = vn_delta_put_varint(&c->body, c->fit->raw_len, err)) < 0 ||
	    (rc = vn_delta_put_stream(c, c->fit->model.raw, c->fit->raw_len, 19, NULL, 0, err)) < 0)
		return rc;
	size_t start = put_symbols(&c->fit->model, c->planes, c->tables, count, c->packed, c->packed_cap);
	if (start == SIZE_MAX)
		return 0;
	*ret_fits = true;
	if ((rc = vn_delta_put_varint(&c->body, c->packed_cap - start, err)) < 0 ||
	    (rc = vn_buf_add(&c->body, c->packed + start, c->packed_cap - start, err)) < 0)
		return rc;
	return vn_buf_add(&c->body, c->gaps, (bit + 7) / 8, err);
}
