#include "registry/creds.h"
#include "registry/helper.h"
#include "registry/registry.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/test.h"
#include <sys/stat.h>

static char home[] = "/tmp/veneer-test-creds-XXXXXX";
static char told[4096];

static void tell(void *user, const struct vn_event *event)
{
	size_t n = strlen(told);
	(void)user;
	snprintf(told + n, sizeof told - n, "%s\n", event->text);
}
static const struct vn_events events = { tell, NULL };

static const char *in_home(const char *rest)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", home, rest);
	return path;
}

static void file(const char *rest, const char *text, mode_t mode)
{
	struct vn_err err = { 0 };
	VN_AUTO_FREE char *path = NULL, *dir = NULL;

	CHECK_OK(vn_strdup(in_home(rest), &path, &err), &err);
	CHECK_OK(vn_strdup(path, &dir, &err), &err);
	*strrchr(dir, '/') = 0;
	CHECK_OK(vn_fs_mkdirs(dir, 0700, &err), &err);
	CHECK_OK(vn_fs_replace(path, text, strlen(text), mode, &err), &err);
}

static void content(const char *rest, char *out, size_t size)
{
	FILE *f = fopen(in_home(rest), "r");
	size_t n = f ? fread(out, 1, size - 1, f) : 0;
	out[n] = 0;
	if (f)
		fclose(f);
}

static void clean(void)
{
	struct vn_err err = { 0 };
	vn_fs_remove_tree(in_home(".docker"), &err);
	vn_fs_remove_tree(in_home(".config"), &err);
	vn_fs_remove_tree(in_home("run"), &err);
	vn_fs_remove_tree(in_home(".dockercfg"), &err);
	vn_fs_remove_tree(in_home("auth.json"), &err);
	unsetenv("DOCKER_AUTH_CONFIG");
	unsetenv("REGISTRY_AUTH_FILE");
	told[0] = 0;
}

static int find(const char *registry, const char *repository, const char *authfile, struct vn_creds *ret, struct vn_err *err)
{
	struct vn_creds_options opt = { .authfile = authfile, .helper_seconds = 1, .events = &events };
	return vn_creds_find(registry, repository, &opt, ret, err);
}

static void found(const char *registry, const char *repository, const char *user, const char *password, const char *source)
{
	VN_AUTO(vn_creds) c = { 0 };
	struct vn_err err = { 0 };

	CHECK_OK(find(registry, repository, NULL, &c, &err), &err);
	CHECK_STR(c.user, user);
	CHECK_STR(c.password, password);
	if (source)
		CHECK_HAS(c.source, source);
	else
		CHECK(!c.source);
}

#define AUTH(pair) "{\"auth\":\"" pair "\"}"
/* base64: u:p u1:p1 u2:p:2 u3:p3 */
#define UP "dTpw"
#define UP1 "dTE6cDE="
#define UP2 "dTI6cDoy"
#define UP3 "dTM6cDM="

static void test_order(void)
{
	clean();
	found("r.example", "a", NULL, NULL, NULL);
	file(".dockercfg", "{\"https://r.example/v1/\":" AUTH(UP3) "}", 0600);
	found("r.example", "a", "u3", "p3", "auths in ");
	file(".docker/config.json", "{\"auths\":{\"r.example\":" AUTH(UP2) "}}", 0600);
	found("r.example", "a", "u2", "p:2", "/.docker/config.json");
	file(".config/containers/auth.json", "{\"auths\":{\"r.example\":" AUTH(UP1) "}}", 0600);
	found("r.example", "a", "u1", "p1", "/.config/containers/auth.json");
	file("run/containers/auth.json", "{\"auths\":{\"r.example\":" AUTH(UP) "}}", 0600);
	found("r.example", "a", "u", "p", "/run/containers/auth.json");
	setenv("DOCKER_AUTH_CONFIG", "{\"auths\":{\"r.example\":" AUTH(UP3) "}}", 1);
	found("r.example", "a", "u3", "p3", "$DOCKER_AUTH_CONFIG");
	file("auth.json", "{\"auths\":{\"r.example\":" AUTH(UP2) "}}", 0600);
	setenv("REGISTRY_AUTH_FILE", in_home("auth.json"), 1);
	found("r.example", "a", "u2", "p:2", "/auth.json");
	found("other.example", "a", NULL, NULL, NULL);
	setenv("REGISTRY_AUTH_FILE", in_home("none.json"), 1);
	found("r.example", "a", NULL, NULL, NULL);
}

