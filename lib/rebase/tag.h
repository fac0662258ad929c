/* Tags that name themselves: "model-{git.describe}-{model.quantisation}". */
#ifndef VN_REBASE_TAG_H
#define VN_REBASE_TAG_H
#include "rebase/document.h"

struct vn_tag_input {
	const struct vn_stamp *stamp;        /* NULL without --source */
	const char *branch;          /* "" = unknown */
	const struct vn_model_info *models;
	size_t nmodels;
	const char *new_tag, *old_tag, *build;       /* NULL = unknown */
};
/* {git.describe} {git.revision} {git.branch} {model.format} {model.element} {model.quantisation} {model.digest} {build} {new.tag}
 * {old.tag}. Model means the one that changed, else the first. Characters that a tag cannot hold become '-'. VN_EUSAGE: an unknown
 * name, one without a value here, or a result that is no tag. */
int vn_tag_expand(const char *template, const struct vn_tag_input *in, char **ret, struct vn_err *err);
#endif
