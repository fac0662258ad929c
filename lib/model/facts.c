#include "model/facts.h"
#include "model/look.h"
#include <string.h>
#include <strings.h>

/* By extension. Names that other things bear too (.bin .json .pb .txt .zip .xml .weights .model .plan) are not here. */
static const struct {
	const char *extension, *format;
} extensions[] = {
	{ ".tflite", "tflite" },
	{ ".onnx", "onnx" },
	{ ".ort", "ort" },
	{ ".pt", "pytorch" },
	{ ".pth", "pytorch" },
	{ ".ptl", "torchscript" },
	{ ".torchscript", "torchscript" },
	{ ".pkl", "pickle" },
	{ ".pickle", "pickle" },
	{ ".joblib", "joblib" },
	{ ".sav", "pickle" },
	{ ".gguf", "gguf" },
	{ ".ggml", "ggml" },
	{ ".safetensors", "safetensors" },
	{ ".npy", "npy" },
	{ ".npz", "npz" },
	{ ".h5", "hdf5" },
	{ ".hdf5", "hdf5" },
	{ ".keras", "keras" },
	{ ".ckpt", "checkpoint" },
	{ ".ubj", "xgboost-ubj" },
	{ ".xgb", "xgboost" },
	{ ".bst", "xgboost" },
	{ ".cbm", "catboost" },
	{ ".mlmodel", "coreml" },
	{ ".pmml", "pmml" },
	{ ".pdmodel", "paddle" },
	{ ".pdiparams", "paddle" },
	{ ".caffemodel", "caffe" },
	{ ".mnn", "mnn" },
	{ ".rknn", "rknn" },
	{ ".engine", "tensorrt" },
	{ ".dlc", "snpe" },
	{ ".hef", "hailo" },
	{ ".kmodel", "kendryte" },
	{ ".skops", "skops" },
	{ ".nnue", "nnue" },
	{ ".eim", "edge-impulse" },
};

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool ends(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n > m && !strcasecmp(text + n - m, end);
}

/* "variables/variables.data-00000-of-00001", "model.ckpt-100.index": parts of a TensorFlow checkpoint. */
static bool tensorflow_part(const char *base)
{
	return !strncmp(base, "variables.data-", 15) || !strcmp(base, "variables.index") || strstr(base, ".ckpt-") ||
	       strstr(base, ".ckpt.data-") || ends(base, ".ckpt.index");
}

const char *vn_model_by_path(const char *path)
{
	const char *base = base_of(path);
	if (!strcmp(base, "saved_model.pb") || !strcmp(base, "saved_model.pbtxt"))
		return "savedmodel";
	if (tensorflow_part(base))
		return !strncmp(base, "variables.", 10) ? "savedmodel" : "checkpoint";
	if (ends(base, ".weights.h5"))
		return "keras";
	if (!strncmp(base, "group", 5) && strstr(base, "-shard") && ends(base, ".bin"))
		return "tfjs";
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++)
		if (ends(base, extensions[i].extension))
			return extensions[i].format;
	return NULL;
}

static bool safetensors_head(struct vn_bytes b)
{
	static const uint8_t zeros[4];
	if (b.len < 10 || memcmp(b.p + 4, zeros, 4) || b.p[3] > 6 || memcmp(b.p + 8, "{\"", 2))
		return false;
	for (size_t i = 10; i < b.len && i < 16; i++)
		if (b.p[i] < 0x20 || b.p[i] == 0x7f)
			return false;
	return true;
}

const char *vn_model_by_magic(const void *head, size_t len)
{
	static const struct {
		const char *magic;
		uint8_t len, at;
		const char *format;
	} table[] = {
		{ "GGUF", 4, 0, "gguf" },
		{ "TFL3", 4, 4, "tflite" },
		{ "ORTM", 4, 4, "ort" },
		{ "\x93NUMPY", 6, 0, "npy" },
		{ "\x89HDF\r\n\x1a\n", 8, 0, "hdf5" },
		{ "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14, 0, "pytorch" },
		{ "{\"learner\":{\"", 13, 0, "xgboost-json" },
		{ "{L\0\0\0\0\0\0\0\7learne", 16, 0, "xgboost-ubj" },
		{ "tree\nversion=v", 14, 0, "lightgbm" },
	};
	struct vn_bytes b = { head, len };
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (vn_bytes_start(vn_bytes_at(b, table[i].at, table[i].len), table[i].magic, table[i].len))
			return table[i].format;
	return safetensors_head(b) ? "safetensors" : NULL;
}

typedef bool look_fn(struct vn_bytes b, struct vn_model_facts *ret);

/* Formats that their own bytes prove, in this order; then those that a name must suggest first. */
static look_fn *const proven[] = { vn_look_gguf, vn_look_tflite, vn_look_ort,	  vn_look_npy,
				   vn_look_hdf5, vn_look_zip,	 vn_look_xgboost, vn_look_lightgbm };
static const struct {
	const char *named;
	look_fn *look;
} suggested[] = {
	{ "safetensors", vn_look_safetensors }, { "onnx", vn_look_onnx },	  { "savedmodel", vn_look_savedmodel },
	{ "coreml", vn_look_coreml },		{ "catboost", vn_look_catboost }, { "pickle", vn_look_pickle },
	{ "pickle", vn_look_joblib_packed },	{ "joblib", vn_look_pickle },	  { "joblib", vn_look_joblib_packed },
	{ "pytorch", vn_look_pickle },		{ "checkpoint", vn_look_pickle },
};

static void look_by_name(const char *format, struct vn_bytes b, struct vn_model_facts *ret)
{
	for (size_t i = 0; i < sizeof(suggested) / sizeof(*suggested); i++)
		if (!strcmp(suggested[i].named, format) && suggested[i].look(b, ret))
			break;
	if (!ret->format[0])
		VN_FACT(ret->format, format);
	if (!strcmp(ret->format, "pickle") && !strcmp(format, "joblib"))
		VN_FACT(ret->format, format);
}

void vn_model_look(const char *path, const void *bytes, size_t len, struct vn_model_facts *ret)
{
	static const char lfs[] = "version https://git-lfs.github.com/spec/";
	struct vn_model_facts facts = { 0 };
	struct vn_bytes b = { bytes, len };
	const char *named = vn_model_by_path(path);
	if (named && vn_bytes_start(b, lfs, sizeof(lfs) - 1)) {
		VN_FACT(facts.format, named);
		VN_FACT(facts.detail, "a Git LFS pointer, not the model itself");
		*ret = facts;
		return;
	}
	for (size_t i = 0; i < sizeof(proven) / sizeof(*proven) && !facts.format[0]; i++)
		proven[i](b, &facts);
	if (!named)
		named = vn_model_by_magic(bytes, len);
	if (!facts.format[0] && named && len)
		look_by_name(named, b, &facts);
	if (!strcmp(facts.format, "hdf5") && named && !strcmp(named, "keras"))
		VN_FACT(facts.format, "keras");
	*ret = facts;
}
