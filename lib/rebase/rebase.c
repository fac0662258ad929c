#include "rebase/rebase.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void one_release(struct vn_rebase_one *o)
{
	vn_diff_free(o->diff);
	vn_diff_free(o->proof);
	vn_payload_release(&o->payload);
	vn_payload_contents_release(&o->contents);
	for (size_t i = 0; i < o->nblobs; i++)
		vn_veneer_blob_release(&o->blobs[i]);
	vn_document_release(&o->doc);
	vn_base_release(&o->base);
	vn_image_release(&o->old_image);
	vn_image_release(&o->new_image);
	free(o->accepted);
	free(o->blockers);
}

void vn_rebase_free(struct vn_rebase *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		one_release(&r->list[i]);
	for (size_t i = 0; r->rules && i < r->n; i++)
		free(r->rules[i]);
	free(r->list);
	free(r->images);
	free(r->layers);
	free(r->rules);
	free(r->source);
	vn_index_release(&r->new_index);
	vn_buf_release(&r->index_bytes);
	vn_desc_release(&r->root);
	vn_arena_release(&r->arena);
	free(r);
}

/* ---- open */
static int add_one(struct vn_rebase *r, struct vn_rebase_one **ret, struct vn_err *err)
{
	struct vn_rebase_one *larger = realloc(r->list, (r->n + 1) * sizeof(*larger));
	if (!larger)
		return vn_nomem(err);
	r->list = larger;
	memset(&r->list[r->n], 0, sizeof(*larger));
	r->list[r->n].contents = (struct vn_payload_contents){ VN_TMP, NULL, 0 };
	*ret = &r->list[r->n++];
	return 0;
}

/* The bytes that a reference names, and whether they are an index. */
static int root_of(struct vn_source *s, struct vn_buf *ret_bytes, struct vn_desc *ret_desc, bool *ret_index, struct vn_err *err)
{
	enum vn_kind kind = VN_KIND_UNKNOWN;
	const char *type;
	int r = vn_source_manifest(s, NULL, ret_bytes, ret_desc, err);
	if (r == 0)
		r = vn_manifest_kind(ret_bytes->data, ret_bytes->len, ret_desc->media_type, &kind, &type, err);
	*ret_index = kind == VN_KIND_INDEX;
	return r;
}

static int open_single(const struct vn_rebase_input *in, struct vn_rebase *r, bool old_index, bool new_index, struct vn_err *err)
{
	struct vn_rebase_one *o = NULL;
	struct vn_platform want;
	const struct vn_platform *asked = NULL;
	int rc = add_one(r, &o, err);
	if (rc == 0 && in->options->platform) {
		rc = vn_platform_parse(in->options->platform, &want, err);
		asked = &want;
	}
	/* an index follows the platform of the image beside it */
	if (rc == 0 && !old_index && new_index && !asked) {
		rc = vn_image_open(in->old_source, NULL, in->cache, &o->old_image, err);
		if (rc == 0)
			rc = vn_image_open(in->new_source, &o->old_image.config.platform, in->cache, &o->new_image, err);
		return rc;
	}
	if (rc == 0)
		rc = vn_image_open(in->new_source, asked, in->cache, &o->new_image, err);
	if (rc == 0)
		rc = vn_image_open(in->old_source, old_index && !asked ? &o->new_image.config.platform : asked, in->cache,
				   &o->old_image, err);
	return rc;
}

static int open_platforms(const struct vn_rebase_input *in, struct vn_rebase *r, const struct vn_index *old_index,
			  struct vn_err *err)
{
	char platform[VN_PLATFORM_TEXT];
	for (size_t i = 0; i < r->new_index.nmanifests; i++) {
		const struct vn_desc *entry = &r->new_index.manifests[i], *match;
		struct vn_rebase_one *o = NULL;
		if (!vn_index_is_image(entry))
			continue;
		struct vn_err none = { 0 };
		if (vn_index_select(old_index, &entry->platform, &match, &none) < 0 ||
		    !vn_platform_same(&match->platform, &entry->platform)) {
			vn_fail(err, VN_EREFUSED, "NEW has %s, which OLD has not: no device with OLD could use it",
				vn_platform_text(&entry->platform, platform));
			return vn_hint(err, "Rebase one platform with --platform.");
		}
		int rc = add_one(r, &o, err);
		if (rc == 0)
			rc = vn_image_open_child(in->new_source, entry, in->cache, &o->new_image, err);
		if (rc == 0)
			rc = vn_image_open_child(in->old_source, match, in->cache, &o->old_image, err);
		if (rc < 0)
			return vn_wrap(err, "%s", vn_platform_text(&entry->platform, platform));
	}
	if (!r->n)
		return vn_fail(err, VN_EFORMAT, "NEW is an index without images");
	r->is_index = true;
	return 0;
}

