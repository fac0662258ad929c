/* Scales of their own for the rows or the columns of a matrix: integers with a sign whose zero stands for 0. */
#ifndef VN_DELTA_AXIS_H
#define VN_DELTA_AXIS_H
#include "delta/convert.h"
#include "util/err.h"

struct vn_delta_range {
	int64_t low, high;            /* of a step */
};
struct vn_delta_axis {
	struct vn_delta_rule rule;
	struct vn_delta_scale *scales;
	struct vn_delta_range *ranges;
	size_t run, count;            /* elements that share a scale, and scales */
	size_t elements;              /* from the first one on */
};
int vn_delta_axis_open(struct vn_delta_axis *ret, struct vn_err *err);
void vn_delta_axis_release(struct vn_delta_axis *table);
/* false: neither rows nor columns differ in that way. At most `most` elements are there. */
bool vn_delta_axis_find(struct vn_delta_axis *table, unsigned from, unsigned to, const uint8_t *old, const uint8_t *data,
			 size_t most);
#endif
