/* Putting signatures beside an image, as cosign does. */
#ifndef VN_SIGN_PUT_H
#define VN_SIGN_PUT_H
#include "image/sink.h"
#include "sign/claim.h"
#include "sign/key.h"

struct vn_sign_place {
	struct vn_source *source;    /* the image's; what lies beside it is read over it */
	/* A sink for `tag` beside the image, NULL: for manifests by their digest. */
	int (*open)(void *user, const char *tag, struct vn_sink **ret, struct vn_err *err);
	void *user;
};
struct vn_new_signature {
	const struct vn_key *key;
	struct vn_buf text;          /* payload or statement */
	uint8_t bytes[VN_SIGNATURE_MOST];
	size_t len;
};
void vn_new_signature_release(struct vn_new_signature *s);
/* `bundle`: a statement about the digest instead of a payload. `annotations` may be NULL. */
int vn_new_signature_make(const struct vn_key *key, bool bundle, const char *reference, const struct vn_digest *digest,
			  const vn_json *annotations, struct vn_new_signature *ret, struct vn_err *err);

/* Adds them to those that are under the classic tag, and looks afterwards whether they are there: somebody else may have
 * written at the same time. */
int vn_sign_put_tag(const struct vn_sign_place *place, const struct vn_digest *digest, const struct vn_new_signature *list,
		    size_t n, struct vn_digest *ret_manifest, struct vn_err *err);
/* A bundle as a referrer of the image. The place is a registry. */
int vn_sign_put_bundle(const struct vn_sign_place *place, const struct vn_desc *image, const struct vn_new_signature *s,
		       struct vn_digest *ret_manifest, struct vn_err *err);

/* The documents alone. `old` may be NULL; *ret_changed false: they are in it already, and nothing was made. */
int vn_sign_manifest(const struct vn_manifest *old, const struct vn_new_signature *list, size_t n, struct vn_buf *ret_manifest,
		     struct vn_buf *ret_config, bool *ret_changed, struct vn_err *err);
int vn_sign_bundle_manifest(const struct vn_desc *image, const struct vn_buf *bundle, struct vn_buf *ret, struct vn_err *err);
#endif
