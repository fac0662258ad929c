/* What the archives of this module share with the engines, which speak the same format. */
#ifndef VN_STORE_ARCHIVE_H
#define VN_STORE_ARCHIVE_H
#include "store/store.h"

/* A docker-archive in an open file: owns fd, also when it fails. `name` is what messages call it. Of several images the one that
 * ref->name and ref->tag name is taken. */
int vn_docker_archive_source_fd(int fd, const char *name, const struct vn_ref *ref, const struct vn_events *events,
				struct vn_source **ret, struct vn_err *err);

/* An archive that is being written: a tar with an OCI layout and, for Docker, manifest.json beside it. Zero-initialised it was
 * never begun. Members come in the order of the calls; nothing else decides about its bytes. */
struct vn_archive;
int vn_archive_begin(int fd, const char *name, struct vn_archive **ret, struct vn_err *err);     /* fd stays the caller's */
bool vn_archive_has(const struct vn_archive *a, const struct vn_digest *digest);
/* `in` is verified here and owned. */
int vn_archive_blob(struct vn_archive *a, const struct vn_desc *desc, struct vn_in *in, struct vn_err *err);
/* oci-layout, index.json with `root` as only entry. `tag`, `full_name`: annotations, NULL for none. */
int vn_archive_index(struct vn_archive *a, const struct vn_desc *root, const char *tag, const char *full_name,
		     struct vn_err *err);
/* manifest.json for the image; `repo_tag` NULL: none. Layers that are no members are named all the same (a thin archive). */
int vn_archive_docker(struct vn_archive *a, const struct vn_manifest *m, const char *repo_tag, struct vn_err *err);
int vn_archive_finish(struct vn_archive *a, struct vn_err *err);
void vn_archive_close(struct vn_archive *a);                                                     /* NULL is fine */

/* "app:v1" and "docker.io/library/app:v1" for what a reference to an archive or engine names inside; NULL when it names nothing. */
int vn_archive_names(const struct vn_ref *ref, char **ret_short, char **ret_full, struct vn_err *err);
#endif
