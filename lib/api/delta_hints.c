#include "api/delta.h"
#include "model/tensors.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdlib.h>

int vn_delta_hints_make(const char *old_path, const void *old, size_t old_len, const char *new_path, const void *data,
			size_t len, struct vn_delta_hint **ret, size_t *ret_count, struct vn_err *err)
{
	VN_AUTO(vn_model_tensors) was = { 0 }, is = { 0 };
	VN_AUTO(vn_model_pairs) pairs = { 0 };
	VN_AUTO_FREE struct vn_delta_hint *hints = NULL;
	uint64_t longer = old_len > len ? old_len : len;
	if (longer > VN_MAX_MODEL_MAP) {
		*ret = NULL;
		*ret_count = 0;
		return 0;
	}
	int r = vn_model_tensors(old_path, old, old_len, &was, err);
	if (r < 0 || (r = vn_model_tensors(new_path, data, len, &is, err)) < 0 || (r = vn_model_pair(&was, &is, &pairs, err)) < 0)
		return r;
	hints = calloc(pairs.count + 1, sizeof(*hints));
	if (!hints)
		return vn_nomem(err);
	for (size_t i = 0; i < pairs.count; i++) {
		const struct vn_model_pair *p = &pairs.list[i];
		hints[i] = (struct vn_delta_hint){ p->new_at, p->new_len, p->old_at, p->old_len };
	}
	*ret = vn_steal(hints);
	*ret_count = pairs.count;
	return 0;
}
