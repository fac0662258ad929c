/* The operations on signatures: signing what a reference names, and verifying it. */
#include "api/sign.h"
#include "sign/find.h"
#include "sign/put.h"
#include "util/cleanup.h"
#include "util/events.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_KEYS VN_MAX_PUBLIC_KEYS

void vn_sign_free(struct vn_sign_run *run)
{
	if (!run)
		return;
	vn_arena_release(&run->arena);
	free(run);
}

static void run_free_p(struct vn_sign_run **run)
{
	vn_sign_free(*run);
}

const struct vn_sign_result *vn_sign_get(const struct vn_sign_run *run)
{
	return &run->result;
}

static size_t count(const char *const *list)
{
	size_t n = 0;
	while (list && list[n])
		n++;
	return n;
}

static int new_run(const char *verb, const char *ref, size_t most, struct vn_sign_run **ret, struct vn_err *err)
{
	VN_CLEANUP(run_free_p) struct vn_sign_run *run = calloc(1, sizeof(*run));
	if (!run)
		return vn_nomem(err);
	run->result = (struct vn_sign_result){ .verb = verb, .digest = "", .written = "", .sentence = "" };
	run->result.reference = vn_arena_text(&run->arena, ref, err);
	run->list = vn_arena_take(&run->arena, (most + 1) * sizeof(*run->list), err);
	if (!run->result.reference || !run->list)
		return -(int)err->code;
	run->result.signatures = run->list;
	*ret = vn_steal(run);
	return 0;
}

/* The next signature of the result. */
static int tell(struct vn_sign_run *run, const char *form, const struct vn_key *key, const char *reason,
		const struct vn_claim *claim, struct vn_err *err)
{
	struct vn_signature *s = &run->list[run->result.nsignatures];
	s->form = form;
	s->algorithm = key ? vn_key_algorithm(key) : "";
	s->key = vn_arena_text(&run->arena, key ? key->file : "", err);
	s->key_id = vn_arena_text(&run->arena, key ? key->id_text : "", err);
	s->reason = vn_arena_text(&run->arena, reason, err);
	s->annotations = vn_arena_text(&run->arena, claim->annotations ? claim->annotations : "{}", err);
	s->release = claim->has_release ? claim->release : 0;
	s->expires = claim->has_expires ? claim->expires : 0;
	if (!s->key || !s->key_id || !s->reason || !s->annotations)
		return -(int)err->code;
	run->result.nsignatures++;
	return 0;
}

static int64_t signing_time(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds;
	return epoch && vn_parse_u64(epoch, &seconds) && seconds < 1ull << 40 ? (int64_t)seconds : (int64_t)time(NULL);
}

/* ---- signing */
struct signing {
	struct vn *vn;
	struct vn_ref ref;
	struct vn_sign_settings settings;
	struct vn_key *keys[MOST_KEYS];
	size_t nkeys;
	struct vn_source *source;
	struct vn_desc image;
	vn_json *notes;
	char *reference;             /* claimed identity */
};

static void signing_release(struct signing *s)
{
	vn_ref_release(&s->ref);
	for (size_t i = 0; i < s->nkeys; i++)
		vn_key_close(s->keys[i]);
	vn_source_close(s->source);
	vn_desc_release(&s->image);
	vn_json_drop(s->notes);
	free(s->reference);
}

static int check_place(const struct signing *s, struct vn_err *err)
{
	if (s->ref.transport == VN_REF_OCI && s->settings.bundle) {
		vn_fail(err, VN_EUSAGE, "%s is in no registry, and a bundle is kept as a referrer there", s->ref.text);
		return vn_hint(err, "Without --bundle the signature goes under a tag, which an OCI layout has too.");
	}
	if (s->ref.transport == VN_REF_REGISTRY || s->ref.transport == VN_REF_OCI)
		return 0;
	vn_fail(err, VN_EUSAGE, "%s cannot take a signature: it is kept beside the image in its registry or OCI layout",
		s->ref.text);
	return vn_hint(err, "`veneer copy` writes the image to oci:DIR:TAG.");
}

