#include "sign/fixture.h"

#define HEX(d) d d d d d d d d d d d d d d d d
#define IMAGE "sha256:" HEX("aaaa")
#define OTHER "sha256:" HEX("bbbb")
#define PAYLOAD(digest, type, optional)                                                                                  \
	"{\"critical\":{\"identity\":{\"docker-reference\":\"r/a\"},\"image\":{\"docker-manifest-digest\":\"" digest "\"}," \
	"\"type\":\"" type "\"},\"optional\":" optional "}"
#define TYPE "cosign container image signature"
#define SUBJECT(hex, rest) "{\"digest\":{\"sha256\":\"" hex "\"}" rest "}"
#define STATEMENT(type, subjects, predicate)                                                                             \
	"{\"_type\":\"" type "\",\"subject\":[" subjects "],\"predicateType\":\"" predicate "\",\"predicate\":{}}"
#define V1 "https://in-toto.io/Statement/v1"

typedef int reader(const void *bytes, size_t len, const struct vn_digest *digest, struct vn_claim *ret, struct vn_err *err);

static struct vn_digest image_digest(void)
{
	struct vn_digest d;
	struct vn_err err = { 0 };
	CHECK_OK(vn_digest_parse(IMAGE, &d, &err), &err);
	return d;
}

static void good(reader *read, const char *text, uint64_t release, int64_t expires, const char *annotations)
{
	VN_AUTO(vn_claim) claim = { .release = 0 };
	struct vn_digest digest = image_digest();
	struct vn_err err = { 0 };
	CHECK_OK(read(text, strlen(text), &digest, &claim, &err), &err);
	CHECK_EQ(claim.release, release);
	CHECK_EQ(claim.has_release, release != 0);
	CHECK_EQ(claim.expires, expires);
	CHECK_EQ(claim.has_expires, expires != 0);
	CHECK_STR(claim.annotations, annotations);
}

static void bad(reader *read, const char *text, size_t len, int code, const char *says)
{
	VN_AUTO(vn_claim) claim = { .release = 0 };
	struct vn_digest digest = image_digest();
	struct vn_err err = { 0 };
	CHECK_EQ(read(text, len, &digest, &claim, &err), -code);
	CHECK_HAS(err.text, says);
	CHECK(!claim.annotations);
}

static void no_payload(const char *text, int code, const char *says)
{
	bad(vn_sign_payload_read, text, strlen(text), code, says);
}

static void no_statement(const char *text, int code, const char *says)
{
	bad(vn_sign_statement_read, text, strlen(text), code, says);
}

static void test_payload(void)
{
	good(vn_sign_payload_read, PAYLOAD(IMAGE, TYPE, "null"), 0, 0, "{}");
	good(vn_sign_payload_read, PAYLOAD(IMAGE, TYPE, "{}"), 0, 0, "{}");
	good(vn_sign_payload_read, PAYLOAD(IMAGE, TYPE, "{\"creator\":\"x\",\"timestamp\":17}"), 0, 0,
	     "{\"creator\":\"x\",\"timestamp\":17}");
	good(vn_sign_payload_read,
	     PAYLOAD(IMAGE, TYPE, "{\"dev.veneer.release\":\"12\",\"dev.veneer.expires\":\"1970-01-02T00:00:00Z\"}"), 12, 86400,
	     "{\"dev.veneer.release\":\"12\",\"dev.veneer.expires\":\"1970-01-02T00:00:00Z\"}");
}

static void test_payload_refused(void)
{
	no_payload("", VN_EFORMAT, "signed payload");
	no_payload("[]", VN_EFORMAT, "lacks /critical/image");
	no_payload("{\"critical\":{\"type\":\"" TYPE "\"}}", VN_EFORMAT, "lacks /critical/image");
	no_payload("{\"critical\":{\"type\":\"" TYPE "\",\"image\":{}}}", VN_EFORMAT, "docker-manifest-digest");
	no_payload("{\"critical\":{\"image\":{\"docker-manifest-digest\":\"" IMAGE "\"}}}", VN_EFORMAT, "type");
	no_payload(PAYLOAD(IMAGE, "atomic container signature", "null"), VN_EFORMAT,
		   "/critical/type is \"atomic container signature\"");
	no_payload(PAYLOAD(OTHER, TYPE, "null"), VN_EREFUSED, "it signs another image, " OTHER);
	/* the beginning of the digest is not the digest */
	no_payload(PAYLOAD("sha256:aaaa", TYPE, "null"), VN_EREFUSED, "another image");
	no_payload(PAYLOAD(IMAGE "a", TYPE, "null"), VN_EREFUSED, "another image");
	no_payload(PAYLOAD("", TYPE, "null"), VN_EREFUSED, "another image");
	no_payload(PAYLOAD(IMAGE, TYPE, "[]"), VN_EFORMAT, "optional");
	no_payload(PAYLOAD(IMAGE, TYPE, "null") "{}", VN_EFORMAT, "signed payload");
	no_payload("{\"critical\":1,\"critical\":2}", VN_EFORMAT, "critical");
}

