#include "rebase/rebase.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fill_layers(const struct vn_rebase_one *o, struct vn_veneer_layer *list, bool split)
{
	for (size_t i = 0; i < o->nblobs; i++) {
		const struct vn_veneer_blob *b = &o->blobs[i];
		list[i] = (struct vn_veneer_layer){ vn_role_name(b->role, split), b->desc.digest.text, b->diff_id.text,
						    (uint64_t)b->desc.size, b->plain_size, b->files, b->whiteouts };
	}
}

static int fill_rules(struct vn_rebase_one *o, struct vn_proof_rule **ret, size_t *ret_n, struct vn_err *err)
{
	const struct vn_diff *d = o->proof ? o->proof : o->diff;
	struct vn_proof_rule *list = calloc(d->nrules + 1, sizeof(*list));
	size_t n = 0;
	if (!list)
		return vn_nomem(err);
	for (size_t i = 0; i < d->nrules; i++) {
		enum vn_class c;
		/* without a proof yet: what the result will leave as it is in OLD */
		if (!o->proof && vn_class_parse(d->rules[i].class_name, &c) && vn_class_is_real(c))
			continue;
		list[n++] = (struct vn_proof_rule){ d->rules[i].rule, d->rules[i].class_name, d->rules[i].files };
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

static int fill_image(struct vn_rebase *r, size_t i, const struct vn_rebase_input *in, struct vn_err *err)
{
	struct vn_rebase_one *o = &r->list[i];
	struct vn_rebase_image *image = &r->images[i];
	char platform[VN_PLATFORM_TEXT];
	image->platform = vn_arena_text(&r->arena, vn_platform_text(&o->new_image.config.platform, platform), err);
	if (!image->platform)
		return -(int)err->code;
	image->old_digest = o->old_image.desc.digest.text;
	image->new_digest = o->new_image.desc.digest.text;
	image->base_digest = o->base.digest.text;
	image->base_name = o->base.name ? o->base.name : "";
	image->base_layers = o->base.layers;
	image->digest = o->doc.desc.digest.text;
	image->layers = r->layers[i];
	image->nlayers = o->nblobs;
	image->pull_before = o->pull_before;
	image->pull_after = o->pull_after;
	image->proved = o->proof != NULL;
	image->accepted = in->options->mode == VN_MODE_PATHS && o->accepted ? o->accepted : "";
	image->blockers = o->blockers;
	image->nblockers = o->nblockers;
	memcpy(image->payload_files, o->payload.class_files, sizeof(image->payload_files));
	if (o->diff) {
		image->packages = o->diff->packages;
		image->npackages = o->diff->npackages;
		image->config = o->diff->config;
		image->nconfig = o->diff->nconfig;
		image->models = o->diff->files.models;
		image->nmodels = o->diff->files.nmodels;
		image->proof_equal = o->proof ? o->proof->files.equal : 0;
	}
	fill_layers(o, r->layers[i], in->options->split);
	int rc = 0;
	if (o->diff)
		rc = fill_rules(o, &r->rules[i], &image->nproof_rules, err);
	image->proof_rules = r->rules[i];
	return rc;
}

int vn_rebase_sentence(struct vn_rebase *r, struct vn_err *err)
{
	uint64_t before = 0, after = 0;
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT], times[VN_TIMES_TEXT];
	for (size_t i = 0; i < r->n; i++) {
		before += r->list[i].pull_before;
		after += r->list[i].pull_after;
	}
	/* a device has one platform */
	size_t n = r->n ? r->n : 1;
	before /= n;
	after /= n;
	r->result.sentence = vn_arena_printf(&r->arena, err, "A device pulls %s of layers instead of %s%s.", vn_size_text(after, a),
					     vn_size_text(before, b), vn_times_text(before, after, times));
	return r->result.sentence ? 0 : -(int)err->code;
}

int vn_rebase_fill(struct vn_rebase *r, const struct vn_rebase_input *in, struct vn_err *err)
{
	r->images = calloc(r->n, sizeof(*r->images));
	r->layers = calloc(r->n, sizeof(*r->layers));
	r->rules = calloc(r->n, sizeof(*r->rules));
	if (!r->images || !r->layers || !r->rules)
		return vn_nomem(err);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->n; i++)
		rc = fill_image(r, i, in, err);
	r->result.images = r->images;
	r->result.nimages = r->n;
	r->result.digest = r->root.digest.text;
	if (!r->result.reference)
		r->result.reference = vn_arena_text(&r->arena, in->dest->text, err);
	if (!r->result.reference)
		return -(int)err->code;
	return rc < 0 ? rc : vn_rebase_sentence(r, err);
}

const struct vn_rebase_result *vn_rebase_get(const struct vn_rebase *rebase)
{
	return &rebase->result;
}

