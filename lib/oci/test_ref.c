#include "oci/ref.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/test.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DIG "sha256:" HEX

static void test_registry(void)
{
	static const struct {
		const char *text, *registry, *repository, *tag, *digest, *full;
	} cases[] = {
		{ "busybox", "docker.io", "library/busybox", "latest", "", "docker.io/library/busybox:latest" },
		{ "user/app:v1", "docker.io", "user/app", "v1", "", "docker.io/user/app:v1" },
		{ "docker.io/busybox:1", "docker.io", "library/busybox", "1", "", "docker.io/library/busybox:1" },
		{ "index.docker.io/a/b", "docker.io", "a/b", "latest", "", "docker.io/a/b:latest" },
		{ "docker://r.example.com/a:t", "r.example.com", "a", "t", "", "r.example.com/a:t" },
		{ "localhost/a", "localhost", "a", "latest", "", "localhost/a:latest" },
		{ "localhost:5000/a/b_c/d__e/f--g.h", "localhost:5000", "a/b_c/d__e/f--g.h", "latest", "",
		  "localhost:5000/a/b_c/d__e/f--g.h:latest" },
		{ "Registry.Example.COM/a", "registry.example.com", "a", "latest", "", "registry.example.com/a:latest" },
		{ "[::1]:5000/a:t", "[::1]:5000", "a", "t", "", "[::1]:5000/a:t" },
		{ "[2001:db8::7]/a", "[2001:db8::7]", "a", "latest", "", "[2001:db8::7]/a:latest" },
		{ "127.0.0.1:80/a", "127.0.0.1:80", "a", "latest", "", "127.0.0.1:80/a:latest" },
		{ "r.io/a@" DIG, "r.io", "a", NULL, DIG, "r.io/a@" DIG },
		{ "r.io/a:Tag-1.0_x@" DIG, "r.io", "a", "Tag-1.0_x", DIG, "r.io/a:Tag-1.0_x@" DIG },
		{ "app:5000", "docker.io", "library/app", "5000", "", "docker.io/library/app:5000" },
		{ "oci", "docker.io", "library/oci", "latest", "", "docker.io/library/oci:latest" },
		{ "dir/x:1", "docker.io", "dir/x", "1", "", "docker.io/dir/x:1" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_ref) r = { 0 };
		VN_AUTO_FREE char *full = NULL;
		CHECK_OK(vn_ref_parse(cases[i].text, &r, &err), &err);
		if (err.code)
			continue;
		CHECK_EQ(r.transport, VN_REF_REGISTRY);
		CHECK_STR(r.registry, cases[i].registry);
		CHECK_STR(r.repository, cases[i].repository);
		CHECK_STR(r.tag, cases[i].tag);
		CHECK_STR(r.digest.text, cases[i].digest);
		CHECK(!r.path && !r.name);
		CHECK_OK(vn_ref_full_name(&r, &full, &err), &err);
		CHECK_STR(full, cases[i].full);
	}
}

static void test_places(void)
{
	static const struct {
		const char *text;
		enum vn_transport transport;
		const char *path, *name, *tag, *digest;
	} cases[] = {
		{ "oci:dir", VN_REF_OCI, "dir", NULL, NULL, "" },
		{ "oci:./dir:tag", VN_REF_OCI, "./dir", NULL, "tag", "" },
		{ "oci:/a b/c:docker.io/x/y:v1", VN_REF_OCI, "/a b/c", NULL, "docker.io/x/y:v1", "" },
		{ "oci:dir:@" DIG, VN_REF_OCI, "dir", NULL, NULL, DIG },
		{ "oci-archive:f.tar", VN_REF_OCI_ARCHIVE, "f.tar", NULL, NULL, "" },
		{ "oci-archive:f.tar:v2", VN_REF_OCI_ARCHIVE, "f.tar", NULL, "v2", "" },
		{ "docker-archive:f.tar", VN_REF_DOCKER_ARCHIVE, "f.tar", NULL, NULL, "" },
		{ "docker-archive:f.tar:r.io:5000/a:t", VN_REF_DOCKER_ARCHIVE, "f.tar", "r.io:5000/a:t", "t", "" },
		{ "docker-archive:f.tar:a", VN_REF_DOCKER_ARCHIVE, "f.tar", "a", "latest", "" },
		{ "docker-daemon:a", VN_REF_DOCKER_DAEMON, NULL, "a", "latest", "" },
		{ "docker-daemon:r.io/a:t", VN_REF_DOCKER_DAEMON, NULL, "r.io/a:t", "t", "" },
		{ "docker-daemon:" DIG, VN_REF_DOCKER_DAEMON, NULL, DIG, NULL, DIG },
		{ "docker-daemon:a@" DIG, VN_REF_DOCKER_DAEMON, NULL, "a@" DIG, NULL, DIG },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_ref) r = { 0 };
		CHECK_OK(vn_ref_parse(cases[i].text, &r, &err), &err);
		CHECK_EQ(r.transport, cases[i].transport);
		CHECK_STR(r.path, cases[i].path);
		CHECK_STR(r.name, cases[i].name);
		CHECK_STR(r.tag, cases[i].tag);
		CHECK_STR(r.digest.text, cases[i].digest);
		CHECK_STR(r.text, cases[i].text);
		CHECK(!r.registry && !r.repository);
	}
}

