/* Differences as the public interface shows them, from images on disk. */
#include "api/fixture.h"

static struct vn_diff *run(const char *old_text, const char *new_text, const struct vn_diff_options *options)
{
	struct vn *vn = handle("cache");
	struct vn_err err = { 0 };
	struct vn_diff *d = NULL;
	put_stack("old", old_text);
	put_stack("new", new_text);
	CHECK_OK(vn_diff_run(vn, oci("old"), oci("new"), options, &d, &err), &err);
	vn_close(vn);
	return d;
}

/* "path class rule" of every difference. */
static const char *files(const char *old_text, const char *new_text)
{
	static char out[4096];
	const struct vn_file_change *list;
	struct vn_diff *d = run(old_text, new_text, NULL);
	size_t at = 0;
	out[0] = 0;
	for (size_t i = 0, n = d ? vn_diff_get_files(d, &list) : 0; i < n; i++)
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s%s%s %s", i ? ", " : "", list[i].from ? list[i].from : "",
				       list[i].from ? "=>" : "", list[i].path, list[i].rule);
	vn_diff_free(d);
	return out;
}

static void test_files(void)
{
	CHECK_STR(files("f a 1", "f a 1"), "");
	CHECK_STR(files("m a 1", "m a 2"), "");
	CHECK_STR(files("f a 1|f b 1", "f a 1|f b 2"), "/b other");
	CHECK_STR(files("f a 1", "f var/log/x 1; f model.onnx 2"), "/a other, /model.onnx model-format, /var/log/x logs");
	CHECK_STR(files("f v/azureml-models/m/7/f.pkl 1", "f v/azureml-models/m/8/f.pkl 2"),
		  "/v/azureml-models/m/7 azureml-model, /v/azureml-models/m/7/f.pkl=>/v/azureml-models/m/8/f.pkl azureml-model");
	/* the shared layer decides: only it has what the second hides */
	CHECK_STR(files("d a; f a/x 1|f b 1", "d a; f a/x 1|d a; o a; f b 1"), "/a/x other");
	CHECK_STR(files("d a; f a/x 1|d a; o a|d a 0755", "d a; f a/x 1|d a"), "/a/x other");
	CHECK_STR(files("d a; f a/x 1|w a|d a", "d a; f a/x 1|d a"), "/a/x other");
	CHECK_STR(files("d a 0700; f a/x 1|w a|f a/y 1", "d a 0700; f a/x 1|o a; f a/y 1"), "/a other");
}

/* What is counted agrees with what is listed. */
static void test_counts(void)
{
	struct vn_diff *d = run("f a 1; f b 1; f m.onnx 1|f x 1", "f a 1; f c 1; f m.onnx 2|f x 1", NULL);
	const struct vn_diff_summary *s = vn_diff_get_summary(d);
	const struct vn_file_change *list;
	const struct vn_rule_count *rules;
	size_t n = vn_diff_get_files(d, &list), listed[VN_CLASSES] = { 0 };
	uint64_t by_rule[VN_CLASSES] = { 0 };
	for (size_t i = 0; i < n; i++)
		listed[list[i].class_]++;
	for (size_t i = 0, k = vn_diff_get_rules(d, &rules); i < k; i++) {
		enum vn_class c;
		CHECK(vn_class_parse(rules[i].class_name, &c));
		by_rule[c] += rules[i].files;
	}
	for (int c = VN_CLASS_NOISE; c < VN_CLASSES; c++) {
		CHECK_EQ(s->class_files[c], listed[c]);
		CHECK_EQ(by_rule[c], listed[c]);
	}
	CHECK_EQ(listed[VN_CLASS_OTHER], 1);
	CHECK_EQ(s->pull_layers, 2);
	CHECK(!s->same && !s->identical);
	vn_diff_free(d);
}

static void test_packages(void)
{
	struct vn_diff *d;
	const struct vn_package_change *list;
	struct vn *vn = handle("cache");
	struct vn_err err = { 0 };
	for (int i = 0; i < 2; i++) {
		struct spec s = { .n = 0 };
		struct pen p;
		char status[256];
		snprintf(status, sizeof(status), "Package: zlib\nStatus: install ok installed\nVersion: %d\nArchitecture: all\n\n"
			 "Package: same\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n", i + 1);
		pen_open(&p);
		pen_file(&p, "var/lib/dpkg/status", status, strlen(status));
		pen_close(&p);
		s.tars[s.n++] = p.bytes;
		put_layout(i ? "pnew" : "pold", &s);
	}
	CHECK_OK(vn_diff_run(vn, oci("pold"), oci("pnew"), NULL, &d, &err), &err);
	CHECK_EQ(vn_diff_get_packages(d, &list), 1);
	CHECK_STR(list[0].name, "zlib");
	CHECK_STR(list[0].old_version, "1");
	CHECK_STR(list[0].new_version, "2");
	CHECK_HAS(vn_diff_get_summary(d)->sentence, "zlib 1");
	vn_diff_free(d);
	vn_close(vn);
}

static void test_refused(void)
{
	struct vn *vn = handle("cache");
	struct vn_err err = { 0 };
	struct vn_diff *d = NULL;
	struct vn_diff_options o = { .size = 0 };
	struct spec arm = { .arch = "arm64" };
	put_stack("old", "f a 1");
	spec_text(&arm, "f a 1");
	put_layout("arm", &arm);
	CHECK_EQ(vn_diff_run(vn, oci("old"), oci("arm"), NULL, &d, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "arm64");
	memset(&err, 0, sizeof(err));
	CHECK_EQ(vn_diff_run(vn, oci("old"), oci("old"), &o, &d, &err), -VN_EUSAGE);
	memset(&err, 0, sizeof(err));
	CHECK_EQ(vn_diff_run(vn, oci("old"), oci("nowhere"), NULL, &d, &err), -VN_ENOTFOUND);
	memset(&err, 0, sizeof(err));
	/* a tar that would harm */
	put_stack("bad", "l a b; f a/x 1");
	CHECK_EQ(vn_diff_run(vn, oci("old"), oci("bad"), NULL, &d, &err), -VN_EUNSAFE);
	CHECK(d == NULL);
	vn_close(vn);
}

static void test_json(void)
{
	struct vn_diff *d = run("f a 1; f m.onnx 1", "f b 2; f m.onnx 2", NULL);
	struct vn_err err = { 0 };
	char *text = NULL;
	vn_json *json = NULL;
	CHECK_OK(vn_diff_json(d, &text, &err), &err);
	CHECK_HAS(text, "veneer.diff/1");
	CHECK_OK(vn_json_parse(text, strlen(text), "diff", &json, &err), &err);
	vn_json_drop(json);
	free(text);
	vn_diff_free(d);
}

int main(void)
{
	fixture_begin();
	RUN(test_files);
	RUN(test_counts);
	RUN(test_packages);
	RUN(test_refused);
	RUN(test_json);
	fixture_end();
	return vn_test_end();
}
