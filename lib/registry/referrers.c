#include "registry/referrers.h"
#include "registry/manifest.h"
#include "registry/page.h"
#include "registry/refusal.h"
#include "json/json.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>

#define MAX_PAGES 64
#define MAX_RACES 5
#define WHAT "index of referrers"

void vn_referrers_release(struct vn_referrers *referrers)
{
	for (size_t i = 0; i < referrers->n; i++)
		vn_desc_release(&referrers->list[i]);
	free(referrers->list);
	*referrers = (struct vn_referrers){ 0 };
}

void vn_referrers_tag_name(const struct vn_digest *subject, char ret[VN_REFERRERS_TAG])
{
	const char *colon = strchr(subject->text, ':');
	int algorithm = colon ? (int)(colon - subject->text) : 0;

	snprintf(ret, VN_REFERRERS_TAG, "%.*s-%.64s", algorithm < 32 ? algorithm : 32, subject->text, colon ? colon + 1 : "");
}

const char *vn_referrer_type(const struct vn_desc *referrer)
{
	struct vn_jv root = vn_jv_root(referrer->json, WHAT);
	struct vn_err ignored = { 0 };
	const char *type = NULL;

	return vn_jv_opt_text(&root, "artifactType", &type, &ignored) < 0 || !type ? "" : type;
}

/* ---- reading */
/* go-containerregistry before 0.21.6, and with it cosign before 3.1, writes its configuration's type there, which is that of nothing. */
bool vn_referrer_untold(const struct vn_desc *referrer)
{
	const char *type = vn_referrer_type(referrer);

	return !*type || !strcmp(type, VN_MT_OCI_EMPTY);
}

static int keep(const struct vn_index *x, const char *artifact_type, bool untold, struct vn_referrers *ret, struct vn_err *err)
{
	for (size_t i = 0; i < x->nmanifests; i++) {
		const struct vn_desc *entry = &x->manifests[i];
		enum vn_kind kind = vn_mediatype(entry->media_type)->kind;
		if ((kind != VN_KIND_MANIFEST && kind != VN_KIND_INDEX) ||
		    (artifact_type && strcmp(vn_referrer_type(entry), artifact_type) && !(untold && vn_referrer_untold(entry))))
			continue;
		if (ret->n >= VN_MAX_REFERRERS)
			return vn_fail(err, VN_ELIMIT, "more than %d referrers", VN_MAX_REFERRERS);
		if (vn_grow(&ret->list, &ret->cap, ret->n + 1, sizeof *ret->list, err) < 0 ||
		    vn_desc_copy(entry, &ret->list[ret->n], err) < 0)
			return -err->code;
		ret->n++;
	}
	return 0;
}

/* *ret_api is false where the answer is no list: the route is unknown, or leads to a web page. */
static int fetch_page(struct vn_client *c, const char *path, const struct vn_url *url, struct vn_http_response *ret,
		      struct vn_index *ret_index, bool *ret_api, struct vn_err *err)
{
	VN_AUTO(vn_buf) page = VN_BUF(VN_MAX_MANIFEST);
	struct vn_call call = { .method = "GET", .path = path, .url = url, .access = VN_ACCESS_PULL, .home = true,
				.headers = { "Accept: " VN_MT_OCI_INDEX } };

	if (vn_client_call(c, &call, ret, err) < 0)
		return -err->code;
	unsigned status = ret->status;
	const char *type = vn_http_header(ret, "Content-Type", 0);
	*ret_api = status == 200 && vn_mediatype(type ? type : "")->kind == VN_KIND_INDEX;
	if (!*ret_api && !url && (status == 200 || (status >= 300 && status <= 406) || status == 501))
		return 0;
	if (!*ret_api)
		return vn_refusal_unexpected(c, &call, ret, err);
	if (vn_in_read_all(ret->body, &page, err) < 0)
		return -err->code;
	return vn_index_parse(vn_buf_text(&page), page.len, ret_index, err);
}

static int list_api(struct vn_client *c, const char *path, const char *artifact_type, struct vn_referrers *ret,
		    struct vn_err *err)
{
	VN_AUTO(vn_url) url = { 0 };
	bool more = true;

