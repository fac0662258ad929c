#include "source/door.h"
#include "util/buf.h"
#include <string.h>

void vn_source_tree_release(struct vn_source_tree *tree)
{
	free(tree->root);
	free(tree->within);
	free(tree->describe);
	free(tree->branch);
	free(tree->origin);
	*tree = (struct vn_source_tree){ .root = NULL };
}

struct exact {
	git_repository *repo;
	const git_oid *head;
	char *name;
	bool failed;
};

/* Of several tags the first by name. */
static int exact_tag(const char *name, git_oid *id, void *user)
{
	struct exact *x = user;
	VN_AUTO_GIT(git_object) *object = NULL, *commit = NULL;
	struct vn_err ignored = { 0 };
	if (git_object_lookup(&object, x->repo, id, GIT_OBJECT_ANY) < 0 ||
	    git_object_peel(&commit, object, GIT_OBJECT_COMMIT) < 0)
		return 0;
	if (!git_oid_equal(git_object_id(commit), x->head))
		return 0;
	name += strncmp(name, "refs/tags/", 10) ? 0 : 10;
	if (x->name && strcmp(x->name, name) <= 0)
		return 0;
	free(x->name);
	x->name = NULL;
	x->failed = vn_strdup(name, &x->name, &ignored) < 0;
	return x->failed ? -1 : 0;
}

/* Where history is cut off, counting commits back to a tag cannot work: a tag of HEAD itself, or its abbreviated id. */
static int describe_shallow(git_repository *repo, git_commit *head, char **ret, struct vn_err *err)
{
	struct exact x = { .repo = repo, .head = git_commit_id(head) };
	char hex[VN_REVISION_TEXT];
	git_tag_foreach(repo, exact_tag, &x);
	if (x.failed)
		return vn_nomem(err);
	if (x.name) {
		*ret = x.name;
		return 0;
	}
	vn_git_hex(x.head, hex);
	return vn_asprintf(ret, err, "%.7s", hex);
}

static int describe(git_repository *repo, git_commit *head, char **ret, struct vn_err *err)
{
	VN_AUTO_GIT(git_describe_result) *result = NULL;
	git_describe_options options;
	git_describe_format_options format;
	git_buf text = { NULL, 0, 0 };
	git_describe_options_init(&options, GIT_DESCRIBE_OPTIONS_VERSION);
	git_describe_format_options_init(&format, GIT_DESCRIBE_FORMAT_OPTIONS_VERSION);
	options.describe_strategy = GIT_DESCRIBE_TAGS;
	options.show_commit_oid_as_fallback = 1;
	if (git_describe_commit(&result, (git_object *)head, &options) < 0 || git_describe_format(&text, result, &format) < 0) {
		if (git_repository_is_shallow(repo))
			return describe_shallow(repo, head, ret, err);
		return vn_git_fail(err, VN_EFORMAT, "cannot describe HEAD of %s", git_repository_workdir(repo));
	}
	int r = vn_strdup(text.ptr, ret, err);
	git_buf_dispose(&text);
	return r;
}

static int branch(git_repository *repo, char **ret, struct vn_err *err)
{
	VN_AUTO_GIT(git_reference) *head = NULL;
	bool named = git_repository_head_detached(repo) == 0 && git_repository_head(&head, repo) == 0;
	return vn_strdup(named ? git_reference_shorthand(head) : "", ret, err);
}

static int origin(git_repository *repo, char **ret, struct vn_err *err)
{
	VN_AUTO_GIT(git_config) *config = NULL;
	const char *url = NULL;
	if (git_repository_config_snapshot(&config, repo) < 0 || git_config_get_string(&url, config, "remote.origin.url") < 0)
		return vn_strdup("", ret, err);
	return vn_source_clean_url(url, ret, err);
}

static int fill(git_repository *repo, const char *dir, struct vn_source_tree *t, struct vn_err *err)
{
	VN_AUTO_GIT(git_commit) *head = NULL;
	int r = vn_git_head(repo, &head, err);
	if (r < 0)
		return r;
	vn_git_hex(git_commit_id(head), t->revision);
	t->time = git_commit_time(head);
	t->shallow = git_repository_is_shallow(repo) == 1;
	if ((r = vn_strdup(git_repository_workdir(repo), &t->root, err)) < 0 ||
	    (r = vn_git_within(repo, dir, &t->within, err)) < 0 || (r = describe(repo, head, &t->describe, err)) < 0 ||
	    (r = branch(repo, &t->branch, err)) < 0 || (r = origin(repo, &t->origin, err)) < 0 ||
	    (r = vn_git_dirty(repo, head, &t->dirty, err)) < 0)
		return r;
	size_t n = strlen(t->root);
	if (n > 1 && t->root[n - 1] == '/')
		t->root[n - 1] = 0;
	return 0;
}

int vn_source_tree_describe(const char *dir, struct vn_source_tree *ret, struct vn_err *err)
{
	VN_AUTO_GIT(git_repository) *repo = NULL;
	VN_AUTO(vn_source_tree) tree = { .root = NULL };
	if (vn_git_open(dir, &repo, err) < 0 || fill(repo, dir, &tree, err) < 0)
		return vn_wrap(err, "look at the source");
	*ret = tree;
	tree = (struct vn_source_tree){ .root = NULL };
	return 0;
}
