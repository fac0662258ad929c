/* What differs between two image configurations. */
#ifndef VN_DIFF_CONFIG_H
#define VN_DIFF_CONFIG_H
#include "oci/config.h"
#include "util/arena.h"
#include "veneer/diff.h"

/* The list is free()d by the caller, its texts live in the arena. */
int vn_config_compare(const struct vn_config *old_config, const struct vn_config *new_config, struct vn_arena *arena,
		      struct vn_config_change **ret, size_t *ret_n, struct vn_err *err);
/* Labels and annotations that veneer writes itself start so. */
#define VN_LABEL_PREFIX "dev.veneer."
#endif
