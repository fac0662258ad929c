#include "delta/casts.h"
#include "delta/scale.h"
#include "delta/axis.h"
#include "delta/order.h"
#include "util/cleanup.h"
#include <string.h>

#define NEAR_PAIRS 8                  /* pairs in order that are enough where the place was expected */
#define FAR_PAIRS 20                  /* and where it was searched */
#define SEED 64                       /* elements that a conversion is first recognised by */
#define SEED_MIN 16
#define DISTINCT 4
#define BAD 3                         /* matching elements that make up for one that does not */
#define PATIENCE 64
#define COST 4                        /* elements that a miss weighs when two conversions compete */
#define SAME_MIN 64                   /* bytes in a row that are taken for a copy */
#define SAME_VALUES 8
#define REACH_BACK (64u << 10)
#define REACH (256u << 10)
#define COPY_MIN 8
#define COPY_UNIT 4
#define SAMPLES 12
#define STEP 16
#define STEP_MAX (16u << 10)
#define STEP_TRIES 16
#define SEARCH_EVERY 256
#define BUDGET (1ull << 29)           /* places in old that are looked at in all, */
#define BUDGET_EACH 32                /* and so often the whole of old */
#define SNIFF_BUDGET (1ull << 26)
#define SNIFF_EACH 6
#define SNIFF_MOST 32768
#define TABLE_MIN 256                 /* elements that are worth the scales of rows or columns */
#define TABLE_COST 2                  /* places that could be looked at while one element is tried for them */
#define HINTS_TRIED 256

struct pair {
	uint8_t from, to;
};
/* What is tried at once, because it has one width and one order. */
static const struct group {
	struct pair pairs[3];
} groups[] = {
	{ { { VN_DELTA_F32, VN_DELTA_F16 }, { VN_DELTA_F32, VN_DELTA_BF16 }, { VN_DELTA_F32, VN_DELTA_I16 } } },
	{ { { VN_DELTA_F32, VN_DELTA_I8 } } },
	{ { { VN_DELTA_F32, VN_DELTA_U8 } } },
	{ { { VN_DELTA_F32, VN_DELTA_U16 } } },
	{ { { VN_DELTA_F16, VN_DELTA_I8 }, { VN_DELTA_BF16, VN_DELTA_I8 } } },
	{ { { VN_DELTA_F16, VN_DELTA_U8 }, { VN_DELTA_BF16, VN_DELTA_U8 } } },
	{ { { VN_DELTA_F64, VN_DELTA_F32 } } },
	{ { { VN_DELTA_F64, VN_DELTA_F16 } } },
	{ { { VN_DELTA_F16, VN_DELTA_F32 }, { VN_DELTA_BF16, VN_DELTA_F32 } } },
	{ { { VN_DELTA_F32, VN_DELTA_F64 } } },
};
#define GROUPS (sizeof(groups) / sizeof(*groups))

struct finder {
	const uint8_t *old, *data;
	size_t old_len, len;
	const struct vn_delta_map *map;
	const struct vn_delta_options *options;
	size_t hint;                  /* the first that does not end before */
	struct vn_delta_scaling fit;
	struct vn_delta_axis table;
	bool active[GROUPS];
	struct vn_delta_casts casts;
	size_t new_end, old_end;      /* where what was understood last ends */
	uint64_t budget;
	size_t most;                  /* elements that a match is followed for */
	bool tables;                  /* scales of rows and columns are looked for */
};

static void finder_release(struct finder *f)
{
	vn_delta_scaling_release(&f->fit);
	vn_delta_axis_release(&f->table);
	vn_delta_casts_release(&f->casts);
}

/* ---- one conversion at one place */
struct match {
	struct vn_delta_rule rule;
	struct vn_delta_scale scale;
	size_t start, from, elements;
	int64_t score;
	bool table;                   /* of the finder, instead of one scale */
};

static size_t room_at(const struct finder *f, const struct pair *p, size_t at, size_t from)
{
	size_t a = at < f->len ? (f->len - at) / vn_delta_type_width(p->to) : 0;
	size_t b = from < f->old_len ? (f->old_len - from) / vn_delta_type_width(p->from) : 0;
	a = a < b ? a : b;
	return a < f->most ? a : f->most;
}

