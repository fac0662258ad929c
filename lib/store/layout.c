#include "store/layout.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdlib.h>
#include <string.h>

int vn_layout_check_version(const struct vn_buf *bytes, const char *place, struct vn_err *err)
{
	VN_AUTO_JSON *json = NULL;
	const char *version;
	int rc = vn_json_parse(vn_buf_text(bytes), bytes->len, VN_LAYOUT_FILE, &json, err);
	if (rc < 0)
		return vn_wrap(err, "%s", place);
	struct vn_jv root = vn_jv_root(json, VN_LAYOUT_FILE);
	rc = vn_jv_want_object(&root, err);
	if (rc == 0)
		rc = vn_jv_need_text(&root, "imageLayoutVersion", &version, err);
	if (rc < 0)
		return vn_wrap(err, "%s", place);
	if (strncmp(version, "1.", 2))
		return vn_fail(err, VN_EFORMAT, "%s is an OCI layout of the version %.40s; 1.x is supported", place, version);
	return 0;
}

int vn_layout_blob_path(const char *prefix, const struct vn_digest *digest, char **ret, struct vn_err *err)
{
	int algorithm = (int)strcspn(digest->text, ":");
	if (!vn_digest_valid(digest->text))
		return vn_fail(err, VN_EFORMAT, "\"%.140s\" is not a digest", digest->text);
	return vn_asprintf(ret, err, "%sblobs/%.*s/%s", prefix, algorithm, digest->text, vn_digest_hex(digest));
}

/* ---- choosing */
static const char *tag_of(const struct vn_desc *entry)
{
	const char *tag = vn_desc_annotation(entry, VN_REF_NAME);
	return tag && *tag ? tag : NULL;
}

static bool has_tag(const struct vn_desc *entry, const char *tag)
{
	const char *own = tag_of(entry), *full = vn_desc_annotation(entry, VN_CONTAINERD_NAME);
	return (own && !strcmp(own, tag)) || (full && !strcmp(full, tag));
}

/* "a, b, c and 4 more" */
static int list_tags(const struct vn_index *x, struct vn_buf *ret, struct vn_err *err)
{
	size_t shown = 0, more = 0;
	int rc = vn_buf_reserve(ret, 0, err);
	for (size_t i = 0; rc == 0 && i < x->nmanifests; i++) {
		const char *tag = tag_of(&x->manifests[i]);
		if (!tag)
			continue;
		if (shown == 10) {
			more++;
			continue;
		}
		rc = vn_buf_addf(ret, err, "%s%.60s", shown++ ? ", " : "", tag);
	}
	if (rc == 0 && more)
		rc = vn_buf_addf(ret, err, " and %zu more", more);
	return rc;
}

static int no_such_tag(const struct vn_index *x, const char *tag, const char *place, struct vn_err *err)
{
	VN_AUTO(vn_buf) tags = VN_BUF(4096);
	int rc = list_tags(x, &tags, err);
	if (rc < 0)
		return rc;
	if (!tags.len)
		return vn_fail(err, VN_ENOTFOUND, "%s has no tag %.128s, nor any other", place, tag);
	vn_fail(err, VN_ENOTFOUND, "%s has no tag %.128s", place, tag);
	return vn_hint(err, "it has: %s", vn_buf_text(&tags));
}

static int by_tag(const struct vn_index *x, const char *tag, const char *place, const struct vn_desc **ret, struct vn_err *err)
{
	const struct vn_desc *found = NULL;
	for (size_t i = 0; i < x->nmanifests; i++) {
		const struct vn_desc *entry = &x->manifests[i];
		if (!has_tag(entry, tag))
			continue;
		if (found && !vn_digest_equal(&found->digest, &entry->digest))
			return vn_fail(err, VN_EFORMAT, "%s: the tag %.128s names both %s and %s", place, tag, found->digest.text,
				       entry->digest.text);
		found = entry;
	}
	if (!found)
		return no_such_tag(x, tag, place, err);
	*ret = found;
	return 0;
}

/* *ret NULL: index.json itself. */
static int the_only(const struct vn_index *x, const char *place, const struct vn_desc **ret, struct vn_err *err)
{
	const struct vn_desc *bare = NULL;
	size_t nbare = 0;
	for (size_t i = 0; i < x->nmanifests; i++)
		if (!tag_of(&x->manifests[i])) {
			bare = &x->manifests[i];
			nbare++;
		}
	if (!x->nmanifests)
		return vn_fail(err, VN_ENOTFOUND, "%s holds no image", place);
	if (x->nmanifests == 1 || nbare == 1) {
		*ret = x->nmanifests == 1 ? &x->manifests[0] : bare;
		return 0;
	}
	if (nbare == x->nmanifests) {
		*ret = NULL;
		return 0;
	}
	VN_AUTO(vn_buf) tags = VN_BUF(4096);
	int rc = list_tags(x, &tags, err);
	if (rc < 0)
		return rc;
	vn_fail(err, VN_EUSAGE, "%s holds %zu images, and the reference names none of them", place, x->nmanifests);
	return vn_hint(err, "add one of its tags: %s", vn_buf_text(&tags));
}

static int parse(const struct vn_buf *index, const char *place, struct vn_index *ret, struct vn_err *err)
{
	int rc = vn_index_parse(vn_buf_text(index), index->len, ret, err);
	if (rc == 0 || rc == -VN_ENOMEM)
		return rc;
	vn_wrap(err, "%s: index.json", place);
	return vn_hint(err, "put back a copy of it, or write the images to another folder");
}

