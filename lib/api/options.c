#include "api/context.h"
#include <string.h>

int vn_take_options(void *known, size_t known_size, const void *given, const char *name, struct vn_err *err)
{
	size_t size = 0;
	memset(known, 0, known_size);
	if (!given)
		return 0;
	memcpy(&size, given, sizeof(size));
	if (size < sizeof(size) || size > 1u << 16)
		return vn_fail(err, VN_EUSAGE, "%s: size is not set", name);
	for (size_t i = known_size; i < size; i++)
		if (((const char *)given)[i])
			return vn_fail(err, VN_EUSAGE, "%s: made for a newer version of the library", name);
	memcpy(known, given, size < known_size ? size : known_size);
	return 0;
}
