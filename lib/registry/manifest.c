#include "registry/manifest.h"
#include "registry/refusal.h"
#include "json/json.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>

static int not_there(struct vn_client *c, const char *name, struct vn_http_response *r, struct vn_err *err)
{
	VN_AUTO(vn_buf) tags = VN_BUF(VN_MAX_TAGS * 32u);
	const char *host = vn_client_registry(c), *repository = vn_client_repository(c);
	bool digest = strchr(name, ':') != NULL;
	struct vn_err ignored = { 0 };
	struct vn_answer answer;
	char near[420];
	size_t count = 0;

	vn_answer_read(r, &answer);
	vn_http_response_release(r);
	/* a list of tags costs more than most updates */
	bool listed = !vn_client_options(c)->frugal && strcmp(answer.code, "NAME_UNKNOWN") &&
		      vn_tags_list(c, 3, &tags, &count, &ignored) == 0;
	const char *sep = answer.text[0] && strcmp(answer.code, "MANIFEST_UNKNOWN") && strcmp(answer.code, "NAME_UNKNOWN") ? ": " : "";
	const char *said = *sep ? answer.text : "";
	if (!listed && (!strcmp(answer.code, "NAME_UNKNOWN") || ignored.code == VN_ENOTFOUND)) {
		vn_fail(err, VN_ENOTFOUND, "%s has no repository %s, or does not show it%s%s", host, repository, sep, said);
		return vn_hint(err, "Check the spelling; a private repository shows itself only after `veneer login %s`.", host);
	}
	if (digest)
		return vn_fail(err, VN_ENOTFOUND, "%s/%s has no manifest %s%s%s", host, repository, name, sep, said);
	vn_fail(err, VN_ENOTFOUND, "%s/%s has no tag \"%s\"%s%s", host, repository, name, sep, said);
	if (!listed)
		return -VN_ENOTFOUND;
	vn_tags_near(vn_buf_text(&tags), count, name, near, sizeof near);
	if (near[0])
		return vn_hint(err, "Near ones: %s.", near);
	return count ? vn_hint(err, "It has %zu other tag%s.", count, count == 1 ? "" : "s") : vn_hint(err, "It has no tags at all.");
}

static int too_large(struct vn_client *c, const char *name, struct vn_err *err)
{
	return vn_fail(err, VN_ELIMIT, "the manifest %s of %s/%s is larger than %u bytes", name, vn_client_registry(c),
		       vn_client_repository(c), VN_MAX_MANIFEST);
}

/* Reads within the cap; a connection that breaks is VN_ENETWORK. */
static int read_body(struct vn_client *c, const char *name, struct vn_http_response *r, struct vn_buf *bytes,
		     struct vn_err *err)
{
	const char *length = vn_http_header(r, "Content-Length", 0);
	uint64_t said;

	if (length && vn_parse_u64(length, &said) && said > VN_MAX_MANIFEST)
		return too_large(c, name, err);
	int n = vn_in_read_all(r->body, bytes, err);
	if (n == -VN_ELIMIT)
		return too_large(c, name, err);
	return n < 0 ? vn_wrap(err, "manifest %s of %s/%s", name, vn_client_registry(c), vn_client_repository(c)) : 0;
}

static int get(struct vn_client *c, const char *name, struct vn_buf *bytes, char **ret_type, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;

	if (vn_asprintf(&path, err, "/v2/%s/manifests/%s", vn_client_repository(c), name) < 0)
		return -err->code;
	struct vn_call call = { .method = "GET", .path = path, .access = VN_ACCESS_PULL, .headers = { "Accept: " VN_ACCEPT } };
	for (unsigned tries = 1;; tries++) {
		VN_AUTO(vn_http_response) r = { 0 };
		if (vn_client_call(c, &call, &r, err) < 0)
			return -err->code;
		if (r.status == 404)
			return not_there(c, name, &r, err);
		if (r.status != 200)
			return vn_refusal_unexpected(c, &call, &r, err);
		if (vn_refusal_web_page(c, &r, "a manifest", err) < 0)
			return -err->code;
		int n = read_body(c, name, &r, bytes, err);
		if (n == 0)
			return vn_strdup(vn_http_header(&r, "Content-Type", 0), ret_type, err);
		if (n != -VN_ENETWORK || tries > vn_client_options(c)->retries)
			return n;
		vn_http_response_release(&r);
		vn_buf_clear(bytes);
		if (vn_client_wait(c, tries, NULL, err) < 0)
			return -err->code;
	}
}