int vn_layout_choose(const struct vn_buf *index, const struct vn_ref *ref, const char *place, struct vn_desc *ret_desc,
		     bool *ret_self, struct vn_err *err)
{
	VN_AUTO(vn_index) x = { 0 };
	const struct vn_desc *entry = NULL;
	int rc = parse(index, place, &x, err);
	if (rc < 0)
		return rc;
	if (!vn_digest_none(&ref->digest)) {
		for (size_t i = 0; i < x.nmanifests && !entry; i++)
			if (vn_digest_equal(&x.manifests[i].digest, &ref->digest))
				entry = &x.manifests[i];
		if (!entry) {
			*ret_desc = (struct vn_desc){ .digest = ref->digest, .size = -1 };
			*ret_self = false;
			return 0;
		}
	} else {
		rc = ref->tag ? by_tag(&x, ref->tag, place, &entry, err) : the_only(&x, place, &entry, err);
	}
	if (rc == 0 && entry)
		rc = vn_desc_copy(entry, ret_desc, err);
	if (rc == 0)
		*ret_self = !entry;
	return rc;
}

int vn_layout_tags(const struct vn_buf *index, const char *place, struct vn_buf *ret_tags, size_t *ret_count,
		   struct vn_err *err)
{
	VN_AUTO(vn_index) x = { 0 };
	size_t count = 0;
	int rc = parse(index, place, &x, err);
	for (size_t i = 0; rc == 0 && i < x.nmanifests; i++) {
		const char *tag = tag_of(&x.manifests[i]);
		if (!tag)
			continue;
		rc = vn_buf_add(ret_tags, tag, strlen(tag) + 1, err);
		count++;
	}
	if (rc == 0)
		*ret_count = count;
	return rc;
}

/* ---- changing */
static vn_json *new_entry(const struct vn_desc *desc, const char *tag, const char *full_name)
{
	vn_json *entry = vn_desc_to_json(desc), *notes = vn_json_object();
	/* inline copies of the manifest (`data`) would only make index.json grow */
	vn_json_del(entry, "data");
	if (full_name)
		vn_json_set(notes, VN_CONTAINERD_NAME, vn_json_string(full_name));
	if (tag)
		vn_json_set(notes, VN_REF_NAME, vn_json_string(tag));
	if (tag || full_name) {
		vn_json_set(entry, "annotations", notes);
	} else {
		vn_json_drop(notes);
		vn_json_del(entry, "annotations");
	}
	return entry;
}

/* Is the entry the one that the new one takes the place of? */
static bool replaced(const struct vn_desc *entry, const char *tag)
{
	const char *own = tag_of(entry);
	return tag ? own && !strcmp(own, tag) : !own;
}

int vn_layout_entry(const struct vn_buf *index, const char *tag, const char *place, struct vn_desc *ret, struct vn_err *err)
{
	VN_AUTO(vn_index) x = { 0 };
	int rc = parse(index, place, &x, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < x.nmanifests; i++)
		if (replaced(&x.manifests[i], tag))
			return vn_desc_copy(&x.manifests[i], ret, err);
	return vn_fail(err, VN_ENOTFOUND, "%s has no %s%.128s", place, tag ? "tag " : "image without a tag", tag ? tag : "");
}

/* The document with the entries that stay. */
static int keep_others(const struct vn_buf *index, const char *place, const char *tag, vn_json **ret_doc, vn_json **ret_entries,
		       bool *ret_found, struct vn_err *err)
{
	VN_AUTO(vn_index) x = { 0 };
	int rc = index->len ? parse(index, place, &x, err) : 0;
	if (rc < 0)
		return rc;
	if (index->len) {
		*ret_doc = vn_json_copy(x.json);
	} else {
		*ret_doc = vn_json_object();
		vn_json_set(*ret_doc, "schemaVersion", vn_json_int(2));
		vn_json_set(*ret_doc, "mediaType", vn_json_string(VN_MT_OCI_INDEX));
	}
	*ret_entries = vn_json_array();
	*ret_found = false;
	for (size_t i = 0; i < x.nmanifests; i++)
		if (replaced(&x.manifests[i], tag))
			*ret_found = true;
		else
			vn_json_add(*ret_entries, vn_json_hold(x.manifests[i].json));
	return 0;
}

int vn_layout_with_entry(const struct vn_buf *index, const char *place, const struct vn_desc *desc, const char *tag,
			 const char *full_name, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	vn_json *entries = NULL;
	bool found;
	int rc = keep_others(index, place, tag, &doc, &entries, &found, err);
	if (rc < 0)
		return rc;
	vn_json_add(entries, new_entry(desc, tag, full_name));
	vn_json_set(doc, "manifests", entries);
	return vn_json_text(doc, false, ret, err);
}

int vn_layout_without_entry(const struct vn_buf *index, const char *place, const char *tag, struct vn_buf *ret, bool *ret_found,
			    struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	vn_json *entries = NULL;
	int rc = keep_others(index, place, tag, &doc, &entries, ret_found, err);
	if (rc < 0)
		return rc;
	vn_json_set(doc, "manifests", entries);
	return vn_json_text(doc, false, ret, err);
}
