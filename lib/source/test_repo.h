/* Repositories for tests, made through libgit2 in $TMPDIR. */
#ifndef VN_SOURCE_TEST_REPO_H
#define VN_SOURCE_TEST_REPO_H
#include "source/door.h"
#include "util/fs.h"
#include "util/test.h"

static char top[256];

static inline const char *below(const char *path)
{
	static char full[2][512];
	static unsigned turn;
	turn ^= 1;
	snprintf(full[turn], sizeof(full[turn]), "%s%s%s", top, *path ? "/" : "", path);
	return full[turn];
}

static inline void put_file(const char *path, const char *text)
{
	struct vn_err err = { 0 };
	char folder[512];
	snprintf(folder, sizeof(folder), "%s", below(path));
	*strrchr(folder, '/') = 0;
	CHECK_OK(vn_fs_mkdirs(folder, 0755, &err), &err);
	CHECK_OK(vn_fs_replace(below(path), text, strlen(text), 0644, &err), &err);
}

static inline git_repository *new_repo(void)
{
	git_repository *repo = NULL;
	const char *tmp = getenv("TMPDIR");
	snprintf(top, sizeof(top), "%s/vn-git-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(top) || git_repository_init(&repo, top, 0) < 0)
		exit(1);
	return repo;
}

static inline void end_repo(git_repository *repo)
{
	struct vn_err err = { 0 };
	git_repository_free(repo);
	CHECK_OK(vn_fs_remove_tree(top, &err), &err);
}

/* Commit everything that is there; the id goes to `hex`. */
static inline git_oid commit_all(git_repository *repo, char hex[VN_REVISION_TEXT])
{
	git_index *index = NULL;
	git_tree *tree = NULL;
	git_signature *who = NULL;
	git_commit *parent = NULL;
	git_oid tree_id, id, parent_id;
	bool first = git_reference_name_to_id(&parent_id, repo, "HEAD") < 0;
	if (git_repository_index(&index, repo) < 0 || git_index_add_all(index, NULL, 0, NULL, NULL) < 0 ||
	    git_index_update_all(index, NULL, NULL, NULL) < 0 || git_index_write(index) < 0 ||
	    git_index_write_tree(&tree_id, index) < 0 || git_tree_lookup(&tree, repo, &tree_id) < 0 ||
	    git_signature_new(&who, "a", "a@example.com", 1700000000, 0) < 0 ||
	    (!first && git_commit_lookup(&parent, repo, &parent_id) < 0) ||
	    git_commit_create_v(&id, repo, "HEAD", who, who, NULL, "step", tree, first ? 0 : 1, parent) < 0)
		exit(1);
	git_commit_free(parent);
	git_signature_free(who);
	git_tree_free(tree);
	git_index_free(index);
	vn_git_hex(&id, hex);
	return id;
}

static inline void add_tag(git_repository *repo, const char *name, const git_oid *id)
{
	git_object *object = NULL;
	git_oid tag;
	CHECK_EQ(git_object_lookup(&object, repo, id, GIT_OBJECT_COMMIT), 0);
	CHECK_EQ(git_tag_create_lightweight(&tag, repo, name, object, 0), 0);
	git_object_free(object);
}
#endif
