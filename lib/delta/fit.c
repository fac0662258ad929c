#include "delta/fit.h"
#include "delta/estimate.h"
#include <string.h>

#define SYMBOL_COST (5u << VN_DELTA_FRACTION)     /* of one symbol in one table, in parts of a bit */
#define TABLE_COST (16u << VN_DELTA_FRACTION)
#define LAG_SAMPLE 32768
#define LAG_MOST VN_DELTA_FIT_LAG
#define LAG_TRIES 3

void vn_delta_fit_init(struct vn_delta_fit *f)
{
	for (uint32_t n = 1; n <= 4096; n++)
		f->logs[n] = (uint32_t)vn_delta_log2(n);
}

/* n log2 n */
static inline uint64_t nlogn(const struct vn_delta_fit *f, uint32_t n)
{
	unsigned shift = n > 4096 ? 20 - (unsigned)__builtin_clz(n) : 0;
	return n ? (uint64_t)n * (f->logs[n >> shift] + (shift << VN_DELTA_FRACTION)) : 0;
}

/* What the symbols of one table cost, of the elements that a or b counts. */
static uint64_t cost_of(const struct vn_delta_fit *f, const uint32_t *a, const uint32_t *b, unsigned symbols)
{
	uint32_t total = 0, used = 0;
	uint64_t sum = 0;
	for (unsigned s = 0; s < symbols; s++) {
		uint32_t n = a[s] + (b ? b[s] : 0);
		total += n, used += n != 0;
		sum += nlogn(f, n);
	}
	return total ? nlogn(f, total) - sum + (uint64_t)used * SYMBOL_COST + TABLE_COST : 0;
}

/* Joins neighbours until no pair of them is cheaper together and at most `most` are left. first[i] is where range i begins. */
static unsigned merge_neighbours(struct vn_delta_fit *f, uint32_t (*counts)[VN_DELTA_SYMBOLS], unsigned symbols, unsigned most,
				 uint8_t first[256], uint64_t *ret_cost)
{
	int64_t gain[256];
	unsigned n = 0;
	uint64_t total = 0;
	for (unsigned i = 0; i < 256; i++) {
		uint64_t cost = cost_of(f, counts[i], NULL, symbols);
		if (cost == 0 && i > 0)
			continue;
		f->merged[n] = counts[i], f->cost[n] = cost, first[n++] = (uint8_t)i;
	}
	for (unsigned i = 0; i + 1 < n; i++)
		gain[i] = (int64_t)(f->cost[i] + f->cost[i + 1]) - (int64_t)cost_of(f, f->merged[i], f->merged[i + 1], symbols);
	while (n > 1) {
		unsigned at = 0;
		for (unsigned i = 1; i + 1 < n; i++)
			if (gain[i] > gain[at])
				at = i;
		if (gain[at] < 0 && n <= most)
			break;
		for (unsigned s = 0; s < symbols; s++)
			f->merged[at][s] += f->merged[at + 1][s];
		f->cost[at] = cost_of(f, f->merged[at], NULL, symbols);
		n--;
		for (unsigned i = at + 1; i < n; i++)
			f->merged[i] = f->merged[i + 1], f->cost[i] = f->cost[i + 1], first[i] = first[i + 1],
			gain[i] = gain[i + 1];
		for (unsigned i = at ? at - 1 : 0; i <= at && i + 1 < n; i++)
			gain[i] = (int64_t)(f->cost[i] + f->cost[i + 1]) -
				  (int64_t)cost_of(f, f->merged[i], f->merged[i + 1], symbols);
	}
	for (unsigned i = 0; i < n; i++)
		total += f->cost[i];
	*ret_cost = total;
	return n;
}

static void count_bytes(struct vn_delta_fit *f, const struct vn_delta_elements *e, unsigned shift)
{
	memset(f->by_byte, 0, sizeof(f->by_byte));
	for (size_t i = 0; i < e->count; i++)
		f->by_byte[vn_delta_load(e->predicted + i * e->width, e->width) >> shift & 255][e->symbols[i]]++;
}

