#include "model/look.h"
#include <string.h>

bool vn_bytes_start(struct vn_bytes b, const void *magic, size_t len)
{
	return b.len >= len && !memcmp(b.p, magic, len);
}

bool vn_bytes_are(struct vn_bytes b, const char *text)
{
	size_t len = strlen(text);
	return b.len == len && !memcmp(b.p, text, len);
}

size_t vn_bytes_find(struct vn_bytes b, const char *text)
{
	const uint8_t *at = b.len ? memmem(b.p, b.len, text, strlen(text)) : NULL;
	return at ? (size_t)(at - b.p) : b.len;
}

struct vn_bytes vn_cur_take(struct vn_cur *c, uint64_t len)
{
	if (c->bad || len > c->b.len - c->at) {
		c->bad = true;
		c->at = c->b.len;
		return (struct vn_bytes){ c->b.p, 0 };
	}
	struct vn_bytes ret = { c->b.p + c->at, (size_t)len };
	c->at += (size_t)len;
	return ret;
}

uint64_t vn_cur_uint(struct vn_cur *c, unsigned width)
{
	struct vn_bytes b = vn_cur_take(c, width);
	uint64_t v = 0;
	for (size_t i = 0; i < b.len; i++)
		v |= (uint64_t)b.p[i] << 8 * (c->big ? b.len - 1 - i : i);
	return v;
}

struct vn_bytes vn_cur_line(struct vn_cur *c)
{
	const uint8_t *from = c->b.p + c->at;
	const uint8_t *end = vn_cur_end(c) ? NULL : memchr(from, '\n', c->b.len - c->at);
	if (!end)
		return vn_cur_take(c, (uint64_t)c->b.len + 1);
	c->at += (size_t)(end - from) + 1;
	return (struct vn_bytes){ from, (size_t)(end - from) };
}

static uint64_t varint(struct vn_cur *c)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint64_t byte = vn_cur_uint(c, 1);
		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	c->bad = true;
	return 0;
}

bool vn_pb_next(struct vn_cur *c, struct vn_pb *ret)
{
	if (vn_cur_end(c))
		return false;
	uint64_t key = varint(c);
	struct vn_pb f = { .number = (uint32_t)(key >> 3), .wire = key & 7 };
	if (key >> 32 || !f.number)
		c->bad = true;
	if (f.wire == 0)
		f.value = varint(c);
	else if (f.wire == 1)
		f.value = vn_cur_uint(c, 8);
	else if (f.wire == 2)
		f.bytes = vn_cur_take(c, varint(c));
	else if (f.wire == 5)
		f.value = vn_cur_uint(c, 4);
	else
		c->bad = true;
	if (c->bad)
		return false;
	*ret = f;
	return true;
}

void vn_tally_add(struct vn_tally *t, const char *name, uint64_t bytes)
{
	if (!name)
		return;
	size_t i = 0;
	while (i < t->n && strcmp(t->name[i], name))
		i++;
	if (i == VN_TALLY)
		return;
	if (i == t->n) {
		t->name[i] = name;
		t->bytes[i] = 0;
		t->n++;
	}
	if (__builtin_add_overflow(t->bytes[i], bytes, &t->bytes[i]))
		t->bytes[i] = UINT64_MAX;
}

uint64_t vn_tally_of(const struct vn_tally *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->name[i], name))
			return t->bytes[i];
	return 0;
}

const char *vn_tally_top(const struct vn_tally *t)
{
	size_t top = 0;
	for (size_t i = 1; i < t->n; i++)
		if (t->bytes[i] > t->bytes[top])
			top = i;
	return t->n ? t->name[top] : NULL;
}

const char *vn_quantisation_of(const char *element)
{
	static const struct {
		const char *element, *quantisation;
	} table[] = {
		{ "f64", "none" }, { "f32", "none" },	 { "f16", "fp16" },    { "bf16", "bf16" },
		{ "i8", "int8" },  { "u8", "uint8" },	 { "i4", "int4" },     { "u4", "uint4" },
		{ "i2", "int2" },  { "f8_e4m3", "fp8" }, { "f8_e5m2", "fp8" }, { "f4_e2m1", "fp4" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (!strcmp(table[i].element, element))
			return table[i].quantisation;
	return "";
}

const char *vn_numpy_element(struct vn_bytes d)
{
	static const struct {
		const char *numpy, *element;
	} table[] = {
		{ "f2", "f16" }, { "f4", "f32" }, { "f8", "f64" },  { "f16", "f128" }, { "i1", "i8" },
		{ "i2", "i16" }, { "i4", "i32" }, { "i8", "i64" },  { "u1", "u8" },    { "u2", "u16" },
		{ "u4", "u32" }, { "u8", "u64" }, { "b1", "bool" }, { "c8", "c64" },   { "c16", "c128" },
	};
	if (d.len && memchr("<>|=", d.p[0], 4))
		d = (struct vn_bytes){ d.p + 1, d.len - 1 };
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (vn_bytes_are(d, table[i].numpy))
			return table[i].element;
	return NULL;
}

void vn_fact_add(char *out, size_t size, struct vn_bytes text)
{
	size_t n = strlen(out);
	if (n && text.len && n + 1 < size)
		out[n++] = ' ';
	for (size_t i = 0; i < text.len && n + 1 < size; i++)
		out[n++] = text.p[i] >= 0x20 && text.p[i] < 0x7f ? (char)text.p[i] : '?';
	out[n] = 0;
}

void vn_fact_adds(char *out, size_t size, const char *text)
{
	vn_fact_add(out, size, (struct vn_bytes){ (const uint8_t *)text, strlen(text) });
}

void vn_fact_set(char *out, size_t size, const char *text)
{
	out[0] = 0;
	vn_fact_adds(out, size, text);
}

void vn_fact_tally(struct vn_model_facts *f, const struct vn_tally *t)
{
	const char *top = vn_tally_top(t);
	if (!top)
		return;
	VN_FACT(f->element, top);
	if (!f->quantisation[0])
		VN_FACT(f->quantisation, vn_quantisation_of(top));
}
