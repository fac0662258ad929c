/* The door to libgit2: the working tree that an image was built from, and the dependency files that changed in it since the
 * revision that an older image was built from. The repository's own configuration counts; the user's and the system's are read
 * for safe.directory only. Nothing is ever written to the repository. */
#ifndef VN_SOURCE_SOURCE_H
#define VN_SOURCE_SOURCE_H
#include "util/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libgit2's global state: once before the first use of this module (also of policy.h), once after the last; they nest. HOME
 * and XDG_CONFIG_HOME are read then. */
int vn_git_init(struct vn_err *err);
void vn_git_exit(void);

#define VN_REVISION_TEXT 65
struct vn_source_tree {
	char *root;                  /* top of the working tree, without trailing slash */
	char *within;                /* the asked-for folder below root, "" = root itself */
	char revision[VN_REVISION_TEXT];     /* of HEAD, lower-case hex */
	char *describe;              /* as `git describe --tags --always`; a shallow clone sees only tags of HEAD itself */
	char *branch;                /* "" when HEAD is detached */
	char *origin;                /* URL without credentials; "" when there is none */
	int64_t time;                /* committer's, seconds since the epoch */
	bool dirty;                  /* tracked files differ from HEAD, as `git describe --dirty` */
	bool shallow;
};
/* `dir`: any folder of a working tree. VN_ENOTFOUND: no such folder, not a repository, no commit yet; VN_EUSAGE: bare;
 * VN_EAUTH: somebody else's and not in safe.directory. */
int vn_source_tree_describe(const char *dir, struct vn_source_tree *ret, struct vn_err *err);
void vn_source_tree_release(struct vn_source_tree *tree);

enum vn_source_status { VN_SOURCE_MODIFIED, VN_SOURCE_ADDED, VN_SOURCE_REMOVED, VN_SOURCE_RENAMED };
const char *vn_source_change_name(enum vn_source_status change);        /* "modified" … */

struct vn_source_line {
	bool added;                  /* else removed */
	char *text;                  /* without line end, without credentials, cut at VN_MAX_SOURCE_LINE */
};
struct vn_source_file {
	enum vn_source_status change;
	char *path;                  /* below the root; the new name of a renamed file */
	char *old_path;              /* renamed files: the name at the old revision; else NULL */
	const char *kind;            /* "python" "conda" "container" "node" "go" "rust" "system" … */
	size_t added, removed;       /* lines */
	bool binary;                 /* or too large: lines are not counted */
	struct vn_source_line *lines;        /* that say something: no blank lines, comments, lock files */
	size_t nlines;
	bool more_lines;             /* VN_MAX_SOURCE_LINES reached */
};
struct vn_source_changes {
	char old_revision[VN_REVISION_TEXT], new_revision[VN_REVISION_TEXT];
	bool dirty;                  /* what is compared is HEAD plus changes not committed */
	struct vn_source_file *files;        /* ordered by path */
	size_t nfiles;
};
/* Dependency files that differ between `old_revision` (7 to 40 hex digits) and the working tree: those below `dir`, and those
 * in the folders above it up to the root. Files not yet added count, ignored ones do not. VN_ENOTFOUND: the revision is not in
 * this repository (the hint says whether the clone is shallow). */
int vn_source_changed(const char *dir, const char *old_revision, struct vn_source_changes *ret, struct vn_err *err);
void vn_source_changes_release(struct vn_source_changes *changes);

/* The kind of dependency file a name is; NULL for everything else. */
const char *vn_source_dependency_kind(const char *path);
/* A URL, or text that holds URLs, without user names and passwords in them. */
int vn_source_clean_url(const char *url, char **ret, struct vn_err *err);
int vn_source_clean_text(const char *text, size_t len, char **ret, struct vn_err *err);
#endif
