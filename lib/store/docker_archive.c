/* What `docker save` writes: manifest.json is [{"Config": MEMBER, "RepoTags": [NAME:TAG …], "Layers": [MEMBER …], "LayerSources":
 * {DIFF_ID: DESCRIPTOR …}} …], the layers in the order of the configuration's diff_ids. Layers that the receiver has may be absent
 * (moby, image/tarexport). When the archive holds an OCI manifest for the same configuration, that is the image's manifest; else
 * an OCI manifest is made up, in which a plain layer's digest is its diff_id. */
#include "oci/config.h"
#include "store/archive.h"
#include "store/layout.h"
#include "store/members.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdlib.h>
#include <string.h>

struct part {
	struct vn_digest digest;
	const struct vn_member *member;      /* NULL: absent */
	char *name;                          /* of the member */
};

struct docker_source {
	struct vn_source s;
	struct vn_members *members;
	vn_json *json;                       /* manifest.json */
	struct vn_buf manifest;
	struct vn_desc desc;
	struct part *parts;                  /* configuration and layers */
	size_t nparts;
};

static const char *place_of(const struct docker_source *d)
{
	return vn_members_name(d->members);
}

/* ---- choosing one of several images */
static int normal_name(const char *text, char **ret, struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_ref) ref = { 0 };
	if (vn_ref_parse(text, &ref, &ignored) == 0 && ref.transport == VN_REF_REGISTRY)
		return vn_ref_full_name(&ref, ret, err);
	return vn_strdup(text, ret, err);
}

int vn_archive_names(const struct vn_ref *ref, char **ret_short, char **ret_full, struct vn_err *err)
{
	VN_AUTO(vn_ref) inside = { 0 };
	VN_AUTO_FREE char *full = NULL, *brief = NULL;
	if (!ref->name || !*ref->name || *ref->name == '@') {
		*ret_short = *ret_full = NULL;
		return 0;
	}
	int rc = vn_ref_parse(ref->name, &inside, err);
	if (rc == 0)
		rc = vn_ref_full_name(&inside, &full, err);
	if (rc < 0)
		return rc;
	const char *familiar = full;
	static const char *const implied[] = { "docker.io/", "library/" };
	for (size_t i = 0; i < 2; i++)
		if (!strncmp(familiar, implied[i], strlen(implied[i])))
			familiar += strlen(implied[i]);
		else
			break;
	rc = vn_strdup(familiar, &brief, err);
	if (rc < 0)
		return rc;
	*ret_short = vn_steal(brief);
	*ret_full = vn_steal(full);
	return 0;
}

static int has_name(const struct vn_jv *image, const char *full, bool *ret, struct vn_err *err)
{
	struct vn_jv tags = vn_jv_get(image, "RepoTags");
	int rc = vn_jv_want_array(&tags, err);
	*ret = false;
	for (size_t i = 0; rc == 0 && !*ret && i < vn_jv_count(&tags); i++) {
		const char *text;
		VN_AUTO_FREE char *own = NULL;
		struct vn_jv tag = vn_jv_at(&tags, i);
		rc = vn_jv_text(&tag, &text, err);
		if (rc == 0)
			rc = normal_name(text, &own, err);
		*ret = rc == 0 && !strcmp(own, full);
	}
	return rc;
}

static int add_names(const struct vn_jv *image, struct vn_buf *ret, size_t *ret_count, struct vn_err *err)
{
	struct vn_jv tags = vn_jv_get(image, "RepoTags");
	int rc = vn_jv_want_array(&tags, err);
	for (size_t i = 0; rc == 0 && i < vn_jv_count(&tags); i++) {
		const char *text;
		struct vn_jv tag = vn_jv_at(&tags, i);
		rc = vn_jv_text(&tag, &text, err);
		if (rc == 0)
			rc = vn_buf_add(ret, text, strlen(text) + 1, err);
		*ret_count += rc == 0;
	}
	return rc;
}

/* The hint that lists what the archive holds. */
static int hint_names(const struct vn_jv *images, struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_buf) names = VN_BUF(VN_MAX_ARCHIVE_JSON);
	size_t count = 0, total = vn_jv_count(images);
	for (size_t i = 0; i < total; i++) {
		struct vn_jv image = vn_jv_at(images, i);
		if (add_names(&image, &names, &count, &ignored) < 0)
			break;
	}
	for (size_t i = 0; i < names.len; i++)
		if (!names.data[i])
			names.data[i] = i + 1 < names.len ? ' ' : 0;
	if (!count)
		return vn_hint(err, "choose one with docker-archive:FILE:@0 to @%zu", total ? total - 1 : 0);
	return vn_hint(err, "it holds: %.250s", vn_buf_text(&names));
}

