#include "rebase/document.h"
#include "diff/config.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>

/* Models named in the label; more would make every pull heavier. */
#define MAX_LABELLED_MODELS 16

static vn_json *model_list(const struct vn_document_input *in)
{
	vn_json *list = vn_json_array();
	size_t told = 0;
	for (size_t i = 0; i < in->nmodels && told < MAX_LABELLED_MODELS; i++) {
		const struct vn_model_info *m = &in->models[i];
		if (!m->path)
			continue;
		vn_json *o = vn_json_object();
		vn_json_set(o, "path", vn_json_string(m->path));
		vn_json_set(o, "size", vn_json_int((int64_t)m->new_size));
		if (m->format && *m->format)
			vn_json_set(o, "format", vn_json_string(m->format));
		if (m->new_digest)
			vn_json_set(o, "digest", vn_json_string(m->new_digest));
		if (m->element && *m->element)
			vn_json_set(o, "element", vn_json_string(m->element));
		if (m->quantisation && *m->quantisation)
			vn_json_set(o, "quantisation", vn_json_string(m->quantisation));
		vn_json_add(list, o);
		told++;
	}
	return list;
}

static int set_text(vn_json *o, const char *key, const char *value, struct vn_err *err)
{
	if (!value || !*value)
		return 0;
	return vn_json_set(o, key, vn_json_string(value)) ? 0 : vn_nomem(err);
}

/* The same lineage for people (labels: docker inspect shows them) and machines (annotations). */
static int add_lineage(vn_json *o, const struct vn_document_input *in, struct vn_err *err)
{
	char count[24];
	struct vn_buf models = VN_BUF(VN_MAX_CONFIG);
	snprintf(count, sizeof(count), "%zu", in->base->layers);
	int r = set_text(o, VN_LABEL_BASE_NAME, in->base->name, err);
	if (r == 0)
		r = set_text(o, VN_LABEL_BASE_DIGEST, in->base->digest.text, err);
	if (r == 0)
		r = set_text(o, VN_LABEL_BASE_LAYERS, count, err);
	if (r == 0)
		r = set_text(o, VN_LABEL_FROM, in->new_image->desc.digest.text, err);
	if (r == 0)
		r = set_text(o, VN_LABEL_ACCEPTED, in->accepted, err);
	VN_AUTO_JSON *list = model_list(in);
	if (r == 0 && !list)
		r = vn_nomem(err);
	if (r == 0)
		r = vn_json_text(list, false, &models, err);
	if (r == 0 && models.len > 2)
		r = set_text(o, VN_LABEL_MODELS, vn_buf_text(&models), err);
	vn_buf_release(&models);
	if (r == 0 && in->stamp) {
		r = set_text(o, "org.opencontainers.image.revision", in->stamp->revision, err);
		if (r == 0)
			r = set_text(o, "org.opencontainers.image.version", in->stamp->describe, err);
		if (r == 0)
			r = set_text(o, "org.opencontainers.image.source", in->stamp->origin, err);
		if (r == 0 && in->stamp->dirty)
			r = set_text(o, "dev.veneer.source.dirty", "true", err);
	}
	return r;
}

/* Without what an earlier rebase wrote there. */
static int drop_lineage(vn_json *o, struct vn_err *err)
{
	struct vn_jv v = vn_jv_root(o, "labels");
	const char *key;
	for (;;) {
		void *iter = NULL;
		struct vn_jv value;
		char *found = NULL;
		while (!found && vn_jv_each(&v, &iter, &key, &value))
			if (!strncmp(key, VN_LABEL_PREFIX, strlen(VN_LABEL_PREFIX)) || !strcmp(key, VN_LABEL_BASE_NAME) ||
			    !strcmp(key, VN_LABEL_BASE_DIGEST)) {
				int r = vn_strdup(key, &found, err);
				if (r < 0)
					return r;
			}
		if (!found)
			return 0;
		vn_json_del(o, found);
		free(found);
	}
}

/* A copy of obj's member, or a new object where there is none. */
static vn_json *member_object(const vn_json *obj, const char *key)
{
	struct vn_jv root = vn_jv_root(obj, "document"), member = vn_jv_get(&root, key);
	return member.v && vn_jv_is_object(&member) ? vn_json_copy(member.v) : vn_json_object();
}

/* ---- configuration */
static vn_json *history_entry(const char *created, const char *created_by, const char *comment, bool empty)
{
	vn_json *o = vn_json_object();
	if (created && *created)
		vn_json_set(o, "created", vn_json_string(created));
	vn_json_set(o, "created_by", vn_json_string(created_by));
	if (comment)
		vn_json_set(o, "comment", vn_json_string(comment));
	if (empty)
		vn_json_set(o, "empty_layer", vn_json_bool(true));
	return o;
}