static void test_refused(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "the reference is empty" },
		{ "r.io/Foo", "repository \"Foo\" is not valid, expected lower case" },
		{ "Foo", "expected lower case" },
		{ "Foo/bar:t", "repository \"Foo/bar\" is not valid, expected lower case" },
		{ "r.io/", "the repository is missing" },
		{ "a//b", "empty part" },
		{ "a/", "empty part" },
		{ "/a", "empty part" },
		{ "a:", "tag \"\" is not valid" },
		{ "a:-x", "tag \"-x\" is not valid" },
		{ ":x", "the name is missing" },
		{ "a..b", "repository part \"a..b\"" },
		{ "a___b", "repository part" },
		{ "-a", "repository part" },
		{ "a-", "repository part" },
		{ "a b", "repository part" },
		{ "r.io/a@sha256:abc", "digest: \"sha256:abc\"" },
		{ "r.io/a@", "digest" },
		{ "r.io/a@md5:d41d8cd98f00b204e9800998ecf8427e", "digest" },
		{ "r.io:99999/a", "registry \"r.io:99999\" is not valid" },
		{ "r.io:/a", "registry" },
		{ "r..io/a", "registry" },
		{ "[::1/a", "registry" },
		{ "[::g]/a", "registry" },
		{ "[::1]x/a", "registry" },
		{ HEX, "64 hexadecimal digits" },
		{ "https://r.io/a", "\"https://\" is not a place" },
		{ "containers-storage:a", "is not a place" },
		{ "dir:a", "is not a place" },
		{ "oci:", "the path is missing" },
		{ "oci::tag", "the path is missing" },
		{ "oci:dir:", "name inside \"\"" },
		{ "oci:dir:a b", "name inside \"a b\"" },
		{ "docker-archive:f.tar:", "the name is missing" },
		{ "docker-daemon:", "the name is missing" },
		{ "docker-daemon:A", "lower case" },
		{ "u:secret@r.io/a:1", "no digest behind it" },
		{ "docker://u:sec/ret@r.io/a", "no digest behind it" },
		{ "https://u:secret@r.io/a", "no digest behind it" },
		{ "u:secret@r.io:5000", "no digest behind it" },
		{ "u:secret@r.io", "no digest behind it" },
		{ "u:sec@ret@r.io/a", "no digest behind it" },
		{ "./u:secret@r.io/a", "no digest behind it" },
		{ "r.io/u:secret@a", "no digest behind it" },
		{ "https://u:secret@r.io", "no digest behind it" },
		{ "docker-daemon:u:secret@r.io/a", "no digest behind it" },
		{ "docker-archive:f.tar:u:secret@r.io/a", "no digest behind it" },
		{ "oci-archive:https://u:secret@r.io/a.tar", "expected a path on this machine" },
		{ "u:secret@myreg:latest", "no digest behind it" },
		{ "r.io/a@u:secret", "no digest behind it" },
		{ "docker-archive:x:u:secret@h:latest", "no digest behind it" },
		{ "a@latest", "digest: " },
		{ "r.io:5000/a@md5:d41d8cd98f00b204e9800998ecf8427e", "digest: " },
		{ "a\x1b[31m", "control character 0x1b at byte 1" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_ref) r = { 0 };
		CHECK_EQ(vn_ref_parse(cases[i].text, &r, &err), -VN_EUSAGE);
		CHECK_HAS(err.text, cases[i].says);
		CHECK(!strstr(err.text, "sec"));
		CHECK(!r.text);
	}
	char tag[140] = "a:";
	struct vn_err err = { 0 };
	VN_AUTO(vn_ref) r = { 0 };
	memset(tag + 2, 'x', 129);
	tag[131] = 0;
	CHECK_EQ(vn_ref_parse(tag, &r, &err), -VN_EUSAGE);
	tag[130] = 0;
	CHECK_OK(vn_ref_parse(tag, &r, &err), &err);
	char name[300] = "r.io/";
	memset(name + 5, 'a', 251);
	CHECK_EQ(vn_ref_parse(name, &(struct vn_ref){ 0 }, &err), -VN_EUSAGE);
	CHECK_HAS(err.text, "at most 255");
}

static void test_with(void)
{
	static const struct {
		const char *text, *tag, *digest, *result;
	} cases[] = {
		{ "r.io:5000/a/b:t", "u", NULL, "r.io:5000/a/b:u" },
		{ "r.io/a", NULL, DIG, "r.io/a@" DIG },
		{ "busybox", "u", DIG, "docker.io/library/busybox:u@" DIG },
		{ "oci:dir:t", "u", NULL, "oci:dir:u" },
		{ "oci:dir", NULL, NULL, "oci:dir" },
		{ "oci:dir:t", NULL, DIG, "oci:dir:@" DIG },
		{ "docker-archive:f:r.io:5000/a:t", "u", NULL, "docker-archive:f:r.io:5000/a:u" },
		{ "docker-daemon:a", "u", NULL, "docker-daemon:a:u" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_ref) r = { 0 }, s = { 0 };
		CHECK_OK(vn_ref_parse(cases[i].text, &r, &err), &err);
		CHECK_OK(vn_ref_with(&r, cases[i].tag, cases[i].digest, &s, &err), &err);
		CHECK_STR(s.text, cases[i].result);
	}
}

static void test_tag(void)
{
	CHECK(vn_tag_valid("v1") && vn_tag_valid("_") && vn_tag_valid("A.b-c_9"));
	CHECK(!vn_tag_valid("") && !vn_tag_valid(".a") && !vn_tag_valid("-a") && !vn_tag_valid("a/b") && !vn_tag_valid("a:b"));
}

int main(void)
{
	RUN(test_registry);
	RUN(test_places);
	RUN(test_refused);
	RUN(test_with);
	RUN(test_tag);
	return vn_test_end();
}
