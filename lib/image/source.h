/* Everything that an image can be read from, behind one small table. */
#ifndef VN_IMAGE_SOURCE_H
#define VN_IMAGE_SOURCE_H
#include "image/cache.h"
#include "oci/manifest.h"
#include "oci/ref.h"
#include "stream/in.h"

struct vn_source;
struct vn_source_ops {
	/* The manifest or index that the reference names, or (digest not NULL) one of its children: exact bytes. The
	 * implementation checks size caps and digest. ret_desc->media_type is the true one. */
	int (*manifest)(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			struct vn_err *err);
	/* A blob's raw bytes; the caller verifies. VN_ENOTFOUND when it is not there (a thin archive). */
	int (*blob)(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err);
	/* Tags beside this one, for suggestions and listings; NULL where there are none. Texts are appended, each NUL-ended. */
	int (*tags)(struct vn_source *s, struct vn_buf *ret_tags, size_t *ret_count, struct vn_err *err);
	void (*close)(struct vn_source *s);  /* frees the object and everything in it, .ref too */
	bool remote;                         /* worth caching: bytes cross a network or a daemon */
	/* The same place under another tag, over the same connection. NULL: there are no others (an engine). */
	int (*beside)(struct vn_source *s, const char *tag, struct vn_source **ret, struct vn_err *err);
};
struct vn_source {
	const struct vn_source_ops *ops;
	struct vn_ref ref;                   /* owned */
	const struct vn_events *events;      /* may be NULL; outlives the source */
};

int vn_source_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
		       struct vn_err *err);
/* A blob, from the cache when it is there, verified while it is read, kept in the cache when it comes from afar.
 * `cache` may be NULL. Inline `data` of a descriptor is used without asking anybody. */
int vn_source_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_cache *cache, const char *what,
		   struct vn_in **ret, struct vn_err *err);
/* What is kept under another tag of the same repository or folder: deltas, signatures. VN_ENOTFOUND, at the latest by its first use. */
int vn_source_beside(struct vn_source *s, const char *tag, struct vn_source **ret, struct vn_err *err);
void vn_source_close(struct vn_source *s);
#endif