/* OLD's history of the kept layers; where it does not count up, one plain entry for each. */
static vn_json *base_history(const struct vn_document_input *in)
{
	const struct vn_config *config = &in->old_image->config;
	vn_json *list = vn_json_array();
	struct vn_jv root = vn_jv_root(config->json, "OLD's configuration"), history = vn_jv_get(&root, "history");
	size_t layers = 0;
	if (!vn_config_history_fits(config)) {
		for (size_t i = 0; i < in->base->layers; i++)
			vn_json_add(list, history_entry(NULL, "unknown", NULL, false));
		return list;
	}
	for (size_t i = 0; i < config->nhistory; i++) {
		bool empty = config->history[i].empty_layer;
		if (!empty && layers == in->base->layers)
			break;
		layers += !empty;
		struct vn_jv one = vn_jv_at(&history, i);
		vn_json_add(list, vn_json_copy(one.v));
	}
	return list;
}

static int add_veneer_history(vn_json *history, const struct vn_document_input *in, struct vn_err *err)
{
	struct vn_jv root = vn_jv_root(in->new_image->config.json, "NEW's configuration");
	const char *created = NULL;
	char step[256];
	int r = vn_jv_opt_text(&root, "created", &created, err);
	for (size_t i = 0; r == 0 && i < in->nblobs; i++) {
		snprintf(step, sizeof(step), "veneer rebase: %s of %s", vn_role_name(in->blobs[i].role, in->split),
			 in->new_image->desc.digest.text);
		if (!vn_json_add(history, history_entry(created, step, VN_HISTORY_COMMENT, false)))
			r = vn_nomem(err);
	}
	return r;
}

static vn_json *rootfs(const struct vn_document_input *in)
{
	vn_json *o = vn_json_object(), *ids = vn_json_array();
	for (size_t i = 0; i < in->base->layers; i++)
		vn_json_add(ids, vn_json_string(in->old_image->layers[i].diff_id.text));
	for (size_t i = 0; i < in->nblobs; i++)
		vn_json_add(ids, vn_json_string(in->blobs[i].diff_id.text));
	vn_json_set(o, "type", vn_json_string("layers"));
	vn_json_set(o, "diff_ids", ids);
	return o;
}

static int write_config(const struct vn_document_input *in, struct vn_document *doc, struct vn_err *err)
{
	VN_AUTO_JSON *config = vn_json_copy(in->new_image->config.json);
	VN_AUTO_JSON *inner = member_object(in->new_image->config.json, "config");
	VN_AUTO_JSON *labels = member_object(inner, "Labels");
	VN_AUTO_JSON *history = base_history(in);
	struct vn_digest digest;
	if (!config || !inner || !labels || !history)
		return vn_nomem(err);
	int r = drop_lineage(labels, err);
	if (r == 0)
		r = add_lineage(labels, in, err);
	if (r == 0)
		r = add_veneer_history(history, in, err);
	if (r == 0 && (!vn_json_set(inner, "Labels", vn_json_hold(labels)) || !vn_json_set(config, "config", vn_json_hold(inner)) ||
		       !vn_json_set(config, "rootfs", rootfs(in)) || !vn_json_set(config, "history", vn_json_hold(history))))
		r = vn_nomem(err);
	if (r == 0)
		r = vn_json_text(config, false, &doc->config, err);
	if (r == 0)
		r = vn_digest_of(doc->config.data, doc->config.len, &digest, err);
	if (r == 0)
		r = vn_desc_init(&doc->config_desc, vn_mediatype_config(in->family), &digest, (int64_t)doc->config.len, err);
	return r;
}

/* ---- manifest */
static int add_layer(vn_json *list, const struct vn_desc *desc, enum vn_family family, struct vn_err *err)
{
	const struct vn_mediatype *type = vn_mediatype(desc->media_type);
	const char *name = type->kind == VN_KIND_LAYER ? vn_mediatype_layer(family, type->compression) : NULL;
	vn_json *o = vn_desc_to_json(desc);
	if (name)
		vn_json_set(o, "mediaType", vn_json_string(name));
	return vn_json_add(list, o) ? 0 : vn_nomem(err);
}

