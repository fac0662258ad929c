/* Any text; a reference that parsed must parse again from its full name and with another tag. */
#include "oci/platform.h"
#include "oci/ref.h"
#include "util/cleanup.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	struct vn_platform platform;
	VN_AUTO(vn_ref) r = { 0 }, again = { 0 }, other = { 0 };
	VN_AUTO_FREE char *text = malloc(size + 1), *full = NULL;
	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	vn_platform_parse(text, &platform, &err);
	if (vn_ref_parse(text, &r, &err) < 0)
		return 0;
	if (vn_ref_full_name(&r, &full, &err) < 0 || vn_ref_parse(full, &again, &err) < 0)
		abort();
	if (r.transport == VN_REF_REGISTRY &&
	    (strcmp(r.registry, again.registry) != 0 || strcmp(r.repository, again.repository) != 0))
		abort();
	if (vn_ref_with(&r, "other", NULL, &other, &err) < 0 && err.code != VN_EUSAGE)
		abort();
	return 0;
}
