/* The door to libcrypto: content digests (image-spec descriptor.md, "Digests") and the keyed fingerprint by which file
 * contents are compared. */
#ifndef VN_UTIL_DIGEST_H
#define VN_UTIL_DIGEST_H
#include "util/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VN_DIGEST_TEXT 136           /* "sha512:" + 128 + NUL */
struct vn_digest {
	char text[VN_DIGEST_TEXT];   /* "sha256:<64 lower-case hex>" or "sha512:…"; "" = none */
};
int vn_digest_parse(const char *text, struct vn_digest *ret, struct vn_err *err);   /* refuses other algorithms */
bool vn_digest_valid(const char *text);
static inline bool vn_digest_none(const struct vn_digest *d) { return d->text[0] == 0; }
bool vn_digest_equal(const struct vn_digest *a, const struct vn_digest *b);
const char *vn_digest_hex(const struct vn_digest *d);                               /* after the colon */
int vn_digest_of(const void *data, size_t len, struct vn_digest *ret, struct vn_err *err);   /* sha256 */

struct vn_hash;                      /* a running digest */
int vn_hash_open(const char *algorithm, struct vn_hash **ret, struct vn_err *err);  /* "sha256", "sha512" */
int vn_hash_add(struct vn_hash *hash, const void *data, size_t len, struct vn_err *err);
int vn_hash_end(struct vn_hash *hash, struct vn_digest *ret, struct vn_err *err);   /* and ready for the next */
void vn_hash_close(struct vn_hash *hash);                                           /* NULL is fine */
static inline void vn_hash_close_p(struct vn_hash **hash) { vn_hash_close(*hash); }
#define VN_AUTO_HASH VN_CLEANUP(vn_hash_close_p) struct vn_hash

/* GHASH under a secret key (GMAC, NIST SP 800-38D, fixed IV, never shown to anybody): equal contents have equal
 * fingerprints; two different contents of n bytes collide with probability below n / 2^131, whoever chose them, as long as
 * the key is unknown to them. Five times as fast as SHA-256, which is why trees are compared by it. */
#define VN_PRINT_SIZE 16
#define VN_PRINT_KEY 16
struct vn_printer;
int vn_printer_open(const uint8_t key[VN_PRINT_KEY], struct vn_printer **ret, struct vn_err *err);
int vn_printer_add(struct vn_printer *p, const void *data, size_t len, struct vn_err *err);
int vn_printer_end(struct vn_printer *p, uint8_t ret[VN_PRINT_SIZE], struct vn_err *err);   /* and ready for the next */
void vn_printer_close(struct vn_printer *p);

int vn_random(void *data, size_t len, struct vn_err *err);
int vn_base64_encode(const void *data, size_t len, char **ret_text, struct vn_err *err);
/* Strict standard alphabet with padding; the result is NUL-terminated behind ret_len bytes. */
int vn_base64_decode(const char *text, uint8_t **ret_data, size_t *ret_len, struct vn_err *err);
#endif