static int open_images(const struct vn_rebase_input *in, struct vn_rebase *r, struct vn_err *err)
{
	VN_AUTO(vn_buf) old_bytes = VN_BUF(VN_MAX_MANIFEST), new_bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) old_desc = { 0 }, new_desc = { 0 };
	bool old_is_index = false, new_is_index = false;
	int rc = root_of(in->old_source, &old_bytes, &old_desc, &old_is_index, err);
	if (rc == 0)
		rc = root_of(in->new_source, &new_bytes, &new_desc, &new_is_index, err);
	if (rc < 0)
		return rc;
	if (!old_is_index || !new_is_index || in->options->platform)
		return open_single(in, r, old_is_index, new_is_index, err);
	struct vn_index old_index = { 0 };
	rc = vn_index_parse(old_bytes.data, old_bytes.len, &old_index, err);
	if (rc == 0)
		rc = vn_index_parse(new_bytes.data, new_bytes.len, &r->new_index, err);
	if (rc == 0)
		rc = open_platforms(in, r, &old_index, err);
	vn_index_release(&old_index);
	return rc;
}

static int refuse_identical(const struct vn_rebase *r, struct vn_err *err)
{
	for (size_t i = 0; i < r->n; i++)
		if (!vn_digest_equal(&r->list[i].old_image.desc.digest, &r->list[i].new_image.desc.digest))
			return 0;
	vn_fail(err, VN_EREFUSED, "OLD and NEW are the same image (%s): there is nothing to rebase", r->list[0].new_image.desc.digest.text);
	return vn_hint(err, "A device that has OLD has NEW already.");
}

/* ---- compare and plan */
static bool is_accepted(const struct vn_rebase_options *o, enum vn_class c)
{
	for (size_t i = 0; i < o->naccept; i++)
		if (o->accept[i] == c)
			return true;
	return false;
}

static int accept_text(const struct vn_rebase_options *o, const struct vn_diff *diff, char **ret, struct vn_err *err)
{
	struct vn_buf out = VN_BUF(1024);
	bool config = false;
	int rc = 0;
	for (size_t i = 0; i < diff->nconfig; i++)
		config = config || diff->config[i].matters;
	for (int c = 0; rc == 0 && c < VN_CLASSES; c++)
		if (vn_class_is_real((enum vn_class)c) && is_accepted(o, (enum vn_class)c) &&
		    (diff->files.class_files[c] || (c == VN_CLASS_CONFIG && config)))
			rc = vn_buf_addf(&out, err, "%s%s", out.len ? "," : "", vn_class_name((enum vn_class)c));
	if (rc == 0)
		rc = vn_buf_steal(&out, ret, err);
	vn_buf_release(&out);
	return rc;
}

static bool may_stay(const struct vn_rebase_options *o, enum vn_class c)
{
	return !vn_class_is_real(c) || c == VN_CLASS_MODEL || c == VN_CLASS_SCORE || is_accepted(o, c);
}

/* Where Azure ML v2 says that the model is: its version stands in the path, so that it moves with every model. */
static bool is_model_place(const struct vn_config_change *c)
{
	return !strcmp(c->field, "Env") && c->key && !strcmp(c->key, "AZUREML_MODEL_DIR");
}

/* "python3-yaml 6.0-3, libfoo 1 → 2, …": the first few, as much as fits. */
static void name_packages(const struct vn_diff *d, char *out, size_t size)
{
	size_t at = 0;
	out[0] = 0;
	for (size_t i = 0; i < d->npackages && at < size; i++) {
		const struct vn_package_change *p = &d->packages[i];
		const char *old_version = p->old_version ? p->old_version : "", *new_version = p->new_version ? p->new_version : "removed";
		const char *arrow = p->old_version && p->new_version ? " → " : "";
		if (i == 4 || at + strlen(p->name) + strlen(old_version) + strlen(new_version) + 16 > size) {
			snprintf(out + at, size - at, ", …");
			return;
		}
		at += (size_t)snprintf(out + at, size - at, "%s%s %s%s%s", i ? ", " : "", p->name, *arrow ? old_version : "", arrow,
				       new_version);
	}
}

