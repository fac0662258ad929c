#include "oci/manifest.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/test.h"

#define D "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DESC(type, rest) "{\"mediaType\":\"" type "\",\"digest\":\"" D "\",\"size\":7" rest "}"
#define CONFIG "\"config\":" DESC(VN_MT_OCI_CONFIG, "")
#define LAYERS "\"layers\":[" DESC(VN_MT_OCI_LAYER "+gzip", ",\"annotations\":{\"a\":\"b\"},\"urls\":[\"u\"]") "]"
#define MANIFESTS "\"manifests\":[" DESC(VN_MT_OCI_MANIFEST, ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}") "]"
#define V2 "\"schemaVersion\":2"
#define TYPE(t) "\"mediaType\":\"" t "\""

static void test_kind(void)
{
	static const struct {
		const char *text, *told;
		enum vn_kind kind;
		const char *type;
	} cases[] = {
		{ "{" V2 "," CONFIG "," LAYERS "}", NULL, VN_KIND_MANIFEST, VN_MT_OCI_MANIFEST },
		{ "{" V2 "," MANIFESTS "}", NULL, VN_KIND_INDEX, VN_MT_OCI_INDEX },
		{ "{" V2 "," MANIFESTS "}", "application/json", VN_KIND_INDEX, VN_MT_OCI_INDEX },
		{ "{" V2 "," MANIFESTS "}", VN_MT_DOCKER_LIST "; charset=utf-8", VN_KIND_INDEX, VN_MT_DOCKER_LIST },
		{ "{" V2 "," TYPE(VN_MT_DOCKER_MANIFEST) "," CONFIG "," LAYERS "}", NULL, VN_KIND_MANIFEST,
		  VN_MT_DOCKER_MANIFEST },
		{ "{" V2 ",\"config\":" DESC(VN_MT_DOCKER_CONFIG, "") ",\"layers\":[]}", NULL, VN_KIND_MANIFEST,
		  VN_MT_DOCKER_MANIFEST },
		{ "{" V2 ",\"manifests\":[" DESC(VN_MT_DOCKER_MANIFEST, "") "]}", NULL, VN_KIND_INDEX, VN_MT_DOCKER_LIST },
		{ "{" V2 ",\"manifests\":[]}", NULL, VN_KIND_INDEX, VN_MT_OCI_INDEX },
		{ "{" TYPE(VN_MT_OCI_INDEX) "}", NULL, VN_KIND_INDEX, VN_MT_OCI_INDEX },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		enum vn_kind kind = VN_KIND_UNKNOWN;
		const char *type = NULL;
		CHECK_OK(vn_manifest_kind(cases[i].text, strlen(cases[i].text), cases[i].told, &kind, &type, &err), &err);
		CHECK_EQ(kind, cases[i].kind);
		CHECK_STR(type, cases[i].type);
	}
}

