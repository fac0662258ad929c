#include "delta/coder.h"
#include "delta/model.h"
#include "util/cleanup.h"
#include "util/num.h"
#include "util/test.h"
#include <stdlib.h>
#include <string.h>

#define BYTES 20000

static uint32_t seed = 1;
static uint32_t random_u32(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8 ^ seed << 13;
}

static void test_symbols(void)
{
	static const unsigned widths[] = { 1, 2, 4, 8 };
	for (int w = 0; w < 4; w++) {
		uint64_t most = UINT64_MAX >> (64 - 8 * widths[w]), low, last = 0;
		CHECK(vn_delta_symbol(most, widths[w], &low) < vn_delta_symbols_of(widths[w]));
		CHECK(vn_delta_symbols_of(widths[w]) <= VN_DELTA_SYMBOLS);
		CHECK_EQ(vn_delta_symbol(0, widths[w], &low), 0);
		for (uint64_t v = 1; v <= most && v > last; last = v, v = v * 3 / 2 + 1) {
			unsigned symbol = vn_delta_symbol(v, widths[w], &low), class = symbol >> vn_delta_signed(widths[w]);
			uint64_t again = vn_delta_class_base(class) + low;
			CHECK(low >> vn_delta_class_bits(class) == 0);
			CHECK_EQ(vn_delta_signed(widths[w]) ? 2 * again - (symbol & 1) : again, v);
		}
	}
}

static void test_tables(void)
{
	static struct vn_delta_model m;
	uint8_t codes[VN_DELTA_SYMBOLS] = { 0 };
	CHECK(!vn_delta_table_set(&m, 0, codes, 256));
	codes[7] = 1;
	CHECK(vn_delta_table_set(&m, 0, codes, 8));
	CHECK_EQ(m.range[0][7].count, 4096);
	CHECK(!vn_delta_table_set(&m, 0, codes, 7));
	codes[0] = VN_DELTA_WEIGHTS + 1;
	CHECK(!vn_delta_table_set(&m, 0, codes, 8));
	for (int kind = 0; kind < 50; kind++) {
		unsigned symbols = kind < 2 ? 256 : 1 + random_u32() % 256, sum = 0;
		for (unsigned s = 0; s < 256; s++)
			codes[s] = (uint8_t)(kind == 0 ? VN_DELTA_WEIGHTS : kind == 1 ? 1 :
					     random_u32() % (VN_DELTA_WEIGHTS + 1));
		codes[0] = codes[0] ? codes[0] : 1;
		CHECK(vn_delta_table_set(&m, 15, codes, symbols));
		for (unsigned s = 0; s < 256; s++) {
			CHECK_EQ(m.range[15][s].start, sum);
			CHECK_EQ(m.range[15][s].count > 0, s < symbols && codes[s] > 0);
			sum += m.range[15][s].count;
		}
		CHECK_EQ(sum, 4096);
		CHECK(m.symbol_of[15][4095] < symbols);
	}
}

static const char *parse(const char *bytes, size_t len, unsigned width, bool with_lag)
{
	static struct vn_delta_model m;
	return vn_delta_model_parse((const uint8_t *)bytes, len, width, with_lag, &m);
}

static void test_parse(void)
{
	CHECK(parse("\0\0\0\0\1", 5, 1, false) == NULL);                       /* one row, one table of one symbol */
	CHECK(parse("\7\0\0\0\0\1", 6, 1, true) == NULL);
	for (size_t cut = 0; cut < 5; cut++)
		CHECK(parse("\0\0\0\0\1", cut, 1, false) != NULL);
	CHECK_HAS(parse("\10\0\0\0\1", 5, 1, false), "beyond the element");
	CHECK_HAS(parse("\0\0\0\0\1\1", 6, 1, false), "length");
	CHECK_HAS(parse("\0\0\1\0\1", 5, 1, false), "contexts");                /* a table before the first */
	CHECK(parse("\0\1\200\0\1\0\1\1", 8, 1, false) == NULL);
	CHECK_HAS(parse("\0\1\200\0\2\0\1\1", 8, 1, false), "contexts");        /* the second is left out */
	CHECK_HAS(parse("\0\1\0\0\0\0\1", 7, 1, false), "contexts");            /* an empty row */
	CHECK_HAS(parse("\0\10\1\2\3\4\5\6\7\10", 10, 1, false), "contexts");   /* too many of them */
	CHECK_HAS(parse("\0\0\0\0\0", 5, 1, false), "table");
	CHECK_HAS(parse("\0\0\0\0\65", 5, 1, false), "table");
	CHECK_HAS(parse("\0\0\0\62", 4, 1, false), "wider");
	CHECK_HAS(parse("\0\0\0\374", 4, 8, false), "wider");
}

