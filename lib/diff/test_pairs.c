#include "diff/files.h"
#include "diff/packages.h"
#include "util/test.h"
#include <stdlib.h>

/* ---- lists by hand */
static void add(struct vn_file_list *l, enum vn_change change, const char *path, char content, enum vn_class c, const char *rule)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_grow(&l->list, &l->cap, l->n + 1, sizeof(*l->list), &err), &err);
	CHECK_OK(vn_grow(&l->prints, &l->prints_cap, l->n + 1, sizeof(*l->prints), &err), &err);
	struct vn_file_side side = { .present = true, .type = '-', .size = 10 };
	struct vn_file_change f = { .path = path, .change = change, .class_ = c, .rule = rule, .layer = 1 };
	if (change != VN_ADDED)
		f.old_ = side;
	if (change != VN_REMOVED)
		f.new_ = side;
	memset(&l->prints[l->n], content, sizeof(l->prints[0]));
	l->list[l->n++] = f;
	l->class_files[c]++;
}

static const char *text(const struct vn_file_list *l)
{
	static char out[2048];
	size_t at = 0;
	out[0] = 0;
	for (size_t i = 0; i < l->n; i++)
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s %s%s%s%s", i ? ", " : "", vn_change_name(l->list[i].change),
				       l->list[i].path, l->list[i].from ? " from " : "", l->list[i].from ? l->list[i].from : "",
				       l->list[i].change == VN_RENAMED && l->list[i].fields ? " changed" : "");
	return out;
}

static void moves(struct vn_file_list *l, const char *expected)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_files_pair_renames(l, &err), &err);
	CHECK_STR(text(l), expected);
	vn_files_release(l);
}

#define OLD(path, content) add(&l, VN_REMOVED, path, content, VN_CLASS_OTHER, "other")
#define NEW(path, content) add(&l, VN_ADDED, path, content, VN_CLASS_OTHER, "other")

static void test_renames(void)
{
	struct vn_file_list l = { .n = 0 };
	OLD("/a", 1), NEW("/b", 1);
	moves(&l, "renamed /b from /a");
	OLD("/a", 1), NEW("/b", 2);
	moves(&l, "removed /a, added /b");
	/* of several the one with the same name */
	OLD("/a/x", 1), NEW("/b/y", 1), NEW("/c/x", 1);
	moves(&l, "added /b/y, renamed /c/x from /a/x");
	OLD("/a", 1), OLD("/b", 1), NEW("/c", 1), NEW("/d", 1);
	moves(&l, "renamed /c from /a, renamed /d from /b");
	OLD("/a", 1), NEW("/b", 1), OLD("/c", 1);
	moves(&l, "renamed /b from /a, removed /c");
	add(&l, VN_CHANGED, "/a", 1, VN_CLASS_OTHER, "other");
	NEW("/b", 1);
	moves(&l, "changed /a, added /b");
	add(&l, VN_REMOVED, "/var/log/a", 1, VN_CLASS_NOISE, "logs");
	NEW("/b", 1);
	moves(&l, "removed /var/log/a, added /b");
	OLD("/a", 1), NEW("/b", 1);
	l.list[0].old_.size = l.list[1].new_.size = 0;
	moves(&l, "removed /a, added /b");
	OLD("/a", 1), NEW("/b", 1);
	l.list[0].old_.type = 'l';
	moves(&l, "removed /a, added /b");
}

static void test_azureml_version(void)
{
	struct vn_file_list l = { .n = 0 };
	OLD("/var/azureml-app/azureml-models/iris/7/model.pkl", 1), NEW("/var/azureml-app/azureml-models/iris/8/model.pkl", 2);
	moves(&l, "renamed /var/azureml-app/azureml-models/iris/8/model.pkl from /var/azureml-app/azureml-models/iris/7/model.pkl changed");
	/* the version is surer than the contents */
	OLD("/x/azureml-models/m/1/a", 1), NEW("/x/azureml-models/m/2/a", 2), NEW("/y/a", 1);
	moves(&l, "renamed /x/azureml-models/m/2/a from /x/azureml-models/m/1/a changed, added /y/a");
	OLD("/x/azureml-models/m/1/a", 1), NEW("/x/azureml-models/n/2/a", 2), NEW("/x/azureml-models/m/v2/a", 2);
	moves(&l, "removed /x/azureml-models/m/1/a, added /x/azureml-models/n/2/a, added /x/azureml-models/m/v2/a");
	OLD("/x/azureml-models/m/9", 1), NEW("/x/azureml-models/m/10", 2);
	moves(&l, "renamed /x/azureml-models/m/10 from /x/azureml-models/m/9 changed");
}