static int choose(const struct docker_source *d, const struct vn_jv *images, const struct vn_ref *ref, struct vn_jv *ret,
		  struct vn_err *err)
{
	VN_AUTO_FREE char *brief = NULL, *full = NULL;
	size_t n = vn_jv_count(images);
	uint64_t index;
	if (!n)
		return vn_fail(err, VN_ENOTFOUND, "%s holds no image", place_of(d));
	if (ref->name && ref->name[0] == '@') {
		if (!vn_parse_u64(ref->name + 1, &index) || index >= n)
			return vn_fail(err, VN_ENOTFOUND, "%s has no image %.40s: it holds %zu, counted from 0", place_of(d), ref->name, n);
		*ret = vn_jv_at(images, (size_t)index);
		return 0;
	}
	int rc = vn_archive_names(ref, &brief, &full, err);
	if (rc < 0)
		return rc;
	if (!full && n > 1) {
		vn_fail(err, VN_EUSAGE, "%s holds %zu images, and the reference names none of them", place_of(d), n);
		return hint_names(images, err);
	}
	for (size_t i = 0; i < n; i++) {
		bool match = !full;
		struct vn_jv image = vn_jv_at(images, i);
		rc = full ? has_name(&image, full, &match, err) : 0;
		if (rc < 0)
			return rc;
		if (match) {
			*ret = image;
			return 0;
		}
	}
	vn_fail(err, VN_ENOTFOUND, "%s holds no image %.200s", place_of(d), brief);
	return hint_names(images, err);
}

/* ---- layers */
static int add_part(struct docker_source *d, const struct vn_digest *digest, const char *name, struct part **ret,
		    struct vn_err *err)
{
	struct part *p = &d->parts[d->nparts];
	*p = (struct part){ .digest = *digest };
	int rc = vn_strdup(name, &p->name, err);
	if (rc < 0)
		return rc;
	d->nparts++;
	rc = vn_members_find(d->members, name, &p->member, err);
	if (rc < 0 && rc != -VN_ENOTFOUND)
		return rc;
	*ret = p;
	return 0;
}

static int digest_member(const struct docker_source *d, const struct part *p, struct vn_digest *ret, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	struct vn_hash *hash = NULL;
	const void *block;
	ssize_t n = 0;
	int rc = vn_members_in(d->members, p->member, &in, err);
	if (rc == 0)
		rc = vn_hash_open("sha256", &hash, err);
	while (rc == 0 && (n = vn_in_next(in, &block, err)) > 0)
		rc = vn_hash_add(hash, block, (size_t)n, err);
	if (rc == 0)
		rc = n < 0 ? (int)n : vn_hash_end(hash, ret, err);
	vn_hash_close(hash);
	return rc;
}

/* "blobs/sha256/<hex>" says the digest itself; whoever reads the blob verifies it. */
static bool digest_in_name(const char *name, struct vn_digest *ret)
{
	struct vn_err ignored = { 0 };
	char text[VN_DIGEST_TEXT] = "sha256:";
	if (strncmp(name, "blobs/sha256/", 13) || strlen(name + 13) != 64)
		return false;
	memcpy(text + 7, name + 13, 65);
	return vn_digest_parse(text, ret, &ignored) == 0;
}

static int compression_of(const struct docker_source *d, const struct part *p, enum vn_compression *ret, struct vn_err *err)
{
	uint8_t head[4];
	ssize_t n = vn_members_peek(d->members, p->member, head, sizeof(head), err);
	if (n < 0)
		return (int)n;
	*ret = n >= 2 && head[0] == 0x1f && head[1] == 0x8b ? VN_GZIP :
	       n == 4 && !memcmp(head, "\x28\xb5\x2f\xfd", 4) ? VN_ZSTD : VN_PLAIN;
	return 0;
}

/* What the archive says of a layer's size that it does not hold; 0 when it says nothing. */
static int said_size(const struct vn_jv *image, const struct vn_digest *diff_id, int64_t *ret, struct vn_err *err)
{
	struct vn_jv sources = vn_jv_get(image, "LayerSources");
	int rc = vn_jv_want_object(&sources, err);
	if (rc < 0 || !sources.v)
		return rc;
	struct vn_jv source = vn_jv_get(&sources, diff_id->text);
	rc = vn_jv_want_object(&source, err);
	return rc < 0 || !source.v ? rc : vn_jv_opt_int(&source, "size", ret, err);
}

