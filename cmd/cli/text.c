#include "cli/text.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_release(struct text *text)
{
	free(text->at);
	memset(text, 0, sizeof(*text));
}

void text_clear(struct text *text)
{
	text->len = 0;
	if (text->at)
		text->at[0] = '\0';
}

const char *text_get(const struct text *text)
{
	return text->at ? text->at : "";
}

static bool reserve(struct text *text, size_t more)
{
	size_t cap = text->cap ? text->cap : 64;
	char *at;

	if (text->failed || more >= SIZE_MAX / 4 - text->len) {
		text->failed = true;
		return false;
	}
	if (text->len + more < text->cap)
		return true;
	while (cap <= text->len + more)
		cap *= 2;
	at = realloc(text->at, cap);
	if (!at) {
		text->failed = true;
		return false;
	}
	text->at = at;
	text->cap = cap;
	return true;
}

void text_add_bytes(struct text *text, const char *bytes, size_t len)
{
	if (!reserve(text, len))
		return;
	if (len)
		memcpy(text->at + text->len, bytes, len);
	text->len += len;
	text->at[text->len] = '\0';
}

void text_add(struct text *text, const char *bytes)
{
	text_add_bytes(text, bytes, strlen(bytes));
}

void text_vaddf(struct text *text, const char *fmt, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0 || !reserve(text, (size_t)len)) {
		text->failed = true;
		return;
	}
	vsnprintf(text->at + text->len, (size_t)len + 1, fmt, ap);
	text->len += (size_t)len;
}

void text_addf(struct text *text, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_vaddf(text, fmt, ap);
	va_end(ap);
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t text_decode(const char *bytes, size_t len, unsigned *ret_code)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *at = (const unsigned char *)bytes;
	unsigned code;
	size_t need, i;

	if (!len)
		return 0;
	if (at[0] < 0x80) {
		*ret_code = at[0];
		return 1;
	}
	need = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	if (at[0] < 0xc2 || at[0] > 0xf4 || len < need)
		return 0;
	code = at[0] & (0xffu >> (need + 1));
	for (i = 1; i < need; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (code < least[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return need;
}

struct range {
	unsigned first, last;
};

static bool among(const struct range *ranges, size_t n, unsigned code)
{
	for (size_t i = 0; i < n; i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}
#define AMONG(ranges, code) among(ranges, sizeof(ranges) / sizeof((ranges)[0]), code)

/* Characters that move text, hide in it or end a line: Unicode 15, general categories Cc, Cf, Zl, Zp. */
static bool deceives(unsigned code)
{
	static const struct range ranges[] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x600, 0x605 }, { 0x61c, 0x61c }, { 0x6dd, 0x6dd },
		{ 0x70f, 0x70f }, { 0x180e, 0x180e }, { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0x110bd, 0x110bd }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe007f },
	};

	return AMONG(ranges, code);
}

static unsigned columns_of(unsigned code)
{
	static const struct range none[] = {
		{ 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a }, { 0x64b, 0x65f }, { 0x6d6, 0x6dc },
		{ 0x93c, 0x93c }, { 0x941, 0x948 }, { 0x94d, 0x94d }, { 0xe31, 0xe31 }, { 0xe34, 0xe3a }, { 0xe47, 0xe4e },
		{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f },
		{ 0xe0100, 0xe01ef },
	};
	static const struct range two[] = {
		{ 0x1100, 0x115f }, { 0x231a, 0x231b }, { 0x23e9, 0x23ec }, { 0x2e80, 0x303e }, { 0x3041, 0x33ff },
		{ 0x3400, 0x4dbf }, { 0x4e00, 0x9fff }, { 0xa000, 0xa4cf }, { 0xa960, 0xa97f }, { 0xac00, 0xd7a3 },
		{ 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f },
		{ 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x1fa70, 0x1faff }, { 0x20000, 0x3fffd },
	};

	if (code < 0x300)
		return 1;
	return AMONG(none, code) ? 0 : AMONG(two, code) ? 2 : 1;
}

size_t text_width(const char *utf8)
{
	size_t left = strlen(utf8), width = 0, n;
	unsigned code;

	for (; left; utf8 += n, left -= n) {
		n = text_decode(utf8, left, &code);
		width += n ? columns_of(code) : 1;
		n = n ? n : 1;
	}
	return width;
}

size_t text_fit(const char *utf8, size_t columns)
{
	size_t left = strlen(utf8), width = 0, at = 0, n;
	unsigned code;

	for (; left; at += n, left -= n) {
		n = text_decode(utf8 + at, left, &code);
		width += n ? columns_of(code) : 1;
		if (width > columns)
			break;
		n = n ? n : 1;
	}
	return at;
}

void text_escape_bytes(struct text *text, const char *bytes, size_t len, bool keep_lines)
{
	size_t n;

	for (; len; bytes += n, len -= n) {
		unsigned code = (unsigned char)*bytes;

		for (n = 0; n < len && bytes[n] >= ' ' && bytes[n] < 0x7f; n++)
			;
		if (n) {
			text_add_bytes(text, bytes, n);
			continue;
		}
		n = text_decode(bytes, len, &code);
		if (!n) {
			n = 1;
			text_addf(text, "\\x%02x", code);
		} else if (!deceives(code) || (keep_lines && (code == '\n' || code == '\t'))) {
			text_add_bytes(text, bytes, n);
		} else if (code == '\n' || code == '\t' || code == '\r') {
			text_add(text, code == '\n' ? "\\n" : code == '\t' ? "\\t" : "\\r");
		} else if (code < 0x80) {
			text_addf(text, "\\x%02x", code);
		} else {
			text_addf(text, "\\u{%x}", code);
		}
	}
}

void text_escape(struct text *text, const char *bytes)
{
	text_escape_bytes(text, bytes, strlen(bytes), false);
}

void text_json(struct text *text, const char *bytes)
{
	size_t len = strlen(bytes), n;
	unsigned code;

	text_add(text, "\"");
	for (; len; bytes += n, len -= n) {
		n = text_decode(bytes, len, &code);
		if (!n) {
			n = 1;
			text_add(text, "\\ufffd");
		} else if (code == '"' || code == '\\') {
			text_addf(text, "\\%c", (int)code);
		} else if (code < 0x20 || code == 0x7f) {
			text_addf(text, "\\u%04x", code);
		} else {
			text_add_bytes(text, bytes, n);
		}
	}
	text_add(text, "\"");
}