static void no_note(const char *note, const char *says)
{
	char text[600];
	snprintf(text, sizeof(text), PAYLOAD(IMAGE, TYPE, "{%s}"), note);
	no_payload(text, VN_EFORMAT, says);
	snprintf(text, sizeof(text), STATEMENT(V1, SUBJECT(HEX("aaaa"), ",\"annotations\":{%s}"), VN_SIGN_PREDICATE), note);
	no_statement(text, VN_EFORMAT, says);
}

static void test_notes_refused(void)
{
	no_note("\"dev.veneer.release\":7", "dev.veneer.release");
	no_note("\"dev.veneer.release\":\"\"", "expected a decimal number from 1");
	no_note("\"dev.veneer.release\":\"0\"", "expected a decimal number from 1");
	no_note("\"dev.veneer.release\":\"-1\"", "expected a decimal number from 1");
	no_note("\"dev.veneer.release\":\"7 \"", "expected a decimal number from 1");
	no_note("\"dev.veneer.release\":\"9007199254740993\"", "expected a decimal number from 1");
	no_note("\"dev.veneer.release\":\"99999999999999999999999\"", "expected a decimal number from 1");
	no_note("\"dev.veneer.release\":\"1\",\"dev.veneer.release\":\"2\"", "dev.veneer.release");
	no_note("\"dev.veneer.expires\":\"tomorrow\"", "expected a time such as");
	no_note("\"dev.veneer.expires\":\"2026-13-01T00:00:00Z\"", "expected a time such as");
	no_note("\"dev.veneer.expires\":17", "dev.veneer.expires");
}

static void test_statement(void)
{
	good(vn_sign_statement_read, STATEMENT(V1, SUBJECT(HEX("aaaa"), ""), VN_SIGN_PREDICATE), 0, 0, "{}");
	good(vn_sign_statement_read,
	     STATEMENT(V1, SUBJECT(HEX("bbbb"), ",\"annotations\":{\"dev.veneer.release\":\"9\"}") ","
		       SUBJECT(HEX("aaaa"), ",\"annotations\":{\"dev.veneer.release\":\"8\"}"), VN_SIGN_PREDICATE),
	     8, 0, "{\"dev.veneer.release\":\"8\"}");
}

static void test_statement_refused(void)
{
	VN_AUTO(vn_buf) many = VN_BUF(1 << 20);
	struct vn_err err = { 0 };
	no_statement("", VN_EFORMAT, "signed statement");
	no_statement("[]", VN_EFORMAT, "object");
	no_statement("{}", VN_EFORMAT, "_type");
	no_statement(STATEMENT("https://in-toto.io/Statement/v0.1", SUBJECT(HEX("aaaa"), ""), VN_SIGN_PREDICATE), VN_EFORMAT,
		     "/_type is");
	no_statement(STATEMENT(V1, SUBJECT(HEX("aaaa"), ""), "https://spdx.dev/Document"), VN_EFORMAT, "/predicateType is");
	no_statement(STATEMENT(V1, "", VN_SIGN_PREDICATE), VN_EFORMAT, "has no subject");
	no_statement(STATEMENT(V1, "7", VN_SIGN_PREDICATE), VN_EFORMAT, "has no digest");
	no_statement(STATEMENT(V1, "{\"digest\":{\"sha256\":7}}", VN_SIGN_PREDICATE), VN_EFORMAT, "sha256");
	no_statement(STATEMENT(V1, SUBJECT(HEX("bbbb"), ""), VN_SIGN_PREDICATE), VN_EREFUSED, "it signs another image");
	no_statement(STATEMENT(V1, SUBJECT(HEX("AAAA"), ""), VN_SIGN_PREDICATE), VN_EREFUSED, "it signs another image");
	no_statement(STATEMENT(V1, "{\"digest\":{\"sha512\":\"" HEX("aaaa") "\"}}", VN_SIGN_PREDICATE), VN_EREFUSED,
		     "another image");
	no_statement(STATEMENT(V1, SUBJECT(HEX("aaaa"), "") "," SUBJECT(HEX("aaaa"), ",\"annotations\":{\"a\":\"b\"}"),
			       VN_SIGN_PREDICATE), VN_EFORMAT, "2 subjects have the same digest");
	no_statement(STATEMENT(V1, SUBJECT(HEX("aaaa"), ",\"annotations\":7"), VN_SIGN_PREDICATE), VN_EFORMAT, "annotations");
	CHECK_OK(vn_buf_adds(&many, "{\"_type\":\"" V1 "\",\"predicateType\":\"" VN_SIGN_PREDICATE "\",\"subject\":[{}", &err),
		 &err);
	for (int i = 0; i < VN_MAX_SUBJECTS; i++)
		CHECK_OK(vn_buf_adds(&many, ",{}", &err), &err);
	CHECK_OK(vn_buf_adds(&many, "]}", &err), &err);
	no_statement(many.data, VN_ELIMIT, "65 subjects");
}