static int digest_alike(const struct vn_buf *bytes, const char *like, struct vn_digest *ret, struct vn_err *err)
{
	struct vn_hash *hash = NULL;
	int n = vn_hash_open(strncmp(like, "sha512:", 7) ? "sha256" : "sha512", &hash, err);

	if (n == 0)
		n = vn_hash_add(hash, vn_buf_text(bytes), bytes->len, err);
	if (n == 0)
		n = vn_hash_end(hash, ret, err);
	vn_hash_close(hash);
	return n;
}

int vn_manifest_fetch(struct vn_client *c, const char *name, const struct vn_desc *child, struct vn_buf *ret_bytes,
		      struct vn_desc *ret_desc, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO_FREE char *type = NULL;
	struct vn_digest digest;
	const char *kind_type = NULL;
	enum vn_kind kind;
	bool by_digest = strchr(name, ':') != NULL;

	if (get(c, name, &bytes, &type, err) < 0 || digest_alike(&bytes, name, &digest, err) < 0)
		return -err->code;
	if (child && child->size >= 0 && (uint64_t)child->size != bytes.len)
		return vn_fail(err, VN_EDIGEST, "manifest %s of %s/%s: expected %lld bytes, found %zu", name, vn_client_registry(c),
			       vn_client_repository(c), (long long)child->size, bytes.len);
	if (by_digest && strcmp(digest.text, name))
		return vn_fail(err, VN_EDIGEST, "manifest of %s/%s: expected digest %s, found %s", vn_client_registry(c),
			       vn_client_repository(c), name, digest.text);
	/* the descriptor that vouches for the digest also vouches for the type (image-spec descriptor.md) */
	if (vn_manifest_kind(bytes.data, bytes.len, child && child->media_type ? child->media_type : type, &kind, &kind_type, err) < 0)
		return vn_wrap(err, "manifest %s of %s/%s", name, vn_client_registry(c), vn_client_repository(c));
	VN_AUTO(vn_desc) desc = { 0 };
	if (child ? vn_desc_copy(child, &desc, err) < 0 : vn_desc_init(&desc, kind_type, &digest, (int64_t)bytes.len, err) < 0)
		return -err->code;
	if (vn_buf_add(ret_bytes, vn_buf_text(&bytes), bytes.len, err) < 0)
		return -err->code;
	*ret_desc = desc;
	desc = (struct vn_desc){ 0 };
	return 0;
}

static bool head_says_it(const struct vn_http_response *r, struct vn_digest *ret_digest, uint64_t *ret_size,
			 const char **ret_type)
{
	const char *digest = vn_http_header(r, "Docker-Content-Digest", 0), *type = vn_http_header(r, "Content-Type", 0);
	const char *length = vn_http_header(r, "Content-Length", 0);
	struct vn_err ignored = { 0 };

	if (r->status != 200 || !digest || !type || !length || vn_digest_parse(digest, ret_digest, &ignored) < 0 ||
	    !vn_parse_u64(length, ret_size) || !*ret_size || *ret_size > VN_MAX_MANIFEST)
		return false;
	const struct vn_mediatype *known = vn_mediatype(type);
	*ret_type = known->text;
	return known->kind == VN_KIND_INDEX || known->kind == VN_KIND_MANIFEST;
}

