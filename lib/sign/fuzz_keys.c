#include "sign/key.h"
#include "sign/sign.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Public keys in PEM. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_public_keys *keys = calloc(1, sizeof(*keys));
	struct vn_err err = { 0 };
	if (!keys)
		return 0;
	vn_keys_parse_public(keys, data, size, "input", &err);
	for (size_t i = 0; i < keys->n; i++)
		if (!keys->list[i]->id_text[0])
			abort();
	vn_public_keys_close(keys);
	return 0;
}
