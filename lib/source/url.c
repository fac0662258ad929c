#include "source/source.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include <string.h>

#define MAX_TEXT (1u << 20)

static bool ends_word(char c)
{
	return (unsigned char)c <= ' ' || strchr("\"'`<>", c) != NULL;
}

static size_t word(const char *text, size_t len)
{
	size_t n = 0;
	while (n < len && !ends_word(text[n]))
		n++;
	return n;
}

/* Bytes of "user:password@" at the start of what follows "://". Where a password holds a character that should have been
 * escaped, the host seems to end early, behind a colon that no port follows: then the last '@' of the word counts. */
static size_t userinfo(const char *text, size_t len)
{
	size_t whole = word(text, len), authority = 0;
	while (authority < whole && !strchr("/?#", text[authority]))
		authority++;
	const char *at = memrchr(text, '@', authority), *colon = memrchr(text, ':', authority);
	size_t port = colon ? (size_t)(colon - text) + 1 : authority;
	while (port < authority && text[port] >= '0' && text[port] <= '9')
		port++;
	if (!at && port < authority)
		at = memrchr(text, '@', whole);
	return at ? (size_t)(at - text) + 1 : 0;
}

/* ssh needs its user to be of use, so that one loses the password only. */
static int clean(struct vn_buf *out, const char *text, size_t len, struct vn_err *err)
{
	size_t done = 0;
	for (const char *mark; done < len && (mark = memmem(text + done, len - done, "://", 3));) {
		size_t from = (size_t)(mark - text) + 3, skip = userinfo(text + from, len - from);
		const char *colon = memchr(text + from, ':', skip);
		size_t keep = mark - text >= 3 && !memcmp(mark - 3, "ssh", 3) ? skip : 0;
		int r = vn_buf_add(out, text + done, from - done, err);
		if (r == 0 && keep)
			r = vn_buf_add(out, text + from, colon ? (size_t)(colon - text) - from : keep - 1, err);
		if (r == 0 && keep)
			r = vn_buf_add(out, "@", 1, err);
		if (r < 0)
			return r;
		done = from + skip;
	}
	return done < len ? vn_buf_add(out, text + done, len - done, err) : 0;
}

int vn_source_clean_text(const char *text, size_t len, char **ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) out = VN_BUF(MAX_TEXT);
	int r = clean(&out, text, len, err);
	return r < 0 ? r : vn_buf_steal(&out, ret, err);
}

int vn_source_clean_url(const char *url, char **ret, struct vn_err *err)
{
	const char *scheme = strstr(url, "://"), *slash = strchr(url, '/'), *at = strrchr(url, '@');
	size_t len = strlen(url);
	if (scheme) {
		VN_AUTO_FREE char *clear = NULL;
		int r = vn_source_clean_text(url, len, &clear, err);
		if (r < 0)
			return r;
		/* tokens also travel as ?access_token=… */
		clear[strncmp(clear, "http", 4) ? strlen(clear) : strcspn(clear, "?#")] = 0;
		*ret = vn_steal(clear);
		return 0;
	}
	/* scp-like: user@host:path; with a password it is no valid address, but one more reason to drop it */
	const char *colon = strchr(url, ':');
	if (at && colon && colon < at && (!slash || at < slash))
		return vn_strdup(at + 1, ret, err);
	return vn_strdup(url, ret, err);
}
