#include "registry/client.h"
#include "registry/helper.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/fs.h"
#include "util/limits.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- the file */
/* Where the bytes really are: a link stays a link, also one that points to nothing yet. */
static int real_target(const char *path, char **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *at = NULL;
	char to[PATH_MAX];

	if (vn_strdup(path, &at, err) < 0)
		return -err->code;
	for (int hops = 0; hops < 16; hops++) {
		ssize_t n = readlink(at, to, sizeof to - 1);
		if (n < 0) {
			*ret = vn_steal(at);
			return 0;
		}
		to[n] = 0;
		const char *slash = strrchr(at, '/');
		char *next = NULL;
		if (vn_asprintf(&next, err, "%.*s%s", *to != '/' && slash ? (int)(slash - at) + 1 : 0, at, to) < 0)
			return -err->code;
		free(at);
		at = next;
	}
	return vn_fail(err, VN_EIO, "%s: too many symbolic links", path);
}

static int write_doc(const struct vn_creds_place *place, const vn_json *doc, struct vn_err *err)
{
	VN_AUTO_FREE char *target = NULL, *dir = NULL;
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_AUTHFILE);

	if (real_target(place->path, &target, err) < 0 || vn_strdup(target, &dir, err) < 0 ||
	    vn_json_text(doc, true, &text, err) < 0 || vn_buf_adds(&text, "\n", err) < 0)
		return -err->code;
	char *slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = 0;
		if (vn_fs_mkdirs(dir, 0700, err) < 0)
			return -err->code;
	}
	int n = vn_fs_replace(target, text.data, text.len, 0600, err);
	explicit_bzero(text.data, text.len);
	return n < 0 ? vn_wrap(err, "storing credentials in %s", place->path) : 0;
}

