/* What people type to name an image. Transports as containers-transports(5); registry names as distribution/reference. */
#ifndef VN_OCI_REF_H
#define VN_OCI_REF_H
#include "util/digest.h"

enum vn_transport { VN_REF_REGISTRY, VN_REF_OCI, VN_REF_OCI_ARCHIVE, VN_REF_DOCKER_ARCHIVE, VN_REF_DOCKER_DAEMON };

struct vn_ref {
	enum vn_transport transport;
	char *registry;              /* VN_REF_REGISTRY: host[:port]; "docker.io" when none was typed */
	char *repository;            /* …: "library/" added for one-component Docker Hub names */
	char *path;                  /* files and directories */
	char *name;                  /* docker-daemon and docker-archive: the name inside (archive: or "@N"), or NULL */
	char *tag;                   /* NULL when a digest alone was typed, or none for a path; registry default "latest" */
	struct vn_digest digest;     /* "" when none */
	char *text;                  /* as typed, without "docker://" */
};
int vn_ref_parse(const char *text, struct vn_ref *ret, struct vn_err *err);      /* VN_EUSAGE says which part is wrong */
void vn_ref_release(struct vn_ref *ref);
/* The same place with another tag / digest; NULL keeps none. */
int vn_ref_with(const struct vn_ref *ref, const char *tag, const char *digest, struct vn_ref *ret, struct vn_err *err);
bool vn_tag_valid(const char *tag);
/* "registry/repository", what annotations such as base.name carry, plus tag or digest. */
int vn_ref_full_name(const struct vn_ref *ref, char **ret, struct vn_err *err);
#endif
