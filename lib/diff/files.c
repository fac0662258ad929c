#include "diff/files.h"
#include "layer/facts.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

struct walk {
	const struct vn_trees *trees;
	const struct vn_file_options *options;
	struct vn_file_list *out;
	struct vn_buf facts;
	size_t first;                /* number of the lowest walked layer */
	bool warned_link;
};

static const struct vn_layer_index *index_of(const struct walk *w, const struct vn_side *side, const struct vn_merged *m)
{
	return side->list[w->first + m->layer];
}

static int side_facts(struct walk *w, const struct vn_side *side, const struct vn_merged *m, struct vn_err *err)
{
	vn_buf_clear(&w->facts);
	return m ? vn_layer_index_facts(index_of(w, side, m), &m->e, &w->facts, err) : 0;
}

/* ---- packages */
static struct vn_package_count *count_of(struct vn_file_list *out, const char *manager, struct vn_err *err)
{
	for (size_t i = 0; i < out->ncounts; i++)
		if (!strcmp(out->package_counts[i].manager, manager))
			return &out->package_counts[i];
	if (vn_grow(&out->package_counts, &out->counts_cap, out->ncounts + 1, sizeof(*out->package_counts), err) < 0)
		return NULL;
	struct vn_package_count *c = &out->package_counts[out->ncounts];
	*c = (struct vn_package_count){ vn_arena_text(&out->arena, manager, err), 0, 0 };
	if (!c->manager)
		return NULL;
	out->ncounts++;
	return c;
}

static int take_packages(struct walk *w, const struct vn_side *side, const struct vn_merged *m, bool differ, bool is_new,
			 struct vn_err *err)
{
	struct vn_package p;
	size_t at = 0;
	int r = side_facts(w, side, m, err);
	while (r == 0 && vn_facts_package(&w->facts, &at, &p)) {
		struct vn_package_count *c = count_of(w->out, p.manager, err);
		if (!c)
			return -(int)err->code;
		*(is_new ? &c->new_count : &c->old_count) += 1;
		if (!differ)
			continue;
		struct vn_package_list *l = is_new ? &w->out->new_packages : &w->out->old_packages;
		r = vn_grow(&l->list, &l->cap, l->n + 1, sizeof(*l->list), err);
		if (r < 0)
			return r;
		struct vn_found_package *f = &l->list[l->n];
		f->manager = c->manager;
		f->name = vn_arena_text(&w->out->arena, p.name, err);
		f->version = vn_arena_text(&w->out->arena, p.version, err);
		f->arch = vn_arena_text(&w->out->arena, p.arch, err);
		if (!f->name || !f->version || !f->arch)
			return -(int)err->code;
		l->n++;
	}
	return r;
}

static int packages_of_pair(struct walk *w, const struct vn_pair *p, struct vn_err *err)
{
	bool differ = !p->old_ || !p->new_ || p->fields & ~(unsigned)VN_FIELD_MTIME;
	int r = 0;
	if (p->old_ && p->old_->e.flags & VN_ENTRY_FACTS)
		r = take_packages(w, &w->trees->old_, p->old_, differ, false, err);
	if (r == 0 && p->new_ && p->new_->e.flags & VN_ENTRY_FACTS)
		r = take_packages(w, &w->trees->new_, p->new_, differ, true, err);
	return r;
}

/* ---- models */
static int note_model(struct walk *w, const struct vn_pair *p, bool changed, struct vn_err *err)
{
	struct vn_file_list *out = w->out;
	int r = vn_grow(&out->models, &out->models_cap, out->nmodels + 1, sizeof(*out->models), err);
	if (r < 0)
		return r;
	struct vn_model_info *m = &out->models[out->nmodels];
	*m = (struct vn_model_info){ .changed = changed, .format = "", .detail = "", .element = "", .quantisation = "" };
	const char *path = vn_arena_printf(&out->arena, err, "/%s", p->path);
	for (int is_new = 0; r == 0 && path && is_new < 2; is_new++) {
		const struct vn_merged *side = is_new ? p->new_ : p->old_;
		struct vn_model_note note;
		if (!side || side->e.kind != '-')
			continue;
		*(is_new ? &m->path : &m->old_path) = path;
		*(is_new ? &m->new_size : &m->old_size) = side->e.size;
		r = side_facts(w, is_new ? &w->trees->new_ : &w->trees->old_, side, err);
		if (r < 0 || !vn_facts_model(&w->facts, &note))
			continue;
		*(is_new ? &m->new_digest : &m->old_digest) = vn_arena_text(&out->arena, note.digest, err);
		m->format = vn_arena_text(&out->arena, note.format, err);
		m->detail = vn_arena_text(&out->arena, note.detail, err);
		m->element = vn_arena_text(&out->arena, note.element, err);
		m->quantisation = vn_arena_text(&out->arena, note.quantisation, err);
	}
	if (r == 0 && (!path || !m->format || !m->detail || !m->element || !m->quantisation))
		r = -(int)err->code;
	if (r == 0 && (m->path || m->old_path))
		out->nmodels++;
	return r;
}

