/* The policy file, by default ".veneer" beside the model's source: gitconfig syntax (git-config(1)), read through libgit2.
 * Only this one file is read: [include] sections are refused.
 *
 *	[class "model"]                 ; model score dependency config noise metadata other
 *		path = /opt/app/models/     ; once or many times, pattern as vn_path_match
 *	[rule "our-build-log"]
 *		class = noise
 *		path = /srv/log/            ; once or many times
 *		only = mtime                ; optional: counts only where nothing but the mtime (or: content) differs
 *	[rebase]
 *		mode = content              ; or paths
 *		accept = config             ; once or many times, a class
 *		split = true
 *		tag = model-{git.describe}-{model.quantisation}
 *	[diff]
 *		files = true                ; as the options of these names
 *		layers = true
 *		class = model               ; once or many times
 *		path = /opt/                ; once or many times
 */
#ifndef VN_SOURCE_POLICY_H
#define VN_SOURCE_POLICY_H
#include "util/err.h"
#include <stdbool.h>
#include <stddef.h>

#define VN_POLICY_FILE ".veneer"

enum vn_policy_only { VN_ONLY_ANY, VN_ONLY_MTIME, VN_ONLY_CONTENT };

struct vn_policy_rule {
	char *name;                  /* a [rule]'s own; "class model" for a [class] */
	char *class_name;            /* one of vn_policy_classes */
	char *pattern;
	enum vn_policy_only only;
};
struct vn_policy {
	char *path;                  /* of the file; NULL when there is none */
	struct vn_policy_rule *rules;        /* one for each path, in the order of the file */
	size_t nrules;
	char *mode;                  /* "content", "paths" or NULL */
	char *tag;                   /* template or NULL */
	bool split;
	char **accept;               /* classes */
	size_t naccept;
	bool diff_files, diff_layers;
	char **diff_classes, **diff_paths;
	size_t ndiff_classes, ndiff_paths;
};

/* NULL-terminated names of the classes. */
extern const char *const vn_policy_classes[];

/* `path` NULL: VN_POLICY_FILE in `source_dir` (NULL: the current folder), and no file there is an empty policy. A named file
 * must exist. Needs vn_git_init. VN_EFORMAT names the file, the line, the key and near names. */
int vn_policy_load(const char *path, const char *source_dir, struct vn_policy *ret, struct vn_err *err);
void vn_policy_release(struct vn_policy *policy);
#endif
