/* The model of a residual in classes: which table of frequencies codes the symbol of an element, and the tables themselves. The
 * context of an element is what both sides know: a byte of its prediction (the exponent of a float tells how far a weight
 * moves, counted in its last place), and how large the residuals were `lag` elements before (one column of a matrix moves further than
 * another). Coding is rANS, arXiv 1311.2540. The bytes of a model are specified in veneer-delta(5). */
#ifndef VN_DELTA_MODEL_H
#define VN_DELTA_MODEL_H
#include "delta/element.h"
#include <stdbool.h>

#define VN_DELTA_RANS_LOG 12              /* the frequencies of a table add up to 2^12 */
#define VN_DELTA_RANS_LOW (1u << 16)      /* a state is at least this; 16 bits are moved at a time */
#define VN_DELTA_TABLES 16
#define VN_DELTA_ROWS 8                   /* ranges of the predicted element's byte */
#define VN_DELTA_COLUMNS 16               /* ranges of the residuals before */
#define VN_DELTA_SYMBOLS 256
#define VN_DELTA_ZERO 1                   /* the symbol of an element that became 0: a sign without a magnitude */
#define VN_DELTA_WEIGHTS 52               /* most of the code of a weight */
#define VN_DELTA_MODEL_MAX (4 + VN_DELTA_ROWS + VN_DELTA_COLUMNS + VN_DELTA_ROWS * VN_DELTA_COLUMNS + \
			    VN_DELTA_TABLES * VN_DELTA_SYMBOLS)

struct vn_delta_model {
	unsigned shift, rows, columns, tables, symbols;
	uint8_t row_of[256], column_of[256];      /* of a parsed model, row times columns */
	uint8_t table_of[VN_DELTA_ROWS * VN_DELTA_COLUMNS];
	struct {
		uint16_t count, start;
	} range[VN_DELTA_TABLES][VN_DELTA_SYMBOLS];
	uint8_t symbol_of[VN_DELTA_TABLES][1 << VN_DELTA_RANS_LOG];
	uint8_t bits[VN_DELTA_SYMBOLS];   /* low ones, of a parsed model; the smallest magnitude with them */
	uint64_t base[VN_DELTA_SYMBOLS];
	uint8_t raw[VN_DELTA_MODEL_MAX];  /* as it is written */
};

/* The magnitude of a residual and its sign make one symbol; 8 bytes wide there is no room for the sign, which is then the
 * lowest bit of the number. */
static inline unsigned vn_delta_signed(unsigned width)
{
	return width < 8;
}
static inline unsigned vn_delta_symbols_of(unsigned width)
{
	return vn_delta_signed(width) ? 2 * vn_delta_class((uint64_t)1 << (8 * width - 1)) + 2 : 252;
}
/* The symbol of a residual, and its low bits. */
static inline unsigned vn_delta_symbol(uint64_t v, unsigned width, uint64_t *ret_low)
{
	uint64_t magnitude = vn_delta_signed(width) ? (v >> 1) + (v & 1) : v;
	unsigned class = vn_delta_class(magnitude);
	*ret_low = magnitude - vn_delta_class_base(class);
	return vn_delta_signed(width) ? 2 * class + (unsigned)(v & 1) : class;
}
/* What VN_DELTA_ZERO makes of an element: a float keeps its sign. */
static inline uint64_t vn_delta_zero_of(uint64_t old, enum vn_delta_mode mode, unsigned width)
{
	return mode == VN_DELTA_FSUB ? old & (uint64_t)1 << (8 * width - 1) : 0;
}
/* How large the residuals of a column are: sixteenths of a class, a running average. */
static inline unsigned vn_delta_average(unsigned average, unsigned class)
{
	return (3 * average + 16 * class) >> 2;
}

/* Did the element become 0? It was not. */
static inline bool vn_delta_zeroed(const struct vn_delta_shape *s, const uint8_t *old, const uint8_t *data)
{
	uint64_t from = vn_delta_load(old, s->width), to = vn_delta_load(data, s->width);
	return from != to && to == vn_delta_zero_of(from, s->mode, s->width);
}
/* Frequencies from weights: codes[s] is 0 when the symbol does not occur. false: none occurs, or a code is out of range. */
bool vn_delta_table_set(struct vn_delta_model *model, unsigned table, const uint8_t codes[VN_DELTA_SYMBOLS], unsigned symbols);
/* Parses all of a model; NULL, or what is wrong with it. */
const char *vn_delta_model_parse(const uint8_t *p, size_t len, unsigned width, bool with_lag, struct vn_delta_model *ret);
/* Elements of new, from symbols by rANS and their low bits; the mode is SUB or FSUB, averages has room for `lag` numbers. NULL,
 * or what is wrong. `ret_used`: bytes of low bits. */
const char *vn_delta_symbols_get(const struct vn_delta_model *model, const struct vn_delta_shape *shape, size_t lag,
				 uint16_t *averages, const uint8_t *predicted, size_t count, const uint8_t *coded, size_t coded_len,
				 const uint8_t *bits, size_t bits_len, uint8_t *ret, size_t *ret_used);
#endif
