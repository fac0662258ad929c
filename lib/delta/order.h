/* Finds where in old the numbers lie that became those of new, by their order alone: every conversion keeps it. */
#ifndef VN_DELTA_ORDER_H
#define VN_DELTA_ORDER_H
#include "delta/convert.h"

#define VN_DELTA_ORDER_SPAN 192       /* elements that are looked at */
#define VN_DELTA_ORDER_PAIRS 32

struct vn_delta_order {
	unsigned width;               /* of an element of old */
	size_t span, count;
	uint16_t low[VN_DELTA_ORDER_PAIRS], high[VN_DELTA_ORDER_PAIRS]; /* offsets of elements whose order is known */
};
/* From `count` elements of new; count is how many there are at least. */
void vn_delta_order_make(struct vn_delta_order *ret, unsigned from, unsigned to, const uint8_t *data, size_t count);
bool vn_delta_order_holds(const struct vn_delta_order *order, const uint8_t *old);
/* The first place in old[begin, end) where it holds, of those that lie `step` apart; `end` when there is none. Elements may
 * reach behind end, not behind len. */
size_t vn_delta_order_search(const struct vn_delta_order *order, const uint8_t *old, size_t len, size_t begin, size_t end,
			     size_t step);
#endif