/* How far from new number `off` of element `i` the conversion lands; 0 for casts that are the same bytes. */
static uint32_t miss(const struct finder *f, const struct match *m, size_t at, size_t from)
{
	uint8_t out[8] = { 0 };
	unsigned width = vn_delta_type_width(m->rule.to);
	vn_delta_convert(&m->rule, &m->scale, f->old + from, 1, out);
	if (!vn_delta_quantised(m->rule.to))
		return memcmp(out, f->data + at, width) != 0;
	int32_t d = vn_delta_number(m->rule.to, out) - vn_delta_number(m->rule.to, f->data + at);
	return (uint32_t)(d < 0 ? -d : d);
}

/* Elements from `first` on (backwards: before it), at most `most`, that the rule explains within `slack`. */
static size_t reach(const struct finder *f, const struct match *m, size_t first, size_t most, uint32_t slack, bool back)
{
	size_t in = vn_delta_type_width(m->rule.from), out = vn_delta_type_width(m->rule.to), best = 0;
	int64_t score = 0, top = 0;
	for (size_t n = 1; n <= most && score > top - PATIENCE; n++) {
		size_t at = back ? m->start - n * out : m->start + (first + n - 1) * out;
		size_t from = back ? m->from - n * in : m->from + (first + n - 1) * in;
		score += miss(f, m, at, from) <= slack ? 1 : -BAD;
		if (score > top)
			top = score, best = n;
	}
	return best;
}

static size_t misses(const struct finder *f, const struct match *m, size_t count)
{
	size_t in = vn_delta_type_width(m->rule.from), out = vn_delta_type_width(m->rule.to), n = 0;
	for (size_t i = 0; i < count; i++)
		n += miss(f, m, m->start + i * out, m->from + i * in) != 0;
	return n;
}

static bool fit(struct finder *f, struct match *m, size_t count)
{
	if (!vn_delta_scaling_fit(&f->fit, m->rule.from, m->rule.to, f->old + m->from, f->data + m->start, count))
		return false;
	struct match next = *m;
	next.rule = f->fit.rule, next.scale = f->fit.scale;
	if (misses(f, &next, count) > count / 64)
		return false;
	*m = next;
	return true;
}

static bool various(const uint8_t *p, unsigned width, size_t count)
{
	uint64_t seen[DISTINCT];
	size_t n = 0;
	for (size_t i = 0; i < count && n < DISTINCT; i++) {
		size_t k = 0;
		while (k < n && memcmp(&seen[k], p + i * width, width) != 0)
			k++;
		if (k == n)
			memcpy(&seen[n++], p + i * width, width);
	}
	return n == DISTINCT;
}

/* The scale gets sharper with every doubling, until the next tensor begins. */
static bool grow(struct finder *f, struct match *m, size_t most)
{
	size_t n = SEED < most ? SEED : most;
	while (n >= SEED_MIN && !fit(f, m, n))
		n /= 2;
	if (n < SEED_MIN)
		return false;
	while (n < most) {
		struct match before = *m;
		uint32_t slack = (uint32_t)(1 + (size_t)(f->fit.last - f->fit.first) * 4 / n);
		size_t next = n < most / 2 ? 2 * n : most, more = reach(f, m, n, next - n, slack, false);
		if (more > 0 && fit(f, m, n + more)) {
			n += more;
			if (n < next)
				break;
			continue;
		}
		*m = before;
		break;
	}
	if (!fit(f, m, n))
		return false;
	vn_delta_scaling_shorten(&f->fit);
	m->rule = f->fit.rule, m->scale = f->fit.scale;
	m->elements = n + reach(f, m, n, most - n, 0, false);
	/* what the last doubling took too much of the next tensor */
	m->elements = reach(f, m, 0, m->elements, 0, false);
	return m->elements >= SEED_MIN;
}

