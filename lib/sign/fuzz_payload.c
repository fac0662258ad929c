#include "sign/claim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Both signed texts: the payload and the statement. What is accepted says what it says within its bounds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VN_AUTO(vn_claim) payload = { .release = 0 }, statement = { .release = 0 };
	struct vn_err err = { 0 };
	struct vn_digest digest;
	if (vn_digest_of("image", 5, &digest, &err) < 0)
		return 0;
	if (vn_sign_payload_read(data, size, &digest, &payload, &err) == 0 &&
	    (!payload.annotations || payload.has_release != !!payload.release))
		abort();
	err = (struct vn_err){ 0 };
	if (vn_sign_statement_read(data, size, &digest, &statement, &err) == 0 &&
	    (!statement.annotations || statement.has_release != !!statement.release))
		abort();
	return 0;
}
