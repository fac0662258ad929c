/* OLD against NEW: everything that include/veneer/diff.h shows, worked out from two opened images. */
#ifndef VN_DIFF_DIFF_H
#define VN_DIFF_DIFF_H
#include "diff/files.h"

struct vn_policy;
struct vn_diff {
	struct vn_arena arena;
	struct vn_diff_summary summary;
	struct vn_layer_info *layers;
	size_t nlayers;
	struct vn_file_list files;
	struct vn_package_change *packages;
	size_t npackages;
	struct vn_config_change *config;
	size_t nconfig;
	struct vn_rule_count *rules;
	size_t nrules;
	struct vn_source_change *source;
	size_t nsource;
	size_t shared;               /* layers from the bottom that both have */
	struct vn_trees trees;       /* stay open for who wants to walk again */
};
struct vn_diff_images_options {
	const struct vn_policy *policy;      /* may be NULL */
	struct vn_index_options index;
	bool all_files;
};
/* The images outlive the diff. */
int vn_diff_images(const struct vn_image *old_image, const struct vn_image *new_image,
		   const struct vn_diff_images_options *options, struct vn_diff **ret, struct vn_err *err);
/* VN_EREFUSED when a device of the one cannot run the other. */
int vn_diff_platforms(const struct vn_image *old_image, const struct vn_image *new_image, struct vn_err *err);

bool vn_class_is_real(enum vn_class c);
/* About how many bytes of NEW's compressed layers the files of a class take. */
uint64_t vn_diff_class_share(const struct vn_diff *diff, enum vn_class c);
/* The parts of the JSON that diff and rebase have in common. */
vn_json *vn_json_files(const struct vn_file_change *list, size_t n);
vn_json *vn_json_packages(const struct vn_package_change *list, size_t n);
vn_json *vn_json_config(const struct vn_config_change *list, size_t n);
vn_json *vn_json_models(const struct vn_model_info *list, size_t n);
vn_json *vn_json_source(const struct vn_source_change *list, size_t n);
#endif
