#include "veneer/context.h"

/* Both come from the Makefile. */
#ifndef VN_VERSION
#define VN_VERSION "unknown"
#endif
#ifndef VN_LIBRARIES
#define VN_LIBRARIES "unknown"
#endif

const char *vn_version(void)
{
	return VN_VERSION;
}

const char *vn_library_versions(struct vn *vn)
{
	(void)vn;
	return VN_LIBRARIES;
}
