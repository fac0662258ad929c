#include "registry/url.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void vn_url_release(struct vn_url *url)
{
	free(url->host);
	free(url->path);
	*url = (struct vn_url){ 0 };
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool alnum(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

static int split_host(const char *text, size_t len, char **ret_host, unsigned *ret_port, struct vn_err *err)
{
	VN_AUTO_FREE char *host = NULL;
	uint64_t port = 0;
	size_t n = 0;

	if (vn_asprintf(&host, err, "%.*s", (int)len, text) < 0)
		return -err->code;
	if (host[0] == '[') {
		char *end = strchr(host, ']');
		n = end ? (size_t)(end - host) + 1 : 0;
		if (n < 4 || strspn(host + 1, "0123456789abcdefABCDEF:.") != n - 2)
			return vn_fail(err, VN_EFORMAT, "\"%s\" is no host name", host);
	} else {
		while (alnum(host[n]) || (host[n] && strchr("-._", host[n])))
			n++;
	}
	if (!n || n > 255 || (host[n] && host[n] != ':'))
		return vn_fail(err, VN_EFORMAT, "\"%.255s\" is no host name", host);
	if (host[n] == ':' && host[n + 1] && (!vn_parse_u64(host + n + 1, &port) || !port || port > 65535))
		return vn_fail(err, VN_EFORMAT, "\"%s\": the port is not 1 to 65535", host);
	host[n] = 0;
	for (size_t i = 0; i < n; i++)
		host[i] = lower(host[i]);
	*ret_host = vn_steal(host);
	*ret_port = (unsigned)port;
	return 0;
}

int vn_host_split(const char *text, char **ret_host, unsigned *ret_port, struct vn_err *err)
{
	if (strlen(text) > 300)
		return vn_fail(err, VN_EUSAGE, "the host name is longer than 300 bytes");
	if (split_host(text, strlen(text), ret_host, ret_port, err) < 0) {
		err->code = err->code == VN_EFORMAT ? VN_EUSAGE : err->code;
		return -err->code;
	}
	return 0;
}

int vn_url_parse(const char *text, struct vn_url *ret, struct vn_err *err)
{
	VN_AUTO(vn_url) url = { 0 };
	size_t all = strlen(text), skip;

	if (all > VN_MAX_URL)
		return vn_fail(err, VN_ELIMIT, "a URL of %zu bytes is longer than %u", all, VN_MAX_URL);
	for (size_t i = 0; i < all; i++)
		if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f)
			return vn_fail(err, VN_EFORMAT, "a URL holds byte 0x%02x at offset %zu", (unsigned char)text[i], i);
	if (!strncasecmp(text, "https://", 8))
		url.tls = true, skip = 8;
	else if (!strncasecmp(text, "http://", 7))
		skip = 7;
	else
		return vn_fail(err, VN_EFORMAT, "\"%.64s\" is neither an http nor an https URL", text);
	size_t len = strcspn(text + skip, "/?#");
	if (memchr(text + skip, '@', len))
		return vn_fail(err, VN_EFORMAT, "a URL holds user information");
	if (split_host(text + skip, len, &url.host, &url.port, err) < 0)
		return -err->code;
	if (!url.port)
		url.port = url.tls ? 443 : 80;
	const char *rest = text + skip + len;
	if (vn_asprintf(&url.path, err, "%s%.*s", *rest == '/' ? "" : "/", (int)strcspn(rest, "#"), rest) < 0)
		return -err->code;
	*ret = url;
	url = (struct vn_url){ 0 };
	return 0;
}

static int origin_text(const struct vn_url *url, char **ret, struct vn_err *err)
{
	if (url->port == (url->tls ? 443u : 80u))
		return vn_asprintf(ret, err, "http%s://%s", url->tls ? "s" : "", url->host);
	return vn_asprintf(ret, err, "http%s://%s:%u", url->tls ? "s" : "", url->host, url->port);
}

int vn_url_text(const struct vn_url *url, char **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *origin = NULL;

	if (origin_text(url, &origin, err) < 0)
		return -err->code;
	return vn_asprintf(ret, err, "%s%s", origin, url->path);
}

int vn_url_resolve(const struct vn_url *base, const char *target, struct vn_url *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *origin = NULL, *text = NULL;
	size_t scheme = strcspn(target, ":/?#"), keep;
	int n;

	if (strlen(target) > VN_MAX_URL)
		return vn_fail(err, VN_ELIMIT, "a URL is longer than %u bytes", VN_MAX_URL);
	if (target[scheme] == ':')
		return vn_url_parse(target, ret, err);
	if (origin_text(base, &origin, err) < 0)
		return -err->code;
	size_t path = strcspn(base->path, "?");
	if (!strncmp(target, "//", 2)) {
		n = vn_asprintf(&text, err, "http%s:%s", base->tls ? "s" : "", target);
	} else if (*target == '/') {
		n = vn_asprintf(&text, err, "%s%s", origin, target);
	} else if (*target == '?') {
		n = vn_asprintf(&text, err, "%s%.*s%s", origin, (int)path, base->path, target);
	} else {
		for (keep = path; keep && base->path[keep - 1] != '/'; keep--)
			;
		n = vn_asprintf(&text, err, "%s%.*s%s", origin, (int)keep, base->path, target);
	}
	return n < 0 ? n : vn_url_parse(text, ret, err);
}

bool vn_url_same_origin(const struct vn_url *a, const struct vn_url *b)
{
	return a->tls == b->tls && a->port == b->port && !strcmp(a->host, b->host);
}

const char *vn_url_shown(const struct vn_url *url, char out[VN_URL_SHOWN])
{
	size_t path = strcspn(url->path, "?");
	char port[16] = "";

	if (url->port != (url->tls ? 443u : 80u))
		snprintf(port, sizeof port, ":%u", url->port);
	snprintf(out, VN_URL_SHOWN, "http%s://%s%s%.*s%s", url->tls ? "s" : "", url->host, port, (int)(path < 200 ? path : 200),
		 url->path, url->path[path] ? "?…" : "");
	return out;
}

int vn_url_escape(struct vn_buf *buf, const char *text, struct vn_err *err)
{
	for (; *text; text++) {
		int n = alnum(*text) || strchr("-._~", *text) ? vn_buf_add(buf, text, 1, err)
							      : vn_buf_addf(buf, err, "%%%02X", (unsigned char)*text);
		if (n < 0)
			return n;
	}
	return 0;
}

static enum vn_host_kind kind4(const uint8_t a[4])
{
	if (a[0] == 127 || a[0] == 0)
		return VN_HOST_LOOPBACK;
	if (a[0] == 169 && a[1] == 254)
		return VN_HOST_LINK_LOCAL;
	if (a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) || (a[0] == 192 && a[1] == 168))
		return VN_HOST_PRIVATE;
	return VN_HOST_PUBLIC;
}