static int open_keys(struct signing *s, struct vn_err *err)
{
	VN_AUTO(vn_passphrase) passphrase = { .len = 0 };
	size_t n = count(s->settings.keys);
	if (!n) {
		vn_fail(err, VN_EUSAGE, "there is no key to sign with");
		return vn_hint(err, "Name a private key: --key FILE.");
	}
	if (n > MOST_KEYS)
		return vn_fail(err, VN_ELIMIT, "more than %d keys to sign with", MOST_KEYS);
	int rc = vn_passphrase_read(s->settings.passphrase_file, &passphrase, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = vn_key_open_private(s->settings.keys[i], &passphrase, &s->keys[i], err);
		s->nkeys += rc == 0;
		for (size_t j = 0; rc == 0 && j < i; j++)
			if (!memcmp(s->keys[i]->id, s->keys[j]->id, VN_KEY_ID))
				rc = vn_fail(err, VN_EUSAGE, "%s and %s are the same key", s->keys[j]->file, s->keys[i]->file);
	}
	return rc;
}

/* As cosign writes it (go-containerregistry, pkg/name): Docker Hub is index.docker.io there. */
static int claim_identity(struct signing *s, struct vn_err *err)
{
	if (s->ref.transport != VN_REF_REGISTRY)
		return vn_strdup("", &s->reference, err);
	bool hub = !strcmp(s->ref.registry, "docker.io");
	return vn_asprintf(&s->reference, err, "%s/%s", hub ? "index.docker.io" : s->ref.registry, s->ref.repository);
}

static int begin(struct vn *vn, const char *ref, const struct vn_sign_settings *settings, struct signing *s, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	s->vn = vn;
	int rc = vn_take_options(&s->settings, sizeof(s->settings), settings, "struct vn_sign_settings", err);
	if (rc == 0)
		rc = vn_ref_parse(ref, &s->ref, err);
	if (rc == 0)
		rc = check_place(s, err);
	if (rc == 0)
		rc = vn_sign_notes(&s->settings, signing_time(), &s->notes, err);
	if (rc == 0)
		rc = open_keys(s, err);
	if (rc == 0)
		rc = claim_identity(s, err);
	if (rc == 0)
		rc = vn_open_source(vn, ref, &s->source, err);
	return rc < 0 ? rc : vn_source_manifest(s->source, NULL, &bytes, &s->image, err);
}

static int open_beside(void *user, const char *tag, struct vn_sink **ret, struct vn_err *err)
{
	struct signing *s = user;
	VN_AUTO(vn_ref) ref = { 0 };
	int rc = vn_ref_with(&s->ref, tag, NULL, &ref, err);
	return rc < 0 ? rc : vn_open_sink(s->vn, &ref, ret, err);
}

static const char *form_of(const struct signing *s)
{
	return s->settings.bundle ? "bundle" : "tag";
}

/* Is the very same signed with this key already? ECDSA would give another signature each time. */
static int is_signed(struct signing *s, struct vn_key *key, const struct vn_claim *claim, bool *ret, struct vn_err *err)
{
	VN_AUTO(vn_found_list) found = { .n = 0 };
	struct vn_public_keys one = { &key, 1, 1 };
	int rc = vn_found_look(s->source, &s->image.digest, &one, s->settings.bundle, 0, 0, &found, err);
	*ret = false;
	for (size_t i = 0; rc == 0 && i < found.n; i++)
		*ret = *ret || (!*found.list[i].reason && !strcmp(found.list[i].form, form_of(s)) &&
				!strcmp(found.list[i].claim.annotations, claim->annotations));
	return rc;
}

