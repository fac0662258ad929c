/* Manifests that have another one as their `subject` (distribution-spec, "Listing Referrers", "Pushing Manifests with Subject").
 * A registry that does not list them has an index of them under a tag made of the subject's digest, which clients keep. */
#ifndef VN_REGISTRY_REFERRERS_H
#define VN_REGISTRY_REFERRERS_H
#include "registry/client.h"

/* As vn_registry_referrers_of(). */
int vn_referrers_list(struct vn_client *c, const struct vn_digest *subject, const char *artifact_type, bool untold,
		      struct vn_referrers *ret, struct vn_err *err);
/* As vn_registry_refer(); `listed`: what the registry said when it took the manifest, NULL = not known. */
int vn_referrers_add(struct vn_client *c, const struct vn_desc *desc, const void *manifest, size_t len, const char *replaces,
		     const bool *listed, bool *ret_api, struct vn_err *err);
bool vn_referrers_has_subject(const void *manifest, size_t len);
/* Referrers Tag Schema: ALGORITHM "-" HEX, cut to 32 and 64 characters. */
#define VN_REFERRERS_TAG 98
void vn_referrers_tag_name(const struct vn_digest *subject, char ret[VN_REFERRERS_TAG]);
#endif
