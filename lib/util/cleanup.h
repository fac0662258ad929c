/* The one cleanup idiom: a local declared with VN_AUTO is released when it leaves scope; releasers accept a zeroed object.
 * Ownership leaves a local through vn_steal(). */
#ifndef VN_UTIL_CLEANUP_H
#define VN_UTIL_CLEANUP_H
#include <stdlib.h>
#include <unistd.h>

#define VN_CLEANUP(fn) __attribute__((cleanup(fn)))
#define VN_AUTO(type) VN_CLEANUP(type##_release) struct type

static inline void vn_free_p(void *p)
{
	free(*(void **)p);
}
static inline void vn_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define VN_AUTO_FREE VN_CLEANUP(vn_free_p)
#define VN_AUTO_CLOSE VN_CLEANUP(vn_close_p)

#define vn_steal(p)                        \
	({                                 \
		__typeof__(p) stolen_ = (p); \
		(p) = NULL;                \
		stolen_;                   \
	})
#endif