/* Paths mode: whatever really differs and is neither model nor score script stands in the way. */
static int find_blockers(const struct vn_rebase_options *options, struct vn_rebase_one *o, struct vn_err *err)
{
	const struct vn_diff *d = o->diff;
	bool config = false;
	o->blockers = calloc(d->files.n + 1, sizeof(*o->blockers));
	if (!o->blockers)
		return vn_nomem(err);
	for (size_t i = 0; i < d->files.n; i++)
		if (!may_stay(options, d->files.list[i].class_))
			o->blockers[o->nblockers++] = d->files.list[i];
	for (size_t i = 0; i < d->nconfig && !is_accepted(options, VN_CLASS_CONFIG); i++)
		config = config || (d->config[i].matters && !is_model_place(&d->config[i]));
	if (!o->nblockers && !config)
		return 0;
	if (d->npackages) {
		char names[320];
		name_packages(d, names, sizeof(names));
		vn_fail(err, VN_EREFUSED, "more than the model changed: %zu package%s (%s) and %zu file%s", d->npackages,
			d->npackages == 1 ? "" : "s", names, o->nblockers, o->nblockers == 1 ? "" : "s");
	} else if (o->nblockers)
		vn_fail(err, VN_EREFUSED, "more than the model changed: %zu file%s, such as %s (%s)", o->nblockers,
			o->nblockers == 1 ? "" : "s", o->blockers[0].path, vn_class_name(o->blockers[0].class_));
	else
		vn_fail(err, VN_EREFUSED, "more than the model changed: the image's configuration");
	return vn_hint(err, "--mode content carries the changes; --accept CLASS leaves files of a class as they are in OLD.");
}

/* Layer bytes that a device with `have` fetches for a stack of layers: those behind the common beginning. */
static size_t common_layers(const struct vn_image *have, const struct vn_digest *ids, size_t n)
{
	size_t i = 0;
	while (i < n && i < have->nlayers && vn_digest_equal(&have->layers[i].diff_id, &ids[i]))
		i++;
	return i;
}

static uint64_t pull_of_result(const struct vn_rebase_one *o)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < o->nblobs; i++) {
		size_t at = o->base.layers + i;
		bool held = at < o->old_image.nlayers &&
			    vn_digest_equal(&o->old_image.layers[at].diff_id, &o->blobs[i].diff_id);
		if (bytes || !held)
			bytes += (uint64_t)o->blobs[i].desc.size;
	}
	return bytes;
}

static uint64_t pull_of_new(const struct vn_rebase_one *o)
{
	uint64_t bytes = 0;
	size_t i = common_layers(&o->old_image, o->new_image.config.diff_ids, o->new_image.config.ndiff_ids);
	for (; i < o->new_image.nlayers; i++)
		bytes += (uint64_t)o->new_image.layers[i].desc.size;
	return bytes;
}

static int refuse_larger(const struct vn_rebase_input *in, const struct vn_rebase_one *o, struct vn_err *err)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];
	if (o->pull_after < o->pull_before || in->options->larger)
		return 0;
	if (!o->pull_before)
		vn_fail(err, VN_EREFUSED, "a device with OLD pulls no layer for NEW: there is nothing to save");
	else
		vn_fail(err, VN_EREFUSED, "the veneer (%s) would not be smaller than what a device with OLD pulls for NEW (%s)",
			vn_size_text(o->pull_after, a), vn_size_text(o->pull_before, b));
	return vn_hint(err, "Roll out NEW itself, or go on with --larger.");
}

static int compare(const struct vn_rebase_input *in, struct vn_rebase_one *o, struct vn_err *err)
{
	struct vn_diff_images_options diff_options = { .policy = in->policy, .index = in->index };
	int rc = vn_base_of(&o->old_image, &o->base, err);
	if (rc < 0)
		return rc;
	o->view = vn_base_view(&o->old_image, &o->base);
	o->pull_before = pull_of_new(o);
	rc = vn_diff_images(&o->view, &o->new_image, &diff_options, &o->diff, err);
	if (rc == 0)
		rc = accept_text(in->options, o->diff, &o->accepted, err);
	if (rc == 0 && in->options->mode == VN_MODE_PATHS)
		rc = find_blockers(in->options, o, err);
	return rc;
}

static int gather(const struct vn_rebase_input *in, const struct vn_payload_options *options, struct vn_rebase_one *o,
		  struct vn_err *err)
{
	bool need_base = false;
	int rc = vn_payload_gather(o->diff, options, &o->payload, &need_base, err);
	if (rc < 0 || !need_base)
		return rc;
	rc = vn_trees_open(&o->diff->trees, true, &in->index, err);
	return rc < 0 ? rc : vn_payload_gather(o->diff, options, &o->payload, &need_base, err);
}

