#include "registry/challenge.h"
#include "util/cleanup.h"
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define MAX_CHALLENGES 32

void vn_challenges_release(struct vn_challenges *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->list[i].realm);
		free(list->list[i].service);
		free(list->list[i].scope);
		free(list->list[i].error);
	}
	free(list->list);
	*list = (struct vn_challenges){ 0 };
}

static size_t token_len(const char *p)
{
	size_t n = 0;
	while ((p[n] >= 'a' && p[n] <= 'z') || (p[n] >= 'A' && p[n] <= 'Z') || (p[n] >= '0' && p[n] <= '9') ||
	       (p[n] && strchr("!#$%&'*+-.^_`|~", p[n])))
		n++;
	return n;
}

static const char *blanks(const char *p)
{
	return p + strspn(p, " \t");
}

static int quoted(const char *start, const char **p, struct vn_buf *ret, struct vn_err *err)
{
	const char *q = *p + 1;

	for (; *q != '"'; q++) {
		if (*q == '\\' && q[1])
			q++;
		if (!*q)
			return vn_fail(err, VN_EFORMAT, "WWW-Authenticate: the quote at offset %zu does not end",
				       (size_t)(*p - start));
		if (vn_buf_add(ret, q, 1, err) < 0)
			return -err->code;
	}
	*p = q + 1;
	return 0;
}

/* Parameters stand in the order of the grammar; an unknown one is skipped, of a repeated one the first counts. */
static int keep(struct vn_challenge *c, const char *name, size_t len, const char *value, struct vn_err *err)
{
	static const char *const names[] = { "realm", "service", "scope", "error" };
	char **slots[] = { &c->realm, &c->service, &c->scope, &c->error };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == len && !strncasecmp(names[i], name, len) && !*slots[i])
			return vn_strdup(value, slots[i], err);
	return 0;
}

/* At `*p`: name BWS "=" BWS value, then a comma or the end. *ret_is is false (and *p stays) when it is something else. */
static int parameter(const char *start, const char **p, struct vn_challenge *c, bool *ret_is, struct vn_err *err)
{
	VN_AUTO(vn_buf) value = VN_BUF(64u << 10);
	const char *name = *p;
	size_t len = token_len(name);
	const char *q = blanks(name + len);

	*ret_is = false;
	if (!len || *q != '=')
		return 0;
	q = blanks(q + 1);
	if (*q == '"') {
		if (quoted(start, &q, &value, err) < 0)
			return -err->code;
	} else {
		size_t n = strcspn(q, " \t,\"");
		if (vn_buf_add(&value, q, n, err) < 0)
			return -err->code;
		q += n;
	}
	q = blanks(q);
	if (*q && *q != ',')
		return vn_fail(err, VN_EFORMAT, "WWW-Authenticate: a comma is missing at offset %zu", (size_t)(q - start));
	*p = q;
	*ret_is = true;
	return c ? keep(c, name, len, vn_buf_text(&value), err) : 0;
}

/* token68: "TlRMTVNT==" and nothing else up to a comma or the end. */
static const char *after_token68(const char *p)
{
	size_t n = 0;
	while (token_len(p + n) || p[n] == '/')
		n++;
	const char *end = blanks(p + n + strspn(p + n, "="));
	return n && (!*end || *end == ',') ? end : NULL;
}

static enum vn_scheme scheme_of(const char *name, size_t len)
{
	if (len == 5 && !strncasecmp(name, "Basic", 5))
		return VN_SCHEME_BASIC;
	return len == 6 && !strncasecmp(name, "Bearer", 6) ? VN_SCHEME_BEARER : VN_SCHEME_OTHER;
}

int vn_challenges_parse(const char *header, struct vn_challenges *list, struct vn_err *err)
{
	const char *p = header;
	bool is;

	for (;;) {
		p += strspn(p, " \t,");
		if (!*p)
			return 0;
		struct vn_challenge *c = list->n ? &list->list[list->n - 1] : NULL;
		if (parameter(header, &p, c, &is, err) < 0)
			return -err->code;
		if (is)
			continue;
		size_t len = token_len(p);
		if (!len)
			return vn_fail(err, VN_EFORMAT, "WWW-Authenticate: no scheme at offset %zu", (size_t)(p - header));
		if (list->n >= MAX_CHALLENGES)
			return vn_fail(err, VN_ELIMIT, "WWW-Authenticate: more than %d challenges", MAX_CHALLENGES);
		if (vn_grow(&list->list, &list->cap, list->n + 1, sizeof *list->list, err) < 0)
			return -err->code;
		list->list[list->n++] = (struct vn_challenge){ .scheme = scheme_of(p, len) };
		p += len;
		if (*p && *p != ',' && *p != ' ' && *p != '\t')
			return vn_fail(err, VN_EFORMAT, "WWW-Authenticate: unexpected \"%c\" at offset %zu", *p, (size_t)(p - header));
		const char *rest = blanks(p), *end = after_token68(rest);
		p = end ? end : rest;
	}
}

const struct vn_challenge *vn_challenges_best(const struct vn_challenges *list)
{
	const struct vn_challenge *basic = NULL;

	for (size_t i = 0; i < list->n; i++) {
		const struct vn_challenge *c = &list->list[i];
		if (c->scheme == VN_SCHEME_BEARER && c->realm && *c->realm)
			return c;
		if (c->scheme == VN_SCHEME_BASIC && !basic)
			basic = c;
	}
	return basic;
}
