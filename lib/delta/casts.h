/* The encoder's guess which parts of new are numbers of old in another type. Wrong guesses cost bytes, never correctness. */
#ifndef VN_DELTA_CASTS_H
#define VN_DELTA_CASTS_H
#include "delta/convert.h"
#include "delta/map.h"
#include "util/buf.h"

struct vn_delta_cast {
	size_t start, elements;       /* in new */
	int64_t from;                 /* where in old */
	struct vn_delta_rule rule;
	size_t scale, scales;         /* quantised: first and number in the table */
	size_t run;                   /* elements that share a scale, when there are several */
};
struct vn_delta_casts {
	struct vn_delta_cast *list;   /* in order, without overlap */
	size_t count, cap;
	struct vn_delta_scale *table;
	size_t scales, scales_cap;
};
void vn_delta_casts_release(struct vn_delta_casts *casts);
int vn_delta_casts_add(struct vn_delta_casts *casts, const struct vn_delta_cast *cast, const struct vn_delta_scale *scale,
		       struct vn_err *err);
static inline size_t vn_delta_cast_end(const struct vn_delta_cast *c)
{
	return c->start + c->elements * vn_delta_type_width(c->rule.to);
}

/* Nothing when no part is converted; else what is copied stands in the list as well. */
int vn_delta_casts_find(const uint8_t *old, size_t old_len, const uint8_t *data, size_t len, const struct vn_delta_map *map,
			const struct vn_delta_options *options, struct vn_delta_casts *ret, struct vn_err *err);

/* The part of the list that lies in new[start, start + len), as it is written; `ret` receives old converted. */
int vn_delta_casts_write(const struct vn_delta_casts *casts, const uint8_t *old, size_t old_len, size_t start, size_t len,
			 uint8_t *ret, struct vn_buf *list, struct vn_err *err);
/* Is any of it converted? */
bool vn_delta_casts_touch(const struct vn_delta_casts *casts, size_t start, size_t len);
#endif
