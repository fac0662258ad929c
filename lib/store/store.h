/* Images kept in files: OCI layout folders and archives.
 *
 * oci:DIR[:TAG]              image-spec image-layout.md; the tag is the entry's org.opencontainers.image.ref.name. Without a tag:
 *                            the only entry, or the only one that has no tag; entries that all lack one are taken as an index.
 * oci-archive:FILE[:TAG]     the same as a tar; read also when compressed with gzip or zstd.
 * docker-archive:FILE[:REF]  what `docker save` writes; REF is a name with tag or @N, the N-th image counted from 0.
 *
 * Sinks write nothing before the first put. A layout's index.json changes by rename, at commit; an archive appears whole. */
#ifndef VN_STORE_STORE_H
#define VN_STORE_STORE_H
#include "image/sink.h"

int vn_layout_source_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret, struct vn_err *err);
int vn_layout_sink_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_sink **ret, struct vn_err *err);
int vn_oci_archive_source_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret,
			       struct vn_err *err);
int vn_oci_archive_sink_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_sink **ret,
			     struct vn_err *err);
int vn_docker_archive_source_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret,
				  struct vn_err *err);
int vn_docker_archive_sink_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_sink **ret,
				struct vn_err *err);
#endif
