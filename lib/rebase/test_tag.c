#include "rebase/tag.h"
#include "util/cleanup.h"
#include "util/test.h"

static const struct vn_stamp stamp = { "1f2e3d4c5b6a", "v2.1-3-g1f2e3d4", "https://example.com/m.git", false };
static const struct vn_model_info models[] = {
	{ .path = "/m/first.onnx", .format = "onnx", .element = "f32", .quantisation = "", .new_digest =
	  "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" },
	{ .old_path = "/m/gone.onnx", .format = "gone", .changed = true },
	{ .path = "/m/second.gguf", .format = "gguf", .element = "f16", .quantisation = "Q4 K/M", .changed = true },
};

static const struct {
	const char *template, *tag;  /* NULL: refused */
} tags[] = {
	{ "plain", "plain" },
	{ "{git.describe}", "v2.1-3-g1f2e3d4" },
	{ "{git.revision}", "1f2e3d4c5b6a" },
	{ "on-{git.branch}", "on-feature-x-" },
	{ "{model.format}_{model.element}", "gguf_f16" },
	{ "model-{model.quantisation}", "model-Q4-K-M" },
	{ "b{build}.{new.tag}.{old.tag}", "b17.1.2-dirty.stable" },
	{ "{build}{build}", "1717" },
	{ "{model.digest}", NULL },
	{ "", NULL },
	{ "{", NULL },
	{ "a{build", NULL },
	{ "{}", NULL },
	{ "{ build}", NULL },
	{ "{model.size}", NULL },
	{ "{buildx}", NULL },
	{ "{buil}", NULL },
	{ "a b", NULL },
	{ "-{build}", NULL },
	{ ".{build}", NULL },
	{ "}{build}", NULL },
};

static void test_expand(void)
{
	struct vn_tag_input in = { &stamp, "feature/x\xc3", models, 3, "1.2+dirty", "stable", "17" };
	/* one '-' for each byte that a tag cannot hold */
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		struct vn_err err = { 0 };
		VN_AUTO_FREE char *tag = NULL;
		int r = vn_tag_expand(tags[i].template, &in, &tag, &err);
		if (tags[i].tag)
			CHECK_STR(tag, tags[i].tag);
		else
			CHECK_EQ(r, -VN_EUSAGE);
	}
}

static void test_choice_of_model(void)
{
	struct vn_err err = { 0 };
	struct vn_tag_input in = { .models = models, .nmodels = 2 };
	VN_AUTO_FREE char *tag = NULL, *digest = NULL;
	/* none that is there changed: the first */
	CHECK_OK(vn_tag_expand("{model.format}", &in, &tag, &err), &err);
	CHECK_STR(tag, "onnx");
	CHECK_OK(vn_tag_expand("{model.digest}", &in, &digest, &err), &err);
	CHECK_STR(digest, "0123456789ab");
}

static void test_without_values(void)
{
	static const char *const names[] = { "{git.describe}", "{git.revision}", "{git.branch}", "{model.format}", "{model.element}",
					     "{model.quantisation}", "{model.digest}", "{build}", "{new.tag}", "{old.tag}" };
	struct vn_tag_input in = { .models = NULL };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct vn_err err = { 0 };
		char *tag = NULL;
		CHECK_EQ(vn_tag_expand(names[i], &in, &tag, &err), -VN_EUSAGE);
		CHECK_HAS(err.text, "no value here");
		CHECK(err.hint[0] != 0);
		CHECK(tag == NULL);
	}
}

static void test_length(void)
{
	struct vn_err err = { 0 };
	char build[300];
	VN_AUTO_FREE char *tag = NULL;
	memset(build, 'b', sizeof(build));
	build[128] = 0;
	struct vn_tag_input in = { .build = build };
	CHECK_OK(vn_tag_expand("{build}", &in, &tag, &err), &err);
	CHECK_STR(tag, build);
	char *longer = NULL;
	CHECK_EQ(vn_tag_expand("{build}x", &in, &longer, &err), -VN_EUSAGE);
	CHECK(longer == NULL);
}

int main(void)
{
	RUN(test_expand);
	RUN(test_choice_of_model);
	RUN(test_without_values);
	RUN(test_length);
	return vn_test_end();
}