/* The residual as a coder writes it and a decoder reads it; the bytes that it takes. */
static size_t trip_with(struct vn_delta_coder *c, enum vn_delta_mode mode, unsigned width, const uint8_t *predicted,
			const uint8_t *residual, size_t len, bool zeros)
{
	static struct vn_delta_model m;
	static uint16_t averages[BYTES];
	static uint8_t again[BYTES], data[BYTES];
	struct vn_err err = { 0 };
	struct vn_delta_shape s = { mode, width, 0 };
	size_t count = len / width, used = 0, whole = count * width;
	bool fits = false;
	vn_buf_clear(&c->body);
	c->len = whole;
	memcpy(data, residual, whole);
	vn_delta_restore(&s, predicted, data, whole);
	for (size_t i = 0; zeros && i < whole; i += width)
		if (i % 64 < 48)
			vn_delta_store(data + i, width, vn_delta_zero_of(vn_delta_load(predicted + i, width), mode, width));
	vn_delta_difference(&s, predicted, data, whole, c->residual);
	c->data = data;
	CHECK_OK(vn_delta_put_classes(c, &s, predicted, zeros, &fits, &err), &err);
	if (!fits)
		return SIZE_MAX;
	const uint8_t *p = (const uint8_t *)c->body.data, *end = p + c->body.len;
	uint64_t lag, model, coded;
	p += vn_get_varint(p, (size_t)(end - p), &lag);
	p += vn_get_varint(p, (size_t)(end - p), &model);
	CHECK(vn_delta_model_parse(c->fit->model.raw, (size_t)model, width, lag > 0, &m) == NULL);
	CHECK(memcmp(m.range, c->fit->model.range, m.tables * sizeof(m.range[0])) == 0);
	p += vn_get_varint(p, (size_t)(end - p), &coded);                       /* the stream of the model */
	p += coded == 0 ? model : coded;
	p += vn_get_varint(p, (size_t)(end - p), &coded);
	size_t bits = (size_t)(end - p) - (size_t)coded;
	memset(again, 0xa5, sizeof(again));
	const char *wrong = vn_delta_symbols_get(&m, &s, (size_t)lag, averages, predicted, count, p, (size_t)coded, p + coded,
						 bits, again, &used);
	CHECK(wrong == NULL && used == bits && memcmp(again, data, whole) == 0);
	/* what is cut off or bent is told, and never read beyond */
	for (size_t cut = 0; cut < coded && cut < 200; cut++)
		CHECK(vn_delta_symbols_get(&m, &s, (size_t)lag, averages, predicted, count, p, cut, p + coded, bits, again, &used));
	if (bits > 0)
		CHECK_HAS(vn_delta_symbols_get(&m, &s, (size_t)lag, averages, predicted, count, p, (size_t)coded, p + coded,
					       bits - 1, again, &used), "low bits");
	return c->body.len;
}

static size_t trip(struct vn_delta_coder *c, enum vn_delta_mode mode, unsigned width, const uint8_t *predicted,
		   const uint8_t *residual, size_t len)
{
	return trip_with(c, mode, width, predicted, residual, len, false);
}

static void fill_residual(int kind, uint8_t *predicted, uint8_t *residual)
{
	for (size_t i = 0; i < BYTES; i++)
		predicted[i] = (uint8_t)random_u32();
	for (size_t i = 0; i < BYTES; i++)
		residual[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? 255 : kind == 2 ? (i % 8 == 0) * (random_u32() % 4) :
					random_u32());
	for (size_t i = 0; kind == 4 && i < BYTES; i += 2) {                    /* columns of 100 halves, each with its scale */
		unsigned scale = ((uint32_t)(i / 2 % 100) * 2654435761u >> 16) % 13;
		vn_delta_store(residual + i, 2, random_u32() % (1u << scale));
	}
}

static void test_residuals(void)
{
	static uint8_t predicted[BYTES + 8], residual[BYTES + 8];
	struct vn_delta_coder *c = NULL;
	struct vn_err err = { 0 };
	struct vn_delta_job job = { .head = { .new_size = BYTES, .block_log2 = 18 }, .effort = 2 };
	CHECK_OK(vn_delta_coder_open(&job, &c, &err), &err);
	for (int kind = 0; kind < 5; kind++) {
		fill_residual(kind, predicted, residual);
		for (unsigned width = 1; width <= 8; width *= 2) {
			size_t all = trip(c, VN_DELTA_SUB, width, predicted, residual, BYTES);
			if (kind == 0)
				CHECK(all < 40);
			if (kind == 4 && width == 2)
				CHECK(all < BYTES / 2 && c->fit->lag == 100);
			(void)trip(c, VN_DELTA_FSUB, width, predicted, residual, BYTES);
			(void)trip(c, VN_DELTA_FSUB, width, predicted, residual, width);
			(void)trip(c, VN_DELTA_FSUB, width, predicted, residual, 3 * (size_t)width);
			CHECK(trip(c, VN_DELTA_SUB, width, predicted, residual, 0) < 40);
			for (int mode = VN_DELTA_SUB; width < 8 && mode <= VN_DELTA_FSUB; mode++) {
				size_t zeros = trip_with(c, (enum vn_delta_mode)mode, width, predicted, residual, BYTES, true);
				CHECK(kind > 0 || zeros < BYTES / width / 6 + 300);
			}
		}
	}
	vn_delta_coder_close(c);
}

int main(void)
{
	RUN(test_symbols);
	RUN(test_tables);
	RUN(test_parse);
	RUN(test_residuals);
	return vn_test_end();
}
