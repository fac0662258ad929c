#include "diff/diff.h"
#include "diff/config.h"
#include "diff/packages.h"
#include "diff/sentence.h"
#include "util/num.h"
#include <stdlib.h>
#include <string.h>

bool vn_class_is_real(enum vn_class c)
{
	return c != VN_CLASS_METADATA && c != VN_CLASS_NOISE;
}

int vn_diff_platforms(const struct vn_image *old_image, const struct vn_image *new_image, struct vn_err *err)
{
	const struct vn_platform *a = &old_image->config.platform, *b = &new_image->config.platform;
	char x[VN_PLATFORM_TEXT], y[VN_PLATFORM_TEXT];
	if (!strcmp(a->os, b->os) && !strcmp(a->architecture, b->architecture) && !strcmp(a->variant, b->variant))
		return 0;
	vn_fail(err, VN_EREFUSED, "OLD is for %s and NEW is for %s: no device runs both", vn_platform_text(a, x),
		vn_platform_text(b, y));
	return vn_hint(err, "Name two images of one platform, or --platform for an index.");
}

static int text(struct vn_diff *d, const char *value, const char **ret, struct vn_err *err)
{
	*ret = vn_arena_text(&d->arena, value, err);
	return *ret ? 0 : -(int)err->code;
}

static int fill_image(struct vn_diff *d, const struct vn_image *image, struct vn_image_info *ret, struct vn_err *err)
{
	char platform[VN_PLATFORM_TEXT];
	struct vn_jv root = vn_jv_root(image->config.json, "the configuration");
	const char *created = NULL;
	int r = vn_jv_opt_text(&root, "created", &created, err);
	if (r == 0)
		r = text(d, image->source->ref.text, &ret->reference, err);
	if (r == 0)
		r = text(d, image->desc.digest.text, &ret->digest, err);
	if (r == 0)
		r = text(d, image->desc.media_type, &ret->media_type, err);
	if (r == 0)
		r = text(d, vn_platform_text(&image->config.platform, platform), &ret->platform, err);
	if (r == 0)
		r = text(d, created ? created : "", &ret->created, err);
	ret->layers = image->nlayers;
	for (size_t i = 0; i < image->nlayers; i++)
		ret->size += (uint64_t)image->layers[i].desc.size;
	return r;
}

/* The layer of `image` with that diff_id; its nlayers when there is none. */
static size_t find_layer(const struct vn_image *image, const struct vn_digest *diff_id)
{
	size_t i = 0;
	while (i < image->nlayers && !vn_digest_equal(&image->layers[i].diff_id, diff_id))
		i++;
	return i;
}

static const char *verdict_of(const struct vn_layer_info *l)
{
	int real = 0, which = 0;
	for (int c = 0; c < VN_CLASSES; c++)
		if (l->differing[c] && vn_class_is_real((enum vn_class)c))
			real++, which = c;
	if (real)
		return real > 1 ? "mixed" : vn_class_name((enum vn_class)which);
	return l->differing[VN_CLASS_NOISE] ? "noise" : "metadata";
}

/* "7 of 24,113 files differ: logs 4, apt-cache 2, ldconfig-cache 1" */
static int explain_layer(struct vn_diff *d, size_t number, struct vn_layer_info *l, struct vn_err *err)
{
	struct vn_buf out = VN_BUF(4096);
	char a[VN_COUNT_TEXT], b[VN_COUNT_TEXT];
	uint64_t told = 0;
	int r = 0, listed = 0;
	for (int c = 0; c < VN_CLASSES; c++)
		told += c == VN_CLASS_METADATA ? 0 : l->differing[c];
	if (!told) {
		r = text(d, l->differing[VN_CLASS_METADATA] ? "same content, other timestamps" : "same content", &l->why, err);
		return r;
	}
	/* directories that the layer only implies are no entries of it */
	if (told > l->files)
		r = vn_buf_addf(&out, err, "%s files:", vn_count_text(told, a));
	else
		r = vn_buf_addf(&out, err, "%s of %s files:", vn_count_text(told, a), vn_count_text(l->files, b));
	for (size_t i = 0; r == 0 && i < d->files.nuses; i++) {
		const struct vn_rule_use *u = &d->files.uses[i];
		if (u->layer != number || u->rule->class_ == VN_CLASS_METADATA || !u->files)
			continue;
		if (out.len > 3000)
			break;
		/* several patterns share one name: count them together, at the first */
		uint64_t files = 0;
		bool first = true;
		for (size_t j = 0; j < d->files.nuses; j++) {
			const struct vn_rule_use *v = &d->files.uses[j];
			if (v->layer != number || strcmp(v->rule->name, u->rule->name) || v->rule->class_ != u->rule->class_)
				continue;
			first = first && j >= i;
			files += v->files;
		}
		if (first)
			r = vn_buf_addf(&out, err, "%s %s %s", listed++ ? "," : "", u->rule->name, vn_count_text(files, a));
	}
	if (r == 0)
		r = text(d, vn_buf_text(&out), &l->why, err);
	vn_buf_release(&out);
	return r;
}

