/* Every difference between two trees, classified, with what is counted on the way. */
#ifndef VN_DIFF_FILES_H
#define VN_DIFF_FILES_H
#include "diff/rules.h"
#include "diff/trees.h"

struct vn_rule_use {
	const struct vn_rule *rule;
	size_t layer;                /* of NEW, from 0; SIZE_MAX when none */
	uint64_t files, bytes;
};
struct vn_found_package {
	const char *manager, *name, *version, *arch;
};
struct vn_package_list {
	struct vn_found_package *list;
	size_t n, cap;
};
struct vn_prints {
	uint8_t old_[VN_PRINT_SIZE], new_[VN_PRINT_SIZE];
};
struct vn_file_list {
	struct vn_arena arena;
	struct vn_file_change *list;         /* sorted by path; metadata only when asked for */
	size_t n, cap;
	struct vn_prints *prints;            /* beside list: contents' fingerprints */
	size_t prints_cap;
	struct vn_model_info *models;        /* every model of either image, changed or not */
	size_t nmodels, models_cap;
	struct vn_rule_use *uses;
	size_t nuses, uses_cap;
	struct vn_package_list old_packages, new_packages;   /* of databases that differ */
	struct vn_package_count *package_counts;
	size_t ncounts, counts_cap;
	uint64_t old_files, new_files, equal;
	uint64_t class_files[VN_CLASSES], class_bytes[VN_CLASSES];
};
struct vn_file_options {
	const struct vn_rules *rules;
	bool all;                    /* keep metadata-only differences */
	const struct vn_events *events;
};
/* Walks the trees as far as they are open; *ret_need_base when the shared layers have a say (then nothing is returned). */
int vn_files_compare(const struct vn_trees *trees, const struct vn_file_options *options, struct vn_file_list *ret,
		     bool *ret_need_base, struct vn_err *err);
void vn_files_release(struct vn_file_list *files);
/* Removed and added files that are one that moved: same contents, or an Azure ML model under its next version. */
int vn_files_pair_renames(struct vn_file_list *files, struct vn_err *err);
/* Bytecode that differs only by its stamp must stay with its source: where the source really changed, it is no noise. */
int vn_files_pair_bytecode(struct vn_file_list *files, struct vn_err *err);
const struct vn_file_change *vn_files_find(const struct vn_file_list *files, const char *path);      /* without '/' */
/* "usr/lib/x.py" of "usr/lib/__pycache__/x.cpython-39.pyc" or "usr/lib/x.pyc" into out; false when it is no bytecode. */
bool vn_bytecode_source(const char *path, char *out, size_t size);
#endif
