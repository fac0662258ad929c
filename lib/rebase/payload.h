/* What the veneer carries: the entries of NEW that make OLD's kept layers equal NEW, in path order with their parents, and the
 * whiteouts of what NEW lacks. */
#ifndef VN_REBASE_PAYLOAD_H
#define VN_REBASE_PAYLOAD_H
#include "diff/diff.h"
#include "veneer/rebase.h"

enum vn_role { VN_ROLE_REST, VN_ROLE_SCORE, VN_ROLE_MODEL, VN_ROLES };
const char *vn_role_name(enum vn_role role, bool split);     /* "veneer", "score", "model" */

struct vn_item {
	struct vn_entry e;           /* texts in the payload's arena; a whiteout has kind 'w' and e.path is the hidden path */
	enum vn_role role;
	size_t layer;                /* of NEW, from 0, that holds the contents */
	const char *first;           /* hard links: the item that carries the contents */
	size_t slot;                 /* of the contents; SIZE_MAX = none */
};
struct vn_payload {
	struct vn_arena arena;
	struct vn_item *items;       /* sorted by path; a directory may stand once for each role */
	size_t n, cap;
	uint64_t class_files[VN_CLASSES];
};
struct vn_payload_options {
	bool paths;                  /* only model and score files */
	bool split;
};
/* *ret_need_base: a parent of what is carried is described by the shared layers alone; open the trees as a whole and gather again. */
int vn_payload_gather(const struct vn_diff *diff, const struct vn_payload_options *options, struct vn_payload *ret,
		      bool *ret_need_base, struct vn_err *err);
void vn_payload_release(struct vn_payload *payload);
#endif
