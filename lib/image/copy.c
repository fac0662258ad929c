#include "image/convert.h"
#include "image/image.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INDEX_NESTING 4

struct blob_body {
	struct vn_source *from;
	const struct vn_desc *desc;
	struct vn_cache *cache;
	const struct vn_events *events;
	const char *what;
};

static int blob_open(const struct vn_body *body, struct vn_in **ret, struct vn_err *err)
{
	const struct blob_body *b = body->user;
	struct vn_in *in = NULL;
	int rc = vn_source_blob(b->from, b->desc, b->cache, b->what, &in, err);
	/* bytes from afar are metered where they arrive */
	if (rc == 0 && !b->from->ops->remote && b->events)
		rc = vn_in_meter(in, b->what, b->desc->size > 0 ? (uint64_t)b->desc->size : 0, b->events, &in, err);
	if (rc < 0)
		return rc;
	*ret = in;
	return 0;
}

int vn_copy_blob(struct vn_source *from, const struct vn_desc *desc, struct vn_cache *cache, struct vn_sink *to,
		 const char *what, uint64_t *ret_moved, struct vn_err *err)
{
	bool there = false;
	struct blob_body b = { from, desc, cache, to->events, what };
	struct vn_body body = { blob_open, &b };
	int rc = to->ops->has_blob(to, desc, &there, err);
	if (rc == 0 && !there && to->ops->mount_blob && from->ref.transport == VN_REF_REGISTRY)
		rc = to->ops->mount_blob(to, desc, &from->ref, &there, err);
	if (rc == 0 && !there)
		rc = to->ops->put_blob(to, desc, &body, err);
	if (rc == 0 && ret_moved)
		*ret_moved = there || desc->size < 0 ? 0 : (uint64_t)desc->size;
	return rc;
}

struct copying {
	struct vn_source *from;
	struct vn_cache *cache;
	struct vn_sink *to;
	struct vn_copy_result result;
};

static int copy_one(struct copying *c, const struct vn_desc *desc, const char *what, struct vn_err *err)
{
	uint64_t moved = 0;
	int rc = vn_copy_blob(c->from, desc, c->cache, c->to, what, &moved, err);
	c->result.bytes += moved;
	c->result.blobs += moved > 0;
	return rc;
}

/* Only a sink that asks for it makes the configuration be read ahead. */
static int announce(struct copying *c, const struct vn_manifest *m, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_CONFIG);
	VN_AUTO(vn_config) config = { 0 };
	if (!c->to->ops->expect || vn_mediatype(m->config.media_type)->kind != VN_KIND_CONFIG)
		return 0;
	int rc = vn_source_blob(c->from, &m->config, c->cache, "configuration", &in, err);
	if (rc == 0)
		rc = vn_in_read_all(in, &bytes, err);
	if (rc == 0)
		rc = vn_config_parse(vn_buf_text(&bytes), bytes.len, &config, err);
	return rc < 0 ? vn_wrap(err, "%s", c->from->ref.text) : vn_sink_expect(c->to, m, &config, err);
}

static int copy_blobs(struct copying *c, const struct vn_manifest *m, struct vn_err *err)
{
	char what[600];
	const char *name = c->from->ref.text;
	for (size_t i = 0; i < m->nlayers; i++) {
		if (vn_mediatype(m->layers[i].media_type)->kind == VN_KIND_FOREIGN_LAYER)
			continue;
		snprintf(what, sizeof(what), "layer %zu of %zu of %.440s", i + 1, m->nlayers, name);
		int rc = copy_one(c, &m->layers[i], what, err);
		if (rc < 0)
			return rc;
	}
	snprintf(what, sizeof(what), "configuration of %.440s", name);
	return copy_one(c, &m->config, what, err);
}

/* Must it be made OCI? The other way there is none. */
static int check_family(const struct copying *c, enum vn_family family, const char *type, bool *ret_convert, struct vn_err *err)
{
	enum vn_family only = c->to->ops->only;
	*ret_convert = only == VN_FAMILY_OCI && family == VN_FAMILY_DOCKER;
	if (only != VN_FAMILY_DOCKER || family == only)
		return 0;
	return vn_fail(err, VN_EFORMAT, "%s takes Docker images only, and %s is %s", c->to->ref.text, c->from->ref.text, type);
}

struct put {
	struct vn_desc *at;
	size_t n;
};

static void put_release(struct put *p)
{
	for (size_t i = 0; i < p->n; i++)
		vn_desc_release(&p->at[i]);
	free(p->at);
}

static int copy_tree(struct copying *c, const struct vn_desc *child, bool tagged, int depth, struct vn_desc *ret_put,
		     struct vn_err *err);

