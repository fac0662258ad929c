/* Image configuration (image-spec config.md): the part that veneer reads, beside the whole document. */
#ifndef VN_OCI_CONFIG_H
#define VN_OCI_CONFIG_H
#include "oci/platform.h"
#include "util/digest.h"

struct vn_history {
	const char *created_by;      /* "" when absent; the document's */
	const char *comment;
	bool empty_layer;
};
struct vn_config {
	struct vn_platform platform;
	struct vn_digest *diff_ids;
	size_t ndiff_ids;
	struct vn_history *history;
	size_t nhistory;
	vn_json *json;
};
int vn_config_parse(const void *bytes, size_t len, struct vn_config *ret, struct vn_err *err);
void vn_config_release(struct vn_config *c);
/* The step that made layer i: created_by, else the comment ("" when the history does not say); history that does not count up is
 * ignored as a whole. */
const char *vn_config_step(const struct vn_config *c, size_t layer);
bool vn_config_history_fits(const struct vn_config *c);
/* ChainIDs (image-spec config.md "Layer ChainID") of layers 0 … n-1 into ret[n]. */
int vn_chain_ids(const struct vn_digest *diff_ids, size_t n, struct vn_digest *ret, struct vn_err *err);
#endif
