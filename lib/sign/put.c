#include "sign/put.h"
#include "registry/registry.h"
#include "sign/find.h"
#include "util/limits.h"
#include <string.h>

#define MAX_RACES 5
/* Bytes up to which what is signed rides in its descriptor (image-spec descriptor.md, "data"): one request for a device. */
#define INLINE 4096
/* What go-containerregistry gives an image without a time. */
#define NEVER "0001-01-01T00:00:00Z"

void vn_new_signature_release(struct vn_new_signature *s)
{
	vn_buf_release(&s->text);
	*s = (struct vn_new_signature){ 0 };
}

int vn_new_signature_make(const struct vn_key *key, bool bundle, const char *reference, const struct vn_digest *digest,
			  const vn_json *annotations, struct vn_new_signature *ret, struct vn_err *err)
{
	VN_AUTO(vn_new_signature) s = { .key = key, .text = VN_BUF(VN_MAX_SIGNED_TEXT) };
	VN_AUTO(vn_buf) signed_text = VN_BUF(VN_MAX_SIGNED_TEXT + 256);
	int rc = bundle ? vn_sign_statement_make(digest, annotations, &s.text, err) :
			  vn_sign_payload_make(reference, digest, annotations, &s.text, err);
	if (rc == -VN_ELIMIT)
		return vn_fail(err, VN_ELIMIT, "the annotations make a signed text of more than %u bytes", VN_MAX_SIGNED_TEXT);
	if (rc == 0)
		rc = bundle ? vn_sign_bundle_signed(s.text.data, s.text.len, &signed_text, err) :
			      vn_buf_add(&signed_text, s.text.data, s.text.len, err);
	if (rc == 0)
		rc = vn_key_sign(key, signed_text.data, signed_text.len, s.bytes, &s.len, err);
	if (rc < 0)
		return rc;
	*ret = s;
	s = (struct vn_new_signature){ .key = NULL };
	return 0;
}

/* ---- documents */
static int describe(const char *type, const struct vn_buf *bytes, vn_json **ret, struct vn_err *err)
{
	VN_AUTO(vn_desc) desc = { .size = 0 };
	VN_AUTO_FREE char *data = NULL;
	struct vn_digest digest;
	int rc = vn_digest_of(vn_buf_text(bytes), bytes->len, &digest, err);
	if (rc == 0)
		rc = vn_desc_init(&desc, type, &digest, (int64_t)bytes->len, err);
	if (rc == 0 && bytes->len <= INLINE)
		rc = vn_base64_encode(vn_buf_text(bytes), bytes->len, &data, err);
	if (rc < 0)
		return rc;
	VN_AUTO_JSON *v = vn_desc_to_json(&desc);
	if (!v || (data && !vn_json_set(v, "data", vn_json_string(data))))
		return vn_nomem(err);
	*ret = vn_steal(v);
	return 0;
}

static bool is_there(const struct vn_manifest *old, const struct vn_digest *digest, const char *signature)
{
	for (size_t i = 0; old && i < old->nlayers; i++) {
		const char *text = vn_desc_annotation(&old->layers[i], VN_SIGN_ANNOTATION);
		if (vn_digest_equal(&old->layers[i].digest, digest) && text && !strcmp(text, signature))
			return true;
	}
	return false;
}

static int add_layer(const struct vn_manifest *old, const struct vn_new_signature *s, vn_json *layers, bool *changed,
		     struct vn_err *err)
{
	VN_AUTO_JSON *layer = NULL;
	VN_AUTO_FREE char *text = NULL;
	struct vn_digest digest;
	int rc = vn_digest_of(s->text.data, s->text.len, &digest, err);
	if (rc == 0)
		rc = vn_base64_encode(s->bytes, s->len, &text, err);
	if (rc < 0 || is_there(old, &digest, text))
		return rc;
	rc = describe(VN_SIGN_PAYLOAD_TYPE, &s->text, &layer, err);
	if (rc < 0)
		return rc;
	vn_json *notes = vn_json_object();
	vn_json_set(notes, VN_SIGN_ANNOTATION, vn_json_string(text));
	vn_json_set(layer, "annotations", notes);
	*changed = true;
	return vn_json_add(layers, vn_steal(layer)) ? 0 : vn_nomem(err);
}

