#include "oci/platform.h"
#include "util/cleanup.h"
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static void set(char *field, size_t size, const char *text)
{
	snprintf(field, size, "%s", text);
}
#define SET(field, text) set(field, sizeof(field), text)

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text + 32);
}

/* Names in use → the names of GOARCH and of image-spec; a variant that a name implies fills an empty variant only. */
static const struct {
	const char *alias, *architecture, *variant;
} aliases[] = {
	{ "x86_64", "amd64", "" },
	{ "x86-64", "amd64", "" },
	{ "x64", "amd64", "" },
	{ "i386", "386", "" },
	{ "i486", "386", "" },
	{ "i586", "386", "" },
	{ "i686", "386", "" },
	{ "x86", "386", "" },
	{ "aarch64", "arm64", "" },
	{ "armhf", "arm", "v7" },
	{ "armel", "arm", "v6" },
	{ "armv8l", "arm", "v8" },
	{ "armv7l", "arm", "v7" },
	{ "armv6l", "arm", "v6" },
	{ "armv5tel", "arm", "v5" },
	{ "armv5l", "arm", "v5" },
	{ "armv7", "arm", "v7" },
	{ "armv6", "arm", "v6" },
	{ "loongarch64", "loong64", "" },
	{ "powerpc64le", "ppc64le", "" },
};

void vn_platform_normalise(struct vn_platform *p)
{
	lower(p->os);
	lower(p->architecture);
	lower(p->variant);
	if (strcmp(p->os, "macos") == 0)
		SET(p->os, "darwin");
	for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++) {
		if (strcmp(p->architecture, aliases[i].alias) != 0)
			continue;
		SET(p->architecture, aliases[i].architecture);
		if (!p->variant[0])
			SET(p->variant, aliases[i].variant);
		break;
	}
	if (p->variant[0] >= '1' && p->variant[0] <= '9' && strlen(p->variant) < sizeof(p->variant) - 1) {
		memmove(p->variant + 1, p->variant, strlen(p->variant) + 1);
		p->variant[0] = 'v';
	}
	bool arm = strcmp(p->architecture, "arm") == 0, arm64 = strcmp(p->architecture, "arm64") == 0;
	bool amd64 = strcmp(p->architecture, "amd64") == 0;
	if (arm && !p->variant[0])
		SET(p->variant, "v7");
	if ((arm64 && (strcmp(p->variant, "v8") == 0 || strcmp(p->variant, "v8.0") == 0)) ||
	    (amd64 && strcmp(p->variant, "v1") == 0))
		p->variant[0] = 0;
}

static bool token_ok(const char *text, size_t len, size_t room)
{
	if (len == 0 || len >= room)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", text[i]))
			return false;
	return true;
}

/* Operating systems of GOOS that images exist for: tells "windows" (no architecture) from "arm64" (no system). */
static bool known_os(const char *text)
{
	static const char *const names[] = { "linux",	"windows", "darwin", "macos",	"freebsd", "netbsd", "openbsd",
					     "solaris", "illumos", "aix",    "android", "plan9",   "wasip1", "js" };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(text, names[i]) == 0)
			return true;
	return false;
}

static int bad_platform(const char *text, const char *why, struct vn_err *err)
{
	vn_fail(err, VN_EUSAGE, "platform \"%.80s\": %s", text, why);
	return vn_hint(err, "a platform is os/architecture[/variant], such as linux/arm64, linux/arm/v7, amd64 or local");
}

int vn_platform_parse(const char *text, struct vn_platform *ret, struct vn_err *err)
{
	struct vn_platform p = { 0 };
	if (strcmp(text, "local") == 0) {
		vn_platform_local(ret);
		return 0;
	}
	char parts[3][32] = { "" };
	size_t n = 0;
	const char *from = text;
	for (;; n++) {
		size_t len = strcspn(from, "/");
		if (n == 3)
			return bad_platform(text, "more than three parts", err);
		if (!token_ok(from, len, sizeof(parts[n])))
			return bad_platform(text,
					    len ? "a part is too long or holds other than letters, digits, '.', '_', '-'"
						: "a part is empty",
					    err);
		memcpy(parts[n], from, len);
		if (!from[len])
			break;
		from += len + 1;
	}
	for (size_t i = 0; i <= n; i++)
		lower(parts[i]);
	if (n == 0 && known_os(parts[0]))
		return bad_platform(text, "the architecture is missing", err);
	/* "arm/v7" and "arm64/v8": an architecture and its variant */
	bool no_os = n == 0 || (n == 1 && !known_os(parts[0]) && parts[1][0] == 'v' && digit(parts[1][1]));
	SET(p.os, no_os ? "linux" : parts[0]);
	SET(p.architecture, parts[no_os ? 0 : 1]);
	SET(p.variant, no_os ? parts[1] : parts[2]);
	vn_platform_normalise(&p);
	*ret = p;
	return 0;
}

