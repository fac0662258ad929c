#include "model/test_bytes.h"

static void npy(struct made *m, const char *descr)
{
	char head[128];
	int n = snprintf(head, sizeof(head), "{'descr': '%s', 'fortran_order': False, 'shape': (4,), }\n", descr);
	PUT(m, "\x93NUMPY\1\0");
	put_le(m, (uint64_t)n, 2);
	put(m, head, (size_t)n);
	put_zeros(m, 32);
}

static void test_npy(void)
{
	struct made m = { .n = 0 };
	npy(&m, "<f4");
	struct vn_model_facts f = look("w.npy", &m);
	CHECK_FACTS(f, "npy", "", "f32", "");
	m.n = 0;
	npy(&m, "|O");
	f = look("w.npy", &m);
	CHECK_FACTS(f, "npy", "", "", "");
}

static void safetensors(struct made *m, const char *json)
{
	put_le(m, strlen(json), 8);
	put_text(m, json);
	put_zeros(m, 100);
}

static void test_safetensors(void)
{
	struct made m = { .n = 0 };
	safetensors(&m, "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
			"\"w\":{\"dtype\":\"BF16\",\"shape\":[40],\"data_offsets\":[16,96]}}    ");
	struct vn_model_facts f = look("model.safetensors", &m);
	CHECK_FACTS(f, "safetensors", "PyTorch", "bf16", "bf16");
	f = look("model", &m);
	CHECK_STR(f.format, "safetensors");
	static const char *const odd[] = { "{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[90,16]}}",
					   "{\"w\":{\"dtype\":7}}",
					   "{\"w\":[]}",
					   "{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[\"0\",16]}}",
					   "{",
					   "{\"__metadata__\":3}" };
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		m.n = 0;
		safetensors(&m, odd[i]);
		f = look("model.safetensors", &m);
		CHECK_FACTS(f, "safetensors", "", "", "");
	}
	m.n = 0;
	put_le(&m, UINT64_MAX, 8);
	PUT(&m, "{\"");
	f = look("model.safetensors", &m);
	CHECK_FACTS(f, "safetensors", "", "", "");
}

static void test_hdf5(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "\x89HDF\r\n\x1a\n........");
	struct vn_model_facts f = look("m.h5", &m);
	CHECK_FACTS(f, "hdf5", "", "", "");
	f = look("m.weights.h5", &m);
	CHECK_STR(f.format, "keras");
	PUT(&m, "keras_version");
	vn_model_look("m.h5", m.p, m.n, &f);
	CHECK_STR(f.format, "keras");
}

static void test_npy_tensor(void)
{
	struct made m = { .n = 0 };
	npy(&m, "<f4");
	AUTO_TENSORS t = tensors("w.npy", &m);
	CHECK_EQ(t.count, 1);
	CHECK_TENSOR(t, 0, "", "f32", m.n - 32, 32);
}

static void test_safetensors_tensors(void)
{
	struct made m = { .n = 0 };
	safetensors(&m, "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
			"\"w\":{\"dtype\":\"BF16\",\"shape\":[40],\"data_offsets\":[16,96]},"
			"\"out\":{\"dtype\":\"BF16\",\"shape\":[40],\"data_offsets\":[16,101]}}    ");
	AUTO_TENSORS t = tensors("model.safetensors", &m);
	CHECK_EQ(t.count, 2);
	for (size_t i = 0; i < t.count; i++)
		CHECK_STR(t.list[i].element, t.list[i].len == 16 ? "f32" : "bf16");
	CHECK_TENSOR(t, t.list[0].len == 16 ? 0u : 1u, "b", "f32", m.n - 100, 16);
	CHECK_TENSOR(t, t.list[0].len == 16 ? 1u : 0u, "w", "bf16", m.n - 84, 80);
}

int main(void)
{
	RUN(test_npy);
	RUN(test_safetensors);
	RUN(test_hdf5);
	RUN(test_npy_tensor);
	RUN(test_safetensors_tensors);
	return vn_test_end();
}
