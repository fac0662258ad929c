#include "oci/config.h"
#include "util/cleanup.h"
#include "util/test.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" A "\",\"" B "\"]}"

static void test_history(void)
{
	static const struct {
		const char *text;
		bool fits;
		const char *step0, *step1;
	} cases[] = {
		{ "{\"os\":\"linux\"," ROOTFS
		  ",\"history\":[{\"created_by\":\"a\"},{\"created_by\":\"e\",\"empty_layer\":true},{\"created_by\":\"b\"}]}",
		  true, "a", "b" },
		{ "{" ROOTFS "}", false, "", "" },
		{ "{" ROOTFS ",\"history\":null}", false, "", "" },
		{ "{" ROOTFS ",\"history\":[{\"created_by\":\"a\"}]}", false, "", "" },
		{ "{" ROOTFS ",\"history\":[{},{},{}]}", false, "", "" },
		{ "{" ROOTFS ",\"history\":[{},{\"comment\":\"c\"}]}", true, "", "c" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_config) c = { 0 };
		CHECK_OK(vn_config_parse(cases[i].text, strlen(cases[i].text), &c, &err), &err);
		CHECK_EQ(c.ndiff_ids, 2);
		CHECK_EQ(vn_config_history_fits(&c), cases[i].fits);
		CHECK_STR(vn_config_step(&c, 0), cases[i].step0);
		CHECK_STR(vn_config_step(&c, 1), cases[i].step1);
		CHECK_STR(vn_config_step(&c, 2), "");
	}
}

static void test_empty(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_config) c = { 0 };
	CHECK_OK(vn_config_parse("{}", 2, &c, &err), &err);
	CHECK_EQ(c.ndiff_ids, 0);
	CHECK(vn_config_history_fits(&c));
	CHECK_STR(c.platform.os, "");
}

static void test_refused(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "[]", "image configuration is an array" },
		{ "{\"rootfs\":[]}", "/rootfs is an array" },
		{ "{\"rootfs\":{\"type\":\"layers+base\"}}", "/rootfs/type is \"layers+base\"" },
		{ "{\"rootfs\":{\"diff_ids\":{}}}", "/rootfs/diff_ids is an object" },
		{ "{\"rootfs\":{\"diff_ids\":[\"" A "\",\"x\"]}}", "/rootfs/diff_ids/1: \"x\" is not a digest" },
		{ "{\"rootfs\":{\"diff_ids\":[1]}}", "/rootfs/diff_ids/0 is 1" },
		{ "{\"history\":{}}", "/history is an object" },
		{ "{\"history\":[null]}", "/history/0 is null, expected an object" },
		{ "{\"history\":[1]}", "/history/0 is 1" },
		{ "{\"history\":[{\"empty_layer\":\"true\"}]}", "/history/0/empty_layer is \"true\", expected true or false" },
		{ "{\"architecture\":[]}", "/architecture is an array" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_config) c = { 0 };
		CHECK_EQ(vn_config_parse(cases[i].text, strlen(cases[i].text), &c, &err), -VN_EFORMAT);
		CHECK_HAS(err.text, cases[i].says);
	}
}

static void test_chain(void)
{
	/* printf 'sha256:aa… sha256:bb…' | sha256sum */
	struct vn_err err = { 0 };
	struct vn_digest ids[] = { { A }, { B } }, chain[2] = { { "" } };
	CHECK_OK(vn_chain_ids(ids, 2, chain, &err), &err);
	CHECK_STR(chain[0].text, A);
	CHECK_STR(chain[1].text, "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c");
}

int main(void)
{
	RUN(test_history);
	RUN(test_empty);
	RUN(test_refused);
	RUN(test_chain);
	return vn_test_end();
}
