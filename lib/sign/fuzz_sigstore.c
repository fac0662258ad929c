#include "sign/claim.h"
#include "util/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VN_AUTO(vn_sign_bundle) b = { .statement = NULL };
	VN_AUTO(vn_claim) claim = { .release = 0 };
	struct vn_err err = { 0 };
	struct vn_digest digest;
	if (vn_digest_of("image", 5, &digest, &err) < 0 || vn_sign_bundle_read(data, size, &b, &err) < 0)
		return 0;
	if (b.statement_len > VN_MAX_SIGNED_TEXT + 3 || b.signature_len > VN_MAX_SIGNATURE_TEXT + 3)
		abort();
	vn_sign_statement_read(b.statement, b.statement_len, &digest, &claim, &err);
	return 0;
}
