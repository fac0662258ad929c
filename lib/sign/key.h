/* The door to libcrypto's keys: ECDSA on P-256 over SHA-256 (signatures in DER), and Ed25519 (RFC 8032, no prehash). */
#ifndef VN_SIGN_KEY_H
#define VN_SIGN_KEY_H
#include "util/buf.h"
#include <stdbool.h>
#include <stdint.h>

enum vn_key_kind { VN_KEY_P256, VN_KEY_ED25519 };
#define VN_KEY_ID 32                 /* SHA-256 of the public key's SubjectPublicKeyInfo in DER */
struct vn_key {
	struct evp_pkey_st *pkey;
	enum vn_key_kind kind;
	uint8_t id[VN_KEY_ID];
	char id_text[2 * VN_KEY_ID + 1];
	char *file;                  /* that it came from */
};
struct vn_public_keys {
	struct vn_key **list;
	size_t n, cap;
};
const char *vn_key_algorithm(const struct vn_key *key);      /* "ecdsa-p256-sha256", "ed25519" */
void vn_key_close(struct vn_key *key);                       /* NULL is fine */
static inline void vn_key_close_p(struct vn_key **key) { vn_key_close(*key); }
#define VN_AUTO_KEY VN_CLEANUP(vn_key_close_p) struct vn_key

/* What opens an encrypted private key; wiped by its releaser. */
#define VN_PASSPHRASE_MOST 1024
struct vn_passphrase {
	char text[VN_PASSPHRASE_MOST + 1];
	size_t len;
	bool given;
};
/* The first line of `file`, or (NULL) the variable COSIGN_PASSWORD when it is set. */
int vn_passphrase_read(const char *file, struct vn_passphrase *ret, struct vn_err *err);
void vn_passphrase_release(struct vn_passphrase *p);

/* PEM: PKCS#8 plain or encrypted, SEC 1, and the encrypted keys of `cosign generate-key-pair`. VN_EAUTH: the passphrase is
 * missing or does not open it. */
int vn_key_open_private(const char *file, const struct vn_passphrase *passphrase, struct vn_key **ret, struct vn_err *err);
/* Every "PUBLIC KEY" of a PEM file. */
int vn_keys_add_public(struct vn_public_keys *keys, const char *file, struct vn_err *err);
int vn_keys_parse_public(struct vn_public_keys *keys, const void *pem, size_t len, const char *file, struct vn_err *err);

#define VN_SIGNATURE_MOST 80         /* bytes; P-256 needs up to 72, Ed25519 64 */
int vn_key_sign(const struct vn_key *key, const void *data, size_t len, uint8_t ret[VN_SIGNATURE_MOST], size_t *ret_len,
		struct vn_err *err);
/* *ret false: it is not by this key over these bytes. */
int vn_key_verify(const struct vn_key *key, const void *data, size_t len, const uint8_t *signature, size_t signature_len,
		  bool *ret, struct vn_err *err);

/* The container of cosign's encrypted private keys: JSON with scrypt (RFC 7914) and NaCl's secretbox (XSalsa20, Poly1305).
 * `ret` gets the PKCS#8 DER within; its owner wipes it. */
int vn_sealed_open(const void *json, size_t len, const char *file, const struct vn_passphrase *passphrase, struct vn_buf *ret,
		   struct vn_err *err);
/* secretbox alone: 16 bytes of Poly1305, then the ciphertext. `out` holds len - 16 bytes; *ret false: it was not sealed so. */
int vn_secretbox_open(const uint8_t key[32], const uint8_t nonce[24], const uint8_t *box, size_t len, uint8_t *out, bool *ret,
		      struct vn_err *err);
#endif
