/* Looking at images, copying them, and credentials. */
#ifndef VENEER_IMAGE_H
#define VENEER_IMAGE_H
#include "veneer/context.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vn_inspect_layer {
	const char *digest, *diff_id, *media_type, *step;
	uint64_t size;
};
struct vn_inspect_pair {
	const char *key, *value;
};
struct vn_inspect_image {
	const char *digest, *media_type, *platform, *created;
	uint64_t size;               /* compressed bytes of all layers */
	const struct vn_inspect_layer *layers;
	size_t nlayers;
	const struct vn_inspect_pair *labels, *annotations;
	size_t nlabels, nannotations;
	const char *entrypoint, *cmd, *user, *workdir;       /* "" when not set; lists as a shell would read them */
	const char *base_name, *base_digest;                 /* of a thin image; "" = none recorded */
};
struct vn_inspect_result {
	const char *reference, *digest, *media_type;         /* what the reference names */
	bool index;
	const struct vn_inspect_image *images;               /* one, or one for each platform of an index */
	size_t nimages;
	const char *const *tags;     /* beside this one, when asked for */
	size_t ntags;
};
struct vn_inspect_options {
	size_t size;
	const char *platform;        /* default: every platform */
	bool tags;
	void *reserved[4];
};
struct vn_inspect;
VN_API int vn_inspect_run(struct vn *vn, const char *ref, const struct vn_inspect_options *options, struct vn_inspect **ret,
			  struct vn_err *err);
VN_API const struct vn_inspect_result *vn_inspect_get(const struct vn_inspect *inspect);
VN_API void vn_inspect_free(struct vn_inspect *inspect);
VN_API int vn_inspect_json(const struct vn_inspect *inspect, char **ret_text, struct vn_err *err);   /* "veneer.inspect/1" */
/* The manifest (config: the configuration) exactly as stored. free() the bytes. */
VN_API int vn_inspect_raw(struct vn *vn, const char *ref, const char *platform, bool config, char **ret_bytes, size_t *ret_len,
			  struct vn_err *err);

struct vn_copy_report {
	char reference[1024];        /* DEST with digest */
	char digest[136];
	uint64_t bytes;              /* that moved */
	size_t blobs, images;
};
/* `platform` NULL: everything that SRC names; exact bytes, so the digest stays. A tag at DEST moves only with move_tag. */
VN_API int vn_copy_run(struct vn *vn, const char *src, const char *dest, const char *platform, bool move_tag,
		       struct vn_copy_report *ret, struct vn_err *err);

/* Check the credentials against the registry, then keep them as Docker and podman do. ret_where: free(). */
VN_API int vn_login(struct vn *vn, const char *registry, const char *username, const char *password, char **ret_where,
		    struct vn_err *err);
VN_API int vn_logout(struct vn *vn, const char *registry, char **ret_where, struct vn_err *err);

#ifdef __cplusplus
}
#endif
#endif