/* Which byte of the prediction says most: of floats, the exponent with or without the sign, or the start of the mantissa. */
static unsigned choose_byte(struct vn_delta_fit *f, const struct vn_delta_elements *e, unsigned symbols, unsigned most,
			    int effort, uint8_t first[256], unsigned *ret_shift, uint64_t *ret_cost)
{
	/* the last one, of exponent and mantissa, tells well which weights were so small that they were pruned */
	static const uint8_t shifts[4][5] = { { 0, 0, 0, 0, 0 }, { 8, 7, 2, 0, 4 }, { 23, 24, 15, 16, 19 }, { 52, 55, 44, 56, 48 } };
	static const uint8_t counts[] = { 1, 5, 5, 4 };
	unsigned log = e->width == 8 ? 3 : e->width / 2, rows = 0;
	unsigned tries = effort == 1 && counts[log] > 1 ? 1 : counts[log];
	for (unsigned i = 0; i < tries; i++) {
		uint8_t list[256];
		uint64_t cost;
		count_bytes(f, e, shifts[log][i]);
		unsigned n = merge_neighbours(f, f->by_byte, symbols, most, list, &cost);
		if (i > 0 && cost >= *ret_cost)
			continue;
		memcpy(first, list, n);
		rows = n, *ret_cost = cost, *ret_shift = shifts[log][i];
	}
	return rows;
}

/* What both sides know before each element: how large the residuals were in its column. */
static void count_averages(struct vn_delta_fit *f, const struct vn_delta_elements *e, size_t lag)
{
	size_t place = 0;
	memset(f->by_average, 0, sizeof(f->by_average));
	for (size_t i = 0; i < e->count; i++) {
		unsigned class = e->symbols[i] >> vn_delta_signed(e->width), average = i < lag ? 0 : e->averages[place];
		f->by_average[average >> 4][e->symbols[i]]++;
		e->averages[place] = (uint16_t)(i < lag ? 16 * class : vn_delta_average(average, class));
		place = place + 1 == lag ? 0 : place + 1;
	}
}

static uint32_t distance(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint32_t n = 0;
	for (size_t at = 0; at + 16 <= len; at += 16) {
		uint8_t sum = 0;
		for (int i = 0; i < 16; i++)
			sum = (uint8_t)(sum + (a[at + i] > b[at + i] ? a[at + i] - b[at + i] : b[at + i] - a[at + i]));
		n += sum;
	}
	return n;
}

/* The lags at which magnitudes are most alike; 1 is always among them. */
static size_t likely_lags(struct vn_delta_fit *f, const struct vn_delta_elements *e, int effort, size_t lags[LAG_TRIES])
{
	size_t sample = e->count < LAG_SAMPLE ? e->count : LAG_SAMPLE, start = (e->count - sample) / 2;
	size_t most = sample / 4 < LAG_MOST ? sample / 4 : LAG_MOST;
	lags[0] = 1;
	if (effort == 1 || most < 8)
		return 1;
	for (size_t i = 0; i < sample; i++) {
		unsigned class = e->symbols[start + i] >> vn_delta_signed(e->width);
		unsigned level = class < 8 ? class / 2 : class / 4 + 2;
		e->scratch[i] = (uint8_t)(level < 15 ? level : 15);
	}
	uint64_t sum = 0;
	size_t best = 2, small = 2;
	for (size_t lag = 2; lag <= most; lag++) {
		f->score[lag] = distance(e->scratch + most, e->scratch + most - lag, sample - most);
		sum += f->score[lag];
		best = f->score[lag] < f->score[best] ? lag : best;
	}
	/* a multiple of the row's length can be better by chance, but learns more slowly */
	uint64_t mean = sum / (most - 1), good = f->score[best] + (mean - f->score[best]) / 4;
	while (f->score[small] > good)
		small++;
	lags[1] = small, lags[2] = best;
	return small == best ? 2 : 3;
}

