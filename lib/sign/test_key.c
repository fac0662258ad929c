#include "sign/fixture.h"

/* P256_KEY sealed by testdata/cli/seal_key.py, and encrypted by `openssl pkcs8`, with the passphrase "open sesame" */
static const char sealed[] =
	"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
	"eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6\n"
	"OCwicCI6MX0sInNhbHQiOiJBQUVDQXdRRkJnY0lDUW9MREEwT0R4QVJFaE1VRlJZ\n"
	"WEdCa2FHeHdkSGg4PSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94\n"
	"Iiwibm9uY2UiOiJBQUVDQXdRRkJnY0lDUW9MREEwT0R4QVJFaE1VRlJZWCJ9LCJj\n"
	"aXBoZXJ0ZXh0IjoiTTF0bWVQSFJ4YkRzaGdDQ3lWYi9hNlB4MXdyL0dGb2pDU1NG\n"
	"QmpKRHpKRzBybWsrQitJU2FVcTUzNFBkaHRTSVNLaS9aNzkzbkZWbFdEU1VhblJ6\n"
	"MFErckRRMmlobE16Y0xTbitZVThpY0w1OUNHUjJNTjNVWkZ6YkhCTkU3RDFSRWRp\n"
	"bHdPTi9YcktwSGFSNjZzUWt3MlZjZjc1QnMycXh4eUNUNGRxT3N3eGlHaFA3TW5G\n"
	"S2UvbU1BTGdKOXh1NVl5NDZCS0Zrd010T2c9PSJ9\n"
	"-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
static const char encrypted[] =
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
	"MIHrMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAh9WaO15psFgQIBATAM\n"
	"BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBAgQQHnLS+1a+y6jwKYls9G/Q3QSBkOgU\n"
	"qrQFdLk/qphcfZHjc+RIiRYIYf+axIXLZCZdwnemvcJ+K430EZhmxWAKJusaaSa3\n"
	"pER/HVBhiU60eIXV7JknZxDz057yDFEAfC4Kz7PkNJjKtHpVGefrvxn3OKAUyDeT\n"
	"XslrWIFQUeqHwH3L3Il9MaxoYP5NU7f5+TBHaR0mIn0ohRckIi//XIQTbNQNDg==\n"
	"-----END ENCRYPTED PRIVATE KEY-----\n";
#define P256_ID "594cc27ee5f2a1ac2024b10edbf315f2aefa520e6cb9a905193d0268f3c2d795"

static void from_hex(const char *hex, uint8_t *out)
{
	for (; *hex; hex += 2) {
		const char pair[3] = { hex[0], hex[1], 0 };
		*out++ = (uint8_t)strtoul(pair, NULL, 16);
	}
}

/* The example of "Cryptography in NaCl", section 10. */
static void test_secretbox(void)
{
	static const char key_hex[] = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
	static const char nonce_hex[] = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";
	static const char box_hex[] =
		"f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4"
		"476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738"
		"b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de"
		"56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5";
	static const char plain_hex[] =
		"be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a"
		"1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057"
		"e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040"
		"e082f937763848645e0705";
	uint8_t key[32], nonce[24], box[200], plain[200], out[200];
	size_t len = (sizeof(box_hex) - 1) / 2;
	struct vn_err err = { 0 };
	bool good = false;
	from_hex(key_hex, key);
	from_hex(nonce_hex, nonce);
	from_hex(box_hex, box);
	from_hex(plain_hex, plain);
	CHECK_OK(vn_secretbox_open(key, nonce, box, len, out, &good, &err), &err);
	CHECK(good);
	CHECK(memcmp(out, plain, len - 16) == 0);
	for (size_t at = 0; at < len; at += 13) {
		box[at] ^= 1;
		CHECK_OK(vn_secretbox_open(key, nonce, box, len, out, &good, &err), &err);
		CHECK(!good);
		box[at] ^= 1;
	}
	CHECK_OK(vn_secretbox_open(key, nonce, box, 15, out, &good, &err), &err);
	CHECK(!good);
}

static int open_with(const char *pem, const char *passphrase, struct vn_key **ret, struct vn_err *err)
{
	VN_AUTO(vn_passphrase) p = { .given = passphrase };
	p.len = passphrase ? strlen(passphrase) : 0;
	memcpy(p.text, passphrase ? passphrase : "", p.len);
	return vn_key_open_private(file_of("b.key", pem), &p, ret, err);
}

static void test_passphrases(void)
{
	static const char *const both[] = { sealed, encrypted };
	for (size_t i = 0; i < 2; i++) {
		VN_AUTO_KEY *key = NULL, *none = NULL;
		struct vn_err err = { 0 };
		CHECK_OK(open_with(both[i], "open sesame", &key, &err), &err);
		CHECK_STR(key ? key->id_text : NULL, P256_ID);
		CHECK_EQ(open_with(both[i], "open sesam", &none, &err), -VN_EAUTH);
		CHECK_HAS(err.text, "the passphrase does not open");
		CHECK(!strstr(err.text, "sesam"));
		err = (struct vn_err){ 0 };
		CHECK_EQ(open_with(both[i], NULL, &none, &err), -VN_EAUTH);
		CHECK_HAS(err.hint, "COSIGN_PASSWORD");
		CHECK(!none);
	}
}

