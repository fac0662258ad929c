#include "oci/platform.h"
#include "util/test.h"

static void test_parse(void)
{
	static const struct {
		const char *text, *normal;
	} cases[] = {
		{ "linux/amd64", "linux/amd64" },
		{ "amd64", "linux/amd64" },
		{ "x86_64", "linux/amd64" },
		{ "linux/x86-64", "linux/amd64" },
		{ "linux/amd64/v1", "linux/amd64" },
		{ "linux/amd64/v3", "linux/amd64/v3" },
		{ "linux/arm64", "linux/arm64" },
		{ "linux/arm64/v8", "linux/arm64" },
		{ "arm64/v8", "linux/arm64" },
		{ "AARCH64", "linux/arm64" },
		{ "linux/arm64/v8.5", "linux/arm64/v8.5" },
		{ "arm", "linux/arm/v7" },
		{ "arm/v6", "linux/arm/v6" },
		{ "linux/arm/6", "linux/arm/v6" },
		{ "armhf", "linux/arm/v7" },
		{ "linux/armel", "linux/arm/v6" },
		{ "i386", "linux/386" },
		{ "macos/arm64", "darwin/arm64" },
		{ "windows/amd64", "windows/amd64" },
		{ "riscv64", "linux/riscv64" },
		{ "linux/s390x", "linux/s390x" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		struct vn_platform p = { 0 };
		char text[VN_PLATFORM_TEXT];
		CHECK_OK(vn_platform_parse(cases[i].text, &p, &err), &err);
		CHECK_STR(vn_platform_text(&p, text), cases[i].normal);
	}
	static const char *const bad[] = { "",
					   "/",
					   "linux/",
					   "/arm64",
					   "linux/arm64/v8/x",
					   "linux/arm 64",
					   "linux",
					   "windows",
					   "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
					   "linux/arm64\n" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct vn_err err = { 0 };
		struct vn_platform p;
		CHECK_EQ(vn_platform_parse(bad[i], &p, &err), -VN_EUSAGE);
		CHECK_HAS(err.hint, "linux/arm64");
	}
}

static void test_local(void)
{
	struct vn_platform p = { 0 }, q = { 0 };
	struct vn_err err = { 0 };
	vn_platform_local(&p);
	CHECK(p.os[0] && p.architecture[0]);
	CHECK_OK(vn_platform_parse("local", &q, &err), &err);
	CHECK(vn_platform_same(&p, &q));
	CHECK_EQ(vn_platform_score(&p, &q), 300000);
}

/* Each row: what a device runs, best first; then what it does not run. */
static void test_score(void)
{
	static const struct {
		const char *want;
		const char *runs[8];
		const char * not [4];
	} cases[] = {
		{ "arm64/v8", { "arm64", "arm/v8", "arm/v7", "arm/v6", "arm/v5" }, { "amd64", "arm64/v9", "windows/arm64" } },
		{ "arm64/v8.5", { "arm64/v8.5", "arm64/v8.2", "arm64", "arm/v7" }, { "arm64/v8.6", "386" } },
		{ "arm64/v9", { "arm64/v9", "arm64/v8.4", "arm64" }, { "amd64" } },
		{ "arm/v7", { "arm/v7", "arm/v6", "arm/v5" }, { "arm/v8", "arm64" } },
		{ "arm/v6", { "arm/v6", "arm/v5" }, { "arm/v7" } },
		{ "amd64/v3", { "amd64/v3", "amd64/v2", "amd64", "386" }, { "amd64/v4" } },
		{ "amd64", { "amd64", "386" }, { "amd64/v2", "arm64" } },
		{ "386", { "386" }, { "amd64" } },
		{ "riscv64", { "riscv64" }, { "amd64" } },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		struct vn_platform want, have;
		CHECK_OK(vn_platform_parse(cases[i].want, &want, &err), &err);
		int last = 1 << 30;
		for (size_t j = 0; j < 8 && cases[i].runs[j]; j++) {
			CHECK_OK(vn_platform_parse(cases[i].runs[j], &have, &err), &err);
			int score = vn_platform_score(&want, &have);
			CHECK(score > 1 && score < last);
			last = score;
		}
		for (size_t j = 0; j < 4 && cases[i].not [j]; j++) {
			CHECK_OK(vn_platform_parse(cases[i].not [j], &have, &err), &err);
			CHECK_EQ(vn_platform_score(&want, &have), 0);
		}
		have = (struct vn_platform){ 0 };
		CHECK_EQ(vn_platform_score(&want, &have), 1);
	}
}

static void test_json(void)
{
	static const char text[] = "{\"architecture\":\"aarch64\",\"os\":\"Linux\",\"variant\":\"v8\",\"os.version\":\"10.0\"}";
	struct vn_err err = { 0 };
	vn_json *v = NULL;
	struct vn_platform p = { 0 }, q = { 0 };
	CHECK_OK(vn_json_parse(text, sizeof(text) - 1, "doc", &v, &err), &err);
	struct vn_jv root = vn_jv_root(v, "doc");
	CHECK_OK(vn_platform_of_json(&root, &p, &err), &err);
	CHECK_STR(p.architecture, "arm64");
	CHECK_STR(p.os, "linux");
	CHECK_STR(p.os_version, "10.0");
	vn_json *back = vn_platform_to_json(&p);
	struct vn_jv again = vn_jv_root(back, "again");
	CHECK_OK(vn_platform_of_json(&again, &q, &err), &err);
	CHECK(vn_platform_same(&p, &q));
	vn_json_drop(v);
	vn_json_drop(back);
	static const char *const bad[] = { "{\"os\":1}", "{\"os\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
					   "{\"os\":\"a\\u001b\"}" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		v = NULL;
		CHECK_OK(vn_json_parse(bad[i], strlen(bad[i]), "doc", &v, &err), &err);
		root = vn_jv_root(v, "doc");
		CHECK_EQ(vn_platform_of_json(&root, &p, &err), -VN_EFORMAT);
		CHECK_HAS(err.text, "doc: /os");
		vn_json_drop(v);
	}
}

int main(void)
{
	RUN(test_parse);
	RUN(test_local);
	RUN(test_score);
	RUN(test_json);
	return vn_test_end();
}
