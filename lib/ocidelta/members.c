#include "ocidelta/make.h"
#include "model/facts.h"
#include "model/tensors.h"
#include "tar/reader.h"
#include "util/cleanup.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

int vn_making_members(const struct vn_making *m, size_t layer, struct vn_member **ret, size_t *ret_n, struct vn_err *err)
{
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	VN_AUTO_FREE struct vn_member *list = NULL;
	const struct vn_tar_entry *entry;
	struct vn_in *in = NULL;
	size_t n = 0, cap = 0;
	uint64_t start = m->at[layer], len = m->bundle.layers[layer].plain;
	char name[512];
	int r = vn_in_memory(m->target.data + start, (size_t)len, &in, err), more = 0;
	if (r == 0)
		r = vn_tar_open(in, vn_image_layer_name(m->new_image, layer, name), &tar, err);
	while (r == 0 && (more = vn_tar_next(tar, &entry, err)) > 0) {
		uint64_t at = vn_tar_offset(tar);
		const struct vn_pick *pick = entry->type == VN_FILE ? vn_pick_find(&m->picks, entry->path) : NULL;
		/* a sparse file is longer than what the tar has of it */
		if (!pick || at > len || entry->size > len - at)
			continue;
		r = vn_grow(&list, &cap, n + 1, sizeof(*list), err);
		if (r == 0)
			list[n++] = (struct vn_member){ pick, start + at, entry->size };
	}
	if (r < 0 || more < 0)
		return r < 0 ? r : more;
	*ret = vn_steal(list);
	*ret_n = n;
	return 0;
}

static int order_paths(const void *x, const void *y)
{
	return vn_path_cmp(*(const char *const *)x, *(const char *const *)y);
}

struct hinting {
	struct vn_delta_hint *list;
	size_t n, cap;
};

static int add_hints(struct hinting *h, const struct vn_making *m, const struct vn_member *member, struct vn_err *err)
{
	struct vn_model_tensors old = { 0 }, now = { 0 };
	struct vn_model_pairs pairs = { 0 };
	const char *const *source = bsearch(&member->pick->source, m->picks.sources, m->picks.nsources, sizeof(*source), order_paths);
	if (!source)
		return 0;
	size_t i = (size_t)(source - m->picks.sources);
	bool model = vn_model_by_path(member->pick->path);
	int r = model ? vn_model_tensors(*source, m->source.data + m->old_at[i], (size_t)m->old_size[i], &old, err) : 0;
	if (r == 0 && model)
		r = vn_model_tensors(member->pick->path, m->target.data + member->at, (size_t)member->len, &now, err);
	if (r == 0)
		r = vn_model_pair(&old, &now, &pairs, err);
	if (r == 0)
		r = vn_grow(&h->list, &h->cap, h->n + pairs.count + 1, sizeof(*h->list), err);
	/* a file of the same length is mostly the same file */
	if (r == 0 && !pairs.count && m->old_size[i] == member->len)
		h->list[h->n++] = (struct vn_delta_hint){ member->at, member->len, m->old_at[i], m->old_size[i] };
	for (size_t k = 0; r == 0 && k < pairs.count; k++)
		h->list[h->n++] = (struct vn_delta_hint){ member->at + pairs.list[k].new_at, pairs.list[k].new_len,
							  m->old_at[i] + pairs.list[k].old_at, pairs.list[k].old_len };
	vn_model_pairs_release(&pairs);
	vn_model_tensors_release(&old);
	vn_model_tensors_release(&now);
	return r;
}

int vn_making_hints(const struct vn_making *m, struct vn_delta_hint **ret, size_t *ret_n, struct vn_err *err)
{
	struct hinting h = { 0 };
	int r = 0;
	for (size_t i = 0; r == 0 && i < m->ncarried; i++) {
		VN_AUTO_FREE struct vn_member *members = NULL;
		size_t n = 0;
		r = vn_making_members(m, m->carried[i], &members, &n, err);
		for (size_t k = 0; r == 0 && k < n; k++)
			if (members[k].pick->source)
				r = add_hints(&h, m, &members[k], err);
	}
	if (r < 0) {
		free(h.list);
		return r;
	}
	*ret = h.list;
	*ret_n = h.n;
	return 0;
}
