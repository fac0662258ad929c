#include "registry/challenge.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VN_AUTO(vn_challenges) list = { 0 };
	VN_AUTO_FREE char *text = NULL;
	struct vn_err err = { 0 };

	if (vn_asprintf(&text, &err, "%.*s", (int)size, (const char *)data) < 0)
		return 0;
	vn_challenges_parse(text, &list, &err);
	const struct vn_challenge *best = vn_challenges_best(&list);
	if (best && best->scheme == VN_SCHEME_BEARER && !best->realm)
		abort();
	return 0;
}
