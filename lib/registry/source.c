#include "registry/blob.h"
#include "registry/manifest.h"
#include "registry/referrers.h"
#include "util/cleanup.h"
#include "util/limits.h"

struct registry_source {
	struct vn_source s;
	struct vn_client *client;
};

/* The tag or digest that the reference names. */
static const char *named(const struct vn_source *s)
{
	const char *name = vn_digest_none(&s->ref.digest) ? s->ref.tag : s->ref.digest.text;
	return name ? name : "latest";
}

static int source_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			   struct vn_err *err)
{
	return vn_manifest_fetch(((struct registry_source *)s)->client, child ? child->digest.text : named(s), child, ret_bytes,
				 ret_desc, err);
}

static int source_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	return vn_blob_pull(((struct registry_source *)s)->client, desc, 0, NULL, ret, err);
}

static int source_tags(struct vn_source *s, struct vn_buf *ret_tags, size_t *ret_count, struct vn_err *err)
{
	return vn_tags_list(((struct registry_source *)s)->client, 0, ret_tags, ret_count, err);
}

static void source_close(struct vn_source *s)
{
	struct registry_source *r = (struct registry_source *)s;

	vn_client_close(r->client);
	vn_ref_release(&s->ref);
	free(r);
}

static int source_beside(struct vn_source *s, const char *tag, struct vn_source **ret, struct vn_err *err);

static const struct vn_source_ops source_ops = {
	.manifest = source_manifest,
	.blob = source_blob,
	.tags = source_tags,
	.close = source_close,
	.remote = true,
	.beside = source_beside,
};

/* `client` is shared: it is held once more. */
static int open_over(const struct vn_ref *ref, const char *tag, const char *digest, struct vn_client *client,
		     const struct vn_events *events, struct vn_source **ret, struct vn_err *err)
{
	struct registry_source *r = calloc(1, sizeof *r);

	if (!r)
		return vn_nomem(err);
	VN_AUTO_SOURCE *s = &r->s;
	s->ops = &source_ops;
	s->events = events;
	if (vn_ref_with(ref, tag, digest, &s->ref, err) < 0)
		return -err->code;
	r->client = vn_client_hold(client);
	*ret = vn_steal(s);
	return 0;
}

static int source_beside(struct vn_source *s, const char *tag, struct vn_source **ret, struct vn_err *err)
{
	return open_over(&s->ref, tag, NULL, ((struct registry_source *)s)->client, s->events, ret, err);
}

int vn_registry_source_open(const struct vn_ref *ref, const struct vn_registry_options *opt, const struct vn_events *events,
			    struct vn_source **ret, struct vn_err *err)
{
	struct vn_client *client = NULL;

	if (vn_client_open(ref->registry, ref->repository, opt, events, &client, err) < 0)
		return -err->code;
	int n = open_over(ref, ref->tag, vn_digest_none(&ref->digest) ? NULL : ref->digest.text, client, events, ret, err);
	vn_client_close(client);
	return n;
}

/* ---- what only a registry does; other sources answer as well as they can */
int vn_registry_head(struct vn_source *s, struct vn_desc *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);

	if (s->ops == &source_ops)
		return vn_manifest_head(((struct registry_source *)s)->client, named(s), ret, err);
	return vn_source_manifest(s, NULL, &bytes, ret, err);
}

int vn_registry_blob_from(struct vn_source *s, const struct vn_desc *desc, uint64_t from, uint64_t *ret_from, struct vn_in **ret,
			  struct vn_err *err)
{
	if (s->ops == &source_ops)
		return vn_blob_pull(((struct registry_source *)s)->client, desc, from, ret_from, ret, err);
	int n = s->ops->blob(s, desc, ret, err);
	if (n == 0)
		*ret_from = 0;
	return n;
}

int vn_registry_referrers_of(struct vn_source *s, const struct vn_digest *subject, const char *artifact_type, bool untold,
			     struct vn_referrers *ret, struct vn_err *err)
{
	if (s->ops == &source_ops)
		return vn_referrers_list(((struct registry_source *)s)->client, subject, artifact_type, untold, ret, err);
	*ret = (struct vn_referrers){ 0 };
	return 0;
}
