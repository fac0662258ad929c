#include "model/test_bytes.h"

static struct vn_model_tensor tensor(uint64_t hash, const char *element, uint64_t at, uint64_t len)
{
	return (struct vn_model_tensor){ .hash = hash, .element = element, .at = at, .len = len };
}

static void check_pair(const struct vn_model_pairs *p, size_t i, uint64_t new_at, uint64_t new_len, uint64_t old_at, uint64_t old_len)
{
	CHECK(p->count > i);
	if (p->count <= i)
		return;
	CHECK_EQ(p->list[i].new_at, new_at);
	CHECK_EQ(p->list[i].new_len, new_len);
	CHECK_EQ(p->list[i].old_at, old_at);
	CHECK_EQ(p->list[i].old_len, old_len);
}

static void test_names(void)
{
	struct vn_err err = { 0 };
	struct vn_model_tensor a[] = { tensor(7, "f32", 0, 400), tensor(3, "f32", 400, 400), tensor(9, "f32", 800, 64) };
	struct vn_model_tensor b[] = { tensor(3, "f16", 900, 200), tensor(7, "f32", 100, 400), tensor(9, "f32", 500, 60) };
	VN_AUTO(vn_model_pairs) p = { 0 };
	CHECK_OK(vn_model_pair(&(struct vn_model_tensors){ a, 3, 3 }, &(struct vn_model_tensors){ b, 3, 3 }, &p, &err), &err);
	CHECK_EQ(p.count, 2);
	check_pair(&p, 0, 100, 400, 0, 400);
	check_pair(&p, 1, 900, 200, 400, 400);
}

/* Without names, and with names that changed: alike ones in their order. */
static void test_order(void)
{
	struct vn_err err = { 0 };
	struct vn_model_tensor a[] = { tensor(0, "f32", 0, 64), tensor(0, "f32", 64, 64), tensor(0, "i64", 128, 64),
				       tensor(5, "f32", 300, 99) };
	struct vn_model_tensor b[] = { tensor(0, "i64", 8, 64), tensor(0, "f32", 72, 64), tensor(0, "f32", 136, 64),
				       tensor(6, "f32", 400, 99) };
	VN_AUTO(vn_model_pairs) p = { 0 };
	CHECK_OK(vn_model_pair(&(struct vn_model_tensors){ a, 4, 4 }, &(struct vn_model_tensors){ b, 4, 4 }, &p, &err), &err);
	CHECK_EQ(p.count, 4);
	check_pair(&p, 0, 8, 64, 128, 64);
	check_pair(&p, 1, 72, 64, 0, 64);
	check_pair(&p, 2, 136, 64, 64, 64);
	check_pair(&p, 3, 400, 99, 300, 99);
}

static void test_overlap(void)
{
	struct vn_err err = { 0 };
	struct vn_model_tensor a[] = { tensor(1, "f32", 0, 64), tensor(2, "f32", 0, 64), tensor(3, "f32", 64, 32) };
	VN_AUTO(vn_model_pairs) p = { 0 }, none = { 0 };
	CHECK_OK(vn_model_pair(&(struct vn_model_tensors){ a, 3, 3 }, &(struct vn_model_tensors){ a, 3, 3 }, &p, &err), &err);
	CHECK_EQ(p.count, 2);
	check_pair(&p, 1, 64, 32, 64, 32);
	CHECK_OK(vn_model_pair(&(struct vn_model_tensors){ a, 3, 3 }, &(struct vn_model_tensors){ 0 }, &none, &err), &err);
	CHECK_EQ(none.count, 0);
}

static void test_other_files(void)
{
	struct made m = { .n = 0 };
	PUT(&m, "#!/bin/sh\necho model\n");
	AUTO_TENSORS t = tensors("run.sh", &m), u = tensors("m.onnx", &m), v = tensors("m.safetensors", &m);
	CHECK_EQ(t.count + u.count + v.count, 0);
	m.n = 0;
	AUTO_TENSORS w = tensors("m.tflite", &m);
	CHECK_EQ(w.count, 0);
}

int main(void)
{
	RUN(test_names);
	RUN(test_order);
	RUN(test_overlap);
	RUN(test_other_files);
	return vn_test_end();
}
