#include "oci/manifest.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <string.h>

#define WHAT_MANIFEST "manifest"
#define WHAT_INDEX "index"

static int parse_document(const void *bytes, size_t len, const char *what, vn_json **ret, struct vn_err *err)
{
	if (len > VN_MAX_MANIFEST)
		return vn_fail(err, VN_ELIMIT, "%s of %zu bytes, at most %u are read", what, len, VN_MAX_MANIFEST);
	VN_AUTO_JSON *v = NULL;
	if (vn_json_parse(bytes, len, what, &v, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(v, what);
	if (vn_jv_want_object(&root, err) < 0)
		return -err->code;
	*ret = vn_steal(v);
	return 0;
}

static int schema1(const char *what, struct vn_err *err)
{
	vn_fail(err, VN_EFORMAT, "%s is Docker schema 1, a format that registries and engines have given up", what);
	return vn_hint(err,
		       "push the image again with a current docker, buildx, podman or skopeo, which write schema 2 or OCI");
}

/* What the members say; CVE-2021-41190: a document that can be read as both kinds is none. */
static int kind_by_shape(const struct vn_jv *root, enum vn_kind *ret, struct vn_err *err)
{
	struct vn_jv manifests = vn_jv_get(root, "manifests"), layers = vn_jv_get(root, "layers");
	struct vn_jv config = vn_jv_get(root, "config"), fs_layers = vn_jv_get(root, "fsLayers");
	struct vn_jv version = vn_jv_get(root, "schemaVersion");
	int64_t number = 2;
	if (vn_jv_opt_int(root, "schemaVersion", &number, err) < 0)
		return -err->code;
	if (number == 1 || fs_layers.v) {
		if (manifests.v || layers.v || config.v)
			return vn_fail(err, VN_EFORMAT,
				       "%s has the members of Docker schema 1 and of a newer kind at once (CVE-2021-41190)",
				       root->what);
		return schema1(root->what, err);
	}
	if (version.v && number != 2)
		return vn_fail(err, VN_EFORMAT, "%s: /schemaVersion is %lld, expected 2", root->what, (long long)number);
	if (manifests.v && (layers.v || config.v))
		return vn_fail(err, VN_EFORMAT,
			       "%s has \"manifests\" as an index and \"%s\" as a manifest at once (CVE-2021-41190)", root->what,
			       layers.v ? "layers" : "config");
	*ret = manifests.v ? VN_KIND_INDEX : layers.v || config.v ? VN_KIND_MANIFEST : VN_KIND_UNKNOWN;
	return 0;
}

/* Without any media type: Docker wrote schema 2 always with one, so it is OCI unless a descriptor speaks Docker. */
static enum vn_family family_by_content(const struct vn_jv *root, enum vn_kind kind)
{
	struct vn_jv config = vn_jv_get(root, "config"), list = vn_jv_get(root, kind == VN_KIND_INDEX ? "manifests" : "layers");
	struct vn_jv first = vn_jv_at(&list, 0);
	const struct vn_jv *const look[] = { &config, &first };
	for (size_t i = 0; i < 2; i++) {
		struct vn_err unused = { 0 };
		const char *type = NULL;
		if (vn_jv_is_object(look[i]) && vn_jv_opt_text(look[i], "mediaType", &type, &unused) == 0 && type)
			return vn_mediatype(type)->family == VN_FAMILY_DOCKER ? VN_FAMILY_DOCKER : VN_FAMILY_OCI;
	}
	return VN_FAMILY_OCI;
}

/* The type that the document states, checked against its shape. */
static int own_type(const struct vn_jv *root, const char *told, const struct vn_mediatype **ret, struct vn_err *err)
{
	const char *stated = NULL;
	enum vn_kind shape;
	if (vn_jv_opt_text(root, "mediaType", &stated, err) < 0)
		return -err->code;
	const struct vn_mediatype *from_body = vn_mediatype(stated), *from_told = vn_mediatype(told);
	if (from_body->kind == VN_KIND_SCHEMA1 || from_told->kind == VN_KIND_SCHEMA1)
		return schema1(root->what, err);
	if (kind_by_shape(root, &shape, err) < 0)
		return -err->code;
	bool told_known = from_told->kind == VN_KIND_INDEX || from_told->kind == VN_KIND_MANIFEST;
	bool body_known = from_body->kind == VN_KIND_INDEX || from_body->kind == VN_KIND_MANIFEST;
	if (stated && *stated && !body_known)
		return vn_fail(err, VN_EFORMAT, "%s: /mediaType is \"%.100s\", expected an image manifest or an index",
			       root->what, stated);
	if (told_known && body_known && from_told != from_body)
		return vn_fail(err, VN_EFORMAT, "%s was announced as %s, but /mediaType is %s (CVE-2021-41190)", root->what,
			       from_told->text, from_body->text);
	const struct vn_mediatype *type = told_known ? from_told : from_body;
	enum vn_kind kind = told_known || body_known ? type->kind : shape;
	if (kind == VN_KIND_UNKNOWN)
		return vn_fail(err, VN_EFORMAT,
			       "%s has neither \"manifests\" nor \"layers\", expected an image manifest or an index",
			       root->what);
	if (shape != VN_KIND_UNKNOWN && shape != kind)
		return vn_fail(err, VN_EFORMAT, "%s is typed %s, but has the members of %s (CVE-2021-41190)", root->what,
			       type->text, shape == VN_KIND_INDEX ? "an index" : "a manifest");
	if (!told_known && !body_known) {
		enum vn_family family = family_by_content(root, kind);
		type = vn_mediatype(kind == VN_KIND_INDEX ? vn_mediatype_index(family) : vn_mediatype_manifest(family));
	}
	*ret = type;
	return 0;
}

int vn_manifest_kind(const void *bytes, size_t len, const char *media_type, enum vn_kind *ret_kind, const char **ret_media_type,
		     struct vn_err *err)
{
	VN_AUTO_JSON *v = NULL;
	const struct vn_mediatype *type;
	if (parse_document(bytes, len, WHAT_MANIFEST, &v, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(v, WHAT_MANIFEST);
	if (own_type(&root, media_type, &type, err) < 0)
		return -err->code;
	*ret_kind = type->kind;
	*ret_media_type = type->text;
	return 0;
}

static void release_list(struct vn_desc *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		vn_desc_release(&list[i]);
	free(list);
}

void vn_manifest_release(struct vn_manifest *m)
{
	vn_desc_release(&m->config);
	release_list(m->layers, m->nlayers);
	vn_json_drop(m->json);
	*m = (struct vn_manifest){ 0 };
}

void vn_index_release(struct vn_index *x)
{
	release_list(x->manifests, x->nmanifests);
	vn_json_drop(x->json);
	*x = (struct vn_index){ 0 };
}

/* The descriptors of an array of 0 … max. An absent array is empty. *ret and *ret_n grow together and hold what was read also
 * on failure, for the caller to release. */
static int list_of_json(const struct vn_jv *array, size_t max, struct vn_desc **ret, size_t *ret_n, struct vn_err *err)
{
	if (vn_jv_want_array(array, err) < 0)
		return -err->code;
	size_t n = vn_jv_count(array);
	if (n > max)
		return vn_fail(err, VN_ELIMIT, "%s: %s has %zu entries, at most %zu are read", array->what, array->at, n, max);
	*ret = calloc(n ? n : 1, sizeof(**ret));
	if (!*ret)
		return vn_nomem(err);
	for (; *ret_n < n; (*ret_n)++) {
		struct vn_jv v = vn_jv_at(array, *ret_n);
		if (vn_desc_of_json(&v, &(*ret)[*ret_n], err) < 0)
			return -err->code;
	}
	return 0;
}

static int expect_kind(const struct vn_jv *root, enum vn_kind want, const struct vn_mediatype **ret, struct vn_err *err)
{
	const struct vn_mediatype *type;
	if (own_type(root, NULL, &type, err) < 0)
		return -err->code;
	if (type->kind != want)
		return vn_fail(err, VN_EFORMAT, "%s is of type %s, expected %s", root->what, type->text,
			       want == VN_KIND_INDEX ? "an index" : "an image manifest");
	*ret = type;
	return 0;
}

int vn_manifest_parse(const void *bytes, size_t len, struct vn_manifest *ret, struct vn_err *err)
{
	VN_AUTO(vn_manifest) m = { 0 };
	const struct vn_mediatype *type;
	if (parse_document(bytes, len, WHAT_MANIFEST, &m.json, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(m.json, WHAT_MANIFEST), config = vn_jv_get(&root, "config");
	struct vn_jv layers = vn_jv_get(&root, "layers"), annotations = vn_jv_get(&root, "annotations");
	if (expect_kind(&root, VN_KIND_MANIFEST, &type, err) < 0 || vn_desc_of_json(&config, &m.config, err) < 0 ||
	    vn_jv_want_object(&annotations, err) < 0 || list_of_json(&layers, VN_MAX_LAYERS, &m.layers, &m.nlayers, err) < 0)
		return -err->code;
	m.family = type->family;
	*ret = m;
	m = (struct vn_manifest){ 0 };
	return 0;
}

int vn_index_parse(const void *bytes, size_t len, struct vn_index *ret, struct vn_err *err)
{
	VN_AUTO(vn_index) x = { 0 };
	const struct vn_mediatype *type;
	if (parse_document(bytes, len, WHAT_INDEX, &x.json, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(x.json, WHAT_INDEX), annotations = vn_jv_get(&root, "annotations");
	struct vn_jv manifests = vn_jv_get(&root, "manifests");
	if (expect_kind(&root, VN_KIND_INDEX, &type, err) < 0 || vn_jv_want_object(&annotations, err) < 0 ||
	    list_of_json(&manifests, VN_MAX_INDEX_ENTRIES, &x.manifests, &x.nmanifests, err) < 0)
		return -err->code;
	x.family = type->family;
	*ret = x;
	x = (struct vn_index){ 0 };
	return 0;
}

bool vn_index_is_image(const struct vn_desc *entry)
{
	enum vn_kind kind = vn_mediatype(entry->media_type)->kind;
	if (kind != VN_KIND_MANIFEST && kind != VN_KIND_INDEX)
		return false;
	const char *reference_type = vn_desc_annotation(entry, "vnd.docker.reference.type");
	return strcmp(entry->platform.os, "unknown") != 0 && strcmp(entry->platform.architecture, "unknown") != 0 &&
	       (!reference_type || strcmp(reference_type, "attestation-manifest") != 0);
}

static int no_match(const struct vn_index *x, const struct vn_platform *want, struct vn_err *err)
{
	char text[VN_PLATFORM_TEXT];
	struct vn_buf there = VN_BUF(4096);
	struct vn_err unused = { 0 };
	size_t shown = 0, images = 0;
	for (size_t i = 0; i < x->nmanifests; i++) {
		if (!vn_index_is_image(&x->manifests[i]))
			continue;
		const struct vn_platform *p = &x->manifests[i].platform;
		const char *name = p->os[0] || p->architecture[0] ? vn_platform_text(p, text) : "one without a platform";
		if (images++ < 12 && vn_buf_addf(&there, &unused, "%s%s", shown ? ", " : "", name) == 0)
			shown++;
	}
	vn_platform_text(want, text);
	if (images == 0)
		vn_fail(err, VN_ENOTFOUND, "the index holds no image (%zu entries, all attestations or of unknown kinds)",
			x->nmanifests);
	else
		vn_fail(err, VN_ENOTFOUND, "the index has no image for %s; it has %s%s", text, vn_buf_text(&there),
			images > shown ? " and more" : "");
	vn_buf_release(&there);
	return images == 0 ? -(int)err->code : vn_hint(err, "choose one of them with --platform");
}

int vn_index_select(const struct vn_index *x, const struct vn_platform *want, const struct vn_desc **ret, struct vn_err *err)
{
	struct vn_platform local;
	const struct vn_desc *best = NULL, *only = NULL;
	int best_score = 0;
	size_t images = 0;
	vn_platform_local(&local);
	for (size_t i = 0; i < x->nmanifests; i++) {
		const struct vn_desc *entry = &x->manifests[i];
		if (!vn_index_is_image(entry))
			continue;
		images++;
		only = entry;
		int score = vn_platform_score(want ? want : &local, &entry->platform);
		if (score > best_score)
			best_score = score, best = entry;
	}
	if (!best && !want && images == 1)
		best = only;
	if (!best)
		return no_match(x, want ? want : &local, err);
	*ret = best;
	return 0;
}

const char *vn_manifest_annotation(const struct vn_manifest *m, const char *key)
{
	struct vn_desc d = { .json = m->json };
	return vn_desc_annotation(&d, key);
}
