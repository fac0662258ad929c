#include "delta/casts.h"
#include "delta/scale.h"
#include "delta/recast.h"
#include "util/cleanup.h"
#include "util/num.h"
#include "util/test.h"
#include <math.h>
#include <stdlib.h>

static uint32_t seed = 1;
static uint32_t random_u32(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8 ^ seed << 13;
}

static uint64_t bits_of(double v)
{
	uint64_t u;
	memcpy(&u, &v, sizeof(u));
	return u;
}

static uint32_t bits32(float v)
{
	uint32_t u;
	memcpy(&u, &v, sizeof(u));
	return u;
}

/* Weights of `rows` tensors, each with a range of its own. */
static void fill_weights(uint8_t *p, size_t count, size_t row)
{
	float scale = 1;
	for (size_t i = 0; i < count; i++) {
		if (i % row == 0)
			scale = (float)(1 + random_u32() % 1000) / 3000;
		float sum = 0;
		for (int k = 0; k < 4; k++)
			sum += (float)(random_u32() % 65536) / 32768 - 1;
		vn_put_u32(p + 4 * i, bits32(sum * scale));
	}
}

static uint64_t cast(unsigned from, unsigned to, uint64_t bits)
{
	uint8_t in[8], out[8] = { 0 };
	struct vn_delta_rule rule = { (uint8_t)from, (uint8_t)to, 0 };
	vn_put_u64(in, bits);
	vn_delta_convert(&rule, NULL, in, 1, out);
	return vn_get_u64(out);
}

