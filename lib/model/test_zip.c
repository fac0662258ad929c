#include "model/test_bytes.h"

struct archive {
	struct made m, dir;
	unsigned n;
};

static void add(struct archive *z, const char *name, unsigned method, const void *data, size_t len)
{
	size_t at = z->m.n;
	PUT(&z->m, "PK\3\4\x14\0\0\0");
	put_le(&z->m, method, 2);
	put_zeros(&z->m, 8);
	put_le(&z->m, len, 4), put_le(&z->m, len, 4);
	put_le(&z->m, strlen(name), 2), put_le(&z->m, 6, 2);
	put_text(&z->m, name);
	PUT(&z->m, "FB\2\0ZZ");
	put(&z->m, data, len);
	PUT(&z->dir, "PK\1\2\x14\0\x14\0\0\0");
	put_le(&z->dir, method, 2);
	put_zeros(&z->dir, 8);
	put_le(&z->dir, len, 4), put_le(&z->dir, len, 4);
	put_le(&z->dir, strlen(name), 2);
	put_zeros(&z->dir, 12);
	put_le(&z->dir, at, 4);
	put_text(&z->dir, name);
	z->n++;
}

static struct made whole(struct archive *z)
{
	struct made m = z->m;
	put(&m, z->dir.p, z->dir.n);
	PUT(&m, "PK\5\6\0\0\0\0");
	put_le(&m, z->n, 2), put_le(&m, z->n, 2);
	put_le(&m, z->dir.n, 4), put_le(&m, z->m.n, 4);
	PUT(&m, "\3\0hi!");
	return m;
}

static const char data_pkl[] = "\x80\2ccollections\nOrderedDict\nq\0)R(X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(("
			       "X\7\0\0\0storagectorch\nBFloat16Storage\nX\1\0\0\0"
			       "0X\3\0\0\0cpuK\x40tQK\0K\x40\x85tRu.";

static void test_torch(void)
{
	struct archive z = { .n = 0 };
	add(&z, "archive/data.pkl", 0, data_pkl, sizeof(data_pkl) - 1);
	add(&z, "archive/data/0", 0, "0123", 4);
	struct made m = whole(&z);
	struct vn_model_facts f = look("m.pt", &m);
	CHECK_FACTS(f, "pytorch", "state dict", "bf16", "bf16");
	f = look("pytorch_model.bin", &m);
	CHECK_STR(f.format, "pytorch");
	add(&z, "archive/code/__torch__.py", 0, "", 0);
	m = whole(&z);
	f = look("m.pt", &m);
	CHECK_FACTS(f, "torchscript", "state dict", "bf16", "bf16");
}

static void test_zip64(void)
{
	struct archive z = { .n = 0 };
	add(&z, "archive/data.pkl", 0, data_pkl, sizeof(data_pkl) - 1);
	struct made m = z.m;
	size_t dir = m.n;
	put(&m, z.dir.p, z.dir.n);
	size_t record = m.n;
	PUT(&m, "PK\6\6");
	put_zeros(&m, 36);
	put_le(&m, z.dir.n, 8), put_le(&m, dir, 8);
	PUT(&m, "PK\6\7\0\0\0\0");
	put_le(&m, record, 8), put_le(&m, 1, 4);
	PUT(&m, "PK\5\6\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
	struct vn_model_facts f = look("m.pt", &m);
	CHECK_FACTS(f, "pytorch", "state dict", "bf16", "bf16");
}

static void test_npz(void)
{
	static const char npy[] = "\x93NUMPY\1\0\x2a\0{'descr': '<f8', 'shape': (1,), 'pad': ''}\n01234567";
	struct archive z = { .n = 0 };
	add(&z, "w.npy", 0, npy, sizeof(npy) - 1);
	struct made m = whole(&z);
	struct vn_model_facts f = look("w.npz", &m);
	CHECK_FACTS(f, "npz", "", "f64", "");
	z = (struct archive){ .n = 0 };
	add(&z, "w.npy", 8, npy, sizeof(npy) - 1);
	m = whole(&z);
	f = look("w.npz", &m);
	CHECK_FACTS(f, "npz", "", "", "");
}

static void test_keras(void)
{
	static const char metadata[] = "{\"keras_version\": \"3.0.5\", \"date_saved\": \"2024-01-01@00:00:00\"}";
	struct archive z = { .n = 0 };
	add(&z, "metadata.json", 0, metadata, sizeof(metadata) - 1);
	add(&z, "config.json", 0, "{}", 2);
	add(&z, "model.weights.h5", 0, "", 0);
	struct made m = whole(&z);
	struct vn_model_facts f = look("m.keras", &m);
	CHECK_FACTS(f, "keras", "Keras 3.0.5", "", "");
}

static void test_other(void)
{
	struct archive z = { .n = 0 };
	add(&z, "META-INF/MANIFEST.MF", 0, "x", 1);
	struct made m = whole(&z);
	struct vn_model_facts f = look("a.jar", &m);
	CHECK_FACTS(f, "", "", "", "");
	f = look("a.pt", &m);
	CHECK_FACTS(f, "pytorch", "", "", "");
	m.n = 0;
	PUT(&m, "PK\3\4 PK\5\6");
	put_le(&m, UINT64_MAX, 8), put_le(&m, UINT64_MAX, 8);
	f = look("a.zip", &m);
	CHECK_FACTS(f, "", "", "", "");
}

static void test_tensors(void)
{
	static const char npy[] = "\x93NUMPY\1\0\x2b\0{'descr': '<f8', 'shape': (2,), 'pad': ''}\n0123456789abcdef";
	struct archive z = { .n = 0 };
	add(&z, "x.npy", 8, npy, sizeof(npy) - 1);
	add(&z, "w.npy", 0, npy, sizeof(npy) - 1);
	size_t end = z.m.n;
	struct made m = whole(&z);
	{
		AUTO_TENSORS t = tensors("w.npz", &m);
		CHECK_EQ(t.count, 1);
		CHECK_TENSOR(t, 0, "w.npy", "f64", end - 16, 16);
	}
	z = (struct archive){ .n = 0 };
	add(&z, "archive/data.pkl", 0, data_pkl, sizeof(data_pkl) - 1);
	add(&z, "archive/data/0", 0, "0123456789012345", 16);
	end = z.m.n;
	m = whole(&z);
	AUTO_TENSORS t = tensors("m.pt", &m);
	CHECK_EQ(t.count, 1);
	CHECK_TENSOR(t, 0, "/data/0", "", end - 16, 16);
}

int main(void)
{
	RUN(test_torch);
	RUN(test_zip64);
	RUN(test_npz);
	RUN(test_keras);
	RUN(test_other);
	RUN(test_tensors);
	return vn_test_end();
}
