/* Sigstore bundles with a key (sigstore/protobuf-specs, sigstore_bundle.proto and sigstore_common.proto in their JSON form;
 * cosign, cmd/cosign/cli/sign/sign.go, signDigestBundle):
 *
 *   {"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
 *    "verificationMaterial":{"publicKey":{"hint":BASE64 of the key's SHA-256}},
 *    "dsseEnvelope":{"payload":BASE64,"payloadType":"application/vnd.in-toto+json","signatures":[{"sig":BASE64}]}}
 *
 * around a statement (in-toto/attestation, spec/v1/statement.md)
 *
 *   {"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":HEX},"annotations":{KEY:VALUE, …}}],
 *    "predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}
 */
#include "sign/claim.h"
#include "sign/key.h"
#include "util/limits.h"
#include <string.h>

#define WHAT "signature bundle"
#define STATEMENT "signed statement"
#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PAYLOAD_TYPE "application/vnd.in-toto+json"
/* how the same version was written before */
#define OLD_SPELLING "application/vnd.dev.sigstore.bundle+json;version=0.3"

void vn_sign_bundle_release(struct vn_sign_bundle *b)
{
	free(b->statement);
	free(b->signature);
	*b = (struct vn_sign_bundle){ 0 };
}

static int need_bytes(const struct vn_jv *obj, const char *key, size_t most, uint8_t **ret, size_t *ret_len, struct vn_err *err)
{
	const char *text;
	int rc = vn_jv_need_text(obj, key, &text, err);
	if (rc < 0)
		return rc;
	if (strlen(text) / 4 * 3 > most + 3)
		return vn_fail(err, VN_ELIMIT, "%s: %s/%s holds more than %zu bytes", obj->what, obj->at, key, most);
	rc = vn_base64_decode(text, ret, ret_len, err);
	return rc < 0 ? vn_wrap(err, "%s: %s/%s", obj->what, obj->at, key) : 0;
}

static int read_envelope(const struct vn_jv *envelope, struct vn_sign_bundle *ret, struct vn_err *err)
{
	struct vn_jv signatures = vn_jv_get(envelope, "signatures"), first = vn_jv_at(&signatures, 0);
	const char *type;
	if (vn_jv_need_text(envelope, "payloadType", &type, err) < 0)
		return -err->code;
	if (strcmp(type, PAYLOAD_TYPE))
		return vn_fail(err, VN_EFORMAT, WHAT ": /dsseEnvelope/payloadType is \"%.80s\", expected " PAYLOAD_TYPE, type);
	if (!vn_jv_is_array(&signatures) || vn_jv_count(&signatures) != 1 || !vn_jv_is_object(&first))
		return vn_fail(err, VN_EFORMAT, WHAT ": /dsseEnvelope/signatures has %zu entries, expected 1",
			       vn_jv_count(&signatures));
	int rc = need_bytes(envelope, "payload", VN_MAX_SIGNED_TEXT, &ret->statement, &ret->statement_len, err);
	return rc < 0 ? rc : need_bytes(&first, "sig", VN_MAX_SIGNATURE_TEXT, &ret->signature, &ret->signature_len, err);
}

int vn_sign_bundle_read(const void *bytes, size_t len, struct vn_sign_bundle *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	VN_AUTO(vn_sign_bundle) b = { .statement = NULL };
	const char *type;
	if (len > VN_MAX_BUNDLE)
		return vn_fail(err, VN_ELIMIT, WHAT " of %zu bytes, at most %u are read", len, VN_MAX_BUNDLE);
	int rc = vn_json_parse(bytes, len, WHAT, &doc, err);
	if (rc < 0)
		return rc;
	struct vn_jv root = vn_jv_root(doc, WHAT), material = vn_jv_get(&root, "verificationMaterial");
	struct vn_jv envelope = vn_jv_get(&root, "dsseEnvelope");
	if (vn_jv_want_object(&root, err) < 0 || vn_jv_need_text(&root, "mediaType", &type, err) < 0)
		return -err->code;
	if (strcmp(type, VN_SIGN_BUNDLE_TYPE) && strcmp(type, OLD_SPELLING))
		return vn_fail(err, VN_EFORMAT, WHAT ": /mediaType is \"%.80s\", expected " VN_SIGN_BUNDLE_TYPE, type);
	if (!vn_jv_is_object(&material))
		return vn_fail(err, VN_EFORMAT, WHAT " lacks /verificationMaterial");
	if (!vn_jv_is_object(&envelope))
		return vn_fail(err, VN_EFORMAT, WHAT " lacks /dsseEnvelope");
	rc = read_envelope(&envelope, &b, err);
	if (rc < 0)
		return rc;
	*ret = b;
	b = (struct vn_sign_bundle){ 0 };
	return 0;
}

static int set_bytes(vn_json *obj, const char *key, const void *bytes, size_t len, struct vn_err *err)
{
	VN_AUTO_FREE char *text = NULL;
	int rc = vn_base64_encode(bytes, len, &text, err);
	if (rc == 0 && !vn_json_set(obj, key, vn_json_string(text)))
		rc = vn_nomem(err);
	return rc;
}

