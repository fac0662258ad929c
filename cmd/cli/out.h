/* Where results go: a terminal of some width, or a file that others read. Knows columns, colours and escaping. */
#ifndef CLI_OUT_H
#define CLI_OUT_H
#include "cli/text.h"
#include "veneer/error.h"
#include <stdio.h>

enum out_style { OUT_PLAIN, OUT_BOLD, OUT_DIM, OUT_GOOD, OUT_NOTE, OUT_BAD };

struct out {
	FILE *file;
	bool terminal;       /* may be redrawn and coloured, text has to fit `width` */
	bool colour;         /* a terminal, not TERM=dumb, no NO_COLOR */
	unsigned width;      /* columns; 0 = lines may be as long as they like */
	bool failed;         /* memory ran out: something was not shown */
};
/* Width: of the terminal, else $COLUMNS, else 0. */
void out_open(struct out *out, FILE *file);
/* Flushes; -VN_EIO when anything did not get through. */
int out_finish(struct out *out, struct vn_err *err);

/* Text of our own. */
void out_put(struct out *out, const char *text);
void out_printf(struct out *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Text that may come from an image or a server: escaped. */
void out_escaped(struct out *out, const char *text);
void out_styled(struct out *out, enum out_style style, const char *text);
/* "PROGRAM: " or "PROGRAM: warning: " in front of what is said on stderr. */
void out_label(struct out *out, enum out_style style, const char *program, const char *kind);
/* `text` (escaped) in words that fit the width, `indent` spaces in front of every line; a line break at its end. */
void out_paragraph(struct out *out, enum out_style style, unsigned indent, const char *text);
/* Escaped, at least `columns` wide, with spaces behind or in front. */
void out_padded(struct out *out, const char *text, size_t columns, bool right);

struct out_column {
	const char *head;        /* NULL in every column: no header line */
	bool right;
	unsigned least;          /* > 0: may be cut down to this many columns with "…" */
	unsigned most;           /* > 0: is cut beyond this many columns */
};
/* Aligned columns; the last is never cut: it is wrapped on a terminal. Zero it, then set columns and ncolumns. */
struct out_table {
	const struct out_column *columns;
	size_t ncolumns;
	struct out_cell *cells;
	size_t ncells, cap;
	bool failed;
};
/* The next cell, row by row; escaped. */
void out_cell(struct out_table *table, enum out_style style, const char *text);
void out_cellf(struct out_table *table, enum out_style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void out_table_print(struct out_table *table, struct out *out);
void out_table_release(struct out_table *table);

#define OUT_CLEANUP(fn) __attribute__((cleanup(fn)))
#endif
