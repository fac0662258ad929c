#include "model/test_bytes.h"

static void text4(struct made *m, const char *text) /* SHORT_BINUNICODE, MEMOIZE */
{
	PUT(m, "\x8c");
	put_le(m, strlen(text), 1);
	put_text(m, text);
	PUT(m, "\x94");
}

static void class4(struct made *m, const char *module, const char *name)
{
	text4(m, module);
	text4(m, name);
	PUT(m, "\x93\x94");
}

/* numpy.dtype(text, False, True) and its state, as every numpy writes it */
static void dtype4(struct made *m, const char *text)
{
	class4(m, "numpy", "dtype");
	text4(m, text);
	PUT(m, "\x89\x88\x87\x94R\x94(K\x03");
	text4(m, "<");
	PUT(m, "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t\x94"
	       "b");
}

static void test_sklearn(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "\x80\4\x95\0\0\0\0\0\0\0\0");
	class4(&m, "sklearn.ensemble._iforest", "IsolationForest");
	PUT(&m, ")\x81\x94}\x94(");
	text4(&m, "offset_");
	class4(&m, "numpy.core.multiarray", "_reconstruct");
	PUT(&m, "K\0\x85\x94"
		"C\1b\x94\x87\x94R\x94(K\1K\x04\x85\x94");
	dtype4(&m, "f8");
	PUT(&m, "\x89"
		"C\x20"
		"01234567890123456789012345678901"
		"\x94t\x94"
		"bu");
	PUT(&m, "b.");
	struct vn_model_facts f = look("opt/model.pkl", &m);
	CHECK_FACTS(f, "pickle", "scikit-learn IsolationForest", "f64", "none");
	AUTO_TENSORS t = tensors("opt/model.pkl", &m);
	CHECK_EQ(t.count, 1);
	CHECK_TENSOR(t, 0, "", "f64", m.n - 39, 32);
	f = look("opt/model.joblib", &m);
	CHECK_FACTS(f, "joblib", "scikit-learn IsolationForest", "f64", "none");
	f = look("opt/model", &m);
	CHECK_FACTS(f, "", "", "", "");
}

static void test_protocol5(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "\x80\5");
	class4(&m, "numpy.core.numeric", "_frombuffer");
	PUT(&m, "(\x96\x08\0\0\0\0\0\0\0"
		"01234567"
		"\x94");
	dtype4(&m, "f4");
	PUT(&m, "K\2\x85\x94");
	text4(&m, "C");
	PUT(&m, "t\x94R\x94.");
	struct vn_model_facts f = look("a.pickle", &m);
	CHECK_FACTS(f, "pickle", "", "f32", "none");
}

static void test_text_protocol(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "ccopy_reg\n_reconstructor\np0\n(csklearn.linear_model._logistic\nLogisticRegression\np1\n"
		"c__builtin__\nobject\np2\nNtp3\nRp4\n(dp5\nVC\np6\nF1.0\nsI5\nsb.");
	struct vn_model_facts f = look("m.pkl", &m);
	CHECK_FACTS(f, "pickle", "scikit-learn LogisticRegression", "", "");
	m.n = 0;
	PUT(&m, "(this is a text that is called so\n");
	f = look("m.pkl", &m);
	CHECK_FACTS(f, "pickle", "", "", "");
}

/* joblib: array bytes stand behind the BUILD of their wrapper, behind a pad; the walk goes on behind them. */
static void test_joblib(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "\x80\4]\x94(");
	class4(&m, "joblib.numpy_pickle", "NumpyArrayWrapper");
	PUT(&m, ")\x81\x94}\x94(");
	text4(&m, "subclass");
	class4(&m, "numpy", "ndarray");
	text4(&m, "shape");
	PUT(&m, "K\2K\3\x86\x94");
	text4(&m, "order");
	text4(&m, "C");
	text4(&m, "dtype");
	dtype4(&m, "f2");
	text4(&m, "allow_mmap");
	PUT(&m, "\x88");
	text4(&m, "numpy_array_alignment_bytes");
	PUT(&m, "K\x10ub");
	PUT(&m, "\2\xff\xff"
		"..........c.");
	class4(&m, "sklearn.svm._classes", "OneClassSVM");
	PUT(&m, "e.");
	struct vn_model_facts f = look("m.joblib", &m);
	CHECK_FACTS(f, "joblib", "scikit-learn OneClassSVM", "f16", "fp16");
}

