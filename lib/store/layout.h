/* index.json of an OCI layout (image-spec image-layout.md): which entry a reference means, and changing one entry. */
#ifndef VN_STORE_LAYOUT_H
#define VN_STORE_LAYOUT_H
#include "image/source.h"
#include "oci/manifest.h"
#include "oci/ref.h"
#include "util/fs.h"

#define VN_LAYOUT_FILE "oci-layout"
#define VN_LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define VN_REF_NAME "org.opencontainers.image.ref.name"
#define VN_CONTAINERD_NAME "io.containerd.image.name"

/* `bytes` is the text of the oci-layout file. */
int vn_layout_check_version(const struct vn_buf *bytes, const char *place, struct vn_err *err);
/* "blobs/sha256/<hex>", `prefix` in front. */
int vn_layout_blob_path(const char *prefix, const struct vn_digest *digest, char **ret, struct vn_err *err);

/* What `ref` names among the entries. A zeroed ret_desc with a digest alone: not an entry, but maybe a blob. *ret_self: index.json
 * itself is the index that is meant. `place` names the layout in messages. */
int vn_layout_choose(const struct vn_buf *index, const struct vn_ref *ref, const char *place, struct vn_desc *ret_desc,
		     bool *ret_self, struct vn_err *err);
/* The tags of the entries, each NUL-ended. */
int vn_layout_tags(const struct vn_buf *index, const char *place, struct vn_buf *ret_tags, size_t *ret_count,
		   struct vn_err *err);
/* The entry that vn_layout_with_entry would replace: VN_ENOTFOUND when there is none. */
int vn_layout_entry(const struct vn_buf *index, const char *tag, const char *place, struct vn_desc *ret, struct vn_err *err);
/* `index` (empty: none yet) with the entry of `tag` (NULL: the one without a tag) replaced or added. `full_name` (NULL: none) is
 * what containerd and podman name the image by. */
int vn_layout_with_entry(const struct vn_buf *index, const char *place, const struct vn_desc *desc, const char *tag,
			 const char *full_name, struct vn_buf *ret, struct vn_err *err);
/* `index` without the entry of `tag`; *ret_found: there was one. */
int vn_layout_without_entry(const struct vn_buf *index, const char *place, const char *tag, struct vn_buf *ret, bool *ret_found,
			    struct vn_err *err);

/* ---- index.json of the folder `dir`. Who changes it holds LOCK_EX (flock) on the folder. */
int vn_layout_lock(const char *dir, int how, int *ret_fd, struct vn_err *err);
int vn_layout_index(const char *dir, struct vn_buf *ret, struct vn_err *err);        /* VN_ENOTFOUND */
int vn_layout_put_entry(const char *dir, const struct vn_desc *desc, const char *tag, const char *full_name, struct vn_err *err);
int vn_layout_drop_entry(const char *dir, const char *tag, struct vn_err *err);      /* absent: fine */

/* ---- blobs on their way are DIR/blobs/ALG/.tmp-*, each locked by its writer: one that nobody locks was left by a killed run. Their
 * writers hold a shared flock on DIR between creating and locking. */
/* A file that vn_tmp_publish will give the name `path`, which is in `dir` or below it. */
int vn_layout_tmp_open(const char *dir, const char *path, struct vn_tmp *tmp, struct vn_err *err);
/* Removes what killed runs left, unless another run is at work right now. */
void vn_layout_tidy(const char *dir);

/* A source over the blobs of a layout folder alone, whatever its index.json says or will say: manifests by digest only. */
int vn_layout_blobs_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret, struct vn_err *err);
#endif
