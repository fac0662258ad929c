/* Two sets of installed packages, matched by manager and name. */
#ifndef VN_DIFF_PACKAGES_H
#define VN_DIFF_PACKAGES_H
#include "diff/files.h"

/* Sorts both lists and drops from them what both have. The result is free()d by the caller, its texts are the lists'. */
int vn_packages_compare(struct vn_package_list *old_list, struct vn_package_list *new_list, struct vn_package_change **ret,
			size_t *ret_n, struct vn_err *err);
#endif
