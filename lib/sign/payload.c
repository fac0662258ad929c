/* The payload of classic signatures (sigstore/sigstore, pkg/signature/payload/payload.go; cosign, specs/SIGNATURE_SPEC.md):
 *
 *   {"critical":{"identity":{"docker-reference":"REGISTRY/REPOSITORY"},"image":{"docker-manifest-digest":"sha256:HEX"},
 *                "type":"cosign container image signature"},
 *    "optional":null or {KEY:VALUE, …}}
 */
#include "sign/claim.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>

#define WHAT "signed payload"
#define TYPE "cosign container image signature"

void vn_claim_release(struct vn_claim *claim)
{
	free(claim->annotations);
	*claim = (struct vn_claim){ 0 };
}

static int note_text(const struct vn_jv *notes, const char *key, const char **ret, struct vn_err *err)
{
	*ret = NULL;
	return vn_jv_opt_text(notes, key, ret, err);
}

int vn_claim_of(const struct vn_jv *annotations, struct vn_claim *ret, struct vn_err *err)
{
	VN_AUTO(vn_claim) claim = { .release = 0 };
	VN_AUTO(vn_buf) text = VN_BUF(6 * VN_MAX_SIGNED_TEXT);
	const char *release = NULL, *expires = NULL;
	int rc = vn_jv_want_object(annotations, err);
	if (rc == 0 && annotations->v)
		rc = note_text(annotations, VN_SIGN_RELEASE, &release, err);
	if (rc == 0 && annotations->v)
		rc = note_text(annotations, VN_SIGN_EXPIRES, &expires, err);
	if (rc == 0)
		rc = annotations->v ? vn_json_text(annotations->v, false, &text, err) : vn_buf_adds(&text, "{}", err);
	if (rc < 0)
		return rc;
	if (release && (!vn_parse_u64(release, &claim.release) || !claim.release || claim.release > VN_MAX_JSON_SIZE))
		return vn_fail(err, VN_EFORMAT,
			       "%s: " VN_SIGN_RELEASE " is \"%.40s\", expected a decimal number from 1 to %lld",
			       annotations->what, release, VN_MAX_JSON_SIZE);
	if (expires && !vn_parse_time(expires, &claim.expires))
		return vn_fail(err, VN_EFORMAT,
			       "%s: " VN_SIGN_EXPIRES " is \"%.40s\", expected a time such as 2027-01-31T00:00:00Z",
			       annotations->what, expires);
	claim.has_release = release;
	claim.has_expires = expires;
	rc = vn_buf_steal(&text, &claim.annotations, err);
	if (rc < 0)
		return rc;
	*ret = claim;
	claim = (struct vn_claim){ 0 };
	return 0;
}

int vn_sign_payload_make(const char *reference, const struct vn_digest *digest, const vn_json *annotations, struct vn_buf *ret,
		    struct vn_err *err)
{
	VN_AUTO_JSON *doc = vn_json_object();
	vn_json *critical = vn_json_object(), *identity = vn_json_object(), *image = vn_json_object();
	vn_json_set(identity, "docker-reference", vn_json_string(reference));
	vn_json_set(image, "docker-manifest-digest", vn_json_string(digest->text));
	vn_json_set(critical, "identity", identity);
	vn_json_set(critical, "image", image);
	vn_json_set(critical, "type", vn_json_string(TYPE));
	vn_json_set(doc, "critical", critical);
	vn_json_set(doc, "optional", annotations ? vn_json_copy(annotations) : vn_json_string(NULL));
	return vn_json_text(doc, false, ret, err);
}

int vn_sign_payload_read(const void *bytes, size_t len, const struct vn_digest *digest, struct vn_claim *ret,
			 struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	const char *type, *named;
	if (len > VN_MAX_SIGNED_TEXT)
		return vn_fail(err, VN_ELIMIT, WHAT " of %zu bytes, at most %u are read", len, VN_MAX_SIGNED_TEXT);
	int rc = vn_json_parse(bytes, len, WHAT, &doc, err);
	if (rc < 0)
		return rc;
	struct vn_jv root = vn_jv_root(doc, WHAT), critical = vn_jv_get(&root, "critical"), image = vn_jv_get(&critical,
													      "image");
	struct vn_jv optional = vn_jv_get(&root, "optional");
	if (!vn_jv_is_object(&root) || !vn_jv_is_object(&critical) || !vn_jv_is_object(&image))
		return vn_fail(err, VN_EFORMAT, WHAT " lacks /critical/image");
	if (vn_jv_need_text(&critical, "type", &type, err) < 0 || vn_jv_need_text(&image, "docker-manifest-digest", &named,
										  err) < 0)
		return -err->code;
	if (strcmp(type, TYPE))
		return vn_fail(err, VN_EFORMAT, WHAT ": /critical/type is \"%.80s\", expected \"" TYPE "\"", type);
	if (strcmp(named, digest->text))
		return vn_fail(err, VN_EREFUSED, "it signs another image, %.80s", named);
	return vn_claim_of(&optional, ret, err);
}
