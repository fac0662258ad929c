#include "model/test_bytes.h"

static void test_by_path(void)
{
	static const struct {
		const char *path, *format;
	} table[] = {
		{ "opt/app/model.tflite", "tflite" },
		{ "a.ONNX", "onnx" },
		{ "m.pt", "pytorch" },
		{ "m.pth", "pytorch" },
		{ "x/model.pkl", "pickle" },
		{ "m.joblib", "joblib" },
		{ "m.gguf", "gguf" },
		{ "m.safetensors", "safetensors" },
		{ "m.h5", "hdf5" },
		{ "m.weights.h5", "keras" },
		{ "m.keras", "keras" },
		{ "m.npz", "npz" },
		{ "1/saved_model.pb", "savedmodel" },
		{ "1/variables/variables.data-00000-of-00001", "savedmodel" },
		{ "model.ckpt-100.index", "checkpoint" },
		{ "web/group1-shard1of4.bin", "tfjs" },
		{ "m.cbm", "catboost" },
		{ "m.bin", NULL },
		{ "m.json", NULL },
		{ "m.pb", NULL },
		{ "m.txt", NULL },
		{ ".onnx", NULL },
		{ "", NULL },
		{ "onnx", NULL },
		{ "a.onnx/readme", NULL },
		{ "group.bin", NULL },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		CHECK_STR(vn_model_by_path(table[i].path), table[i].format);
}

static void test_by_magic(void)
{
#define HEAD(literal) "" literal, sizeof(literal) - 1
	CHECK_STR(vn_model_by_magic(HEAD("GGUF\3\0\0\0........")), "gguf");
	CHECK_STR(vn_model_by_magic(HEAD("\x1c\0\0\0TFL3........")), "tflite");
	CHECK_STR(vn_model_by_magic(HEAD("\x93NUMPY\1\0v\0{'desc")), "npy");
	CHECK_STR(vn_model_by_magic(HEAD("\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0")), "hdf5");
	CHECK_STR(vn_model_by_magic(HEAD("\x60\1\0\0\0\0\0\0{\"__meta")), "safetensors");
	CHECK_STR(vn_model_by_magic(HEAD("\x60\1\0\0\1\0\0\0{\"__meta")), NULL);
	CHECK_STR(vn_model_by_magic(HEAD("\x60\1\0\0\0\0\0\0{\"\1\2")), NULL);
	CHECK_STR(vn_model_by_magic(HEAD("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0")), NULL);
	CHECK_STR(vn_model_by_magic(HEAD("\x7f"
					 "ELF\2\1\1\0\0\0\0\0\0\0\0\0")),
		  NULL);
	CHECK_STR(vn_model_by_magic(HEAD("GGU")), NULL);
	CHECK_STR(vn_model_by_magic("", 0), NULL);
	CHECK_STR(vn_model_by_magic(NULL, 0), NULL);
}

static void test_nothing(void)
{
	struct vn_model_facts f;
	memset(&f, 'x', sizeof(f));
	vn_model_look("m.onnx", NULL, 0, &f);
	CHECK_FACTS(f, "", "", "", "");
	vn_model_look("etc/passwd", "root:x:0:0", 10, &f);
	CHECK_FACTS(f, "", "", "", "");
	vn_model_look("m.rknn", "RKNN", 4, &f);
	CHECK_FACTS(f, "rknn", "", "", "");
}

static void test_contents_win(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "GGUF\3\0\0\0");
	struct vn_model_facts f = look("m.tflite", &m);
	CHECK_STR(f.format, "gguf");
	m.n = 0;
	PUT(&m, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n");
	f = look("m.onnx", &m);
	CHECK_FACTS(f, "onnx", "a Git LFS pointer, not the model itself", "", "");
}

int main(void)
{
	RUN(test_by_path);
	RUN(test_by_magic);
	RUN(test_nothing);
	RUN(test_contents_win);
	return vn_test_end();
}
