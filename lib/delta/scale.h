/* The step, zero and base with which a quantiser made integers of floats, found again from both. */
#ifndef VN_DELTA_SCALE_H
#define VN_DELTA_SCALE_H
#include "delta/convert.h"
#include "util/err.h"

struct vn_delta_level {
	int32_t number;
	int64_t low, high;            /* of the fixed point numbers that became it */
};
struct vn_delta_scaling {
	struct vn_delta_rule rule;
	struct vn_delta_scale scale;
	int32_t first, last;          /* smallest and largest number seen */
	struct vn_delta_level *levels;        /* of the numbers that occur, in order */
	size_t count;
};
int vn_delta_scaling_open(struct vn_delta_scaling *ret, struct vn_err *err);
void vn_delta_scaling_release(struct vn_delta_scaling *fit);
/* With it the largest of some numbers come out just below 2^44. */
int vn_delta_scaling_exponent(unsigned from, const uint8_t *old, size_t count);
int32_t vn_delta_number(unsigned type, const uint8_t *p);

/* From `count` elements of each: false when no step explains most of them. Sets rule.exponent and scale. */
bool vn_delta_scaling_fit(struct vn_delta_scaling *fit, unsigned from, unsigned to, const uint8_t *old, const uint8_t *data,
			  size_t count);
/* The same scale in fewer digits, as long as it explains as much. */
void vn_delta_scaling_shorten(struct vn_delta_scaling *fit);
#endif
