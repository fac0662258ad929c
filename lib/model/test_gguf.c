#include "model/test_bytes.h"

static unsigned word = 8;

static void put_string(struct made *m, const char *text)
{
	put_le(m, strlen(text), word);
	put_text(m, text);
}

static void put_tensor(struct made *m, const char *name, uint64_t n, uint32_t type)
{
	put_string(m, name);
	put_le(m, 2, 4);
	put_le(m, n, word);
	put_le(m, 4, word);
	put_le(m, type, 4);
	put_le(m, 0, 8);
}

static struct made model(uint32_t version, int file_type, uint32_t tensor_type)
{
	struct made m = { .n = 0 };
	word = version == 1 ? 4 : 8;
	PUT(&m, "GGUF");
	put_le(&m, version, 4);
	put_le(&m, 2, word);
	put_le(&m, file_type < 0 ? 3 : 4, word);
	put_string(&m, "tokenizer.ggml.tokens");
	put_le(&m, 9, 4), put_le(&m, 8, 4), put_le(&m, 2, word);
	put_string(&m, "<s>");
	put_string(&m, "</s>");
	put_string(&m, "general.architecture");
	put_le(&m, 8, 4);
	put_string(&m, "llama");
	put_string(&m, "x.rope");
	put_le(&m, 9, 4), put_le(&m, 6, 4), put_le(&m, 3, word), put_zeros(&m, 12);
	if (file_type >= 0) {
		put_string(&m, "general.file_type");
		put_le(&m, 4, 4);
		put_le(&m, (uint64_t)file_type, 4);
	}
	put_tensor(&m, "norm", 32, 0);
	put_tensor(&m, "w", 4096, tensor_type);
	return m;
}

static void test_versions(void)
{
	for (uint32_t v = 1; v <= 3; v++) {
		struct made m = model(v, 15, 12);
		struct vn_model_facts f = look("m.gguf", &m);
		CHECK_FACTS(f, "gguf", "llama", "q4_k", "q4_k_m");
	}
	struct made m = model(4, 15, 12);
	struct vn_model_facts f = look("m.gguf", &m);
	CHECK_FACTS(f, "gguf", "", "", "");
}

static void test_types(void)
{
	static const struct {
		int file_type;
		uint32_t tensor_type;
		const char *element, *quantisation;
	} table[] = {
		{ 0, 0, "f32", "none" },	  { 1, 1, "f16", "fp16" },  { -1, 1, "f16", "fp16" },
		{ -1, 8, "q8_0", "q8_0" },	  { 7, 8, "q8_0", "q8_0" }, { 32, 30, "bf16", "bf16" },
		{ 99, 16, "iq2_xxs", "iq2_xxs" }, { 2, 77, "f32", "q4_0" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct made m = model(3, table[i].file_type, table[i].tensor_type);
		struct vn_model_facts f = look("noname", &m);
		CHECK_FACTS(f, "gguf", "llama", table[i].element, table[i].quantisation);
	}
}

static void test_big_endian(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "GGUF\0\0\0\3"
		"\0\0\0\0\0\0\0\0"
		"\0\0\0\0\0\0\0\1"
		"\0\0\0\0\0\0\0\x14general.architecture"
		"\0\0\0\x08"
		"\0\0\0\0\0\0\0\4"
		"bert");
	struct vn_model_facts f = look("m.gguf", &m);
	CHECK_FACTS(f, "gguf", "bert", "", "");
}

static void test_hostile(void)
{
	struct made m = { .n = 0 };
	word = 8;
	PUT(&m, "GGUF\3\0\0\0");
	put_le(&m, UINT64_MAX, 8);
	put_le(&m, UINT64_MAX, 8);
	put_string(&m, "k");
	for (unsigned i = 0; i < 100; i++) /* arrays of arrays of … */
		put_le(&m, 9, 4), put_le(&m, i ? UINT64_MAX : 9, i ? 8 : 0);
	struct vn_model_facts f = look("m.gguf", &m);
	CHECK_FACTS(f, "gguf", "", "", "");
}

static void test_tensors(void)
{
	for (uint32_t v = 1; v <= 3; v++) {
		struct made m = model(v, 15, 24);
		size_t data = (m.n + 31) / 32 * 32;
		put_zeros(&m, data - m.n + 16384);
		AUTO_TENSORS t = tensors("m.gguf", &m);
		CHECK_EQ(t.count, 2);
		CHECK_TENSOR(t, 0, "norm", "f32", data, 512);
		CHECK_TENSOR(t, 1, "w", "i8", data, 16384);
	}
}

int main(void)
{
	RUN(test_versions);
	RUN(test_types);
	RUN(test_big_endian);
	RUN(test_hostile);
	RUN(test_tensors);
	return vn_test_end();
}
