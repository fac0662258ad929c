/* The contents of what the veneer carries, read out of NEW's layers into one unlinked file. */
#ifndef VN_REBASE_CONTENTS_H
#define VN_REBASE_CONTENTS_H
#include "rebase/payload.h"

struct vn_payload_contents {
	struct vn_tmp spool;
	uint64_t *at;                /* of each slot */
	size_t n;
};
/* Gives every item that has contents of its own a slot, and fills it. */
int vn_payload_read(const struct vn_diff *diff, struct vn_payload *payload, const struct vn_index_options *options,
		    struct vn_payload_contents *ret, struct vn_err *err);
void vn_payload_contents_release(struct vn_payload_contents *contents);
#endif
