#include "model/test_bytes.h"

static struct vn_model_facts look_text(const char *path, const char *text)
{
	struct made m = { .n = 0 };
	put_text(&m, text);
	return look(path, &m);
}

static void test_xgboost(void)
{
	struct vn_model_facts f =
		look_text("m.json", "{\"learner\":{\"attributes\":{},\"objective\":{\"name\":\"binary:logistic\"}},"
				    "\"version\":[1,7,3]}");
	CHECK_FACTS(f, "xgboost-json", "XGBoost 1.7.3 binary:logistic", "", "");
	f = look_text("m.json", "{\"version\":[1,7,3]}");
	CHECK_FACTS(f, "", "", "", "");
	struct made m = { .n = 0 };
	PUT(&m, "{L\0\0\0\0\0\0\0\7learner{");
	f = look("m.ubj", &m);
	CHECK_FACTS(f, "xgboost-ubj", "XGBoost", "", "");
}

static void test_lightgbm(void)
{
	struct vn_model_facts f = look_text("m.txt", "tree\nversion=v3\nnum_class=1\nobjective=regression l2\n\nTree=0\n");
	CHECK_FACTS(f, "lightgbm", "LightGBM v3 regression", "", "");
	f = look_text("m.txt", "tree\nof life\n");
	CHECK_FACTS(f, "", "", "", "");
}

static void test_catboost(void)
{
	struct vn_model_facts f = look_text("m.cbm", "CBM1....");
	CHECK_FACTS(f, "catboost", "CatBoost", "", "");
	f = look_text("m.bin", "CBM1....");
	CHECK_FACTS(f, "", "", "", "");
}

int main(void)
{
	RUN(test_xgboost);
	RUN(test_lightgbm);
	RUN(test_catboost);
	return vn_test_end();
}
