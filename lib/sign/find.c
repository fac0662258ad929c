#include "sign/find.h"
#include "oci/manifest.h"
#include "registry/registry.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>

#define BY_NONE "it is by none of the keys given"
#define ED25519_SIGNATURE 64
#define MAX_UNTOLD 16                /* manifests that are asked what they are */
#define MAX_TAG 128                  /* distribution-spec, <reference> as a tag */

void vn_found_list_release(struct vn_found_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		vn_claim_release(&list->list[i].claim);
	free(list->list);
	*list = (struct vn_found_list){ 0 };
}

/* cosign, specs/SIGNATURE_SPEC.md, "Tag-based Discovery" */
void vn_sign_tag(const struct vn_digest *digest, char ret[VN_SIGN_TAG])
{
	snprintf(ret, VN_SIGN_TAG, "%.6s-%s.sig", digest->text, vn_digest_hex(digest));
}

struct look {
	struct vn_source *source;
	const struct vn_digest *digest;
	const struct vn_public_keys *keys;
	struct vn_found_list *found;
};

/* Is it the signature's fault, or the road's? */
static bool of_road(int rc)
{
	return rc == -VN_ENETWORK || rc == -VN_EAUTH || rc == -VN_EIO || rc == -VN_ENOMEM;
}

static int add(struct look *l, const char *form, struct vn_found **ret, struct vn_err *err)
{
	int rc = vn_grow(&l->found->list, &l->found->cap, l->found->n + 1, sizeof(*l->found->list), err);
	if (rc < 0)
		return rc;
	*ret = &l->found->list[l->found->n++];
	memset(*ret, 0, sizeof(**ret));
	(*ret)->form = form;
	return 0;
}

/* `why` is either a failure of the whole, or the reason against one signature. */
static int settle(struct look *l, const char *form, struct vn_found *f, int rc, const struct vn_err *why, struct vn_err *err)
{
	if (rc < 0 && of_road(rc)) {
		*err = *why;
		return rc;
	}
	if (rc < 0 && !f)
		rc = add(l, form, &f, err);
	else if (rc < 0)
		rc = 0;
	else
		return 0;
	if (rc == 0)
		snprintf(f->reason, sizeof(f->reason), "%s", why->text);
	return rc;
}

/* Which key is it by? f->key stays NULL when it is none. */
static int judge(const struct look *l, const void *text, size_t len, const uint8_t *signature, size_t signature_len,
		 struct vn_found *f, struct vn_err *err)
{
	for (size_t i = 0; i < l->keys->n; i++) {
		bool good;
		f->prehashed |= signature_len == ED25519_SIGNATURE && !strcmp(vn_key_algorithm(l->keys->list[i]), "ed25519");
		int rc = vn_key_verify(l->keys->list[i], text, len, signature, signature_len, &good, err);
		if (rc < 0)
			return rc;
		if (good) {
			f->key = l->keys->list[i];
			return 0;
		}
	}
	return vn_fail(err, VN_EREFUSED, BY_NONE);
}

static int read_blob(struct vn_source *source, const struct vn_desc *desc, size_t most, const char *what, struct vn_buf *ret,
		     struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	if (desc->size < 0 || (uint64_t)desc->size > most)
		return vn_fail(err, VN_ELIMIT, "%s has %lld bytes, at most %zu are read", what, (long long)desc->size, most);
	int rc = vn_source_blob(source, desc, NULL, what, &in, err);
	return rc < 0 ? rc : vn_in_read_all(in, ret, err);
}

