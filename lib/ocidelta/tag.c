#include "ocidelta/ocidelta.h"
#include <stdio.h>

int vn_ocidelta_tag(const struct vn_digest *source, const struct vn_digest *target, char ret[VN_OCIDELTA_TAG], struct vn_err *err)
{
	char text[2 * VN_DIGEST_TEXT + 2];
	struct vn_digest digest;
	int n = snprintf(text, sizeof(text), "%s\n%s", source->text, target->text);
	int r = vn_digest_of(text, (size_t)n, &digest, err);
	if (r == 0)
		snprintf(ret, VN_OCIDELTA_TAG, "delta-%.32s", vn_digest_hex(&digest));
	return r;
}