static void test_half(void)
{
	static const struct {
		uint32_t f32;
		uint16_t f16;
	} table[] = {
		{ 0, 0 },		    { 0x80000000, 0x8000 },	{ 0x3f800000, 0x3c00 }, { 0xc0000000, 0xc000 },
		{ 0x477fe000, 0x7bff },	    { 0x477fefff, 0x7bff },	{ 0x477ff000, 0x7c00 }, { 0x7f800000, 0x7c00 },
		{ 0xff800000, 0xfc00 },	    { 0x33800000, 0x0001 },	{ 0x33000000, 0x0000 }, { 0x33000001, 0x0001 },
		{ 0x33c00000, 0x0002 },	    { 0x387fc000, 0x03ff },	{ 0x387fe000, 0x0400 }, { 0x38800000, 0x0400 },
		{ 0x3f801000, 0x3c00 },	    { 0x3f803000, 0x3c02 },	{ 0x3f801001, 0x3c01 }, { 0x7fc00000, 0x7e00 },
		{ 0x7f800001, 0x7e00 },	    { 0xffa02000, 0xff01 },	{ 0x00000001, 0x0000 }, { 0x807fffff, 0x8000 },
		{ 0x7f7fffff, 0x7c00 },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		CHECK_EQ(cast(VN_DELTA_F32, VN_DELTA_F16, table[i].f32), table[i].f16);
	/* there and back again: every half that is no NaN */
	for (uint32_t h = 0; h < 65536; h++)
		if ((h & 0x7fff) <= 0x7c00) {
			uint64_t f32 = cast(VN_DELTA_F16, VN_DELTA_F32, h), f64 = cast(VN_DELTA_F16, VN_DELTA_F64, h);
			CHECK(cast(VN_DELTA_F32, VN_DELTA_F16, f32) == h && cast(VN_DELTA_F64, VN_DELTA_F16, f64) == h);
			CHECK(cast(VN_DELTA_F64, VN_DELTA_F32, f64) == f32);
		}
}

static void test_other_casts(void)
{
	CHECK_EQ(cast(VN_DELTA_F32, VN_DELTA_BF16, 0x3f808000), 0x3f80);
	CHECK_EQ(cast(VN_DELTA_F32, VN_DELTA_BF16, 0x3f818000), 0x3f82);
	CHECK_EQ(cast(VN_DELTA_F32, VN_DELTA_BF16, 0x3f808001), 0x3f81);
	CHECK_EQ(cast(VN_DELTA_F32, VN_DELTA_BF16, 0x7f7fffff), 0x7f80);
	CHECK_EQ(cast(VN_DELTA_F32, VN_DELTA_BF16, 0x7f800001), 0x7fc0);
	CHECK_EQ(cast(VN_DELTA_F32, VN_DELTA_BF16, 0x00018000), 0x0002);
	CHECK_EQ(cast(VN_DELTA_F32, VN_DELTA_BF16, 0x00008000), 0x0000);
	CHECK_EQ(cast(VN_DELTA_BF16, VN_DELTA_F32, 0x0001), 0x00010000);
	CHECK_EQ(cast(VN_DELTA_F32, VN_DELTA_F64, 0x00000001), bits_of(0x1p-149));
	CHECK_EQ(cast(VN_DELTA_F64, VN_DELTA_F32, 1), 0);
	/* this machine's own rounding agrees */
	for (int i = 0; i < 100000; i++) {
		uint64_t u = (uint64_t)random_u32() << 32 | random_u32();
		double v;
		if (i % 2)
			u = (u & 0x800fffffffffffffull) | (uint64_t)(1023 - 150 + random_u32() % 290) << 52;
		memcpy(&v, &u, sizeof(v));
		if (!isnan(v))
			CHECK_EQ(cast(VN_DELTA_F64, VN_DELTA_F32, u), bits32((float)v));
	}
}

static void test_fixed(void)
{
	CHECK_EQ(vn_delta_fixed(bits_of(1.0), 0), 1);
	CHECK_EQ(vn_delta_fixed(bits_of(-1.0), 10), -1024);
	CHECK_EQ(vn_delta_fixed(bits_of(1.75), 1), 3);
	CHECK_EQ(vn_delta_fixed(bits_of(-1.75), 1), -4);
	CHECK_EQ(vn_delta_fixed(bits_of(-0x1p-1074), 0), -1);
	CHECK_EQ(vn_delta_fixed(bits_of(0x1p-1074), 0), 0);
	CHECK_EQ(vn_delta_fixed(bits_of(0x1p-1074), 1074), 1);
	CHECK_EQ(vn_delta_fixed(bits_of(-0.0), 1000), 0);
	CHECK_EQ(vn_delta_fixed(bits_of(0x1p60), 0), VN_DELTA_FIXED_MAX);
	CHECK_EQ(vn_delta_fixed(bits_of(1e300), 0), VN_DELTA_FIXED_MAX);
	CHECK_EQ(vn_delta_fixed(bits_of(-1e300), 1200), -VN_DELTA_FIXED_MAX);
	CHECK_EQ(vn_delta_fixed(bits_of(0x1p52), 7), 1ll << 59);
	CHECK_EQ(vn_delta_fixed(bits_of(INFINITY), 0), VN_DELTA_FIXED_MAX);
	CHECK_EQ(vn_delta_fixed(bits_of(-INFINITY), -1200), -VN_DELTA_FIXED_MAX);
	CHECK_EQ(vn_delta_fixed(bits_of(NAN), 0), 0);
}

static void test_quantise(void)
{
	struct vn_delta_scale s = { 10, 3, 0 };
	CHECK_EQ(vn_delta_quantise(0, &s, VN_DELTA_U8), 3);
	CHECK_EQ(vn_delta_quantise(4, &s, VN_DELTA_U8), 3);
	CHECK_EQ(vn_delta_quantise(5, &s, VN_DELTA_U8), 4);
	CHECK_EQ(vn_delta_quantise(-5, &s, VN_DELTA_U8), 3);
	CHECK_EQ(vn_delta_quantise(-6, &s, VN_DELTA_U8), 2);
	CHECK_EQ(vn_delta_quantise(-100, &s, VN_DELTA_U8), 0);
	CHECK_EQ(vn_delta_quantise(-100, &s, VN_DELTA_I8), -7);
	CHECK_EQ(vn_delta_quantise(VN_DELTA_FIXED_MAX, &s, VN_DELTA_U8), 255);
	CHECK_EQ(vn_delta_quantise(-VN_DELTA_FIXED_MAX, &s, VN_DELTA_I16), -32768);
	s = (struct vn_delta_scale){ VN_DELTA_FIXED_MAX, 0, -VN_DELTA_FIXED_MAX };
	CHECK_EQ(vn_delta_quantise(VN_DELTA_FIXED_MAX, &s, VN_DELTA_U8), 2);
	s = (struct vn_delta_scale){ 1, -VN_DELTA_ZERO_MAX, VN_DELTA_FIXED_MAX };
	CHECK_EQ(vn_delta_quantise(-VN_DELTA_FIXED_MAX, &s, VN_DELTA_I8), -128);
}

/* Scales as exporters choose them are found again, and explain every number. */
static void test_fit(void)
{
	enum { COUNT = 5000 };
	static uint8_t old[COUNT * 4], data[COUNT * 2], out[COUNT * 2];
	static const struct {
		unsigned to;
		float low, high, most;
	} table[] = { { VN_DELTA_U8, -0.31f, 0.27f, 255 },
		      { VN_DELTA_I8, -0.3f, 0.3f, 254 },
		      { VN_DELTA_U16, -0.3f, 0.4f, 65535 },
		      { VN_DELTA_U8, 5.0f, 5.3f, 255 },
		      { VN_DELTA_I16, -3e-30f, 3e-30f, 65534 } };
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_delta_scaling_release) struct vn_delta_scaling fit = { 0 };
	CHECK_OK(vn_delta_scaling_open(&fit, &err), &err);
	for (size_t t = 0; t < sizeof(table) / sizeof(*table); t++) {
		unsigned width = vn_delta_type_width(table[t].to);
		float step = (table[t].high - table[t].low) / table[t].most;
		bool centred = table[t].to == VN_DELTA_I8 || table[t].to == VN_DELTA_I16;
		for (size_t i = 0; i < COUNT; i++) {
			float v = table[t].low + (table[t].high - table[t].low) * (float)(random_u32() % 65536) / 65535;
			int q = (int)((double)(centred ? v / step : (v - table[t].low) / step) + 40000.5) - 40000;
			vn_put_u32(old + 4 * i, bits32(v));
			data[i * width] = (uint8_t)q;
			if (width == 2)
				data[2 * i + 1] = (uint8_t)(q >> 8);
		}
		CHECK(vn_delta_scaling_fit(&fit, VN_DELTA_F32, table[t].to, old, data, COUNT));
		vn_delta_scaling_shorten(&fit);
		CHECK(vn_delta_scale_valid(&fit.scale));
		vn_delta_convert(&fit.rule, &fit.scale, old, COUNT, out);
		size_t wrong = 0;
		for (size_t i = 0; i < COUNT; i++)
			wrong += memcmp(out + i * width, data + i * width, width) != 0;
		CHECK(wrong <= (width == 2 ? 20 : 2));
		CHECK_EQ(centred && (fit.scale.base || fit.scale.zero), 0);
	}
	for (size_t i = 0; i < COUNT; i++)
		data[i] = (uint8_t)random_u32();
	CHECK(!vn_delta_scaling_fit(&fit, VN_DELTA_F32, VN_DELTA_U8, old, data, COUNT));
	memset(data, 7, sizeof(data));
	CHECK(!vn_delta_scaling_fit(&fit, VN_DELTA_F32, VN_DELTA_U8, old, data, COUNT));
}

