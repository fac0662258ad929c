/* libgit2 within this module: its errors, releasers, and opening a working tree. */
#ifndef VN_SOURCE_DOOR_H
#define VN_SOURCE_DOOR_H
#include "source/source.h"
#include "util/cleanup.h"
#include <git2.h>

/* vn_fail with libgit2's own words behind ours. */
int vn_git_fail(struct vn_err *err, enum vn_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define VN_GIT_RELEASER(type)                                \
	static inline void vn_##type##_p(type **p)           \
	{                                                    \
		type##_free(*p);                             \
	}
VN_GIT_RELEASER(git_repository)
VN_GIT_RELEASER(git_config)
VN_GIT_RELEASER(git_config_iterator)
VN_GIT_RELEASER(git_reference)
VN_GIT_RELEASER(git_object)
VN_GIT_RELEASER(git_commit)
VN_GIT_RELEASER(git_tree)
VN_GIT_RELEASER(git_diff)
VN_GIT_RELEASER(git_patch)
VN_GIT_RELEASER(git_describe_result)
#define VN_AUTO_GIT(type) VN_CLEANUP(vn_##type##_p) type

/* Open the working tree that holds `dir`, with the repository's own configuration only. */
int vn_git_open(const char *dir, git_repository **ret, struct vn_err *err);
/* `dir` below the working tree's top: "" for the top itself. */
int vn_git_within(git_repository *repo, const char *dir, char **ret, struct vn_err *err);
int vn_git_head(git_repository *repo, git_commit **ret, struct vn_err *err);
/* Tracked files differ from `commit`. */
int vn_git_dirty(git_repository *repo, git_commit *commit, bool *ret, struct vn_err *err);
void vn_git_hex(const git_oid *id, char ret[VN_REVISION_TEXT]);
#endif