	for (unsigned i = 0; more; i++) {
		VN_AUTO(vn_http_response) r = { 0 };
		VN_AUTO(vn_index) x = { 0 };
		bool api = false;
		if (i >= MAX_PAGES)
			return vn_fail(err, VN_ELIMIT, "more than %d pages", MAX_PAGES);
		if (fetch_page(c, path, i ? &url : NULL, &r, &x, &api, err) < 0)
			return -err->code;
		ret->api = api;
		if (!api)
			return 0;
		/* whatever OCI-Filters-Applied says, what is kept has the type */
		if (keep(&x, artifact_type, false, ret, err) < 0 || (!i && vn_client_follow(c, NULL, path, &url, err) < 0) ||
		    vn_page_next(c, &r, "referrers", &url, &more, err) < 0)
			return -err->code;
	}
	return 0;
}

/* What the tag names. *ret_there false: nothing. VN_ENOTFOUND: something that is no index. */
static int read_tag(struct vn_client *c, const char *tag, struct vn_index *ret, bool *ret_there, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) there = { 0 }, desc = { 0 };

	/* first a HEAD, because a manifest that is missed makes us look at the tags; not so when every request counts */
	int n = vn_client_options(c)->frugal ? 0 : vn_manifest_head(c, tag, &there, err);
	if (n == 0)
		n = vn_manifest_fetch(c, tag, NULL, &bytes, &desc, err);
	*ret_there = n == 0;
	if (n < 0)
		return n == -VN_ENOTFOUND ? 0 : n;
	/* some registries resolve the tag to the subject itself */
	if (vn_mediatype(desc.media_type)->kind != VN_KIND_INDEX)
		return vn_fail(err, VN_ENOTFOUND, "the tag %s of %s/%s names %s, expected an index of referrers", tag,
			       vn_client_registry(c), vn_client_repository(c), desc.media_type);
	return vn_index_parse(vn_buf_text(&bytes), bytes.len, ret, err);
}

int vn_referrers_list(struct vn_client *c, const struct vn_digest *subject, const char *artifact_type, bool untold,
		      struct vn_referrers *ret, struct vn_err *err)
{
	VN_AUTO(vn_referrers) found = { 0 };
	VN_AUTO(vn_index) x = { 0 };
	VN_AUTO(vn_buf) path = VN_BUF(VN_MAX_URL);
	char tag[VN_REFERRERS_TAG];
	bool there = false;

	if (vn_buf_addf(&path, err, "/v2/%s/referrers/%s", vn_client_repository(c), subject->text) < 0 ||
	    (artifact_type && (vn_buf_adds(&path, "?artifactType=", err) < 0 || vn_url_escape(&path, artifact_type, err) < 0)))
		return -err->code;
	int n = list_api(c, path.data, artifact_type, &found, err);
	if (n == 0 && !found.api) {
		vn_referrers_tag_name(subject, tag);
		n = read_tag(c, tag, &x, &there, err);
		if (n == -VN_ENOTFOUND) {
			vn_debug(vn_client_events(c), "%s", err->text);
			n = 0;
		} else if (n == 0 && there) {
			n = keep(&x, artifact_type, untold, &found, err);
		}
	}
	if (n < 0)
		return vn_wrap(err, "referrers of %.19s… in %s/%s", subject->text, vn_client_registry(c), vn_client_repository(c));
	*ret = found;
	found = (struct vn_referrers){ 0 };
	return 0;
}

int vn_registry_referrers(const struct vn_ref *ref, const struct vn_digest *subject, const char *artifact_type,
			  const struct vn_registry_options *opt, const struct vn_events *events, struct vn_referrers *ret,
			  struct vn_err *err)
{
	struct vn_client *c = NULL;

	if (vn_client_open(ref->registry, ref->repository, opt, events, &c, err) < 0)
		return -err->code;
	int n = vn_referrers_list(c, subject, artifact_type, false, ret, err);
	vn_client_close(c);
	return n;
}

