#include "pull/config.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	struct vn_pull_config c = { .every = 60 };
	int r = vn_pull_config_parse(data, size, "input", &c, &err);
	if (r < 0 && !err.text[0])
		abort();
	vn_pull_config_release(&c);
	return 0;
}