static int note_written(struct vn_sign_run *run, const struct signing *s, const char *tag, const struct vn_digest *manifest,
			struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	const char *before = run->result.written;
	int rc = vn_ref_with(&s->ref, tag, tag ? NULL : manifest->text, &ref, err);
	if (rc < 0)
		return rc;
	bool both = tag && s->ref.transport == VN_REF_REGISTRY;
	run->result.written = vn_arena_printf(&run->arena, err, "%s%s%s%s%s", before, *before ? ", " : "", ref.text,
					      both ? "@" : "", both ? manifest->text : "");
	return run->result.written ? 0 : -(int)err->code;
}

static int put(struct signing *s, const struct vn_new_signature *list, size_t n, struct vn_sign_run *run, struct vn_err *err)
{
	struct vn_sign_place place = { s->source, open_beside, s };
	struct vn_digest manifest;
	char tag[VN_SIGN_TAG];
	vn_sign_tag(&s->image.digest, tag);
	if (!s->settings.bundle) {
		int rc = vn_sign_put_tag(&place, &s->image.digest, list, n, &manifest, err);
		return rc < 0 ? rc : note_written(run, s, tag, &manifest, err);
	}
	for (size_t i = 0; i < n; i++) {
		int rc = vn_sign_put_bundle(&place, &s->image, &list[i], &manifest, err);
		if (rc == 0)
			rc = note_written(run, s, NULL, &manifest, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

struct made {
	struct vn_new_signature list[MOST_KEYS];
	size_t n;
};

static void made_release(struct made *made)
{
	for (size_t i = 0; i < made->n; i++)
		vn_new_signature_release(&made->list[i]);
}

static int conclude_signing(const struct signing *s, const struct made *made, struct vn_sign_run *run, struct vn_err *err)
{
	const char *digest = s->image.digest.text;
	if (!made->n)
		run->result.sentence = vn_arena_printf(&run->arena, err, "%s is signed so already; nothing was written.",
						       digest);
	else if (s->settings.dry_run)
		run->result.sentence = vn_arena_printf(&run->arena, err, "%s would be signed; nothing was written.", digest);
	else
		run->result.sentence = vn_arena_printf(&run->arena, err, "%s is signed.", digest);
	run->result.good = !s->settings.dry_run || !made->n;
	return run->result.sentence ? 0 : -(int)err->code;
}

static int sign_all(struct signing *s, struct vn_sign_run *run, struct vn_err *err)
{
	VN_AUTO(made) made = { .n = 0 };
	VN_AUTO(vn_claim) claim = { .release = 0 };
	struct vn_jv notes = vn_jv_root(s->notes, "annotations");
	int rc = vn_claim_of(&notes, &claim, err);
	if (rc == 0 && claim.has_expires && claim.expires <= signing_time())
		vn_warn(vn_listeners(s->vn), "the signature expires in the past: no device will take the image by it");
	for (size_t i = 0; rc == 0 && i < s->nkeys; i++) {
		bool there = false;
		rc = is_signed(s, s->keys[i], &claim, &there, err);
		if (rc == 0 && !there) {
			rc = vn_new_signature_make(s->keys[i], s->settings.bundle, s->reference, &s->image.digest, s->notes,
						   &made.list[made.n], err);
			made.n += rc == 0;
		}
		if (rc == 0)
			rc = tell(run, form_of(s), s->keys[i], "", &claim, err);
	}
	if (rc == 0 && made.n && !s->settings.dry_run)
		rc = put(s, made.list, made.n, run, err);
	return rc < 0 ? rc : conclude_signing(s, &made, run, err);
}

int vn_sign_image(struct vn *vn, const char *ref, const struct vn_sign_settings *settings, struct vn_sign_run **ret,
		  struct vn_err *err)
{
	VN_CLEANUP(run_free_p) struct vn_sign_run *run = NULL;
	VN_AUTO(signing) s = { .nkeys = 0 };
	int rc = begin(vn, ref, settings, &s, err);
	if (rc == 0)
		rc = new_run("sign", ref, s.nkeys, &run, err);
	if (rc < 0)
		return rc;
	run->result.digest = vn_arena_text(&run->arena, s.image.digest.text, err);
	if (!run->result.digest)
		return -(int)err->code;
	rc = sign_all(&s, run, err);
	if (rc == 0)
		*ret = vn_steal(run);
	return rc;
}

/* ---- verifying */
static void keys_close_p(struct vn_public_keys **keys)
{
	vn_public_keys_close(*keys);
}

static int digest_of(struct vn_source *source, struct vn_digest *ret, struct vn_err *err)
{
	VN_AUTO(vn_desc) desc = { .size = 0 };
	int rc = vn_registry_head(source, &desc, err);
	if (rc == 0)
		*ret = desc.digest;
	return rc;
}

/* Signatures that were good once. */
static void expire(struct vn_found_list *found, int64_t now)
{
	char text[VN_TIME_TEXT];
	for (size_t i = 0; i < found->n; i++) {
		struct vn_found *f = &found->list[i];
		if (!*f->reason && f->claim.has_expires && f->claim.expires <= now)
			snprintf(f->reason, sizeof(f->reason), "it expired at %s", vn_time_text(f->claim.expires, text));
	}
}

static int conclude_verifying(struct vn_sign_run *run, const struct vn_found *best, struct vn_err *err)
{
	char release[48] = "", expires[VN_TIME_TEXT + 16] = "", text[VN_TIME_TEXT];
	const struct vn_claim *claim = &best->claim;
	if (claim->has_release)
		snprintf(release, sizeof(release), ", release %llu", (unsigned long long)claim->release);
	if (claim->has_expires)
		snprintf(expires, sizeof(expires), ", until %s", vn_time_text(claim->expires, text));
	run->result.good = true;
	run->result.sentence = vn_arena_printf(&run->arena, err, "%s is signed by %s%s%s.", run->result.digest, best->key->file,
					       release, expires);
	return run->result.sentence ? 0 : -(int)err->code;
}

static int report(struct vn_sign_run *run, const struct vn_found_list *found, struct vn_err *err)
{
	for (size_t i = 0; i < found->n; i++) {
		const struct vn_found *f = &found->list[i];
		int rc = tell(run, f->form, f->key, f->reason, &f->claim, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int vn_sign_verify(struct vn *vn, const char *ref, const struct vn_sign_settings *settings, struct vn_sign_run **ret,
		   struct vn_err *err)
{
	VN_CLEANUP(run_free_p) struct vn_sign_run *run = NULL;
	VN_CLEANUP(keys_close_p) struct vn_public_keys *keys = NULL;
	VN_AUTO(vn_found_list) found = { .n = 0 };
	VN_AUTO_SOURCE *source = NULL;
	struct vn_sign_settings known;
	struct vn_digest digest;
	int rc = vn_take_options(&known, sizeof(known), settings, "struct vn_sign_settings", err);
	if (rc == 0)
		rc = vn_public_keys_open(known.keys, count(known.keys), &keys, err);
	if (rc == 0)
		rc = vn_open_source(vn, ref, &source, err);
	if (rc == 0)
		rc = digest_of(source, &digest, err);
	if (rc == 0)
		rc = vn_found_look(source, &digest, keys, true, 0, 0, &found, err);
	if (rc == 0)
		rc = new_run("verify", ref, found.n, &run, err);
	if (rc < 0)
		return rc;
	expire(&found, (int64_t)time(NULL));
	run->result.digest = vn_arena_text(&run->arena, digest.text, err);
	rc = run->result.digest ? report(run, &found, err) : -(int)err->code;
	if (rc < 0)
		return rc;
	const struct vn_found *best = vn_found_best(&found, 0);
	rc = best ? conclude_verifying(run, best, err) : vn_found_none(&found, run->result.reference, &digest, err);
	if (!best)
		run->result.sentence = vn_arena_text(&run->arena, err->text, &(struct vn_err){ 0 });
	if (!run->result.sentence)
		return vn_nomem(err);
	if (rc == 0 || !best)
		*ret = vn_steal(run);
	return rc;
}
