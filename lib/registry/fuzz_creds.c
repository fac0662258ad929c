#include "registry/creds.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const registries[] = { "docker.io", "r.example:5000" };

	for (size_t i = 0; i < 2; i++) {
		VN_AUTO(vn_creds) creds = { 0 };
		struct vn_err err = { 0 };
		if (vn_creds_of_json(data, size, registries[i], "a/b", &creds, &err) == 0 && vn_creds_any(&creds) && !creds.source)
			abort();
	}
	return 0;
}