int vn_sign_bundle_make(const uint8_t *key_id, const void *statement, size_t len, const void *signature, size_t signature_len,
		   struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = vn_json_object(), *envelope = vn_json_object(), *list = vn_json_array(), *one = vn_json_object();
	VN_AUTO_JSON *material = vn_json_object(), *key = vn_json_object();
	int rc = set_bytes(key, "hint", key_id, VN_KEY_ID, err);
	if (rc == 0)
		rc = set_bytes(envelope, "payload", statement, len, err);
	if (rc == 0)
		rc = set_bytes(one, "sig", signature, signature_len, err);
	if (rc < 0)
		return rc;
	vn_json_add(list, vn_json_hold(one));
	vn_json_set(envelope, "payloadType", vn_json_string(PAYLOAD_TYPE));
	vn_json_set(envelope, "signatures", vn_json_hold(list));
	vn_json_set(material, "publicKey", vn_json_hold(key));
	vn_json_set(doc, "mediaType", vn_json_string(VN_SIGN_BUNDLE_TYPE));
	vn_json_set(doc, "verificationMaterial", vn_json_hold(material));
	vn_json_set(doc, "dsseEnvelope", vn_json_hold(envelope));
	return vn_json_text(doc, false, ret, err);
}

int vn_sign_bundle_signed(const void *statement, size_t len, struct vn_buf *ret, struct vn_err *err)
{
	int rc = vn_buf_addf(ret, err, "DSSEv1 %zu " PAYLOAD_TYPE " %zu ", strlen(PAYLOAD_TYPE), len);
	return rc < 0 ? rc : vn_buf_add(ret, statement, len, err);
}

/* ---- the statement */
int vn_sign_statement_make(const struct vn_digest *digest, const vn_json *annotations, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = vn_json_object();
	vn_json *list = vn_json_array(), *subject = vn_json_object(), *digests = vn_json_object();
	vn_json_set(digests, strncmp(digest->text, "sha512:", 7) ? "sha256" : "sha512", vn_json_string(vn_digest_hex(digest)));
	vn_json_set(subject, "digest", digests);
	if (annotations)
		vn_json_set(subject, "annotations", vn_json_copy(annotations));
	vn_json_add(list, subject);
	vn_json_set(doc, "_type", vn_json_string(STATEMENT_TYPE));
	vn_json_set(doc, "subject", list);
	vn_json_set(doc, "predicateType", vn_json_string(VN_SIGN_PREDICATE));
	vn_json_set(doc, "predicate", vn_json_object());
	return vn_json_text(doc, false, ret, err);
}

static int subject_is(const struct vn_jv *subject, const struct vn_digest *digest, bool *ret, struct vn_err *err)
{
	struct vn_jv digests = vn_jv_get(subject, "digest");
	const char *hex = NULL;
	if (!vn_jv_is_object(subject) || !vn_jv_is_object(&digests))
		return vn_fail(err, VN_EFORMAT, STATEMENT ": %s has no digest", subject->at);
	int rc = vn_jv_opt_text(&digests, strncmp(digest->text, "sha512:", 7) ? "sha256" : "sha512", &hex, err);
	*ret = rc == 0 && hex && !strcmp(hex, vn_digest_hex(digest));
	return rc;
}

/* The one subject that is `digest`; it takes two to say two things about it. */
static int find_subject(const struct vn_jv *list, const struct vn_digest *digest, struct vn_jv *ret, struct vn_err *err)
{
	size_t found = 0, n = vn_jv_count(list);
	if (!vn_jv_is_array(list) || !n)
		return vn_fail(err, VN_EFORMAT, STATEMENT " has no subject");
	if (n > VN_MAX_SUBJECTS)
		return vn_fail(err, VN_ELIMIT, STATEMENT ": %zu subjects, at most %d are read", n, VN_MAX_SUBJECTS);
	for (size_t i = 0; i < n; i++) {
		struct vn_jv subject = vn_jv_at(list, i);
		bool same;
		int rc = subject_is(&subject, digest, &same, err);
		if (rc < 0)
			return rc;
		if (same)
			*ret = subject;
		found += same;
	}
	if (found > 1)
		return vn_fail(err, VN_EFORMAT, STATEMENT ": %zu subjects have the same digest", found);
	return found ? 0 : vn_fail(err, VN_EREFUSED, "it signs another image");
}

int vn_sign_statement_read(const void *bytes, size_t len, const struct vn_digest *digest, struct vn_claim *ret,
			   struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	const char *type, *predicate;
	struct vn_jv subject;
	if (len > VN_MAX_SIGNED_TEXT)
		return vn_fail(err, VN_ELIMIT, STATEMENT " of %zu bytes, at most %u are read", len, VN_MAX_SIGNED_TEXT);
	int rc = vn_json_parse(bytes, len, STATEMENT, &doc, err);
	if (rc < 0)
		return rc;
	struct vn_jv root = vn_jv_root(doc, STATEMENT), list = vn_jv_get(&root, "subject");
	if (vn_jv_want_object(&root, err) < 0 || vn_jv_need_text(&root, "_type", &type, err) < 0 ||
	    vn_jv_need_text(&root, "predicateType", &predicate, err) < 0)
		return -err->code;
	if (strcmp(type, STATEMENT_TYPE))
		return vn_fail(err, VN_EFORMAT, STATEMENT ": /_type is \"%.80s\", expected " STATEMENT_TYPE, type);
	/* an attestation by the same key says something about an image; that it may run is another matter */
	if (strcmp(predicate, VN_SIGN_PREDICATE))
		return vn_fail(err, VN_EFORMAT, STATEMENT ": /predicateType is \"%.80s\", expected " VN_SIGN_PREDICATE,
			       predicate);
	rc = find_subject(&list, digest, &subject, err);
	if (rc < 0)
		return rc;
	struct vn_jv annotations = vn_jv_get(&subject, "annotations");
	return vn_claim_of(&annotations, ret, err);
}
