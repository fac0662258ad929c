#include "source/source.h"
#include "util/cleanup.h"
#include "util/test.h"

static void test_url(void)
{
	static const struct {
		const char *url, *clean;
	} table[] = {
		{ "https://github.com/a/b.git", "https://github.com/a/b.git" },
		{ "https://user:secret@github.com/a/b.git", "https://github.com/a/b.git" },
		{ "https://ghp_secret@github.com/a/b", "https://github.com/a/b" },
		{ "https://user:p@ss@host:8443/a", "https://host:8443/a" },
		{ "https://user:pa/secret@host/a", "https://host/a" },
		{ "https://user:pa#secret@host/a", "https://host/a" },
		{ "https://host:8443/a/b@v1", "https://host:8443/a/b@v1" },
		{ "https://[::1]:8080/a@b", "https://[::1]:8080/a@b" },
		{ "https://host/a?access_token=secret", "https://host/a" },
		{ "ssh://git@host:2222/a", "ssh://git@host:2222/a" },
		{ "ssh://git:secret@host/a", "ssh://git@host/a" },
		{ "git@host:a/b.git", "git@host:a/b.git" },
		{ "user:secret@host:a/b.git", "host:a/b.git" },
		{ "/srv/git/a.git", "/srv/git/a.git" },
		{ "file:///srv/git/a.git", "file:///srv/git/a.git" },
		{ "", "" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		VN_AUTO_FREE char *clean = NULL;
		struct vn_err err = { 0 };
		CHECK_OK(vn_source_clean_url(table[i].url, &clean, &err), &err);
		CHECK_STR(clean, table[i].clean);
	}
}

static void test_text(void)
{
	static const char text[] = "-i https://u:secret@pypi.example/simple git+ssh://git@host/x 'http://t@y/z' a@b";
	VN_AUTO_FREE char *clean = NULL;
	struct vn_err err = { 0 };
	CHECK_OK(vn_source_clean_text(text, strlen(text), &clean, &err), &err);
	CHECK_STR(clean, "-i https://pypi.example/simple git+ssh://git@host/x 'http://y/z' a@b");
}

int main(void)
{
	RUN(test_url);
	RUN(test_text);
	return vn_test_end();
}