static enum vn_host_kind kind6(const uint8_t a[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }, zero[15];

	if (!memcmp(a, mapped, 12))
		return kind4(a + 12);
	if (!memcmp(a, zero, 15) && a[15] <= 1)
		return VN_HOST_LOOPBACK;
	if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
		return VN_HOST_LINK_LOCAL;
	return (a[0] & 0xfe) == 0xfc ? VN_HOST_PRIVATE : VN_HOST_PUBLIC;
}

enum vn_host_kind vn_host_kind(const char *host)
{
	size_t len = strlen(host);
	char inner[64];
	uint8_t a[16];

	if (!strcasecmp(host, "localhost") || (len > 10 && !strcasecmp(host + len - 10, ".localhost")))
		return VN_HOST_LOOPBACK;
	if (host[0] == '[' && len > 2 && len < sizeof inner) {
		memcpy(inner, host + 1, len - 2);
		inner[len - 2] = 0;
		return inet_pton(AF_INET6, inner, a) == 1 ? kind6(a) : VN_HOST_PUBLIC;
	}
	/* inet_aton also takes the short and octal forms that a resolver would */
	struct in_addr v4;
	if (inet_aton(host, &v4)) {
		memcpy(a, &v4.s_addr, 4);
		return kind4(a);
	}
	return VN_HOST_PUBLIC;
}
