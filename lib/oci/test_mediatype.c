#include "oci/mediatype.h"
#include "util/test.h"

static void test_known(void)
{
	static const struct {
		const char *text;
		enum vn_family family;
		enum vn_kind kind;
		enum vn_compression compression;
	} cases[] = {
		{ VN_MT_OCI_INDEX, VN_FAMILY_OCI, VN_KIND_INDEX, VN_PLAIN },
		{ VN_MT_OCI_MANIFEST "; charset=utf-8", VN_FAMILY_OCI, VN_KIND_MANIFEST, VN_PLAIN },
		{ "APPLICATION/vnd.oci.image.manifest.V1+JSON", VN_FAMILY_OCI, VN_KIND_MANIFEST, VN_PLAIN },
		{ VN_MT_OCI_LAYER, VN_FAMILY_OCI, VN_KIND_LAYER, VN_PLAIN },
		{ VN_MT_OCI_LAYER "+gzip", VN_FAMILY_OCI, VN_KIND_LAYER, VN_GZIP },
		{ VN_MT_OCI_LAYER "+zstd", VN_FAMILY_OCI, VN_KIND_LAYER, VN_ZSTD },
		{ VN_MT_DOCKER_LIST, VN_FAMILY_DOCKER, VN_KIND_INDEX, VN_PLAIN },
		{ VN_MT_DOCKER_LAYER ".gzip", VN_FAMILY_DOCKER, VN_KIND_LAYER, VN_GZIP },
		{ VN_MT_DOCKER_LAYER ".zstd", VN_FAMILY_DOCKER, VN_KIND_LAYER, VN_ZSTD },
		{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", VN_FAMILY_DOCKER, VN_KIND_FOREIGN_LAYER,
		  VN_GZIP },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", VN_FAMILY_OCI, VN_KIND_FOREIGN_LAYER,
		  VN_ZSTD },
		{ "application/vnd.docker.distribution.manifest.v1+prettyjws", VN_FAMILY_DOCKER, VN_KIND_SCHEMA1, VN_PLAIN },
		{ VN_MT_OCI_EMPTY, VN_FAMILY_OCI, VN_KIND_EMPTY, VN_PLAIN },
		{ VN_MT_OCI_LAYER "+xz", VN_FAMILY_NONE, VN_KIND_UNKNOWN, VN_PLAIN },
		{ "application/json", VN_FAMILY_NONE, VN_KIND_UNKNOWN, VN_PLAIN },
		{ "", VN_FAMILY_NONE, VN_KIND_UNKNOWN, VN_PLAIN },
		{ NULL, VN_FAMILY_NONE, VN_KIND_UNKNOWN, VN_PLAIN },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct vn_mediatype *t = vn_mediatype(cases[i].text);
		CHECK_EQ(t->family, cases[i].family);
		CHECK_EQ(t->kind, cases[i].kind);
		CHECK_EQ(t->compression, cases[i].compression);
	}
}

static void test_of_family(void)
{
	CHECK_STR(vn_mediatype_layer(VN_FAMILY_OCI, VN_ZSTD), VN_MT_OCI_LAYER "+zstd");
	CHECK_STR(vn_mediatype_layer(VN_FAMILY_DOCKER, VN_GZIP), VN_MT_DOCKER_LAYER ".gzip");
	CHECK_STR(vn_mediatype_layer(VN_FAMILY_DOCKER, VN_ZSTD), NULL);
	CHECK_STR(vn_mediatype_layer(VN_FAMILY_NONE, VN_GZIP), NULL);
	CHECK_STR(vn_mediatype_manifest(VN_FAMILY_DOCKER), VN_MT_DOCKER_MANIFEST);
	CHECK_STR(vn_mediatype_index(VN_FAMILY_OCI), VN_MT_OCI_INDEX);
	CHECK_STR(vn_mediatype_config(VN_FAMILY_DOCKER), VN_MT_DOCKER_CONFIG);
}

int main(void)
{
	RUN(test_known);
	RUN(test_of_family);
	return vn_test_end();
}