/* ---- the list */
struct list {
	uint8_t p[200];
	size_t len;
};

static struct list *put(struct list *l, uint64_t v)
{
	l->len += vn_put_varint(l->p + l->len, v);
	return l;
}

static struct list *kind(struct list *l, unsigned from, unsigned to)
{
	l->p[l->len++] = (uint8_t)(from | to << 4);
	return l;
}

static struct list *segment(struct list *l, unsigned from, unsigned to, uint64_t elements, uint64_t unmapped, int64_t step)
{
	return put(put(put(kind(l, from, to), elements), unmapped), vn_delta_zigzag(step));
}

static int recast(const struct list *l, const uint8_t *old, size_t old_len, uint8_t *out, size_t len)
{
	struct vn_err err = { 0 };
	struct vn_delta_bytes bytes;
	vn_delta_old_bytes(&bytes, old, old_len);
	struct vn_delta_decoder d = { .old = &bytes.old, .mapped = out, .len = len };
	int rc = vn_delta_recast(&d, l->p, l->len, &err);
	CHECK((rc < 0) == (err.text[0] != 0));
	return rc;
}

static void test_list(void)
{
	uint8_t old[16], out[16];
	struct list l = { .len = 0 };
	for (int i = 0; i < 4; i++)
		vn_put_u32(old + 4 * i, bits32((float)(i + 1)));
	/* two bytes as they are, three halves that begin in front of old and one gap, two numbers */
	segment(&l, 0, 0, 2, 0, 6);
	segment(&l, VN_DELTA_F32, VN_DELTA_F16, 3, 1, -12);
	segment(&l, VN_DELTA_F32, VN_DELTA_U8, 2, 0, 0);
	put(put(put(&l, vn_delta_zigzag(4)), 2), 1);
	put(put(put(&l, 16), 0), 0);
	put(put(put(&l, 8), vn_delta_zigzag(5)), vn_delta_zigzag(16));
	CHECK_EQ(recast(&l, old, sizeof(old), out, 11), 0);
	CHECK(memcmp(out, old + 6, 2) == 0);
	CHECK(memcmp(out + 2, "\0\0\0\x3c\0\x40\0", 7) == 0);
	CHECK_EQ(out[9], 3);
	CHECK_EQ(out[10], 5 + (64 - 16) / 8);
	/* the third element takes the first scale again; what lies behind old is 0 */
	l.len = 0;
	segment(&l, VN_DELTA_F32, VN_DELTA_U8, 3, 0, 8);
	put(put(put(&l, vn_delta_zigzag(0)), 2), 1);
	put(put(put(&l, 1), 0), 0);
	put(put(put(&l, 1), vn_delta_zigzag(9)), 0);
	CHECK_EQ(recast(&l, old, sizeof(old), out, 3), 0);
	CHECK(memcmp(out, "\3\15\0", 3) == 0);
}