/* Scales of rows or columns; what does not fit them is left to the residual, but it must be little. */
static bool grow_table(struct finder *f, struct match *m, size_t most)
{
	struct vn_delta_axis *t = &f->table;
	size_t in = vn_delta_type_width(m->rule.from), out = vn_delta_type_width(m->rule.to), n = 0;
	uint64_t cost = (uint64_t)most * TABLE_COST;
	f->budget -= cost < f->budget ? cost : f->budget;
	if (most < TABLE_MIN || !vn_delta_axis_find(t, m->rule.from, m->rule.to, f->old + m->from, f->data + m->start, most) ||
	    t->elements < TABLE_MIN)
		return false;
	m->rule = t->rule;
	for (size_t i = 0; i < t->elements; i++) {
		m->scale = t->scales[i / t->run % t->count];
		n += miss(f, m, m->start + i * out, m->from + i * in) != 0;
	}
	m->elements = t->elements;
	m->score = (int64_t)m->elements - COST * (int64_t)n;
	m->table = true;
	return n <= t->elements / 32;
}

/* Does `p` turn old at `from` into new at `at`, and how far? Then back to where the match before ended. */
static bool match(struct finder *f, const struct pair *p, size_t at, size_t from, struct match *ret)
{
	struct match m = { .rule = { p->from, p->to, 0 }, .start = at, .from = from };
	size_t most = room_at(f, p, at, from), in = vn_delta_type_width(p->from), out = vn_delta_type_width(p->to);
	if (most < SEED_MIN)
		return false;
	if (vn_delta_quantised(p->to)) {
		*ret = m;
		if (p->to == VN_DELTA_I8 && f->tables && grow_table(f, ret, most))
			return true;
		if (!grow(f, &m, most))
			return false;
	} else {
		if (!various(f->data + at, (unsigned)out, SEED_MIN) || misses(f, &m, SEED_MIN) > 0)
			return false;
		m.elements = reach(f, &m, 0, most, 0, false);
	}
	size_t free = (at - f->new_end) / out, back = free < from / in ? free : from / in;
	back = reach(f, &m, 0, back, 0, true);
	m.start -= back * out, m.from -= back * in, m.elements += back;
	m.score = (int64_t)m.elements - COST * (int64_t)misses(f, &m, m.elements);
	*ret = m;
	return true;
}

/* The best of a group. */
static bool match_any(struct finder *f, const struct group *g, size_t at, size_t from, struct match *ret)
{
	struct match m;
	bool found = false;
	for (size_t i = 0; i < sizeof(g->pairs) / sizeof(*g->pairs) && g->pairs[i].to; i++)
		if (match(f, &g->pairs[i], at, from, &m) && (!found || m.score > ret->score))
			*ret = m, found = true;
	return found;
}

static int keep(struct finder *f, const struct match *m, struct vn_err *err)
{
	struct vn_delta_cast c = { .start = m->start, .elements = m->elements, .from = (int64_t)m->from, .rule = m->rule,
				   .scales = vn_delta_quantised(m->rule.to), .run = 1 };
	if (m->table)
		c.scales = f->table.count, c.run = f->table.run;
	f->new_end = m->start + m->elements * vn_delta_type_width(m->rule.to);
	f->old_end = m->from + m->elements * vn_delta_type_width(m->rule.from);
	return vn_delta_casts_add(&f->casts, &c, m->table ? f->table.scales : &m->scale, err);
}

/* ---- places */
static unsigned width_from(const struct group *g)
{
	return vn_delta_type_width(g->pairs[0].from);
}

static unsigned width_to(const struct group *g)
{
	return vn_delta_type_width(g->pairs[0].to);
}

static bool try_at(struct finder *f, const struct group *g, const struct vn_delta_order *o, size_t at, int64_t from,
		   struct match *ret)
{
	if (from < 0 || (uint64_t)from > f->old_len || f->old_len - (uint64_t)from < o->span ||
	    !vn_delta_order_holds(o, f->old + from))
		return false;
	return match_any(f, g, at, (size_t)from, ret);
}