int vn_manifest_head(struct vn_client *c, const char *name, struct vn_desc *ret, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO_FREE char *path = NULL;
	struct vn_digest digest;
	const char *type;
	uint64_t size;

	if (vn_asprintf(&path, err, "/v2/%s/manifests/%s", vn_client_repository(c), name) < 0)
		return -err->code;
	struct vn_call call = { .method = "HEAD", .path = path, .access = VN_ACCESS_PULL, .headers = { "Accept: " VN_ACCEPT } };
	if (vn_client_call(c, &call, &r, err) < 0)
		return -err->code;
	if (r.status == 200 && vn_refusal_web_page(c, &r, "a manifest", err) < 0)
		return -err->code;
	if (head_says_it(&r, &digest, &size, &type) && (!strchr(name, ':') || !strcmp(name, digest.text)))
		return vn_desc_init(ret, type, &digest, (int64_t)size, err);
	if (r.status == 404)
		return vn_fail(err, VN_ENOTFOUND, "%s/%s has no %s", vn_client_registry(c), vn_client_repository(c), name);
	vn_http_response_release(&r);
	return vn_manifest_fetch(c, name, NULL, &bytes, ret, err);
}

/* Whether a manifest uses what came with version 1.1 of the specifications. */
static bool is_artifact(const void *bytes, size_t len)
{
	VN_AUTO_JSON *doc = NULL;
	struct vn_err ignored = { 0 };

	if (vn_json_parse(bytes, len, "manifest", &doc, &ignored) < 0)
		return false;
	struct vn_jv root = vn_jv_root(doc, "manifest");
	return vn_jv_get(&root, "subject").v || vn_jv_get(&root, "artifactType").v;
}

static int put_refused(struct vn_client *c, const struct vn_call *call, const struct vn_desc *desc, bool artifact,
		       struct vn_http_response *r, struct vn_err *err)
{
	unsigned status = r->status;
	bool docker = vn_mediatype(desc->media_type)->family == VN_FAMILY_DOCKER;

	vn_refusal_unexpected(c, call, r, err);
	if (docker && (status == 400 || status == 415))
		vn_hint(err, "Some registries take only OCI media types; this manifest has Docker's.");
	else if (artifact && err->code != VN_EAUTH && status >= 400 && status < 500)
		vn_hint(err, "Some registries take no artifacts, which have an artifactType and a subject (OCI 1.1); another "
			"registry may keep them.");
	return vn_wrap(err, "manifest %.19s…", desc->digest.text);
}

int vn_manifest_put(struct vn_client *c, const char *name, const struct vn_desc *desc, const void *bytes, size_t len,
		    bool *ret_subject, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO(vn_body) body = { 0 };
	VN_AUTO_FREE char *path = NULL, *type = NULL;

	if (vn_asprintf(&path, err, "/v2/%s/manifests/%s", vn_client_repository(c), name) < 0 ||
	    vn_asprintf(&type, err, "Content-Type: %s", desc->media_type) < 0)
		return -err->code;
	if (vn_body_memory(bytes, len, &body) < 0)
		return vn_nomem(err);
	struct vn_call call = { .method = "PUT", .path = path, .access = VN_ACCESS_PUSH, .headers = { type }, .body = &body,
				.body_len = (int64_t)len };
	if (vn_client_call(c, &call, &r, err) < 0)
		return vn_wrap(err, "manifest %.19s…", desc->digest.text);
	if (r.status < 200 || r.status > 204)
		return put_refused(c, &call, desc, is_artifact(bytes, len), &r, err);
	const char *stored = vn_http_header(&r, "Docker-Content-Digest", 0);
	if (stored && strncmp(stored, desc->digest.text, 7) == 0 && strcmp(stored, desc->digest.text))
		return vn_fail(err, VN_EDIGEST, "%s stored manifest %s of %s as %s", vn_client_registry(c), desc->digest.text,
			       vn_client_repository(c), stored);
	if (ret_subject)
		*ret_subject = vn_http_header(&r, "OCI-Subject", 0) != NULL;
	return 0;
}
