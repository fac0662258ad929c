/* A number n that a fixed point number x became bounds its step s by s(2|n|-1) <= 2|x| < s(2|n|+1). Where the bounds of some
 * elements contradict each other they do not share a step. */
#include "delta/axis.h"
#include "delta/scale.h"
#include <stdlib.h>

#define SCALES 8192
#define GROUPS 8                      /* rows, or elements of a column, that must agree before it is believed */
#define COLUMNS 16
#define RUN_MIN 4
#define RUN_MAX 4096
#define SLACK 22                      /* log2 of the relative error of exporters that compute in binary32 */
#define SPARE 2                       /* bits of a step beyond those that its bounds ask for */

struct sight {
	unsigned from, to, in, out;
	const uint8_t *old, *data;
	size_t most;
	int exponent, end;            /* of the type's range */
};

int vn_delta_axis_open(struct vn_delta_axis *ret, struct vn_err *err)
{
	*ret = (struct vn_delta_axis){ .scales = malloc(SCALES * sizeof(*ret->scales)),
					.ranges = malloc(SCALES * sizeof(*ret->ranges)) };
	return ret->scales && ret->ranges ? 0 : vn_nomem(err);
}

void vn_delta_axis_release(struct vn_delta_axis *table)
{
	free(table->scales);
	free(table->ranges);
	*table = (struct vn_delta_axis){ 0 };
}

static bool tighten(const struct sight *s, size_t i, struct vn_delta_range *r)
{
	int64_t x = vn_delta_fixed(vn_delta_float_bits(s->from, s->old + i * s->in), s->exponent);
	int64_t twice = x < 0 ? -2 * x : 2 * x;
	int32_t q = vn_delta_number(s->to, s->data + i * s->out), n = q < 0 ? -q : q;
	if ((q < 0 && x >= 0) || (q > 0 && x <= 0))
		return false;
	int64_t low = n >= s->end ? 1 : twice / (2 * n + 1) + 1, high = n ? twice / (2 * n - 1) : VN_DELTA_FIXED_MAX;
	low -= low >> SLACK, high += high >> SLACK;
	r->low = low > r->low ? low : r->low;
	r->high = high < r->high ? high : r->high;
	return r->low <= r->high;
}

/* `count` elements, `stride` apart. */
static bool agree(const struct sight *s, size_t first, size_t stride, size_t count, struct vn_delta_range *ret)
{
	*ret = (struct vn_delta_range){ 1, VN_DELTA_FIXED_MAX };
	for (size_t i = 0; i < count; i++)
		if (!tighten(s, first + i * stride, ret))
			return false;
	return true;
}

/* Groups that each agree, while most neighbours do not share a step. */
static bool holds(const struct sight *s, size_t groups, size_t apart, size_t stride, size_t count)
{
	struct vn_delta_range last = { 1, VN_DELTA_FIXED_MAX }, r;
	size_t differ = 0;
	for (size_t g = 0; g < groups; g++, last = r) {
		if (!agree(s, g * apart, stride, count, &r))
			return false;
		differ += r.low > last.high || r.high < last.low;
	}
	return 2 * differ >= groups;
}

/* A row is hardly longer than the elements from the first on that agree, and hardly much shorter. */
static size_t find_rows(const struct sight *s, size_t prefix)
{
	size_t run = s->most / 4 < prefix ? s->most / 4 : prefix;
	for (; run >= RUN_MIN && run >= prefix / 4; run--)
		if (holds(s, s->most / run < GROUPS ? s->most / run : GROUPS, run, 1, run))
			return run;
	return 0;
}

static size_t find_columns(const struct sight *s)
{
	for (size_t period = RUN_MIN; period <= SCALES && period <= s->most / GROUPS; period++)
		if (holds(s, period < COLUMNS ? period : COLUMNS, 1, period, GROUPS))
			return period;
	return 0;
}

static void measure_rows(const struct sight *s, struct vn_delta_axis *t)
{
	for (t->count = 0; t->count < SCALES && (t->count + 1) * t->run <= s->most; t->count++)
		if (!agree(s, t->count * t->run, 1, t->run, &t->ranges[t->count]))
			break;
	t->elements = t->count * t->run;
}

/* Row by row, as long as the columns go on to agree. */
static bool measure_columns(const struct sight *s, size_t period, struct vn_delta_axis *t)
{
	size_t row = GROUPS, bad = 0;
	t->run = 1;
	t->count = period;
	for (size_t c = 0; c < period; c++)
		if (!agree(s, c, period, GROUPS, &t->ranges[c]) && ++bad > period / 16)
			return false;
	for (; (row + 1) * period <= s->most && bad <= period / 8; row++) {
		bad = 0;
		for (size_t c = 0; c < period; c++) {
			struct vn_delta_range r = t->ranges[c];
			if (tighten(s, row * period + c, &r))
				t->ranges[c] = r;
			else
				bad++;
		}
	}
	t->elements = (bad <= period / 8 ? row : row - 1) * period;
	return true;
}

/* One exponent for all, as small as the tightest bounds allow. */
static void choose_scales(const struct sight *s, struct vn_delta_axis *t)
{
	int64_t least = VN_DELTA_FIXED_MAX;
	unsigned drop = 0;
	for (size_t i = 0; i < t->count; i++) {
		struct vn_delta_range *r = &t->ranges[i];
		if (r->high == VN_DELTA_FIXED_MAX)
			r->high = r->low;     /* nothing but zeros */
		else if (r->low <= r->high && r->high - r->low < least)
			least = r->high - r->low;
	}
	while (least >> (drop + 1 + SPARE) > 0 && drop < 40)
		drop++;
	for (size_t i = 0; i < t->count; i++) {
		int64_t step = (t->ranges[i].low / 2 + t->ranges[i].high / 2) >> drop;
		t->scales[i] = (struct vn_delta_scale){ step < 1 ? 1 : step, 0, 0 };
	}
	t->rule = (struct vn_delta_rule){ (uint8_t)s->from, (uint8_t)s->to, (int16_t)(s->exponent - (int)drop) };
}

bool vn_delta_axis_find(struct vn_delta_axis *t, unsigned from, unsigned to, const uint8_t *old, const uint8_t *data,
			size_t most)
{
	struct sight s = { .from = from, .to = to, .in = vn_delta_type_width(from), .out = vn_delta_type_width(to), .old = old,
			   .data = data, .most = most, .end = to == VN_DELTA_I8 ? 127 : 32767 };
	s.exponent = vn_delta_scaling_exponent(from, old, most < 4 * RUN_MAX ? most : 4 * RUN_MAX);
	struct vn_delta_range all = { 1, VN_DELTA_FIXED_MAX };
	size_t period = 0, prefix = 0;
	while (prefix < most && prefix <= RUN_MAX && tighten(&s, prefix, &all))
		prefix++;
	if (prefix > RUN_MAX)
		return false;         /* one scale */
	t->run = find_rows(&s, prefix);
	if (t->run > 0)
		measure_rows(&s, t);
	else if ((period = find_columns(&s)) == 0 || !measure_columns(&s, period, t))
		return false;
	if (t->count < 2)
		return false;
	choose_scales(&s, t);
	return true;
}