/* An image's configuration that names the layers, as cosign's library gives it to its signatures. */
static int config_of(const vn_json *layers, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = vn_json_object();
	vn_json *history = vn_json_array(), *ids = vn_json_array(), *rootfs = vn_json_object();
	struct vn_jv list = vn_jv_root(layers, "layers");
	int rc = 0;
	for (size_t i = 0, n = vn_jv_count(&list); rc == 0 && i < n; i++) {
		struct vn_jv layer = vn_jv_at(&list, i);
		const char *digest = "";
		vn_json *step = vn_json_object();
		rc = vn_jv_need_text(&layer, "digest", &digest, err);
		vn_json_set(step, "created", vn_json_string(NEVER));
		vn_json_add(history, step);
		vn_json_add(ids, vn_json_string(digest));
	}
	vn_json_set(rootfs, "type", vn_json_string("layers"));
	vn_json_set(rootfs, "diff_ids", ids);
	vn_json_set(doc, "architecture", vn_json_string(""));
	vn_json_set(doc, "created", vn_json_string(NEVER));
	vn_json_set(doc, "history", history);
	vn_json_set(doc, "os", vn_json_string(""));
	vn_json_set(doc, "rootfs", rootfs);
	vn_json_set(doc, "config", vn_json_object());
	return rc < 0 ? rc : vn_json_text(doc, false, ret, err);
}

static vn_json *old_layers(const struct vn_manifest *old)
{
	vn_json *layers = vn_json_array();
	for (size_t i = 0; old && i < old->nlayers; i++)
		vn_json_add(layers, vn_json_copy(old->layers[i].json));
	return layers;
}

int vn_sign_manifest(const struct vn_manifest *old, const struct vn_new_signature *list, size_t n, struct vn_buf *ret_manifest,
		     struct vn_buf *ret_config, bool *ret_changed, struct vn_err *err)
{
	VN_AUTO_JSON *doc = old ? vn_json_copy(old->json) : vn_json_object(), *layers = old_layers(old);
	VN_AUTO_JSON *config = NULL;
	int rc = 0;
	*ret_changed = false;
	if (old && old->nlayers + n > VN_MAX_SIGNATURES)
		return vn_fail(err, VN_ELIMIT, "there are %zu signatures already, at most %d are kept", old->nlayers,
			       VN_MAX_SIGNATURES);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_layer(old, &list[i], layers, ret_changed, err);
	if (rc < 0 || !*ret_changed)
		return rc;
	rc = config_of(layers, ret_config, err);
	if (rc == 0)
		rc = describe(old ? old->config.media_type : VN_MT_OCI_CONFIG, ret_config, &config, err);
	if (rc < 0)
		return rc;
	vn_json_del(config, "data");
	if (!old) {
		vn_json_set(doc, "schemaVersion", vn_json_int(2));
		vn_json_set(doc, "mediaType", vn_json_string(VN_MT_OCI_MANIFEST));
	}
	vn_json_set(doc, "config", vn_json_hold(config));
	vn_json_set(doc, "layers", vn_json_hold(layers));
	return vn_json_text(doc, false, ret_manifest, err);
}

