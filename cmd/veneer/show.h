/* What diff and rebase show alike: two-column facts, packages, configuration, models, lists of files. */
#ifndef CMD_SHOW_H
#define CMD_SHOW_H
#include "cmd.h"

/* A table of facts: a label and a text. Zero it with this; release with out_table_release. */
#define SHOW_FACTS { .columns = show_fact_columns, .ncolumns = 2 }
extern const struct out_column show_fact_columns[2];
void show_fact(struct out_table *facts, const char *label, enum out_style style, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* "1 file", "24,113 files" */
void show_count(struct text *text, uint64_t n, const char *noun);
/* A history entry as a Dockerfile has it: without "/bin/sh -c", white space collapsed. */
void show_step(struct text *text, const char *step);
/* One fact for each model that changed; the label on the first. Returns how many. */
size_t show_models(struct out_table *facts, const char *label, const struct vn_model_info *models, size_t n);
/* "python3-yaml 6.0-3 added, iot-driver 1.0 → 2.0, and 3 more" */
void show_packages(struct text *text, const struct vn_package_change *packages, size_t n);
/* One fact for each change that matters. Returns how many; `ret_ignored` gets the names of the others. */
size_t show_config(struct out_table *facts, const char *label, const struct vn_config_change *config, size_t n,
		   struct text *ret_ignored);
void show_source(struct out_table *facts, const struct vn_source_change *source, size_t n);
/* Columns: change, class, rule, what differs, size, path. At most `most` lines; paths are never cut. */
void show_files(struct out *out, const struct vn_file_change *files, size_t n, size_t most);
/* A command to type, indented; on several lines with '\' when it is wider than the terminal. */
void show_command(struct out *out, const char *const *words, size_t n);
/* `word` as a shell reads it back. */
void show_quoted(struct text *text, const char *word);
#endif