static int plan(const struct vn_rebase_input *in, enum vn_family only, struct vn_rebase_one *o, struct vn_err *err)
{
	struct vn_payload_options payload_options = { in->options->mode == VN_MODE_PATHS, in->options->split };
	enum vn_family family = VN_FAMILY_OCI;
	int rc = vn_document_family(&o->view, only, &family, err);
	if (rc == 0)
		rc = gather(in, &payload_options, o, err);
	if (rc == 0)
		rc = vn_payload_read(o->diff, &o->payload, &in->index, &o->contents, err);
	if (rc == 0)
		rc = vn_veneer_write(&o->payload, &o->contents, family, o->blobs, &o->nblobs, err);
	if (rc < 0)
		return rc;
	o->pull_after = pull_of_result(o);
	struct vn_document_input doc = { &o->view, &o->new_image, &o->base, o->blobs, o->nblobs, in->options->split, family,
					 o->diff->files.models, o->diff->files.nmodels,
					 in->options->mode == VN_MODE_PATHS ? o->accepted : "", in->stamp };
	rc = vn_document_write(&doc, &o->doc, err);
	return rc < 0 ? rc : refuse_larger(in, o, err);
}

static int plan_root(struct vn_rebase *r, struct vn_err *err)
{
	if (!r->is_index)
		return vn_desc_copy(&r->list[0].doc.desc, &r->root, err);
	VN_AUTO_FREE const struct vn_desc **replaced = calloc(r->n, sizeof(*replaced));
	VN_AUTO_FREE struct vn_desc *by = calloc(r->n, sizeof(*by));
	if (!replaced || !by)
		return vn_nomem(err);
	for (size_t i = 0, at = 0; i < r->new_index.nmanifests && at < r->n; i++)
		if (vn_index_is_image(&r->new_index.manifests[i])) {
			replaced[at] = &r->new_index.manifests[i];
			by[at] = r->list[at].doc.desc;       /* borrowed */
			at++;
		}
	return vn_document_index(&r->new_index, replaced, by, r->n, &r->index_bytes, &r->root, err);
}

/* ---- write */
static int open_veneer(const struct vn_body *body, struct vn_in **ret, struct vn_err *err)
{
	return vn_veneer_open(body->user, ret, err);
}

static int put_memory(struct vn_sink *sink, const struct vn_desc *desc, const struct vn_buf *bytes, struct vn_err *err)
{
	struct vn_body body = { NULL, NULL };
	bool there = false;
	int rc = sink->ops->has_blob(sink, desc, &there, err);
	if (rc < 0 || there)
		return rc;
	rc = vn_body_memory(bytes->data, bytes->len, &body);
	if (rc < 0)
		return vn_nomem(err);
	rc = sink->ops->put_blob(sink, desc, &body, err);
	vn_body_release(&body);
	return rc;
}

static int put_veneer(struct vn_sink *sink, struct vn_veneer_blob *blob, uint64_t *uploaded, struct vn_err *err)
{
	struct vn_body body = { open_veneer, blob };
	bool there = false;
	int rc = sink->ops->has_blob(sink, &blob->desc, &there, err);
	if (rc < 0 || there)
		return rc;
	*uploaded += (uint64_t)blob->desc.size;
	return sink->ops->put_blob(sink, &blob->desc, &body, err);
}

static int announce(const struct vn_document *doc, struct vn_sink *sink, struct vn_err *err)
{
	struct vn_manifest manifest = { 0 };
	struct vn_config config = { 0 };
	int rc = vn_manifest_parse(doc->manifest.data, doc->manifest.len, &manifest, err);
	if (rc == 0)
		rc = vn_config_parse(doc->config.data, doc->config.len, &config, err);
	if (rc == 0)
		rc = vn_sink_expect(sink, &manifest, &config, err);
	vn_manifest_release(&manifest);
	vn_config_release(&config);
	return rc;
}

