#include "source/door.h"
#include "util/buf.h"
#include "util/limits.h"
#include "util/path.h"
#include <string.h>

/* Patterns as vn_path_match. `quiet`: machine-made lists, whose single lines tell nobody anything. */
static const struct {
	const char *pattern, *kind;
	bool quiet;
} table[] = {
	{ "*requirements*.txt", "python", false },
	{ "*requirements*.in", "python", false },
	{ "**/requirements/*.txt", "python", false },
	{ "*constraints*.txt", "python", false },
	{ "pyproject.toml", "python", false },
	{ "setup.py", "python", false },
	{ "setup.cfg", "python", false },
	{ "Pipfile", "python", false },
	{ "Pipfile.lock", "python", true },
	{ "poetry.lock", "python", true },
	{ "pdm.lock", "python", true },
	{ "uv.lock", "python", true },
	{ "*conda*.yml", "conda", false },
	{ "*conda*.yaml", "conda", false },
	{ "environment*.yml", "conda", false },
	{ "environment*.yaml", "conda", false },
	{ "conda-lock*", "conda", true },
	{ "pixi.lock", "conda", true },
	{ "pixi.toml", "conda", false },
	{ "Dockerfile*", "container", false },
	{ "*.dockerfile", "container", false },
	{ "*.Dockerfile", "container", false },
	{ "Containerfile*", "container", false },
	{ ".dockerignore", "container", false },
	{ "*compose*.yml", "container", false },
	{ "*compose*.yaml", "container", false },
	{ "package.json", "node", false },
	{ "package-lock.json", "node", true },
	{ "npm-shrinkwrap.json", "node", true },
	{ "yarn.lock", "node", true },
	{ "pnpm-lock.yaml", "node", true },
	{ "go.mod", "go", false },
	{ "go.sum", "go", true },
	{ "Cargo.toml", "rust", false },
	{ "Cargo.lock", "rust", true },
	{ "Gemfile", "ruby", false },
	{ "Gemfile.lock", "ruby", true },
	{ "renv.lock", "r", true },
	{ "conanfile.txt", "cpp", false },
	{ "conanfile.py", "cpp", false },
	{ "conan.lock", "cpp", true },
	{ "vcpkg.json", "cpp", false },
	{ "apt*.txt", "system", false },
	{ "packages.txt", "system", false },
	{ "flake.lock", "nix", true },
};
#define PATTERNS (sizeof(table) / sizeof(*table))

static size_t pattern_of(const char *path)
{
	size_t i = 0;
	while (i < PATTERNS && !vn_path_match(table[i].pattern, path))
		i++;
	return i;
}

const char *vn_source_dependency_kind(const char *path)
{
	size_t i = pattern_of(path);
	return i < PATTERNS ? table[i].kind : NULL;
}

const char *vn_source_change_name(enum vn_source_status change)
{
	static const char *const names[] = { "modified", "added", "removed", "renamed" };
	return names[change];
}

static void release_file(struct vn_source_file *f)
{
	for (size_t i = 0; i < f->nlines; i++)
		free(f->lines[i].text);
	free(f->lines);
	free(f->path);
	free(f->old_path);
	*f = (struct vn_source_file){ .path = NULL };
}

void vn_source_changes_release(struct vn_source_changes *changes)
{
	for (size_t i = 0; i < changes->nfiles; i++)
		release_file(&changes->files[i]);
	free(changes->files);
	*changes = (struct vn_source_changes){ .files = NULL };
}

/* A file of a folder above `within` counts for it, and so does one below it; those of its siblings do not. */
static bool concerns(const char *path, const char *within)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	return vn_path_below(path, within) || n == 0 || (!strncmp(within, path, n) && (within[n] == 0 || within[n] == '/'));
}

static bool says_something(const char *text, size_t len)
{
	while (len && (*text == ' ' || *text == '\t'))
		text++, len--;
	return len && *text != '#' && *text != '\r' && *text != '\n' && !(len > 1 && text[0] == '/' && text[1] == '/');
}

static int add_line(struct vn_source_file *f, size_t *cap, const git_diff_line *line, struct vn_err *err)
{
	size_t len = line->content_len;
	if ((line->origin != '+' && line->origin != '-') || !says_something(line->content, len))
		return 0;
	if (f->nlines == VN_MAX_SOURCE_LINES) {
		f->more_lines = true;
		return 0;
	}
	while (len && (line->content[len - 1] == '\n' || line->content[len - 1] == '\r'))
		len--;
	if (len > VN_MAX_SOURCE_LINE)
		len = VN_MAX_SOURCE_LINE;
	int r = vn_grow(&f->lines, cap, f->nlines + 1, sizeof(*f->lines), err);
	if (r < 0)
		return r;
	struct vn_source_line *to = &f->lines[f->nlines];
	if ((r = vn_source_clean_text(line->content, len, &to->text, err)) < 0)
		return r;
	to->added = line->origin == '+';
	f->nlines++;
	return 0;
}