/* Every place in old[begin, end) that lies a multiple of `step` behind the first. */
static bool search(struct finder *f, const struct group *g, const struct vn_delta_order *o, size_t at, int64_t begin, int64_t end,
		   size_t step, struct match *ret)
{
	size_t first = begin < 0 ? 0 : (size_t)begin, stop = end < 0 ? 0 : (size_t)end;
	stop = stop < f->old_len ? stop : f->old_len;
	while (first < stop && f->budget > 0) {
		size_t place = vn_delta_order_search(o, f->old, f->old_len, first, stop, step);
		uint64_t cost = (place - first) / step + 64;
		f->budget -= cost < f->budget ? cost : f->budget;
		if (place >= stop)
			return false;
		if (match_any(f, g, at, place, ret))
			return true;
		first = place + step;
	}
	return false;
}

/* All of old: first where whole elements lie from the last match on. */
static bool search_all(struct finder *f, const struct group *g, const struct vn_delta_order *o, size_t at, struct match *ret)
{
	int64_t phase = (int64_t)(f->old_end % width_from(g)), end = (int64_t)f->old_len;
	return search(f, g, o, at, phase, end, width_from(g), ret) || search(f, g, o, at, 0, end, 1, ret);
}

static void order_at(const struct finder *f, const struct group *g, size_t at, size_t most, struct vn_delta_order *ret)
{
	size_t count = (at < f->len ? f->len - at : 0) / width_to(g);
	vn_delta_order_make(ret, g->pairs[0].from, g->pairs[0].to, f->data + at, count < most ? count : most);
}

/* Where a hint says that `at` comes from; elements of other widths go from and to a hint's start. -1: no hint. */
static int64_t hinted(struct finder *f, size_t at, const struct group *g)
{
	const struct vn_delta_hint *h = f->options->hints;
	size_t n = f->options->nhints, in = width_from(g), out = width_to(g);
	while (f->hint < n && (h[f->hint].new_at + h[f->hint].new_len <= at || h[f->hint].new_len > f->len))
		f->hint++;
	if (f->hint == n || h[f->hint].new_at > at || h[f->hint].old_at > f->old_len)
		return -1;
	if (h[f->hint].old_len / in != h[f->hint].new_len / out || (at - h[f->hint].new_at) % out)
		return -1;
	return (int64_t)(h[f->hint].old_at + (at - h[f->hint].new_at) / out * in);
}

/* Where the last match would go on, over what is converted or over what is not. The best of all pairs. */
static bool try_expected(struct finder *f, size_t at, unsigned phase, struct match *ret)
{
	static const size_t spans[] = { SEED, SEED / 4 };
	struct match m;
	bool found = false;
	at += phase;
	for (size_t k = 0; k < 2 && !found; k++)
		for (size_t i = 0; i < GROUPS; i++) {
			const struct group *g = &groups[i];
			struct vn_delta_order o;
			if (!f->active[i] || phase >= width_to(g))
				continue;
			order_at(f, g, at, spans[k], &o);
			if (o.count < NEAR_PAIRS / (k + 1))
				continue;
			size_t gap = at - f->new_end, in = width_from(g), out = width_to(g);
			int64_t end = (int64_t)f->old_end;
			if ((try_at(f, g, &o, at, end + (int64_t)(gap / out * in), &m) ||
			     (gap > 0 && try_at(f, g, &o, at, end + (int64_t)gap, &m)) ||
			     try_at(f, g, &o, at, hinted(f, at, g), &m)) &&
			    (!found || m.score > ret->score))
				*ret = m, found = true;
		}
	return found;
}

static bool try_search(struct finder *f, size_t at, unsigned phase, bool everywhere, struct match *ret)
{
	struct match m;
	bool found = false;
	at += phase;
	for (size_t i = 0; i < GROUPS; i++) {
		const struct group *g = &groups[i];
		struct vn_delta_order o;
		if (!f->active[i] || phase >= width_to(g))
			continue;
		order_at(f, g, at, VN_DELTA_ORDER_SPAN, &o);
		if (o.count < FAR_PAIRS)
			continue;
		int64_t gap = (int64_t)(at - f->new_end), end = (int64_t)f->old_end;
		int64_t wide = gap * width_from(g) / width_to(g), low = wide < gap ? wide : gap;
		int64_t high = wide > gap ? wide : gap;
		if ((search(f, g, &o, at, end + low - REACH_BACK, end + high + REACH, 1, &m) ||
		     (everywhere && search_all(f, g, &o, at, &m))) &&
		    (!found || m.score > ret->score))
			*ret = m, found = true;
	}
	return found;
}