/* ---- writing */
bool vn_referrers_has_subject(const void *manifest, size_t len)
{
	VN_AUTO_JSON *doc = NULL;
	struct vn_err ignored = { 0 };

	if (vn_json_parse(manifest, len, "manifest", &doc, &ignored) < 0)
		return false;
	struct vn_jv root = vn_jv_root(doc, "manifest"), subject = vn_jv_get(&root, "subject");
	return vn_jv_is_object(&subject);
}

/* The descriptor that stands for a manifest among its subject's referrers. */
static int describe(const struct vn_desc *desc, const void *manifest, size_t len, struct vn_digest *ret_subject,
		    struct vn_desc *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	VN_AUTO(vn_desc) d = { 0 };
	const char *type = NULL, *digest;

	if (vn_json_parse(manifest, len, "manifest", &doc, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(doc, "manifest"), subject = vn_jv_get(&root, "subject");
	struct vn_jv config = vn_jv_get(&root, "config"), annotations = vn_jv_get(&root, "annotations");
	if (!vn_jv_is_object(&subject))
		return vn_fail(err, VN_EFORMAT, "manifest %.19s… has no subject, so it refers to nothing", desc->digest.text);
	if (vn_jv_need_text(&subject, "digest", &digest, err) < 0 || vn_jv_opt_text(&root, "artifactType", &type, err) < 0 ||
	    (!type && vn_jv_is_object(&config) && vn_jv_opt_text(&config, "mediaType", &type, err) < 0) ||
	    vn_jv_want_object(&annotations, err) < 0 || vn_desc_init(&d, desc->media_type, &desc->digest, desc->size, err) < 0)
		return -err->code;
	d.json = vn_desc_to_json(&d);
	if (!d.json || (type && !vn_json_set(d.json, "artifactType", vn_json_string(type))) ||
	    (annotations.v && !vn_json_set(d.json, "annotations", vn_json_copy(annotations.v))))
		return vn_nomem(err);
	if (vn_digest_parse(digest, ret_subject, err) < 0)
		return vn_wrap(err, "manifest: /subject/digest");
	*ret = d;
	d = (struct vn_desc){ 0 };
	return 0;
}

/* An entry that the new one takes the place of: of the same type, and about the same thing. */
static bool superseded(const struct vn_desc *entry, const struct vn_desc *by, const char *replaces)
{
	const char *old = replaces ? vn_desc_annotation(entry, replaces) : NULL;
	const char *now = replaces ? vn_desc_annotation(by, replaces) : NULL;

	return old && now && !strcmp(old, now) && !strcmp(vn_referrer_type(entry), vn_referrer_type(by));
}

/* *ret_changed false: it says so already. */
static int with_entry(const struct vn_index *x, const struct vn_desc *entry, const char *replaces, struct vn_buf *ret,
		      bool *ret_changed, struct vn_err *err)
{
	VN_AUTO_JSON *doc = x->json ? vn_json_copy(x->json) : vn_json_object(), *list = vn_json_array();
	bool listed = false, dropped = false;

	if (!x->json && !(vn_json_set(doc, "schemaVersion", vn_json_int(2)) &&
			  vn_json_set(doc, "mediaType", vn_json_string(VN_MT_OCI_INDEX))))
		return vn_nomem(err);
	for (size_t i = 0; i < x->nmanifests; i++) {
		const struct vn_desc *other = &x->manifests[i];
		if (!listed && vn_json_same(other->json, entry->json))
			listed = true;
		else if (vn_digest_equal(&other->digest, &entry->digest) || superseded(other, entry, replaces)) {
			dropped = true;
			continue;
		}
		vn_json_add(list, vn_json_copy(other->json));
	}
	*ret_changed = dropped || !listed;
	if (!listed)
		vn_json_add(list, vn_json_copy(entry->json));
	if (!vn_json_set(doc, "manifests", vn_steal(list)))
		return vn_nomem(err);
	return vn_json_text(doc, false, ret, err);
}

static int put_tag(struct vn_client *c, const char *tag, const struct vn_index *x, const struct vn_buf *bytes,
		   struct vn_err *err)
{
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_digest digest;
	const char *type = x->json ? vn_mediatype_index(x->family) : VN_MT_OCI_INDEX;

	if (x->nmanifests >= VN_MAX_INDEX_ENTRIES)
		return vn_fail(err, VN_ELIMIT, "the index of referrers is full: %d entries", VN_MAX_INDEX_ENTRIES);
	if (vn_digest_of(bytes->data, bytes->len, &digest, err) < 0 ||
	    vn_desc_init(&desc, type, &digest, (int64_t)bytes->len, err) < 0)
		return -err->code;
	return vn_manifest_put(c, tag, &desc, bytes->data, bytes->len, NULL, err);
}

/* Entries whose manifests were deleted meanwhile make a registry refuse the whole index. */
static int drop_gone(struct vn_client *c, struct vn_index *x, bool *ret_dropped, struct vn_err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < x->nmanifests; i++) {
		VN_AUTO(vn_desc) there = { 0 };
		int n = vn_manifest_head(c, x->manifests[i].digest.text, &there, err);
		if (n < 0 && n != -VN_ENOTFOUND)
			return n;
		struct vn_desc entry = x->manifests[i];
		x->manifests[i] = (struct vn_desc){ 0 };
		if (n < 0)
			vn_desc_release(&entry);
		else
			x->manifests[kept++] = entry;
	}
	*ret_dropped = kept < x->nmanifests;
	x->nmanifests = kept;
	return 0;
}

static int put_index(struct vn_client *c, const char *tag, struct vn_index *x, const struct vn_desc *entry,
		     const char *replaces, struct vn_buf *bytes, struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	bool dropped = false, changed;
	int n = put_tag(c, tag, x, bytes, err);

	if ((n != -VN_EFORMAT && n != -VN_ENOTFOUND) || drop_gone(c, x, &dropped, &ignored) < 0 || !dropped)
		return n;
	vn_buf_clear(bytes);
	n = with_entry(x, entry, replaces, bytes, &changed, err);
	return n < 0 ? n : put_tag(c, tag, x, bytes, err);
}

/* Registries know no "write only if nobody else did": whoever's entry is gone a moment after writing adds it again. */
static int add(struct vn_client *c, const char *tag, const struct vn_desc *entry, const char *replaces, struct vn_err *err)
{
	for (unsigned tries = 0;; tries++) {
		VN_AUTO(vn_index) x = { 0 };
		VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
		bool there, changed = false;
		int n = read_tag(c, tag, &x, &there, err);
		if (n == 0)
			n = with_entry(&x, entry, replaces, &bytes, &changed, err);
		if (n < 0 || !changed)
			return n;
		if (tries >= MAX_RACES)
			return vn_fail(err, VN_ENETWORK, "the tag %s lost the entry %u times: others write it at the same time", tag,
				       tries);
		if (put_index(c, tag, &x, entry, replaces, &bytes, err) < 0 || vn_client_wait(c, tries + 1, NULL, err) < 0)
			return -err->code;
	}
}

int vn_referrers_add(struct vn_client *c, const struct vn_desc *desc, const void *manifest, size_t len, const char *replaces,
		     const bool *listed, bool *ret_api, struct vn_err *err)
{
	VN_AUTO(vn_desc) entry = { 0 };
	VN_AUTO(vn_referrers) there = { 0 };
	struct vn_digest subject;
	char tag[VN_REFERRERS_TAG];

	if (describe(desc, manifest, len, &subject, &entry, err) < 0 ||
	    (!listed && vn_referrers_list(c, &subject, vn_referrer_type(&entry), false, &there, err) < 0))
		return -err->code;
	bool api = listed ? *listed : there.api;
	vn_referrers_tag_name(&subject, tag);
	int n = api ? 0 : add(c, tag, &entry, replaces, err);
	if (n == -VN_ENOTFOUND)
		vn_warn(vn_client_events(c), "%s; the manifest %.19s… is stored, and found only by its own tag", err->text,
			desc->digest.text);
	else if (n < 0)
		return vn_wrap(err, "referrers of %.19s… in %s/%s", subject.text, vn_client_registry(c), vn_client_repository(c));
	*ret_api = api;
	return 0;
}