static int field_of_json(const struct vn_jv *v, const char *key, char *field, size_t size, struct vn_err *err)
{
	const char *text = "";
	if (vn_jv_opt_text(v, key, &text, err) < 0)
		return -err->code;
	if (strlen(text) >= size)
		return vn_fail(err, VN_EFORMAT, "%s: %s/%s is \"%.40s...\", expected less than %zu bytes", v->what, v->at, key,
			       text, size);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return vn_fail(err, VN_EFORMAT, "%s: %s/%s holds a control character", v->what, v->at, key);
	set(field, size, text);
	return 0;
}

int vn_platform_of_json(const struct vn_jv *v, struct vn_platform *ret, struct vn_err *err)
{
	struct vn_platform p = { 0 };
	if (vn_jv_want_object(v, err) < 0 || field_of_json(v, "os", p.os, sizeof(p.os), err) < 0 ||
	    field_of_json(v, "architecture", p.architecture, sizeof(p.architecture), err) < 0 ||
	    field_of_json(v, "variant", p.variant, sizeof(p.variant), err) < 0 ||
	    field_of_json(v, "os.version", p.os_version, sizeof(p.os_version), err) < 0)
		return -err->code;
	vn_platform_normalise(&p);
	*ret = p;
	return 0;
}

vn_json *vn_platform_to_json(const struct vn_platform *p)
{
	VN_AUTO_JSON *o = vn_json_object();
	bool ok =
		vn_json_set(o, "architecture", vn_json_string(p->architecture)) && vn_json_set(o, "os", vn_json_string(p->os));
	if (p->os_version[0])
		ok = ok && vn_json_set(o, "os.version", vn_json_string(p->os_version));
	if (p->variant[0])
		ok = ok && vn_json_set(o, "variant", vn_json_string(p->variant));
	return ok ? vn_steal(o) : NULL;
}

void vn_platform_local(struct vn_platform *ret)
{
	struct utsname u;
	struct vn_platform p = { .os = "linux" };
	if (uname(&u) == 0) {
		snprintf(p.os, sizeof(p.os), "%.*s", (int)sizeof(p.os) - 1, u.sysname);
		snprintf(p.architecture, sizeof(p.architecture), "%.*s", (int)sizeof(p.architecture) - 1, u.machine);
	}
	vn_platform_normalise(&p);
	*ret = p;
}

const char *vn_platform_text(const struct vn_platform *p, char out[VN_PLATFORM_TEXT])
{
	snprintf(out, VN_PLATFORM_TEXT, "%s/%s%s%s", p->os[0] ? p->os : "unknown",
		 p->architecture[0] ? p->architecture : "unknown", p->variant[0] ? "/" : "", p->variant);
	return out;
}

/* "v8.5" → 805, "v7" → 700; what an absent variant means stands for itself. -1: not a version. */
static int variant_rank(const char *architecture, const char *variant)
{
	if (!variant[0])
		return strcmp(architecture, "arm64") == 0   ? 800
		       : strcmp(architecture, "amd64") == 0 ? 100
		       : strcmp(architecture, "arm") == 0   ? 700
							    : -1;
	unsigned major = 0, minor = 0;
	const char *p = variant;
	if (*p++ != 'v' || !digit(*p))
		return -1;
	for (; digit(*p) && major < 100; p++)
		major = major * 10 + (unsigned)(*p - '0');
	if (*p == '.' && digit(p[1]))
		for (p++; digit(*p) && minor < 100; p++)
			minor = minor * 10 + (unsigned)(*p - '0');
	return *p || minor >= 100 || major >= 100 ? -1 : (int)(major * 100 + minor);
}

/* Scores: own architecture 200000 + variant, the architecture that the CPU also runs 100000 + variant, no platform 1. */
int vn_platform_score(const struct vn_platform *want, const struct vn_platform *have)
{
	struct vn_platform w = *want, h = *have;
	vn_platform_normalise(&w);
	vn_platform_normalise(&h);
	if (!h.os[0] && !h.architecture[0])
		return 1;
	if (strcmp(w.os, h.os) != 0)
		return 0;
	int wr = variant_rank(w.architecture, w.variant), hr = variant_rank(h.architecture, h.variant);
	if (strcmp(w.architecture, h.architecture) == 0) {
		if (strcmp(w.variant, h.variant) == 0)
			return 300000;
		if (wr >= 0 && hr >= 0)
			return hr <= wr ? 200000 + hr : 0;
		return h.variant[0] && w.variant[0] ? 0 : 200000;
	}
	if (strcmp(w.architecture, "arm64") == 0 && strcmp(h.architecture, "arm") == 0)
		return hr >= 0 && hr <= 800 ? 100000 + hr : 0;
	if (strcmp(w.architecture, "amd64") == 0 && strcmp(h.architecture, "386") == 0)
		return 100000;
	return 0;
}

bool vn_platform_same(const struct vn_platform *a, const struct vn_platform *b)
{
	struct vn_platform x = *a, y = *b;
	vn_platform_normalise(&x);
	vn_platform_normalise(&y);
	return strcmp(x.os, y.os) == 0 && strcmp(x.architecture, y.architecture) == 0 && strcmp(x.variant, y.variant) == 0 &&
	       strcmp(x.os_version, y.os_version) == 0;
}
