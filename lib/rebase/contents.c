#include "rebase/contents.h"
#include "layer/contents.h"
#include "util/cleanup.h"
#include <stdlib.h>

static int read_wanted(const struct vn_diff *diff, struct vn_payload *payload, const struct vn_index_options *options,
		       struct vn_wanted *wanted, struct vn_payload_contents *out, struct vn_err *err)
{
	uint64_t end = 0;
	for (size_t i = 0; i < payload->n; i++) {
		struct vn_item *item = &payload->items[i];
		if (item->e.kind != '-' || item->first != item->e.path)
			continue;
		item->slot = out->n++;
		wanted[item->slot] = vn_wanted_of(&item->e, item->layer);
		wanted[item->slot].at = out->at[item->slot] = end;
		end += item->e.size;
	}
	return vn_contents_read(diff->trees.new_.image, diff->trees.new_.layers, wanted, out->n, options, out->spool.fd, err);
}

int vn_payload_read(const struct vn_diff *diff, struct vn_payload *payload, const struct vn_index_options *options,
		    struct vn_payload_contents *ret, struct vn_err *err)
{
	struct vn_payload_contents out = { VN_TMP, NULL, 0 };
	VN_AUTO_FREE struct vn_wanted *wanted = calloc(payload->n + 1, sizeof(*wanted));
	out.at = calloc(payload->n + 1, sizeof(*out.at));
	int r = wanted && out.at ? vn_tmp_anonymous(&out.spool, err) : vn_nomem(err);
	if (r == 0)
		r = read_wanted(diff, payload, options, wanted, &out, err);
	if (r < 0) {
		vn_payload_contents_release(&out);
		return r;
	}
	*ret = out;
	return 0;
}

void vn_payload_contents_release(struct vn_payload_contents *contents)
{
	vn_tmp_release(&contents->spool);
	free(contents->at);
	*contents = (struct vn_payload_contents){ VN_TMP, NULL, 0 };
}
