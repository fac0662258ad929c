#include "ocidelta/bundle.h"
#include "ocidelta/ocidelta.h"
#include "ocidelta/read.h"
#include "util/cleanup.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct vn_ocidelta_blob *vn_ocidelta_content(const struct vn_ocidelta *delta, const char *content)
{
	for (size_t i = 0; i < delta->nblobs; i++) {
		const char *has = vn_desc_annotation(&delta->blobs[i].desc, VN_OCIDELTA_PREFIX "content");
		if (has && !strcmp(has, content))
			return &delta->blobs[i];
	}
	return NULL;
}

const struct vn_ocidelta_blob *vn_ocidelta_layer_for(const struct vn_ocidelta *delta, const struct vn_digest *digest)
{
	for (size_t i = 0; i < delta->nblobs; i++) {
		const struct vn_desc *desc = &delta->blobs[i].desc;
		const char *content = vn_desc_annotation(desc, VN_OCIDELTA_PREFIX "content");
		const char *to = vn_desc_annotation(desc, VN_OCIDELTA_PREFIX "to");
		if (content && to && !strcmp(content, "image-layer") && !strcmp(to, digest->text))
			return &delta->blobs[i];
	}
	return NULL;
}

static int digest_note(const struct vn_manifest *m, const char *key, struct vn_digest *ret, struct vn_err *err)
{
	const char *text = vn_manifest_annotation(m, key);
	int r = text ? vn_digest_parse(text, ret, err) : 0;
	return r < 0 ? vn_wrap(err, "annotation %s of the delta", key) : 0;
}

/* Ours says the target as its subject alone; others say it in an annotation, too. */
static int read_names(const struct vn_manifest *m, struct vn_ocidelta *d, struct vn_err *err)
{
	struct vn_jv root = vn_jv_root(m->json, "delta"), subject = vn_jv_get(&root, "subject");
	VN_AUTO(vn_desc) target = { 0 };
	int r = digest_note(m, VN_OCIDELTA_PREFIX "source", &d->source, err);
	if (r == 0)
		r = digest_note(m, VN_OCIDELTA_PREFIX "target", &d->target, err);
	if (r == 0 && subject.v)
		r = vn_desc_of_json(&subject, &target, err);
	if (r < 0)
		return r;
	if (subject.v && !vn_digest_none(&d->target) && !vn_digest_equal(&d->target, &target.digest))
		return vn_fail(err, VN_EDIGEST, "the delta names two targets: its subject is %s, its annotation %s",
			       target.digest.text, d->target.text);
	if (subject.v)
		d->target = target.digest;
	if (vn_digest_none(&d->target))
		return vn_fail(err, VN_EFORMAT, "the delta does not say which image it makes: it has neither a subject nor a target");
	if (vn_digest_none(&d->source) && !vn_manifest_annotation(m, VN_OCIDELTA_PREFIX "source-config"))
		return vn_fail(err, VN_EFORMAT, "the delta does not say which image it starts from");
	return 0;
}

bool vn_ocidelta_is_inline(const struct vn_desc *desc)
{
	struct vn_err ignored = { 0 };
	struct vn_jv root = vn_jv_root(desc->json, "descriptor");
	const char *data = NULL;
	return desc->json && vn_jv_opt_text(&root, "data", &data, &ignored) == 0 && data;
}

static int read_blobs(const struct vn_manifest *m, struct vn_ocidelta *d, struct vn_err *err)
{
	int r = 0;
	if (m->nlayers > 2 * VN_MAX_LAYERS)
		return vn_fail(err, VN_ELIMIT, "the delta has %zu blobs, more than %d", m->nlayers, 2 * VN_MAX_LAYERS);
	d->blobs = calloc(m->nlayers + 1, sizeof(*d->blobs));
	if (!d->blobs)
		return vn_nomem(err);
	d->size = d->manifest.len;
	for (; r == 0 && d->nblobs < m->nlayers; d->nblobs++) {
		struct vn_ocidelta_blob *b = &d->blobs[d->nblobs];
		b->tmp = (struct vn_tmp)VN_TMP;
		r = vn_desc_copy(&m->layers[d->nblobs], &b->desc, err);
		if (r == 0 && !vn_ocidelta_is_inline(&b->desc) && b->desc.size > 0)
			d->size += (uint64_t)b->desc.size;
	}
	return r;
}