static void test_keys(void)
{
	clean();
	file(".docker/config.json",
	     "{\"auths\":{\"https://index.docker.io/v1/\":" AUTH(UP) ",\"r.example/a/b\":" AUTH(UP1) ",\"r.example/a\":" AUTH(UP2)
	     ",\"https://R.example/v2/\":" AUTH(UP3) ",\"marker.example\":{}}}", 0600);
	found("docker.io", "library/x", "u", "p", "auths in");
	found("registry-1.docker.io", NULL, "u", "p", "auths in");
	found("r.example", "a/b", "u1", "p1", "auths in");
	found("r.example", "a/c/d", "u2", "p:2", "auths in");
	found("r.example", "b", "u3", "p3", "auths in");
	found("marker.example", "b", NULL, NULL, NULL);
	CHECK(vn_creds_key_is("docker.io", "index.docker.io"));
	CHECK(!vn_creds_key_is("r.example/ns", "r.example"));
	CHECK(!vn_creds_key_is("r.example:5000", "r.example"));
}

static void test_tokens(void)
{
	VN_AUTO(vn_creds) a = { 0 };
	VN_AUTO(vn_creds) b = { 0 };
	struct vn_err err = { 0 };

	clean();
	file(".docker/config.json",
	     "{\"auths\":{\"a.azurecr.io\":{\"auth\":\"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==\","
	     "\"identitytoken\":\"idt\"},\"b\":{\"registrytoken\":\"rt\"}}}", 0600);
	CHECK_OK(find("a.azurecr.io", "x", NULL, &a, &err), &err);
	CHECK_STR(a.identity, "idt");
	CHECK(!a.password);
	CHECK_OK(find("b", "x", NULL, &b, &err), &err);
	CHECK_STR(b.bearer, "rt");
}

static void test_bad_files(void)
{
	VN_AUTO(vn_creds) c = { 0 };
	struct vn_err err = { 0 };

	clean();
	file(".config/containers/auth.json", "{nonsense", 0600);
	file(".docker/config.json", "{\"auths\":{\"r.example\":" AUTH(UP) "}}", 0600);
	found("r.example", "a", "u", "p", ".docker");
	CHECK_HAS(told, "auth.json are left out");
	CHECK_EQ(find("r.example", "a", in_home(".config/containers/auth.json"), &c, &err), -VN_EFORMAT);
	CHECK_EQ(find("r.example", "a", in_home("nothing"), &c, &err), -VN_ENOTFOUND);
	told[0] = 0;
	file(".config/containers/auth.json", "{\"auths\":{\"r.example\":" AUTH("%%%") "}}", 0600);
	found("r.example", "a", "u", "p", ".docker");
	CHECK_HAS(told, "left out");
	file(".config/containers/auth.json", "{\"auths\":[]}", 0600);
	found("r.example", "a", "u", "p", ".docker");
	file(".config/containers/auth.json", "", 0600);
	found("r.example", "a", "u", "p", ".docker");
}

/* ---- helpers */
static void test_helper(void)
{
	clean();
	file("bin/docker-credential-fine",
	     "#!/bin/sh\nread url\n[ \"$url\" = r.example ] && printf "
	     "'{\"ServerURL\":\"%s\",\"Username\":\"hu\",\"Secret\":\"hs\"}' \"$url\" "
	     "|| { echo credentials not found in native keychain; exit 1; }\n",
	     0700);
	file(".docker/config.json", "{\"credHelpers\":{\"r.example\":\"fine\"},\"auths\":{\"r.example\":" AUTH(UP) "}}", 0600);
	found("r.example", "a", "hu", "hs", "credHelpers \"fine\" in ");
	file(".docker/config.json", "{\"credsStore\":\"fine\",\"auths\":{\"other.example\":" AUTH(UP) "}}", 0600);
	found("r.example", "a", "hu", "hs", "credsStore \"fine\" in ");
	found("other.example", "a", "u", "p", "auths in");
	CHECK_STR(told, "");
}

