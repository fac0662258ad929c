/* The private keys of `cosign generate-key-pair`: a PEM block "ENCRYPTED SIGSTORE PRIVATE KEY" (formerly "… COSIGN …") whose
 * bytes are (secure-systems-lab/go-securesystemslib, encrypted/encrypted.go)
 *
 *   {"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":BASE64},
 *    "cipher":{"name":"nacl/secretbox","nonce":BASE64},"ciphertext":BASE64}
 */
#include "json/json.h"
#include "sign/key.h"
#include "util/digest.h"
#include "util/limits.h"
#include "util/num.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#define TAG 16
#define NONCE 24
#define KEY 32

/* ---- Salsa20 (D. J. Bernstein, "Salsa20 specification"; "Extending the Salsa20 nonce" for XSalsa20) */
static uint32_t turn(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void quarter(uint32_t x[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	x[b] ^= turn(x[a] + x[d], 7);
	x[c] ^= turn(x[b] + x[a], 9);
	x[d] ^= turn(x[c] + x[b], 13);
	x[a] ^= turn(x[d] + x[c], 18);
}

static void rounds(uint32_t x[16])
{
	for (int i = 0; i < 10; i++) {
		quarter(x, 0, 4, 8, 12), quarter(x, 5, 9, 13, 1), quarter(x, 10, 14, 2, 6), quarter(x, 15, 3, 7, 11);
		quarter(x, 0, 1, 2, 3), quarter(x, 5, 6, 7, 4), quarter(x, 10, 11, 8, 9), quarter(x, 15, 12, 13, 14);
	}
}

/* `in`: 16 bytes, for Salsa20 a nonce of 8 and the number of the block. */
static void state(uint32_t x[16], const uint8_t key[KEY], const uint8_t in[16])
{
	static const uint8_t sigma[] = "expand 32-byte k";
	for (unsigned i = 0; i < 4; i++) {
		x[5 * i] = vn_get_u32(sigma + 4 * i);
		x[1 + i] = vn_get_u32(key + 4 * i);
		x[6 + i] = vn_get_u32(in + 4 * i);
		x[11 + i] = vn_get_u32(key + 16 + 4 * i);
	}
}

static void hsalsa20(const uint8_t key[KEY], const uint8_t in[16], uint8_t out[KEY])
{
	static const unsigned picked[] = { 0, 5, 10, 15, 6, 7, 8, 9 };
	uint32_t x[16];
	state(x, key, in);
	rounds(x);
	for (unsigned i = 0; i < 8; i++)
		vn_put_u32(out + 4 * i, x[picked[i]]);
	explicit_bzero(x, sizeof(x));
}

static void salsa20_block(const uint8_t key[KEY], const uint8_t nonce[8], uint64_t number, uint8_t out[64])
{
	uint32_t x[16], y[16];
	uint8_t in[16];
	memcpy(in, nonce, 8);
	vn_put_u64(in + 8, number);
	state(x, key, in);
	memcpy(y, x, sizeof(y));
	rounds(y);
	for (unsigned i = 0; i < 16; i++)
		vn_put_u32(out + 4 * i, x[i] + y[i]);
	explicit_bzero(x, sizeof(x));
	explicit_bzero(y, sizeof(y));
}

static int poly1305(const uint8_t key[KEY], const uint8_t *data, size_t len, uint8_t ret[TAG], struct vn_err *err)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "POLY1305", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	size_t n = 0;
	bool good = ctx && EVP_MAC_init(ctx, key, KEY, NULL) == 1 && EVP_MAC_update(ctx, data, len) == 1 &&
		    EVP_MAC_final(ctx, ret, &n, TAG) == 1 && n == TAG;
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	ERR_clear_error();
	return good ? 0 : vn_fail(err, VN_EIO, "libcrypto cannot compute Poly1305");
}

int vn_secretbox_open(const uint8_t key[32], const uint8_t nonce[24], const uint8_t *box, size_t len, uint8_t *out, bool *ret,
		      struct vn_err *err)
{
	uint8_t subkey[KEY], block[64], tag[TAG];
	*ret = false;
	if (len < TAG)
		return 0;
	hsalsa20(key, nonce, subkey);
	/* the first half of the stream's first block is Poly1305's key, the message goes on behind it */
	salsa20_block(subkey, nonce + 16, 0, block);
	int rc = poly1305(block, box + TAG, len - TAG, tag, err);
	*ret = rc == 0 && CRYPTO_memcmp(tag, box, TAG) == 0;
	for (size_t i = 0; *ret && i < len - TAG; i++) {
		size_t at = KEY + i;
		if (at % sizeof(block) == 0)
			salsa20_block(subkey, nonce + 16, at / sizeof(block), block);
		out[i] = box[TAG + i] ^ block[at % sizeof(block)];
	}
	explicit_bzero(subkey, sizeof(subkey));
	explicit_bzero(block, sizeof(block));
	return rc;
}

/* ---- scrypt */
struct work {
	int64_t n, r, p;
};

/* The three strengths that exist; another one is a trap. */
static int check_work(const struct work *w, const char *file, struct vn_err *err)
{
	if (w->r == 8 && w->p == 1 && (w->n == 1 << 15 || w->n == 1 << 16 || w->n == 1 << 17))
		return 0;
	return vn_fail(err, VN_EUNSAFE, "%s: scrypt with N %lld, r %lld, p %lld, expected N 32768, 65536 or 131072, r 8, p 1",
		       file, (long long)w->n, (long long)w->r, (long long)w->p);
}

static int scrypt(const struct vn_passphrase *passphrase, const uint8_t *salt, size_t salt_len, const struct work *w,
		  uint8_t ret[KEY], struct vn_err *err)
{
	uint64_t n = (uint64_t)w->n, most = VN_MAX_SCRYPT_MEMORY;
	uint32_t r = (uint32_t)w->r, p = (uint32_t)w->p;
	struct vn_passphrase copy = *passphrase;
	VN_AUTO_FREE uint8_t *salt_copy = malloc(salt_len + 1);
	if (!salt_copy)
		return vn_nomem(err);
	memcpy(salt_copy, salt, salt_len);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, copy.text, copy.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt_copy, salt_len),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &most),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	bool good = ctx && EVP_KDF_derive(ctx, ret, KEY, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	ERR_clear_error();
	vn_passphrase_release(&copy);
	return good ? 0 : vn_fail(err, VN_EIO, "libcrypto cannot compute scrypt");
}

