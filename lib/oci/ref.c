/* Grammar, after distribution/reference:
 *   reference  = [ domain "/" ] path [ ":" tag ] [ "@" digest ]
 *   domain     = host [ ":" port ]; host = name labels, IPv4, or "[" IPv6 "]"
 *   path       = component *( "/" component ); component = 1*alnum *( ( "." / "_" / "__" / 1*"-" ) 1*alnum ), lower case
 *   tag        = ( ALPHA / DIGIT / "_" ) *127( ALPHA / DIGIT / "_" / "." / "-" )
 * The first component is a domain when it holds '.' or ':' or is "localhost". (distribution/reference also takes one with an
 * upper-case letter for a domain; here that is an error, since it is nearly always a mistyped name.) */
#include "oci/ref.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>

#define MAX_NAME 255 /* domain and path together, distribution-spec "Pulling manifests" */
#define MAX_TAG 128
#define MAX_REF 8192

void vn_ref_release(struct vn_ref *ref)
{
	free(ref->registry);
	free(ref->repository);
	free(ref->path);
	free(ref->name);
	free(ref->tag);
	free(ref->text);
	*ref = (struct vn_ref){ 0 };
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_lower(c) || is_upper(c) || is_digit(c);
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool vn_tag_valid(const char *tag)
{
	size_t n = 0;
	for (; tag[n]; n++)
		if (n >= MAX_TAG || !(is_alnum(tag[n]) || tag[n] == '_' || (n > 0 && (tag[n] == '.' || tag[n] == '-'))))
			return false;
	return n > 0;
}

static int bad(const char *text, const char *part, const char *found, const char *expected, struct vn_err *err)
{
	return vn_fail(err, VN_EUSAGE, "reference \"%.200s\": %s \"%.140s\" is not valid, expected %s", text, part, found,
		       expected);
}

static int dup_part(const char *from, size_t len, char **ret, struct vn_err *err)
{
	char *copy = malloc(len + 1);
	if (!copy)
		return vn_nomem(err);
	memcpy(copy, from, len);
	copy[len] = 0;
	*ret = copy;
	return 0;
}

static bool port_ok(const char *port)
{
	uint64_t n;
	return strlen(port) <= 5 && vn_parse_u64(port, &n) && n > 0 && n <= 65535;
}

static bool label_ok(const char *p, size_t len)
{
	if (len == 0 || len > 63 || p[0] == '-' || p[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(p[i]) && p[i] != '-' && p[i] != '_')
			return false;
	return true;
}

static bool host_ok(const char *host)
{
	if (host[0] == '[') {
		const char *end = strchr(host, ']');
		size_t colons = 0;
		for (const char *p = host + 1; end && p < end; p++) {
			colons += *p == ':';
			if (!is_hex(*p) && *p != ':' && *p != '.')
				return false;
		}
		return end && colons >= 2 && (end[1] == 0 || (end[1] == ':' && port_ok(end + 2)));
	}
	size_t len = strcspn(host, ":");
	if (host[len] == ':' && !port_ok(host + len + 1))
		return false;
	for (size_t i = 0; i < len;) {
		size_t n = strcspn(host + i, ".:");
		if (!label_ok(host + i, n))
			return false;
		i += n;
		if (host[i] == '.' && ++i == len)
			return false;
	}
	return len > 0;
}

static bool component_ok(const char *p, size_t len)
{
	size_t i = 0;
	while (i < len) {
		size_t run = i;
		while (i < len && (is_lower(p[i]) || is_digit(p[i])))
			i++;
		if (i == run)
			return false;
		if (i == len)
			return true;
		size_t sep = i;
		while (i < len && p[i] == p[sep] && strchr("._-", p[i]))
			i++;
		size_t n = i - sep;
		if (n == 0 || i == len || (p[sep] == '.' && n > 1) || (p[sep] == '_' && n > 2))
			return false;
	}
	return false;
}

static int check_repository(const char *text, const char *repository, struct vn_err *err)
{
	for (const char *p = repository; *p; p++)
		if (is_upper(*p)) {
			bad(text, "repository", repository, "lower case", err);
			return vn_hint(err, "repository names are lower case; tags may hold upper case");
		}
	for (const char *p = repository;; p++) {
		size_t len = strcspn(p, "/");
		if (len == 0)
			return vn_fail(err, VN_EUSAGE,
				       "reference \"%.200s\": the repository \"%.140s\" has an empty part, expected name or "
				       "name/name",
				       text, repository);
		if (!component_ok(p, len)) {
			char part[64];
			snprintf(part, sizeof(part), "%.*s", (int)(len < 60 ? len : 60), p);
			return bad(text, "repository part", part,
				   "lower-case letters and digits, joined by '.', '_', '__' or '-'", err);
		}
		p += len;
		if (!*p)
			return 0;
	}
}

static bool has_domain(const char *name, size_t *ret_len)
{
	size_t len = strcspn(name, "/");
	if (!name[len])
		return false;
	*ret_len = len;
	if (len == 9 && strncmp(name, "localhost", 9) == 0)
		return true;
	for (size_t i = 0; i < len; i++)
		if (name[i] == '.' || name[i] == ':')
			return true;
	return false;
}

static bool docker_hub(const char *host)
{
	return strcmp(host, "docker.io") == 0 || strcmp(host, "index.docker.io") == 0 ||
	       strcmp(host, "registry-1.docker.io") == 0;
}

static int split_name(const char *text, const char *name, struct vn_ref *r, struct vn_err *err)
{
	size_t len = 0;
	bool domain = has_domain(name, &len);
	if (domain && dup_part(name, len, &r->registry, err) < 0)
		return -err->code;
	const char *repository = domain ? name + len + 1 : name;
	if (domain && !host_ok(r->registry))
		return bad(text, "registry", r->registry, "host, host:port or [IPv6]:port", err);
	for (char *p = r->registry; p && *p; p++)
		if (is_upper(*p))
			*p += 'a' - 'A';
	if (!domain || docker_hub(r->registry)) {
		free(vn_steal(r->registry));
		if (vn_strdup("docker.io", &r->registry, err) < 0)
			return -err->code;
	}
	if (!*repository)
		return vn_fail(err, VN_EUSAGE, "reference \"%.200s\": the repository is missing, expected %s/name[:tag]", text,
			       r->registry);
	if (check_repository(text, repository, err) < 0)
		return -err->code;
	size_t hex = 0;
	while (is_hex(name[hex]))
		hex++;
	if (hex == 64 && !name[64]) {
		vn_fail(err, VN_EUSAGE, "reference \"%.200s\": 64 hexadecimal digits alone are an image's id, not a name",
			text);
		return vn_hint(err, "write NAME@sha256:ID, or docker-daemon:sha256:ID for an image of the engine");
	}
	bool library = strcmp(r->registry, "docker.io") == 0 && !strchr(repository, '/');
	if (vn_asprintf(&r->repository, err, "%s%s", library ? "library/" : "", repository) < 0)
		return -err->code;
	if (strlen(r->registry) + 1 + strlen(r->repository) > MAX_NAME)
		return vn_fail(err, VN_EUSAGE,
			       "reference \"%.60s...\": registry and repository have %zu characters, at most %d are allowed",
			       text, strlen(r->registry) + 1 + strlen(r->repository), MAX_NAME);
	return 0;
}

/* [domain/]path[:tag][@digest] without a transport, into registry, repository, tag and digest. */
static int parse_named(const char *text, const char *named, struct vn_ref *r, struct vn_err *err)
{
	const char *at = strchr(named, '@');
	size_t len = at ? (size_t)(at - named) : strlen(named);
	if (at && vn_digest_parse(at + 1, &r->digest, err) < 0) {
		err->code = VN_EUSAGE;
		return vn_wrap(err, "reference \"%.200s\": digest", text);
	}
	VN_AUTO_FREE char *name = NULL;
	if (dup_part(named, len, &name, err) < 0)
		return -err->code;
	char *slash = strrchr(name, '/'), *colon = strchr(slash ? slash : name, ':');
	if (colon) {
		*colon = 0;
		if (!vn_tag_valid(colon + 1))
			return bad(text, "tag", colon + 1,
				   "1 to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'", err);
		if (vn_strdup(colon + 1, &r->tag, err) < 0)
			return -err->code;
	}
	if (!*name)
		return vn_fail(err, VN_EUSAGE,
			       "reference \"%.200s\": the name is missing, expected [registry/]name[:tag][@digest]", text);
	if (split_name(text, name, r, err) < 0)
		return -err->code;
	return 0;
}

static int parse_registry(const char *text, struct vn_ref *r, struct vn_err *err)
{
	if (parse_named(text, text, r, err) < 0)
		return -err->code;
	if (!r->tag && vn_digest_none(&r->digest) && vn_strdup("latest", &r->tag, err) < 0)
		return -err->code;
	return 0;
}

/* A digest of some kind, maybe with a slip: an algorithm, a colon, and then more hexadecimal digits than a port has. */
static bool meant_as_digest(const char *at)
{
	const char *colon = strchr(at, ':');
	size_t n = 0;
	while (colon && is_hex(colon[1 + n]))
		n++;
	return !strncmp(at, "@sha256:", 8) || !strncmp(at, "@sha512:", 8) || (n >= 16 && !strchr(at, '/'));
}

/* In a name, only a digest follows an '@'. Around another one there may be a password, USER:PASSWORD@HOST, so that nothing is repeated. */
static int refuse_credentials(const char *text, struct vn_err *err)
{
	for (const char *p = strchr(text, '@'); p; p = strchr(p + 1, '@')) {
		if (meant_as_digest(p) || (!strchr(p, '/') && !strchr(p, ':') && !memchr(text, ':', (size_t)(p - text))))
			continue;
		vn_fail(err, VN_EUSAGE, "the reference has an '@' and no digest behind it, expected registry/name[:tag][@sha256:digest]; "
					"it is not repeated here, since it may hold a password");
		return vn_hint(err, "credentials come from the auth file that docker login or podman login writes");
	}
	return 0;
}

/* A place in the network, and maybe what opens it. */
static int refuse_address(const char *rest, const char *form, struct vn_err *err)
{
	if (!strstr(rest, "://"))
		return 0;
	return vn_fail(err, VN_EUSAGE, "the reference names an address, expected a path on this machine: %s", form);
}

/* What follows DIR: or FILE: in an OCI layout: the annotation ref.name, which may be more than a tag, or @digest. */
static int layout_name(const char *text, const char *name, struct vn_ref *r, struct vn_err *err)
{
	if (name[0] == '@') {
		if (vn_digest_parse(name + 1, &r->digest, err) < 0) {
			err->code = VN_EUSAGE;
			return vn_wrap(err, "reference \"%.200s\": digest", text);
		}
		return 0;
	}
	/* image-spec annotations.md: ref.name = component *( "/" component ), component = alphanum *( separator alphanum ) */
	size_t n = 0;
	for (; name[n]; n++)
		if (!is_alnum(name[n]) && !strchr("-._:@/+", name[n]))
			break;
	if (!*name || name[n] || n > MAX_NAME || !(is_alnum(name[0]) || name[0] == '_'))
		return bad(text, "name inside", name, "letters, digits and \"-._:@/+\", such as v2 or latest", err);
	return vn_strdup(name, &r->tag, err);
}

/* "@0": the image at that place in a docker-archive */
static bool is_position(const char *name)
{
	size_t n = name[0] == '@' ? strspn(name + 1, "0123456789") : 0;
	return n > 0 && n < 10 && !name[n + 1];
}

static int parse_path(const char *text, const char *rest, const char *form, struct vn_ref *r, struct vn_err *err)
{
	size_t len = strcspn(rest, ":");
	if (refuse_address(rest, form, err) < 0)
		return -err->code;
	if (len == 0)
		return vn_fail(err, VN_EUSAGE, "reference \"%.200s\": the path is missing, expected %s", text, form);
	if (dup_part(rest, len, &r->path, err) < 0)
		return -err->code;
	if (!rest[len])
		return 0;
	if (r->transport != VN_REF_DOCKER_ARCHIVE)
		return layout_name(text, rest + len + 1, r, err);
	VN_AUTO(vn_ref) inside = { 0 };
	if (is_position(rest + len + 1))
		return vn_strdup(rest + len + 1, &r->name, err);
	if (refuse_credentials(rest + len + 1, err) < 0 || parse_named(text, rest + len + 1, &inside, err) < 0)
		return -err->code;
	r->digest = inside.digest;
	if (vn_strdup(rest + len + 1, &r->name, err) < 0)
		return -err->code;
	r->tag = vn_steal(inside.tag);
	return r->tag || !vn_digest_none(&r->digest) ? 0 : vn_strdup("latest", &r->tag, err);
}

/* docker-daemon:NAME[:TAG], NAME@DIGEST, or an image id: sha256:<64 hex>. */
static int parse_daemon(const char *text, const char *rest, struct vn_ref *r, struct vn_err *err)
{
	if (!*rest)
		return vn_fail(err, VN_EUSAGE,
			       "reference \"%.200s\": the name is missing, expected docker-daemon:NAME[:TAG] or "
			       "docker-daemon:sha256:ID",
			       text);
	if (!vn_digest_valid(rest)) {
		VN_AUTO(vn_ref) inside = { 0 };
		if (refuse_credentials(rest, err) < 0 || parse_named(text, rest, &inside, err) < 0)
			return -err->code;
		r->digest = inside.digest;
		r->tag = vn_steal(inside.tag);
		if (!r->tag && vn_digest_none(&r->digest) && vn_strdup("latest", &r->tag, err) < 0)
			return -err->code;
	} else if (vn_digest_parse(rest, &r->digest, err) < 0) {
		return -err->code;
	}
	return vn_strdup(rest, &r->name, err);
}

static const struct {
	const char *prefix;
	enum vn_transport transport;
	const char *form;
} transports[] = {
	{ "docker://", VN_REF_REGISTRY, "" },
	{ "oci:", VN_REF_OCI, "oci:DIR[:TAG]" },
	{ "oci-archive:", VN_REF_OCI_ARCHIVE, "oci-archive:FILE[:TAG]" },
	{ "docker-archive:", VN_REF_DOCKER_ARCHIVE, "docker-archive:FILE[:NAME:TAG]" },
	{ "docker-daemon:", VN_REF_DOCKER_DAEMON, "docker-daemon:NAME[:TAG]" },
};

static int refuse_foreign(const char *text, struct vn_err *err)
{
	static const char *const others[] = { "containers-storage:", "dir:", "sif:", "ocidir://", "tarball:", "ostree:" };
	size_t scheme = strcspn(text, ":/");
	if (strncmp(text + scheme, "://", 3) == 0) {
		vn_fail(err, VN_EUSAGE, "reference \"%.200s\": \"%.*s://\" is not a place that veneer knows", text,
			(int)(scheme < 40 ? scheme : 40), text);
		return vn_hint(err, "a registry is named without a scheme: registry/name[:tag]; --plain-http chooses http");
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strncmp(text, others[i], strlen(others[i])) == 0) {
			vn_fail(err, VN_EUSAGE, "reference \"%.200s\": \"%s\" is not a place that veneer knows", text,
				others[i]);
			return vn_hint(err, "veneer reads registry/name, oci:DIR, oci-archive:FILE, docker-archive:FILE and "
					    "docker-daemon:NAME");
		}
	return 0;
}

static int check_bytes(const char *text, struct vn_err *err)
{
	if (!*text)
		return vn_fail(err, VN_EUSAGE, "the reference is empty, expected [registry/]name[:tag][@digest]");
	if (strlen(text) > MAX_REF)
		return vn_fail(err, VN_EUSAGE, "reference of %zu bytes, at most %d are allowed", strlen(text), MAX_REF);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return vn_fail(err, VN_EUSAGE, "the reference holds the control character 0x%02x at byte %zu",
				       (unsigned char)*p, (size_t)(p - text));
	return 0;
}

static int parse_remote(const char *text, const char *rest, struct vn_ref *r, struct vn_err *err)
{
	int rc = refuse_credentials(rest, err);
	if (rc == 0 && rest == text)
		rc = refuse_foreign(text, err);
	return rc < 0 ? rc : parse_registry(rest, r, err);
}

int vn_ref_parse(const char *text, struct vn_ref *ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) r = { 0 };
	int rc = check_bytes(text, err);
	if (rc < 0)
		return rc;
	size_t t = 0, n = sizeof(transports) / sizeof(*transports);
	while (t < n && strncmp(text, transports[t].prefix, strlen(transports[t].prefix)) != 0)
		t++;
	const char *rest = t < n ? text + strlen(transports[t].prefix) : text;
	r.transport = t < n ? transports[t].transport : VN_REF_REGISTRY;
	if (r.transport == VN_REF_REGISTRY)
		rc = parse_remote(text, rest, &r, err);
	else if (r.transport == VN_REF_DOCKER_DAEMON)
		rc = parse_daemon(text, rest, &r, err);
	else
		rc = parse_path(text, rest, transports[t].form, &r, err);
	if (rc < 0 || vn_strdup(r.transport == VN_REF_REGISTRY ? rest : text, &r.text, err) < 0)
		return -err->code;
	*ret = r;
	r = (struct vn_ref){ 0 };
	return 0;
}

/* The name of docker-archive and docker-daemon without its tag and digest. */
static int bare_name(const char *name, char **ret, struct vn_err *err)
{
	size_t len = is_position(name) ? strlen(name) : strcspn(name, "@");
	size_t slash = len;
	while (slash > 0 && name[slash - 1] != '/')
		slash--;
	const char *colon = memchr(name + slash, ':', len - slash);
	return dup_part(name, colon ? (size_t)(colon - name) : len, ret, err);
}

int vn_ref_with(const struct vn_ref *ref, const char *tag, const char *digest, struct vn_ref *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *base = NULL, *text = NULL;
	const char *prefix = ref->transport == VN_REF_REGISTRY ? "" : transports[ref->transport].prefix;
	bool layout = ref->transport == VN_REF_OCI || ref->transport == VN_REF_OCI_ARCHIVE;
	if (ref->transport == VN_REF_REGISTRY) {
		if (vn_asprintf(&base, err, "%s/%s", ref->registry, ref->repository) < 0)
			return -err->code;
	} else if (layout || (ref->transport == VN_REF_DOCKER_ARCHIVE && !ref->name)) {
		if (vn_strdup(ref->path, &base, err) < 0)
			return -err->code;
	} else {
		VN_AUTO_FREE char *name = NULL;
		if (vn_digest_valid(ref->name) && (tag || digest))
			return vn_fail(err, VN_EUSAGE, "reference \"%.200s\": an image's id takes no tag", ref->text);
		if (vn_digest_valid(ref->name) ? vn_strdup(ref->name, &name, err) < 0 : bare_name(ref->name, &name, err) < 0)
			return -err->code;
		if (vn_asprintf(&base, err, "%s%s%s", ref->path ? ref->path : "", ref->path ? ":" : "", name) < 0)
			return -err->code;
	}
	/* a layout entry has one name: its tag, or else its digest */
	bool with_digest = digest && !(layout && tag);
	if (vn_asprintf(&text, err, "%s%s%s%s%s%s", prefix, base, tag ? ":" : "", tag ? tag : "",
			with_digest ? (layout ? ":@" : "@") : "", with_digest ? digest : "") < 0)
		return -err->code;
	return vn_ref_parse(text, ret, err);
}

int vn_ref_full_name(const struct vn_ref *ref, char **ret, struct vn_err *err)
{
	const char *digest = ref->digest.text;
	if (ref->transport != VN_REF_REGISTRY)
		return vn_strdup(ref->text, ret, err);
	return vn_asprintf(ret, err, "%s/%s%s%s%s%s", ref->registry, ref->repository, ref->tag ? ":" : "",
			   ref->tag ? ref->tag : "", *digest ? "@" : "", digest);
}
