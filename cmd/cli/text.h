/* Growing text whose content may come from an image: escaped, measured in terminal columns, cut with "…". */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Zero it before the first use. `failed`: memory ran out, what is there is a beginning. */
struct text {
	char *at;
	size_t len, cap;
	bool failed;
};
void text_release(struct text *text);
void text_clear(struct text *text);
/* "" instead of NULL. */
const char *text_get(const struct text *text);
void text_add(struct text *text, const char *bytes);
void text_add_bytes(struct text *text, const char *bytes, size_t len);
void text_addf(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_vaddf(struct text *text, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Valid printable UTF-8 stays; anything that a terminal or a reader could take for something else is written as \n, \t,
 * \xNN (control characters, bytes that are not UTF-8) or \u{N} (line separators, direction marks, invisible characters). */
void text_escape(struct text *text, const char *bytes);
void text_escape_bytes(struct text *text, const char *bytes, size_t len, bool keep_lines);
/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void text_json(struct text *text, const char *bytes);

/* Terminal columns of valid UTF-8: 0 for combining marks, 2 for East Asian wide characters and emoji. */
size_t text_width(const char *utf8);
/* The bytes of the longest beginning that is at most `columns` wide. */
size_t text_fit(const char *utf8, size_t columns);
/* One character from `len` bytes: its length and code point; 0 when they do not begin with valid UTF-8. */
size_t text_decode(const char *bytes, size_t len, unsigned *ret_code);

#endif