static int fill_layer(struct vn_diff *d, const struct vn_side *side, size_t i, struct vn_layer_info *l, struct vn_err *err)
{
	const struct vn_image_layer *layer = &side->image->layers[i];
	int r = text(d, layer->desc.digest.text, &l->digest, err);
	if (r == 0)
		r = text(d, layer->diff_id.text, &l->diff_id, err);
	if (r == 0)
		r = text(d, layer->desc.media_type, &l->media_type, err);
	if (r == 0)
		r = text(d, layer->step, &l->step, err);
	l->size = (uint64_t)layer->desc.size;
	l->verdict = l->why = "";
	if (side->layers[i].fd >= 0) {
		l->plain_size = side->layers[i].plain_size;
		l->files = side->layers[i].records;
	}
	return r;
}

static int new_layer(struct vn_diff *d, size_t i, struct vn_layer_info *l, struct vn_err *err)
{
	const struct vn_image *old_image = d->trees.old_.image;
	size_t twin = find_layer(old_image, &d->trees.new_.image->layers[i].diff_id);
	int r = fill_layer(d, &d->trees.new_, i, l, err);
	l->new_number = i + 1;
	l->old_number = twin < old_image->nlayers ? twin + 1 : 0;
	l->in = l->old_number ? VN_LAYER_BOTH : VN_LAYER_NEW;
	l->pulled = i >= d->shared;
	if (r < 0 || !l->pulled) {
		l->verdict = "same";
		return r;
	}
	for (size_t u = 0; u < d->files.nuses; u++)
		if (d->files.uses[u].layer == i)
			l->differing[d->files.uses[u].rule->class_] += d->files.uses[u].files;
	l->verdict = verdict_of(l);
	return explain_layer(d, i, l, err);
}

static int fill_layers(struct vn_diff *d, struct vn_err *err)
{
	const struct vn_image *old_image = d->trees.old_.image, *new_image = d->trees.new_.image;
	d->layers = calloc(old_image->nlayers + new_image->nlayers + 1, sizeof(*d->layers));
	if (!d->layers)
		return vn_nomem(err);
	int r = 0;
	for (size_t i = 0; r == 0 && i < new_image->nlayers; i++) {
		struct vn_layer_info *l = &d->layers[d->nlayers++];
		r = new_layer(d, i, l, err);
		if (l->pulled) {
			d->summary.pull_layers++;
			d->summary.pull_bytes += l->size;
		}
	}
	for (size_t i = 0; r == 0 && i < old_image->nlayers; i++) {
		if (find_layer(new_image, &old_image->layers[i].diff_id) < new_image->nlayers)
			continue;
		struct vn_layer_info *l = &d->layers[d->nlayers++];
		r = fill_layer(d, &d->trees.old_, i, l, err);
		l->in = VN_LAYER_OLD;
		l->old_number = i + 1;
	}
	return r;
}

uint64_t vn_diff_class_share(const struct vn_diff *diff, enum vn_class c)
{
	double total = 0;
	for (size_t i = 0; i < diff->files.n; i++) {
		const struct vn_file_change *f = &diff->files.list[i];
		if (f->class_ != c || !f->new_.present || f->new_.type != '-' || f->layer > diff->trees.new_.image->nlayers)
			continue;
		const struct vn_layer_index *x = &diff->trees.new_.layers[f->layer - 1];
		double size = (double)diff->trees.new_.image->layers[f->layer - 1].desc.size;
		double weight = (double)vn_entry_weight(f->new_.size);
		total += x->fd >= 0 && x->weight ? size * weight / (double)x->weight : weight;
	}
	return (uint64_t)(total + 0.5);
}

static int order_rules(const void *x, const void *y)
{
	const struct vn_rule_count *a = x, *b = y;
	return a->files != b->files ? (a->files < b->files) - (a->files > b->files) : strcmp(a->rule, b->rule);
}

static int count_rules(struct vn_diff *d, struct vn_err *err)
{
	d->rules = calloc(d->files.nuses + 1, sizeof(*d->rules));
	if (!d->rules)
		return vn_nomem(err);
	for (size_t i = 0; i < d->files.nuses; i++) {
		const struct vn_rule_use *u = &d->files.uses[i];
		size_t j = 0;
		while (j < d->nrules && (strcmp(d->rules[j].rule, u->rule->name) ||
					 strcmp(d->rules[j].class_name, vn_class_name(u->rule->class_))))
			j++;
		if (!u->files)
			continue;
		if (j == d->nrules) {
			d->rules[j].rule = vn_arena_text(&d->arena, u->rule->name, err);
			d->rules[j].class_name = vn_class_name(u->rule->class_);
			if (!d->rules[j].rule)
				return -(int)err->code;
			d->nrules++;
		}
		d->rules[j].files += u->files;
		d->rules[j].bytes += u->bytes;
	}
	qsort(d->rules, d->nrules, sizeof(*d->rules), order_rules);
	return 0;
}

