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

struct reader {                       /* bits, the lowest of each byte first; behind the end come zeros */
	const uint8_t *p;
	size_t len, at;               /* bytes; bits */
};

static inline uint64_t take_bits(struct reader *r, unsigned count)
{
	size_t byte = r->at >> 3;
	uint64_t v = 0;
	if (byte + 8 <= r->len)
		v = vn_get_u64(r->p + byte);
	else
		for (size_t i = byte; i < r->len; i++)
			v |= (uint64_t)r->p[i] << 8 * (i - byte);
	v = v >> (r->at & 7) & (((uint64_t)1 << count) - 1);
	r->at += count;
	return v;
}

#define INLINE static inline __attribute__((always_inline))

INLINE const char *run(const struct vn_delta_model *m, unsigned width, size_t lag, uint16_t *averages, const uint8_t *predicted,
		       size_t count, const uint8_t *coded, const uint8_t *end, struct reader *low, uint8_t *ret)
{
	uint32_t state[2] = { vn_get_u32(coded), vn_get_u32(coded + 4) };
	size_t place = 0;
	coded += 8;
	for (size_t i = 0; i < count; i++) {
		unsigned average = lag && i >= lag ? averages[place] : 0;
		unsigned row = m->row_of[vn_delta_load(predicted + i * width, width) >> m->shift & 255];
		unsigned t = m->table_of[row * m->columns + (lag ? m->column_of[average >> 4] : 0)];
		uint32_t x = state[i & 1], slot = x & ((1u << VN_DELTA_RANS_LOG) - 1);
		unsigned symbol = m->symbol_of[t][slot], class = symbol >> vn_delta_signed(width), bits = vn_delta_class_bits(class);
		x = m->range[t][symbol].count * (x >> VN_DELTA_RANS_LOG) + slot - m->range[t][symbol].start;
		if (x < VN_DELTA_RANS_LOW) {
			if (coded == end)
				return "its symbols end early";
			x = x << 16 | coded[0] | (uint32_t)coded[1] << 8;
			coded += 2;
		}
		state[i & 1] = x;
		uint64_t v = vn_delta_class_base(class);
		if (width < 8) {
			v = 2 * (v + take_bits(low, bits)) - (symbol & 1);
		} else {
			unsigned first = bits > 32 ? 32 : bits;
			uint64_t tail = take_bits(low, first);
			v += tail | (bits > 32 ? take_bits(low, bits - 32) << 32 : 0);
		}
		vn_delta_store(ret + i * width, width, v);
		if (lag) {
			averages[place] = (uint16_t)(i < lag ? 16 * class : vn_delta_average(average, class));
			place = place + 1 == lag ? 0 : place + 1;
		}
	}
	if (coded != end || state[0] != VN_DELTA_RANS_LOW || state[1] != VN_DELTA_RANS_LOW)
		return "its symbols do not end where they should";
	return NULL;
}

INLINE const char *by_lag(const struct vn_delta_model *m, unsigned width, size_t lag, uint16_t *averages,
			  const uint8_t *predicted, size_t count, const uint8_t *coded, const uint8_t *end, struct reader *low,
			  uint8_t *ret)
{
	if (lag == 0)
		return run(m, width, 0, averages, predicted, count, coded, end, low, ret);
	return run(m, width, lag, averages, predicted, count, coded, end, low, ret);
}

const char *vn_delta_symbols_get(const struct vn_delta_model *m, unsigned width, size_t lag, uint16_t *averages,
				 const uint8_t *predicted, size_t count, const uint8_t *coded, size_t coded_len,
				 const uint8_t *bits, size_t bits_len, uint8_t *ret, size_t *ret_used)
{
	struct reader low = { bits, bits_len, 0 };
	const uint8_t *end = coded + coded_len;
	const char *wrong;
	if (coded_len < 8 || coded_len % 2)
		return "its symbols end early";
	switch (width) {
	case 1:
		wrong = by_lag(m, 1, lag, averages, predicted, count, coded, end, &low, ret);
		break;
	case 2:
		wrong = by_lag(m, 2, lag, averages, predicted, count, coded, end, &low, ret);
		break;
	case 4:
		wrong = by_lag(m, 4, lag, averages, predicted, count, coded, end, &low, ret);
		break;
	default:
		wrong = by_lag(m, 8, lag, averages, predicted, count, coded, end, &low, ret);
	}
	if (!wrong && low.at > bits_len * 8)
		return "its low bits end early";
	*ret_used = (low.at + 7) / 8;
	return wrong;
}
