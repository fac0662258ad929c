/* The handle that every operation works through. One handle serves one operation at a time. */
#ifndef VENEER_CONTEXT_H
#define VENEER_CONTEXT_H
#include "veneer/error.h"
#include "veneer/event.h"
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vn;

/* Zero it, set size = sizeof(struct vn_options), then fill: zero means the default. */
struct vn_options {
	size_t size;
	const char *authfile;        /* credential file; default: the places of containers-auth.json(5), then Docker's */
	const char *cacert;          /* PEM file of additional certificate authorities */
	const char *cache_dir;       /* default: $VENEER_CACHE_DIR, $XDG_CACHE_HOME/veneer, ~/.cache/veneer */
	uint64_t cache_size;         /* bytes; default: $VENEER_CACHE_SIZE, 20 GB */
	uint64_t max_layer_size;     /* plain bytes of one layer; default: 200 times its compressed size beyond 1 GiB */
	bool plain_http;             /* registries are spoken to without TLS */
	bool insecure;               /* certificates are not verified */
	unsigned retries;            /* of a request; default 5 */
	struct vn_events events;
	const char *username, *password;     /* instead of every credential place */
	void *reserved[6];           /* must be zero */
};
VN_API int vn_open(const struct vn_options *options, struct vn **ret, struct vn_err *err);
VN_API void vn_close(struct vn *vn);
VN_API const char *vn_version(void);
/* "libarchive 3.6.2, libcurl 7.88.1, …" that it was built with. */
VN_API const char *vn_library_versions(struct vn *vn);

#ifdef __cplusplus
}
#endif
#endif
