/* What is signed, in the two forms that cosign has, made and read. Reading comes after the signature was found good over the
 * same bytes; both kinds of text are at most VN_MAX_SIGNED_TEXT long. */
#ifndef VN_SIGN_CLAIM_H
#define VN_SIGN_CLAIM_H
#include "json/json.h"
#include "sign/sign.h"
#include "util/digest.h"

#define VN_SIGN_RELEASE "dev.veneer.release"     /* decimal, 1 to VN_MAX_JSON_SIZE */
#define VN_SIGN_EXPIRES "dev.veneer.expires"     /* RFC 3339 */

/* cosign, pkg/oci/static/signature.go and pkg/types/media.go */
#define VN_SIGN_PAYLOAD_TYPE "application/vnd.dev.cosign.simplesigning.v1+json"
#define VN_SIGN_ANNOTATION "dev.cosignproject.cosign/signature"
/* sigstore-go, pkg/bundle/bundle.go; cosign, pkg/types/predicate.go and pkg/oci/remote/write.go */
#define VN_SIGN_BUNDLE_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define VN_SIGN_PREDICATE "https://sigstore.dev/cosign/sign/v1"
#define VN_SIGN_PREDICATE_ANNOTATION "dev.sigstore.bundle.predicateType"
#define VN_SIGN_CONTENT_ANNOTATION "dev.sigstore.bundle.content"

struct vn_claim {
	bool has_release, has_expires;
	uint64_t release;
	int64_t expires;
	char *annotations;           /* JSON object of all that is signed beside the digest; owned */
};
void vn_claim_release(struct vn_claim *claim);
/* `annotations`: an object, or absent. */
int vn_claim_of(const struct vn_jv *annotations, struct vn_claim *ret, struct vn_err *err);

/* "Simple signing", with `reference` (REGISTRY/REPOSITORY or "") as the claimed identity, which nobody checks. `annotations`
 * may be NULL. */
int vn_sign_payload_make(const char *reference, const struct vn_digest *digest, const vn_json *annotations, struct vn_buf *ret,
		    struct vn_err *err);
/* VN_EREFUSED: it is sound, and about something else than `digest`. */
int vn_sign_payload_read(const void *bytes, size_t len, const struct vn_digest *digest, struct vn_claim *ret,
			 struct vn_err *err);

/* An in-toto statement about `digest`. */
int vn_sign_statement_make(const struct vn_digest *digest, const vn_json *annotations, struct vn_buf *ret, struct vn_err *err);
int vn_sign_statement_read(const void *bytes, size_t len, const struct vn_digest *digest, struct vn_claim *ret,
			   struct vn_err *err);

/* A bundle, taken apart. Nothing in it is believed. */
struct vn_sign_bundle {
	uint8_t *statement;          /* owned */
	size_t statement_len;
	uint8_t *signature;          /* owned */
	size_t signature_len;
};
void vn_sign_bundle_release(struct vn_sign_bundle *b);
int vn_sign_bundle_read(const void *bytes, size_t len, struct vn_sign_bundle *ret, struct vn_err *err);
/* `key_id`: VN_KEY_ID bytes. */
int vn_sign_bundle_make(const uint8_t *key_id, const void *statement, size_t len, const void *signature, size_t signature_len,
		   struct vn_buf *ret, struct vn_err *err);
/* What a bundle's signature is over: DSSE's pre-authentication encoding (secure-systems-lab/dsse, protocol.md). */
int vn_sign_bundle_signed(const void *statement, size_t len, struct vn_buf *ret, struct vn_err *err);
#endif
