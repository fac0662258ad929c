#include "json/json.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

vn_json *vn_json_object(void)
{
	return json_object();
}

vn_json *vn_json_array(void)
{
	return json_array();
}

/* Bytes of the well-formed UTF-8 sequence at `p` (Unicode, table 3-7), 0 when there is none. */
static size_t utf8_len(const unsigned char *p)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	if (p[0] == 0xed)
		high = 0x9f;
	if (p[0] == 0xf0)
		low = 0x90;
	if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static vn_json *repaired_string(const char *text)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t len = strlen(text), room;
	if (__builtin_mul_overflow(len, sizeof(replacement) - 1, &room))
		return NULL;
	char *copy = malloc(room + 1);
	if (!copy)
		return NULL;
	size_t out = 0;
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len((const unsigned char *)text + i);
		memcpy(copy + out, n ? text + i : replacement, n ? n : sizeof(replacement) - 1);
		out += n ? n : sizeof(replacement) - 1;
		i += n ? n : 1;
	}
	json_t *v = json_stringn_nocheck(copy, out);
	free(copy);
	return v;
}

vn_json *vn_json_string(const char *text)
{
	if (!text)
		return json_null();
	for (const char *p = text; *p;) {
		size_t n = utf8_len((const unsigned char *)p);
		if (!n)
			return repaired_string(text);
		p += n;
	}
	return json_string_nocheck(text);
}

vn_json *vn_json_int(int64_t n)
{
	return json_integer(n);
}

vn_json *vn_json_real(double n)
{
	return json_real(n);
}

vn_json *vn_json_bool(bool b)
{
	return json_boolean(b);
}

vn_json *vn_json_copy(const vn_json *v)
{
	return json_deep_copy(v);
}

bool vn_json_same(const vn_json *a, const vn_json *b)
{
	return json_equal(a, b);
}

/* A document of which a part could not be made must not be written without that part: its container turns into a value of no
 * type that jansson knows, which jansson refuses to copy, to extend, to write and to free. vn_json_drop() turns it back. */
#define SPOILT_OBJECT ((json_type)0x7ffe)
#define SPOILT_ARRAY ((json_type)0x7fff)
static bool spoil(vn_json *container)
{
	if (json_is_object(container)) {
		json_object_clear(container);
		container->type = SPOILT_OBJECT;
	} else if (json_is_array(container)) {
		json_array_clear(container);
		container->type = SPOILT_ARRAY;
	}
	return false;
}

/* What goes with the last reference to `v` becomes free-able again. */
static void heal(json_t *v)
{
	const char *key;
	json_t *child;
	size_t i;
	if (!v || v->refcount != 1)
		return;
	if (v->type == SPOILT_OBJECT)
		v->type = JSON_OBJECT;
	else if (v->type == SPOILT_ARRAY)
		v->type = JSON_ARRAY;
	json_object_foreach(v, key, child) {
		heal(child);
	}
	json_array_foreach(v, i, child) {
		heal(child);
	}
}

void vn_json_drop(vn_json *v)
{
	heal(v);
	json_decref(v);
}

bool vn_json_set(vn_json *obj, const char *key, vn_json *v)
{
	json_t *well_formed = vn_json_string(key);
	bool ok = json_object_set_new(obj, json_string_value(well_formed), v) == 0;
	json_decref(well_formed);
	return ok || spoil(obj);
}

bool vn_json_add(vn_json *array, vn_json *v)
{
	return json_array_append_new(array, v) == 0 || spoil(array);
}

bool vn_json_del(vn_json *obj, const char *key)
{
	return json_object_del(obj, key) == 0;
}

/* ---- writing */
struct writer {
	struct vn_buf *buf;
	struct vn_err *err;
	bool failed;
};
static int write_piece(const char *data, size_t len, void *user)
{
	struct writer *w = user;
	w->failed = vn_buf_add(w->buf, data, len, w->err) < 0;
	return w->failed ? -1 : 0;
}

int vn_json_text(const vn_json *v, bool pretty, struct vn_buf *ret, struct vn_err *err)
{
	struct writer w = { ret, err, false };
	size_t flags = JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : JSON_COMPACT);
	size_t before = ret->len;
	if (v && json_dump_callback(v, write_piece, &w, flags) == 0)
		return 0;
	ret->len = before;
	if (ret->data)
		ret->data[before] = 0;
	if (w.failed)
		return -err->code;
	return vn_nomem(err);
}
