#include "engine/kinds.h"
#include "engine/names.h"
#include "util/cleanup.h"
#include <stdio.h>
#include <string.h>

typedef int opener(const char *endpoint, const char *scratch, const struct vn_events *events, struct vn_engine **ret,
		   struct vn_err *err);

void vn_held_release(struct vn_held *h)
{
	free(h->diff_ids);
	memset(h, 0, sizeof(*h));
}

/* Kinds that hand nothing over need no folder to do it in. */
static int open_oci(const char *endpoint, const char *scratch, const struct vn_events *events, struct vn_engine **ret,
		    struct vn_err *err)
{
	(void)scratch;
	return vn_engine_oci_open(endpoint, events, ret, err);
}

static int open_rootfs(const char *endpoint, const char *scratch, const struct vn_events *events, struct vn_engine **ret,
		       struct vn_err *err)
{
	(void)scratch;
	return vn_engine_rootfs_open(endpoint, events, ret, err);
}

static const struct kind {
	const char *name;
	opener *open;
} kinds[] = {
	{ "moby", vn_engine_moby_open },
	{ "containerd", vn_engine_containerd_open },
	{ "podman", vn_engine_podman_open },
	{ "oci", open_oci },
	{ "rootfs", open_rootfs },
};

static const struct kind *find_kind(const char *name, struct vn_err *err)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(name, kinds[i].name))
			return &kinds[i];
	vn_fail(err, VN_EUSAGE, "\"%.60s\" is not a kind of engine", name);
	vn_hint(err, "the kinds are moby, containerd, podman, oci and rootfs");
	return NULL;
}

int vn_engine_known(const char *kind, struct vn_err *err)
{
	return find_kind(kind, err) ? 0 : -(int)err->code;
}

int vn_engine_open(const char *kind, const char *endpoint, const char *scratch, const struct vn_events *events,
		   struct vn_engine **ret, struct vn_err *err)
{
	const struct kind *k = find_kind(kind ? kind : "moby", err);
	return k ? k->open(endpoint, scratch, events, ret, err) : -(int)err->code;
}

void vn_engine_close(struct vn_engine *e)
{
	if (e)
		e->ops->close(e);
}

/* ---- names */
int vn_engine_full_name(const char *typed, char **ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	if (vn_digest_valid(typed))
		return vn_strdup(typed, ret, err);
	int rc = vn_ref_parse(typed, &ref, err);
	if (rc == 0 && ref.transport != VN_REF_REGISTRY)
		rc = vn_fail(err, VN_EUSAGE, "\"%.200s\" is not a name that an engine gives to images", typed);
	return rc < 0 ? rc : vn_ref_full_name(&ref, ret, err);
}

bool vn_engine_same_repository(const struct vn_ref *ref, const char *repo_digest, struct vn_digest *ret)
{
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_ref) other = { 0 };
	if (vn_ref_parse(repo_digest, &other, &ignored) < 0 || other.transport != VN_REF_REGISTRY || vn_digest_none(&other.digest) ||
	    strcmp(other.registry, ref->registry) || strcmp(other.repository, ref->repository))
		return false;
	*ret = other.digest;
	return true;
}

int vn_engine_repo_digest(const char *name, const struct vn_jv *list, struct vn_digest *ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	bool id = vn_digest_valid(name);
	int rc = id ? 0 : vn_ref_parse(name, &ref, err);
	*ret = (struct vn_digest){ "" };
	for (size_t i = 0; rc == 0 && i < vn_jv_count(list); i++) {
		const char *text = NULL;
		struct vn_jv item = vn_jv_at(list, i);
		rc = vn_jv_text(&item, &text, err);
		const char *at = rc == 0 ? strchr(text, '@') : NULL;
		if (at && id && vn_digest_valid(at + 1))
			return vn_digest_parse(at + 1, ret, err);
		if (at && !id && vn_engine_same_repository(&ref, text, ret))
			return 0;
	}
	return rc;
}

const char *vn_engine_keeper(const char *full, char ret[VN_KEEPER])
{
	size_t len = strlen(full), most = VN_KEEPER - sizeof("veneer-keep-");
	snprintf(ret, VN_KEEPER, "veneer-keep-%s", len > most ? full + len - most : full);
	/* [a-zA-Z0-9][a-zA-Z0-9_.-]* */
	for (char *p = ret; *p; p++)
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') && !(*p >= '0' && *p <= '9') && *p != '.')
			*p = '-';
	return ret;
}

int vn_engine_diff_ids(const struct vn_jv *layers, struct vn_held *ret, struct vn_err *err)
{
	size_t n = vn_jv_count(layers);
	VN_AUTO_FREE struct vn_digest *ids = calloc(n + 1, sizeof(*ids));
	if (!ids)
		return vn_nomem(err);
	for (size_t i = 0; i < n; i++) {
		const char *text = NULL;
		struct vn_jv layer = vn_jv_at(layers, i);
		int rc = vn_jv_text(&layer, &text, err);
		if (rc == 0)
			rc = vn_digest_parse(text, &ids[i], err);
		if (rc < 0)
			return rc;
	}
	ret->diff_ids = vn_steal(ids);
	ret->ndiff_ids = n;
	return 0;
}
