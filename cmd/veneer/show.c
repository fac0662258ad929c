#include "show.h"
#include <string.h>

#define MOST_PACKAGES 6    /* named in one line */
#define MOST_CONFIG 8
#define MOST_IGNORED 4
#define MOST_SOURCE 8
#define MOST_VALUE 48      /* columns of a configuration value */

const struct out_column show_fact_columns[2] = { { NULL, false, 0, 0 }, { NULL, false, 0, 0 } };

void show_fact(struct out_table *facts, const char *label, enum out_style style, const char *fmt, ...)
{
	OUT_CLEANUP(text_release) struct text text = { 0 };
	va_list ap;

	va_start(ap, fmt);
	text_vaddf(&text, fmt, ap);
	va_end(ap);
	facts->failed |= text.failed;
	out_cell(facts, OUT_PLAIN, label);
	out_cell(facts, style, text_get(&text));
}

void show_count(struct text *text, uint64_t n, const char *noun)
{
	char count[VN_COUNT_TEXT];

	text_addf(text, "%s %s%s", vn_count_text(n, count), noun, n == 1 ? "" : "s");
}

/* Behind "|2 A=1 B=2 /bin/sh -c ", which the classic builder writes for a RUN with build arguments; NULL when it is none. */
static const char *behind_arguments(const char *step, const char *run)
{
	const char *found = *step == '|' && strspn(step + 1, "0123456789") ? strstr(step, run) : NULL;
	return found ? found + strlen(run) : NULL;
}

/* "file:<64 hex> in " or "dir:… in ", the classic builder's word for what was copied: its length, 0 when it is not there. */
static size_t copied_length(const char *step)
{
	size_t kind = !strncmp(step, "file:", 5) ? 5 : !strncmp(step, "dir:", 4) ? 4 : !strncmp(step, "multi:", 6) ? 6 : 0;
	size_t hex = kind ? strspn(step + kind, "0123456789abcdef") : 0;
	return hex >= 64 && !strncmp(step + kind + hex, " in ", 4) ? kind + hex + 4 : 0;
}

void show_step(struct text *text, const char *step)
{
	static const char nop[] = "/bin/sh -c #(nop)", run[] = "/bin/sh -c ", buildkit[] = " # buildkit";
	/* BuildKit writes "RUN /bin/sh -c …", the classic builder leaves out the first word */
	const char *plain = !strncmp(step, "RUN ", 4) ? step + 4 : step;
	const char *command = behind_arguments(plain, run);
	size_t len;

	if (!strncmp(step, nop, sizeof(nop) - 1)) {
		step += sizeof(nop) - 1;
	} else if (command || !strncmp(plain, run, sizeof(run) - 1)) {
		step = command ? command : plain + sizeof(run) - 1;
		text_add(text, "RUN ");
	}
	for (step += strspn(step, " \t\n"); *step && strcmp(step, buildkit + 1); step += len) {
		step += copied_length(step);
		len = strcspn(step, " \t\n");
		text_add_bytes(text, step, len);
		step += len;
		len = strspn(step, " \t\n");
		if (step[len] && strcmp(step, buildkit))
			text_add(text, " ");
	}
	if (!text->len)
		text_add(text, "(no history)");
}

static void add_part(struct text *text, const char *part)
{
	if (part && *part)
		text_addf(text, ", %s", part);
}

size_t show_models(struct out_table *facts, const char *label, const struct vn_model_info *models, size_t n)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];
	size_t shown = 0;

	for (size_t i = 0; i < n; i++) {
		const struct vn_model_info *model = &models[i];
		OUT_CLEANUP(text_release) struct text text = { 0 };

		if (!model->changed)
			continue;
		if (model->path && model->old_path && strcmp(model->path, model->old_path))
			text_addf(&text, "%s → ", model->old_path);
		text_add(&text, model->path ? model->path : model->old_path ? model->old_path : "?");
		if (model->path && model->old_path)
			text_addf(&text, ", %s → %s", vn_size_text(model->old_size, a), vn_size_text(model->new_size, b));
		else
			text_addf(&text, " %s, %s", model->path ? "added" : "removed",
				  vn_size_text(model->path ? model->new_size : model->old_size, a));
		add_part(&text, model->format);
		add_part(&text, model->detail);
		add_part(&text, model->element);
		if (model->quantisation && strcmp(model->quantisation, "none"))
			add_part(&text, model->quantisation);
		facts->failed |= text.failed;
		show_fact(facts, shown ? "" : label, OUT_GOOD, "%s", text_get(&text));
		shown++;
	}
	return shown;
}

