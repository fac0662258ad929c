#include "model/test_bytes.h"

static void add_tensor(struct made *graph, unsigned field, unsigned type, size_t raw)
{
	static const uint8_t zeros[1024];
	struct made t = { .n = 0 };
	pb_int(&t, 1, raw);
	pb_int(&t, 2, type);
	pb_bytes(&t, 9, zeros, raw);
	pb_made(graph, field, &t);
}

static void add_node(struct made *graph, const char *op, const struct made *attribute)
{
	struct made node = { .n = 0 };
	pb_text(&node, 4, op);
	if (attribute)
		pb_made(&node, 5, attribute);
	pb_made(graph, 1, &node);
}

static struct vn_model_facts look_at(const struct made *graph)
{
	struct made m = { .n = 0 };
	pb_int(&m, 1, 8);
	pb_text(&m, 2, "pytorch");
	pb_text(&m, 3, "2.1");
	pb_made(&m, 7, graph);
	return look("net.onnx", &m);
}

static void test_plain(void)
{
	struct made g = { .n = 0 };
	add_tensor(&g, 5, 1, 400);
	add_tensor(&g, 5, 7, 80);
	struct vn_model_facts f = look_at(&g);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "f32", "none");
	g.n = 0;
	add_tensor(&g, 5, 10, 400);
	f = look_at(&g);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "f16", "fp16");
}

static void test_quantised(void)
{
	struct made g = { .n = 0 };
	add_tensor(&g, 5, 3, 400);
	add_tensor(&g, 5, 1, 800);
	add_node(&g, "QLinearConv", NULL);
	struct vn_model_facts f = look_at(&g);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "f32", "int8");
	g.n = 0;
	add_tensor(&g, 5, 2, 400);
	add_node(&g, "DequantizeLinear", NULL);
	f = look_at(&g);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "u8", "uint8");
	g.n = 0;
	add_tensor(&g, 5, 22, 100);
	f = look_at(&g);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "i4", "int4");
}

static void test_nested(void)
{
	struct made inner = { .n = 0 }, attribute = { .n = 0 }, g = { .n = 0 };
	add_tensor(&inner, 5, 16, 300);
	pb_made(&attribute, 6, &inner);
	add_node(&g, "If", &attribute);
	struct vn_model_facts f = look_at(&g);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "bf16", "bf16");
	attribute.n = g.n = 0;
	pb_bytes(&attribute, 7, "0123456789012345", 16); /* a tree ensemble keeps its thresholds as floats */
	add_node(&g, "TreeEnsembleRegressor", &attribute);
	f = look_at(&g);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "f32", "none");
}

static void test_external_data(void)
{
	struct made t = { .n = 0 }, g = { .n = 0 };
	pb_bytes(&t, 1, "\x80\x08\x04", 3);
	pb_int(&t, 2, 11);
	pb_int(&t, 14, 1);
	pb_made(&g, 5, &t);
	struct vn_model_facts f = look_at(&g);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "f64", "none");
	pb_int(&t, 1, UINT64_MAX);
	g.n = 0;
	pb_made(&g, 5, &t);
	f = look_at(&g);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "", "");
}

static void test_deep(void)
{
	struct made a = { .n = 0 }, b = { .n = 0 };
	for (unsigned i = 0; i < 200; i++) {
		pb_made(&b, i % 3 == 0 ? 6 : i % 3 == 1 ? 5 : 1, &a);
		a = b;
		b.n = 0;
	}
	struct vn_model_facts f = look_at(&a);
	CHECK_FACTS(f, "onnx", "pytorch 2.1", "", "");
}

static void test_named_so_only(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "<html>404</html>");
	struct vn_model_facts f = look("a.onnx", &m);
	CHECK_FACTS(f, "onnx", "", "", "");
	m.n = 0;
	PUT(&m, "\0\0\0\0ORTM");
	f = look("a.ort", &m);
	CHECK_FACTS(f, "ort", "ONNX Runtime", "", "");
}

static void named_tensor(struct made *graph, unsigned field, const char *name, unsigned type, size_t raw)
{
	static const uint8_t zeros[1024];
	struct made t = { .n = 0 };
	pb_int(&t, 2, type);
	pb_text(&t, 8, name);
	pb_bytes(&t, 9, zeros, raw);
	pb_made(graph, field, &t);
}

/* In the graph itself, in the attribute of a node, and in a graph within. */
static void test_tensors(void)
{
	struct made inner = { .n = 0 }, attribute = { .n = 0 }, value = { .n = 0 }, g = { .n = 0 }, m = { .n = 0 };
	named_tensor(&inner, 5, "inner.w", 10, 300);
	pb_made(&attribute, 6, &inner);
	named_tensor(&value, 5, "value", 11, 80);
	add_node(&g, "If", &attribute);
	add_node(&g, "Constant", &value);
	named_tensor(&g, 5, "w", 1, 400);
	pb_int(&m, 1, 8);
	pb_made(&m, 7, &g);
	AUTO_TENSORS t = tensors("net.onnx", &m);
	CHECK_EQ(t.count, 3);
	CHECK_TENSOR(t, 2, "w", "f32", m.n - 400, 400);
	CHECK(t.count == 3 && !strcmp(t.list[0].name, "inner.w") && t.list[0].len == 300 && !strcmp(t.list[0].element, "f16"));
	CHECK(t.count == 3 && !strcmp(t.list[1].name, "value") && t.list[1].len == 80 && !strcmp(t.list[1].element, "f64"));
}

int main(void)
{
	RUN(test_plain);
	RUN(test_quantised);
	RUN(test_nested);
	RUN(test_external_data);
	RUN(test_deep);
	RUN(test_named_so_only);
	RUN(test_tensors);
	return vn_test_end();
}
