/* Signatures over manifest digests in the forms that cosign keeps in registries: the classic tag sha256-HEX.sig with payloads
 * in the "simple signing" format, and Sigstore bundles (DSSE, in-toto) as referrers. Keys only, no network but the
 * registry's. */
#ifndef VN_SIGN_SIGN_H
#define VN_SIGN_SIGN_H
#include "image/sink.h"

struct vn_public_keys;               /* any of them is enough */
int vn_public_keys_open(const char *const *files, size_t n, struct vn_public_keys **ret, struct vn_err *err);
void vn_public_keys_close(struct vn_public_keys *keys);
bool vn_public_keys_have(const struct vn_public_keys *keys, const char *key_id);

/* What the signed text says beside the digest. */
struct vn_signed {
	bool has_release, has_expires;
	uint64_t release;            /* "dev.veneer.release" */
	int64_t expires;             /* "dev.veneer.expires", RFC 3339 */
	char key_id[65];
	char form[8];                /* "tag", "bundle" */
};
/* Whether what `source` keeps beside it has a good signature over `digest` by one of the keys; of several good ones the one
 * with the highest release, and of those the one that lasts longest; but first of all one that lasts at `now` (seconds since 1970;
 * 0: whenever): whether it does is for the caller to look at. Costs one request for the classic tag when it
 * carries its payload, and only when no good one with the release `at_least` is there asks for referrers. VN_EREFUSED: there is no
 * signature at all, or none by these keys (the text says which). VN_ENETWORK as usual. */
int vn_signed_by(struct vn_source *source, const struct vn_digest *digest, const struct vn_public_keys *keys, int64_t now,
		 uint64_t at_least, struct vn_signed *ret, struct vn_err *err);
#endif