/* A part for layer i, and its descriptor for the made-up manifest. */
static int add_layer(struct docker_source *d, const struct vn_jv *image, const char *name, const struct vn_digest *diff_id,
		     struct vn_desc *ret, struct vn_err *err)
{
	struct part *p;
	enum vn_compression compression = VN_PLAIN;
	int64_t size = 0;
	int rc = add_part(d, diff_id, name, &p, err);
	if (rc < 0)
		return rc;
	if (p->member) {
		size = (int64_t)p->member->size;
		rc = compression_of(d, p, &compression, err);
		if (rc == 0 && compression != VN_PLAIN && !digest_in_name(name, &p->digest))
			rc = digest_member(d, p, &p->digest, err);
	} else {
		rc = said_size(image, diff_id, &size, err);
		if (rc == 0 && size < 0)
			size = 0;
	}
	if (rc < 0)
		return rc;
	return vn_desc_init(ret, vn_mediatype_layer(VN_FAMILY_OCI, compression), &p->digest, size, err);
}

/* ---- the manifest */
struct descs {
	struct vn_desc *at;
	size_t n;
};

static void descs_release(struct descs *d)
{
	for (size_t i = 0; i < d->n; i++)
		vn_desc_release(&d->at[i]);
	free(d->at);
}

static int make_manifest(struct docker_source *d, const struct vn_desc *config, const struct descs *layers, struct vn_err *err)
{
	struct vn_digest digest;
	VN_AUTO_JSON *doc = vn_json_object();
	vn_json *array = vn_json_array();
	vn_json_set(doc, "schemaVersion", vn_json_int(2));
	vn_json_set(doc, "mediaType", vn_json_string(VN_MT_OCI_MANIFEST));
	vn_json_set(doc, "config", vn_desc_to_json(config));
	for (size_t i = 0; i < layers->n; i++)
		vn_json_add(array, vn_desc_to_json(&layers->at[i]));
	vn_json_set(doc, "layers", array);
	int rc = vn_json_text(doc, false, &d->manifest, err);
	if (rc == 0)
		rc = vn_digest_of(vn_buf_text(&d->manifest), d->manifest.len, &digest, err);
	if (rc == 0)
		rc = vn_desc_init(&d->desc, VN_MT_OCI_MANIFEST, &digest, (int64_t)d->manifest.len, err);
	return rc;
}

/* Is this manifest the image's own, with every layer that the archive holds under its digest? */
static bool manifest_fits(const struct docker_source *d, const struct vn_manifest *m, const struct vn_desc *config)
{
	struct vn_err ignored = { 0 };
	if (!vn_digest_equal(&m->config.digest, &config->digest) || m->nlayers + 1 != d->nparts)
		return false;
	for (size_t i = 0; i < m->nlayers; i++) {
		VN_AUTO_FREE char *path = NULL;
		const struct vn_member *member;
		if (d->parts[i + 1].member && (vn_layout_blob_path("", &m->layers[i].digest, &path, &ignored) < 0 ||
					       vn_members_find(d->members, path, &member, &ignored) < 0))
			return false;
	}
	return true;
}

static bool take_manifest(struct docker_source *d, const struct vn_desc *entry, const struct vn_desc *config)
{
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_manifest) m = { 0 };
	VN_AUTO_FREE char *path = NULL;
	struct vn_digest found;
	if (vn_layout_blob_path("", &entry->digest, &path, &ignored) < 0 ||
	    vn_members_read(d->members, path, &bytes, &ignored) < 0 ||
	    vn_digest_of(vn_buf_text(&bytes), bytes.len, &found, &ignored) < 0 || !vn_digest_equal(&found, &entry->digest) ||
	    vn_manifest_parse(vn_buf_text(&bytes), bytes.len, &m, &ignored) < 0 || !manifest_fits(d, &m, config))
		return false;
	if (vn_desc_init(&d->desc, entry->media_type, &entry->digest, (int64_t)bytes.len, &ignored) < 0)
		return false;
	for (size_t i = 0; i < m.nlayers; i++) {
		struct part *p = &d->parts[i + 1];
		VN_AUTO_FREE char *blob = NULL;
		p->digest = m.layers[i].digest;
		p->member = NULL;
		if (vn_layout_blob_path("", &p->digest, &blob, &ignored) == 0)
			vn_members_find(d->members, blob, &p->member, &ignored);
	}
	d->manifest = bytes;
	bytes = (struct vn_buf)VN_BUF(0);
	return true;
}

