#include "model/test_bytes.h"

static void test_savedmodel(void)
{
	struct made info = { .n = 0 }, graph = { .n = 0 }, m = { .n = 0 };
	pb_text(&info, 5, "2.11.0");
	pb_made(&graph, 1, &info);
	pb_int(&m, 1, 1);
	pb_made(&m, 2, &graph);
	struct vn_model_facts f = look("srv/1/saved_model.pb", &m);
	CHECK_FACTS(f, "savedmodel", "TensorFlow 2.11.0", "", "");
	f = look("srv/1/frozen.pb", &m);
	CHECK_FACTS(f, "", "", "", "");
}

static void test_coreml(void)
{
	struct made m = { .n = 0 };
	pb_int(&m, 1, 4);
	pb_text(&m, 2, "");
	pb_text(&m, 402, "trees");
	struct vn_model_facts f = look("m.mlmodel", &m);
	CHECK_FACTS(f, "coreml", "tree ensemble classifier", "", "");
}

int main(void)
{
	RUN(test_savedmodel);
	RUN(test_coreml);
	return vn_test_end();
}
