#include "source/test_repo.h"

static struct vn_source_tree look(const char *path)
{
	struct vn_source_tree t = { .root = NULL };
	struct vn_err err = { 0 };
	CHECK_OK(vn_source_tree_describe(below(path), &t, &err), &err);
	return t;
}

static void test_describe(void)
{
	git_repository *repo = new_repo();
	git_config *config = NULL;
	char first[VN_REVISION_TEXT], second[VN_REVISION_TEXT], want[64];
	put_file("sub/a", "1");
	git_oid id = commit_all(repo, first);
	CHECK_EQ(git_repository_config(&config, repo), 0);
	CHECK_EQ(git_config_set_string(config, "remote.origin.url", "https://u:secret@host/x.git"), 0);
	git_config_free(config);
	struct vn_source_tree t = look("sub");
	CHECK_STR(t.revision, first);
	snprintf(want, sizeof(want), "%.7s", first);
	CHECK_STR(t.describe, want);
	CHECK_STR(t.within, "sub");
	CHECK_STR(t.origin, "https://host/x.git");
	CHECK(!t.dirty && !t.shallow);
	CHECK_EQ(t.time, 1700000000);
	CHECK(strlen(t.branch) > 0);
	vn_source_tree_release(&t);
	vn_source_tree_release(&t);
	add_tag(repo, "v1.0", &id);
	put_file("sub/a", "2");
	commit_all(repo, second);
	put_file("new", "untracked files do not make it dirty");
	t = look("");
	snprintf(want, sizeof(want), "v1.0-1-g%.7s", second);
	CHECK_STR(t.describe, want);
	CHECK_STR(t.within, "");
	CHECK(!t.dirty);
	vn_source_tree_release(&t);
	put_file("sub/a", "3");
	CHECK_EQ(git_repository_set_head_detached(repo, &id), 0);
	t = look("");
	CHECK_STR(t.describe, "v1.0");
	CHECK_STR(t.branch, "");
	CHECK(t.dirty);
	vn_source_tree_release(&t);
	end_repo(repo);
}

/* A shallow clone: the parent is named but not there. */
static void test_shallow(void)
{
	git_repository *repo = new_repo();
	char first[VN_REVISION_TEXT], second[VN_REVISION_TEXT], object[128], want[80];
	put_file("a", "1");
	commit_all(repo, first);
	put_file("a", "2");
	git_oid id = commit_all(repo, second);
	snprintf(object, sizeof(object), ".git/objects/%.2s/%s", first, first + 2);
	CHECK_EQ(remove(below(object)), 0);
	snprintf(want, sizeof(want), "%s\n", second);
	put_file(".git/shallow", want);
	struct vn_source_tree t = look("");
	snprintf(want, sizeof(want), "%.7s", second);
	CHECK_STR(t.describe, want);
	CHECK(t.shallow);
	vn_source_tree_release(&t);
	add_tag(repo, "v2", &id);
	add_tag(repo, "v1.9", &id);
	t = look("");
	CHECK(!strcmp(t.describe, "v2") || !strcmp(t.describe, "v1.9"));
	vn_source_tree_release(&t);
	end_repo(repo);
}

static void expect(const char *path, enum vn_code code, const char *says)
{
	struct vn_source_tree t = { .root = NULL };
	struct vn_err err = { 0 };
	CHECK_EQ(vn_source_tree_describe(path, &t, &err), -(int)code);
	CHECK_HAS(err.text, says);
	CHECK(!t.root);
}

static void test_refused(void)
{
	git_repository *repo = new_repo(), *bare = NULL;
	put_file("a", "1");
	expect(below(""), VN_ENOTFOUND, "has no commit yet");
	expect(below("missing"), VN_ENOTFOUND, "cannot read");
	expect(below("a"), VN_EUSAGE, "is a file");
	CHECK_EQ(git_repository_init(&bare, below("bare.git"), 1), 0);
	git_repository_free(bare);
	expect(below("bare.git"), VN_EUSAGE, "bare git repository");
	expect("/", VN_ENOTFOUND, "not in a git repository");
	put_file(".git/HEAD", "garbage");
	expect(below(""), VN_EFORMAT, "cannot read HEAD");
	end_repo(repo);
}

/* Somebody else's clone is looked at only when safe.directory says so. */
static void test_owner(void)
{
	if (geteuid() != 0)
		return;
	git_repository *repo = new_repo();
	struct vn_err err = { 0 };
	char hex[VN_REVISION_TEXT], config[600];
	put_file("a", "1");
	put_file("home/x", "");
	commit_all(repo, hex);
	CHECK_EQ(chown(top, 12345, 12345), 0);
	CHECK_EQ(chown(below(".git"), 12345, 12345), 0);
	vn_git_exit();
	setenv("HOME", below("home"), 1);
	CHECK_OK(vn_git_init(&err), &err);
	struct vn_source_tree t = { .root = NULL };
	CHECK_EQ(vn_source_tree_describe(below("home"), &t, &err), -VN_EAUTH);
	CHECK_HAS(err.text, "belongs to another user");
	snprintf(config, sizeof(config), "safe.directory '%s'", top);
	CHECK_HAS(err.hint, config);
	put_file("home/.gitconfig", "[safe]\n\tdirectory = /elsewhere\n");
	CHECK_EQ(vn_source_tree_describe(top, &t, &err), -VN_EAUTH);
	put_file("home/.gitconfig", "[safe]\n\tdirectory = *\n");
	CHECK_OK(vn_source_tree_describe(below("home"), &t, &err), &err);
	CHECK_STR(t.revision, hex);
	CHECK_STR(t.within, "home");
	vn_source_tree_release(&t);
	put_file("home/.gitconfig", "[safe]\n\tdirectory = *\n\tdirectory =\n");
	CHECK_EQ(vn_source_tree_describe(top, &t, &err), -VN_EAUTH);
	snprintf(config, sizeof(config), "[safe]\n\tdirectory = %s\n", top);
	put_file("home/.gitconfig", config);
	CHECK_OK(vn_source_tree_describe(top, &t, &err), &err);
	vn_source_tree_release(&t);
	end_repo(repo);
}

int main(void)
{
	struct vn_err err = { 0 };
	setenv("HOME", "/nonexistent", 1);
	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	CHECK_OK(vn_git_init(&err), &err);
	RUN(test_describe);
	RUN(test_shallow);
	RUN(test_refused);
	RUN(test_owner);
	vn_git_exit();
	return vn_test_end();
}
