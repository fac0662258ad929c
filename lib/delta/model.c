#include "delta/model.h"
#include "util/num.h"
#include <string.h>

static uint32_t weight(unsigned code)
{
	return code ? (4u + (code - 1) % 4) << (code - 1) / 4 : 0;
}

bool vn_delta_table_set(struct vn_delta_model *m, unsigned table, const uint8_t codes[VN_DELTA_SYMBOLS], unsigned symbols)
{
	uint32_t sum = 0, used = 0, total = 1u << VN_DELTA_RANS_LOG, start = 0;
	unsigned top = 0;
	for (unsigned s = 0; s < symbols; s++) {
		if (codes[s] > VN_DELTA_WEIGHTS)
			return false;
		sum += weight(codes[s]);
		used += codes[s] != 0;
		if (codes[s] > codes[top])
			top = s;
	}
	if (used == 0)
		return false;
	for (unsigned s = 0; s < VN_DELTA_SYMBOLS; s++) {
		uint32_t n = s < symbols && codes[s] ? 1 + (uint32_t)((uint64_t)weight(codes[s]) * (total - used) / sum) : 0;
		m->range[table][s].count = (uint16_t)n;
		start += n;
	}
	m->range[table][top].count = (uint16_t)(m->range[table][top].count + total - start);
	start = 0;
	for (unsigned s = 0; s < VN_DELTA_SYMBOLS; s++) {
		m->range[table][s].start = (uint16_t)start;
		memset(m->symbol_of[table] + start, (int)s, m->range[table][s].count);
		start += m->range[table][s].count;
	}
	return true;
}

/* The number of ranges less one, and where each but the first begins. */
static bool get_ranges(const uint8_t **p, const uint8_t *end, unsigned most, uint8_t of[256], unsigned *ret)
{
	if (*p == end || **p >= most || end - *p <= **p)
		return false;
	unsigned n = *(*p)++, at = 0;
	for (unsigned i = 0; i <= n; i++) {
		unsigned next = i < n ? *(*p)++ : 256;
		if (next <= at)
			return false;
		memset(of + at, (int)i, next - at);
		at = next;
	}
	*ret = n + 1;
	return true;
}

const char *vn_delta_model_parse(const uint8_t *p, size_t len, unsigned width, bool with_lag, struct vn_delta_model *ret)
{
	const uint8_t *end = p + len;
	if (p == end || *p >= 8 * width)
		return "its model looks beyond the element";
	ret->shift = *p++;
	ret->columns = 1;
	ret->tables = 1;
	memset(ret->column_of, 0, sizeof(ret->column_of));
	if (!get_ranges(&p, end, VN_DELTA_ROWS, ret->row_of, &ret->rows) ||
	    (with_lag && !get_ranges(&p, end, VN_DELTA_COLUMNS, ret->column_of, &ret->columns)))
		return "the contexts of its model are not valid";
	size_t cells = ret->rows * ret->columns;
	for (unsigned i = 0; i < 256; i++)
		ret->row_of[i] = (uint8_t)(ret->row_of[i] * ret->columns);
	if ((size_t)(end - p) < cells)
		return "its model ends early";
	for (size_t i = 0; i < cells; i++, p++) {
		if (*p > ret->tables || *p >= VN_DELTA_TABLES || (i == 0 && *p != 0))
			return "the contexts of its model are not valid";
		ret->tables += *p == ret->tables;
		ret->table_of[i] = *p;
	}
	if (p == end || *p >= vn_delta_symbols_of(width))
		return "an element is wider than its width";
	ret->symbols = *p++ + 1u;
	for (unsigned s = 0; s < ret->symbols; s++) {
		ret->bits[s] = (uint8_t)vn_delta_class_bits(s >> vn_delta_signed(width));
		ret->base[s] = vn_delta_class_base(s >> vn_delta_signed(width));
	}
	if ((size_t)(end - p) != ret->symbols * ret->tables)
		return "its model has another length than it should";
	for (unsigned t = 0; t < ret->tables; t++, p += ret->symbols) {
		uint8_t codes[VN_DELTA_SYMBOLS];
		for (unsigned s = 0; s < ret->symbols; s++)
			codes[s] = (uint8_t)(p[s] + (s >= 2 ? codes[s - 2] : 0));
		if (!vn_delta_table_set(ret, t, codes, ret->symbols))
			return "a table of its model is not valid";
	}
	return NULL;
}

struct reader {
	const uint8_t *p, *end;       /* words of rANS */
	const uint8_t *low;           /* bits, the lowest of each byte first; behind the end come zeros */
	size_t low_len, at;           /* bytes; bits */
	uint32_t state[2];
	size_t place;                 /* in the averages */
};
struct task {
	const struct vn_delta_model *model;
	size_t lag, count;
	uint16_t *averages;
	const uint8_t *predicted;
	uint8_t *ret;
};

#define INLINE static inline __attribute__((always_inline))
#define CHUNK 32                      /* elements between two looks at what is left */
#define CHUNK_WORDS (2 * CHUNK)
#define CHUNK_LOW (8 * CHUNK + 16)

INLINE uint64_t take_bits(struct reader *r, unsigned count, bool safe)
{
	size_t byte = r->at >> 3;
	uint64_t v = 0;
	if (safe || byte + 8 <= r->low_len)
		v = vn_get_u64(r->low + byte);
	else
		for (size_t i = byte; i < r->low_len; i++)
			v |= (uint64_t)r->low[i] << 8 * (i - byte);
	v = v >> (r->at & 7) & (((uint64_t)1 << count) - 1);
	r->at += count;
	return v;
}