static bool search_index(struct docker_source *d, const struct vn_buf *bytes, const struct vn_desc *config, int depth)
{
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_index) x = { 0 };
	if (vn_index_parse(vn_buf_text(bytes), bytes->len, &x, &ignored) < 0)
		return false;
	for (size_t i = 0; i < x.nmanifests; i++) {
		enum vn_kind kind = vn_mediatype(x.manifests[i].media_type)->kind;
		VN_AUTO(vn_buf) child = VN_BUF(VN_MAX_MANIFEST);
		VN_AUTO_FREE char *path = NULL;
		if (kind == VN_KIND_MANIFEST && take_manifest(d, &x.manifests[i], config))
			return true;
		if (kind == VN_KIND_INDEX && depth == 0 &&
		    vn_layout_blob_path("", &x.manifests[i].digest, &path, &ignored) == 0 &&
		    vn_members_read(d->members, path, &child, &ignored) == 0 && search_index(d, &child, config, depth + 1))
			return true;
	}
	return false;
}

/* ---- opening */
static int load_config(struct docker_source *d, const struct vn_jv *image, struct vn_config *ret_config, struct vn_desc *ret_desc,
		       struct vn_err *err)
{
	const char *name;
	struct part *p;
	struct vn_digest digest;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_CONFIG);
	int rc = vn_jv_need_text(image, "Config", &name, err);
	if (rc == 0)
		rc = vn_members_read(d->members, name, &bytes, err);
	if (rc == 0)
		rc = vn_digest_of(vn_buf_text(&bytes), bytes.len, &digest, err);
	if (rc == 0)
		rc = add_part(d, &digest, name, &p, err);
	if (rc == 0)
		rc = vn_desc_init(ret_desc, VN_MT_OCI_CONFIG, &digest, (int64_t)bytes.len, err);
	if (rc < 0)
		return rc;
	rc = vn_config_parse(vn_buf_text(&bytes), bytes.len, ret_config, err);
	return rc < 0 ? vn_wrap(err, "%s: %.200s", place_of(d), name) : 0;
}

static int load_layers(struct docker_source *d, const struct vn_jv *image, const struct vn_config *config, struct descs *ret,
		       struct vn_err *err)
{
	struct vn_jv names = vn_jv_get(image, "Layers");
	int rc = vn_jv_want_array(&names, err);
	if (rc < 0)
		return rc;
	size_t n = vn_jv_count(&names);
	if (n != config->ndiff_ids)
		return vn_fail(err, VN_EFORMAT, "%s: manifest.json names %zu layers, the configuration %zu diff_ids", place_of(d), n,
			       config->ndiff_ids);
	for (size_t i = 0; i < n; i++) {
		const char *name;
		struct vn_jv item = vn_jv_at(&names, i);
		rc = vn_jv_text(&item, &name, err);
		if (rc == 0)
			rc = add_layer(d, image, name, &config->diff_ids[i], &ret->at[i], err);
		if (rc < 0)
			return rc;
		ret->n = i + 1;
	}
	return 0;
}

static int load_image(struct docker_source *d, const struct vn_jv *image, struct vn_err *err)
{
	VN_AUTO(vn_config) config = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(descs) layers = { 0 };
	VN_AUTO(vn_buf) index = VN_BUF(VN_MAX_ARCHIVE_JSON);
	struct vn_err ignored = { 0 };
	d->parts = calloc(VN_MAX_LAYERS + 1, sizeof(*d->parts));
	if (!d->parts)
		return vn_nomem(err);
	int rc = load_config(d, image, &config, &desc, err);
	if (rc < 0)
		return rc;
	if (config.ndiff_ids > VN_MAX_LAYERS)
		return vn_fail(err, VN_ELIMIT, "%s: an image of %zu layers, more than %d", place_of(d), config.ndiff_ids, VN_MAX_LAYERS);
	layers.at = calloc(config.ndiff_ids + 1, sizeof(*layers.at));
	if (!layers.at)
		return vn_nomem(err);
	rc = load_layers(d, image, &config, &layers, err);
	if (rc < 0)
		return rc;
	if (vn_members_read(d->members, "index.json", &index, &ignored) == 0 && search_index(d, &index, &desc, 0))
		return 0;
	return make_manifest(d, &desc, &layers, err);
}

static int no_manifest(const struct docker_source *d, struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	const struct vn_member *member;
	vn_fail(err, VN_EFORMAT, "%s is no docker-archive: it has no manifest.json", place_of(d));
	if (vn_members_find(d->members, VN_LAYOUT_FILE, &member, &ignored) == 0)
		return vn_hint(err, "it is an OCI archive: name it oci-archive:FILE");
	return vn_hint(err, "expected what `docker save` or `podman save --format docker-archive` writes");
}