static bool has_model_facts(struct walk *w, const struct vn_side *side, const struct vn_merged *m, struct vn_err *err, int *r)
{
	struct vn_model_note note;
	if (*r < 0 || !m || !(m->e.flags & VN_ENTRY_FACTS))
		return false;
	*r = side_facts(w, side, m, err);
	return *r == 0 && vn_facts_model(&w->facts, &note) && note.format[0];
}

/* ---- counting */
static int use_rule(struct vn_file_list *out, const struct vn_rule *rule, size_t layer, uint64_t bytes, struct vn_err *err)
{
	for (size_t i = out->nuses; i-- > 0;)
		if (out->uses[i].rule == rule && out->uses[i].layer == layer) {
			out->uses[i].files++;
			out->uses[i].bytes += bytes;
			return 0;
		}
	int r = vn_grow(&out->uses, &out->uses_cap, out->nuses + 1, sizeof(*out->uses), err);
	if (r == 0)
		out->uses[out->nuses++] = (struct vn_rule_use){ rule, layer, 1, bytes };
	return r;
}

static int fill_side(struct walk *w, const struct vn_side *side, const struct vn_merged *m, struct vn_file_side *ret,
		     struct vn_err *err)
{
	struct vn_model_note note;
	if (!m)
		return 0;
	ret->present = true;
	ret->type = m->e.kind;
	ret->mode = m->e.mode, ret->uid = m->e.uid, ret->gid = m->e.gid;
	ret->size = m->e.size;
	ret->mtime = m->e.mtime;
	if (m->e.kind == 'l' && !(ret->link = vn_arena_text(&w->out->arena, m->e.link, err)))
		return -(int)err->code;
	int r = side_facts(w, side, m, err);
	if (r == 0 && vn_facts_model(&w->facts, &note) && !(ret->digest = vn_arena_text(&w->out->arena, note.digest, err)))
		r = -(int)err->code;
	return r;
}

static int keep_change(struct walk *w, const struct vn_pair *p, enum vn_change change, const struct vn_rule *rule, size_t layer,
		       struct vn_err *err)
{
	struct vn_file_list *out = w->out;
	int r = vn_grow(&out->list, &out->cap, out->n + 1, sizeof(*out->list), err);
	if (r == 0)
		r = vn_grow(&out->prints, &out->prints_cap, out->n + 1, sizeof(*out->prints), err);
	if (r < 0)
		return r;
	struct vn_prints *prints = &out->prints[out->n];
	memset(prints, 0, sizeof(*prints));
	if (p->old_)
		memcpy(prints->old_, p->old_->e.print, VN_PRINT_SIZE);
	if (p->new_)
		memcpy(prints->new_, p->new_->e.print, VN_PRINT_SIZE);
	struct vn_file_change *f = &out->list[out->n];
	*f = (struct vn_file_change){ .path = vn_arena_printf(&out->arena, err, "/%s", p->path), .change = change,
				      .class_ = rule->class_, .rule = rule->name, .fields = p->fields, .layer = layer + 1 };
	if (!f->path)
		return -(int)err->code;
	r = fill_side(w, &w->trees->old_, p->old_, &f->old_, err);
	if (r == 0)
		r = fill_side(w, &w->trees->new_, p->new_, &f->new_, err);
	if (r == 0)
		out->n++;
	return r;
}

