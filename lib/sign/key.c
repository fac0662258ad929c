#include "sign/key.h"
#include "sign/sign.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/fs.h"
#include "util/limits.h"
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

const char *vn_key_algorithm(const struct vn_key *key)
{
	return key->kind == VN_KEY_P256 ? "ecdsa-p256-sha256" : "ed25519";
}

void vn_key_close(struct vn_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key->file);
	free(key);
}

void vn_public_keys_close(struct vn_public_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->n; i++)
		vn_key_close(keys->list[i]);
	free(keys->list);
	free(keys);
}

static void keys_close_p(struct vn_public_keys **keys)
{
	vn_public_keys_close(*keys);
}

static void bio_free_p(BIO **bio)
{
	BIO_free(*bio);
}

/* libcrypto's own words, and its queue is empty afterwards. */
static const char *why(char out[160])
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());
	snprintf(out, 160, "%s", text ? text : "libcrypto refuses it");
	ERR_clear_error();
	return out;
}

/* ---- passphrases */
void vn_passphrase_release(struct vn_passphrase *p)
{
	explicit_bzero(p, sizeof(*p));
}

static void wipe_buf(struct vn_buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	vn_buf_release(buf);
}

int vn_passphrase_read(const char *file, struct vn_passphrase *ret, struct vn_err *err)
{
	VN_CLEANUP(wipe_buf) struct vn_buf bytes = VN_BUF(VN_MAX_KEY_FILE);
	const char *text = file ? NULL : getenv("COSIGN_PASSWORD");
	size_t len = 0;
	if (!file && !text) {
		*ret = (struct vn_passphrase){ .given = false };
		return 0;
	}
	if (file && vn_fs_read(file, &bytes, err) < 0)
		return vn_wrap(err, "passphrase");
	text = file ? vn_buf_text(&bytes) : text;
	len = strcspn(text, "\r\n");
	if (len > VN_PASSPHRASE_MOST)
		return vn_fail(err, VN_ELIMIT, "the passphrase %s%s is longer than %d bytes",
			       file ? "in " : "of COSIGN_PASSWORD", file ? file : "", VN_PASSPHRASE_MOST);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->text, text, len);
	ret->len = len;
	ret->given = true;
	return 0;
}

/* ---- keys */
static int kind_of(EVP_PKEY *pkey, const char *file, enum vn_key_kind *ret, struct vn_err *err)
{
	char curve[64] = "", text[160];
	size_t len = 0;
	if (EVP_PKEY_is_a(pkey, "ED25519")) {
		*ret = VN_KEY_ED25519;
		return 0;
	}
	bool ec = EVP_PKEY_is_a(pkey, "EC") == 1;
	if (ec && EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), &len) == 1 && !strcmp(curve, SN_X9_62_prime256v1)) {
		/* one spelling of the same key, and so one ID */
		if (EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
						   OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1)
			return vn_fail(err, VN_EFORMAT, "%s: %s", file, why(text));
		*ret = VN_KEY_P256;
		return 0;
	}
	ERR_clear_error();
	const char *type = EVP_PKEY_get0_type_name(pkey);
	vn_fail(err, VN_EFORMAT, "%s holds a key of type %s%s%s, expected ECDSA on P-256 or Ed25519", file,
		type ? type : "unknown", *curve ? " on " : "", curve);
	return vn_hint(err, "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one.");
}