static void test_too_long(void)
{
	char *text = malloc(VN_MAX_SIGNED_TEXT + 2);
	memset(text, ' ', VN_MAX_SIGNED_TEXT + 1);
	bad(vn_sign_payload_read, text, VN_MAX_SIGNED_TEXT + 1, VN_ELIMIT, "at most 65536 are read");
	bad(vn_sign_statement_read, text, VN_MAX_SIGNED_TEXT + 1, VN_ELIMIT, "at most 65536 are read");
	free(text);
}

/* What is made is what cosign makes, and is read back. */
static void test_made(void)
{
	VN_AUTO_JSON *notes = vn_json_object();
	VN_AUTO(vn_buf) payload = VN_BUF(4096), bare = VN_BUF(4096), statement = VN_BUF(4096);
	struct vn_digest digest = image_digest();
	struct vn_err err = { 0 };
	vn_json_set(notes, "dev.veneer.release", vn_json_string("3"));
	CHECK_OK(vn_sign_payload_make("r/a", &digest, NULL, &bare, &err), &err);
	CHECK_STR(vn_buf_text(&bare), PAYLOAD(IMAGE, TYPE, "null"));
	CHECK_OK(vn_sign_payload_make("r/a", &digest, notes, &payload, &err), &err);
	CHECK_STR(vn_buf_text(&payload), PAYLOAD(IMAGE, TYPE, "{\"dev.veneer.release\":\"3\"}"));
	CHECK_OK(vn_sign_statement_make(&digest, notes, &statement, &err), &err);
	CHECK_STR(vn_buf_text(&statement),
		  STATEMENT(V1, SUBJECT(HEX("aaaa"), ",\"annotations\":{\"dev.veneer.release\":\"3\"}"), VN_SIGN_PREDICATE));
	good(vn_sign_payload_read, vn_buf_text(&payload), 3, 0, "{\"dev.veneer.release\":\"3\"}");
	good(vn_sign_statement_read, vn_buf_text(&statement), 3, 0, "{\"dev.veneer.release\":\"3\"}");
}

/* ---- bundles */
#define ENVELOPE(payload, type, signatures)                                                                              \
	"\"dsseEnvelope\":{\"payload\":\"" payload "\",\"payloadType\":\"" type "\",\"signatures\":[" signatures "]}"
#define BUNDLE(type, material, envelope) "{\"mediaType\":\"" type "\"" material "," envelope "}"
#define MATERIAL ",\"verificationMaterial\":{\"publicKey\":{\"hint\":\"x\"}}"
#define INTOTO "application/vnd.in-toto+json"
#define SIG "{\"sig\":\"AAEC\"}"

static void test_bundle(void)
{
	static const char *const types[] = {
		BUNDLE(VN_SIGN_BUNDLE_TYPE, MATERIAL, ENVELOPE("e30=", INTOTO, SIG)),
		BUNDLE("application/vnd.dev.sigstore.bundle+json;version=0.3", MATERIAL, ENVELOPE("e30=", INTOTO, SIG)),
	};
	for (size_t i = 0; i < 2; i++) {
		VN_AUTO(vn_sign_bundle) b = { .statement = NULL };
		struct vn_err err = { 0 };
		CHECK_OK(vn_sign_bundle_read(types[i], strlen(types[i]), &b, &err), &err);
		CHECK_EQ(b.statement_len, 2);
		CHECK(b.statement && memcmp(b.statement, "{}", 2) == 0);
		CHECK_EQ(b.signature_len, 3);
	}
}

static void no_bundle(const char *text, int code, const char *says)
{
	VN_AUTO(vn_sign_bundle) b = { .statement = NULL };
	struct vn_err err = { 0 };
	CHECK_EQ(vn_sign_bundle_read(text, strlen(text), &b, &err), -code);
	CHECK_HAS(err.text, says);
	CHECK(!b.statement && !b.signature);
}

