#include "registry/blob.h"
#include "registry/manifest.h"
#include "registry/referrers.h"
#include "util/cleanup.h"
#include <string.h>

struct registry_sink {
	struct vn_sink k;
	struct vn_client *client;
	struct vn_registry_options opt;      /* texts owned, for reopen */
	char *texts[4];
	char *session;                       /* an upload that a failed mount has opened, and for which blob */
	struct vn_digest session_of;
	struct vn_digest put;                /* the last manifest, and whether the registry lists it with its subject */
	bool put_listed;
};

static struct registry_sink *of(struct vn_sink *k)
{
	return (struct registry_sink *)k;
}

static const char *name_of(const struct vn_ref *ref)
{
	return ref->tag ? ref->tag : vn_digest_none(&ref->digest) ? "latest" : ref->digest.text;
}

static int sink_current(struct vn_sink *k, struct vn_desc *ret, struct vn_err *err)
{
	return vn_manifest_head(of(k)->client, name_of(&k->ref), ret, err);
}

static int sink_has_blob(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	return vn_blob_exists(of(k)->client, desc, ret, err);
}

static int sink_mount_blob(struct vn_sink *k, const struct vn_desc *desc, const struct vn_ref *from, bool *ret,
			   struct vn_err *err)
{
	struct registry_sink *r = of(k);
	char *session = NULL;

	if (from->transport != VN_REF_REGISTRY || strcmp(vn_registry_name(from->registry), vn_registry_name(k->ref.registry)) ||
	    !strcmp(from->repository, k->ref.repository)) {
		*ret = false;
		return 0;
	}
	if (vn_blob_mount(r->client, desc, from->repository, ret, &session, err) < 0)
		return -err->code;
	free(r->session);
	r->session = session;
	r->session_of = desc->digest;
	return 0;
}

static int sink_put_blob(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err)
{
	struct registry_sink *r = of(k);
	VN_AUTO_FREE char *session = NULL;

	if (r->session && vn_digest_equal(&r->session_of, &desc->digest))
		session = vn_steal(r->session);
	return vn_blob_push(r->client, desc, body, session, r->opt.chunk, err);
}

static int sink_put_manifest(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged,
			     struct vn_err *err)
{
	if (tagged && !vn_digest_none(&k->ref.digest) && !vn_digest_equal(&k->ref.digest, &desc->digest))
		return vn_fail(err, VN_EREFUSED, "%s names digest %s, but what is to be stored there has %s", k->ref.text,
			       k->ref.digest.text, desc->digest.text);
	struct registry_sink *r = of(k);
	const char *name = tagged ? name_of(&k->ref) : desc->digest.text;
	struct vn_err unlisted = { 0 };
	bool listed;
	if (vn_manifest_put(r->client, name, desc, bytes, len, &r->put_listed, err) < 0)
		return -err->code;
	r->put = desc->digest;
	if (!r->put_listed && vn_referrers_has_subject(bytes, len) &&
	    vn_referrers_add(r->client, desc, bytes, len, NULL, &r->put_listed, &listed, &unlisted) < 0)
		vn_warn(k->events, "the manifest %.19s… is stored, but not listed as a referrer: %s", desc->digest.text, unlisted.text);
	return 0;
}

static int sink_commit(struct vn_sink *k, struct vn_err *err)
{
	(void)k;
	(void)err;
	return 0;
}

static void sink_close(struct vn_sink *k)
{
	struct registry_sink *r = of(k);

	vn_client_close(r->client);
	vn_ref_release(&k->ref);
	if (r->texts[3])
		explicit_bzero(r->texts[3], strlen(r->texts[3]));
	for (size_t i = 0; i < 4; i++)
		free(r->texts[i]);
	free(r->session);
	free(r);
}

static int sink_reopen(struct vn_sink *k, struct vn_source **ret, struct vn_err *err)
{
	return vn_registry_source_open(&k->ref, &of(k)->opt, k->events, ret, err);
}

static const struct vn_sink_ops sink_ops = {
	.current = sink_current,
	.has_blob = sink_has_blob,
	.mount_blob = sink_mount_blob,
	.put_blob = sink_put_blob,
	.put_manifest = sink_put_manifest,
	.commit = sink_commit,
	.close = sink_close,
	.reopen = sink_reopen,
	.only = VN_FAMILY_NONE,
};

static int keep_options(struct registry_sink *r, const struct vn_registry_options *opt, struct vn_err *err)
{
	if (!opt)
		return 0;
	r->opt = *opt;
	if (vn_strdup(opt->authfile, &r->texts[0], err) < 0 || vn_strdup(opt->cacert, &r->texts[1], err) < 0 ||
	    vn_strdup(opt->username, &r->texts[2], err) < 0 || vn_strdup(opt->password, &r->texts[3], err) < 0)
		return -err->code;
	r->opt.authfile = r->texts[0];
	r->opt.cacert = r->texts[1];
	r->opt.username = r->texts[2];
	r->opt.password = r->texts[3];
	return 0;
}

int vn_registry_sink_open(const struct vn_ref *ref, const struct vn_registry_options *opt, const struct vn_events *events,
			  struct vn_sink **ret, struct vn_err *err)
{
	struct registry_sink *r = calloc(1, sizeof *r);

	if (!r)
		return vn_nomem(err);
	VN_AUTO_SINK *k = &r->k;
	k->ops = &sink_ops;
	k->events = events;
	if (vn_ref_with(ref, ref->tag, vn_digest_none(&ref->digest) ? NULL : ref->digest.text, &k->ref, err) < 0 ||
	    keep_options(r, opt, err) < 0 || vn_client_open(ref->registry, ref->repository, opt, events, &r->client, err) < 0)
		return -err->code;
	*ret = vn_steal(k);
	return 0;
}

int vn_registry_refer(struct vn_sink *k, const struct vn_desc *desc, const void *manifest, size_t len, const char *replaces,
		      bool *ret_api, struct vn_err *err)
{
	struct registry_sink *r = of(k);

	if (k->ops != &sink_ops)
		return vn_fail(err, VN_EUSAGE, "%s is no registry, and only registries list referrers", k->ref.text);
	return vn_referrers_add(r->client, desc, manifest, len, replaces,
				vn_digest_equal(&r->put, &desc->digest) ? &r->put_listed : NULL, ret_api, err);
}