static int identify(struct vn_key *key, struct vn_err *err)
{
	unsigned char *der = NULL;
	struct vn_digest digest;
	char text[160];
	int len = i2d_PUBKEY(key->pkey, &der);
	if (len <= 0)
		return vn_fail(err, VN_EFORMAT, "%s: %s", key->file, why(text));
	int rc = vn_digest_of(der, (size_t)len, &digest, err);
	OPENSSL_free(der);
	if (rc < 0)
		return rc;
	const char *hex = vn_digest_hex(&digest);
	snprintf(key->id_text, sizeof(key->id_text), "%s", hex);
	for (size_t i = 0; i < VN_KEY_ID; i++) {
		const char pair[3] = { hex[2 * i], hex[2 * i + 1], 0 };
		key->id[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return 0;
}

/* Owns pkey. */
static int new_key(EVP_PKEY *pkey, const char *file, struct vn_key **ret, struct vn_err *err)
{
	VN_AUTO_KEY *key = calloc(1, sizeof(*key));
	if (!key) {
		EVP_PKEY_free(pkey);
		return vn_nomem(err);
	}
	key->pkey = pkey;
	int rc = vn_strdup(file, &key->file, err);
	if (rc == 0)
		rc = kind_of(pkey, file, &key->kind, err);
	if (rc == 0)
		rc = identify(key, err);
	if (rc == 0)
		*ret = vn_steal(key);
	return rc;
}

/* One block of a PEM file (RFC 7468). */
struct block {
	char *name, *header;
	unsigned char *data;
	long len;
};

static void block_release(struct block *b)
{
	OPENSSL_free(b->name);
	OPENSSL_free(b->header);
	OPENSSL_clear_free(b->data, b->len > 0 ? (size_t)b->len : 0);
	*b = (struct block){ 0 };
}

/* *ret_there false: there are no more. */
static int next_block(BIO *bio, const char *file, struct block *ret, bool *ret_there, struct vn_err *err)
{
	char text[160];
	*ret_there = PEM_read_bio(bio, &ret->name, &ret->header, &ret->data, &ret->len) == 1;
	if (*ret_there)
		return 0;
	bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	if (!end)
		return vn_fail(err, VN_EFORMAT, "%s is no sound PEM file: %s", file, why(text));
	ERR_clear_error();
	return 0;
}

static int add_public(struct vn_public_keys *keys, const struct block *b, const char *file, struct vn_err *err)
{
	const unsigned char *p = b->data;
	char text[160];
	if (strcmp(b->name, "PUBLIC KEY")) {
		vn_fail(err, VN_EFORMAT, "%s holds \"%.60s\", expected \"PUBLIC KEY\"", file, b->name);
		if (strstr(b->name, "PRIVATE KEY"))
			return vn_hint(err, "Verifying takes its public half: `openssl pkey -pubout` writes it.");
		return vn_hint(err, "`openssl x509 -pubkey -noout` takes the key out of a certificate.");
	}
	if (keys->n >= VN_MAX_PUBLIC_KEYS)
		return vn_fail(err, VN_ELIMIT, "%s: more than %d public keys", file, VN_MAX_PUBLIC_KEYS);
	int rc = vn_grow(&keys->list, &keys->cap, keys->n + 1, sizeof(*keys->list), err);
	if (rc < 0)
		return rc;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, b->len);
	if (!pkey || p != b->data + b->len) {
		EVP_PKEY_free(pkey);
		return vn_fail(err, VN_EFORMAT, "%s: the public key cannot be read: %s", file, why(text));
	}
	rc = new_key(pkey, file, &keys->list[keys->n], err);
	keys->n += rc == 0;
	return rc;
}

int vn_keys_parse_public(struct vn_public_keys *keys, const void *pem, size_t len, const char *file, struct vn_err *err)
{
	VN_CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(len ? pem : "", (int)len);
	size_t before = keys->n;
	bool there = true;
	if (!bio)
		return vn_nomem(err);
	while (there) {
		VN_AUTO(block) b = { 0 };
		int rc = next_block(bio, file, &b, &there, err);
		if (rc == 0 && there)
			rc = add_public(keys, &b, file, err);
		if (rc < 0)
			return rc;
	}
	if (keys->n == before)
		return vn_fail(err, VN_EFORMAT, "%s holds no PEM, expected \"-----BEGIN PUBLIC KEY-----\"", file);
	return 0;
}

int vn_keys_add_public(struct vn_public_keys *keys, const char *file, struct vn_err *err)
{
	VN_AUTO(vn_buf) pem = VN_BUF(VN_MAX_KEY_FILE);
	int rc = vn_fs_read(file, &pem, err);
	return rc < 0 ? vn_wrap(err, "public key") : vn_keys_parse_public(keys, vn_buf_text(&pem), pem.len, file, err);
}

int vn_public_keys_open(const char *const *files, size_t n, struct vn_public_keys **ret, struct vn_err *err)
{
	VN_CLEANUP(keys_close_p) struct vn_public_keys *keys = calloc(1, sizeof(*keys));
	if (!keys)
		return vn_nomem(err);
	if (!n) {
		vn_fail(err, VN_EUSAGE, "there is no public key, and without one nothing can be verified");
		return vn_hint(err, "Name one: --key FILE.");
	}
	for (size_t i = 0; i < n; i++) {
		int rc = vn_keys_add_public(keys, files[i], err);
		if (rc < 0)
			return rc;
	}
	*ret = vn_steal(keys);
	return 0;
}

bool vn_public_keys_have(const struct vn_public_keys *keys, const char *key_id)
{
	for (size_t i = 0; i < keys->n; i++)
		if (!strcmp(keys->list[i]->id_text, key_id))
			return true;
	return false;
}

/* ---- private keys */
struct asked {
	const struct vn_passphrase *passphrase;
	bool asked;
};

/* Never asks on a terminal, as libcrypto would by itself. */
static int give(char *out, int size, int writing, void *user)
{
	struct asked *a = user;
	(void)writing;
	a->asked = true;
	if (!a->passphrase->given || size < 0 || a->passphrase->len > (size_t)size)
		return -1;
	memcpy(out, a->passphrase->text, a->passphrase->len);
	return (int)a->passphrase->len;
}

static int no_passphrase(const char *file, struct vn_err *err)
{
	vn_fail(err, VN_EAUTH, "the private key %s is encrypted, and there is no passphrase", file);
	return vn_hint(err, "Set COSIGN_PASSWORD, or name a file with --passphrase-file.");
}

static int from_sealed(const struct block *b, const char *file, const struct vn_passphrase *passphrase, EVP_PKEY **ret,
		       struct vn_err *err)
{
	VN_CLEANUP(wipe_buf) struct vn_buf der = VN_BUF(VN_MAX_KEY_FILE);
	char text[160];
	if (!passphrase->given)
		return no_passphrase(file, err);
	int rc = vn_sealed_open(b->data, (size_t)b->len, file, passphrase, &der, err);
	if (rc < 0)
		return rc;
	const unsigned char *p = (const unsigned char *)vn_buf_text(&der);
	*ret = d2i_AutoPrivateKey(NULL, &p, (long)der.len);
	return *ret ? 0 : vn_fail(err, VN_EFORMAT, "%s: what is sealed in it is no PKCS#8 key: %s", file, why(text));
}

static int from_pem(const struct vn_buf *pem, const char *file, const struct vn_passphrase *passphrase, EVP_PKEY **ret,
		    struct vn_err *err)
{
	struct asked asked = { passphrase, false };
	char text[160];
	VN_CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	if (!bio)
		return vn_nomem(err);
	*ret = PEM_read_bio_PrivateKey(bio, NULL, give, &asked);
	if (*ret)
		return 0;
	why(text);
	if (!asked.asked)
		return vn_fail(err, VN_EFORMAT, "%s: the private key cannot be read: %s", file, text);
	return passphrase->given ? vn_fail(err, VN_EAUTH, "the passphrase does not open the private key %s", file) :
				   no_passphrase(file, err);
}

int vn_key_open_private(const char *file, const struct vn_passphrase *passphrase, struct vn_key **ret, struct vn_err *err)
{
	VN_CLEANUP(wipe_buf) struct vn_buf pem = VN_BUF(VN_MAX_KEY_FILE);
	VN_AUTO(block) b = { 0 };
	EVP_PKEY *pkey = NULL;
	bool there = false;
	if (vn_fs_read(file, &pem, err) < 0)
		return vn_wrap(err, "private key");
	VN_CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(vn_buf_text(&pem), (int)pem.len);
	if (!bio)
		return vn_nomem(err);
	int rc = next_block(bio, file, &b, &there, err);
	/* what `openssl ecparam -genkey` puts in front */
	if (rc == 0 && there && !strcmp(b.name, "EC PARAMETERS")) {
		block_release(&b);
		rc = next_block(bio, file, &b, &there, err);
	}
	if (rc < 0)
		return rc;
	if (!there || !strstr(b.name, "PRIVATE KEY")) {
		vn_fail(err, VN_EFORMAT, "%s holds %s%.60s%s, expected a private key in PEM", file, there ? "\"" : "no PEM",
			there ? b.name : "", there ? "\"" : "");
		return there ? vn_hint(err, "Signing takes the private key, `veneer verify` the public one.") : -VN_EFORMAT;
	}
	if (!strcmp(b.name, "ENCRYPTED SIGSTORE PRIVATE KEY") || !strcmp(b.name, "ENCRYPTED COSIGN PRIVATE KEY"))
		rc = from_sealed(&b, file, passphrase, &pkey, err);
	else
		rc = from_pem(&pem, file, passphrase, &pkey, err);
	return rc < 0 ? rc : new_key(pkey, file, ret, err);
}

/* ---- signatures */
static void ctx_free_p(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static const EVP_MD *hash_of(const struct vn_key *key)
{
	return key->kind == VN_KEY_P256 ? EVP_sha256() : NULL;
}

int vn_key_sign(const struct vn_key *key, const void *data, size_t len, uint8_t ret[VN_SIGNATURE_MOST], size_t *ret_len,
		struct vn_err *err)
{
	VN_CLEANUP(ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t most = VN_SIGNATURE_MOST;
	char text[160];
	if (!ctx)
		return vn_nomem(err);
	if (EVP_DigestSignInit(ctx, NULL, hash_of(key), NULL, key->pkey) != 1 ||
	    EVP_DigestSign(ctx, ret, &most, data, len) != 1)
		return vn_fail(err, VN_EIO, "cannot sign with %s: %s", key->file, why(text));
	*ret_len = most;
	return 0;
}

int vn_key_verify(const struct vn_key *key, const void *data, size_t len, const uint8_t *signature, size_t signature_len,
		  bool *ret, struct vn_err *err)
{
	VN_CLEANUP(ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char text[160];
	if (!ctx)
		return vn_nomem(err);
	if (EVP_DigestVerifyInit(ctx, NULL, hash_of(key), NULL, key->pkey) != 1)
		return vn_fail(err, VN_EIO, "cannot verify with %s: %s", key->file, why(text));
	*ret = EVP_DigestVerify(ctx, signature, signature_len, data, len) == 1;
	ERR_clear_error();
	return 0;
}