static void test_passphrase_places(void)
{
	VN_AUTO(vn_passphrase) p = { .len = 0 };
	struct vn_err err = { 0 };
	char *longer = calloc(1, VN_PASSPHRASE_MOST + 2);
	unsetenv("COSIGN_PASSWORD");
	CHECK_OK(vn_passphrase_read(NULL, &p, &err), &err);
	CHECK(!p.given);
	setenv("COSIGN_PASSWORD", "", 1);
	CHECK_OK(vn_passphrase_read(NULL, &p, &err), &err);
	CHECK(p.given && !p.len);
	setenv("COSIGN_PASSWORD", "abc", 1);
	CHECK_OK(vn_passphrase_read(NULL, &p, &err), &err);
	CHECK_STR(p.text, "abc");
	CHECK_OK(vn_passphrase_read(file_of("pass", "first line\r\nsecond\n"), &p, &err), &err);
	CHECK_STR(p.text, "first line");
	CHECK_EQ(p.len, 10);
	CHECK_EQ(vn_passphrase_read("/nonexistent/pass", &p, &err), -VN_ENOTFOUND);
	memset(longer, 'x', VN_PASSPHRASE_MOST + 1);
	CHECK_EQ(vn_passphrase_read(file_of("pass", longer), &p, &err), -VN_ELIMIT);
	unsetenv("COSIGN_PASSWORD");
	free(longer);
}

/* Both algorithms, and neither takes the other's for its own. */
static void test_sign_and_verify(void)
{
	static const char *const private[] = { P256_KEY, ED_KEY };
	static const char *const public[] = { P256_PUB, ED_PUB };
	static const char *const names[] = { "ecdsa-p256-sha256", "ed25519" };
	for (size_t i = 0; i < 2; i++) {
		VN_AUTO_KEY *key = private_key(private[i]);
		struct vn_public_keys *keys = public_keys(public[i]), *others = public_keys(public[1 - i]);
		struct vn_err err = { 0 };
		uint8_t signature[VN_SIGNATURE_MOST];
		size_t len = 0;
		bool good = false;
		CHECK_STR(vn_key_algorithm(key), names[i]);
		CHECK_STR(keys->list[0]->id_text, key->id_text);
		CHECK_OK(vn_key_sign(key, "message", 7, signature, &len, &err), &err);
		CHECK_OK(vn_key_verify(keys->list[0], "message", 7, signature, len, &good, &err), &err);
		CHECK(good);
		CHECK_OK(vn_key_verify(others->list[0], "message", 7, signature, len, &good, &err), &err);
		CHECK(!good);
		CHECK_OK(vn_key_verify(keys->list[0], "messagf", 7, signature, len, &good, &err), &err);
		CHECK(!good);
		CHECK_OK(vn_key_verify(keys->list[0], "message", 7, signature, len - 1, &good, &err), &err);
		CHECK(!good);
		CHECK_OK(vn_key_verify(keys->list[0], "message", 7, signature, 0, &good, &err), &err);
		CHECK(!good);
		signature[len - 1] ^= 1;
		CHECK_OK(vn_key_verify(keys->list[0], "message", 7, signature, len, &good, &err), &err);
		CHECK(!good);
		vn_public_keys_close(keys);
		vn_public_keys_close(others);
	}
}

/* RFC 8032, section 7.1, TEST 1: the empty message. The same bytes each time. */
static void test_ed25519_vector(void)
{
	static const char want_hex[] =
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
		"c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
	VN_AUTO_KEY *key = private_key(ED_KEY);
	uint8_t signature[VN_SIGNATURE_MOST], want[64];
	struct vn_err err = { 0 };
	size_t len = 0;
	from_hex(want_hex, want);
	for (int i = 0; i < 2; i++) {
		CHECK_OK(vn_key_sign(key, "", 0, signature, &len, &err), &err);
		CHECK_EQ(len, 64);
		CHECK(memcmp(signature, want, 64) == 0);
	}
}

static void no_public(const char *pem, int code, const char *says)
{
	struct vn_public_keys *keys = NULL;
	const char *file = file_of("c.pub", pem);
	struct vn_err err = { 0 };
	CHECK_EQ(vn_public_keys_open(&file, 1, &keys, &err), -code);
	CHECK_HAS(err.text, says);
	CHECK(!keys);
}

#define RSA_PUB                                                                                    \
	"-----BEGIN PUBLIC KEY-----\n"                                                             \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCyTMsEXUrNHgt7p9Or42nD+ETl\n"                       \
	"GPGI3ZhfQJXShLh/XBVLAMiGyZ86OWz5SM+zC0mBsc2zdlYH8PGad6WkCk6dvwe0\n"                       \
	"cvqPx5i5cxhWpx/r+8UfBth4Tt/mh+5AaxpclUDj95XM5mFyp8MKozkvcC8Gp0x9\n"                       \
	"+pHbIniO7Sdtmo5/RQIDAQAB\n"                                                               \
	"-----END PUBLIC KEY-----\n"