static int write_one(const struct vn_rebase_input *in, struct vn_rebase *r, struct vn_rebase_one *o, struct vn_sink *sink,
		     struct vn_err *err)
{
	char name[512];
	uint64_t moved;
	int rc = announce(&o->doc, sink, err);
	for (size_t i = 0; rc == 0 && i < o->base.layers; i++) {
		if (o->old_image.layers[i].foreign)
			continue;
		moved = 0;
		rc = vn_copy_blob(in->old_source, &o->old_image.layers[i].desc, in->cache, sink,
				  vn_image_layer_name(&o->old_image, i, name), &moved, err);
		r->result.uploaded_bytes += moved;
	}
	for (size_t i = 0; rc == 0 && i < o->nblobs; i++)
		rc = put_veneer(sink, &o->blobs[i], &r->result.uploaded_bytes, err);
	if (rc == 0)
		rc = put_memory(sink, &o->doc.config_desc, &o->doc.config, err);
	return rc;
}

static int write_manifests(struct vn_rebase *r, struct vn_sink *sink, bool tagged, struct vn_err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->n; i++) {
		const struct vn_document *doc = &r->list[i].doc;
		if (r->is_index && tagged)
			break;
		rc = sink->ops->put_manifest(sink, &doc->desc, doc->manifest.data, doc->manifest.len, tagged, err);
	}
	if (rc == 0 && r->is_index && tagged)
		rc = sink->ops->put_manifest(sink, &r->root, r->index_bytes.data, r->index_bytes.len, true, err);
	return rc;
}

/* ---- prove */
static int judge(const struct vn_rebase_input *in, const struct vn_diff *proof, struct vn_err *err)
{
	for (size_t i = 0; i < proof->files.n; i++) {
		const struct vn_file_change *f = &proof->files.list[i];
		bool carried = f->class_ == VN_CLASS_MODEL || f->class_ == VN_CLASS_SCORE;
		bool fine = !vn_class_is_real(f->class_) ||
			    (in->options->mode == VN_MODE_PATHS && !carried && is_accepted(in->options, f->class_));
		if (!fine)
			return vn_fail(err, VN_EDIGEST, "the proof failed: %s in the result differs from NEW (%s, rule %s)", f->path,
				       vn_change_name(f->change), f->rule);
	}
	for (size_t i = 0; i < proof->nconfig; i++)
		if (proof->config[i].matters)
			return vn_fail(err, VN_EDIGEST, "the proof failed: %s of the configuration differs from NEW's",
				       proof->config[i].field);
	return 0;
}

static int prove_one(const struct vn_rebase_input *in, struct vn_source *dest, struct vn_rebase_one *o, struct vn_err *err)
{
	struct vn_image result;
	struct vn_diff_images_options diff_options = { .policy = in->policy, .index = in->index };
	memset(&result, 0, sizeof(result));
	/* an engine gives an image back under a manifest of its own; its sink has compared configuration and layers */
	int rc = dest->ref.transport == VN_REF_DOCKER_DAEMON ? vn_image_open(dest, NULL, in->cache, &result, err) :
							       vn_image_open_child(dest, &o->doc.desc, in->cache, &result, err);
	if (rc == 0)
		rc = vn_diff_images(&result, &o->new_image, &diff_options, &o->proof, err);
	if (rc == 0)
		rc = judge(in, o->proof, err);
	if (o->proof)
		vn_trees_release(&o->proof->trees);
	vn_image_release(&result);
	return rc < 0 ? vn_wrap(err, "reading the result back") : 0;
}

static int prove(const struct vn_rebase_input *in, struct vn_rebase *r, struct vn_sink *sink, struct vn_err *err)
{
	VN_AUTO_SOURCE *dest = NULL;
	int rc = sink->ops->reopen(sink, &dest, err);
	for (size_t i = 0; rc == 0 && i < r->n; i++)
		rc = prove_one(in, dest, &r->list[i], err);
	return rc;
}

/* ---- DEST */
static int check_tag(const struct vn_rebase_input *in, struct vn_rebase *r, struct vn_sink *sink, struct vn_err *err)
{
	VN_AUTO(vn_desc) now = { 0 };
	int rc = sink->ops->current(sink, &now, err);
	if (rc == -VN_ENOTFOUND)
		return 0;
	if (rc < 0)
		return rc;
	/* an engine names images by their configuration */
	bool by_config = vn_mediatype(now.media_type)->kind == VN_KIND_CONFIG;
	r->result.up_to_date = vn_digest_equal(&now.digest, by_config ? &r->list[0].doc.config_desc.digest : &r->root.digest);
	if (r->result.up_to_date || in->options->move_tag)
		return 0;
	vn_fail(err, VN_EREFUSED, "%s already names %s; not moved", sink->ref.text, now.digest.text);
	return vn_hint(err, "Use another tag, or --move-tag.");
}

