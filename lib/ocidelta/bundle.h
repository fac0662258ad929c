/* What stands in front of the deltas in a bundle: which files of the source image are old, and what new is made of.
 * veneer-delta(5), IMAGES. V = LEB128 varint.
 *
 *   bundle = "VNI1" V(length of the table) V(length as it follows, 0 = as it is) table | zstd frame of it
 *            delta of the documents ("VND1"), delta of the layers' tars unless there are none
 *   table  = V(files) path* V(manifest's length) V(configuration's length) V(length of the documents' delta)
 *            V(layers of the target) layer*
 *   path   = V(bytes kept of the one before) V(bytes) bytes                        sorted by vn_path_cmp, none twice
 *   layer  = how:u8 [V(length of its tar) | the source's: V(number of its layer)] [level:u8 | as: head:u8[10] level:u8 mem:u8] */
#ifndef VN_OCIDELTA_BUNDLE_H
#define VN_OCIDELTA_BUNDLE_H
#include "stream/out.h"
#include "util/arena.h"
#include "util/limits.h"

#define VN_BUNDLE_MAGIC "VNI1"
enum vn_bundle_how {
	VN_BUNDLE_REUSED,            /* the source has the blob */
	VN_BUNDLE_ORIGINAL,          /* a blob of the artifact */
	VN_BUNDLE_PLAIN,             /* its blob is the tar */
	VN_BUNDLE_UNKNOWN,           /* nobody knows how its blob was packed */
	VN_BUNDLE_GZIP,              /* vn_out_gzip at a level */
	VN_BUNDLE_GZIP_AS,           /* vn_out_gzip_like */
	VN_BUNDLE_HOWS,
	VN_BUNDLE_SOURCE = 0x80      /* the tar is the one of a layer of the source, and not in the delta */
};
struct vn_bundle_layer {
	enum vn_bundle_how how;      /* without VN_BUNDLE_SOURCE */
	struct vn_gzip_like gzip;    /* GZIP, GZIP_AS */
	bool from_source;
	uint64_t plain;              /* bytes of its tar in the layers' new, or the number of the source's layer, from 0 */
};
struct vn_bundle {
	struct vn_arena arena;       /* of the paths */
	const char **paths;
	size_t npaths, paths_cap;
	uint64_t manifest, config;   /* bytes of the documents' new */
	uint64_t documents;          /* bytes of their delta */
	struct vn_bundle_layer *layers;
	size_t nlayers;
};
static inline bool vn_bundle_in_delta(const struct vn_bundle_layer *l)
{
	return l->how != VN_BUNDLE_REUSED && l->how != VN_BUNDLE_ORIGINAL && !l->from_source;
}
void vn_bundle_release(struct vn_bundle *b);
/* Everything in front of the deltas. */
int vn_bundle_write(const struct vn_bundle *b, struct vn_out *out, struct vn_err *err);
/* Reads as much; the documents' delta is next. VN_EDIGEST: malformed. VN_EUNSAFE: a path that leaves the image. VN_ELIMIT: too large. */
int vn_bundle_read(struct vn_in *in, struct vn_bundle *ret, struct vn_err *err);
/* The next `len` bytes; VN_EDIGEST when there are fewer. */
int vn_bundle_bytes(struct vn_in *in, uint64_t len, struct vn_buf *ret, struct vn_err *err);
/* Bytes of the layers' new; VN_ELIMIT above VN_MAX_BLOB. */
int vn_bundle_new_size(const struct vn_bundle *b, uint64_t *ret, struct vn_err *err);
#endif