static unsigned choose_lag(struct vn_delta_fit *f, const struct vn_delta_elements *e, unsigned symbols, unsigned most,
			   int effort, uint8_t first[256], size_t *ret_lag, uint64_t *ret_cost)
{
	size_t lags[LAG_TRIES], tries = likely_lags(f, e, effort, lags);
	unsigned columns = 1;
	for (size_t i = 0; i < tries; i++) {
		uint8_t list[256];
		uint64_t cost;
		if (lags[i] > e->count / 2)
			continue;
		count_averages(f, e, lags[i]);
		unsigned n = merge_neighbours(f, f->by_average, symbols, most, list, &cost);
		if (*ret_lag && cost >= *ret_cost)
			continue;
		memcpy(first, list, n);
		columns = n, *ret_cost = cost, *ret_lag = lags[i];
	}
	return columns;
}

static void fill_ranges(const uint8_t *first, unsigned n, uint8_t of[256])
{
	for (unsigned i = 0; i < n; i++)
		memset(of + (i ? first[i] : 0), (int)i, 256u - (i ? first[i] : 0));
}

/* Which cell each element lies in, and what the cells count. */
static void count_cells(struct vn_delta_fit *f, const struct vn_delta_elements *e)
{
	const struct vn_delta_model *m = &f->model;
	size_t place = 0;
	memset(f->cell, 0, sizeof(f->cell));
	for (size_t i = 0; i < e->count; i++) {
		unsigned class = e->symbols[i] >> vn_delta_signed(e->width);
		unsigned row = m->row_of[vn_delta_load(e->predicted + i * e->width, e->width) >> m->shift & 255];
		unsigned average = f->lag && i >= f->lag ? e->averages[place] : 0;
		unsigned cell = row * m->columns + (f->lag ? m->column_of[average >> 4] : 0);
		f->cell[cell][e->symbols[i]]++;
		e->scratch[i] = (uint8_t)cell;
		if (f->lag) {
			e->averages[place] = (uint16_t)(i < f->lag ? 16 * class : vn_delta_average(average, class));
			place = place + 1 == f->lag ? 0 : place + 1;
		}
	}
}

/* Joins cells that do better with one table: table_of[cell] is the smallest cell of its group, whose counts are the sum. */
static void merge_cells(struct vn_delta_fit *f, unsigned cells, unsigned symbols, uint8_t table_of[VN_DELTA_FIT_CELLS])
{
	unsigned alive[VN_DELTA_FIT_CELLS], n = 0;
	for (unsigned i = 0; i < cells; i++) {
		f->cost[i] = cost_of(f, f->cell[i], NULL, symbols);
		table_of[i] = (uint8_t)i;
		alive[n++] = i;
	}
	for (unsigned i = 0; i < cells; i++)
		for (unsigned j = 0; j < i; j++)
			f->gain[i][j] = (int64_t)(f->cost[i] + f->cost[j]) -
					(int64_t)cost_of(f, f->cell[i], f->cell[j], symbols);
	while (n > 1) {
		unsigned a = 1, b = 0;
		for (unsigned i = 1; i < n; i++)
			for (unsigned j = 0; j < i; j++)
				if (f->gain[alive[i]][alive[j]] > f->gain[alive[a]][alive[b]])
					a = i, b = j;
		unsigned from = alive[a], to = alive[b];
		if (f->gain[from][to] < 0 && n <= VN_DELTA_TABLES)
			break;
		for (unsigned s = 0; s < symbols; s++)
			f->cell[to][s] += f->cell[from][s];
		f->cost[to] = cost_of(f, f->cell[to], NULL, symbols);
		for (unsigned i = 0; i < cells; i++)
			if (table_of[i] == from)
				table_of[i] = (uint8_t)to;
		memmove(alive + a, alive + a + 1, (--n - a) * sizeof(*alive));
		for (unsigned i = 0; i < n; i++) {
			unsigned high = alive[i] > to ? alive[i] : to, low = alive[i] > to ? to : alive[i];
			if (high != low)
				f->gain[high][low] = (int64_t)(f->cost[high] + f->cost[low]) -
						     (int64_t)cost_of(f, f->cell[high], f->cell[low], symbols);
		}
	}
}

