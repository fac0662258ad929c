#include "delta/casts.h"
#include "util/num.h"
#include <stdlib.h>
#include <string.h>

#define PIECE 1024                    /* elements that are converted at once */

void vn_delta_casts_release(struct vn_delta_casts *casts)
{
	free(casts->list);
	free(casts->table);
	*casts = (struct vn_delta_casts){ 0 };
}

int vn_delta_casts_add(struct vn_delta_casts *casts, const struct vn_delta_cast *cast, const struct vn_delta_scale *scale,
		       struct vn_err *err)
{
	int rc = vn_grow(&casts->list, &casts->cap, casts->count + 1, sizeof(*casts->list), err);
	size_t scales = casts->scales + cast->scales;
	if (rc < 0 || (rc = vn_grow(&casts->table, &casts->scales_cap, scales + 1, sizeof(*casts->table), err)) < 0)
		return rc;
	struct vn_delta_cast *c = &casts->list[casts->count++];
	*c = *cast;
	c->scale = casts->scales;
	if (cast->scales)
		memcpy(casts->table + casts->scales, scale, cast->scales * sizeof(*scale));
	casts->scales += cast->scales;
	return 0;
}

/* The first one that ends behind `start`. */
static size_t first_at(const struct vn_delta_casts *casts, size_t start)
{
	size_t low = 0, high = casts->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (vn_delta_cast_end(&casts->list[mid]) <= start)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool vn_delta_casts_touch(const struct vn_delta_casts *casts, size_t start, size_t len)
{
	for (size_t i = first_at(casts, start); i < casts->count && casts->list[i].start < start + len; i++)
		if (casts->list[i].rule.to != VN_DELTA_BYTES)
			return true;
	return false;
}

struct writer {
	const struct vn_delta_casts *casts;
	const uint8_t *old;
	size_t old_len;
	uint8_t *out;                 /* the block */
	struct vn_buf *list;
	int64_t from;                 /* where the segment before ended in old */
};

static int put(struct vn_buf *out, uint64_t v, struct vn_err *err)
{
	uint8_t raw[10];
	return vn_buf_add(out, raw, vn_put_varint(raw, v), err);
}

static int put_head(struct writer *w, const struct vn_delta_rule *rule, size_t elements, size_t unmapped, int64_t from,
		    struct vn_err *err)
{
	uint8_t kind = (uint8_t)(rule->from | rule->to << 4);
	int rc = vn_buf_add(w->list, &kind, 1, err);
	if (rc < 0 || (rc = put(w->list, elements, err)) < 0 || (rc = put(w->list, unmapped, err)) < 0 ||
	    (rc = put(w->list, vn_delta_zigzag(from - w->from), err)) < 0)
		return rc;
	w->from = from + (int64_t)(elements * vn_delta_type_width(rule->from));
	return 0;
}

static int put_scales(struct writer *w, const struct vn_delta_cast *c, size_t first, size_t count, struct vn_err *err)
{
	int rc = put(w->list, vn_delta_zigzag(c->rule.exponent), err);
	if (rc < 0 || (rc = put(w->list, count, err)) < 0 || (count > 1 && (rc = put(w->list, c->run, err)) < 0))
		return rc;
	for (size_t i = 0; i < count; i++) {
		const struct vn_delta_scale *s = &w->casts->table[c->scale + (first + i) % c->scales];
		if ((rc = put(w->list, (uint64_t)s->step, err)) < 0 || (rc = put(w->list, vn_delta_zigzag(s->zero), err)) < 0 ||
		    (rc = put(w->list, vn_delta_zigzag(s->base), err)) < 0)
			return rc;
	}
	return 0;
}

static void fill(struct writer *w, const struct vn_delta_cast *c, size_t element, size_t count, uint8_t *out)
{
	uint8_t piece[PIECE * 8];
	unsigned in = vn_delta_type_width(c->rule.from), to = vn_delta_type_width(c->rule.to);
	size_t run;
	for (; count > 0; element += run, count -= run, out += run * to) {
		int64_t from = c->from + (int64_t)(element * in);
		run = count < PIECE ? count : PIECE;
		if (c->scales > 1 && run > c->run - element % c->run)
			run = c->run - element % c->run;
		size_t skip = from < 0 ? (size_t)-from : 0, n = run * in;
		memset(piece, 0, n);
		if (skip < n && from + (int64_t)skip < (int64_t)w->old_len) {
			size_t at = (size_t)(from + (int64_t)skip), rest = w->old_len - at;
			memcpy(piece + skip, w->old + at, rest < n - skip ? rest : n - skip);
		}
		if (c->rule.to == VN_DELTA_BYTES)
			memcpy(out, piece, run);
		else
			vn_delta_convert(&c->rule, c->scales ? &w->casts->table[c->scale + element / c->run % c->scales] : NULL,
					 piece, run, out);
	}
}

/* Elements [first, end) of a cast; a run that begins in the middle becomes a segment of its own. */
static int write_cast(struct writer *w, const struct vn_delta_cast *c, size_t first, size_t end, size_t unmapped, uint8_t *out,
		      struct vn_err *err)
{
	unsigned in = vn_delta_type_width(c->rule.from);
	fill(w, c, first, end - first, out);
	for (size_t n; first < end; first += n) {
		n = end - first;
		if (c->scales > 1 && first % c->run && n > c->run - first % c->run)
			n = c->run - first % c->run;
		int rc = put_head(w, &c->rule, n, first + n == end ? unmapped : 0, c->from + (int64_t)(first * in), err);
		if (rc < 0)
			return rc;
		size_t runs = (n + c->run - 1) / c->run;
		if (c->scales && (rc = put_scales(w, c, first / c->run, runs < c->scales ? runs : c->scales, err)) < 0)
			return rc;
	}
	return 0;
}

int vn_delta_casts_write(const struct vn_delta_casts *casts, const uint8_t *old, size_t old_len, size_t start, size_t len,
			 uint8_t *ret, struct vn_buf *list, struct vn_err *err)
{
	struct writer w = { casts, old, old_len, ret, list, 0 };
	static const struct vn_delta_rule plain = { 0 };
	size_t at = 0;
	int rc = 0;
	memset(ret, 0, len);
	for (size_t i = first_at(casts, start); at < len && rc == 0; i++) {
		const struct vn_delta_cast *c = i < casts->count ? &casts->list[i] : NULL;
		const struct vn_delta_cast *next = c && i + 1 < casts->count ? &casts->list[i + 1] : NULL;
		if (!c || c->start >= start + len)
			return put_head(&w, &plain, 0, len - at, w.from, err);
		size_t width = vn_delta_type_width(c->rule.to);
		size_t first = c->start < start ? (start - c->start + width - 1) / width : 0;
		size_t end = (start + len - c->start) / width;
		if (end > c->elements)
			end = c->elements;
		if (end <= first)
			continue;
		size_t begin = c->start + first * width - start, stop = c->start + end * width - start;
		size_t follows = next && next->start < start + len ? next->start - start : len;
		if (begin > at && (rc = put_head(&w, &plain, 0, begin - at, w.from, err)) < 0)
			return rc;
		rc = write_cast(&w, c, first, end, follows - stop, ret + begin, err);
		at = follows;
	}
	return rc;
}