static int copy_children(struct copying *c, const struct vn_index *x, int depth, struct put *ret, bool *changed,
			 struct vn_err *err)
{
	ret->at = calloc(x->nmanifests + 1, sizeof(*ret->at));
	if (!ret->at)
		return vn_nomem(err);
	for (size_t i = 0; i < x->nmanifests; i++) {
		enum vn_kind kind = vn_mediatype(x->manifests[i].media_type)->kind;
		if (kind != VN_KIND_MANIFEST && kind != VN_KIND_INDEX) {
			vn_fail(err, VN_EFORMAT, "%s: entry %zu of the index has the media type %.200s, which cannot be copied",
				c->from->ref.text, i + 1, x->manifests[i].media_type);
			return vn_hint(err, "copy one image with --platform");
		}
		int rc = copy_tree(c, &x->manifests[i], false, depth + 1, &ret->at[i], err);
		if (rc < 0)
			return rc;
		ret->n = i + 1;
		*changed = *changed || !vn_digest_equal(&ret->at[i].digest, &x->manifests[i].digest);
	}
	return 0;
}

static int copy_index(struct copying *c, struct vn_buf *bytes, struct vn_desc *desc, bool convert, int depth, struct vn_err *err)
{
	VN_AUTO(vn_index) x = { 0 };
	VN_AUTO(put) children = { 0 };
	VN_AUTO(vn_desc) made = { 0 };
	int rc = vn_index_parse(vn_buf_text(bytes), bytes->len, &x, err);
	if (rc < 0)
		return vn_wrap(err, "%s", c->from->ref.text);
	rc = copy_children(c, &x, depth, &children, &convert, err);
	if (rc == 0 && convert)
		rc = vn_index_to_oci(&x, children.at, bytes, &made, err);
	if (rc == 0 && convert) {
		vn_desc_release(desc);
		*desc = made;
		made = (struct vn_desc){ 0 };
	}
	return rc;
}

static int copy_manifest(struct copying *c, struct vn_buf *bytes, struct vn_desc *desc, bool convert, struct vn_err *err)
{
	VN_AUTO(vn_manifest) m = { 0 };
	VN_AUTO(vn_desc) made = { 0 };
	int rc = vn_manifest_parse(vn_buf_text(bytes), bytes->len, &m, err);
	if (rc < 0)
		return vn_wrap(err, "manifest of %s", c->from->ref.text);
	rc = announce(c, &m, err);
	if (rc == 0)
		rc = copy_blobs(c, &m, err);
	if (rc == 0 && convert)
		rc = vn_manifest_to_oci(&m, bytes, &made, err);
	if (rc == 0 && convert) {
		vn_debug(c->to->events, "%s: the Docker manifest %s is written as OCI, %s", c->to->ref.text, desc->digest.text,
			 made.digest.text);
		vn_desc_release(desc);
		*desc = made;
		made = (struct vn_desc){ 0 };
	}
	c->result.images += rc == 0;
	return rc;
}

static int copy_tree(struct copying *c, const struct vn_desc *child, bool tagged, int depth, struct vn_desc *ret_put,
		     struct vn_err *err)
{
	enum vn_kind kind;
	const char *type;
	bool convert;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	if (depth > MAX_INDEX_NESTING)
		return vn_fail(err, VN_ELIMIT, "%s: indexes are nested more than %d deep", c->from->ref.text, MAX_INDEX_NESTING);
	int rc = vn_source_manifest(c->from, child, &bytes, &desc, err);
	if (rc < 0)
		return rc;
	rc = vn_manifest_kind(vn_buf_text(&bytes), bytes.len, desc.media_type, &kind, &type, err);
	if (rc < 0)
		return vn_wrap(err, "%s", c->from->ref.text);
	rc = check_family(c, vn_mediatype(type)->family, type, &convert, err);
	if (rc == 0)
		rc = kind == VN_KIND_INDEX ? copy_index(c, &bytes, &desc, convert, depth, err)
					   : copy_manifest(c, &bytes, &desc, convert, err);
	if (rc == 0)
		rc = c->to->ops->put_manifest(c->to, &desc, vn_buf_text(&bytes), bytes.len, tagged, err);
	if (rc < 0)
		return rc;
	*ret_put = desc;
	desc = (struct vn_desc){ 0 };
	return 0;
}

int vn_image_copy(struct vn_source *from, const struct vn_platform *want, struct vn_cache *cache, struct vn_sink *to,
		  struct vn_copy_result *ret, struct vn_err *err)
{
	struct copying c = { .from = from, .cache = cache, .to = to };
	VN_AUTO(vn_image) image = { 0 };
	int rc = want ? vn_image_open(from, want, cache, &image, err) : 0;
	if (rc == 0)
		rc = copy_tree(&c, want && image.from_index ? &image.desc : NULL, true, 0, &c.result.root, err);
	if (rc == 0)
		rc = to->ops->commit(to, err);
	if (rc < 0) {
		vn_desc_release(&c.result.root);
		return rc;
	}
	*ret = c.result;
	return 0;
}