/* ---- what kind of pair is it at all? */
static bool worth(const struct finder *f, const struct group *g)
{
	unsigned in = width_from(g), out = width_to(g);
	size_t less = f->old_len - f->old_len / 32;
	return in > out ? f->len < less && f->len > f->old_len / in / 8 : f->len > f->old_len + f->old_len / 32 &&
								f->len / 8 / out < f->old_len;
}

/* Sample `s`, and the place in old that is as far from its start. */
static bool sniff_at(struct finder *f, size_t i, size_t s, unsigned phase, bool everywhere)
{
	const struct group *g = &groups[i];
	struct vn_delta_order o;
	struct match m;
	size_t at = f->len / SAMPLES * s + phase;
	order_at(f, g, at, VN_DELTA_ORDER_SPAN, &o);
	if (o.count < FAR_PAIRS)
		return false;
	if (everywhere)
		return search_all(f, g, &o, at, &m);
	int64_t middle = (int64_t)(f->old_len / SAMPLES * s);
	return search(f, g, &o, at, middle - REACH, middle + REACH, 1, &m);
}

/* The hints that name tensors of another width. */
static bool sniff_hints(struct finder *f)
{
	bool any = false;
	struct match m;
	for (size_t i = 0; i < f->options->nhints && i < HINTS_TRIED; i++) {
		const struct vn_delta_hint *h = &f->options->hints[i];
		for (size_t g = 0; g < GROUPS && h->old_len != h->new_len && h->new_at < f->len && h->old_at < f->old_len; g++)
			if (!f->active[g] && h->old_len / width_from(&groups[g]) == h->new_len / width_to(&groups[g]))
				any |= f->active[g] = match_any(f, &groups[g], (size_t)h->new_at, (size_t)h->old_at, &m);
	}
	return any;
}

static bool sniff(struct finder *f)
{
	f->budget = SNIFF_BUDGET + SNIFF_EACH * (uint64_t)f->old_len;
	f->most = SNIFF_MOST;
	f->tables = true;
	bool any = sniff_hints(f);
	for (int everywhere = 0; everywhere < 2 && !any; everywhere++)
		for (size_t s = 1; s < SAMPLES; s += everywhere ? 3 : 1)
			for (size_t i = 0; i < GROUPS; i++)
				for (unsigned ph = 0; ph < width_to(&groups[i]) && worth(f, &groups[i]); ph++)
					if (!f->active[i] && sniff_at(f, i, s, ph, everywhere))
						any = f->active[i] = true;
	return any;
}

/* ---- all of new */
static bool same_here(const struct finder *f, const struct vn_delta_segment *s, size_t at)
{
	bool seen[256] = { false };
	size_t values = 0;
	if (at < s->start || at + SAME_MIN > s->start + s->len ||
	    memcmp(f->data + at, f->old + (int64_t)at + s->shift, SAME_MIN) != 0)
		return false;
	for (size_t i = 0; i < SAME_MIN; i++)
		values += !seen[f->data[at + i]], seen[f->data[at + i]] = true;
	return values >= SAME_VALUES;
}

/* Bytes that are the same in both, from where the last match ended. */
static size_t same_next(const struct finder *f)
{
	size_t a = f->len - f->new_end, b = f->old_len - f->old_end, n = 0;
	while (n < a && n < b && f->data[f->new_end + n] == f->old[f->old_end + n])
		n++;
	return n;
}

