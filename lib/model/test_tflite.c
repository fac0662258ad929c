#include "model/test_bytes.h"

/* Flatbuffers are written front to back here: every table has its vtable right before it, and offsets are patched in. */
static size_t table(struct made *m, unsigned fields)
{
	put_le(m, 4 + 2 * fields, 2);
	put_le(m, 4 + 4 * fields, 2);
	for (unsigned i = 0; i < fields; i++)
		put_le(m, 4 + 4 * i, 2);
	size_t at = m->n;
	put_le(m, 4 + 2 * fields, 4);
	put_zeros(m, 4 * (size_t)fields);
	return at;
}

static void set(struct made *m, size_t at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		m->p[at + i] = (uint8_t)(v >> 8 * i);
}

static size_t slot(size_t t, unsigned field)
{
	return t + 4 + 4 * (size_t)field;
}

static size_t vector(struct made *m, size_t ref, uint32_t n, size_t item)
{
	set(m, ref, (uint32_t)(m->n - ref));
	put_le(m, n, 4);
	put_zeros(m, n * item);
	return m->n - n * item;
}

struct tensor {
	uint8_t type;
	uint32_t bytes;
	bool quantised;
};

static void model(struct made *m, const struct tensor *tensors, uint32_t n)
{
	PUT(m, "\0\0\0\0TFL3");
	size_t root = table(m, 5);
	set(m, 0, (uint32_t)root);
	vector(m, slot(root, 3), 9, 1);
	memcpy(m->p + m->n - 9, "MLIR Conv", 9);
	size_t graphs = vector(m, slot(root, 2), 1, 4);
	size_t graph = table(m, 1);
	set(m, graphs, (uint32_t)(graph - graphs));
	size_t items = vector(m, slot(graph, 0), n, 4);
	size_t buffers = vector(m, slot(root, 4), n + 1, 4);
	size_t empty = table(m, 1);
	set(m, buffers, (uint32_t)(empty - buffers));
	for (uint32_t i = 0; i < n; i++) {
		size_t t = table(m, 5), at = buffers + 4 * (i + 1);
		set(m, items + 4 * i, (uint32_t)(t - items - 4 * i));
		m->p[slot(t, 1)] = tensors[i].type;
		set(m, slot(t, 2), i + 1);
		if (tensors[i].quantised) {
			size_t q = table(m, 3);
			set(m, slot(t, 4), (uint32_t)(q - slot(t, 4)));
			vector(m, slot(q, 2), 1, 4);
		}
		size_t b = table(m, 1);
		set(m, at, (uint32_t)(b - at));
		vector(m, slot(b, 0), tensors[i].bytes, 1);
	}
}

static void test_float(void)
{
	struct made m = { .n = 0 };
	model(&m, (const struct tensor[]){ { 0, 400, false }, { 2, 40, false } }, 2);
	struct vn_model_facts f = look("opt/model.tflite", &m);
	CHECK_FACTS(f, "tflite", "MLIR Conv", "f32", "none");
}

static void test_half(void)
{
	struct made m = { .n = 0 };
	model(&m, (const struct tensor[]){ { 1, 400, false }, { 0, 40, false } }, 2);
	struct vn_model_facts f = look("x.bin", &m);
	CHECK_FACTS(f, "tflite", "MLIR Conv", "f16", "fp16");
}

static void test_quantised(void)
{
	struct made m = { .n = 0 };
	model(&m, (const struct tensor[]){ { 9, 300, true }, { 2, 400, true }, { 0, 100, false } }, 3);
	struct vn_model_facts f = look("x.tflite", &m);
	CHECK_FACTS(f, "tflite", "MLIR Conv", "i32", "int8");
	m.n = 0;
	model(&m, (const struct tensor[]){ { 3, 300, true } }, 1);
	f = look("x.tflite", &m);
	CHECK_FACTS(f, "tflite", "MLIR Conv", "u8", "uint8");
	m.n = 0;
	model(&m, (const struct tensor[]){ { 3, 300, false } }, 1); /* a table of labels is no weight */
	f = look("x.tflite", &m);
	CHECK_FACTS(f, "tflite", "MLIR Conv", "u8", "none");
}

static void test_broken(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "\xff\xff\xff\xffTFL3");
	struct vn_model_facts f = look("x.tflite", &m);
	CHECK_FACTS(f, "tflite", "", "", "");
	m.n = 0;
	model(&m, (const struct tensor[]){ { 0, 64, false } }, 1);
	for (size_t i = 8; i < m.n; i++) { /* any one byte may lie */
		uint8_t keep = m.p[i];
		m.p[i] ^= 0xff;
		vn_model_look("x.tflite", m.p, m.n, &f);
		CHECK_STR(f.format, "tflite");
		m.p[i] = keep;
	}
}

static void test_tensors(void)
{
	struct made m = { .n = 0 };
	model(&m, (const struct tensor[]){ { 0, 400, false }, { 9, 40, true } }, 2);
	AUTO_TENSORS t = tensors("opt/model.tflite", &m);
	CHECK_EQ(t.count, 2);
	CHECK(t.count == 2 && t.list[0].len == 400 && !strcmp(t.list[0].element, "f32"));
	CHECK_TENSOR(t, 1, "", "i8", m.n - 40, 40);
}

int main(void)
{
	RUN(test_float);
	RUN(test_half);
	RUN(test_quantised);
	RUN(test_broken);
	RUN(test_tensors);
	return vn_test_end();
}