static void test_refused(void)
{
	struct vn_public_keys *keys = NULL;
	struct vn_err err = { 0 };
	const char *gone = "/nonexistent/a.pub";
	VN_AUTO_KEY *key = NULL;
	no_public("", VN_EFORMAT, "holds no PEM");
	no_public("ssh-ed25519 AAAA\n", VN_EFORMAT, "holds no PEM");
	no_public(P256_KEY, VN_EFORMAT, "expected \"PUBLIC KEY\"");
	no_public("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", VN_EFORMAT, "holds \"CERTIFICATE\"");
	no_public("-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n", VN_EFORMAT, "cannot be read");
	no_public("-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n", VN_EFORMAT, "is no sound PEM file");
	no_public(RSA_PUB, VN_EFORMAT, "a key of type RSA, expected ECDSA on P-256 or Ed25519");
	CHECK_EQ(vn_public_keys_open(NULL, 0, &keys, &err), -VN_EUSAGE);
	CHECK_EQ(vn_public_keys_open(&gone, 1, &keys, &err), -VN_ENOTFOUND);
	CHECK_EQ(open_with("", NULL, &key, &err), -VN_EFORMAT);
	CHECK_EQ(open_with(P256_PUB, NULL, &key, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "expected a private key");
	CHECK_EQ(open_with("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", NULL, &key, &err), -VN_EFORMAT);
	CHECK(!key && !keys);
}

static void test_several_in_a_file(void)
{
	struct vn_public_keys *keys = public_keys(P256_PUB ED_PUB);
	char *many = calloc(VN_MAX_PUBLIC_KEYS + 1, sizeof(ED_PUB));
	CHECK_EQ(keys->n, 2);
	CHECK_EQ(keys->list[1]->kind, VN_KEY_ED25519);
	vn_public_keys_close(keys);
	for (int i = 0; i <= VN_MAX_PUBLIC_KEYS; i++)
		memcpy(many + i * (sizeof(ED_PUB) - 1), ED_PUB, sizeof(ED_PUB));
	no_public(many, VN_ELIMIT, "more than 32 public keys");
	free(many);
}

/* Documents around the ciphertext that are not what they should be. */
static void sealed_refused(const char *json, int code, const char *says)
{
	VN_AUTO(vn_buf) out = VN_BUF(1 << 16);
	struct vn_passphrase p = { .text = "a", .len = 1, .given = true };
	struct vn_err err = { 0 };
	CHECK_EQ(vn_sealed_open(json, strlen(json), "k", &p, &out, &err), -code);
	CHECK_HAS(err.text, says);
}

#define SEALED(kdf, n, r, cipher, nonce, box)                                                                            \
	"{\"kdf\":{\"name\":\"" kdf "\",\"params\":{\"N\":" n ",\"r\":" r ",\"p\":1},\"salt\":\"AAAA\"}," \
	"\"cipher\":{\"name\":\"" cipher "\",\"nonce\":\"" nonce "\"},\"ciphertext\":\"" box "\"}"
#define NONCE24 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void test_sealed_refused(void)
{
	sealed_refused("", VN_EFORMAT, "k");
	sealed_refused("[]", VN_EFORMAT, "lacks \"kdf\"");
	sealed_refused("{\"kdf\":{},\"cipher\":{}}", VN_EFORMAT, "lacks");
	sealed_refused(SEALED("argon2", "32768", "8", "nacl/secretbox", NONCE24, NONCE24), VN_EFORMAT, "expected \"scrypt\"");
	sealed_refused(SEALED("scrypt", "32768", "8", "aes", NONCE24, NONCE24), VN_EFORMAT, "expected \"nacl/secretbox\"");
	sealed_refused(SEALED("scrypt", "1073741824", "8", "nacl/secretbox", NONCE24, NONCE24), VN_EUNSAFE, "scrypt with N");
	sealed_refused(SEALED("scrypt", "32768", "8000", "nacl/secretbox", NONCE24, NONCE24), VN_EUNSAFE, "scrypt with N");
	sealed_refused(SEALED("scrypt", "32768", "8", "nacl/secretbox", "AAAA", NONCE24), VN_EFORMAT,
		       "/cipher/nonce has 3 bytes");
	sealed_refused(SEALED("scrypt", "32768", "8", "nacl/secretbox", NONCE24, "AAAA"), VN_EFORMAT, "too few for a key");
	sealed_refused(SEALED("scrypt", "32768", "8", "nacl/secretbox", NONCE24, "?"), VN_EFORMAT, "/ciphertext");
}

int main(void)
{
	fixture_begin();
	RUN(test_secretbox);
	RUN(test_passphrases);
	RUN(test_passphrase_places);
	RUN(test_sign_and_verify);
	RUN(test_ed25519_vector);
	RUN(test_refused);
	RUN(test_several_in_a_file);
	RUN(test_sealed_refused);
	fixture_end();
	return vn_test_end();
}
