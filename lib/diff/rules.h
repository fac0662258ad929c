/* Which class a difference belongs to, by named rules over paths: the user's first, then the built-in table, first match wins. */
#ifndef VN_DIFF_RULES_H
#define VN_DIFF_RULES_H
#include "oci/config.h"
#include "util/arena.h"
#include "veneer/diff.h"

struct vn_policy;

struct vn_rule {
	const char *name;
	enum vn_class class_;
	const char *pattern;         /* vn_path_match; NULL: by the file's own format (VN_ENTRY_FACTS) */
	unsigned only;               /* counts only where no other VN_FIELD_* differs; 0 = always */
};
struct vn_rules {
	struct vn_arena arena;
	struct vn_rule *user;
	size_t nuser, user_cap;
};
/* The policy's rules (NULL: none), and what NEW's environment tells of Azure ML v2 (AZUREML_MODEL_DIR, AZUREML_ENTRY_SCRIPT). */
int vn_rules_open(const struct vn_policy *policy, const struct vn_config *config, struct vn_rules *ret, struct vn_err *err);
void vn_rules_release(struct vn_rules *rules);
/* Never NULL. `fields`: VN_FIELD_* that differ, 0 for a path that only one tree has. `model_format`: the file was recognised as a
 * model by what is in it. */
const struct vn_rule *vn_rules_match(const struct vn_rules *rules, const char *path, unsigned fields, bool model_format);
/* The user's rule that makes a difference in times count as more than that; NULL when there is none. */
const struct vn_rule *vn_rules_for_times(const struct vn_rules *rules, const char *path);
/* Whether the path counts as a model or score script whatever its difference; for files that do not differ. */
bool vn_rules_may_name(const struct vn_rules *rules, const char *path, bool model_format);

extern const struct vn_rule vn_rule_metadata, vn_rule_bytecode, vn_rule_bytecode_pair;
#endif