void show_packages(struct text *text, const struct vn_package_change *packages, size_t n)
{
	for (size_t i = 0; i < n && i < MOST_PACKAGES; i++) {
		const struct vn_package_change *package = &packages[i];
		const char *version = package->new_version ? package->new_version : package->old_version;

		text_addf(text, "%s%s ", i ? ", " : "", package->name);
		if (package->old_version && package->new_version)
			text_addf(text, "%s → %s", package->old_version, package->new_version);
		else
			text_addf(text, "%s %s", version ? version : "", package->new_version ? "added" : "removed");
	}
	if (n > MOST_PACKAGES)
		text_addf(text, " and %zu more", n - MOST_PACKAGES);
}

static void add_value(struct text *text, const char *value)
{
	size_t fit;

	if (!value) {
		text_add(text, "not set");
		return;
	}
	fit = text_fit(value, MOST_VALUE);
	text_add_bytes(text, value, fit);
	if (value[fit])
		text_add(text, "…");
}

size_t show_config(struct out_table *facts, const char *label, const struct vn_config_change *config, size_t n,
		   struct text *ret_ignored)
{
	size_t shown = 0, ignored = 0;

	for (size_t i = 0; i < n; i++) {
		const struct vn_config_change *change = &config[i];
		OUT_CLEANUP(text_release) struct text text = { 0 };

		text_addf(&text, "%s%s%s", change->field, change->key ? " " : "", change->key ? change->key : "");
		if (!change->matters) {
			if (ignored++ < MOST_IGNORED)
				text_addf(ret_ignored, "%s%s", ret_ignored->len ? ", " : "", text_get(&text));
			continue;
		}
		if (shown++ >= MOST_CONFIG)
			continue;
		text_add(&text, ": ");
		add_value(&text, change->old_value);
		text_add(&text, " → ");
		add_value(&text, change->new_value);
		facts->failed |= text.failed;
		show_fact(facts, shown > 1 ? "" : label, OUT_NOTE, "%s", text_get(&text));
	}
	if (ignored > MOST_IGNORED)
		text_addf(ret_ignored, " and %zu more", ignored - MOST_IGNORED);
	if (shown > MOST_CONFIG)
		show_fact(facts, "", OUT_NOTE, "and %zu more: --format json has them all", shown - MOST_CONFIG);
	return shown;
}

void show_source(struct out_table *facts, const struct vn_source_change *source, size_t n)
{
	for (size_t i = 0; i < n && i < MOST_SOURCE; i++)
		show_fact(facts, i ? "" : "source", OUT_NOTE, "%s %s (+%llu -%llu)%s%s", source[i].path, source[i].status,
			  (unsigned long long)source[i].added, (unsigned long long)source[i].removed,
			  source[i].detail && *source[i].detail ? ": " : "", source[i].detail ? source[i].detail : "");
	if (n > MOST_SOURCE)
		show_fact(facts, "", OUT_NOTE, "and %zu more", n - MOST_SOURCE);
}

struct file_widths {
	size_t class_, rule, fields, size;
};

static void size_of(const struct vn_file_change *file, struct text *text)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];

	text_clear(text);
	if (file->old_.present && file->new_.present && file->old_.size != file->new_.size)
		text_addf(text, "%s → %s", vn_size_text(file->old_.size, a), vn_size_text(file->new_.size, b));
	else
		text_add(text, vn_size_text(file->new_.present ? file->new_.size : file->old_.size, a));
}