static int load(struct docker_source *d, const struct vn_ref *ref, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_ARCHIVE_JSON);
	struct vn_jv image;
	int rc = vn_members_read(d->members, "manifest.json", &bytes, err);
	if (rc == -VN_ENOTFOUND)
		return no_manifest(d, err);
	if (rc == 0)
		rc = vn_json_parse(vn_buf_text(&bytes), bytes.len, "manifest.json", &d->json, err);
	if (rc < 0)
		return vn_wrap(err, "%s", place_of(d));
	struct vn_jv root = vn_jv_root(d->json, "manifest.json");
	rc = vn_jv_want_array(&root, err);
	if (rc == 0)
		rc = choose(d, &root, ref, &image, err);
	if (rc == 0)
		rc = vn_jv_want_object(&image, err);
	return rc < 0 ? rc : load_image(d, &image, err);
}

/* ---- the source */
static int docker_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			   struct vn_err *err)
{
	struct docker_source *d = (struct docker_source *)s;
	if (child && !vn_digest_equal(&child->digest, &d->desc.digest))
		return vn_fail(err, VN_ENOTFOUND, "manifest %s is not in %s", child->digest.text, place_of(d));
	int rc = vn_buf_add(ret_bytes, vn_buf_text(&d->manifest), d->manifest.len, err);
	return rc < 0 ? rc : vn_desc_copy(&d->desc, ret_desc, err);
}

static int docker_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	struct docker_source *d = (struct docker_source *)s;
	const struct part *absent = NULL;
	for (size_t i = 0; i < d->nparts; i++) {
		const struct part *p = &d->parts[i];
		if (!vn_digest_equal(&p->digest, &desc->digest))
			continue;
		if (p->member)
			return vn_members_in(d->members, p->member, ret, err);
		absent = p;
	}
	if (!absent)
		return vn_fail(err, VN_ENOTFOUND, "blob %s is not in %s", desc->digest.text, place_of(d));
	vn_fail(err, VN_ENOTFOUND, "%s is a thin archive: layer %zu of %zu, %.120s, is not in it", place_of(d),
		(size_t)(absent - d->parts), d->nparts - 1, absent->name);
	return vn_hint(err, "read the image from where all of it is kept");
}

static int docker_tags(struct vn_source *s, struct vn_buf *ret_tags, size_t *ret_count, struct vn_err *err)
{
	struct docker_source *d = (struct docker_source *)s;
	struct vn_jv root = vn_jv_root(d->json, "manifest.json");
	size_t count = 0;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < vn_jv_count(&root); i++) {
		struct vn_jv image = vn_jv_at(&root, i);
		rc = vn_jv_want_object(&image, err);
		if (rc == 0)
			rc = add_names(&image, ret_tags, &count, err);
	}
	if (rc == 0)
		*ret_count = count;
	return rc;
}

static void docker_close(struct vn_source *s)
{
	struct docker_source *d = (struct docker_source *)s;
	for (size_t i = 0; i < d->nparts; i++)
		free(d->parts[i].name);
	free(d->parts);
	vn_desc_release(&d->desc);
	vn_buf_release(&d->manifest);
	vn_json_drop(d->json);
	vn_members_close(d->members);
	vn_ref_release(&d->s.ref);
	free(d);
}

static const struct vn_source_ops docker_ops = { docker_manifest, docker_blob, docker_tags, docker_close, false, NULL };

/* Owns `members`. */
static int open_on(struct vn_members *members, const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret,
		   struct vn_err *err)
{
	struct docker_source *d = calloc(1, sizeof(*d));
	if (!d) {
		vn_members_close(members);
		return vn_nomem(err);
	}
	d->s.ops = &docker_ops;
	d->s.events = events;
	d->members = members;
	d->manifest = (struct vn_buf)VN_BUF(VN_MAX_MANIFEST);
	int rc = vn_ref_parse(ref->text, &d->s.ref, err);
	if (rc == 0)
		rc = load(d, ref, err);
	if (rc < 0) {
		docker_close(&d->s);
		return rc;
	}
	*ret = &d->s;
	return 0;
}

int vn_docker_archive_source_fd(int fd, const char *name, const struct vn_ref *ref, const struct vn_events *events,
				struct vn_source **ret, struct vn_err *err)
{
	struct vn_members *members = NULL;
	int rc = vn_members_open_fd(fd, name, events, &members, err);
	return rc < 0 ? rc : open_on(members, ref, events, ret, err);
}

int vn_docker_archive_source_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret,
				  struct vn_err *err)
{
	struct vn_members *members = NULL;
	int rc = vn_members_open(ref->path, events, &members, err);
	return rc < 0 ? rc : open_on(members, ref, events, ret, err);
}