static int write_manifest(const struct vn_document_input *in, struct vn_document *doc, struct vn_err *err)
{
	VN_AUTO_JSON *root = vn_json_object();
	VN_AUTO_JSON *layers = vn_json_array();
	VN_AUTO_JSON *annotations = member_object(in->new_image->manifest.json, "annotations");
	struct vn_digest digest;
	if (!root || !layers || !annotations)
		return vn_nomem(err);
	int r = 0;
	for (size_t i = 0; r == 0 && i < in->base->layers; i++)
		r = add_layer(layers, &in->old_image->layers[i].desc, in->family, err);
	for (size_t i = 0; r == 0 && i < in->nblobs; i++)
		r = add_layer(layers, &in->blobs[i].desc, in->family, err);
	if (r == 0)
		r = drop_lineage(annotations, err);
	if (r == 0)
		r = add_lineage(annotations, in, err);
	vn_json_set(root, "schemaVersion", vn_json_int(2));
	vn_json_set(root, "mediaType", vn_json_string(vn_mediatype_manifest(in->family)));
	vn_json_set(root, "config", vn_desc_to_json(&doc->config_desc));
	vn_json_set(root, "layers", vn_json_hold(layers));
	/* Docker's schema 2 has no annotations: there the labels carry the lineage alone */
	if (in->family == VN_FAMILY_OCI)
		vn_json_set(root, "annotations", vn_json_hold(annotations));
	if (r == 0)
		r = vn_json_text(root, false, &doc->manifest, err);
	if (r == 0)
		r = vn_digest_of(doc->manifest.data, doc->manifest.len, &digest, err);
	if (r == 0)
		r = vn_desc_init(&doc->desc, vn_mediatype_manifest(in->family), &digest, (int64_t)doc->manifest.len, err);
	return r;
}

int vn_document_write(const struct vn_document_input *in, struct vn_document *ret, struct vn_err *err)
{
	struct vn_document doc = { .family = in->family, .config = VN_BUF(VN_MAX_CONFIG), .manifest = VN_BUF(VN_MAX_MANIFEST) };
	int r = write_config(in, &doc, err);
	if (r == 0)
		r = write_manifest(in, &doc, err);
	if (r < 0) {
		vn_document_release(&doc);
		return r;
	}
	*ret = doc;
	return 0;
}

void vn_document_release(struct vn_document *doc)
{
	vn_buf_release(&doc->config);
	vn_buf_release(&doc->manifest);
	vn_desc_release(&doc->config_desc);
	vn_desc_release(&doc->desc);
}

int vn_document_family(const struct vn_image *old_image, enum vn_family only, enum vn_family *ret, struct vn_err *err)
{
	enum vn_family family = only != VN_FAMILY_NONE ? only : old_image->manifest.family;
	for (size_t i = 0; i < old_image->nlayers && family == VN_FAMILY_DOCKER; i++) {
		const struct vn_mediatype *type = vn_mediatype(old_image->layers[i].desc.media_type);
		if (type->kind != VN_KIND_LAYER || vn_mediatype_layer(family, type->compression))
			continue;
		if (only == VN_FAMILY_DOCKER)
			return vn_fail(err, VN_EFORMAT, "layer %zu of %s is %s, which Docker's manifests cannot name", i + 1,
				       old_image->source->ref.text, old_image->layers[i].desc.media_type);
		family = VN_FAMILY_OCI;
	}
	*ret = family == VN_FAMILY_NONE ? VN_FAMILY_OCI : family;
	return 0;
}

int vn_document_index(const struct vn_index *new_index, const struct vn_desc *const *replaced, const struct vn_desc *by, size_t n,
		      struct vn_buf *ret_bytes, struct vn_desc *ret_desc, struct vn_err *err)
{
	VN_AUTO_JSON *root = vn_json_copy(new_index->json);
	VN_AUTO_JSON *list = vn_json_array();
	struct vn_digest digest;
	enum vn_family family = n ? vn_mediatype(by[0].media_type)->family : new_index->family;
	if (!root || !list)
		return vn_nomem(err);
	for (size_t i = 0; i < n; i++) {
		vn_json *entry = vn_desc_to_json(replaced[i]);
		vn_json_set(entry, "mediaType", vn_json_string(by[i].media_type));
		vn_json_set(entry, "digest", vn_json_string(by[i].digest.text));
		vn_json_set(entry, "size", vn_json_int(by[i].size));
		if (!vn_json_add(list, entry))
			return vn_nomem(err);
	}
	vn_json_set(root, "mediaType", vn_json_string(vn_mediatype_index(family)));
	vn_json_set(root, "manifests", vn_json_hold(list));
	int r = vn_json_text(root, false, ret_bytes, err);
	if (r == 0)
		r = vn_digest_of(ret_bytes->data, ret_bytes->len, &digest, err);
	return r < 0 ? r : vn_desc_init(ret_desc, vn_mediatype_index(family), &digest, (int64_t)ret_bytes->len, err);
}