/* An editable copy of the document, or a new one. */
static int load_doc(const struct vn_creds_place *place, vn_json **ret, struct vn_err *err)
{
	struct vn_creds_place lenient = *place;
	VN_AUTO_JSON *doc = NULL;

	lenient.asked = false;
	if (vn_creds_load(&lenient, &doc, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(doc, place->path);
	if (doc && vn_jv_want_object(&root, err) < 0)
		return -err->code;
	*ret = doc ? vn_json_copy(doc) : vn_json_object();
	return *ret ? 0 : vn_nomem(err);
}

/* The key of `obj` that is this registry, NULL when there is none. */
static const char *key_in(const struct vn_jv *obj, const char *registry)
{
	const char *key;
	struct vn_jv value;
	void *iter = NULL;

	while (vn_jv_is_object(obj) && vn_jv_each(obj, &iter, &key, &value))
		if (vn_creds_key_is(key, registry))
			return key;
	return NULL;
}

static const char *helper_for(const struct vn_creds_place *place, const vn_json *doc, const char *registry)
{
	struct vn_jv root = vn_jv_root(doc, place->path), helpers = vn_jv_get(&root, "credHelpers");
	const char *key = key_in(&helpers, registry), *name = NULL;
	struct vn_err ignored = { 0 };

	if (key) {
		struct vn_jv v = vn_jv_get(&helpers, key);
		return vn_jv_text(&v, &name, &ignored) < 0 ? NULL : name;
	}
	return place->docker && vn_jv_opt_text(&root, "credsStore", &name, &ignored) == 0 && name && *name ? name : NULL;
}

static struct vn_jv auths_of(const struct vn_creds_place *place, const vn_json *doc)
{
	struct vn_jv root = vn_jv_root(doc, place->path);
	return place->bare ? root : vn_jv_get(&root, "auths");
}

/* ---- helpers */
static int run_helper(const char *name, const char *verb, const char *input, unsigned seconds, struct vn_err *err)
{
	VN_AUTO(vn_buf) reply = VN_BUF(VN_MAX_HELPER_REPLY);
	int status = 0;
	char said[200];

	if (vn_helper_run(name, verb, input, seconds ? seconds : 60, &reply, &status, err) < 0)
		return vn_wrap(err, "credential helper %s", name);
	if (!status)
		return 0;
	vn_creds_line(vn_buf_text(&reply), said, sizeof said);
	return vn_fail(err, VN_EAUTH, "credential helper %s could not %s: %s", name, verb, *said ? said : "no reason given");
}

static int helper_store(const char *name, const char *registry, const char *user, const char *password, unsigned seconds,
			struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_HELPER_REPLY);
	VN_AUTO_JSON *doc = vn_json_object();

	vn_json_set(doc, "ServerURL", vn_json_string(vn_creds_key(registry)));
	vn_json_set(doc, "Username", vn_json_string(user));
	vn_json_set(doc, "Secret", vn_json_string(password));
	if (vn_json_text(doc, false, &text, err) < 0)
		return -err->code;
	int n = run_helper(name, "store", text.data, seconds, err);
	explicit_bzero(text.data, text.len);
	return n;
}

/* ---- login */
static int set_pair(const struct vn_creds_place *place, vn_json *doc, const char *registry, const char *user,
		    const char *password, struct vn_err *err)
{
	VN_AUTO_FREE char *pair = NULL, *coded = NULL;
	struct vn_jv auths = auths_of(place, doc);
	const char *key = key_in(&auths, registry);
	struct vn_jv old = vn_jv_get(&auths, key ? key : "");

	if (vn_jv_want_object(&auths, err) < 0 || vn_asprintf(&pair, err, "%s:%s", user, password) < 0)
		return -err->code;
	int n = vn_base64_encode(pair, strlen(pair), &coded, err);
	explicit_bzero(pair, strlen(pair));
	if (n < 0)
		return n;
	vn_json *list = auths.v ? vn_json_copy(auths.v) : vn_json_object();
	vn_json *entry = key && vn_jv_is_object(&old) ? vn_json_copy(old.v) : vn_json_object();
	static const char *const stale[] = { "identitytoken", "registrytoken", "username", "password" };
	for (size_t i = 0; entry && i < sizeof stale / sizeof *stale; i++)
		vn_json_del(entry, stale[i]);
	bool ok = vn_json_set(entry, "auth", vn_json_string(coded));
	explicit_bzero(coded, strlen(coded));
	ok = vn_json_set(list, key ? key : vn_creds_key(registry), entry) && ok;
	if (place->bare) {
		vn_json_drop(list);
		return vn_fail(err, VN_EFORMAT, "%s is not written to", place->path);
	}
	return vn_json_set(doc, "auths", list) && ok ? 0 : vn_nomem(err);
}

static int store_in(const struct vn_creds_place *place, vn_json *doc, const char *registry, const char *user,
		    const char *password, const struct vn_registry_options *opt, char **ret_stored_in, struct vn_err *err)
{
	const char *helper = helper_for(place, doc, registry);

	if (helper) {
		if (helper_store(helper, registry, user, password, opt->helper_seconds, err) < 0)
			return -err->code;
		return vn_asprintf(ret_stored_in, err, "credential helper %s (%s)", helper, place->path);
	}
	if (set_pair(place, doc, registry, user, password, err) < 0 || write_doc(place, doc, err) < 0)
		return -err->code;
	return vn_strdup(place->path, ret_stored_in, err);
}

/* The first place that already knows the registry, since that is the one which later counts; else Docker's. */
static int store(const char *registry, const char *user, const char *password, const struct vn_registry_options *opt,
		 char **ret_stored_in, struct vn_err *err)
{
	VN_AUTO(vn_creds_places) places = { 0 };

	if (vn_creds_places(opt->authfile, &places, err) < 0)
		return -err->code;
	if (!places.n) {
		vn_fail(err, VN_EIO, "there is no place to store credentials in");
		return vn_hint(err, "Set HOME, or name a file with --authfile.");
	}
	for (size_t i = 0; i < places.n; i++) {
		const struct vn_creds_place *place = &places.list[i];
		VN_AUTO_JSON *doc = NULL;
		struct vn_err bad = { 0 };
		if (place->bare || i == places.home)
			continue;
		if (load_doc(place, &doc, &bad) < 0)
			continue;
		struct vn_jv auths = auths_of(place, doc), root = vn_jv_root(doc, place->path), helpers = vn_jv_get(&root, "credHelpers");
		if (key_in(&auths, registry) || key_in(&helpers, registry))
			return store_in(place, doc, registry, user, password, opt, ret_stored_in, err);
	}
	VN_AUTO_JSON *doc = NULL;
	if (load_doc(&places.list[places.home], &doc, err) < 0)
		return -err->code;
	return store_in(&places.list[places.home], doc, registry, user, password, opt, ret_stored_in, err);
}

/* What people paste: "https://host/", "host:5000". */
static int clean_name(const char *registry, char **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *host = NULL;
	unsigned port;

	if (!strncasecmp(registry, "https://", 8))
		registry += 8;
	else if (!strncasecmp(registry, "http://", 7))
		registry += 7;
	size_t len = strcspn(registry, "/");
	const char *rest = registry + len;
	if (*rest && strcmp(rest, "/") && strncmp(rest, "/v1", 3) && strncmp(rest, "/v2", 3))
		return vn_fail(err, VN_EUSAGE, "\"%.200s\" names more than a registry: leave out what follows the host", registry);
	char *name = NULL;
	if (vn_asprintf(&name, err, "%.*s", (int)len, registry) < 0)
		return -err->code;
	if (vn_host_split(name, &host, &port, err) < 0) {
		free(name);
		return -err->code;
	}
	*ret = name;
	return 0;
}

int vn_registry_login(const char *registry, const char *user, const char *password, const struct vn_registry_options *opt,
		      const struct vn_events *events, char **ret_stored_in, struct vn_err *err)
{
	VN_AUTO_FREE char *name = NULL;
	struct vn_registry_options own = opt ? *opt : (struct vn_registry_options){ 0 };
	struct vn_client *client = NULL;
	bool asked = false;

	if (!*password || !*user || strchr(user, ':'))
		return vn_fail(err, VN_EUSAGE, !*password ? "the password is empty" : !*user ? "the user name is empty"
											     : "a user name cannot hold a colon");
	if (clean_name(registry, &name, err) < 0)
		return -err->code;
	own.username = user;
	own.password = password;
	int n = vn_client_open(name, NULL, &own, events, &client, err);
	if (n == 0)
		n = vn_client_verify(client, &asked, err);
	vn_client_close(client);
	if (n < 0)
		return n;
	if (!asked)
		vn_warn(events, "%s asks for no credentials, so these could not be checked", name);
	return store(name, user, password, &own, ret_stored_in, err);
}

/* ---- logout */
static int add_place(char **list, const char *helper, const char *path, struct vn_err *err)
{
	VN_AUTO_FREE char *before = *list;
	*list = NULL;
	const char *lead = before ? before : "", *comma = before ? ", " : "";
	return helper ? vn_asprintf(list, err, "%s%scredential helper %s (%s)", lead, comma, helper, path)
		      : vn_asprintf(list, err, "%s%s%s", lead, comma, path);
}

static int erase_in(const struct vn_creds_place *place, const char *registry, const struct vn_registry_options *opt,
		    const struct vn_events *events, char **from, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	struct vn_err why = { 0 };

	if (!vn_fs_exists(place->path) || load_doc(place, &doc, err) < 0)
		return vn_fs_exists(place->path) ? -(int)err->code : 0;
	const char *helper = helper_for(place, doc, registry), *key;
	if (helper && run_helper(helper, "erase", vn_creds_key(registry), opt ? opt->helper_seconds : 0, &why) < 0)
		vn_warn(events, "%s", why.text);
	else if (helper && add_place(from, helper, place->path, err) < 0)
		return -err->code;
	struct vn_jv auths = auths_of(place, doc);
	if (!key_in(&auths, registry))
		return 0;
	vn_json *list = vn_json_copy(auths.v);
	struct vn_jv left = vn_jv_root(list, place->path);
	while (list && (key = key_in(&left, registry)))
		if (!vn_json_del(list, key))
			break;
	int n;
	if (place->bare) {
		n = list ? write_doc(place, list, err) : vn_nomem(err);
		vn_json_drop(list);
	} else {
		n = vn_json_set(doc, "auths", list) ? write_doc(place, doc, err) : vn_nomem(err);
	}
	return n < 0 ? n : add_place(from, NULL, place->path, err);
}

int vn_registry_logout(const char *registry, const struct vn_registry_options *opt, const struct vn_events *events,
		       char **ret_from, struct vn_err *err)
{
	VN_AUTO(vn_creds_places) places = { 0 };
	VN_AUTO_FREE char *name = NULL, *from = NULL;

	if (clean_name(registry, &name, err) < 0 || vn_creds_places(opt ? opt->authfile : NULL, &places, err) < 0)
		return -err->code;
	for (size_t i = 0; i < places.n; i++)
		if (erase_in(&places.list[i], name, opt, events, &from, err) < 0)
			return -err->code;
	if (!from)
		return vn_fail(err, VN_ENOTFOUND, "no credentials for %s are stored", name);
	*ret_from = vn_steal(from);
	return 0;
}
