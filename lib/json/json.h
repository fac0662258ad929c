/* The door to jansson: parsing with caps, and typed getters that name the JSON pointer (RFC 6901) of the offence. */
#ifndef VN_JSON_JSON_H
#define VN_JSON_JSON_H
#include "util/buf.h"
#include "util/cleanup.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct json_t vn_json;        /* reference-counted; NULL is "absent" */

/* A value and where it stands. `what` (the document's name) must outlive it. v == NULL means absent. */
#define VN_JSON_AT 192
struct vn_jv {
	const vn_json *v;
	const char *what;
	char at[VN_JSON_AT];
};

/* Parse one document: UTF-8, no duplicate keys, depth at most VN_MAX_JSON_DEPTH, nothing behind it. VN_EFORMAT names line
 * and column. */
int vn_json_parse(const void *bytes, size_t len, const char *what, vn_json **ret, struct vn_err *err);
void vn_json_drop(vn_json *v);                               /* NULL is fine */
vn_json *vn_json_hold(const vn_json *v);                     /* one more reference */
static inline void vn_json_drop_p(vn_json **v) { vn_json_drop(*v); }
#define VN_AUTO_JSON VN_CLEANUP(vn_json_drop_p) vn_json

struct vn_jv vn_jv_root(const vn_json *v, const char *what);
/* Member / element; absent (or null) gives v == NULL. `obj` must be an object / array or absent: check with _is_. */
struct vn_jv vn_jv_get(const struct vn_jv *obj, const char *key);
struct vn_jv vn_jv_at(const struct vn_jv *array, size_t i);
size_t vn_jv_count(const struct vn_jv *array_or_object);     /* 0 when absent or neither */
bool vn_jv_is_object(const struct vn_jv *v);
bool vn_jv_is_array(const struct vn_jv *v);
bool vn_jv_is_string(const struct vn_jv *v);
/* Fail with VN_EFORMAT unless the value is absent or of that kind. */
int vn_jv_want_object(const struct vn_jv *v, struct vn_err *err);
int vn_jv_want_array(const struct vn_jv *v, struct vn_err *err);
/* The text stays the document's. _need_ fails when absent; _opt_ leaves NULL / the default. Embedded NUL is refused. */
int vn_jv_need_text(const struct vn_jv *obj, const char *key, const char **ret, struct vn_err *err);
int vn_jv_opt_text(const struct vn_jv *obj, const char *key, const char **ret, struct vn_err *err);
int vn_jv_text(const struct vn_jv *v, const char **ret, struct vn_err *err);       /* the value itself */
int vn_jv_need_size(const struct vn_jv *obj, const char *key, int64_t *ret, struct vn_err *err);   /* 0 … 2^53 */
int vn_jv_opt_int(const struct vn_jv *obj, const char *key, int64_t *ret, struct vn_err *err);
int vn_jv_opt_bool(const struct vn_jv *obj, const char *key, bool *ret, struct vn_err *err);
int vn_jv_int(const struct vn_jv *v, int64_t *ret, struct vn_err *err);            /* the value itself */
int vn_jv_bool(const struct vn_jv *v, bool *ret, struct vn_err *err);             /* likewise */
/* Walk an object in document order: `iter` starts as NULL; false at the end. */
bool vn_jv_each(const struct vn_jv *obj, void **iter, const char **ret_key, struct vn_jv *ret_value);

/* Building. A failed allocation yields NULL; _set_ and _add_ accept NULL and spoil the container, and a spoilt value cannot be
 * copied or written: a caller may check each call or once, at vn_json_text. */
vn_json *vn_json_object(void);
vn_json *vn_json_array(void);
vn_json *vn_json_string(const char *text);      /* bytes that are not UTF-8 become U+FFFD; NULL gives JSON null */
vn_json *vn_json_int(int64_t n);
vn_json *vn_json_real(double n);
vn_json *vn_json_bool(bool b);
vn_json *vn_json_copy(const vn_json *v);        /* deep */
bool vn_json_same(const vn_json *a, const vn_json *b);
/* Replace or add a member, keeping the order of the others; `v` is taken over. Returns false when something was NULL. */
bool vn_json_set(vn_json *obj, const char *key, vn_json *v);
bool vn_json_add(vn_json *array, vn_json *v);
bool vn_json_del(vn_json *obj, const char *key);
/* Compact (for registries: the same value gives the same bytes) or indented by two (for people). Appends to `ret`. */
int vn_json_text(const vn_json *v, bool pretty, struct vn_buf *ret, struct vn_err *err);
#endif
