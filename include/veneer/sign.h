/* Signatures of images as cosign makes and checks them with keys, offline. */
#ifndef VENEER_SIGN_H
#define VENEER_SIGN_H
#include "veneer/context.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vn_sign_settings {
	size_t size;
	const char *const *keys;     /* PEM files, NULL-terminated. sign: private; verify: public, any of them is enough */
	const char *const *annotations;      /* sign: "key=value", signed with the digest; NULL-terminated, may be NULL */
	uint64_t release;            /* sign: release counter; 0 = none */
	const char *expires;         /* sign: RFC 3339, or "90d", "12h" from SOURCE_DATE_EPOCH or now; NULL = none */
	bool bundle;                 /* sign: the DSSE bundle as referrer instead of the classic tag */
	const char *passphrase_file; /* sign: of an encrypted key; NULL: COSIGN_PASSWORD */
	bool dry_run;
	void *reserved[6];
};
struct vn_signature {
	const char *form;            /* "tag", "bundle" */
	const char *key;             /* verify: file of the key that it is good for; "" = none of those given */
	const char *key_id;          /* sha256 of the public key's DER, as hex */
	const char *algorithm;       /* "ecdsa-p256-sha256", "ed25519" */
	const char *reason;          /* why it does not count; "" = it is good */
	uint64_t release;            /* 0 = none signed */
	int64_t expires;             /* 0 = none signed */
	const char *annotations;     /* JSON object of all that was signed beside */
};
struct vn_sign_result {
	const char *verb, *reference, *digest;       /* of what is signed */
	const char *written;         /* sign: tag or referrer with digest; "" in a dry run */
	const char *sentence;
	const struct vn_signature *signatures;
	size_t nsignatures;
	bool good;                   /* verify */
};
struct vn_sign_run;
VN_API int vn_sign_image(struct vn *vn, const char *ref, const struct vn_sign_settings *settings, struct vn_sign_run **ret,
			 struct vn_err *err);
/* VN_EREFUSED with *ret set when no signature is good. */
VN_API int vn_sign_verify(struct vn *vn, const char *ref, const struct vn_sign_settings *settings, struct vn_sign_run **ret,
			  struct vn_err *err);
VN_API const struct vn_sign_result *vn_sign_get(const struct vn_sign_run *run);
/* Schema "veneer.sign/1" (veneer-sign(1)). */
VN_API int vn_sign_json(const struct vn_sign_run *run, char **ret_text, struct vn_err *err);
VN_API void vn_sign_free(struct vn_sign_run *run);

#ifdef __cplusplus
}
#endif
#endif
