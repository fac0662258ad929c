/* A sink that keeps nothing: what an image is rebuilt into when only the proof is wanted. */
#include "api/delta.h"
#include "util/cleanup.h"
#include <stdlib.h>

static int nothing_there(struct vn_sink *k, struct vn_desc *ret, struct vn_err *err)
{
	(void)k, (void)ret;
	return vn_fail(err, VN_ENOTFOUND, "nothing is kept");
}

static int has_no_blob(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	(void)k, (void)desc, (void)err;
	*ret = false;
	return 0;
}

static int read_blob(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	struct vn_in *raw = NULL;
	int r = body->open(body, &raw, err);
	if (r == 0)
		r = vn_in_verify(raw, &desc->digest, desc->size, "what was rebuilt", &in, err);
	(void)k;
	return r < 0 ? r : vn_in_drain(in, err);
}

static int check_manifest(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged, struct vn_err *err)
{
	struct vn_digest digest;
	int r = vn_digest_of(bytes, len, &digest, err);
	(void)k, (void)tagged;
	if (r == 0 && !vn_digest_equal(&digest, &desc->digest))
		r = vn_fail(err, VN_EDIGEST, "a manifest has the digest %s, expected %s", digest.text, desc->digest.text);
	return r;
}

static int commit(struct vn_sink *k, struct vn_err *err)
{
	(void)k, (void)err;
	return 0;
}

static int reopen(struct vn_sink *k, struct vn_source **ret, struct vn_err *err)
{
	(void)ret;
	return vn_fail(err, VN_EIO, "%s cannot be read", k->ref.text);
}

static void close_sink(struct vn_sink *k)
{
	vn_ref_release(&k->ref);
	free(k);
}

static const struct vn_sink_ops ops = {
	.current = nothing_there,
	.has_blob = has_no_blob,
	.put_blob = read_blob,
	.put_manifest = check_manifest,
	.commit = commit,
	.close = close_sink,
	.reopen = reopen,
};

int vn_proof_sink_open(struct vn *vn, struct vn_sink **ret, struct vn_err *err)
{
	struct vn_sink *k = calloc(1, sizeof(*k));
	if (!k)
		return vn_nomem(err);
	k->ops = &ops;
	k->events = vn_listeners(vn);
	int r = vn_ref_parse("oci:nowhere", &k->ref, err);
	if (r < 0)
		free(k);
	else
		*ret = k;
	return r;
}
