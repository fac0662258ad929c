#include "json/json.h"
#include "registry/auth.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <string.h>

#define LEAST_LIFE 60                /* also the default (distribution token.md) */
#define MOST_LIFE (7 * 86400)

void vn_token_release(struct vn_token *token)
{
	if (token->text)
		explicit_bzero(token->text, strlen(token->text));
	if (token->refresh)
		explicit_bzero(token->refresh, strlen(token->refresh));
	free(token->text);
	free(token->refresh);
	*token = (struct vn_token){ 0 };
}

/* It goes into a header line. */
static bool printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

int vn_token_parse(const void *bytes, size_t len, struct vn_token *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	VN_AUTO(vn_token) token = { 0 };
	const char *text = NULL, *access = NULL, *refresh = NULL, *issued = NULL;
	int64_t life = LEAST_LIFE;
	struct vn_err ignored = { 0 };

	if (vn_json_parse(bytes, len, "the token server's reply", &doc, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(doc, "the token server's reply");
	if (vn_jv_want_object(&root, err) < 0 || vn_jv_opt_text(&root, "token", &text, err) < 0 ||
	    vn_jv_opt_text(&root, "access_token", &access, err) < 0 || vn_jv_opt_text(&root, "refresh_token", &refresh, err) < 0)
		return -err->code;
	text = text && *text ? text : access;
	if (!text || !*text)
		return vn_fail(err, VN_EFORMAT, "the token server's reply has neither token nor access_token");
	if (!printable(text))
		return vn_fail(err, VN_EFORMAT, "the token server's reply has a token that is not printable");
	/* some servers send odd kinds here; the life is only a hint */
	if (vn_jv_opt_int(&root, "expires_in", &life, &ignored) < 0 || life < LEAST_LIFE)
		life = LEAST_LIFE;
	token.seconds = (uint64_t)(life < MOST_LIFE ? life : MOST_LIFE);
	if (vn_jv_opt_text(&root, "issued_at", &issued, &ignored) == 0 && issued && !vn_parse_time(issued, &token.issued))
		token.issued = 0;
	if (vn_strdup(text, &token.text, err) < 0)
		return -err->code;
	if (refresh && *refresh && vn_strdup(refresh, &token.refresh, err) < 0)
		return -err->code;
	*ret = token;
	token = (struct vn_token){ 0 };
	return 0;
}

/* The next scope of a list: its length, 0 at the end; *p moves to its start. */
static size_t scope_len(const char **p)
{
	*p += strspn(*p, " ");
	return strcspn(*p, " ");
}

/* Bytes of "repository:host:5000/name" in "repository:host:5000/name:pull,push": up to the last colon. */
static size_t resource_len(const char *scope, size_t len)
{
	const char *colon = memrchr(scope, ':', len);
	return colon ? (size_t)(colon - scope) : len;
}

static bool has_action(const char *actions, size_t len, const char *action, size_t action_len)
{
	for (size_t i = 0; i < len;) {
		const char *comma = memchr(actions + i, ',', len - i);
		size_t n = comma ? (size_t)(comma - actions) - i : len - i;
		if ((n == action_len && !memcmp(actions + i, action, n)) || (n == 1 && actions[i] == '*'))
			return true;
		i += n + 1;
	}
	return false;
}

static bool covers_one(const char *have, const char *want, size_t want_len)
{
	size_t resource = resource_len(want, want_len), n;

	for (const char *h = have; (n = scope_len(&h)); h += n) {
		if (resource_len(h, n) != resource || memcmp(h, want, resource))
			continue;
		bool all = true;
		for (size_t i = resource + 1; i < want_len;) {
			const char *comma = memchr(want + i, ',', want_len - i);
			size_t len = comma ? (size_t)(comma - want) - i : want_len - i;
			all = all && n > resource && has_action(h + resource + 1, n - resource - 1, want + i, len);
			i += len + 1;
		}
		if (all)
			return true;
	}
	return false;
}

bool vn_scope_covers(const char *have, const char *want)
{
	size_t n;

	for (const char *w = want; (n = scope_len(&w)); w += n)
		if (!covers_one(have, w, n))
			return false;
	return true;
}
