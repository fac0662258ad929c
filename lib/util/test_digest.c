#include "util/cleanup.h"
#include "util/digest.h"
#include "util/test.h"

static void sha256_of_known_bytes(void)
{
	struct vn_err err = { 0 };
	struct vn_digest d = { "" };
	CHECK_OK(vn_digest_of("{}", 2, &d, &err), &err);
	CHECK_STR(d.text, "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
	struct vn_hash *h = NULL;
	CHECK_OK(vn_hash_open("sha512", &h, &err), &err);
	CHECK_OK(vn_hash_end(h, &d, &err), &err);
	CHECK(!strncmp(d.text, "sha512:cf83e1357eefb8bdf1542850d66d8007", 30));
	vn_hash_close(h);
}

static void only_well_formed_digests_parse(void)
{
	struct vn_err err = { 0 };
	struct vn_digest d;
	static const char *bad[] = { "", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e",
				     "sha256:44136FA355B3678A1146AD16F7E8649E94FB4FC21FE77E8310C060F61CAAFF8A",
				     "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8",
				     "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a0" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(vn_digest_parse(bad[i], &d, &err), -VN_EFORMAT);
	CHECK_OK(vn_digest_parse("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", &d, &err), &err);
	CHECK_STR(vn_digest_hex(&d), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

static void fingerprints_depend_on_content_and_key_alone(void)
{
	struct vn_err err = { 0 };
	uint8_t k1[16] = { 1 }, k2[16] = { 2 }, a[16], b[16], c[16], d[16];
	struct vn_printer *p = NULL, *q = NULL;
	CHECK_OK(vn_printer_open(k1, &p, &err), &err);
	CHECK_OK(vn_printer_open(k2, &q, &err), &err);
	CHECK_OK(vn_printer_add(p, "hello world, hello world", 24, &err), &err);
	CHECK_OK(vn_printer_end(p, a, &err), &err);
	CHECK_OK(vn_printer_add(p, "hello", 5, &err), &err);
	CHECK_OK(vn_printer_add(p, " world, hello world", 19, &err), &err);
	CHECK_OK(vn_printer_end(p, b, &err), &err);
	CHECK(!memcmp(a, b, 16));
	CHECK_OK(vn_printer_add(p, "hello world, hello worlD", 24, &err), &err);
	CHECK_OK(vn_printer_end(p, c, &err), &err);
	CHECK(memcmp(a, c, 16));
	CHECK_OK(vn_printer_add(q, "hello world, hello world", 24, &err), &err);
	CHECK_OK(vn_printer_end(q, d, &err), &err);
	CHECK(memcmp(a, d, 16));
	vn_printer_close(p);
	vn_printer_close(q);
}

static void base64_is_strict(void)
{
	struct vn_err err = { 0 };
	static const char *plain[] = { "", "f", "fo", "foo", "foob" };
	static const char *coded[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==" };
	for (int i = 0; i < 5; i++) {
		VN_AUTO_FREE char *text = NULL;
		VN_AUTO_FREE uint8_t *data = NULL;
		size_t len = 99;
		CHECK_OK(vn_base64_encode(plain[i], strlen(plain[i]), &text, &err), &err);
		CHECK_STR(text, coded[i]);
		CHECK_OK(vn_base64_decode(coded[i], &data, &len, &err), &err);
		CHECK_EQ(len, strlen(plain[i]));
		CHECK_STR((char *)data, plain[i]);
	}
	uint8_t *data;
	size_t len;
	CHECK_EQ(vn_base64_decode("Zg=", &data, &len, &err), -VN_EFORMAT);
	CHECK_EQ(vn_base64_decode("Z===", &data, &len, &err), -VN_EFORMAT);
	CHECK_EQ(vn_base64_decode("Zm9\n", &data, &len, &err), -VN_EFORMAT);
}

static void errors_keep_the_cause(void)
{
	struct vn_err err = { 0 };
	CHECK_EQ(vn_fail(&err, VN_EDIGEST, "found %d", 7), -VN_EDIGEST);
	CHECK_EQ(vn_wrap(&err, "layer %d", 3), -VN_EDIGEST);
	CHECK_STR(err.text, "layer 3: found 7");
	vn_hint(&err, "first");
	vn_hint(&err, "second");
	CHECK_STR(err.hint, "first");
	for (int i = 0; i < 100; i++)
		vn_wrap(&err, "a long outer context that repeats itself");
	CHECK(strlen(err.text) < sizeof(err.text));
	CHECK_HAS(err.text, "found 7");
	CHECK_EQ(vn_exit_status(err.code), 4);
}

int main(void)
{
	RUN(sha256_of_known_bytes);
	RUN(only_well_formed_digests_parse);
	RUN(fingerprints_depend_on_content_and_key_alone);
	RUN(base64_is_strict);
	RUN(errors_keep_the_cause);
	return vn_test_end();
}
