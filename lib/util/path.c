#include "util/path.h"
#include "util/limits.h"
#include <string.h>

int vn_path_clean(const char *raw, struct vn_buf *ret_path, struct vn_err *err)
{
	vn_buf_clear(ret_path);
	for (const char *p = raw; *p;) {
		while (*p == '/')
			p++;
		size_t n = strcspn(p, "/");
		if (n == 0 || (n == 1 && p[0] == '.')) {
			p += n;
			continue;
		}
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return vn_fail(err, VN_EUNSAFE, "the path \"%.200s\" leaves the image through \"..\"", raw);
		if (ret_path->len + n + 1 > VN_MAX_PATH)
			return vn_fail(err, VN_ELIMIT, "a path is longer than %d bytes: \"%.60s…\"", VN_MAX_PATH, raw);
		int r = ret_path->len ? vn_buf_add(ret_path, "/", 1, err) : 0;
		if (r == 0)
			r = vn_buf_add(ret_path, p, n, err);
		if (r < 0)
			return r;
		p += n;
	}
	return vn_buf_reserve(ret_path, 0, err);
}

static inline int rank(char c)
{
	return c == 0 ? -1 : c == '/' ? 0 : (int)(unsigned char)c + 1;
}

int vn_path_cmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	int x = rank(*a), y = rank(*b);
	return (x > y) - (x < y);
}

bool vn_path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return n == 0 || (strncmp(path, dir, n) == 0 && (path[n] == 0 || path[n] == '/'));
}

const char *vn_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* One [class]; returns the pattern behind it, or NULL when there is no closing bracket. */
static const char *class_match(const char *p, char c, bool *ret)
{
	bool negate = *p == '!' || *p == '^', hit = false;
	const char *start = p += negate;
	for (; *p && (*p != ']' || p == start); p++) {
		if (p[1] == '-' && p[2] && p[2] != ']') {
			hit |= (unsigned char)c >= (unsigned char)p[0] && (unsigned char)c <= (unsigned char)p[2];
			p += 2;
		} else {
			hit |= c == *p;
		}
	}
	if (!*p)
		return NULL;
	*ret = hit != negate;
	return p + 1;
}

/* One character of pattern against one of text, without stars; NULL when they differ. */
static const char *step(const char *p, char c)
{
	bool hit;
	const char *next;
	if (c == 0)
		return NULL;
	switch (*p) {
	case '?':
		return c == '/' ? NULL : p + 1;
	case '[':
		next = class_match(p + 1, c, &hit);
		if (next)
			return hit && c != '/' ? next : NULL;
		return c == '[' ? p + 1 : NULL;
	case '\\':
		if (p[1])
			p++;
		return *p == c ? p + 1 : NULL;
	default:
		return *p && *p == c ? p + 1 : NULL;
	}
}

/* Two backtracking points, one for the last '*' and one for the last "**": no recursion, at most quadratic in each. `below`: the
 * pattern ends in '/', and whatever follows it matches. */
static bool glob(const char *p, const char *t, bool below)
{
	const char *star_p = NULL, *star_t = NULL, *deep_p = NULL, *deep_t = NULL;
	for (;;) {
		if (p[0] == '*' && p[1] == '*') {
			p += 2;
			if (*p == '/')       /* "**" and the slash behind it also match nothing */
				p++;
			deep_p = p, deep_t = t;
			star_p = NULL;
			continue;
		}
		if (*p == '*') {
			star_p = ++p, star_t = t;
			continue;
		}
		if (!*p && (!*t || below))
			return !below || *t;
		const char *next = *p ? step(p, *t) : NULL;
		if (next) {
			p = next, t++;
		} else if (star_p && *star_t && *star_t != '/') {
			p = star_p, t = ++star_t;
		} else if (deep_p && *deep_t) {
			/* after "**" + '/' the rest starts at a component */
			if (deep_p[-1] == '/')
				while (deep_t[1] && *deep_t != '/')
					deep_t++;
			p = deep_p, t = ++deep_t;
			star_p = NULL;
		} else {
			return false;
		}
	}
}

bool vn_path_match(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);
	bool anchored = strchr(pattern, '/') != NULL;
	if (*pattern == '/')
		pattern++, n--;
	if (*path == '/')
		path++;
	if (n && pattern[n - 1] == '/')
		return glob(pattern, path, true);
	return glob(pattern, anchored ? path : vn_path_base(path), false);
}