static void test_joblib_object_array(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "\x80\4]\x94(");
	class4(&m, "joblib.numpy_pickle", "NumpyArrayWrapper");
	PUT(&m, ")\x81\x94}\x94(");
	text4(&m, "shape");
	PUT(&m, "K\2\x85\x94");
	text4(&m, "dtype");
	dtype4(&m, "O8");
	PUT(&m, "ub");
	PUT(&m, "\x80\2]q\0(K\1K\2e."); /* a pickle of its own, with a memo of its own */
	PUT(&m, "h\2\x93");
	class4(&m, "xgboost.sklearn", "XGBClassifier");
	PUT(&m, "e.");
	struct vn_model_facts f = look("m.joblib", &m);
	CHECK_FACTS(f, "joblib", "xgboost XGBClassifier", "", "");
}

static void test_compressed(void)
{
	static const struct {
		const char *head, *detail;
	} table[] = { { "\x1f\x8b\x08....", "gzip compressed" },
		      { "\x78\x9c....", "zlib compressed" },
		      { "BZh9....", "bzip2 compressed" },
		      { "\xfd"
			"7zXZ..",
			"xz compressed" } };
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct made m = { .n = 0 };
		put_text(&m, table[i].head);
		struct vn_model_facts f = look("m.joblib", &m);
		CHECK_FACTS(f, "joblib", table[i].detail, "", "");
	}
}

#define STORAGE(name)                                                                                                          \
	"ctorch\n" name "\nq\5X\1\0\0\0"                                                                                       \
	"0q\6X\3\0\0\0cpuq\7K\x40tq\x08Q"
static void test_torch_legacy(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.\x80\2}q\0X\1\0\0\0aq\1K\1s.");
	PUT(&m, "\x80\2ccollections\nOrderedDict\nq\0)Rq\1(X\1\0\0\0wq\2ctorch._utils\n_rebuild_tensor_v2\nq\3((");
	PUT(&m, "X\7\0\0\0storageq\4" STORAGE("HalfStorage") "K\0K\x08K\x08\x86tRu.");
	struct vn_model_facts f = look("m.pth", &m);
	CHECK_FACTS(f, "pytorch", "state dict", "f16", "fp16");
	f = look("pytorch_model.bin", &m);
	CHECK_STR(f.format, "pytorch");
}

static void test_torch_quantised(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "\x80\2c__main__\nNet\nq\0)\x81((X\7\0\0\0storageq\4" STORAGE("QInt8Storage") "(h\4" STORAGE(
			"FloatStorage") "K\0tR.");
	struct vn_model_facts f = look("m.pt", &m);
	CHECK_FACTS(f, "pytorch", "Net", "f32", "int8");
}

static void test_hostile(void)
{
	static const char *const pieces[] = { "\x80\4\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
					      "\x80\4\x8b\xff\xff\xff\xff",
					      "\x80\4\x93\x93\x94\x94j\xff\xff\xff\xff",
					      "\x80\2g99999999999999999999999\n",
					      "\x80\2.\x80\2.\x80\2.\x80\2.\x80\2.\x80\2.\x80\2.\x80\2.",
					      "c\n\n.",
					      "\x80\2\xff" };
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		struct made m = { .n = 0 };
		put_text(&m, pieces[i]);
		put_zeros(&m, 9);
		struct vn_model_facts f = look("m.pkl", &m);
		CHECK_FACTS(f, "pickle", "", "", "");
	}
}

static void test_shape_overflow(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "\x80\4");
	class4(&m, "joblib.numpy_pickle", "NumpyArrayWrapper");
	PUT(&m, "}(");
	text4(&m, "shape");
	PUT(&m, "(\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"
		"t");
	text4(&m, "dtype");
	dtype4(&m, "f8");
	PUT(&m, "ub.");
	struct vn_model_facts f = look("m.joblib", &m);
	CHECK_FACTS(f, "joblib", "", "", "");
}

int main(void)
{
	RUN(test_sklearn);
	RUN(test_protocol5);
	RUN(test_text_protocol);
	RUN(test_joblib);
	RUN(test_joblib_object_array);
	RUN(test_compressed);
	RUN(test_torch_legacy);
	RUN(test_torch_quantised);
	RUN(test_hostile);
	RUN(test_shape_overflow);
	return vn_test_end();
}