static int compare_files(struct vn_diff *d, const struct vn_diff_images_options *o, const struct vn_rules *rules,
			 struct vn_err *err)
{
	struct vn_file_options fo = { rules, o->all_files, o->index.events };
	bool need_base = false;
	int r = vn_trees_open(&d->trees, false, &o->index, err);
	if (r == 0)
		r = vn_files_compare(&d->trees, &fo, &d->files, &need_base, err);
	if (r == 0 && need_base) {
		r = vn_trees_open(&d->trees, true, &o->index, err);
		if (r == 0)
			r = vn_files_compare(&d->trees, &fo, &d->files, &need_base, err);
	}
	/* rule names outlive the rules: they may be the policy's */
	for (size_t i = 0; r == 0 && i < d->files.n; i++) {
		d->files.list[i].rule = vn_arena_text(&d->arena, d->files.list[i].rule, err);
		if (!d->files.list[i].rule)
			r = -(int)err->code;
	}
	if (r == 0)
		r = vn_files_pair_renames(&d->files, err);
	if (r == 0)
		r = vn_files_pair_bytecode(&d->files, err);
	return r;
}

static int summarise(struct vn_diff *d, struct vn_err *err)
{
	struct vn_diff_summary *s = &d->summary;
	const struct vn_image *old_image = d->trees.old_.image, *new_image = d->trees.new_.image;
	int r = fill_image(d, old_image, &s->old_, err);
	if (r == 0)
		r = fill_image(d, new_image, &s->new_, err);
	s->identical = vn_digest_equal(&old_image->desc.digest, &new_image->desc.digest);
	s->files_old = d->files.old_files;
	s->files_new = d->files.new_files;
	s->files_equal = d->files.equal;
	s->same = true;
	for (int c = 0; c < VN_CLASSES; c++) {
		s->class_files[c] = d->files.class_files[c];
		s->class_bytes[c] = d->files.class_bytes[c];
		if (vn_class_is_real((enum vn_class)c)) {
			s->same = s->same && !s->class_files[c];
			s->payload_bytes += vn_diff_class_share(d, (enum vn_class)c);
		}
	}
	for (size_t i = 0; i < d->nconfig; i++)
		s->same = s->same && !d->config[i].matters;
	return r < 0 ? r : vn_diff_sentence(d, &s->sentence, err);
}

int vn_diff_images(const struct vn_image *old_image, const struct vn_image *new_image,
		   const struct vn_diff_images_options *options, struct vn_diff **ret, struct vn_err *err)
{
	int r = vn_diff_platforms(old_image, new_image, err);
	if (r < 0)
		return r;
	struct vn_rules rules;
	r = vn_rules_open(options->policy, &new_image->config, &rules, err);
	if (r < 0)
		return r;
	struct vn_diff *d = calloc(1, sizeof(*d));
	r = d ? vn_trees_init(old_image, new_image, &d->trees, err) : vn_nomem(err);
	if (r == 0) {
		d->shared = d->trees.shared;
		r = compare_files(d, options, &rules, err);
	}
	if (r == 0)
		r = vn_packages_compare(&d->files.old_packages, &d->files.new_packages, &d->packages, &d->npackages, err);
	if (r == 0)
		r = vn_config_compare(&old_image->config, &new_image->config, &d->arena, &d->config, &d->nconfig, err);
	if (r == 0)
		r = fill_layers(d, err);
	if (r == 0)
		r = count_rules(d, err);
	if (r == 0)
		r = summarise(d, err);
	/* what the rules counted points into them */
	if (d)
		d->files.nuses = 0;
	vn_rules_release(&rules);
	if (r < 0) {
		vn_diff_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void vn_diff_free(struct vn_diff *d)
{
	if (!d)
		return;
	vn_files_release(&d->files);
	vn_trees_release(&d->trees);
	vn_arena_release(&d->arena);
	free(d->layers);
	free(d->packages);
	free(d->config);
	free(d->rules);
	free(d->source);
	free(d);
}

const struct vn_diff_summary *vn_diff_get_summary(const struct vn_diff *d)
{
	return &d->summary;
}

#define GETTER(name, type, list, n)                                             \
	size_t vn_diff_get_##name(const struct vn_diff *d, const type **ret)     \
	{                                                                        \
		*ret = d->list;                                                  \
		return d->n;                                                     \
	}
GETTER(layers, struct vn_layer_info, layers, nlayers)
GETTER(files, struct vn_file_change, files.list, files.n)
GETTER(packages, struct vn_package_change, packages, npackages)
GETTER(package_counts, struct vn_package_count, files.package_counts, files.ncounts)
GETTER(config, struct vn_config_change, config, nconfig)
GETTER(models, struct vn_model_info, files.models, files.nmodels)
GETTER(rules, struct vn_rule_count, rules, nrules)
GETTER(source, struct vn_source_change, source, nsource)
