/* Schema veneer.diff/1; veneer-diff(1) describes it. */
#include "diff/diff.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>

static vn_json *opt_text(const char *text)
{
	return vn_json_string(text);         /* NULL gives null */
}

static vn_json *size(uint64_t n)
{
	return vn_json_int(n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

static vn_json *fields_list(unsigned fields)
{
	char text[80], *at = text;
	vn_json *list = vn_json_array();
	vn_fields_text(fields, text);
	while (list && *at) {
		size_t n = strcspn(at, ",");
		char end = at[n];
		at[n] = 0;
		vn_json_add(list, vn_json_string(at));
		at += n + (end != 0);
	}
	return list;
}

static vn_json *file_side(const struct vn_file_side *s)
{
	char mode[16], type[2] = { s->type, 0 };
	if (!s->present)
		return vn_json_string(NULL);
	vn_json *o = vn_json_object();
	snprintf(mode, sizeof(mode), "%04o", s->mode);
	vn_json_set(o, "type", vn_json_string(type));
	vn_json_set(o, "mode", vn_json_string(mode));
	vn_json_set(o, "uid", size(s->uid));
	vn_json_set(o, "gid", size(s->gid));
	vn_json_set(o, "size", size(s->size));
	vn_json_set(o, "mtime", vn_json_int(s->mtime));
	vn_json_set(o, "link", opt_text(s->link));
	vn_json_set(o, "digest", opt_text(s->digest));
	return o;
}

vn_json *vn_json_files(const struct vn_file_change *list, size_t n)
{
	vn_json *array = vn_json_array();
	for (size_t i = 0; i < n; i++) {
		const struct vn_file_change *f = &list[i];
		vn_json *o = vn_json_object();
		vn_json_set(o, "path", vn_json_string(f->path));
		if (f->from)
			vn_json_set(o, "from", vn_json_string(f->from));
		vn_json_set(o, "change", vn_json_string(vn_change_name(f->change)));
		vn_json_set(o, "class", vn_json_string(vn_class_name(f->class_)));
		vn_json_set(o, "rule", vn_json_string(f->rule));
		vn_json_set(o, "fields", fields_list(f->fields));
		vn_json_set(o, "layer", size(f->layer));
		vn_json_set(o, "old", file_side(&f->old_));
		vn_json_set(o, "new", file_side(&f->new_));
		vn_json_add(array, o);
	}
	return array;
}

vn_json *vn_json_packages(const struct vn_package_change *list, size_t n)
{
	vn_json *array = vn_json_array();
	for (size_t i = 0; i < n; i++) {
		vn_json *o = vn_json_object();
		vn_json_set(o, "manager", vn_json_string(list[i].manager));
		vn_json_set(o, "name", vn_json_string(list[i].name));
		vn_json_set(o, "arch", vn_json_string(list[i].arch));
		vn_json_set(o, "old", opt_text(list[i].old_version));
		vn_json_set(o, "new", opt_text(list[i].new_version));
		vn_json_add(array, o);
	}
	return array;
}

vn_json *vn_json_config(const struct vn_config_change *list, size_t n)
{
	vn_json *array = vn_json_array();
	for (size_t i = 0; i < n; i++) {
		vn_json *o = vn_json_object();
		vn_json_set(o, "field", vn_json_string(list[i].field));
		vn_json_set(o, "key", opt_text(list[i].key));
		vn_json_set(o, "old", opt_text(list[i].old_value));
		vn_json_set(o, "new", opt_text(list[i].new_value));
		vn_json_set(o, "matters", vn_json_bool(list[i].matters));
		vn_json_set(o, "rule", opt_text(list[i].rule));
		vn_json_add(array, o);
	}
	return array;
}

vn_json *vn_json_models(const struct vn_model_info *list, size_t n)
{
	vn_json *array = vn_json_array();
	for (size_t i = 0; i < n; i++) {
		const struct vn_model_info *m = &list[i];
		vn_json *o = vn_json_object();
		vn_json_set(o, "path", opt_text(m->path));
		vn_json_set(o, "old_path", opt_text(m->old_path));
		vn_json_set(o, "format", vn_json_string(m->format));
		vn_json_set(o, "detail", vn_json_string(m->detail));
		vn_json_set(o, "element", vn_json_string(m->element));
		vn_json_set(o, "quantisation", vn_json_string(m->quantisation));
		vn_json_set(o, "old_size", size(m->old_size));
		vn_json_set(o, "new_size", size(m->new_size));
		vn_json_set(o, "old_digest", opt_text(m->old_digest));
		vn_json_set(o, "new_digest", opt_text(m->new_digest));
		vn_json_set(o, "changed", vn_json_bool(m->changed));
		vn_json_add(array, o);
	}
	return array;
}

vn_json *vn_json_source(const struct vn_source_change *list, size_t n)
{
	vn_json *array = vn_json_array();
	for (size_t i = 0; i < n; i++) {
		vn_json *o = vn_json_object();
		vn_json_set(o, "path", vn_json_string(list[i].path));
		vn_json_set(o, "status", vn_json_string(list[i].status));
		vn_json_set(o, "added", size(list[i].added));
		vn_json_set(o, "removed", size(list[i].removed));
		vn_json_set(o, "detail", vn_json_string(list[i].detail));
		vn_json_add(array, o);
	}
	return array;
}

static vn_json *image_info(const struct vn_image_info *i)
{
	vn_json *o = vn_json_object();
	vn_json_set(o, "reference", vn_json_string(i->reference));
	vn_json_set(o, "digest", vn_json_string(i->digest));
	vn_json_set(o, "media_type", vn_json_string(i->media_type));
	vn_json_set(o, "platform", vn_json_string(i->platform));
	vn_json_set(o, "created", vn_json_string(i->created));
	vn_json_set(o, "layers", size(i->layers));
	vn_json_set(o, "size", size(i->size));
	return o;
}

static vn_json *class_counts(const uint64_t counts[VN_CLASSES])
{
	vn_json *o = vn_json_object();
	for (int c = 0; c < VN_CLASSES; c++)
		if (counts[c])
			vn_json_set(o, vn_class_name((enum vn_class)c), size(counts[c]));
	return o;
}

static vn_json *layers_list(const struct vn_diff *d)
{
	static const char *const in[] = { "both", "old", "new" };
	vn_json *array = vn_json_array();
	for (size_t i = 0; i < d->nlayers; i++) {
		const struct vn_layer_info *l = &d->layers[i];
		vn_json *o = vn_json_object();
		vn_json_set(o, "in", vn_json_string(in[l->in]));
		vn_json_set(o, "old_number", l->old_number ? size(l->old_number) : vn_json_string(NULL));
		vn_json_set(o, "new_number", l->new_number ? size(l->new_number) : vn_json_string(NULL));
		vn_json_set(o, "digest", vn_json_string(l->digest));
		vn_json_set(o, "diff_id", vn_json_string(l->diff_id));
		vn_json_set(o, "media_type", vn_json_string(l->media_type));
		vn_json_set(o, "step", vn_json_string(l->step));
		vn_json_set(o, "size", size(l->size));
		vn_json_set(o, "plain_size", size(l->plain_size));
		vn_json_set(o, "pulled", vn_json_bool(l->pulled));
		vn_json_set(o, "verdict", vn_json_string(l->verdict));
		vn_json_set(o, "why", vn_json_string(l->why));
		vn_json_set(o, "files", size(l->files));
		vn_json_set(o, "differing", class_counts(l->differing));
		vn_json_add(array, o);
	}
	return array;
}

static vn_json *summary_object(const struct vn_diff *d)
{
	const struct vn_diff_summary *s = &d->summary;
	vn_json *o = vn_json_object(), *pull = vn_json_object(), *counts = vn_json_object(), *classes = vn_json_object();
	vn_json_set(o, "schema", vn_json_string("veneer.diff/1"));
	vn_json_set(o, "same", vn_json_bool(s->same));
	vn_json_set(o, "identical", vn_json_bool(s->identical));
	vn_json_set(o, "sentence", vn_json_string(s->sentence));
	vn_json_set(o, "old", image_info(&s->old_));
	vn_json_set(o, "new", image_info(&s->new_));
	vn_json_set(pull, "bytes", size(s->pull_bytes));
	vn_json_set(pull, "layers", size(s->pull_layers));
	vn_json_set(o, "pull", pull);
	vn_json_set(o, "payload_bytes", size(s->payload_bytes));
	vn_json_set(counts, "old", size(s->files_old));
	vn_json_set(counts, "new", size(s->files_new));
	vn_json_set(counts, "equal", size(s->files_equal));
	vn_json_set(o, "counts", counts);
	for (int c = 0; c < VN_CLASSES; c++) {
		vn_json *one = vn_json_object();
		vn_json_set(one, "files", size(s->class_files[c]));
		vn_json_set(one, "bytes", size(s->class_bytes[c]));
		vn_json_set(classes, vn_class_name((enum vn_class)c), one);
	}
	vn_json_set(o, "classes", classes);
	return o;
}

static vn_json *counts_list(const struct vn_diff *d)
{
	vn_json *array = vn_json_array();
	for (size_t i = 0; i < d->files.ncounts; i++) {
		vn_json *o = vn_json_object();
		vn_json_set(o, "manager", vn_json_string(d->files.package_counts[i].manager));
		vn_json_set(o, "old", size(d->files.package_counts[i].old_count));
		vn_json_set(o, "new", size(d->files.package_counts[i].new_count));
		vn_json_add(array, o);
	}
	return array;
}

static vn_json *rules_list(const struct vn_diff *d)
{
	vn_json *array = vn_json_array();
	for (size_t i = 0; i < d->nrules; i++) {
		vn_json *o = vn_json_object();
		vn_json_set(o, "rule", vn_json_string(d->rules[i].rule));
		vn_json_set(o, "class", vn_json_string(d->rules[i].class_name));
		vn_json_set(o, "files", size(d->rules[i].files));
		vn_json_set(o, "bytes", size(d->rules[i].bytes));
		vn_json_add(array, o);
	}
	return array;
}

int vn_diff_json(const struct vn_diff *d, char **ret_text, struct vn_err *err)
{
	VN_AUTO_JSON *root = summary_object(d);
	vn_json_set(root, "layers", layers_list(d));
	vn_json_set(root, "files", vn_json_files(d->files.list, d->files.n));
	vn_json_set(root, "packages", vn_json_packages(d->packages, d->npackages));
	vn_json_set(root, "package_counts", counts_list(d));
	vn_json_set(root, "config", vn_json_config(d->config, d->nconfig));
	vn_json_set(root, "models", vn_json_models(d->files.models, d->files.nmodels));
	vn_json_set(root, "rules", rules_list(d));
	vn_json *source = vn_json_object();
	vn_json_set(source, "old_revision", opt_text(d->summary.source_revision_old));
	vn_json_set(source, "new_revision", opt_text(d->summary.source_revision_new));
	vn_json_set(source, "changes", vn_json_source(d->source, d->nsource));
	vn_json_set(root, "source", source);
	struct vn_buf out = VN_BUF(SIZE_MAX / 2);
	int r = vn_json_text(root, true, &out, err);
	if (r == 0)
		r = vn_buf_steal(&out, ret_text, err);
	vn_buf_release(&out);
	return r;
}
