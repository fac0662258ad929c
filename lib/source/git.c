#include "source/door.h"
#include "util/buf.h"
#include <errno.h>
#include <git2/sys/repository.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int vn_git_init(struct vn_err *err)
{
	if (git_libgit2_init() < 0)
		return vn_git_fail(err, VN_EIO, "cannot start libgit2");
	return 0;
}

void vn_git_exit(void)
{
	git_libgit2_shutdown();
}

int vn_git_fail(struct vn_err *err, enum vn_code code, const char *fmt, ...)
{
	char text[512];
	const git_error *why = git_error_last();
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (why && why->klass == GIT_ERROR_NOMEMORY)
		return vn_nomem(err);
	if (!why || !why->message || !*why->message)
		return vn_fail(err, code, "%s", text);
	return vn_fail(err, code, "%s: %s", text, why->message);
}

void vn_git_hex(const git_oid *id, char ret[VN_REVISION_TEXT])
{
	git_oid_tostr(ret, VN_REVISION_TEXT, id);
}

/* The user's configuration must not change what is found (line ends, ignored files, abbreviations). */
static int own_config_only(git_repository *repo, struct vn_err *err)
{
	VN_AUTO_GIT(git_config) *config = NULL;
	VN_AUTO_FREE char *path = NULL;
	int r = vn_asprintf(&path, err, "%sconfig", git_repository_commondir(repo));
	if (r < 0)
		return r;
	if (git_config_new(&config) < 0 || git_config_add_file_ondisk(config, path, GIT_CONFIG_LEVEL_LOCAL, repo, 0) < 0 ||
	    git_repository_set_config(repo, config) < 0)
		return vn_git_fail(err, VN_EFORMAT, "cannot read %s", path);
	return 0;
}

static int not_opened(int code, const char *dir, struct vn_err *err)
{
	if (code == GIT_ENOTFOUND) {
		vn_fail(err, VN_ENOTFOUND, "%s is not in a git repository", dir);
		return vn_hint(err, "name a folder of the clone that the image was built from, or leave --source out");
	}
	if (code == GIT_EOWNER) {
		git_buf found = { NULL, 0, 0 };
		int n = git_repository_discover(&found, dir, 0, NULL) < 0 ? 0 : (int)found.size;
		n -= n > 6 && !strcmp(found.ptr + n - 6, "/.git/") ? 6 : n > 1;
		vn_fail(err, VN_EAUTH, "the git repository of %s belongs to another user, so git does not trust it", dir);
		vn_hint(err, "run as its owner, or allow it: git config --global --add safe.directory '%.*s'", n,
			found.ptr ? found.ptr : "");
		git_buf_dispose(&found);
		return -VN_EAUTH;
	}
	return vn_git_fail(err, VN_EIO, "cannot open the git repository of %s", dir);
}

/* safe.directory = * in the user's or the system's configuration; an empty value takes back what stands before it. */
static bool all_are_safe(void)
{
	VN_AUTO_GIT(git_config) *config = NULL;
	VN_AUTO_GIT(git_config_iterator) *iterator = NULL;
	git_config_entry *entry;
	bool safe = false;
	if (git_config_open_default(&config) < 0 ||
	    git_config_multivar_iterator_new(&iterator, config, "safe.directory", NULL) < 0)
		return false;
	while (git_config_next(&entry, iterator) == 0)
		safe = entry->value && *entry->value ? safe || !strcmp(entry->value, "*") : false;
	return safe;
}

/* libgit2 before 1.7 knows no "*", and says "not found" when somebody else's repository meets no safe.directory at all. This
 * gives GIT_EOWNER in both cases, or opens the repository when "*" is set. */
static int open_of_others(int code, const char *dir, git_repository **ret)
{
	static const char tail[] = "/.git/";
	VN_AUTO_GIT(git_repository) *repo = NULL;
	git_buf found = { NULL, 0, 0 };
	if (git_repository_discover(&found, dir, 0, NULL) < 0)
		return code;
	code = GIT_EOWNER;
	size_t n = found.size, m = sizeof(tail) - 1;
	if (n > m && !strcmp(found.ptr + n - m, tail) && all_are_safe() && git_repository_open_bare(&repo, found.ptr) == 0) {
		found.ptr[n - m + 1] = 0;
		if (git_repository_set_workdir(repo, found.ptr, 0) == 0) {
			*ret = vn_steal(repo);
			code = 0;
		}
	}
	git_buf_dispose(&found);
	return code;
}

int vn_git_open(const char *dir, git_repository **ret, struct vn_err *err)
{
	VN_AUTO_GIT(git_repository) *repo = NULL;
	struct stat st;
	if (stat(dir, &st) < 0)
		return vn_fail_sys(err, errno == ENOENT ? VN_ENOTFOUND : VN_EIO, "cannot read %s", dir);
	if (!S_ISDIR(st.st_mode))
		return vn_fail(err, VN_EUSAGE, "%s is a file, not a folder with source", dir);
	int code = git_repository_open_ext(&repo, dir, 0, NULL);
	if (code == GIT_ENOTFOUND || code == GIT_EOWNER)
		code = open_of_others(code, dir, &repo);
	if (code < 0)
		return not_opened(code, dir, err);
	if (git_repository_is_bare(repo) || !git_repository_workdir(repo)) {
		vn_fail(err, VN_EUSAGE, "%s is a bare git repository: it has no working tree to compare with", dir);
		return vn_hint(err, "name a clone with its files checked out");
	}
	int r = own_config_only(repo, err);
	if (r < 0)
		return r;
	*ret = vn_steal(repo);
	return 0;
}

int vn_git_within(git_repository *repo, const char *dir, char **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *real = realpath(dir, NULL), *top = realpath(git_repository_workdir(repo), NULL);
	if (!real || !top)
		return vn_fail_sys(err, VN_EIO, "cannot find the full path of %s", dir);
	size_t n = strlen(top);
	if (n && top[n - 1] == '/')
		n--;
	bool below = !strncmp(real, top, n) && real[n] == '/';
	return vn_strdup(below ? real + n + 1 : "", ret, err);
}

int vn_git_head(git_repository *repo, git_commit **ret, struct vn_err *err)
{
	VN_AUTO_GIT(git_reference) *head = NULL;
	VN_AUTO_GIT(git_object) *object = NULL;
	int code = git_repository_head(&head, repo);
	if (code == GIT_EUNBORNBRANCH || code == GIT_ENOTFOUND)
		return vn_fail(err, VN_ENOTFOUND, "the git repository %s has no commit yet", git_repository_workdir(repo));
	if (code < 0 || git_reference_peel(&object, head, GIT_OBJECT_COMMIT) < 0)
		return vn_git_fail(err, VN_EFORMAT, "cannot read HEAD of %s", git_repository_workdir(repo));
	*ret = (git_commit *)vn_steal(object);
	return 0;
}

int vn_git_dirty(git_repository *repo, git_commit *commit, bool *ret, struct vn_err *err)
{
	VN_AUTO_GIT(git_tree) *tree = NULL;
	VN_AUTO_GIT(git_diff) *diff = NULL;
	git_diff_options options;
	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	options.flags = GIT_DIFF_SKIP_BINARY_CHECK;
	options.ignore_submodules = GIT_SUBMODULE_IGNORE_UNTRACKED;
	if (git_commit_tree(&tree, commit) < 0 || git_diff_tree_to_workdir_with_index(&diff, repo, tree, &options) < 0)
		return vn_git_fail(err, VN_EIO, "cannot compare %s with its last commit", git_repository_workdir(repo));
	*ret = git_diff_num_deltas(diff) > 0;
	return 0;
}