/* ---- JSON, schema veneer.rebase/1 */
static vn_json *layers_json(const struct vn_rebase_image *image)
{
	vn_json *list = vn_json_array();
	for (size_t i = 0; i < image->nlayers; i++) {
		const struct vn_veneer_layer *l = &image->layers[i];
		vn_json *o = vn_json_object();
		vn_json_set(o, "role", vn_json_string(l->role));
		vn_json_set(o, "digest", vn_json_string(l->digest));
		vn_json_set(o, "diff_id", vn_json_string(l->diff_id));
		vn_json_set(o, "size", vn_json_int((int64_t)l->size));
		vn_json_set(o, "plain_size", vn_json_int((int64_t)l->plain_size));
		vn_json_set(o, "files", vn_json_int((int64_t)l->files));
		vn_json_set(o, "whiteouts", vn_json_int((int64_t)l->whiteouts));
		vn_json_add(list, o);
	}
	return list;
}

static vn_json *pull_json(const struct vn_rebase_image *image)
{
	vn_json *o = vn_json_object();
	vn_json_set(o, "before", vn_json_int((int64_t)image->pull_before));
	vn_json_set(o, "after", vn_json_int((int64_t)image->pull_after));
	return o;
}

static vn_json *proof_json(const struct vn_rebase_image *image)
{
	vn_json *o = vn_json_object(), *rules = vn_json_array();
	uint64_t different = 0;
	for (size_t i = 0; i < image->nproof_rules; i++) {
		enum vn_class c;
		vn_json *one = vn_json_object();
		vn_json_set(one, "rule", vn_json_string(image->proof_rules[i].rule));
		vn_json_set(one, "class", vn_json_string(image->proof_rules[i].class_name));
		vn_json_set(one, "files", vn_json_int((int64_t)image->proof_rules[i].files));
		vn_json_add(rules, one);
		if (vn_class_parse(image->proof_rules[i].class_name, &c) && vn_class_is_real(c))
			different += image->proof_rules[i].files;
	}
	vn_json_set(o, "proved", vn_json_bool(image->proved));
	vn_json_set(o, "equal", vn_json_int((int64_t)image->proof_equal));
	vn_json_set(o, "by_rule", rules);
	vn_json_set(o, "different", vn_json_int((int64_t)different));
	return o;
}

static vn_json *image_json(const struct vn_rebase_image *image)
{
	vn_json *o = vn_json_object();
	vn_json_set(o, "platform", vn_json_string(image->platform));
	vn_json_set(o, "old_digest", vn_json_string(image->old_digest));
	vn_json_set(o, "new_digest", vn_json_string(image->new_digest));
	vn_json_set(o, "base_digest", vn_json_string(image->base_digest));
	vn_json_set(o, "base_name", vn_json_string(image->base_name));
	vn_json_set(o, "base_layers", vn_json_int((int64_t)image->base_layers));
	vn_json_set(o, "digest", vn_json_string(image->digest));
	vn_json_set(o, "layers_added", layers_json(image));
	vn_json_set(o, "pull", pull_json(image));
	vn_json_set(o, "proof", proof_json(image));
	vn_json_set(o, "blockers", vn_json_files(image->blockers, image->nblockers));
	vn_json_set(o, "packages", vn_json_packages(image->packages, image->npackages));
	vn_json_set(o, "config", vn_json_config(image->config, image->nconfig));
	vn_json_set(o, "models", vn_json_models(image->models, image->nmodels));
	vn_json_set(o, "accepted", vn_json_string(image->accepted));
	return o;
}

int vn_rebase_json(const struct vn_rebase *rebase, char **ret_text, struct vn_err *err)
{
	const struct vn_rebase_result *result = &rebase->result;
	VN_AUTO_JSON *root = vn_json_object();
	vn_json *images = vn_json_array();
	struct vn_buf out = VN_BUF(SIZE_MAX / 2);
	vn_json_set(root, "schema", vn_json_string("veneer.rebase/1"));
	vn_json_set(root, "reference", vn_json_string(result->reference));
	vn_json_set(root, "tag", vn_json_string(result->tag));
	vn_json_set(root, "digest", vn_json_string(result->digest));
	vn_json_set(root, "written", vn_json_bool(result->written));
	vn_json_set(root, "up_to_date", vn_json_bool(result->up_to_date));
	vn_json_set(root, "uploaded_bytes", vn_json_int((int64_t)result->uploaded_bytes));
	vn_json_set(root, "sentence", vn_json_string(result->sentence));
	for (size_t i = 0; i < result->nimages; i++)
		vn_json_add(images, image_json(&result->images[i]));
	vn_json_set(root, "images", images);
	if (result->nimages == 1) {
		vn_json_set(root, "layers_added", layers_json(&result->images[0]));
		vn_json_set(root, "pull", pull_json(&result->images[0]));
		vn_json_set(root, "proof", proof_json(&result->images[0]));
	}
	vn_json_set(root, "source", vn_json_source(result->source, result->nsource));
	int rc = vn_json_text(root, true, &out, err);
	if (rc == 0)
		rc = vn_buf_steal(&out, ret_text, err);
	vn_buf_release(&out);
	return rc;
}
