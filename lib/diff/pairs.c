/* Differences that belong together: moved files, bytecode and its source. */
#include "diff/files.h"
#include "util/cleanup.h"
#include "util/path.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool vn_bytecode_source(const char *path, char *out, size_t size)
{
	const char *base = vn_path_base(path);
	size_t n = strlen(path), dir = (size_t)(base - path);
	if (n < 5 || (strcmp(path + n - 4, ".pyc") && strcmp(path + n - 4, ".pyo")))
		return false;
	const char *cache = "__pycache__/";
	size_t cache_len = strlen(cache);
	int written;
	if (dir >= cache_len && !strncmp(base - cache_len, cache, cache_len) &&
	    (dir == cache_len || path[dir - cache_len - 1] == '/'))
		written = snprintf(out, size, "%.*s%.*s.py", (int)(dir - cache_len), path, (int)strcspn(base, "."), base);
	else
		written = snprintf(out, size, "%.*s", (int)(n - 1), path);
	return written > 0 && (size_t)written < size;
}

static bool is_real(const struct vn_file_change *f)
{
	return f->class_ != VN_CLASS_METADATA && f->class_ != VN_CLASS_NOISE;
}

/* `layer` SIZE_MAX: of what was removed. */
static void use_less(struct vn_file_list *files, const struct vn_rule *rule, size_t layer, uint64_t bytes)
{
	for (size_t i = 0; i < files->nuses; i++) {
		struct vn_rule_use *u = &files->uses[i];
		bool same = u->layer == layer && u->rule->class_ == rule->class_ && !strcmp(u->rule->name, rule->name);
		if (!same || !u->files)
			continue;
		u->files--;
		u->bytes -= bytes < u->bytes ? bytes : u->bytes;
		break;
	}
}

static int use_more(struct vn_file_list *files, const struct vn_rule *rule, size_t layer, uint64_t bytes, struct vn_err *err)
{
	int r = vn_grow(&files->uses, &files->uses_cap, files->nuses + 1, sizeof(*files->uses), err);
	if (r == 0)
		files->uses[files->nuses++] = (struct vn_rule_use){ rule, layer, 1, bytes };
	return r;
}

static int move_class(struct vn_file_list *files, struct vn_file_change *f, const struct vn_rule *rule, struct vn_err *err)
{
	uint64_t bytes = f->new_.present && f->new_.type == '-' ? f->new_.size : 0;
	files->class_files[f->class_]--;
	files->class_bytes[f->class_] -= bytes;
	f->class_ = rule->class_;
	f->rule = rule->name;
	files->class_files[f->class_]++;
	files->class_bytes[f->class_] += bytes;
	use_less(files, &vn_rule_bytecode, f->layer - 1, bytes);
	return use_more(files, rule, f->layer - 1, bytes, err);
}

int vn_files_pair_bytecode(struct vn_file_list *files, struct vn_err *err)
{
	char source[4096];
	int r = 0;
	for (size_t i = 0; r == 0 && i < files->n; i++) {
		struct vn_file_change *f = &files->list[i];
		if (strcmp(f->rule, vn_rule_bytecode.name) || f->class_ != VN_CLASS_NOISE ||
		    !vn_bytecode_source(f->path + 1, source, sizeof(source)))
			continue;
		const struct vn_file_change *py = vn_files_find(files, source);
		if (py && is_real(py))
			r = move_class(files, f, &vn_rule_bytecode_pair, err);
	}
	return r;
}

/* "…/azureml-models/NAME/" and what follows the version: the registered model that both paths are versions of. */
static bool split_azureml(const char *path, size_t *ret_name_len, const char **ret_rest)
{
	const char *at = strstr(path, "/azureml-models/");
	const char *name = at ? at + strlen("/azureml-models/") : NULL, *version = name ? strchr(name, '/') : NULL;
	if (!version)
		return false;
	version++;
	size_t digits = strspn(version, "0123456789");
	if (!digits || (version[digits] && version[digits] != '/'))
		return false;
	*ret_name_len = (size_t)(version - path);
	*ret_rest = version + digits;
	return true;
}

static bool same_azureml(const char *a, const char *b)
{
	size_t x, y;
	const char *rest_a, *rest_b;
	return split_azureml(a, &x, &rest_a) && split_azureml(b, &y, &rest_b) && x == y && !strncmp(a, b, x) && !strcmp(rest_a, rest_b);
}