int vn_sign_bundle_manifest(const struct vn_desc *image, const struct vn_buf *bundle, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO(vn_desc) plain = { .size = 0 };
	VN_AUTO_JSON *doc = vn_json_object(), *config = NULL, *layer = NULL, *subject = NULL;
	VN_AUTO(vn_buf) empty = VN_BUF(16);
	int rc = vn_buf_adds(&empty, "{}", err);
	if (rc == 0)
		rc = describe(VN_MT_OCI_EMPTY, &empty, &config, err);
	if (rc == 0)
		rc = describe(VN_SIGN_BUNDLE_TYPE, bundle, &layer, err);
	if (rc == 0)
		rc = vn_desc_init(&plain, image->media_type, &image->digest, image->size, err);
	if (rc < 0)
		return rc;
	subject = vn_desc_to_json(&plain);
	vn_json_set(config, "artifactType", vn_json_string(VN_SIGN_BUNDLE_TYPE));
	vn_json *layers = vn_json_array(), *notes = vn_json_object();
	vn_json_add(layers, vn_json_hold(layer));
	vn_json_set(notes, VN_SIGN_CONTENT_ANNOTATION, vn_json_string("dsse-envelope"));
	vn_json_set(notes, VN_SIGN_PREDICATE_ANNOTATION, vn_json_string(VN_SIGN_PREDICATE));
	vn_json_set(doc, "schemaVersion", vn_json_int(2));
	vn_json_set(doc, "mediaType", vn_json_string(VN_MT_OCI_MANIFEST));
	vn_json_set(doc, "config", vn_json_hold(config));
	vn_json_set(doc, "layers", layers);
	vn_json_set(doc, "annotations", notes);
	vn_json_set(doc, "subject", vn_json_hold(subject));
	vn_json_set(doc, "artifactType", vn_json_string(VN_SIGN_BUNDLE_TYPE));
	return vn_json_text(doc, false, ret, err);
}

/* ---- writing */
static int put_blob(struct vn_sink *to, const char *type, const void *bytes, size_t len, struct vn_err *err)
{
	VN_AUTO(vn_desc) desc = { .size = 0 };
	struct vn_body body = { 0 };
	struct vn_digest digest;
	bool there = false;
	int rc = vn_digest_of(bytes, len, &digest, err);
	if (rc == 0)
		rc = vn_desc_init(&desc, type, &digest, (int64_t)len, err);
	if (rc == 0)
		rc = to->ops->has_blob(to, &desc, &there, err);
	if (rc < 0 || there)
		return rc;
	if (vn_body_memory(bytes, len, &body) < 0)
		return vn_nomem(err);
	rc = to->ops->put_blob(to, &desc, &body, err);
	vn_body_release(&body);
	return rc;
}

static int put_manifest(struct vn_sink *to, const char *type, const struct vn_buf *bytes, bool tagged, struct vn_desc *ret,
			struct vn_err *err)
{
	struct vn_digest digest;
	int rc = vn_digest_of(vn_buf_text(bytes), bytes->len, &digest, err);
	if (rc == 0)
		rc = vn_desc_init(ret, type, &digest, (int64_t)bytes->len, err);
	if (rc == 0)
		rc = to->ops->put_manifest(to, ret, vn_buf_text(bytes), bytes->len, tagged, err);
	return rc < 0 || !tagged ? rc : to->ops->commit(to, err);
}

struct current {
	struct vn_desc desc;
	struct vn_manifest manifest;
	bool there;
};

static void current_release(struct current *c)
{
	vn_desc_release(&c->desc);
	vn_manifest_release(&c->manifest);
}

static int read_current(struct vn_source *source, const char *tag, struct current *ret, struct vn_err *err)
{
	VN_AUTO_SOURCE *beside = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	struct vn_err none = { 0 };
	int rc = vn_source_beside(source, tag, &beside, &none);
	if (rc == 0)
		rc = vn_source_manifest(beside, NULL, &bytes, &ret->desc, &none);
	if (rc == -VN_ENOTFOUND)
		return 0;
	if (rc < 0) {
		*err = none;
		return rc;
	}
	rc = vn_manifest_parse(vn_buf_text(&bytes), bytes.len, &ret->manifest, err);
	if (rc < 0)
		return vn_wrap(err, "the tag %s, where signatures are kept", tag);
	for (size_t i = 0; i < ret->manifest.nlayers; i++)
		if (strcmp(ret->manifest.layers[i].media_type, VN_SIGN_PAYLOAD_TYPE))
			return vn_fail(err, VN_EREFUSED, "the tag %s holds %.100s, expected signatures alone", tag,
				       ret->manifest.layers[i].media_type);
	ret->there = true;
	return 0;
}