static void test_damaged_list(void)
{
	uint8_t old[16] = { 0 }, out[64];
	struct list l;
	static const struct {
		unsigned from, to;
		uint64_t elements, unmapped;
		int64_t step;
	} bad[] = {
		{ 0, 1, 8, 0, 0 },
		{ 5, 1, 8, 0, 0 },
		{ 3, 3, 4, 0, 0 },
		{ 3, 9, 16, 0, 0 },
		{ 3, 0, 16, 0, 0 },
		{ 3, 1, 9, 0, 0 },
		{ 3, 1, 7, 3, 0 },
		{ 3, 1, 0, 0, 0 },
		{ 3, 1, UINT64_MAX, 0, 0 },
		{ 3, 1, UINT64_MAX / 2 + 9, 0, 0 },
		{ 0, 0, 1, UINT64_MAX, 0 },
		{ 3, 1, 8, 0, VN_DELTA_SHIFT_MAX + 1 },
		{ 3, 1, 8, 0, -VN_DELTA_SHIFT_MAX - 1 },
		{ 3, 1, 8, 0, INT64_MIN },
		{ 3, 1, 8, 0, INT64_MAX },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		l.len = 0;
		segment(&l, bad[i].from, bad[i].to, bad[i].elements, bad[i].unmapped, bad[i].step);
		CHECK_EQ(recast(&l, old, sizeof(old), out, 16), -VN_EDIGEST);
	}
	static const uint64_t numbers[][6] = {
		/* exponent, scales, step, zero, base */
		{ 2402, 1, 5, 0, 0 },
		{ 0, 0, 5, 0, 0 },
		{ 0, 1, 0, 0, 0 },
		{ 0, 1, (uint64_t)VN_DELTA_FIXED_MAX + 1, 0, 0 },
		{ 0, 1, UINT64_MAX, 0, 0 },
		{ 0, 1, 5, 2 * VN_DELTA_ZERO_MAX + 2, 0 },
		{ 0, 1, 5, 0, UINT64_MAX },
		{ 0, 1000000, 1, 5, 0 },
		{ 0, 2, 0, 5, 0 },
	};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		l.len = 0;
		segment(&l, VN_DELTA_F32, VN_DELTA_U8, 16, 0, 0);
		for (int k = 0; k < 5; k++)
			put(&l, numbers[i][k]);
		CHECK_EQ(recast(&l, old, sizeof(old), out, 16), -VN_EDIGEST);
	}
	/* every shorter list, and one that is too long */
	l.len = 0;
	segment(&l, VN_DELTA_F32, VN_DELTA_U8, 16, 0, 0);
	put(put(put(put(put(&l, 3), 1), 5), 0), 0);
	CHECK_EQ(recast(&l, old, sizeof(old), out, 16), 0);
	for (size_t n = 0, len = l.len; n < len; n++) {
		l.len = n;
		CHECK_EQ(recast(&l, old, sizeof(old), out, 16), -VN_EDIGEST);
		l.len = len;
	}
	l.p[l.len++] = 0;
	CHECK_EQ(recast(&l, old, sizeof(old), out, 16), -VN_EDIGEST);
}

