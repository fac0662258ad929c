#include "oci/config.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_config) c = { 0 };
	char text[VN_PLATFORM_TEXT];
	if (vn_config_parse(data, size, &c, &err) < 0)
		return 0;
	for (size_t i = 0; i <= c.ndiff_ids; i++)
		if (!vn_config_step(&c, i))
			abort();
	vn_platform_text(&c.platform, text);
	if (c.ndiff_ids) {
		VN_AUTO_FREE struct vn_digest *chain = calloc(c.ndiff_ids, sizeof(*chain));
		if (!chain || vn_chain_ids(c.diff_ids, c.ndiff_ids, chain, &err) < 0)
			abort();
	}
	return 0;
}