static int write_tag(const struct vn_sign_place *place, const char *tag, const struct current *now,
		     const struct vn_new_signature *list, size_t n, const struct vn_buf *manifest, const struct vn_buf *config,
		     struct vn_err *err)
{
	VN_AUTO_SINK *sink = NULL;
	VN_AUTO(vn_desc) put = { .size = 0 };
	int rc = place->open(place->user, tag, &sink, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = put_blob(sink, VN_SIGN_PAYLOAD_TYPE, list[i].text.data, list[i].text.len, err);
	if (rc == 0)
		rc = put_blob(sink, VN_MT_OCI_CONFIG, config->data, config->len, err);
	const char *type = now->there ? now->desc.media_type : VN_MT_OCI_MANIFEST;
	return rc < 0 ? rc : put_manifest(sink, type, manifest, true, &put, err);
}

int vn_sign_put_tag(const struct vn_sign_place *place, const struct vn_digest *digest, const struct vn_new_signature *list,
		    size_t n, struct vn_digest *ret_manifest, struct vn_err *err)
{
	char tag[VN_SIGN_TAG];
	vn_sign_tag(digest, tag);
	/* Registries know no "write only if nobody else did": who finds its signature gone adds it again. */
	for (unsigned tries = 0;; tries++) {
		VN_AUTO(current) now = { .there = false };
		VN_AUTO(vn_buf) manifest = VN_BUF(VN_MAX_MANIFEST), config = VN_BUF(VN_MAX_MANIFEST);
		bool changed = false;
		int rc = read_current(place->source, tag, &now, err);
		if (rc == 0)
			rc = vn_sign_manifest(now.there ? &now.manifest : NULL, list, n, &manifest, &config, &changed, err);
		if (rc == 0 && !changed)
			*ret_manifest = now.desc.digest;
		if (rc < 0 || !changed)
			return rc;
		if (tries >= MAX_RACES)
			return vn_fail(err, VN_ENETWORK,
				       "the tag %s lost the signature %u times: others write it at the same time", tag, tries);
		rc = write_tag(place, tag, &now, list, n, &manifest, &config, err);
		if (rc < 0)
			return rc;
	}
}

int vn_sign_put_bundle(const struct vn_sign_place *place, const struct vn_desc *image, const struct vn_new_signature *s,
		       struct vn_digest *ret_manifest, struct vn_err *err)
{
	VN_AUTO(vn_buf) bundle = VN_BUF(VN_MAX_BUNDLE), manifest = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO_SINK *sink = NULL;
	VN_AUTO(vn_desc) put = { .size = 0 };
	bool api = false;
	int rc = vn_sign_bundle_make(s->key->id, s->text.data, s->text.len, s->bytes, s->len, &bundle, err);
	if (rc == 0)
		rc = vn_sign_bundle_manifest(image, &bundle, &manifest, err);
	if (rc == 0)
		rc = place->open(place->user, NULL, &sink, err);
	if (rc == 0)
		rc = put_blob(sink, VN_SIGN_BUNDLE_TYPE, bundle.data, bundle.len, err);
	if (rc == 0)
		rc = put_blob(sink, VN_MT_OCI_EMPTY, "{}", 2, err);
	if (rc == 0)
		rc = put_manifest(sink, VN_MT_OCI_MANIFEST, &manifest, false, &put, err);
	if (rc == 0)
		rc = vn_registry_refer(sink, &put, manifest.data, manifest.len, NULL, &api, err);
	if (rc == 0)
		*ret_manifest = put.digest;
	return rc;
}