/* ---- under the tag */
static int read_layer(struct look *l, struct vn_source *beside, const struct vn_desc *layer, struct vn_found *f,
		      struct vn_err *err)
{
	VN_AUTO(vn_buf) payload = VN_BUF(VN_MAX_SIGNED_TEXT);
	VN_AUTO_FREE uint8_t *signature = NULL;
	size_t len;
	const char *text = vn_desc_annotation(layer, VN_SIGN_ANNOTATION);
	if (!text || !*text)
		return vn_fail(err, VN_EFORMAT, "it lacks the annotation " VN_SIGN_ANNOTATION);
	if (strlen(text) > VN_MAX_SIGNATURE_TEXT)
		return vn_fail(err, VN_ELIMIT, "its signature is longer than %d characters", VN_MAX_SIGNATURE_TEXT);
	if (vn_base64_decode(text, &signature, &len, err) < 0)
		return vn_wrap(err, VN_SIGN_ANNOTATION);
	int rc = read_blob(beside, layer, VN_MAX_SIGNED_TEXT, "signed payload", &payload, err);
	if (rc == 0)
		rc = judge(l, vn_buf_text(&payload), payload.len, signature, len, f, err);
	return rc < 0 ? rc : vn_sign_payload_read(vn_buf_text(&payload), payload.len, l->digest, &f->claim, err);
}