static void test_counts(void)
{
	static const struct vn_rule other = { "other", VN_CLASS_OTHER, "**", 0 };
	struct vn_err err = { 0 };
	struct vn_file_list l = { .n = 0 };
	OLD("/a", 1), NEW("/b", 1);
	CHECK_OK(vn_grow(&l.uses, &l.uses_cap, 2, sizeof(*l.uses), &err), &err);
	l.uses[0] = (struct vn_rule_use){ &other, SIZE_MAX, 1, 0 };
	l.uses[1] = (struct vn_rule_use){ &other, 0, 1, 10 };
	l.nuses = 2;
	CHECK_OK(vn_files_pair_renames(&l, &err), &err);
	CHECK_EQ(l.class_files[VN_CLASS_OTHER], 1);
	CHECK_EQ(l.uses[0].files, 0);
	CHECK_EQ(l.uses[1].files, 1);
	vn_files_release(&l);
}

static void test_models_join(void)
{
	struct vn_err err = { 0 };
	struct vn_file_list l = { .n = 0 };
	OLD("/a.onnx", 1), NEW("/b.onnx", 1);
	CHECK_OK(vn_grow(&l.models, &l.models_cap, 2, sizeof(*l.models), &err), &err);
	l.models[0] = (struct vn_model_info){ .old_path = "/a.onnx", .old_size = 10, .old_digest = "x" };
	l.models[1] = (struct vn_model_info){ .path = "/b.onnx", .new_size = 10 };
	l.nmodels = 2;
	CHECK_OK(vn_files_pair_renames(&l, &err), &err);
	CHECK_EQ(l.nmodels, 1);
	CHECK_STR(l.models[0].old_path, "/a.onnx");
	CHECK_STR(l.models[0].path, "/b.onnx");
	CHECK_STR(l.models[0].old_digest, "x");
	vn_files_release(&l);
}

/* ---- bytecode */
static const char *source(const char *path)
{
	static char out[64];
	return vn_bytecode_source(path, out, sizeof(out)) ? out : NULL;
}

static void test_source_of_bytecode(void)
{
	CHECK_STR(source("usr/lib/__pycache__/x.cpython-39.pyc"), "usr/lib/x.py");
	CHECK_STR(source("usr/lib/__pycache__/x.cpython-39.opt-1.pyc"), "usr/lib/x.py");
	CHECK_STR(source("__pycache__/x.cpython-39.pyc"), "x.py");
	CHECK_STR(source("usr/lib/x.pyc"), "usr/lib/x.py");
	CHECK_STR(source("x.pyo"), "x.py");
	CHECK_STR(source("usr/no__pycache__/x.pyc"), "usr/no__pycache__/x.py");
	CHECK_STR(source("x.py"), NULL);
	CHECK_STR(source(".pyc"), NULL);
	CHECK_STR(source("a/.pyc"), "a/.py");
	CHECK_STR(source("0123456789012345678901234567890123456789012345678901234567890123456789.pyc"), NULL);
}

