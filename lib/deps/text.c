/* dpkg:   stanzas of "Key: value" lines parted by blank lines; a line that begins with a blank continues the one before
 *         (deb-control(5)). Status: WANT FLAG STATE (dpkg(1)); the files of distroless status.d have none.
 * apk:    stanzas of "X:value" lines parted by blank lines; P name, V version, A architecture (apk v2 "installed").
 * Python: the headers of one METADATA or PKG-INFO, up to the first blank line (core metadata specification). */
#include "deps/parse.h"
#include "util/limits.h"
#include "util/path.h"
#include <string.h>

struct line {
	const char *text;
	size_t len, at;
};

struct record {
	char name[VN_MAX_PACKAGE_FIELD], version[VN_MAX_PACKAGE_FIELD], arch[VN_MAX_PACKAGE_FIELD], status[64];
	size_t at;
	bool begun;
};

static bool next_line(const struct vn_deps *in, size_t *pos, struct line *ret)
{
	if (*pos >= in->len)
		return false;
	const char *text = (const char *)in->bytes + *pos;
	const char *end = memchr(text, '\n', in->len - *pos);
	size_t len = end ? (size_t)(end - text) : in->len - *pos;
	ret->at = *pos;
	ret->text = text;
	*pos += len + (end != NULL);
	ret->len = len && text[len - 1] == '\r' ? len - 1 : len;
	return true;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Keep the value that starts at `skip` in the line; the first of several stays. */
static int keep(const struct vn_deps *in, const struct line *l, size_t skip, char *field, size_t size, struct vn_err *err)
{
	size_t from = skip, to = l->len;
	while (from < to && blank(l->text[from]))
		from++;
	while (to > from && blank(l->text[to - 1]))
		to--;
	if (field[0])
		return 0;
	if (to - from >= size)
		return vn_deps_fail(in, l->at, err, "a value of %zu bytes, at most %zu are read", to - from, size - 1);
	if (memchr(l->text + from, 0, to - from))
		return vn_deps_fail(in, l->at, err, "a value holds a NUL byte");
	memcpy(field, l->text + from, to - from);
	field[to - from] = 0;
	return 0;
}

/* Letter case of ASCII alone, whatever the locale. */
static bool same_letters(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + 32) : a[i],
		     y = b[i] >= 'A' && b[i] <= 'Z' ? (char)(b[i] + 32) : b[i];
		if (x != y)
			return false;
	}
	return true;
}

static bool key_is(const struct line *l, size_t colon, const char *key)
{
	return strlen(key) == colon && same_letters(l->text, key, colon);
}

static int keep_control(const struct vn_deps *in, const struct line *l, size_t colon, struct record *r, struct vn_err *err)
{
	if (key_is(l, colon, "Package") || key_is(l, colon, "Name"))
		return keep(in, l, colon + 1, r->name, sizeof(r->name), err);
	if (key_is(l, colon, "Version"))
		return keep(in, l, colon + 1, r->version, sizeof(r->version), err);
	if (key_is(l, colon, "Architecture"))
		return keep(in, l, colon + 1, r->arch, sizeof(r->arch), err);
	if (key_is(l, colon, "Status"))
		return keep(in, l, colon + 1, r->status, sizeof(r->status), err);
	return 0;
}

static void begin(struct record *r, size_t at)
{
	r->name[0] = r->version[0] = r->arch[0] = r->status[0] = 0;
	r->at = at;
	r->begun = true;
}

static bool dpkg_installed(const struct record *r, bool no_status_lines)
{
	static const char *const states[] = { " installed", " triggers-pending", " triggers-awaited" };
	size_t len = strlen(r->status);
	if (!len)
		return no_status_lines;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (len > strlen(states[i]) && strcmp(r->status + len - strlen(states[i]), states[i]) == 0)
			return true;
	return false;
}

static int dpkg_end(struct vn_deps *in, struct record *r, struct vn_err *err)
{
	if (!r->begun)
		return 0;
	r->begun = false;
	if (!dpkg_installed(r, strstr(in->path, "status.d/") != NULL))
		return 0;
	return vn_deps_tell(in, r->at, r->name, r->version, r->arch, err);
}

int vn_deps_dpkg(struct vn_deps *in, struct vn_err *err)
{
	struct record r = { .begun = false };
	struct line l;
	int rc = 0;
	for (size_t pos = 0; rc == 0 && next_line(in, &pos, &l);) {
		if (l.len == 0) {
			rc = dpkg_end(in, &r, err);
			continue;
		}
		if (blank(l.text[0]))
			continue;
		const char *colon = memchr(l.text, ':', l.len);
		if (!colon)
			return vn_deps_fail(in, l.at, err, "a line without ':', expected \"Key: value\"");
		if (!r.begun)
			begin(&r, l.at);
		rc = keep_control(in, &l, (size_t)(colon - l.text), &r, err);
	}
	return rc ? rc : dpkg_end(in, &r, err);
}

static int apk_end(struct vn_deps *in, struct record *r, struct vn_err *err)
{
	if (!r->begun)
		return 0;
	r->begun = false;
	return vn_deps_tell(in, r->at, r->name, r->version, r->arch, err);
}

int vn_deps_apk(struct vn_deps *in, struct vn_err *err)
{
	struct record r = { .begun = false };
	struct line l;
	int rc = 0;
	for (size_t pos = 0; rc == 0 && next_line(in, &pos, &l);) {
		if (l.len == 0) {
			rc = apk_end(in, &r, err);
			continue;
		}
		if (l.len < 2 || l.text[1] != ':')
			return vn_deps_fail(in, l.at, err, "a line that does not begin with a letter and ':'");
		if (!r.begun)
			begin(&r, l.at);
		if (l.text[0] == 'P')
			rc = keep(in, &l, 2, r.name, sizeof(r.name), err);
		else if (l.text[0] == 'V')
			rc = keep(in, &l, 2, r.version, sizeof(r.version), err);
		else if (l.text[0] == 'A')
			rc = keep(in, &l, 2, r.arch, sizeof(r.arch), err);
	}
	return rc ? rc : apk_end(in, &r, err);
}

int vn_deps_python(struct vn_deps *in, struct vn_err *err)
{
	struct record r = { .begun = false };
	struct line l;
	begin(&r, 0);
	for (size_t pos = 0; next_line(in, &pos, &l) && l.len > 0;) {
		const char *colon = memchr(l.text, ':', l.len);
		if (colon && !blank(l.text[0]) && keep_control(in, &l, (size_t)(colon - l.text), &r, err) < 0)
			return -err->code;
	}
	return vn_deps_tell(in, 0, r.name, r.version, "", err);
}
