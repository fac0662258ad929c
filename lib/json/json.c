#include "json/json.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <jansson.h>
#include <string.h>

/* ---- text in messages: control characters of a hostile document must not reach a terminal */
static void printable(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
			*p = '?';
}

/* Drop a UTF-8 sequence that a size limit has cut. */
static void trim_cut(char *text)
{
	size_t n = strlen(text), tail = 0;
	while (tail < n && tail < 3 && ((unsigned char)text[n - 1 - tail] & 0xc0) == 0x80)
		tail++;
	if (tail == n)
		return;
	unsigned char lead = (unsigned char)text[n - 1 - tail];
	size_t need = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	if (need > tail)
		text[n - 1 - tail] = 0;
}

/* ---- parsing */
struct place {
	size_t line, column;
};
static struct place place_of(const char *bytes, size_t offset)
{
	struct place p = { 1, 1 };
	for (size_t i = 0; i < offset; i++) {
		p.column++;
		if (bytes[i] == '\n')
			p.line++, p.column = 1;
	}
	return p;
}

/* Bounds what the parser will build before it builds it: nesting costs stack, containers and members cost memory. */
static int check_shape(const char *bytes, size_t len, const char *what, struct vn_err *err)
{
	size_t depth = 0, containers = 0, values = 0;
	bool in_text = false;
	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];
		if (in_text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_text = false;
			continue;
		}
		if (c == '"')
			in_text = true;
		else if (c == ',')
			values++;
		else if (c == '[' || c == '{')
			depth++, containers++, values++;
		else if ((c == ']' || c == '}') && depth)
			depth--;
		else
			continue;
		struct place p;
		if (depth > VN_MAX_JSON_DEPTH) {
			p = place_of(bytes, i);
			return vn_fail(err, VN_ELIMIT, "%s: line %zu, column %zu: JSON nested deeper than %d levels", what,
				       p.line, p.column, VN_MAX_JSON_DEPTH);
		}
		if (containers > VN_MAX_JSON_CONTAINERS || values > VN_MAX_JSON_VALUES) {
			p = place_of(bytes, i);
			return vn_fail(err, VN_ELIMIT, "%s: line %zu, column %zu: JSON of more than %u %s", what, p.line,
				       p.column,
				       containers > VN_MAX_JSON_CONTAINERS ? VN_MAX_JSON_CONTAINERS : VN_MAX_JSON_VALUES,
				       containers > VN_MAX_JSON_CONTAINERS ? "objects and arrays" : "values");
		}
	}
	return 0;
}

int vn_json_parse(const void *bytes, size_t len, const char *what, vn_json **ret, struct vn_err *err)
{
	if (check_shape(bytes, len, what, err) < 0)
		return -err->code;
	json_error_t e = { 0 };
	json_t *root = json_loadb(len ? bytes : "", len, JSON_REJECT_DUPLICATES, &e);
	if (root) {
		*ret = root;
		return 0;
	}
	if (json_error_code(&e) == json_error_out_of_memory || !e.text[0]) /* jansson is silent where it finds no memory */
		return vn_nomem(err);
	if (len == 0)
		return vn_fail(err, VN_EFORMAT, "%s is empty, expected a JSON document", what);
	printable(e.text);
	trim_cut(e.text);
	return vn_fail(err, VN_EFORMAT, "%s: line %d, column %d: not valid JSON: %s", what, e.line, e.column, e.text);
}

/* jansson counts references inside the value, so its pointers are never const. */
static json_t *counted(const vn_json *v)
{
	return (json_t *)(uintptr_t)v;
}

vn_json *vn_json_hold(const vn_json *v)
{
	return json_incref(counted(v));
}

/* ---- reading */
struct vn_jv vn_jv_root(const vn_json *v, const char *what)
{
	struct vn_jv jv = { v, what, "" };
	if (json_is_null(v))
		jv.v = NULL;
	return jv;
}

static struct vn_jv below(const struct vn_jv *parent, const vn_json *v)
{
	struct vn_jv jv = { json_is_null(v) ? NULL : v, parent->what, "" };
	memcpy(jv.at, parent->at, sizeof(jv.at));
	return jv;
}

/* One reference token of RFC 6901, section 3; a pointer that does not fit ends in "...". */
static void point(struct vn_jv *jv, const char *key)
{
	static const char cut[] = "...";
	size_t n = strlen(jv->at), room = sizeof(jv->at) - sizeof(cut) - 1;
	const char *p = key;
	if (n + 2 > room) {
		if (strcmp(jv->at + n - 3, cut) != 0)
			memcpy(jv->at + n, cut, sizeof(cut));
		return;
	}
	jv->at[n++] = '/';
	for (; *p && n + 2 <= room; p++) {
		if (*p == '~' || *p == '/') {
			jv->at[n++] = '~';
			jv->at[n++] = *p == '~' ? '0' : '1';
		} else {
			jv->at[n++] = *p;
		}
	}
	jv->at[n] = 0;
	if (*p) {
		trim_cut(jv->at);
		memcpy(jv->at + strlen(jv->at), cut, sizeof(cut));
	}
	printable(jv->at);
}

struct vn_jv vn_jv_get(const struct vn_jv *obj, const char *key)
{
	struct vn_jv jv = below(obj, json_object_get(obj->v, key));
	point(&jv, key);
	return jv;
}