static void test_helper_that_fails(void)
{
	clean();
	file("bin/docker-credential-broken", "#!/bin/sh\necho no daemon; exit 3\n", 0700);
	file("bin/docker-credential-slow", "#!/bin/sh\nexec sleep 30\n", 0700);
	file("bin/docker-credential-odd", "#!/bin/sh\nexec </dev/null; echo '{\"Username\":'\n", 0700);
	file(".docker/config.json",
	     "{\"credHelpers\":{\"a\":\"absent\",\"b\":\"broken\",\"c\":\"slow\",\"d\":\"odd\",\"e\":\"../evil\"}}", 0600);
	found("a", "x", NULL, NULL, NULL);
	CHECK_HAS(told, "docker-credential-absent (credHelpers in");
	CHECK_HAS(told, "is not installed");
	found("b", "x", NULL, NULL, NULL);
	CHECK_HAS(told, "failed: no daemon");
	found("c", "x", NULL, NULL, NULL);
	CHECK_HAS(told, "did not finish within 1 seconds");
	found("d", "x", NULL, NULL, NULL);
	CHECK_HAS(told, "odd (credHelpers in");
	found("e", "x", NULL, NULL, NULL);
	CHECK_HAS(told, "cannot be the name of a credential helper");
}

/* ---- what login writes; the registry is never asked here, since nothing listens */
static void test_logout(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_FREE char *from = NULL;
	char text[2000];

	clean();
	file("bin/docker-credential-erase", "#!/bin/sh\n[ $1 = erase ] && cat > \"$HOME/erased\"\n", 0700);
	file("run/containers/auth.json",
	     "{\"extra\":{\"keep\":[1]},\"auths\":{\"r.example\":" AUTH(UP) ",\"s\":" AUTH(UP1) "}}", 0644);
	file(".docker/real.json",
	     "{\"HttpHeaders\":{\"X\":\"y\"},\"credHelpers\":{\"r.example\":\"erase\"},\"auths\":{\"https://r.example/v1/"
	     "\":" AUTH(UP) "}}",
	     0600);
	unlink(in_home(".docker/config.json"));
	CHECK_EQ(symlink("real.json", in_home(".docker/config.json")), 0);
	CHECK_OK(vn_registry_logout("https://r.example/", NULL, &events, &from, &err), &err);
	CHECK_HAS(from, "/run/containers/auth.json, credential helper erase (");
	CHECK_HAS(from, "/.docker/config.json");
	content("run/containers/auth.json", text, sizeof text);
	CHECK(!strstr(text, "r.example"));
	CHECK_HAS(text, "\"keep\"");
	CHECK_HAS(text, "\"s\"");
	content(".docker/real.json", text, sizeof text);
	CHECK(!strstr(text, "https://r.example"));
	CHECK_HAS(text, "\"X\": \"y\"");
	content("erased", text, sizeof text);
	CHECK_STR(text, "r.example");
	struct stat st;
	CHECK(lstat(in_home(".docker/config.json"), &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(stat(in_home("run/containers/auth.json"), &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK_EQ(vn_registry_logout("t", NULL, &events, &from, &err), -VN_ENOTFOUND);
}

int main(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_FREE char *path = NULL;

	if (!mkdtemp(home) || vn_asprintf(&path, &err, "%s/bin:%s", home, getenv("PATH") ? getenv("PATH") : "") < 0)
		return 1;
	setenv("HOME", home, 1);
	setenv("PATH", path, 1);
	setenv("XDG_RUNTIME_DIR", in_home("run"), 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("DOCKER_CONFIG");
	RUN(test_order);
	RUN(test_keys);
	RUN(test_tokens);
	RUN(test_bad_files);
	RUN(test_helper);
	RUN(test_helper_that_fails);
	RUN(test_logout);
	vn_fs_remove_tree(home, &err);
	return vn_test_end();
}