static void test_kind_refused(void)
{
	static const struct {
		const char *text, *told, *says;
	} cases[] = {
		{ "", NULL, "manifest is empty" },
		{ "[]", NULL, "manifest is an array, expected an object" },
		{ "{}", NULL, "neither \"manifests\" nor \"layers\"" },
		{ "{" V2 "," MANIFESTS "," LAYERS "}", NULL, "CVE-2021-41190" },
		{ "{" V2 "," MANIFESTS "," CONFIG "}", VN_MT_OCI_INDEX, "CVE-2021-41190" },
		{ "{" V2 "," TYPE(VN_MT_OCI_INDEX) "," CONFIG "," LAYERS "}", NULL, "has the members of a manifest" },
		{ "{" V2 "," TYPE(VN_MT_OCI_MANIFEST) "," MANIFESTS "}", NULL, "has the members of an index" },
		{ "{" V2 "," MANIFESTS "}", VN_MT_OCI_MANIFEST, "has the members of an index" },
		{ "{" V2 "," TYPE(VN_MT_OCI_MANIFEST) "," CONFIG "," LAYERS "}", VN_MT_DOCKER_MANIFEST, "was announced as" },
		{ "{" V2 "," TYPE("text/html") "," CONFIG "}", NULL, "/mediaType is \"text/html\"" },
		{ "{" V2 "," TYPE(VN_MT_OCI_LAYER) "," CONFIG "}", NULL, "expected an image manifest or an index" },
		{ "{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, "Docker schema 1" },
		{ "{\"fsLayers\":[]}", NULL, "Docker schema 1" },
		{ "{\"schemaVersion\":1,\"fsLayers\":[]," LAYERS "}", NULL, "CVE-2021-41190" },
		{ "{" V2 "," LAYERS "}", "application/vnd.docker.distribution.manifest.v1+prettyjws", "Docker schema 1" },
		{ "{\"schemaVersion\":3," MANIFESTS "}", NULL, "/schemaVersion is 3, expected 2" },
		{ "{\"schemaVersion\":\"2\"," MANIFESTS "}", NULL, "/schemaVersion is \"2\"" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		enum vn_kind kind = VN_KIND_EMPTY;
		const char *type = "untouched";
		CHECK_EQ(vn_manifest_kind(cases[i].text, strlen(cases[i].text), cases[i].told, &kind, &type, &err),
			 -VN_EFORMAT);
		CHECK_HAS(err.text, cases[i].says);
		if (strstr(err.text, "schema 1,"))
			CHECK_HAS(err.hint, "push the image again");
		CHECK_EQ(kind, VN_KIND_EMPTY);
		CHECK_STR(type, "untouched");
	}
}

static void test_manifest(void)
{
	static const char text[] = "{" V2 "," TYPE(VN_MT_OCI_MANIFEST) "," CONFIG "," LAYERS ",\"annotations\":{\"k\":\"v\"}}";
	struct vn_err err = { 0 };
	VN_AUTO(vn_manifest) m = { 0 };
	CHECK_OK(vn_manifest_parse(text, sizeof(text) - 1, &m, &err), &err);
	CHECK_EQ(m.family, VN_FAMILY_OCI);
	CHECK_EQ(m.nlayers, 1);
	if (m.nlayers != 1)
		return;
	CHECK_EQ(m.layers[0].size, 7);
	CHECK_STR(m.layers[0].digest.text, D);
	CHECK_STR(m.config.media_type, VN_MT_OCI_CONFIG);
	CHECK_STR(vn_desc_annotation(&m.layers[0], "a"), "b");
	CHECK_STR(vn_desc_annotation(&m.layers[0], "z"), NULL);
	CHECK_STR(vn_manifest_annotation(&m, "k"), "v");
	VN_AUTO(vn_desc) copy = { 0 };
	CHECK_OK(vn_desc_copy(&m.layers[0], &copy, &err), &err);
	copy.size = 8;
	VN_AUTO_JSON *json = vn_desc_to_json(&copy);
	struct vn_buf out = VN_BUF(4096);
	CHECK_OK(vn_json_text(json, false, &out, &err), &err);
	CHECK_STR(vn_buf_text(&out), "{\"mediaType\":\"" VN_MT_OCI_LAYER "+gzip\",\"digest\":\"" D
				     "\",\"size\":8,\"annotations\":{\"a\":\"b\"},\"urls\":[\"u\"]}");
	vn_buf_release(&out);
}

static void test_desc(void)
{
	struct vn_err err = { 0 };
	struct vn_digest digest = { D };
	VN_AUTO(vn_desc) d = { 0 }, back = { 0 };
	CHECK_OK(vn_desc_init(&d, VN_MT_OCI_MANIFEST, &digest, 12, &err), &err);
	CHECK_OK(vn_platform_parse("linux/arm/v7", &d.platform, &err), &err);
	VN_AUTO_JSON *json = vn_desc_to_json(&d);
	struct vn_jv root = vn_jv_root(json, "doc");
	CHECK_OK(vn_desc_of_json(&root, &back, &err), &err);
	CHECK(vn_platform_same(&d.platform, &back.platform));
	CHECK_EQ(back.size, 12);
}

static void test_manifest_refused(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "{" V2 "," LAYERS "}", "manifest: /config is missing" },
		{ "{" V2 "," CONFIG ",\"layers\":{}}", "/layers is an object, expected an array" },
		{ "{" V2 "," CONFIG ",\"layers\":[null]}", "/layers/0 is missing" },
		{ "{" V2 "," CONFIG ",\"layers\":[7]}", "/layers/0 is 7, expected an object" },
		{ "{" V2 "," CONFIG ",\"layers\":[{\"mediaType\":\"x/y\",\"digest\":\"sha256:XYZ\",\"size\":1}]}",
		  "/layers/0/digest" },
		{ "{" V2 "," CONFIG ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" D "\",\"size\":1}]}",
		  "expected type/subtype" },
		{ "{" V2 "," CONFIG ",\"layers\":[{\"mediaType\":\"x/y\",\"digest\":\"" D "\",\"size\":-1}]}",
		  "/layers/0/size is -1" },
		{ "{" V2 "," CONFIG ",\"layers\":[{\"mediaType\":\"x/y\",\"digest\":\"" D "\"}]}",
		  "/layers/0/size is missing" },
		{ "{" V2 "," CONFIG ",\"annotations\":[]}", "/annotations is an array" },
		{ "{" V2 "," MANIFESTS "}", "expected an image manifest" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_manifest) m = { 0 };
		CHECK_EQ(vn_manifest_parse(cases[i].text, strlen(cases[i].text), &m, &err), -VN_EFORMAT);
		CHECK_HAS(err.text, cases[i].says);
	}
}

static void test_caps(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_manifest) m = { 0 };
	struct vn_buf text = VN_BUF(8u << 20);
	CHECK_OK(vn_buf_adds(&text, "{" V2 "," CONFIG ",\"layers\":[", &err), &err);
	for (int i = 0; i <= VN_MAX_LAYERS; i++)
		CHECK_OK(vn_buf_addf(&text, &err, "%s" DESC("x/y", ""), i ? "," : ""), &err);
	CHECK_OK(vn_buf_adds(&text, "]}", &err), &err);
	CHECK_EQ(vn_manifest_parse(text.data, text.len, &m, &err), -VN_ELIMIT);
	CHECK_HAS(err.text, "/layers has 1025 entries");
	CHECK_EQ(vn_manifest_parse(text.data, VN_MAX_MANIFEST + 1, &m, &err), -VN_ELIMIT);
	vn_buf_release(&text);
}

