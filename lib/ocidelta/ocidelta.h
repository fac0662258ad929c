/* A delta between two images, kept as an OCI artifact in the envelope of containers/oci-delta (docs/oci-delta.md there): an
 * image manifest whose artifactType says so, whose subject is the target image, and whose annotations name the source. What is
 * inside is either one bundle of ours (veneer-delta(5), IMAGES) that rebuilds manifest, configuration and layers, or, for other
 * tools, the documents as they are and one tar-diff for each layer. Layers that both images share are not in it. */
#ifndef VN_OCIDELTA_OCIDELTA_H
#define VN_OCIDELTA_OCIDELTA_H
#include "delta/delta.h"
#include "layer/index.h"
#include "tardiff/tardiff.h"

#define VN_OCIDELTA_ARTIFACT "application/vnd.io.github.containers.oci-delta.v1"
#define VN_OCIDELTA_BUNDLE "application/vnd.veneer.delta.v1"
#define VN_OCIDELTA_TARDIFF "application/vnd.tar-diff"
#define VN_OCIDELTA_PREFIX "io.github.containers.delta."
/* Blobs that together are at most this large also ride in the manifest. Base64 adds a third to them; a request for each of them
 * costs 1 to 2 kB, and where blobs are redirected to a storage host 6 to 7 kB, most of it a TLS handshake. */
#define VN_OCIDELTA_INLINE (16u << 10)

struct vn_ocidelta_options {
	unsigned interop;            /* 0: a bundle; 1 or 2: tar-diff of that version, for other tools */
	struct vn_delta_options codec;
	uint64_t inline_most;        /* 0: VN_OCIDELTA_INLINE; 1: never */
	struct vn_index_options index;
};
enum vn_ocidelta_how {
	VN_OCIDELTA_REUSED,          /* the source has it */
	VN_OCIDELTA_REBUILT,         /* byte for byte, as the registry stores it */
	VN_OCIDELTA_REPACKED,        /* its tar byte for byte; its compressor's output could not be reproduced */
	VN_OCIDELTA_ORIGINAL         /* sent as it is: no recipe was smaller */
};
struct vn_ocidelta_layer {           /* one for each layer of the target, from the bottom */
	enum vn_ocidelta_how how;
	uint64_t size, plain;        /* of its blob; of its tar, 0 = not looked at */
	char *sources;               /* paths in the source that it is rebuilt from, ", "-separated; owned, may be NULL */
};
struct vn_ocidelta_blob {
	struct vn_desc desc;
	struct vn_tmp tmp;           /* its bytes while it is being made; fd -1: they are read from where the artifact lies */
};
struct vn_ocidelta {
	struct vn_desc desc;         /* the artifact's manifest */
	struct vn_buf manifest;
	struct vn_ocidelta_blob *blobs;
	size_t nblobs;
	struct vn_ocidelta_layer *layers;        /* empty when it is not known: another tool's, or not inline and far away */
	size_t nlayers;
	struct vn_digest source, target;         /* of the image manifests */
	uint64_t size;               /* what a device fetches: the manifest, and the blobs that are not inline */
	uint64_t full;               /* what it would fetch instead: documents and layers that the source lacks; 0 = unknown */
	struct vn_delta_stats stats;
	struct vn_source *at;        /* where blobs without a temporary file lie: an opened artifact's place, else the target's; borrowed */
};
/* Temporary files hold what is large. `old_image` and `new_image`: one platform each. */
int vn_ocidelta_make(const struct vn_image *old_image, const struct vn_image *new_image, const struct vn_ocidelta_options *options,
		     struct vn_ocidelta *ret, struct vn_err *err);
/* Blobs, then the manifest as the one that the sink's reference names, then commit. *ret_moved may be NULL. */
int vn_ocidelta_put(struct vn_ocidelta *delta, struct vn_sink *to, uint64_t *ret_moved, struct vn_err *err);
/* The artifact that a source's reference names; VN_EFORMAT when it is none. */
int vn_ocidelta_open(struct vn_source *source, struct vn_cache *cache, struct vn_ocidelta *ret, struct vn_err *err);
void vn_ocidelta_release(struct vn_ocidelta *delta);
/* Whether the blob's bytes ride in its descriptor. */
bool vn_ocidelta_is_inline(const struct vn_desc *desc);

struct vn_ocidelta_applied {
	struct vn_desc root;         /* what was written */
	bool exact;                  /* it is the target, digest for digest; else layers were packed anew and only the image ID is kept */
	size_t rebuilt, reused, repacked, original;      /* layers */
	uint64_t fetched;            /* bytes of the artifact that were read */
};
/* The image that a device has. */
struct vn_ocidelta_parts {
	const struct vn_image *image;        /* its documents, and where blobs of shared layers are read */
	/* Writes the regular files at `paths` (clean) to `fd`, one behind the other from `at` on. ret_sizes[n] may be NULL.
	 * VN_ENOTFOUND names one that is not there. */
	int (*files)(struct vn_ocidelta_parts *parts, const char *const *paths, size_t n, int fd, uint64_t at, uint64_t *ret_sizes,
		     uint64_t *ret_end, struct vn_err *err);
};
/* Before all of a delta is fetched: whether it starts from the files that the source has. `in`: the beginning of its bundle, which may fail
 * with VN_ENETWORK where it ends, as then this does. VN_EDIGEST: it starts from other files. *ret_plain: bytes of the tars that it makes.
 * An artifact without a bundle is only known when it is applied. */
int vn_ocidelta_prove(const struct vn_ocidelta *delta, struct vn_ocidelta_parts *parts, struct vn_in *in, uint64_t *ret_plain,
		      struct vn_err *err);
/* Rebuilds the target from the source image and writes it whole to the sink. Everything is compared with the target's digests
 * before the sink commits: VN_EDIGEST when the source is another one or anything differs. `limits` (may be NULL): memory and
 * new_size count, the rest is not looked at. */
int vn_ocidelta_apply(const struct vn_ocidelta *delta, const struct vn_image *source, const struct vn_index_options *index,
		      const struct vn_delta_apply_options *limits, struct vn_sink *to, struct vn_ocidelta_applied *ret,
		      struct vn_err *err);
/* The same with the files from elsewhere. */
int vn_ocidelta_apply_parts(const struct vn_ocidelta *delta, struct vn_ocidelta_parts *parts,
			    const struct vn_delta_apply_options *limits, struct vn_sink *to, struct vn_ocidelta_applied *ret,
			    struct vn_err *err);
/* A tar-diff alone, to the tar of a layer: nothing says what it should be. `list` and `in` both read it from its start. */
int vn_ocidelta_apply_tardiff(const struct vn_image *source, const struct vn_index_options *index, struct vn_in *list, struct vn_in *in,
			      const struct vn_tardiff_limits *limits, struct vn_out *to, struct vn_err *err);

/* The tag under which a registry keeps the delta between two image manifests, beside its place among the target's referrers:
 * "delta-" and the first 32 hex digits of sha256(SOURCE "\n" TARGET), both as "sha256:…". */
#define VN_OCIDELTA_TAG 64
int vn_ocidelta_tag(const struct vn_digest *source, const struct vn_digest *target, char ret[VN_OCIDELTA_TAG], struct vn_err *err);
#endif