static int read_lines(struct vn_source_file *f, git_patch *patch, struct vn_err *err)
{
	size_t cap = 0;
	for (size_t h = 0; h < git_patch_num_hunks(patch); h++) {
		int n = git_patch_num_lines_in_hunk(patch, h);
		for (int i = 0; i < n; i++) {
			const git_diff_line *line;
			if (git_patch_get_line_in_hunk(&line, patch, h, (size_t)i) < 0)
				return vn_git_fail(err, VN_EIO, "cannot read the changes of %s", f->path);
			int r = add_line(f, &cap, line, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int read_file(git_diff *diff, size_t i, struct vn_source_file *f, struct vn_err *err)
{
	VN_AUTO_GIT(git_patch) *patch = NULL;
	const git_diff_delta *d = git_diff_get_delta(diff, i);
	f->change = d->status == GIT_DELTA_RENAMED   ? VN_SOURCE_RENAMED
		    : d->status == GIT_DELTA_DELETED ? VN_SOURCE_REMOVED
		    : d->status == GIT_DELTA_ADDED || d->status == GIT_DELTA_UNTRACKED || d->status == GIT_DELTA_COPIED
			    ? VN_SOURCE_ADDED
			    : VN_SOURCE_MODIFIED;
	const char *path = f->change == VN_SOURCE_REMOVED ? d->old_file.path : d->new_file.path;
	size_t pattern = pattern_of(path);
	if (pattern == PATTERNS)
		pattern = pattern_of(d->old_file.path);
	f->kind = pattern < PATTERNS ? table[pattern].kind : "";
	int r = vn_strdup(path, &f->path, err);
	if (r == 0 && f->change == VN_SOURCE_RENAMED)
		r = vn_strdup(d->old_file.path, &f->old_path, err);
	if (r < 0)
		return r;
	if (git_patch_from_diff(&patch, diff, i) < 0)
		return vn_git_fail(err, VN_EIO, "cannot compare %s", f->path);
	f->binary = !patch || git_patch_get_delta(patch)->flags & GIT_DIFF_FLAG_BINARY;
	if (!patch || f->binary)
		return 0;
	if (git_patch_line_stats(NULL, &f->added, &f->removed, patch) < 0)
		return vn_git_fail(err, VN_EIO, "cannot count the changes of %s", f->path);
	return pattern < PATTERNS && table[pattern].quiet ? 0 : read_lines(f, patch, err);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct vn_source_file *)a)->path, ((const struct vn_source_file *)b)->path);
}

static int read_diff(git_diff *diff, const char *within, struct vn_source_changes *ret, struct vn_err *err)
{
	size_t cap = 0, n = git_diff_num_deltas(diff);
	for (size_t i = 0; i < n; i++) {
		const git_diff_delta *d = git_diff_get_delta(diff, i);
		bool dependency = vn_source_dependency_kind(d->new_file.path) || vn_source_dependency_kind(d->old_file.path);
		if (!dependency || d->status == GIT_DELTA_UNMODIFIED || d->status == GIT_DELTA_IGNORED)
			continue;
		if (!concerns(d->new_file.path, within) && !concerns(d->old_file.path, within))
			continue;
		if (ret->nfiles == VN_MAX_SOURCE_FILES)
			return vn_fail(err, VN_ELIMIT, "more than %u dependency files changed", VN_MAX_SOURCE_FILES);
		int r = vn_grow(&ret->files, &cap, ret->nfiles + 1, sizeof(*ret->files), err);
		if (r < 0)
			return r;
		ret->files[ret->nfiles] = (struct vn_source_file){ .path = NULL };
		if ((r = read_file(diff, i, &ret->files[ret->nfiles++], err)) < 0)
			return r;
	}
	if (ret->nfiles)
		qsort(ret->files, ret->nfiles, sizeof(*ret->files), by_path);
	return 0;
}

/* libgit2 matches '*' across '/', so one '*' in front finds a name in every folder; what else it finds is left out later. */
static int pathspec(char *specs[PATTERNS], struct vn_err *err)
{
	for (size_t i = 0; i < PATTERNS; i++) {
		int r = vn_asprintf(&specs[i], err, "*%s",
				    strncmp(table[i].pattern, "**/", 3) ? table[i].pattern : table[i].pattern + 3);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare(git_repository *repo, git_commit *old, git_diff **ret, struct vn_err *err)
{
	VN_AUTO_GIT(git_diff) *diff = NULL;
	VN_AUTO_GIT(git_tree) *tree = NULL;
	char *specs[PATTERNS] = { NULL };
	git_diff_options options;
	git_diff_find_options find;
	int r = pathspec(specs, err);
	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	git_diff_find_options_init(&find, GIT_DIFF_FIND_OPTIONS_VERSION);
	options.flags = GIT_DIFF_INCLUDE_UNTRACKED | GIT_DIFF_RECURSE_UNTRACKED_DIRS | GIT_DIFF_SHOW_UNTRACKED_CONTENT |
			GIT_DIFF_INCLUDE_TYPECHANGE;
	options.ignore_submodules = GIT_SUBMODULE_IGNORE_ALL;
	options.pathspec = (git_strarray){ specs, PATTERNS };
	options.context_lines = 0;
	options.max_size = VN_MAX_SOURCE_FILE;
	find.flags = GIT_DIFF_FIND_RENAMES | GIT_DIFF_FIND_FOR_UNTRACKED;
	if (r == 0 &&
	    (git_commit_tree(&tree, old) < 0 || git_diff_tree_to_workdir_with_index(&diff, repo, tree, &options) < 0 ||
	     git_diff_find_similar(diff, &find) < 0))
		r = vn_git_fail(err, VN_EIO, "cannot compare the files of %s", git_repository_workdir(repo));
	for (size_t i = 0; i < PATTERNS; i++)
		free(specs[i]);
	if (r == 0)
		*ret = vn_steal(diff);
	return r;
}

static int find_revision(git_repository *repo, const char *hex, git_commit **ret, struct vn_err *err)
{
	git_oid id;
	size_t n = strlen(hex);
	if (n < 7 || n > GIT_OID_HEXSZ || strspn(hex, "0123456789abcdefABCDEF") != n || git_oid_fromstrn(&id, hex, n) < 0)
		return vn_fail(err, VN_EUSAGE, "\"%s\" is not a git revision: expected 7 to 40 hexadecimal digits", hex);
	int code = git_commit_lookup_prefix(ret, repo, &id, n);
	if (code == GIT_EAMBIGUOUS)
		return vn_fail(err, VN_EUSAGE, "revision %s is the start of more than one id", hex);
	if (code == 0)
		return 0;
	if (code != GIT_ENOTFOUND)
		return vn_git_fail(err, VN_EFORMAT, "cannot read revision %s", hex);
	vn_fail(err, VN_ENOTFOUND, "revision %s is not in %s", hex, git_repository_workdir(repo));
	if (git_repository_is_shallow(repo))
		return vn_hint(err, "this clone is shallow: git fetch --unshallow (in CI: fetch-depth 0) brings the rest");
	return vn_hint(err, "git fetch may bring it; or the older image was built from another repository");
}

static int changed(const char *dir, const char *old_revision, struct vn_source_changes *ret, struct vn_err *err)
{
	VN_AUTO_GIT(git_repository) *repo = NULL;
	VN_AUTO_GIT(git_commit) *old = NULL, *head = NULL;
	VN_AUTO_GIT(git_diff) *diff = NULL;
	VN_AUTO_FREE char *within = NULL;
	int r;
	if ((r = vn_git_open(dir, &repo, err)) < 0 || (r = vn_git_within(repo, dir, &within, err)) < 0 ||
	    (r = find_revision(repo, old_revision, &old, err)) < 0 || (r = vn_git_head(repo, &head, err)) < 0 ||
	    (r = vn_git_dirty(repo, head, &ret->dirty, err)) < 0 || (r = compare(repo, old, &diff, err)) < 0)
		return r;
	vn_git_hex(git_commit_id(old), ret->old_revision);
	vn_git_hex(git_commit_id(head), ret->new_revision);
	return read_diff(diff, within, ret, err);
}

int vn_source_changed(const char *dir, const char *old_revision, struct vn_source_changes *ret, struct vn_err *err)
{
	VN_AUTO(vn_source_changes) changes = { .files = NULL };
	if (changed(dir, old_revision, &changes, err) < 0)
		return vn_wrap(err, "compare dependency files");
	*ret = changes;
	changes = (struct vn_source_changes){ .files = NULL };
	return 0;
}