/* One element of the state *x; false when words run out. Nothing runs out when `safe`, and every column has begun then. */
INLINE bool step(const struct task *k, struct reader *r, enum vn_delta_mode mode, unsigned width, bool lag, size_t i,
		 uint32_t *x, bool safe)
{
	const struct vn_delta_model *m = k->model;
	uint64_t old = vn_delta_load(k->predicted + i * width, width);
	unsigned average = lag && (safe || i >= k->lag) ? k->averages[r->place] : 0;
	unsigned t = m->table_of[m->row_of[old >> m->shift & 255] + (lag ? m->column_of[average >> 4] : 0)];
	uint32_t slot = *x & ((1u << VN_DELTA_RANS_LOG) - 1);
	unsigned symbol = m->symbol_of[t][slot], bits = m->bits[symbol];
	uint32_t next = m->range[t][symbol].count * (*x >> VN_DELTA_RANS_LOG) + slot - m->range[t][symbol].start;
	if (safe) {
		bool need = next < VN_DELTA_RANS_LOW;
		*x = need ? next << 16 | r->p[0] | (uint32_t)r->p[1] << 8 : next;
		r->p += 2 * need;
	} else {
		if (next < VN_DELTA_RANS_LOW) {
			if (r->p == r->end)
				return false;
			next = next << 16 | r->p[0] | (uint32_t)r->p[1] << 8;
			r->p += 2;
		}
		*x = next;
	}
	uint64_t d = m->base[symbol] + take_bits(r, width == 8 && bits > 32 ? 32 : bits, safe);
	if (width == 8 && bits > 32)
		d += take_bits(r, bits - 32, safe) << 32;
	uint64_t sign = 0 - (uint64_t)((vn_delta_signed(width) ? symbol : d) & 1);
	d = vn_delta_signed(width) ? (d ^ sign) - sign : d >> 1 ^ sign;
	uint64_t moved = vn_delta_moved(old, d, mode, width), zero = vn_delta_zero_of(old, mode, width);
	vn_delta_store(k->ret + i * width, width, vn_delta_signed(width) && symbol == VN_DELTA_ZERO ? zero : moved);
	if (lag) {
		unsigned class = symbol >> vn_delta_signed(width);
		k->averages[r->place] = (uint16_t)(safe || i >= k->lag ? vn_delta_average(average, class) : 16 * class);
		r->place = r->place + 1 == k->lag ? 0 : r->place + 1;
	}
	return true;
}

INLINE bool run(const struct task *k, struct reader *ret, enum vn_delta_mode mode, unsigned width, bool lag)
{
	struct reader r = *ret;
	uint32_t even = r.state[0], odd = r.state[1];
	size_t i = 0;
	while (i < k->count) {
		if (i % 2 == 0 && i >= k->lag && k->count - i >= CHUNK && (size_t)(r.end - r.p) >= CHUNK_WORDS &&
		    r.at / 8 + CHUNK_LOW <= r.low_len) {
			for (size_t end = i + CHUNK; i < end; i += 2) {
				(void)step(k, &r, mode, width, lag, i, &even, true);
				(void)step(k, &r, mode, width, lag, i + 1, &odd, true);
			}
		} else {
			if (!step(k, &r, mode, width, lag, i, i % 2 ? &odd : &even, false))
				return false;
			i++;
		}
	}
	r.state[0] = even, r.state[1] = odd;
	*ret = r;
	return true;
}

INLINE bool by_lag(const struct task *k, struct reader *r, enum vn_delta_mode mode, unsigned width)
{
	return k->lag ? run(k, r, mode, width, true) : run(k, r, mode, width, false);
}

INLINE bool by_width(const struct task *k, struct reader *r, enum vn_delta_mode mode, unsigned width)
{
	switch (width) {
	case 1:
		return by_lag(k, r, mode, 1);
	case 2:
		return by_lag(k, r, mode, 2);
	case 4:
		return by_lag(k, r, mode, 4);
	default:
		return by_lag(k, r, mode, 8);
	}
}

const char *vn_delta_symbols_get(const struct vn_delta_model *m, const struct vn_delta_shape *s, size_t lag, uint16_t *averages,
				 const uint8_t *predicted, size_t count, const uint8_t *coded, size_t coded_len,
				 const uint8_t *bits, size_t bits_len, uint8_t *ret, size_t *ret_used)
{
	if (coded_len < 8 || coded_len % 2)
		return "its symbols end early";
	struct task k = { m, lag, count, averages, predicted, ret };
	struct reader r = { coded + 8, coded + coded_len, bits, bits_len, 0, { vn_get_u32(coded), vn_get_u32(coded + 4) }, 0 };
	if (!(s->mode == VN_DELTA_SUB ? by_width(&k, &r, VN_DELTA_SUB, s->width) : by_width(&k, &r, VN_DELTA_FSUB, s->width)))
		return "its symbols end early";
	if (r.p != r.end || r.state[0] != VN_DELTA_RANS_LOW || r.state[1] != VN_DELTA_RANS_LOW)
		return "its symbols do not end where they should";
	if (r.at > bits_len * 8)
		return "its low bits end early";
	*ret_used = (r.at + 7) / 8;
	return NULL;
}