/* Where a manifest can be read back by its digest before any tag names it. */
static bool proves_before_naming(const struct vn_sink *sink)
{
	return sink->ref.transport == VN_REF_REGISTRY || sink->ref.transport == VN_REF_OCI;
}

static int write_and_prove(const struct vn_rebase_input *in, struct vn_rebase *r, struct vn_sink *sink, struct vn_err *err)
{
	bool early = proves_before_naming(sink);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->n; i++)
		rc = write_one(in, r, &r->list[i], sink, err);
	if (rc == 0 && (early || r->is_index))
		rc = write_manifests(r, sink, false, err);
	if (rc == 0 && early)
		rc = prove(in, r, sink, err);
	if (rc == 0)
		rc = write_manifests(r, sink, true, err);
	if (rc == 0)
		rc = sink->ops->commit(sink, err);
	if (rc == 0)
		r->result.written = true;
	if (rc == 0 && !early)
		rc = prove(in, r, sink, err);
	return rc;
}

static int dest_ref(const struct vn_rebase_input *in, const struct vn_rebase *r, struct vn_ref *ret, struct vn_err *err)
{
	const struct vn_rebase_one *o = &r->list[0];
	struct vn_tag_input tag = { in->stamp, in->branch, o->diff->files.models, o->diff->files.nmodels,
				    in->new_source->ref.tag, in->old_source->ref.tag, in->options->build };
	VN_AUTO_FREE char *expanded = NULL;
	const char *typed = in->dest->tag;
	int rc = 0;
	if (in->options->tag)
		rc = vn_tag_expand(in->options->tag, &tag, &expanded, err);
	return rc < 0 ? rc : vn_ref_with(in->dest, expanded ? expanded : typed, NULL, ret, err);
}

static int run(const struct vn_rebase_input *in, struct vn_rebase *r, struct vn_err *err)
{
	VN_AUTO(vn_ref) dest = { 0 };
	VN_AUTO_SINK *sink = NULL;
	int rc = open_images(in, r, err);
	if (rc == 0)
		rc = refuse_identical(r, err);
	for (size_t i = 0; rc == 0 && i < r->n; i++)
		rc = compare(in, &r->list[i], err);
	if (rc == 0)
		rc = dest_ref(in, r, &dest, err);
	if (rc == 0)
		rc = in->open_sink(in->user, &dest, &sink, err);
	for (size_t i = 0; rc == 0 && i < r->n; i++)
		rc = plan(in, sink->ops->only, &r->list[i], err);
	if (rc == 0)
		rc = plan_root(r, err);
	if (rc == 0)
		rc = check_tag(in, r, sink, err);
	if (rc == 0) {
		r->result.tag = vn_arena_text(&r->arena, dest.tag, err);
		r->result.reference = dest.transport == VN_REF_REGISTRY ?
					      vn_arena_printf(&r->arena, err, "%s@%s", sink->ref.text, r->root.digest.text) :
					      vn_arena_text(&r->arena, sink->ref.text, err);
		rc = r->result.reference ? 0 : -(int)err->code;
	}
	if (rc < 0 || in->options->dry_run)
		return rc;
	return r->result.up_to_date ? prove(in, r, sink, err) : write_and_prove(in, r, sink, err);
}

/* What stands in the way, or a plan: also when the images of other platforms were not looked at any more. */
static bool has_more_to_say(const struct vn_rebase *r, bool paths)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct vn_rebase_one *o = &r->list[i];
		if (o->nblockers || (paths && o->diff && o->diff->nconfig) || !vn_digest_none(&o->doc.desc.digest))
			return true;
	}
	return false;
}

int vn_rebase_images(const struct vn_rebase_input *in, struct vn_rebase **ret, struct vn_err *err)
{
	struct vn_rebase *r = calloc(1, sizeof(*r));
	if (!r)
		return vn_nomem(err);
	r->index_bytes.max = VN_MAX_MANIFEST;
	int rc = run(in, r, err);
	if (rc < 0 && rc != -VN_EREFUSED) {
		vn_rebase_free(r);
		return rc;
	}
	struct vn_err why = *err;
	bool show = rc == 0 || has_more_to_say(r, in->options->mode == VN_MODE_PATHS);
	int filled = show ? vn_rebase_fill(r, in, err) : 0;
	if (filled < 0 || !show) {
		vn_rebase_free(r);
		if (filled < 0)
			return filled;
		*err = why;
		return rc;
	}
	*err = why;
	*ret = r;
	return rc;
}
