/* OLD + NEW → DEST, for one image or for every platform of an index: open → compare → plan → write → prove → name. Each step is a
 * function of its own; DEST's tag changes last. */
#ifndef VN_REBASE_REBASE_H
#define VN_REBASE_REBASE_H
#include "rebase/document.h"
#include "rebase/tag.h"
#include "source/policy.h"

/* One platform's rebase and what it has come to. */
struct vn_rebase_one {
	struct vn_image old_image, new_image;
	struct vn_base base;
	struct vn_image view;        /* OLD down to its base */
	struct vn_diff *diff;        /* view against NEW */
	struct vn_payload payload;
	struct vn_payload_contents contents;
	struct vn_veneer_blob blobs[VN_ROLES];
	size_t nblobs;
	struct vn_document doc;
	uint64_t pull_before, pull_after;
	char *accepted;
	struct vn_file_change *blockers;
	size_t nblockers;
	struct vn_diff *proof;       /* the result against NEW; NULL until then */
};
struct vn_rebase {
	struct vn_arena arena;
	struct vn_rebase_one *list;
	size_t n;
	bool is_index;
	struct vn_index new_index;
	struct vn_buf index_bytes;
	struct vn_desc root;         /* what DEST's tag names in the end */
	struct vn_rebase_image *images;
	struct vn_veneer_layer (*layers)[VN_ROLES];
	struct vn_proof_rule **rules;
	struct vn_source_change *source;
	struct vn_rebase_result result;
};
struct vn_rebase_input {
	struct vn_source *old_source, *new_source;
	const struct vn_ref *dest;
	struct vn_cache *cache;      /* may be NULL */
	struct vn_index_options index;
	const struct vn_policy *policy;      /* may be NULL */
	const struct vn_rebase_options *options;     /* mode and tag resolved with the policy */
	const struct vn_stamp *stamp;        /* NULL without a source tree */
	const char *branch;
	int (*open_sink)(void *user, const struct vn_ref *ref, struct vn_sink **ret, struct vn_err *err);
	void *user;
};
/* As vn_rebase_run: on -VN_EREFUSED *ret may be set. */
int vn_rebase_images(const struct vn_rebase_input *in, struct vn_rebase **ret, struct vn_err *err);

/* result.c */
int vn_rebase_fill(struct vn_rebase *r, const struct vn_rebase_input *in, struct vn_err *err);
int vn_rebase_sentence(struct vn_rebase *r, struct vn_err *err);
#endif
