#include "api/filter.h"
#include "util/path.h"

unsigned vn_filter_classes(const struct vn_policy *policy, const struct vn_diff_options *options)
{
	unsigned classes = options->list_classes;
	enum vn_class one;
	for (size_t i = 0; !options->list_classes && i < policy->ndiff_classes; i++)
		if (vn_class_parse(policy->diff_classes[i], &one))
			classes |= 1u << one;
	return classes;
}

static bool path_wanted(const struct vn_policy *policy, const struct vn_diff_options *options, const char *path)
{
	const char *const *given = options->list_paths;
	for (size_t i = 0; given && given[i]; i++)
		if (vn_path_match(given[i], path))
			return true;
	for (size_t i = 0; !given && i < policy->ndiff_paths; i++)
		if (vn_path_match(policy->diff_paths[i], path))
			return true;
	return !given && !policy->ndiff_paths;
}

void vn_filter_apply(const struct vn_policy *policy, const struct vn_diff_options *options, struct vn_diff *diff)
{
	unsigned classes = vn_filter_classes(policy, options);
	struct vn_file_list *files = &diff->files;
	size_t kept = 0;
	for (size_t i = 0; i < files->n; i++) {
		const struct vn_file_change *f = &files->list[i];
		if (classes && !(classes & 1u << f->class_))
			continue;
		if (!path_wanted(policy, options, f->path) && !(f->from && path_wanted(policy, options, f->from)))
			continue;
		files->list[kept] = *f;
		if (files->prints)
			files->prints[kept] = files->prints[i];
		kept++;
	}
	files->n = kept;
	diff->summary.want_files = policy->diff_files;
	diff->summary.want_layers = policy->diff_layers;
}