/* How the layers are made is in the bundle's table: looked at where that costs no request. */
static int read_layers(struct vn_ocidelta *d, struct vn_cache *cache, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_bundle) b = { 0 };
	const struct vn_ocidelta_blob *blob = vn_ocidelta_content(d, "veneer");
	if (!blob || (d->at->ops->remote && !vn_ocidelta_is_inline(&blob->desc)))
		return 0;
	int r = vn_source_blob(d->at, &blob->desc, cache, "delta", &in, err);
	if (r == 0)
		r = vn_bundle_read(in, &b, err);
	return r < 0 ? r : vn_ocidelta_tell(d, &b, err);
}

int vn_ocidelta_tell(struct vn_ocidelta *d, const struct vn_bundle *b, struct vn_err *err)
{
	static const enum vn_ocidelta_how hows[] = { VN_OCIDELTA_REUSED, VN_OCIDELTA_ORIGINAL, VN_OCIDELTA_REBUILT,
						     VN_OCIDELTA_REPACKED, VN_OCIDELTA_REBUILT, VN_OCIDELTA_REBUILT };
	if (d->nlayers || !b->nlayers)
		return 0;
	d->layers = calloc(b->nlayers, sizeof(*d->layers));
	if (!d->layers)
		return vn_nomem(err);
	d->nlayers = b->nlayers;
	for (size_t i = 0; i < b->nlayers; i++) {
		d->layers[i].how = hows[b->layers[i].how];
		d->layers[i].plain = vn_bundle_in_delta(&b->layers[i]) ? b->layers[i].plain : 0;
	}
	return 0;
}

static int check_artifact(struct vn_source *source, const struct vn_ocidelta *d, struct vn_manifest *ret, struct vn_err *err)
{
	enum vn_kind kind;
	const char *type, *artifact = NULL;
	int r = vn_manifest_kind(vn_buf_text(&d->manifest), d->manifest.len, d->desc.media_type, &kind, &type, err);
	if (r == 0 && kind == VN_KIND_MANIFEST)
		r = vn_manifest_parse(vn_buf_text(&d->manifest), d->manifest.len, ret, err);
	if (r < 0)
		return vn_wrap(err, "%s", source->ref.text);
	if (kind == VN_KIND_MANIFEST) {
		struct vn_jv root = vn_jv_root(ret->json, "manifest");
		r = vn_jv_opt_text(&root, "artifactType", &artifact, err);
	}
	if (r == 0 && (!artifact || strcmp(artifact, VN_OCIDELTA_ARTIFACT)))
		r = vn_fail(err, VN_EFORMAT, "%s is no delta: its type is %.200s, expected " VN_OCIDELTA_ARTIFACT, source->ref.text,
			    artifact && *artifact ? artifact : type);
	return r;
}

/* From here on it is a delta: what is wrong with it is damage. */
static int read_delta(struct vn_ocidelta *d, const struct vn_manifest *m, struct vn_cache *cache, struct vn_err *err)
{
	int r = read_names(m, d, err);
	if (r == 0)
		r = read_blobs(m, d, err);
	if (r == 0)
		r = read_layers(d, cache, err);
	if (r == -VN_EFORMAT)
		err->code = VN_EDIGEST;
	return r < 0 ? vn_wrap(err, "%s", d->at->ref.text) : 0;
}

int vn_ocidelta_open(struct vn_source *source, struct vn_cache *cache, struct vn_ocidelta *ret, struct vn_err *err)
{
	VN_AUTO(vn_ocidelta) d = { .manifest = VN_BUF(VN_MAX_MANIFEST), .at = source };
	VN_AUTO(vn_manifest) m = { 0 };
	int r = vn_source_manifest(source, NULL, &d.manifest, &d.desc, err);
	if (r == 0)
		r = check_artifact(source, &d, &m, err);
	if (r == 0)
		r = read_delta(&d, &m, cache, err);
	if (r < 0)
		return r;
	*ret = d;
	d = (struct vn_ocidelta){ 0 };
	return 0;
}