/* Every way to cut new into blocks writes lists that the decoder reads to the same bytes. */
static void test_cuts(void)
{
	enum { OLD = 4000, NEW = 1500 };
	static uint8_t old[OLD], want[NEW], out[NEW], again[NEW];
	static const struct vn_delta_scale scales[] = { { 900, 3, 0 }, { 1100, -2, 50 }, { 1, 0, 0 } };
	struct vn_err err = { 0 };
	struct vn_delta_bytes bytes;
	VN_AUTO(vn_delta_casts) casts = { 0 };
	static const struct vn_delta_cast list[] = {
		{ .start = 7, .elements = 100, .from = 300, .rule = { VN_DELTA_F32, VN_DELTA_F16, 0 }, .run = 1 },
		{ .start = 207, .elements = 50, .from = 20, .run = 1 },
		{ .start = 300, .elements = 400, .from = 901, .rule = { VN_DELTA_F32, VN_DELTA_I8, 14 }, .scales = 3, .run = 37 },
		{ .start = 703, .elements = 300, .from = 2900, .rule = { VN_DELTA_F32, VN_DELTA_I16, 20 }, .scales = 2, .run = 1 },
		{ .start = 1303, .elements = 20, .from = -30, .rule = { VN_DELTA_F32, VN_DELTA_F64, 0 }, .run = 1 },
	};
	fill_weights(old, OLD / 4, 100);
	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		CHECK_OK(vn_delta_casts_add(&casts, &list[i], scales, &err), &err);
	VN_AUTO(vn_buf) whole = VN_BUF(1u << 20);
	CHECK_OK(vn_delta_casts_write(&casts, old, OLD, 0, NEW, want, &whole, &err), &err);
	vn_delta_old_bytes(&bytes, old, OLD);
	for (size_t block = 64; block <= 2048; block += 61)
		for (size_t at = 0; at < NEW; at += block) {
			VN_AUTO(vn_buf) buf = VN_BUF(1u << 20);
			size_t len = NEW - at < block ? NEW - at : block, differ = 0;
			struct vn_delta_decoder d = { .old = &bytes.old, .mapped = again, .len = len };
			CHECK_OK(vn_delta_casts_write(&casts, old, OLD, at, len, out, &buf, &err), &err);
			CHECK_OK(vn_delta_recast(&d, (const uint8_t *)buf.data, buf.len, &err), &err);
			CHECK(memcmp(out, again, len) == 0);
			for (size_t i = 0; i < len; i++)
				differ += out[i] != want[at + i];
			CHECK(differ <= 14);        /* elements that the cuts go through */
		}
}