/* The code whose weight is nearest to count / top of the largest. */
static uint8_t code_of(uint32_t count, uint32_t top)
{
	uint64_t wanted = (uint64_t)count * 2 * (7u << 12) / top;       /* twice the weight */
	unsigned code = 1;
	if (count == 0)
		return 0;
	while (code < VN_DELTA_WEIGHTS) {
		uint64_t here = (4u + (code - 1) % 4) << (code - 1) / 4, next = (4u + code % 4) << code / 4;
		if (wanted < here + next)
			break;
		code++;
	}
	return (uint8_t)code;
}

static void write_model(struct vn_delta_fit *f, const uint8_t *rows, const uint8_t *columns, unsigned symbols,
			const uint8_t table_of[VN_DELTA_FIT_CELLS])
{
	struct vn_delta_model *m = &f->model;
	uint8_t *p = m->raw, number[VN_DELTA_FIT_CELLS];
	unsigned cells = m->rows * m->columns;
	*p++ = (uint8_t)m->shift;
	*p++ = (uint8_t)(m->rows - 1);
	memcpy(p, rows + 1, m->rows - 1);
	p += m->rows - 1;
	if (f->lag) {
		*p++ = (uint8_t)(m->columns - 1);
		memcpy(p, columns + 1, m->columns - 1);
		p += m->columns - 1;
	}
	m->tables = 0;
	for (unsigned i = 0; i < cells; i++) {
		number[i] = table_of[i] == i ? (uint8_t)m->tables++ : number[table_of[i]];
		*p++ = m->table_of[i] = number[i];
	}
	*p++ = (uint8_t)(symbols - 1);
	for (unsigned i = 0; i < cells; i++) {
		uint8_t codes[VN_DELTA_SYMBOLS];
		uint32_t top = 0;
		if (table_of[i] != i)
			continue;
		for (unsigned s = 0; s < symbols; s++)
			top = f->cell[i][s] > top ? f->cell[i][s] : top;
		for (unsigned s = 0; s < symbols; s++)
			codes[s] = top ? code_of(f->cell[i][s], top) : s == 0;
		vn_delta_table_set(m, number[i], codes, symbols);
		for (unsigned s = 0; s < symbols; s++)
			*p++ = (uint8_t)(codes[s] - (s >= 2 ? codes[s - 2] : 0));
	}
	m->symbols = symbols;
	f->raw_len = (size_t)(p - m->raw);
}

void vn_delta_fit(struct vn_delta_fit *f, const struct vn_delta_elements *e, int effort)
{
	struct vn_delta_model *m = &f->model;
	uint8_t rows[256] = { 0 }, columns[256] = { 0 }, table_of[VN_DELTA_FIT_CELLS];
	uint64_t by_byte = 0, by_average = 0;
	unsigned symbols = 1;
	for (size_t i = 0; i < e->count; i++)
		if (e->symbols[i] >= symbols)
			symbols = e->symbols[i] + 1u;
	f->lag = 0;
	m->rows = choose_byte(f, e, symbols, VN_DELTA_ROWS, effort, rows, &m->shift, &by_byte);
	m->columns = choose_lag(f, e, symbols, VN_DELTA_FIT_CELLS / VN_DELTA_ROWS, effort, columns, &f->lag, &by_average);
	if (m->columns == 1)
		f->lag = 0;
	fill_ranges(rows, m->rows, m->row_of);
	fill_ranges(columns, m->columns, m->column_of);
	count_cells(f, e);
	merge_cells(f, m->rows * m->columns, symbols, table_of);
	write_model(f, rows, columns, symbols, table_of);
	for (size_t i = 0; i < e->count; i++)
		e->scratch[i] = m->table_of[e->scratch[i]];
}
