#include "registry/creds.h"
#include "registry/helper.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/fs.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HUB_KEY "https://index.docker.io/v1/"
#define GUID "00000000-0000-0000-0000-000000000000"

struct search {
	const char *registry;        /* by vn_registry_name */
	const char *repository;      /* may be NULL */
	const struct vn_creds_options *opt;
	bool helpers;
	const char *where;           /* the file, for messages */
};

static void wipe(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void vn_creds_release(struct vn_creds *creds)
{
	wipe(&creds->password);
	wipe(&creds->identity);
	wipe(&creds->bearer);
	free(creds->user);
	free(creds->source);
	*creds = (struct vn_creds){ 0 };
}

const char *vn_registry_name(const char *registry)
{
	static const char *const hub[] = { "docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com" };

	for (size_t i = 0; i < sizeof hub / sizeof *hub; i++)
		if (!strcasecmp(registry, hub[i]))
			return hub[0];
	return registry;
}

const char *vn_creds_key(const char *registry)
{
	const char *name = vn_registry_name(registry);
	return strcmp(name, "docker.io") ? name : HUB_KEY;
}

bool vn_creds_key_is(const char *key, const char *registry)
{
	char host[300];
	bool url = true;

	if (!strncasecmp(key, "https://", 8))
		key += 8;
	else if (!strncasecmp(key, "http://", 7))
		key += 7;
	else
		url = false;
	size_t len = strcspn(key, "/");
	/* without a scheme, what follows a slash is a namespace and not this registry as a whole, but for the old API roots */
	if (len >= sizeof host || (!url && key[len] && strcmp(key + len, "/") && strncmp(key + len, "/v1/", 4) &&
				   strncmp(key + len, "/v2/", 4)))
		return false;
	snprintf(host, sizeof host, "%.*s", (int)len, key);
	return !strcasecmp(vn_registry_name(host), vn_registry_name(registry));
}

void vn_creds_line(const char *said, char *out, size_t size)
{
	size_t n = 0;

	said += strspn(said, " \t\r\n");
	for (; *said && *said != '\n' && *said != '\r' && n + 1 < size; said++)
		out[n++] = (unsigned char)*said < ' ' || (unsigned char)*said >= 0x7f ? '?' : *said;
	out[n] = 0;
}

int vn_creds_fill(struct vn_creds *creds, const char *user, const char *secret, struct vn_err *err)
{
	VN_AUTO(vn_creds) made = { 0 };
	bool token = !strcmp(user, "<token>");

	if (!*secret)
		return 0;
	if ((token || !strcmp(user, GUID)) && vn_strdup(secret, &made.identity, err) < 0)
		return -err->code;
	if (!token && (vn_strdup(user, &made.user, err) < 0 || vn_strdup(secret, &made.password, err) < 0))
		return -err->code;
	made.source = vn_steal(creds->source);
	vn_creds_release(creds);
	*creds = made;
	made = (struct vn_creds){ 0 };
	return 0;
}

/* ---- helpers */
static int read_reply(const struct vn_buf *reply, struct vn_creds *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	const char *user = "", *secret = NULL;

	if (vn_json_parse(vn_buf_text(reply), reply->len, "its reply", &doc, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(doc, "its reply");
	if (vn_jv_want_object(&root, err) < 0 || vn_jv_opt_text(&root, "Username", &user, err) < 0 ||
	    vn_jv_need_text(&root, "Secret", &secret, err) < 0)
		return -err->code;
	return vn_creds_fill(ret, user ? user : "", secret, err);
}

/* Leaves `ret` empty when the helper has nothing or does not work. */
static int ask_helper(const struct search *s, const char *kind, const char *name, struct vn_creds *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) reply = VN_BUF(VN_MAX_HELPER_REPLY);
	unsigned seconds = s->opt->helper_seconds ? s->opt->helper_seconds : 60;
	struct vn_err why = { 0 };
	char line[200];
	int status = 0;

	if (!s->helpers || !*name)
		return 0;
	int n = vn_helper_run(name, "get", vn_creds_key(s->registry), seconds, &reply, &status, &why);
	if (n == 0 && status == 0)
		n = read_reply(&reply, ret, &why);
	if (reply.data)
		vn_creds_line(reply.data, line, sizeof line);
	if (n == -VN_ENOMEM) {
		*err = why;
	} else if (n == -VN_ENOTFOUND) {
		vn_warn(s->opt->events, "the credential helper docker-credential-%s (%s in %s) is not installed; going on without it",
			name, kind, s->where);
		n = 0;
	} else if (n < 0) {
		vn_warn(s->opt->events, "the credential helper %s (%s in %s) gave nothing: %s", name, kind, s->where, why.text);
		n = 0;
	} else if (status && (!reply.data || !strstr(reply.data, "credentials not found"))) {
		vn_warn(s->opt->events, "the credential helper %s (%s in %s) failed: %s", name, kind, s->where,
			reply.data ? line : "no reason given");
	}
	if (reply.data)
		explicit_bzero(reply.data, reply.len);
	if (n == 0 && vn_creds_any(ret)) {
		free(vn_steal(ret->source));
		return vn_asprintf(&ret->source, err, "%s \"%s\" in %s", kind, name, s->where);
	}
	return n;
}

/* ---- auths */
static int decode_pair(const char *text, struct vn_creds *ret, struct vn_err *err)
{
	VN_AUTO_FREE uint8_t *pair = NULL;
	size_t len = 0;

	if (vn_base64_decode(text, &pair, &len, err) < 0)
		return -err->code;
	char *user = (char *)pair, *colon = memchr(pair, ':', len);
	int n = 0;
	if (!colon || memchr(pair, 0, (size_t)(colon - user))) {
		n = vn_fail(err, VN_EFORMAT, "is not base64 of user:password");
	} else {
		*colon = 0;
		n = vn_creds_fill(ret, user, colon + 1, err);
	}
	explicit_bzero(pair, len);
	return n;
}

static int read_entry(const struct search *s, const struct vn_jv *entry, struct vn_creds *ret, struct vn_err *err)
{
	const char *auth = NULL, *user = NULL, *password = NULL, *identity = NULL, *bearer = NULL;

	if (vn_jv_want_object(entry, err) < 0 || vn_jv_opt_text(entry, "auth", &auth, err) < 0 ||
	    vn_jv_opt_text(entry, "username", &user, err) < 0 || vn_jv_opt_text(entry, "password", &password, err) < 0 ||
	    vn_jv_opt_text(entry, "identitytoken", &identity, err) < 0 ||
	    vn_jv_opt_text(entry, "registrytoken", &bearer, err) < 0)
		return -err->code;
	if (auth && *auth) {
		if (decode_pair(auth, ret, err) < 0)
			return vn_wrap(err, "%s/auth", entry->at);
	} else if (user && password && vn_creds_fill(ret, user, password, err) < 0) {
		return -err->code;
	}
	if (identity && *identity) {
		wipe(&ret->identity);
		if (vn_strdup(identity, &ret->identity, err) < 0)
			return -err->code;
	}
	if (bearer && *bearer && vn_strdup(bearer, &ret->bearer, err) < 0)
		return -err->code;
	if (!vn_creds_any(ret))
		return 0;
	free(vn_steal(ret->source));
	return vn_asprintf(&ret->source, err, "auths in %s", s->where);
}

/* The narrowest key first: registry/a/b, registry/a, registry; then any spelling of the registry alone. */
static int from_auths(const struct search *s, const struct vn_jv *auths, struct vn_creds *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *key = NULL;
	struct vn_jv entry;
	const char *name;
	void *iter = NULL;

	if (!vn_jv_is_object(auths))
		return vn_jv_want_object(auths, err);
	if (vn_asprintf(&key, err, "%s/%s", s->registry, s->repository ? s->repository : "") < 0)
		return -err->code;
	for (char *slash; (slash = strrchr(key, '/')) && !vn_creds_any(ret); *slash = 0) {
		entry = vn_jv_get(auths, key);
		if (entry.v && read_entry(s, &entry, ret, err) < 0)
			return -err->code;
	}
	while (!vn_creds_any(ret) && vn_jv_each(auths, &iter, &name, &entry))
		if (vn_creds_key_is(name, s->registry) && read_entry(s, &entry, ret, err) < 0)
			return -err->code;
	return 0;
}

static int from_helpers(const struct search *s, const struct vn_jv *helpers, struct vn_creds *ret, struct vn_err *err)
{
	struct vn_jv entry;
	const char *name = NULL, *helper = NULL;
	void *iter = NULL;

	if (!vn_jv_is_object(helpers))
		return vn_jv_want_object(helpers, err);
	while (vn_jv_each(helpers, &iter, &name, &entry))
		if (vn_creds_key_is(name, s->registry))
			break;
	if (!iter || !name || !vn_creds_key_is(name, s->registry))
		return 0;
	int n = vn_jv_text(&entry, &helper, err);
	return n < 0 ? n : ask_helper(s, "credHelpers", helper, ret, err);
}

static int search_doc(const struct search *s, const vn_json *doc, bool docker, bool bare, struct vn_creds *ret,
		      struct vn_err *err)
{
	struct vn_jv root = vn_jv_root(doc, s->where);
	const char *store = NULL;

	if (vn_jv_want_object(&root, err) < 0)
		return -err->code;
	if (bare)
		return from_auths(s, &root, ret, err);
	struct vn_jv helpers = vn_jv_get(&root, "credHelpers"), auths = vn_jv_get(&root, "auths");
	int n = from_helpers(s, &helpers, ret, err);
	if (n < 0 || vn_creds_any(ret))
		return n;
	if (docker && vn_jv_opt_text(&root, "credsStore", &store, err) < 0)
		return -err->code;
	if (store && ask_helper(s, "credsStore", store, ret, err) < 0)
		return -err->code;
	return vn_creds_any(ret) ? 0 : from_auths(s, &auths, ret, err);
}

int vn_creds_of_json(const void *bytes, size_t len, const char *registry, const char *repository, struct vn_creds *ret,
		     struct vn_err *err)
{
	static const struct vn_creds_options none;
	struct search s = { vn_registry_name(registry), repository, &none, false, "the file" };
	VN_AUTO_JSON *doc = NULL;
	VN_AUTO(vn_creds) found = { 0 };

	if (vn_json_parse(bytes, len, s.where, &doc, err) < 0 || search_doc(&s, doc, true, false, &found, err) < 0)
		return -err->code;
	*ret = found;
	found = (struct vn_creds){ 0 };
	return 0;
}

/* ---- places */
void vn_creds_places_release(struct vn_creds_places *places)
{
	for (size_t i = 0; i < places->n; i++)
		free(places->list[i].path);
	*places = (struct vn_creds_places){ 0 };
}

static const char *from_env(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

static int add(struct vn_creds_places *places, bool docker, bool bare, struct vn_err *err, const char *dir, const char *rest)
{
	struct vn_creds_place *p = &places->list[places->n];

	if (!dir)
		return 0;
	*p = (struct vn_creds_place){ .docker = docker, .bare = bare };
	if (vn_asprintf(&p->path, err, "%s%s", dir, rest) < 0)
		return -err->code;
	places->n++;
	return 0;
}

static int usual_places(struct vn_creds_places *places, struct vn_err *err)
{
	const char *home = from_env("HOME"), *config = from_env("XDG_CONFIG_HOME"), *docker = from_env("DOCKER_CONFIG");
	const char *run = from_env("XDG_RUNTIME_DIR");
	char run_dir[64];

	snprintf(run_dir, sizeof run_dir, "/run/containers/%lu", (unsigned long)getuid());
	if (add(places, false, false, err, run ? run : run_dir, run ? "/containers/auth.json" : "/auth.json") < 0 ||
	    add(places, false, false, err, config ? config : home,
		config ? "/containers/auth.json" : "/.config/containers/auth.json") < 0)
		return -err->code;
	places->home = places->n;
	if (add(places, true, false, err, docker ? docker : home, docker ? "/config.json" : "/.docker/config.json") < 0 ||
	    add(places, false, true, err, home, "/.dockercfg") < 0)
		return -err->code;
	if (places->home >= places->n)
		places->home = 0;
	return 0;
}

int vn_creds_places(const char *authfile, struct vn_creds_places *ret, struct vn_err *err)
{
	VN_AUTO(vn_creds_places) places = { 0 };
	const char *asked = authfile && *authfile ? authfile : from_env("REGISTRY_AUTH_FILE");
	int n = asked ? add(&places, true, false, err, asked, "") : usual_places(&places, err);

	if (n < 0)
		return n;
	places.list[0].asked = asked && asked == authfile;
	*ret = places;
	places = (struct vn_creds_places){ 0 };
	return 0;
}

int vn_creds_load(const struct vn_creds_place *place, vn_json **ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_AUTHFILE);
	struct vn_err why = { 0 };
	int n = vn_fs_read(place->path, &bytes, &why);

	if (n == -VN_ENOTFOUND && !place->asked)
		return 0;
	if (n < 0) {
		*err = why;
		return n;
	}
	n = 0;
	if (bytes.len && strspn(bytes.data, " \t\r\n") < bytes.len)
		n = vn_json_parse(bytes.data, bytes.len, place->path, ret, err);
	if (bytes.data)
		explicit_bzero(bytes.data, bytes.len);
	return n;
}

static int search_place(struct search *s, const struct vn_creds_place *place, struct vn_creds *ret, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	VN_AUTO(vn_creds) found = { 0 };
	struct vn_err why = { 0 };

	s->where = place->path;
	int n = vn_creds_load(place, &doc, &why);
	if (n == 0 && doc)
		n = search_doc(s, doc, place->docker, place->bare, &found, &why);
	if (n < 0 && (place->asked || why.code == VN_ENOMEM)) {
		*err = why;
		return n;
	}
	if (n < 0) {
		vn_warn(s->opt->events, "credentials in %s are left out: %s", place->path, why.text);
		return 0;
	}
	if (vn_creds_any(&found)) {
		vn_creds_release(ret);
		*ret = found;
		found = (struct vn_creds){ 0 };
	}
	return 0;
}

static int search_env(struct search *s, struct vn_creds *ret, struct vn_err *err)
{
	const char *text = from_env("DOCKER_AUTH_CONFIG");
	VN_AUTO(vn_creds) found = { 0 };
	VN_AUTO_JSON *doc = NULL;
	struct vn_err why = { 0 };

	if (!text)
		return 0;
	s->where = "$DOCKER_AUTH_CONFIG";
	if (strlen(text) > VN_MAX_AUTHFILE)
		return vn_fail(err, VN_ELIMIT, "DOCKER_AUTH_CONFIG is longer than %u bytes", VN_MAX_AUTHFILE);
	if (vn_json_parse(text, strlen(text), s->where, &doc, &why) < 0 || search_doc(s, doc, false, false, &found, &why) < 0) {
		vn_warn(s->opt->events, "%s is left out: %s", s->where, why.text);
		return 0;
	}
	if (vn_creds_any(&found)) {
		vn_creds_release(ret);
		*ret = found;
		found = (struct vn_creds){ 0 };
	}
	return 0;
}

int vn_creds_find(const char *registry, const char *repository, const struct vn_creds_options *opt, struct vn_creds *ret,
		  struct vn_err *err)
{
	VN_AUTO(vn_creds) found = { 0 };
	VN_AUTO(vn_creds_places) places = { 0 };
	struct search s = { vn_registry_name(registry), repository, opt, true, "" };

	if (opt->password) {
		if (vn_creds_fill(&found, opt->username ? opt->username : "", opt->password, err) < 0 ||
		    vn_strdup("the command line", &found.source, err) < 0)
			return -err->code;
	} else {
		if (vn_creds_places(opt->authfile, &places, err) < 0)
			return -err->code;
		if (!opt->authfile && !from_env("REGISTRY_AUTH_FILE") && search_env(&s, &found, err) < 0)
			return -err->code;
		for (size_t i = 0; i < places.n && !vn_creds_any(&found); i++)
			if (search_place(&s, &places.list[i], &found, err) < 0)
				return -err->code;
	}
	*ret = found;
	found = (struct vn_creds){ 0 };
	return 0;
}