/* ---- whole files */
static size_t trip_with(const uint8_t *old, size_t old_len, const uint8_t *data, size_t len, const struct vn_delta_hint *hints,
			size_t nhints)
{
	struct vn_err err = { 0 };
	struct vn_delta_options options = { .effort = 1, .hints = hints, .nhints = nhints };
	struct vn_delta_bytes bytes;
	VN_AUTO(vn_buf) delta = VN_BUF(8u << 20), again = VN_BUF(8u << 20);
	VN_AUTO_OUT *out = NULL, *back = NULL;
	VN_AUTO_IN *in = NULL;
	CHECK_OK(vn_out_buf(&delta, &out, &err), &err);
	CHECK_OK(vn_delta_make(old, old_len, data, len, &options, out, NULL, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
	vn_delta_old_bytes(&bytes, old, old_len);
	CHECK_OK(vn_in_memory(delta.data, delta.len, &in, &err), &err);
	CHECK_OK(vn_out_buf(&again, &back, &err), &err);
	CHECK_OK(vn_delta_apply(&bytes.old, in, back, NULL, &err), &err);
	CHECK_OK(vn_out_finish(back, &err), &err);
	CHECK(again.len == len && memcmp(again.data, data, len) == 0);
	return delta.len;
}

static size_t trip(const uint8_t *old, size_t old_len, const uint8_t *data, size_t len)
{
	return trip_with(old, old_len, data, len, NULL, 0);
}

enum { COUNT = 60000, TENSOR = 7500, HEAD = 333 };

static void test_cast_files(void)
{
	VN_AUTO_FREE uint8_t *old = calloc(COUNT, 4), *data = calloc(COUNT, 4);
	for (unsigned to = VN_DELTA_F16; to <= VN_DELTA_BF16; to++) {
		struct vn_delta_rule down = { VN_DELTA_F32, (uint8_t)to, 0 }, up = { (uint8_t)to, VN_DELTA_F32, 0 };
		size_t width = vn_delta_type_width(to);
		fill_weights(old + HEAD, COUNT - 1000, TENSOR);
		memset(data, 'h', 20);
		vn_delta_convert(&down, NULL, old + HEAD, COUNT - 1000, data + 20);
		CHECK(trip(old, HEAD + 4 * (COUNT - 1000), data, 20 + width * (COUNT - 1000)) < 200);
		/* and back: old is what the conversion left of it */
		vn_delta_convert(&up, NULL, data + 20, COUNT - 1000, old + HEAD);
		CHECK(trip(data, 20 + width * (COUNT - 1000), old, HEAD + 4 * (COUNT - 1000)) < 700);
		/* tensors in another order */
		for (size_t t = 0; t < 7; t++)
			vn_delta_convert(&down, NULL, old + HEAD + 4 * TENSOR * t, TENSOR, data + width * TENSOR * ((t * 3 + 2) % 7));
		CHECK(trip(old, HEAD + 4 * (COUNT - 1000), data, width * TENSOR * 7) < 300);
	}
}

static void test_quantised_files(void)
{
	VN_AUTO_FREE uint8_t *old = calloc(COUNT, 4), *data = calloc(COUNT, 2);
	for (unsigned to = VN_DELTA_U8; to <= VN_DELTA_U16; to++) {
		size_t width = vn_delta_type_width(to);
		fill_weights(old + HEAD, COUNT - 1000, TENSOR);
		for (size_t i = 0; i < COUNT - 1000; i += TENSOR) {
			size_t n = COUNT - 1000 - i < TENSOR ? COUNT - 1000 - i : TENSOR;
			struct vn_delta_rule rule = { VN_DELTA_F32, (uint8_t)to, 40 };
			struct vn_delta_scale scale = { (int64_t)(width == 2 ? 100000 : 30000000) * (1 + (int64_t)i / 900),
							to == VN_DELTA_I8 ? 0 : to == VN_DELTA_U8 ? 127 : 30000,
							to == VN_DELTA_I8 ? 0 : 555555 };
			scale.step *= 40;
			vn_delta_convert(&rule, &scale, old + HEAD + 4 * i, n, data + width * i);
		}
		CHECK(trip(old, HEAD + 4 * (COUNT - 1000), data, width * (COUNT - 1000)) < 1500);
	}
}

/* Rows, and columns, with scales of their own. */
static void test_matrix_files(void)
{
	enum { ROWS = 150, ROW = 320 };
	VN_AUTO_FREE uint8_t *old = calloc(ROWS * ROW, 4), *data = calloc(ROWS * ROW, 1);
	for (int columns = 0; columns < 2; columns++) {
		fill_weights(old + 16, ROWS * ROW - 4, ROWS * ROW);
		for (size_t i = 0; i < ROWS * ROW - 4; i++) {
			size_t k = columns ? i % ROW : i / ROW;
			struct vn_delta_rule rule = { VN_DELTA_F32, VN_DELTA_I8, 40 };
			struct vn_delta_scale scale = { 5000000000ll + (int64_t)(k * 7919 % 331) * 30000000, 0, 0 };
			vn_delta_convert(&rule, &scale, old + 16 + 4 * i, 1, data + i);
		}
		CHECK(trip(old, 4 * ROWS * ROW, data, ROWS * ROW - 4) < (columns ? 2000 : 1000));
	}
}

/* Every weight moved a little and the tensors stand in another order: nothing but a hint tells where they were. */
static void test_hints(void)
{
	enum { TENSORS = 8, LEN = 4 * TENSOR };
	VN_AUTO_FREE uint8_t *old = calloc(TENSORS, LEN), *data = calloc(TENSORS, LEN);
	struct vn_delta_hint hints[TENSORS], wrong[TENSORS];
	fill_weights(old, TENSORS * TENSOR, TENSOR);
	for (size_t t = 0; t < TENSORS; t++) {
		size_t to = (t * 3 + 2) % TENSORS;
		hints[to] = (struct vn_delta_hint){ to * LEN, LEN, t * LEN, LEN };
		wrong[to] = (struct vn_delta_hint){ to * LEN, LEN, to == 5 ? UINT64_MAX - 3 : to * LEN + 1, to == 6 ? UINT64_MAX : LEN };
		for (size_t i = 0; i < LEN; i += 4)
			vn_put_u32(data + to * LEN + i, vn_get_u32(old + t * LEN + i) + random_u32() % 4096);
	}
	size_t blind = trip(old, TENSORS * LEN, data, TENSORS * LEN);
	CHECK(trip_with(old, TENSORS * LEN, data, TENSORS * LEN, hints, TENSORS) < blind * 7 / 10);
	CHECK(trip_with(old, TENSORS * LEN, data, TENSORS * LEN, wrong, TENSORS) < blind + blind / 100);
	/* overlapping and beyond the end */
	wrong[0] = (struct vn_delta_hint){ 0, UINT64_MAX, 0, UINT64_MAX };
	wrong[1] = (struct vn_delta_hint){ UINT64_MAX, 16, 0, 16 };
	wrong[2] = (struct vn_delta_hint){ 4 * LEN, LEN, 4 * LEN, LEN / 2 };
	wrong[3] = (struct vn_delta_hint){ 3 * LEN, 0, 3 * LEN, 0 };
	CHECK(trip_with(old, TENSORS * LEN, data, TENSORS * LEN, wrong, TENSORS) < blind + blind / 100);
}

int main(void)
{
	RUN(test_half);
	RUN(test_other_casts);
	RUN(test_fixed);
	RUN(test_quantise);
	RUN(test_fit);
	RUN(test_list);
	RUN(test_damaged_list);
	RUN(test_cuts);
	RUN(test_cast_files);
	RUN(test_quantised_files);
	RUN(test_matrix_files);
	RUN(test_hints);
	return vn_test_end();
}