/* A copy of a few numbers between two tensors that are converted. */
static int keep_copy(struct finder *f, struct vn_err *err)
{
	size_t n = same_next(f) / COPY_UNIT * COPY_UNIT;
	struct vn_delta_cast c = { .start = f->new_end, .elements = n, .from = (int64_t)f->old_end, .run = 1 };
	if (n < COPY_MIN)
		return 0;
	f->new_end += n, f->old_end += n;
	return vn_delta_casts_add(&f->casts, &c, NULL, err);
}

static int walk(struct finder *f, struct vn_err *err)
{
	size_t at = 0, step = STEP, tries = 0, searched = 0, segment = 0;
	struct match m;
	f->budget = BUDGET + BUDGET_EACH * (uint64_t)f->old_len;
	f->most = SIZE_MAX;
	while (at + SEED_MIN <= f->len) {
		const struct vn_delta_segment *list = f->map->segments;
		while (segment < f->map->count && list[segment].start + list[segment].len <= at)
			segment++;
		if (segment < f->map->count && same_here(f, &list[segment], at)) {
			at = f->new_end = list[segment].start + list[segment].len;
			f->old_end = (size_t)((int64_t)at + list[segment].shift);
			continue;
		}
		bool found = false, search_too = at >= searched;
		for (unsigned phase = 0; phase < 8 && !found; phase++)
			found = try_expected(f, at, phase, &m);
		for (unsigned phase = 0; phase < 8 && !found && search_too; phase++)
			found = try_search(f, at, phase, true, &m);
		if (search_too)
			searched = at + SEARCH_EVERY * (step / STEP);
		if (found) {
			int rc = keep(f, &m, err);
			if (rc < 0 || (rc = keep_copy(f, err)) < 0)
				return rc;
			at = searched = f->new_end;
			step = STEP, tries = 0;
			continue;
		}
		at += step;
		if (++tries % STEP_TRIES == 0 && step < STEP_MAX)
			step *= 2;
	}
	return 0;
}

/* What the map copies stays a copy, where nothing was converted. */
static int with_copies(struct finder *f, struct vn_delta_casts *ret, struct vn_err *err)
{
	size_t at = 0, segment = 0;
	for (size_t i = 0; i <= f->casts.count; i++) {
		const struct vn_delta_cast *c = i < f->casts.count ? &f->casts.list[i] : NULL;
		size_t stop = c ? c->start : f->len;
		for (; segment < f->map->count && f->map->segments[segment].start < stop; segment++) {
			const struct vn_delta_segment *s = &f->map->segments[segment];
			size_t begin = s->start > at ? s->start : at, end = s->start + s->len < stop ? s->start + s->len : stop;
			struct vn_delta_cast copy = { .start = begin, .elements = end - begin, .run = 1,
						      .from = (int64_t)begin + s->shift };
			int rc = begin < end ? vn_delta_casts_add(ret, &copy, NULL, err) : 0;
			if (rc < 0)
				return rc;
			if (s->start + s->len > stop)
				break;
		}
		int rc = c ? vn_delta_casts_add(ret, c, f->casts.table + c->scale, err) : 0;
		if (rc < 0)
			return rc;
		at = c ? vn_delta_cast_end(c) : at;
	}
	return 0;
}

int vn_delta_casts_find(const uint8_t *old, size_t old_len, const uint8_t *data, size_t len, const struct vn_delta_map *map,
			const struct vn_delta_options *options, struct vn_delta_casts *ret, struct vn_err *err)
{
	VN_CLEANUP(finder_release) struct finder f = { .old = old, .data = data, .old_len = old_len, .len = len, .map = map,
							     .options = options };
	VN_AUTO(vn_delta_casts) casts = { 0 };
	if (old_len < SEED_MIN || len < SEED_MIN)
		return 0;
	int rc = vn_delta_scaling_open(&f.fit, err);
	if (rc < 0 || (rc = vn_delta_axis_open(&f.table, err)) < 0 || !sniff(&f) || (rc = walk(&f, err)) < 0 || f.casts.count == 0 ||
	    (rc = with_copies(&f, &casts, err)) < 0)
		return rc;
	*ret = casts;
	casts = (struct vn_delta_casts){ 0 };
	return 0;
}