static const struct vn_rule *rule_of(struct walk *w, const struct vn_pair *p, bool model_format)
{
	const struct vn_rule *rule;
	if (p->old_ && p->new_ && p->fields == VN_FIELD_MTIME) {
		rule = vn_rules_for_times(w->options->rules, p->path);
		return rule ? rule : &vn_rule_metadata;
	}
	rule = vn_rules_match(w->options->rules, p->path, p->fields, model_format);
	unsigned beside = p->fields & ~(unsigned)(VN_FIELD_MTIME | VN_FIELD_CONTENT);
	const struct vn_rules *rules = w->options->rules;
	bool user = rule >= rules->user && rule < rules->user + rules->nuser;
	return p->only_stamp && !beside && !user && rule->class_ != VN_CLASS_NOISE ? &vn_rule_bytecode : rule;
}

static int one_pair(void *user, const struct vn_pair *p, struct vn_err *err)
{
	struct walk *w = user;
	struct vn_file_list *out = w->out;
	/* comes with whatever implies it */
	if (!p->old_ && p->new_->e.flags & VN_ENTRY_IMPLIED)
		return 0;
	int r = packages_of_pair(w, p, err);
	bool format = has_model_facts(w, &w->trees->new_, p->new_, err, &r) || has_model_facts(w, &w->trees->old_, p->old_, err, &r);
	if (r < 0)
		return r;
	out->old_files += p->old_ != NULL;
	out->new_files += p->new_ != NULL;
	if (p->new_ && p->new_->over_link && !w->warned_link) {
		w->warned_link = true;
		vn_warn(w->options->events,
			"a layer writes below /%s, a symbolic link of a lower layer, without replacing it: engines disagree on what "
			"that means; it is taken as a directory, as overlayfs does", p->path);
	}
	bool differs = !p->old_ || !p->new_ || p->fields;
	const struct vn_rule *rule = differs ? rule_of(w, p, format) : NULL;
	bool names = differs ? rule->class_ == VN_CLASS_MODEL || rule == &vn_rule_metadata : true;
	if (names && (format || vn_rules_may_name(w->options->rules, p->path, false)) &&
	    vn_rules_match(w->options->rules, p->path, p->fields, format)->class_ == VN_CLASS_MODEL)
		r = note_model(w, p, differs && rule != &vn_rule_metadata, err);
	if (r < 0)
		return r;
	if (!differs) {
		out->equal++;
		return 0;
	}
	size_t layer = w->first + (p->new_ ? p->new_->layer : p->old_->layer);
	uint64_t bytes = p->new_ && p->new_->e.kind == '-' && p->fields != VN_FIELD_MTIME ? p->new_->e.size : 0;
	out->class_files[rule->class_]++;
	out->class_bytes[rule->class_] += bytes;
	r = use_rule(out, rule, p->new_ ? layer : SIZE_MAX, bytes, err);
	if (r < 0 || (rule == &vn_rule_metadata && !w->options->all))
		return r;
	enum vn_change change = !p->old_ ? VN_ADDED : !p->new_ ? VN_REMOVED : VN_CHANGED;
	return keep_change(w, p, change, rule, layer, err);
}

int vn_files_compare(const struct vn_trees *trees, const struct vn_file_options *options, struct vn_file_list *ret,
		     bool *ret_need_base, struct vn_err *err)
{
	struct vn_file_list out;
	memset(&out, 0, sizeof(out));
	struct walk w = { trees, options, &out, VN_BUF(VN_MAX_FACTS), trees->whole ? 0 : trees->shared, false };
	VN_AUTO_MERGE *old_merge = NULL, *new_merge = NULL;
	bool need_base = false;
	int r = vn_trees_merge(trees, &trees->old_, &old_merge, err);
	if (r == 0)
		r = vn_trees_merge(trees, &trees->new_, &new_merge, err);
	if (r == 0)
		r = vn_compare(old_merge, new_merge, !trees->whole, one_pair, &w, &need_base, err);
	vn_buf_release(&w.facts);
	if (r < 0 || need_base) {
		vn_files_release(&out);
		if (r == 0)
			*ret_need_base = true;
		return r;
	}
	*ret = out;
	*ret_need_base = false;
	return 0;
}

void vn_files_release(struct vn_file_list *files)
{
	vn_arena_release(&files->arena);
	free(files->list);
	free(files->prints);
	free(files->models);
	free(files->uses);
	free(files->old_packages.list);
	free(files->new_packages.list);
	free(files->package_counts);
	memset(files, 0, sizeof(*files));
}

const struct vn_file_change *vn_files_find(const struct vn_file_list *files, const char *path)
{
	size_t low = 0, high = files->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = vn_path_cmp(files->list[mid].path + 1, path);
		if (order == 0)
			return &files->list[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