#define ENTRY(type, os, arch, variant, rest)                                                                                   \
	DESC(type, ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\",\"variant\":\"" variant "\"}" rest)
#define LINUX(arch, variant, rest) ENTRY(VN_MT_OCI_MANIFEST, "linux", arch, variant, rest)
#define NOTE(key, value) ",\"annotations\":{\"" key "\":\"" value "\"}"
#define ATTESTATION ENTRY(VN_MT_OCI_MANIFEST, "unknown", "unknown", "", NOTE("vnd.docker.reference.type", "attestation-manifest"))
#define OTHER ENTRY("application/x-other", "linux", "arm64", "", "")
#define ARM_V6 LINUX("arm", "v6", "")
#define ARM_V7 LINUX("arm", "v7", NOTE("n", "first"))
#define ARM_V7_AGAIN LINUX("arm", "v7", NOTE("n", "second"))
#define S390X LINUX("s390x", "", "")
/* clang-format off */
static const char mixed[] = "{" V2 ",\"manifests\":["
	ATTESTATION "," OTHER "," ARM_V6 "," ARM_V7 "," ARM_V7_AGAIN "," S390X "]}";
/* clang-format on */

static void test_select(void)
{
	static const struct {
		const char *want, *entry;
	} cases[] = { { "linux/arm/v7", "linux/arm/v7" },
		      { "arm64", "linux/arm/v7" },
		      { "arm/v6", "linux/arm/v6" },
		      { "s390x", "linux/s390x" } };
	struct vn_err err = { 0 };
	VN_AUTO(vn_index) x = { 0 };
	const struct vn_desc *entry = NULL;
	struct vn_platform want;
	char text[VN_PLATFORM_TEXT];
	CHECK_OK(vn_index_parse(mixed, sizeof(mixed) - 1, &x, &err), &err);
	CHECK_EQ(x.nmanifests, 6);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK_OK(vn_platform_parse(cases[i].want, &want, &err), &err);
		CHECK_OK(vn_index_select(&x, &want, &entry, &err), &err);
		CHECK_STR(entry ? vn_platform_text(&entry->platform, text) : "", cases[i].entry);
	}
	CHECK_OK(vn_platform_parse("arm/v7", &want, &err), &err);
	CHECK_OK(vn_index_select(&x, &want, &entry, &err), &err);
	CHECK_STR(vn_desc_annotation(entry, "n"), "first");
	CHECK_OK(vn_platform_parse("riscv64", &want, &err), &err);
	CHECK_EQ(vn_index_select(&x, &want, &entry, &err), -VN_ENOTFOUND);
	CHECK_STR(err.text,
		  "the index has no image for linux/riscv64; it has linux/arm/v6, linux/arm/v7, linux/arm/v7, linux/s390x");
	CHECK_HAS(err.hint, "--platform");
}

static void test_select_only(void)
{
	static const char one[] = "{" V2 ",\"manifests\":[" ENTRY(VN_MT_OCI_MANIFEST, "plan9", "mips", "", "") "]}";
	static const char none[] = "{" V2 ",\"manifests\":[]}";
	static const char bare[] = "{" V2 ",\"manifests\":[" DESC(VN_MT_OCI_MANIFEST, "") "]}";
	struct vn_err err = { 0 };
	const struct vn_desc *entry = NULL;
	struct vn_platform want;
	CHECK_OK(vn_platform_parse("amd64", &want, &err), &err);
	{
		VN_AUTO(vn_index) x = { 0 };
		CHECK_OK(vn_index_parse(one, sizeof(one) - 1, &x, &err), &err);
		CHECK_OK(vn_index_select(&x, NULL, &entry, &err), &err);
		CHECK_EQ(vn_index_select(&x, &want, &entry, &err), -VN_ENOTFOUND);
	}
	{
		VN_AUTO(vn_index) x = { 0 };
		CHECK_OK(vn_index_parse(none, sizeof(none) - 1, &x, &err), &err);
		CHECK_EQ(vn_index_select(&x, NULL, &entry, &err), -VN_ENOTFOUND);
		CHECK_HAS(err.text, "holds no image");
	}
	VN_AUTO(vn_index) x = { 0 };
	CHECK_OK(vn_index_parse(bare, sizeof(bare) - 1, &x, &err), &err);
	CHECK_OK(vn_index_select(&x, &want, &entry, &err), &err);
}

int main(void)
{
	RUN(test_kind);
	RUN(test_kind_refused);
	RUN(test_manifest);
	RUN(test_desc);
	RUN(test_manifest_refused);
	RUN(test_caps);
	RUN(test_select);
	RUN(test_select_only);
	return vn_test_end();
}