/* ---- the container */
struct sealed {
	struct work work;
	uint8_t *salt, *nonce, *box;
	size_t salt_len, nonce_len, box_len;
};

static void sealed_release(struct sealed *s)
{
	free(s->salt);
	free(s->nonce);
	free(s->box);
}

static int named(const struct vn_jv *obj, const char *want, struct vn_err *err)
{
	const char *name;
	int rc = vn_jv_need_text(obj, "name", &name, err);
	if (rc == 0 && strcmp(name, want))
		rc = vn_fail(err, VN_EFORMAT, "%s: %s/name is \"%.40s\", expected \"%s\"", obj->what, obj->at, name, want);
	return rc;
}

static int need_bytes(const struct vn_jv *obj, const char *key, uint8_t **ret, size_t *ret_len, struct vn_err *err)
{
	const char *text;
	int rc = vn_jv_need_text(obj, key, &text, err);
	if (rc == 0 && vn_base64_decode(text, ret, ret_len, err) < 0)
		rc = vn_wrap(err, "%s: %s/%s", obj->what, obj->at, key);
	return rc;
}

static int read_sealed(const void *json, size_t len, const char *file, struct sealed *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	int rc = vn_json_parse(json, len, file, &doc, err);
	if (rc < 0)
		return rc;
	struct vn_jv root = vn_jv_root(doc, file), kdf = vn_jv_get(&root, "kdf"), cipher = vn_jv_get(&root, "cipher");
	struct vn_jv params = vn_jv_get(&kdf, "params");
	if (!vn_jv_is_object(&root) || !vn_jv_is_object(&kdf) || !vn_jv_is_object(&cipher) || !vn_jv_is_object(&params))
		return vn_fail(err, VN_EFORMAT, "%s: the sealed key lacks \"kdf\" or \"cipher\"", file);
	if (named(&kdf, "scrypt", err) < 0 || named(&cipher, "nacl/secretbox", err) < 0 ||
	    vn_jv_need_size(&params, "N", &ret->work.n, err) < 0 || vn_jv_need_size(&params, "r", &ret->work.r, err) < 0 ||
	    vn_jv_need_size(&params, "p", &ret->work.p, err) < 0 || check_work(&ret->work, file, err) < 0 ||
	    need_bytes(&kdf, "salt", &ret->salt, &ret->salt_len, err) < 0 ||
	    need_bytes(&cipher, "nonce", &ret->nonce, &ret->nonce_len, err) < 0 ||
	    need_bytes(&root, "ciphertext", &ret->box, &ret->box_len, err) < 0)
		return -err->code;
	if (ret->nonce_len != NONCE)
		return vn_fail(err, VN_EFORMAT, "%s: /cipher/nonce has %zu bytes, expected %d", file, ret->nonce_len, NONCE);
	if (ret->box_len <= TAG)
		return vn_fail(err, VN_EFORMAT, "%s: /ciphertext has %zu bytes, too few for a key", file, ret->box_len);
	return 0;
}

int vn_sealed_open(const void *json, size_t len, const char *file, const struct vn_passphrase *passphrase, struct vn_buf *ret,
		   struct vn_err *err)
{
	VN_AUTO(sealed) s = { .salt = NULL };
	uint8_t key[KEY];
	bool good = false;
	int rc = read_sealed(json, len, file, &s, err);
	if (rc == 0)
		rc = vn_buf_reserve(ret, s.box_len - TAG, err);
	if (rc == 0)
		rc = scrypt(passphrase, s.salt, s.salt_len, &s.work, key, err);
	if (rc == 0)
		rc = vn_secretbox_open(key, s.nonce, s.box, s.box_len, (uint8_t *)ret->data + ret->len, &good, err);
	explicit_bzero(key, sizeof(key));
	if (rc < 0)
		return rc;
	if (!good)
		return vn_fail(err, VN_EAUTH, "the passphrase does not open the private key %s", file);
	ret->len += s.box_len - TAG;
	ret->data[ret->len] = 0;
	return 0;
}