static void widen(size_t *width, const char *text)
{
	size_t n = text ? text_width(text) : 0;

	if (n > *width)
		*width = n < 40 ? n : 40;
}

static void file_line(struct out *out, const struct file_widths *widths, const char *const cells[5])
{
	out_put(out, " ");
	out_padded(out, cells[0], 7, false);
	out_put(out, "  ");
	out_padded(out, cells[1], widths->class_, false);
	out_put(out, "  ");
	out_padded(out, cells[2], widths->rule, false);
	out_put(out, "  ");
	out_padded(out, cells[3], widths->fields, false);
	out_put(out, "  ");
	out_padded(out, cells[4], widths->size, true);
	out_put(out, "  ");
}

static void one_file(struct out *out, const struct file_widths *widths, const struct vn_file_change *file)
{
	OUT_CLEANUP(text_release) struct text size = { 0 };
	char fields[80];

	size_of(file, &size);
	file_line(out, widths, (const char *const[5]){ vn_change_name(file->change), vn_class_name(file->class_),
						       file->rule ? file->rule : "", vn_fields_text(file->fields, fields),
						       text_get(&size) });
	if (file->change == VN_RENAMED && file->from) {
		out_escaped(out, file->from);
		out_put(out, " → ");
	}
	out_escaped(out, file->path);
	if (file->new_.link || file->old_.link) {
		out_put(out, " -> ");
		out_escaped(out, file->new_.link ? file->new_.link : file->old_.link);
	}
	out_put(out, "\n");
}

void show_files(struct out *out, const struct vn_file_change *files, size_t n, size_t most)
{
	OUT_CLEANUP(text_release) struct text size = { 0 };
	struct file_widths widths = { 5, 4, 7, 4 };
	char fields[80], count[VN_COUNT_TEXT];
	size_t shown = n < most ? n : most;

	for (size_t i = 0; i < shown; i++) {
		widen(&widths.class_, vn_class_name(files[i].class_));
		widen(&widths.rule, files[i].rule);
		widen(&widths.fields, vn_fields_text(files[i].fields, fields));
		size_of(&files[i], &size);
		widen(&widths.size, text_get(&size));
	}
	if (shown) {
		file_line(out, &widths, (const char *const[5]){ "change", "class", "rule", "differs", "size" });
		out_put(out, "path\n");
	}
	for (size_t i = 0; i < shown && !ferror(out->file); i++)
		one_file(out, &widths, &files[i]);
	if (n > shown)
		out_printf(out, " and %s more\n", vn_count_text(n - shown, count));
}

void show_quoted(struct text *text, const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-";

	if (*word && !word[strspn(word, safe)]) {
		text_add(text, word);
		return;
	}
	text_add(text, "'");
	for (; *word; word++) {
		if (*word == '\'')
			text_add(text, "'\\''");
		else
			text_add_bytes(text, word, 1);
	}
	text_add(text, "'");
}

void show_command(struct out *out, const char *const *words, size_t n)
{
	OUT_CLEANUP(text_release) struct text line = { 0 }, lines = { 0 };

	for (size_t i = 0; i < n; i++) {
		OUT_CLEANUP(text_release) struct text word = { 0 };

		show_quoted(&word, words[i]);
		/* "veneer" and the verb stay together */
		text_addf(&line, "%s%s", i ? " " : "", text_get(&word));
		text_addf(&lines, "%s%s", i < 2 ? (i ? " " : "") : " \\\n      ", text_get(&word));
		out->failed |= word.failed;
	}
	out->failed |= line.failed || lines.failed;
	out_put(out, "  ");
	if (!out->width || text_width(text_get(&line)) + 2 <= out->width) {
		out_styled(out, OUT_BOLD, text_get(&line));
	} else {
		OUT_CLEANUP(text_release) struct text safe = { 0 };

		text_escape_bytes(&safe, text_get(&lines), lines.len, true);
		out_put(out, text_get(&safe));
	}
	out_put(out, "\n");
}