struct vn_jv vn_jv_at(const struct vn_jv *array, size_t i)
{
	char digits[24];
	snprintf(digits, sizeof(digits), "%zu", i);
	struct vn_jv jv = below(array, json_array_get(array->v, i));
	point(&jv, digits);
	return jv;
}

size_t vn_jv_count(const struct vn_jv *array_or_object)
{
	return json_is_array(array_or_object->v) ? json_array_size(array_or_object->v) : json_object_size(array_or_object->v);
}

bool vn_jv_is_object(const struct vn_jv *v)
{
	return json_is_object(v->v);
}

bool vn_jv_is_array(const struct vn_jv *v)
{
	return json_is_array(v->v);
}

bool vn_jv_is_string(const struct vn_jv *v)
{
	return json_is_string(v->v);
}

/* A value as a message shows it: short texts and numbers literally, else the kind. */
#define SHOWN 64
static const char *show(const vn_json *v, char out[SHOWN])
{
	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_NULL:
		return "missing";
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_INTEGER:
		snprintf(out, SHOWN, "%lld", (long long)json_integer_value(v));
		return out;
	case JSON_REAL:
		return "a number with a fraction or an exponent";
	case JSON_STRING:
		break;
	}
	const char *text = json_string_value(v);
	size_t len = strlen(text), max = SHOWN - sizeof("\"\"...");
	out[0] = '"';
	memcpy(out + 1, text, len < max ? len : max);
	out[1 + (len < max ? len : max)] = 0;
	if (len > max)
		trim_cut(out);
	strncat(out, len > max ? "...\"" : "\"", SHOWN - 1 - strlen(out));
	printable(out);
	return out;
}

static int unexpected(const struct vn_jv *jv, const char *expected, struct vn_err *err)
{
	char shown[SHOWN];
	return vn_fail(err, VN_EFORMAT, "%s%s%s is %s, expected %s", jv->what, jv->at[0] ? ": " : "", jv->at,
		       show(jv->v, shown), expected);
}

int vn_jv_want_object(const struct vn_jv *v, struct vn_err *err)
{
	return !v->v || json_is_object(v->v) ? 0 : unexpected(v, "an object", err);
}

int vn_jv_want_array(const struct vn_jv *v, struct vn_err *err)
{
	return !v->v || json_is_array(v->v) ? 0 : unexpected(v, "an array", err);
}

int vn_jv_text(const struct vn_jv *v, const char **ret, struct vn_err *err)
{
	if (!json_is_string(v->v))
		return unexpected(v, "a text", err);
	if (strlen(json_string_value(v->v)) != json_string_length(v->v))
		return unexpected(v, "a text without NUL characters", err);
	*ret = json_string_value(v->v);
	return 0;
}

int vn_jv_need_text(const struct vn_jv *obj, const char *key, const char **ret, struct vn_err *err)
{
	struct vn_jv v = vn_jv_get(obj, key);
	return vn_jv_text(&v, ret, err);
}

int vn_jv_opt_text(const struct vn_jv *obj, const char *key, const char **ret, struct vn_err *err)
{
	struct vn_jv v = vn_jv_get(obj, key);
	return v.v ? vn_jv_text(&v, ret, err) : 0;
}

int vn_jv_need_size(const struct vn_jv *obj, const char *key, int64_t *ret, struct vn_err *err)
{
	struct vn_jv v = vn_jv_get(obj, key);
	json_int_t n = json_integer_value(v.v);
	if (!json_is_integer(v.v) || n < 0 || n > VN_MAX_JSON_SIZE)
		return unexpected(&v, "a whole number from 0 to 2^53", err);
	*ret = n;
	return 0;
}

int vn_jv_opt_int(const struct vn_jv *obj, const char *key, int64_t *ret, struct vn_err *err)
{
	struct vn_jv v = vn_jv_get(obj, key);
	if (v.v && !json_is_integer(v.v))
		return unexpected(&v, "a whole number", err);
	if (v.v)
		*ret = json_integer_value(v.v);
	return 0;
}

int vn_jv_int(const struct vn_jv *v, int64_t *ret, struct vn_err *err)
{
	if (!json_is_integer(v->v))
		return unexpected(v, "a whole number", err);
	*ret = json_integer_value(v->v);
	return 0;
}

int vn_jv_bool(const struct vn_jv *v, bool *ret, struct vn_err *err)
{
	if (!json_is_boolean(v->v))
		return unexpected(v, "true or false", err);
	*ret = json_is_true(v->v);
	return 0;
}

int vn_jv_opt_bool(const struct vn_jv *obj, const char *key, bool *ret, struct vn_err *err)
{
	struct vn_jv v = vn_jv_get(obj, key);
	return v.v ? vn_jv_bool(&v, ret, err) : 0;
}

bool vn_jv_each(const struct vn_jv *obj, void **iter, const char **ret_key, struct vn_jv *ret_value)
{
	json_t *v = counted(obj->v);
	void *next = *iter ? json_object_iter_next(v, *iter) : json_object_iter(v);
	if (!next)
		return false;
	*iter = next;
	*ret_key = json_object_iter_key(next);
	*ret_value = below(obj, json_object_iter_value(next));
	point(ret_value, *ret_key);
	return true;
}