static int read_tag(struct look *l, struct vn_source *beside, const struct vn_buf *bytes, struct vn_err *err)
{
	VN_AUTO(vn_manifest) m = { .nlayers = 0 };
	struct vn_err why = { 0 };
	int rc = vn_manifest_parse(vn_buf_text(bytes), bytes->len, &m, &why);
	if (rc == 0 && m.nlayers > VN_MAX_SIGNATURES)
		rc = vn_fail(&why, VN_ELIMIT, "%zu signatures under one tag, at most %d are read", m.nlayers,
			     VN_MAX_SIGNATURES);
	if (rc < 0)
		return settle(l, "tag", NULL, rc, &why, err);
	for (size_t i = 0; i < m.nlayers; i++) {
		struct vn_found *f;
		if (strcmp(m.layers[i].media_type, VN_SIGN_PAYLOAD_TYPE))
			continue;
		why = (struct vn_err){ 0 };
		rc = add(l, "tag", &f, err);
		if (rc == 0)
			rc = settle(l, "tag", f, read_layer(l, beside, &m.layers[i], f, &why), &why, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int look_tag(struct look *l, struct vn_err *err)
{
	VN_AUTO_SOURCE *beside = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_err why = { 0 };
	char tag[VN_SIGN_TAG];
	vn_sign_tag(l->digest, tag);
	/* a tag has no room for sha512 */
	if (strlen(tag) > MAX_TAG)
		return 0;
	int rc = vn_source_beside(l->source, tag, &beside, &why);
	if (rc == 0)
		rc = vn_source_manifest(beside, NULL, &bytes, &desc, &why);
	if (rc == -VN_ENOTFOUND)
		return 0;
	return rc < 0 ? settle(l, "tag", NULL, rc, &why, err) : read_tag(l, beside, &bytes, err);
}

/* ---- bundles */
static int read_statement(struct look *l, const struct vn_buf *bytes, struct vn_found *f, struct vn_err *err)
{
	VN_AUTO(vn_sign_bundle) b = { .statement = NULL };
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_SIGNED_TEXT + 256);
	int rc = vn_sign_bundle_read(vn_buf_text(bytes), bytes->len, &b, err);
	if (rc == 0)
		rc = vn_sign_bundle_signed(b.statement, b.statement_len, &text, err);
	if (rc == 0)
		rc = judge(l, vn_buf_text(&text), text.len, b.signature, b.signature_len, f, err);
	return rc < 0 ? rc : vn_sign_statement_read(b.statement, b.statement_len, l->digest, &f->claim, err);
}

/* The bundle's descriptor is the only layer of `ret`. VN_ENOTFOUND: it holds none. */
static int read_referrer(struct look *l, const struct vn_desc *referrer, struct vn_manifest *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	int rc = vn_source_manifest(l->source, referrer, &bytes, &desc, err);
	if (rc == 0)
		rc = vn_manifest_parse(vn_buf_text(&bytes), bytes.len, ret, err);
	if (rc == 0 && (ret->nlayers != 1 || strcmp(ret->layers[0].media_type, VN_SIGN_BUNDLE_TYPE)))
		rc = vn_fail(err, VN_ENOTFOUND, "the manifest %.19s… holds no bundle", referrer->digest.text);
	return rc;
}

static int read_bundle(struct look *l, const struct vn_desc *bundle, struct vn_found *f, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_BUNDLE);
	int rc = read_blob(l->source, bundle, VN_MAX_BUNDLE, "signature bundle", &bytes, err);
	return rc < 0 ? rc : read_statement(l, &bytes, f, err);
}

static int look_referrer(struct look *l, const struct vn_desc *referrer, struct vn_err *err)
{
	VN_AUTO(vn_manifest) m = { .nlayers = 0 };
	struct vn_err why = { 0 };
	struct vn_found *f;
	int rc = read_referrer(l, referrer, &m, &why);
	if (rc < 0 && !of_road(rc) && vn_referrer_untold(referrer))
		return 0;
	if (rc < 0)
		return settle(l, "bundle", NULL, rc, &why, err);
	rc = add(l, "bundle", &f, err);
	return rc < 0 ? rc : settle(l, "bundle", f, read_bundle(l, &m.layers[0], f, &why), &why, err);
}

/* An OCI layout keeps the list of referrers where registries without the API do (distribution-spec, "Referrers Tag Schema"). */
static int list_in_layout(struct look *l, struct vn_index *ret, struct vn_err *err)
{
	VN_AUTO_SOURCE *beside = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	char tag[VN_SIGN_TAG];
	snprintf(tag, sizeof(tag), "%.6s-%.64s", l->digest->text, vn_digest_hex(l->digest));
	int rc = vn_source_beside(l->source, tag, &beside, err);
	if (rc == 0)
		rc = vn_source_manifest(beside, NULL, &bytes, &desc, err);
	if (rc == -VN_ENOTFOUND)
		return 0;
	return rc < 0 ? rc : vn_index_parse(vn_buf_text(&bytes), bytes.len, ret, err);
}

/* Of other artifact types, and bundles that say that they are about something else than running the image. */
static bool is_other(const struct vn_desc *referrer)
{
	const char *predicate = vn_desc_annotation(referrer, VN_SIGN_PREDICATE_ANNOTATION);
	bool bundle = vn_referrer_untold(referrer) || !strcmp(vn_referrer_type(referrer), VN_SIGN_BUNDLE_TYPE);
	return !bundle || (predicate && strcmp(predicate, VN_SIGN_PREDICATE));
}

static int look_bundles(struct look *l, struct vn_err *err)
{
	VN_AUTO(vn_referrers) listed = { .n = 0 };
	VN_AUTO(vn_index) index = { .nmanifests = 0 };
	bool registry = l->source->ref.transport == VN_REF_REGISTRY;
	struct vn_err why = { 0 };
	size_t looked = 0, untold = 0;
	int rc = registry ? vn_registry_referrers_of(l->source, l->digest, VN_SIGN_BUNDLE_TYPE, true, &listed, &why) :
			    list_in_layout(l, &index, &why);
	if (rc < 0)
		return settle(l, "bundle", NULL, rc, &why, err);
	const struct vn_desc *list = registry ? listed.list : index.manifests;
	for (size_t i = 0, n = registry ? listed.n : index.nmanifests; i < n; i++) {
		if (is_other(&list[i]))
			continue;
		untold += vn_referrer_untold(&list[i]);
		if (++looked > VN_MAX_SIGNATURES || untold > MAX_UNTOLD) {
			rc = untold > MAX_UNTOLD
				     ? vn_fail(&why, VN_ELIMIT, "more than %d artifacts do not tell their type, the others are not read",
					       MAX_UNTOLD)
				     : vn_fail(&why, VN_ELIMIT, "more than %d bundles, the others are not read", VN_MAX_SIGNATURES);
			return settle(l, "bundle", NULL, rc, &why, err);
		}
		rc = look_referrer(l, &list[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- */
static bool is_over(const struct vn_claim *c, int64_t now)
{
	return now && c->has_expires && c->expires < now;
}

static bool is_better(const struct vn_claim *a, const struct vn_claim *b, int64_t now)
{
	if (is_over(a, now) != is_over(b, now))
		return is_over(b, now);
	if (a->release != b->release)
		return a->release > b->release;
	return b->has_expires && (!a->has_expires || a->expires > b->expires);
}

const struct vn_found *vn_found_best(const struct vn_found_list *list, int64_t now)
{
	const struct vn_found *best = NULL;
	for (size_t i = 0; i < list->n; i++) {
		const struct vn_found *f = &list->list[i];
		if (!*f->reason && (!best || is_better(&f->claim, &best->claim, now)))
			best = f;
	}
	return best;
}

int vn_found_look(struct vn_source *source, const struct vn_digest *digest, const struct vn_public_keys *keys, bool forms, int64_t now,
		  uint64_t at_least, struct vn_found_list *ret, struct vn_err *err)
{
	VN_AUTO(vn_found_list) found = { .n = 0 };
	struct look l = { source, digest, keys, &found };
	int rc = look_tag(&l, err);
	const struct vn_found *best = vn_found_best(&found, now);
	if (rc == 0 && (forms || !best || is_over(&best->claim, now) || best->claim.release < at_least))
		rc = look_bundles(&l, err);
	if (rc < 0)
		return vn_wrap(err, "signatures of %s", source->ref.text);
	*ret = found;
	found = (struct vn_found_list){ 0 };
	return 0;
}

/* What people most want to know of when nothing is good: of their keys first, then of what is broken, then of strangers. */
static int weight(const struct vn_found *f)
{
	return f->key ? 2 : strcmp(f->reason, BY_NONE) != 0;
}

int vn_found_none(const struct vn_found_list *list, const char *name, const struct vn_digest *digest, struct vn_err *err)
{
	const struct vn_found *other = NULL;
	for (size_t i = 0; i < list->n; i++)
		if (!other || weight(&list->list[i]) > weight(other))
			other = &list->list[i];
	if (!other)
		return vn_fail(err, VN_EREFUSED, "%s is not signed: there is no signature over %s", name, digest->text);
	if (other->key)
		return vn_fail(err, VN_EREFUSED, "%s has no good signature over %s: one is by %s, but %s", name, digest->text,
			       other->key->file, other->reason);
	if (strcmp(other->reason, BY_NONE))
		return vn_fail(err, VN_EREFUSED, "%s has no good signature over %s: %s", name, digest->text, other->reason);
	vn_fail(err, VN_EREFUSED, "%s is signed, but by none of the keys given: %zu signature%s over %s", name, list->n,
		list->n == 1 ? "" : "s", digest->text);
	for (size_t i = 0; i < list->n; i++)
		if (list->list[i].prehashed)
			return vn_hint(err, "It may be prehashed: since 2.6, cosign does so when it signs with an Ed25519 key, and neither "
					    "veneer nor `cosign verify` takes that. Sign with P-256, or by `veneer sign`.");
	return -VN_EREFUSED;
}

int vn_signed_by(struct vn_source *source, const struct vn_digest *digest, const struct vn_public_keys *keys, int64_t now,
		 uint64_t at_least, struct vn_signed *ret, struct vn_err *err)
{
	VN_AUTO(vn_found_list) found = { .n = 0 };
	int rc = vn_found_look(source, digest, keys, false, now, at_least, &found, err);
	if (rc < 0)
		return rc;
	const struct vn_found *best = vn_found_best(&found, now);
	if (!best)
		return vn_found_none(&found, source->ref.text, digest, err);
	memset(ret, 0, sizeof(*ret));
	ret->has_release = best->claim.has_release;
	ret->has_expires = best->claim.has_expires;
	ret->release = best->claim.release;
	ret->expires = best->claim.expires;
	snprintf(ret->key_id, sizeof(ret->key_id), "%s", best->key->id_text);
	snprintf(ret->form, sizeof(ret->form), "%s", best->form);
	return 0;
}
