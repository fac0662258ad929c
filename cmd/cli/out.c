#include "cli/out.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP 2              /* columns between columns */
#define INDENT 1           /* in front of a table */
#define MOST_COLUMNS 4096  /* of $COLUMNS and of a terminal */

void out_open(struct out *out, FILE *file)
{
	const char *term = getenv("TERM"), *columns = getenv("COLUMNS"), *no_color = getenv("NO_COLOR");
	struct winsize size = { 0 };
	unsigned long typed;

	memset(out, 0, sizeof(*out));
	out->file = file;
	out->terminal = isatty(fileno(file)) && term && *term && strcmp(term, "dumb");
	out->colour = out->terminal && !(no_color && *no_color);
	if (isatty(fileno(file))) {
		out->width = ioctl(fileno(file), TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
	} else if (columns && *columns >= '0' && *columns <= '9') {
		typed = strtoul(columns, NULL, 10);
		out->width = typed < MOST_COLUMNS ? (unsigned)typed : MOST_COLUMNS;
	}
	if (out->width && out->width < 40)
		out->width = 40;
}

int out_finish(struct out *out, struct vn_err *err)
{
	bool broken;

	errno = 0;
	broken = fflush(out->file) || ferror(out->file);
	if (!broken && !out->failed)
		return 0;
	memset(err, 0, sizeof(*err));
	err->code = broken ? VN_EIO : VN_ENOMEM;
	err->sys = errno;
	if (!broken)
		snprintf(err->text, sizeof(err->text), "out of memory while showing the result");
	else if (errno)
		snprintf(err->text, sizeof(err->text), "standard output was not written in full: %s", strerror(errno));
	else
		snprintf(err->text, sizeof(err->text), "standard output was not written in full");
	return -(int)err->code;
}

void out_put(struct out *out, const char *text)
{
	fputs(text, out->file);
}

void out_printf(struct out *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(out->file, fmt, ap);
	va_end(ap);
}

void out_escaped(struct out *out, const char *text)
{
	OUT_CLEANUP(text_release) struct text safe = { 0 };

	text_escape(&safe, text);
	out->failed |= safe.failed;
	out_put(out, text_get(&safe));
}

static const char *style_begin(const struct out *out, enum out_style style)
{
	static const char *const codes[] = {
		[OUT_PLAIN] = "", [OUT_BOLD] = "\033[1m", [OUT_DIM] = "\033[2m", [OUT_GOOD] = "\033[32m",
		[OUT_NOTE] = "\033[33m", [OUT_BAD] = "\033[31m",
	};

	return out->colour ? codes[style] : "";
}

static const char *style_end(const struct out *out, enum out_style style)
{
	return out->colour && style != OUT_PLAIN ? "\033[0m" : "";
}

void out_styled(struct out *out, enum out_style style, const char *text)
{
	out_put(out, style_begin(out, style));
	out_escaped(out, text);
	out_put(out, style_end(out, style));
}

void out_label(struct out *out, enum out_style style, const char *program, const char *kind)
{
	out_printf(out, "%s%s:%s%s ", style_begin(out, style), program, kind, style_end(out, style));
}

static void spaces(struct out *out, size_t n)
{
	while (n--)
		fputc(' ', out->file);
}

void out_padded(struct out *out, const char *text, size_t columns, bool right)
{
	OUT_CLEANUP(text_release) struct text safe = { 0 };
	size_t width;

	text_escape(&safe, text);
	out->failed |= safe.failed;
	width = text_width(text_get(&safe));
	if (right && width < columns)
		spaces(out, columns - width);
	out_put(out, text_get(&safe));
	if (!right && width < columns)
		spaces(out, columns - width);
}

/* Bytes of the first line when `text` is broken at spaces to fit; *ret_skip: bytes to leave out before the next line. A word
 * that is wider than the line stays whole, so that a path or digest can be copied. */
static size_t break_line(const char *text, size_t columns, size_t *ret_skip)
{
	size_t fit = text_fit(text, columns), at = fit;

	*ret_skip = 0;
	if (!text[fit])
		return fit;
	while (at && text[at] != ' ')
		at--;
	if (!at) {
		at = fit;
		while (text[at] && text[at] != ' ')
			at++;
	}
	while (at && text[at - 1] == ' ')
		at--;
	*ret_skip = strspn(text + at, " ");
	return at;
}

/* `at`: the column that the text begins in, and that further lines are moved to. */
static void wrapped(struct out *out, enum out_style style, size_t at, const char *text)
{
	size_t room = !out->width ? SIZE_MAX : out->width > at + 20 ? out->width - at : 20;
	size_t len, skip;

	for (;;) {
		len = break_line(text, room, &skip);
		out_put(out, style_begin(out, style));
		fwrite(text, 1, len, out->file);
		out_put(out, style_end(out, style));
		out_put(out, "\n");
		text += len + skip;
		if (!*text)
			return;
		spaces(out, at);
	}
}

void out_paragraph(struct out *out, enum out_style style, unsigned indent, const char *text)
{
	OUT_CLEANUP(text_release) struct text safe = { 0 };

	text_escape(&safe, text);
	out->failed |= safe.failed;
	spaces(out, indent);
	wrapped(out, style, indent, text_get(&safe));
}

struct out_cell {
	char *text;              /* escaped; NULL: empty */
	size_t width;
	enum out_style style;
};

static void add_cell(struct out_table *table, enum out_style style, const char *text)
{
	struct text safe = { 0 };

	if (table->ncells == table->cap) {
		size_t cap = table->cap ? table->cap * 2 : 64;
		struct out_cell *cells = cap > SIZE_MAX / sizeof(*cells) ? NULL : realloc(table->cells, cap * sizeof(*cells));

		if (!cells) {
			table->failed = true;
			return;
		}
		table->cells = cells;
		table->cap = cap;
	}
	text_escape(&safe, text);
	table->failed |= safe.failed;
	table->cells[table->ncells++] = (struct out_cell){ safe.at, text_width(text_get(&safe)), style };
}

void out_cell(struct out_table *table, enum out_style style, const char *text)
{
	add_cell(table, style, text ? text : "");
}

void out_cellf(struct out_table *table, enum out_style style, const char *fmt, ...)
{
	OUT_CLEANUP(text_release) struct text made = { 0 };
	va_list ap;

	va_start(ap, fmt);
	text_vaddf(&made, fmt, ap);
	va_end(ap);
	table->failed |= made.failed;
	add_cell(table, style, text_get(&made));
}

void out_table_release(struct out_table *table)
{
	for (size_t i = 0; i < table->ncells; i++)
		free(table->cells[i].text);
	free(table->cells);
	table->cells = NULL;
	table->ncells = table->cap = 0;
}

#define MOST_IN_TABLE 12   /* columns that a table of ours has */

static void natural_widths(const struct out_table *table, size_t *widths)
{
	size_t n = table->ncolumns;

	for (size_t c = 0; c < n; c++)
		widths[c] = table->columns[c].head ? text_width(table->columns[c].head) : 0;
	for (size_t i = 0; i < table->ncells; i++)
		if (table->cells[i].width > widths[i % n])
			widths[i % n] = table->cells[i].width;
	for (size_t c = 0; c + 1 < n; c++)
		if (table->columns[c].most && widths[c] > table->columns[c].most)
			widths[c] = table->columns[c].most;
}

/* Columns that may be cut give way until the last column has 30, or what it needs when that is less. */
static void fit_widths(const struct out_table *table, unsigned total, size_t *widths)
{
	size_t n = table->ncolumns, last = widths[n - 1] < 30 ? widths[n - 1] : 30, used = INDENT;

	if (!total)
		return;
	for (size_t c = 0; c + 1 < n; c++)
		used += widths[c] + GAP;
	for (size_t c = 0; c + 1 < n; c++) {
		size_t least = table->columns[c].least, over = used + last > total ? used + last - total : 0;

		if (!least || widths[c] <= least)
			continue;
		over = over < widths[c] - least ? over : widths[c] - least;
		widths[c] -= over;
		used -= over;
	}
}

/* Returns the columns that it took. */
static size_t print_cell(struct out *out, const struct out_cell *cell, size_t room, bool right)
{
	OUT_CLEANUP(text_release) struct text cut = { 0 };
	const char *text = cell->text;
	size_t width = cell->width, len;

	if (width > room) {
		for (len = text_fit(text, room - 1); len && text[len - 1] == ' ';)
			len--;
		text_add_bytes(&cut, text, len);
		text_add(&cut, "…");
		out->failed |= cut.failed;
		text = text_get(&cut);
		width = text_width(text);
	}
	if (right && width < room)
		spaces(out, room - width);
	out_put(out, style_begin(out, cell->style));
	out_put(out, text);
	out_put(out, style_end(out, cell->style));
	return right ? room : width;
}

static void print_row(const struct out_table *table, struct out *out, const size_t *widths, const struct out_cell *cells)
{
	size_t at = INDENT, filled = 0, last = table->ncolumns - 1;

	for (size_t c = 0; c <= last; at += widths[c++] + GAP) {
		if (!cells[c].text)
			continue;
		spaces(out, at - filled);
		if (c == last) {
			wrapped(out, cells[c].style, at, cells[c].text);
			return;
		}
		filled = at + print_cell(out, &cells[c], widths[c], table->columns[c].right);
	}
	out_put(out, "\n");
}

void out_table_print(struct out_table *table, struct out *out)
{
	size_t widths[MOST_IN_TABLE], n = table->ncolumns;
	struct out_cell heads[MOST_IN_TABLE] = { 0 };

	out->failed |= table->failed || n > MOST_IN_TABLE;
	if (out->failed || !n)
		return;
	natural_widths(table, widths);
	fit_widths(table, out->width, widths);
	if (table->columns[0].head) {
		for (size_t c = 0; c < n; c++)
			if (*table->columns[c].head)
				heads[c] = (struct out_cell){ strdup(table->columns[c].head),
							      text_width(table->columns[c].head), OUT_DIM };
		print_row(table, out, widths, heads);
		for (size_t c = 0; c < n; c++)
			free(heads[c].text);
	}
	for (size_t i = 0; i + n <= table->ncells; i += n)
		print_row(table, out, widths, table->cells + i);
}
