/* What the list of files holds: the options' classes and patterns, else those of the policy file. */
#ifndef VN_API_FILTER_H
#define VN_API_FILTER_H
#include "diff/diff.h"
#include "source/policy.h"

/* Bits 1 << VN_CLASS_x; 0 = every class. */
unsigned vn_filter_classes(const struct vn_policy *policy, const struct vn_diff_options *options);
/* Counts and sentences stay those of everything. */
void vn_filter_apply(const struct vn_policy *policy, const struct vn_diff_options *options, struct vn_diff *diff);
#endif