static char *filled(const char *before, size_t n, const char *after)
{
	size_t len = strlen(before);
	char *text = malloc(len + n + strlen(after) + 1);
	memcpy(text, before, len);
	memset(text + len, 'A', n);
	memcpy(text + len + n, after, strlen(after) + 1);
	return text;
}

static void test_bundle_refused(void)
{
	no_bundle("", VN_EFORMAT, "signature bundle");
	no_bundle("[]", VN_EFORMAT, "object");
	no_bundle("{}", VN_EFORMAT, "mediaType");
	no_bundle(BUNDLE("application/vnd.dev.sigstore.bundle.v0.4+json", MATERIAL, ENVELOPE("e30=", INTOTO, SIG)), VN_EFORMAT,
		  "/mediaType is");
	no_bundle(BUNDLE(VN_SIGN_BUNDLE_TYPE, "", ENVELOPE("e30=", INTOTO, SIG)), VN_EFORMAT, "lacks /verificationMaterial");
	no_bundle(BUNDLE(VN_SIGN_BUNDLE_TYPE, MATERIAL, "\"messageSignature\":{}"), VN_EFORMAT, "lacks /dsseEnvelope");
	no_bundle(BUNDLE(VN_SIGN_BUNDLE_TYPE, MATERIAL, ENVELOPE("e30=", "text/plain", SIG)), VN_EFORMAT,
		  "payloadType is \"text/plain\"");
	no_bundle(BUNDLE(VN_SIGN_BUNDLE_TYPE, MATERIAL, ENVELOPE("e30=", INTOTO, "")), VN_EFORMAT, "signatures has 0 entries");
	no_bundle(BUNDLE(VN_SIGN_BUNDLE_TYPE, MATERIAL, ENVELOPE("e30=", INTOTO, SIG "," SIG)), VN_EFORMAT,
		  "signatures has 2 entries");
	no_bundle(BUNDLE(VN_SIGN_BUNDLE_TYPE, MATERIAL, ENVELOPE("e30=", INTOTO, "7")), VN_EFORMAT, "expected 1");
	no_bundle(BUNDLE(VN_SIGN_BUNDLE_TYPE, MATERIAL, ENVELOPE("e30=", INTOTO, "{}")), VN_EFORMAT, "sig");
	no_bundle(BUNDLE(VN_SIGN_BUNDLE_TYPE, MATERIAL, ENVELOPE("e30", INTOTO, SIG)), VN_EFORMAT, "/dsseEnvelope/payload");
	no_bundle(BUNDLE(VN_SIGN_BUNDLE_TYPE, MATERIAL, ENVELOPE("e30=", INTOTO, "{\"sig\":\"??\"}")), VN_EFORMAT, "sig");
}

static void test_bundle_too_long(void)
{
	char *sig = filled("{\"mediaType\":\"" VN_SIGN_BUNDLE_TYPE "\"" MATERIAL ",\"dsseEnvelope\":{\"payloadType\":\"" INTOTO
			   "\",\"payload\":\"e30=\",\"signatures\":[{\"sig\":\"", 8000, "\"}]}}");
	char *payload = filled("{\"mediaType\":\"" VN_SIGN_BUNDLE_TYPE "\"" MATERIAL ",\"dsseEnvelope\":{\"payloadType\":\"" INTOTO
			       "\",\"signatures\":[" SIG "],\"payload\":\"", VN_MAX_SIGNED_TEXT / 3 * 4 + 64, "\"}}");
	char *whole = filled("", VN_MAX_BUNDLE + 1, "");
	no_bundle(sig, VN_ELIMIT, "sig holds more than");
	no_bundle(payload, VN_ELIMIT, "payload holds more than");
	no_bundle(whole, VN_ELIMIT, "at most 262144 are read");
	free(sig);
	free(payload);
	free(whole);
}

/* secure-systems-lab/dsse, protocol.md: lengths are of bytes. */
static void test_encoding(void)
{
	VN_AUTO(vn_buf) out = VN_BUF(200);
	struct vn_err err = { 0 };
	CHECK_OK(vn_sign_bundle_signed("h\xc3\xa4", 3, &out, &err), &err);
	CHECK_STR(vn_buf_text(&out), "DSSEv1 28 application/vnd.in-toto+json 3 h\xc3\xa4");
}

int main(void)
{
	RUN(test_payload);
	RUN(test_payload_refused);
	RUN(test_notes_refused);
	RUN(test_statement);
	RUN(test_statement_refused);
	RUN(test_too_long);
	RUN(test_made);
	RUN(test_bundle);
	RUN(test_bundle_refused);
	RUN(test_bundle_too_long);
	RUN(test_encoding);
	return vn_test_end();
}
