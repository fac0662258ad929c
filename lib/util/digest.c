#include "util/digest.h"
#include "util/cleanup.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

static size_t hex_len(const char *text)
{
	return !strncmp(text, "sha256:", 7) ? 64 : !strncmp(text, "sha512:", 7) ? 128 : 0;
}

bool vn_digest_valid(const char *text)
{
	size_t n = hex_len(text);
	return n && strlen(text) == 7 + n && strspn(text + 7, "0123456789abcdef") == n;
}

int vn_digest_parse(const char *text, struct vn_digest *ret, struct vn_err *err)
{
	if (!vn_digest_valid(text))
		return vn_fail(err, VN_EFORMAT,
			       "\"%.150s\" is not a digest: expected sha256: and 64, or sha512: and 128, lower-case hex digits", text);
	snprintf(ret->text, sizeof(ret->text), "%s", text);
	return 0;
}

bool vn_digest_equal(const struct vn_digest *a, const struct vn_digest *b)
{
	return strcmp(a->text, b->text) == 0;
}

const char *vn_digest_hex(const struct vn_digest *d)
{
	const char *colon = strchr(d->text, ':');
	return colon ? colon + 1 : d->text;
}

struct vn_hash {
	EVP_MD_CTX *ctx;
	const EVP_MD *md;
	const char *name;
};

int vn_hash_open(const char *algorithm, struct vn_hash **ret, struct vn_err *err)
{
	bool is512 = !strncmp(algorithm, "sha512", 6);
	if (!is512 && strncmp(algorithm, "sha256", 6))
		return vn_fail(err, VN_EFORMAT, "the digest algorithm \"%.40s\" is not supported (sha256, sha512)", algorithm);
	struct vn_hash *h = calloc(1, sizeof(*h));
	if (!h)
		return vn_nomem(err);
	h->md = is512 ? EVP_sha512() : EVP_sha256();
	h->name = is512 ? "sha512" : "sha256";
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || EVP_DigestInit_ex(h->ctx, h->md, NULL) != 1) {
		vn_hash_close(h);
		return vn_nomem(err);
	}
	*ret = h;
	return 0;
}

int vn_hash_add(struct vn_hash *hash, const void *data, size_t len, struct vn_err *err)
{
	return EVP_DigestUpdate(hash->ctx, data, len) == 1 ? 0 : vn_fail(err, VN_EIO, "libcrypto cannot compute %s", hash->name);
}

int vn_hash_end(struct vn_hash *hash, struct vn_digest *ret, struct vn_err *err)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n;
	if (EVP_DigestFinal_ex(hash->ctx, raw, &n) != 1 || EVP_DigestInit_ex(hash->ctx, hash->md, NULL) != 1)
		return vn_fail(err, VN_EIO, "libcrypto cannot compute %s", hash->name);
	int at = snprintf(ret->text, sizeof(ret->text), "%s:", hash->name);
	static const char hex[] = "0123456789abcdef";
	for (unsigned i = 0; i < n; i++) {
		ret->text[at++] = hex[raw[i] >> 4];
		ret->text[at++] = hex[raw[i] & 15];
	}
	ret->text[at] = 0;
	return 0;
}

void vn_hash_close(struct vn_hash *hash)
{
	if (hash)
		EVP_MD_CTX_free(hash->ctx);
	free(hash);
}

int vn_digest_of(const void *data, size_t len, struct vn_digest *ret, struct vn_err *err)
{
	struct vn_hash *h = NULL;
	int r = vn_hash_open("sha256", &h, err);
	if (r == 0)
		r = vn_hash_add(h, data, len, err);
	if (r == 0)
		r = vn_hash_end(h, ret, err);
	vn_hash_close(h);
	return r;
}

struct vn_printer {
	EVP_CIPHER_CTX *ctx;
};

static const unsigned char fixed_iv[12] = "veneer-print";

int vn_printer_open(const uint8_t key[VN_PRINT_KEY], struct vn_printer **ret, struct vn_err *err)
{
	struct vn_printer *p = calloc(1, sizeof(*p));
	if (!p)
		return vn_nomem(err);
	p->ctx = EVP_CIPHER_CTX_new();
	if (!p->ctx || EVP_EncryptInit_ex(p->ctx, EVP_aes_128_gcm(), NULL, key, fixed_iv) != 1) {
		vn_printer_close(p);
		return vn_nomem(err);
	}
	*ret = p;
	return 0;
}

int vn_printer_add(struct vn_printer *p, const void *data, size_t len, struct vn_err *err)
{
	const unsigned char *at = data;
	while (len) {
		int n, chunk = len < (1u << 30) ? (int)len : 1 << 30;
		if (EVP_EncryptUpdate(p->ctx, NULL, &n, at, chunk) != 1)
			return vn_fail(err, VN_EIO, "libcrypto cannot compute GMAC");
		at += chunk;
		len -= (size_t)chunk;
	}
	return 0;
}

int vn_printer_end(struct vn_printer *p, uint8_t ret[VN_PRINT_SIZE], struct vn_err *err)
{
	int n;
	unsigned char none[16];
	if (EVP_EncryptFinal_ex(p->ctx, none, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(p->ctx, EVP_CTRL_GCM_GET_TAG, VN_PRINT_SIZE, ret) != 1 ||
	    EVP_EncryptInit_ex(p->ctx, NULL, NULL, NULL, fixed_iv) != 1)
		return vn_fail(err, VN_EIO, "libcrypto cannot compute GMAC");
	return 0;
}

void vn_printer_close(struct vn_printer *p)
{
	if (p)
		EVP_CIPHER_CTX_free(p->ctx);
	free(p);
}

int vn_random(void *data, size_t len, struct vn_err *err)
{
	if (len > 1u << 20 || RAND_bytes(data, (int)len) != 1)
		return vn_fail(err, VN_EIO, "libcrypto has no random bytes");
	return 0;
}

int vn_base64_encode(const void *data, size_t len, char **ret_text, struct vn_err *err)
{
	if (len > 1u << 30)
		return vn_fail(err, VN_ELIMIT, "%zu bytes are too many for base64", len);
	char *text = malloc((len + 2) / 3 * 4 + 1);
	if (!text)
		return vn_nomem(err);
	EVP_EncodeBlock((unsigned char *)text, data, (int)len);
	*ret_text = text;
	return 0;
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int vn_base64_decode(const char *text, uint8_t **ret_data, size_t *ret_len, struct vn_err *err)
{
	size_t n = strlen(text), pad = 0, o = 0;
	while (pad < 2 && pad < n && text[n - 1 - pad] == '=')
		pad++;
	if (n % 4)
		return vn_fail(err, VN_EFORMAT, "base64 text of %zu characters: expected a multiple of 4", n);
	VN_AUTO_FREE uint8_t *data = malloc(n / 4 * 3 + 1);
	if (!data)
		return vn_nomem(err);
	uint32_t bits = 0;
	for (size_t i = 0; i < n; i++) {
		int v = i >= n - pad ? 0 : value_of(text[i]);
		if (v < 0)
			return vn_fail(err, VN_EFORMAT, "base64 text has an odd character at offset %zu", i);
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 == 3) {
			data[o++] = (uint8_t)(bits >> 16);
			data[o++] = (uint8_t)(bits >> 8);
			data[o++] = (uint8_t)bits;
		}
	}
	o -= pad;
	data[o] = 0;
	*ret_len = o;
	*ret_data = vn_steal(data);
	return 0;
}
