/* All signatures that are kept beside an image, each with the key that it is good for. */
#ifndef VN_SIGN_FIND_H
#define VN_SIGN_FIND_H
#include "image/source.h"
#include "sign/claim.h"
#include "sign/key.h"

#define VN_SIGN_TAG 144
/* "sha256-HEX.sig" */
void vn_sign_tag(const struct vn_digest *digest, char ret[VN_SIGN_TAG]);

struct vn_found {
	const char *form;            /* "tag", "bundle" */
	const struct vn_key *key;    /* of those given; NULL: it is by none of them */
	struct vn_claim claim;
	char reason[768];            /* why it does not count, "" = it is good */
	bool prehashed;              /* it is by none of them, but has an Ed25519 signature's size, and one of them is such a key */
};
struct vn_found_list {
	struct vn_found *list;
	size_t n, cap;
};
void vn_found_list_release(struct vn_found_list *list);
/* `forms`: both of them, whatever is found; without it the bundles are only asked for when no good one that lasts at `now` and has the
 * release `at_least` was under the tag. What is wrong with a signature is its reason and no failure. */
int vn_found_look(struct vn_source *source, const struct vn_digest *digest, const struct vn_public_keys *keys, bool forms, int64_t now,
		  uint64_t at_least, struct vn_found_list *ret, struct vn_err *err);
/* Of the good ones that last at `now` (0: whenever), else of all good ones, the one with the highest release, then the one that lasts
 * longest; NULL: none is good. */
const struct vn_found *vn_found_best(const struct vn_found_list *list, int64_t now);
/* VN_EREFUSED with what there is instead. */
int vn_found_none(const struct vn_found_list *list, const char *name, const struct vn_digest *digest, struct vn_err *err);
#endif