static bool movable(const struct vn_file_change *f)
{
	const struct vn_file_side *s = f->change == VN_ADDED ? &f->new_ : &f->old_;
	return (f->change == VN_ADDED || f->change == VN_REMOVED) && is_real(f) && s->type == '-' && s->size > 0;
}

/* How surely `added` is where `removed` went: 0 not at all. */
static int likeness(const struct vn_file_list *files, size_t removed, size_t added)
{
	const struct vn_file_change *a = &files->list[removed], *b = &files->list[added];
	if (same_azureml(a->path, b->path))
		return 3;
	if (a->old_.size != b->new_.size || memcmp(files->prints[removed].old_, files->prints[added].new_, VN_PRINT_SIZE))
		return 0;
	return strcmp(vn_path_base(a->path), vn_path_base(b->path)) ? 1 : 2;
}

static void join_models(struct vn_file_list *files, const struct vn_file_change *f)
{
	struct vn_model_info *old_model = NULL, *new_model = NULL;
	for (size_t i = 0; i < files->nmodels; i++) {
		struct vn_model_info *m = &files->models[i];
		if (m->old_path && !m->path && !strcmp(m->old_path, f->from))
			old_model = m;
		if (m->path && !m->old_path && !strcmp(m->path, f->path))
			new_model = m;
	}
	if (!old_model || !new_model)
		return;
	new_model->old_path = old_model->old_path;
	new_model->old_size = old_model->old_size;
	new_model->old_digest = old_model->old_digest;
	new_model->changed = true;
	*old_model = files->models[--files->nmodels];
}

static int by_path(const void *x, const void *y)
{
	const struct vn_model_info *a = x, *b = y;
	return vn_path_cmp(a->path ? a->path : a->old_path, b->path ? b->path : b->old_path);
}

/* Renames are looked for among this many files at most: beyond it, it is another image and not a moved file. */
#define MAX_MOVES 4096

static void join(struct vn_file_list *files, size_t removed, size_t added)
{
	struct vn_file_change *from = &files->list[removed], *to = &files->list[added];
	bool same = from->old_.size == to->new_.size &&
		    !memcmp(files->prints[removed].old_, files->prints[added].new_, VN_PRINT_SIZE);
	to->change = VN_RENAMED;
	to->from = from->path;
	to->old_ = from->old_;
	to->fields = same ? 0 : VN_FIELD_CONTENT;
	files->class_files[from->class_]--;
	use_less(files, &(struct vn_rule){ from->rule, from->class_, NULL, 0 }, SIZE_MAX, 0);
	from->path = NULL;
	join_models(files, to);
}

static void drop_joined(struct vn_file_list *files)
{
	size_t out = 0;
	for (size_t i = 0; i < files->n; i++)
		if (files->list[i].path) {
			files->prints[out] = files->prints[i];
			files->list[out++] = files->list[i];
		}
	files->n = out;
}

int vn_files_pair_renames(struct vn_file_list *files, struct vn_err *err)
{
	size_t n = 0;
	for (size_t i = 0; i < files->n; i++)
		n += movable(&files->list[i]);
	if (n == 0 || n > MAX_MOVES)
		return 0;
	VN_AUTO_FREE size_t *moved = calloc(n, sizeof(*moved));
	if (!moved)
		return vn_nomem(err);
	n = 0;
	for (size_t i = 0; i < files->n; i++)
		if (movable(&files->list[i]))
			moved[n++] = i;
	for (size_t i = 0; i < n; i++) {
		size_t best = SIZE_MAX;
		int best_likeness = 0;
		if (files->list[moved[i]].change != VN_REMOVED)
			continue;
		for (size_t j = 0; j < n; j++) {
			int l = files->list[moved[j]].change == VN_ADDED ? likeness(files, moved[i], moved[j]) : 0;
			if (l > best_likeness) {
				best_likeness = l;
				best = moved[j];
			}
		}
		if (best_likeness)
			join(files, moved[i], best);
	}
	drop_joined(files);
	if (files->nmodels)
		qsort(files->models, files->nmodels, sizeof(*files->models), by_path);
	return 0;
}
