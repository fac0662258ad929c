#include "delta/recast.h"
#include "util/num.h"
#include <string.h>

#define PIECE 8192                    /* bytes of old that are read at once */

struct list {
	const uint8_t *p;
	size_t len, at;
};
/* The scales of a segment, one for each `run` elements, over and over. */
struct scales {
	struct list list;
	size_t first;                 /* where they begin */
	uint64_t run, count;
	uint64_t next, left;          /* which one follows; elements that the current one still has */
	struct vn_delta_scale scale;
};
struct segment {
	struct vn_delta_rule rule;
	uint64_t elements, unmapped;
	int64_t from;
	struct scales scales;
};

static bool number(struct list *l, uint64_t *ret)
{
	size_t n = vn_get_varint(l->p + l->at, l->len - l->at, ret);
	l->at += n;
	return n > 0;
}

static bool signed_number(struct list *l, int64_t most, int64_t *ret)
{
	uint64_t z = 0;
	if (!number(l, &z))
		return false;
	*ret = vn_delta_unzigzag(z);
	return *ret >= -most && *ret <= most;
}

static bool read_scale(struct list *l, struct vn_delta_scale *ret)
{
	uint64_t step = 0;
	if (!number(l, &step) || step > VN_DELTA_FIXED_MAX)
		return false;
	ret->step = (int64_t)step;
	return signed_number(l, VN_DELTA_ZERO_MAX, &ret->zero) && signed_number(l, VN_DELTA_FIXED_MAX, &ret->base) &&
	       vn_delta_scale_valid(ret);
}

static bool read_scales(struct list *l, struct segment *s)
{
	int64_t exponent = 0;
	s->scales = (struct scales){ .run = 1 };
	if (!signed_number(l, VN_DELTA_EXPONENT_MAX, &exponent) || !number(l, &s->scales.count) || s->scales.count == 0 ||
	    (s->scales.count > 1 && (!number(l, &s->scales.run) || s->scales.run == 0)))
		return false;
	s->rule.exponent = (int16_t)exponent;
	s->scales.first = l->at;
	for (uint64_t i = 0; i < s->scales.count; i++)
		if (!read_scale(l, &s->scales.scale))
			return false;
	s->scales.list = (struct list){ l->p, l->at, s->scales.first };
	if (s->scales.count == 1)
		s->scales.left = UINT64_MAX;
	return true;
}

/* `from` comes as where the segment before it ended. */
static bool read_segment(struct list *l, struct segment *s)
{
	int64_t step = 0;
	if (l->at == l->len)
		return false;
	unsigned kind = l->p[l->at++];
	s->rule = (struct vn_delta_rule){ .from = kind & 15, .to = (uint8_t)(kind >> 4) };
	if (!vn_delta_rule_valid(s->rule.from, s->rule.to) || !number(l, &s->elements) || !number(l, &s->unmapped) ||
	    !signed_number(l, 2 * VN_DELTA_SHIFT_MAX, &step))
		return false;
	s->from += step;
	return s->from >= -VN_DELTA_SHIFT_MAX && s->from <= VN_DELTA_SHIFT_MAX &&
	       (!vn_delta_quantised(s->rule.to) || read_scales(l, s));
}

/* Elements that share the next scale; they were counted and are valid. */
static size_t next_run(struct scales *s, size_t most)
{
	if (s->left == 0) {
		if (s->next == s->count)
			s->next = 0, s->list.at = s->first;
		(void)read_scale(&s->list, &s->scale);
		s->next++;
		s->left = s->run;
	}
	size_t n = s->left < most ? (size_t)s->left : most;
	if (s->count > 1)
		s->left -= n;
	return n;
}

static int convert(struct vn_delta_decoder *d, struct segment *s, uint8_t *out, struct vn_err *err)
{
	uint8_t piece[PIECE];
	unsigned in = vn_delta_type_width(s->rule.from), to = vn_delta_type_width(s->rule.to);
	for (uint64_t left = s->elements; left > 0;) {
		size_t n = left < PIECE / in ? (size_t)left : PIECE / in, run;
		int rc = vn_delta_read_old(d, s->from, piece, n * in, err);
		if (rc < 0)
			return rc;
		for (size_t i = 0; i < n; i += run) {
			run = vn_delta_quantised(s->rule.to) ? next_run(&s->scales, n - i) : n - i;
			vn_delta_convert(&s->rule, &s->scales.scale, piece + i * in, run, out);
			out += run * to;
		}
		s->from += (int64_t)(n * in);
		left -= n;
	}
	return 0;
}

int vn_delta_recast(struct vn_delta_decoder *d, const uint8_t *bytes, size_t len, struct vn_err *err)
{
	struct list list = { bytes, len, 0 };
	struct segment s = { .from = 0 };
	for (size_t at = 0; at < d->len;) {
		if (!read_segment(&list, &s))
			return vn_delta_damaged(d, "its converting map is not valid", err);
		size_t width = vn_delta_type_width(s.rule.to), rest = d->len - at;
		if (s.elements > rest / width || s.unmapped > rest - s.elements * width || s.elements + s.unmapped == 0)
			return vn_delta_damaged(d, "its map does not cover it", err);
		size_t mapped = (size_t)s.elements * width;
		int rc = 0;
		if (s.rule.to != VN_DELTA_BYTES)
			rc = convert(d, &s, d->mapped + at, err);
		else if ((rc = vn_delta_read_old(d, s.from, d->mapped + at, mapped, err)) == 0)
			s.from += (int64_t)mapped;
		if (rc < 0)
			return rc;
		memset(d->mapped + at + mapped, 0, (size_t)s.unmapped);
		at += mapped + (size_t)s.unmapped;
	}
	return list.at == len ? 0 : vn_delta_damaged(d, "its map is too long", err);
}