static void test_bytecode_goes_with_its_source(void)
{
	struct vn_err err = { 0 };
	struct vn_file_list l = { .n = 0 };
	add(&l, VN_CHANGED, "/a/__pycache__/x.cpython-39.pyc", 1, VN_CLASS_NOISE, "python-bytecode");
	add(&l, VN_CHANGED, "/a/__pycache__/y.cpython-39.pyc", 1, VN_CLASS_NOISE, "python-bytecode");
	add(&l, VN_CHANGED, "/a/x.py", 1, VN_CLASS_OTHER, "other");
	CHECK_OK(vn_grow(&l.uses, &l.uses_cap, 2, sizeof(*l.uses), &err), &err);
	l.uses[0] = (struct vn_rule_use){ &vn_rule_bytecode, 0, 2, 20 };
	l.nuses = 1;
	l.class_bytes[VN_CLASS_NOISE] = 20;
	CHECK_OK(vn_files_pair_bytecode(&l, &err), &err);
	CHECK_STR(l.list[0].rule, "python-bytecode-pair");
	CHECK_EQ(l.list[0].class_, VN_CLASS_DEPENDENCY);
	CHECK_STR(l.list[1].rule, "python-bytecode");
	CHECK_EQ(l.class_files[VN_CLASS_NOISE], 1);
	CHECK_EQ(l.class_files[VN_CLASS_DEPENDENCY], 1);
	CHECK_EQ(l.class_bytes[VN_CLASS_DEPENDENCY], 10);
	/* and the layer says so */
	CHECK_EQ(l.uses[0].files, 1);
	CHECK_EQ(l.nuses, 2);
	CHECK(l.nuses == 2 && l.uses[1].rule == &vn_rule_bytecode_pair && l.uses[1].layer == 0 && l.uses[1].bytes == 10);
	vn_files_release(&l);
}

/* ---- packages */
static const char *packages(struct vn_found_package *a, size_t na, struct vn_found_package *b, size_t nb)
{
	static char out[1024];
	struct vn_package_list x = { a, na, na }, y = { b, nb, nb };
	struct vn_package_change *list = NULL;
	struct vn_err err = { 0 };
	size_t n = 0, at = 0;
	CHECK_OK(vn_packages_compare(&x, &y, &list, &n, &err), &err);
	out[0] = 0;
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s:%s %s>%s", i ? ", " : "", list[i].manager, list[i].name,
				       list[i].old_version ? list[i].old_version : "", list[i].new_version ? list[i].new_version : "");
	free(list);
	return out;
}

static void test_packages(void)
{
	struct vn_found_package a[] = { { "dpkg", "zlib", "1", "amd64" }, { "dpkg", "curl", "7", "amd64" }, { "python", "yaml", "6", "" } };
	struct vn_found_package b[] = { { "python", "yaml", "6", "" }, { "dpkg", "zlib", "2", "amd64" }, { "apk", "curl", "7", "x" } };
	struct vn_found_package twice[] = { { "dpkg", "kernel", "1", "a" }, { "dpkg", "kernel", "2", "a" } };
	struct vn_found_package again[] = { { "dpkg", "kernel", "1", "a" }, { "dpkg", "kernel", "2", "a" } };
	struct vn_found_package one[] = { { "dpkg", "kernel", "2", "a" } };
	struct vn_found_package once[] = { { "dpkg", "kernel", "2", "a" }, { "dpkg", "kernel", "3", "a" } };
	struct vn_found_package amd64[] = { { "dpkg", "libc", "1", "amd64" } };
	struct vn_found_package archs[] = { { "dpkg", "libc", "1", "amd64" }, { "dpkg", "libc", "1", "i386" } };
	CHECK_STR(packages(NULL, 0, NULL, 0), "");
	CHECK_STR(packages(a, 3, b, 3), "apk:curl >7, dpkg:curl 7>, dpkg:zlib 1>2");
	CHECK_STR(packages(archs, 2, amd64, 1), "dpkg:libc 1>");
	/* several versions side by side: those that both have are no change */
	CHECK_STR(packages(twice, 2, once, 2), "dpkg:kernel 1>3");
	CHECK_STR(packages(again, 2, one, 1), "dpkg:kernel 1>");
}

int main(void)
{
	RUN(test_renames);
	RUN(test_azureml_version);
	RUN(test_counts);
	RUN(test_models_join);
	RUN(test_source_of_bytecode);
	RUN(test_bytecode_goes_with_its_source);
	RUN(test_packages);
	return vn_test_end();
}
