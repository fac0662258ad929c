#include "registry/auth.h"
#include "registry/answer.h"
#include "registry/challenge.h"
#include "registry/memory.h"
#include "util/child.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EARLY 5                      /* seconds before its end that a token counts as expired */
#define MAX_KEPT 16
#define LEAST_LEFT 60                /* seconds that a token of an earlier run should live on: clocks differ */

struct kept {
	char *scope, *text;
	uint64_t until, life;        /* monotonic seconds; seconds */
};

struct vn_auth {
	pthread_mutex_t lock;
	struct vn_auth_options opt;
	enum vn_scheme scheme;       /* VN_SCHEME_OTHER: nothing was asked for so far */
	char *realm, *service;
	char *offered;               /* scopes that the registry named beyond those asked for, or NULL */
	struct vn_creds creds;
	bool creds_known;
	char who[VN_MEMORY_NAME];    /* a name for the credentials, "" = anonymous */
	bool asked_memory, recalled; /* what is known comes from an earlier run, and nothing has confirmed it */
	struct kept kept[MAX_KEPT];
	size_t nkept;
};

int vn_auth_open(const struct vn_auth_options *opt, struct vn_auth **ret, struct vn_err *err)
{
	struct vn_auth *a = calloc(1, sizeof *a);

	if (!a)
		return vn_nomem(err);
	pthread_mutex_init(&a->lock, NULL);
	a->opt = *opt;
	*ret = a;
	return 0;
}

static void drop_kept(struct vn_auth *a, size_t i)
{
	explicit_bzero(a->kept[i].text, strlen(a->kept[i].text));
	free(a->kept[i].text);
	free(a->kept[i].scope);
	a->kept[i] = a->kept[--a->nkept];
}

void vn_auth_close(struct vn_auth *a)
{
	if (!a)
		return;
	while (a->nkept)
		drop_kept(a, 0);
	vn_creds_release(&a->creds);
	free(a->realm);
	free(a->service);
	free(a->offered);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

const char *vn_auth_source(struct vn_auth *a)
{
	pthread_mutex_lock(&a->lock);
	const char *source = vn_creds_any(&a->creds) ? a->creds.source : NULL;
	pthread_mutex_unlock(&a->lock);
	return source;
}

static uint64_t now(void)
{
	return vn_monotonic_ms() / 1000;
}

/* ---- what earlier runs knew */
static const char *const schemes[] = { [VN_SCHEME_OTHER] = "", [VN_SCHEME_BASIC] = "basic", [VN_SCHEME_BEARER] = "bearer" };

static void origin_text(const struct vn_auth *a, char ret[VN_URL_SHOWN])
{
	const struct vn_url *o = a->opt.origin;
	snprintf(ret, VN_URL_SHOWN, "%s://%.200s:%u", o->tls ? "https" : "http", o->host, o->port);
}

static int name_creds(struct vn_auth *a, struct vn_err *err)
{
	const char *const parts[] = { a->creds.user, a->creds.password, a->creds.identity };
	VN_AUTO(vn_buf) all = VN_BUF(VN_MAX_AUTHFILE);

	if (!a->opt.memory || !vn_creds_any(&a->creds))
		return 0;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (vn_buf_addf(&all, err, "%zu %s\n", parts[i] ? strlen(parts[i]) : 0, parts[i] ? parts[i] : "") < 0)
			return -err->code;
	int n = vn_memory_name(a->opt.memory, all.data, all.len, a->who, err);
	explicit_bzero(all.data, all.len);
	return n;
}

static void remember(const struct vn_auth *a)
{
	char origin[VN_URL_SHOWN];

	if (!a->opt.memory)
		return;
	origin_text(a, origin);
	const char *const texts[VN_MEMORY_TEXTS] = { origin, schemes[a->scheme], a->realm, a->service, a->offered };
	vn_memory_put(a->opt.memory, VN_MEMORY_REGISTRY, texts, 0);
}

static void unlearn(struct vn_auth *a)
{
	char origin[VN_URL_SHOWN];

	origin_text(a, origin);
	vn_memory_drop(a->opt.memory, VN_MEMORY_REGISTRY, 0, origin);
	a->scheme = VN_SCHEME_OTHER;
	a->recalled = false;
}

static bool take(struct vn_auth *a, const struct vn_memory_item *item)
{
	struct vn_err ignored = { 0 };
	char **const to[] = { &a->realm, &a->service, &a->offered };

	for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
		char *copy = NULL;
		const char *text = item->text[2 + i];
		if (vn_strdup(*text ? text : NULL, &copy, &ignored) < 0)
			return false;
		free(*to[i]);
		*to[i] = copy;
	}
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (!strcmp(item->text[1], schemes[i]))
			a->scheme = (enum vn_scheme)i;
	if (a->scheme == VN_SCHEME_BEARER && !a->realm)
		a->scheme = VN_SCHEME_OTHER;
	a->recalled = a->scheme != VN_SCHEME_OTHER;
	return true;
}

static bool recall(struct vn_auth *a)
{
	char origin[VN_URL_SHOWN];

	origin_text(a, origin);
	for (size_t nth = 0; a->opt.memory; nth++) {
		VN_AUTO(vn_memory_item) item = { 0 };
		if (!vn_memory_get(a->opt.memory, VN_MEMORY_REGISTRY, nth, 0, &item))
			break;
		if (!strcmp(item.text[0], origin))
			return take(a, &item);
	}
	return false;
}

bool vn_auth_known(struct vn_auth *a)
{
	pthread_mutex_lock(&a->lock);
	bool known = recall(a);
	pthread_mutex_unlock(&a->lock);
	return known;
}

void vn_auth_remember(struct vn_auth *a)
{
	pthread_mutex_lock(&a->lock);
	remember(a);
	pthread_mutex_unlock(&a->lock);
}

void vn_auth_forget(struct vn_auth *a)
{
	pthread_mutex_lock(&a->lock);
	if (a->opt.memory)
		unlearn(a);
	pthread_mutex_unlock(&a->lock);
}

static int know_creds(struct vn_auth *a, struct vn_err *err)
{
	if (a->creds_known || !a->opt.creds)
		return 0;
	int n = vn_creds_find(a->opt.registry, a->opt.repository, a->opt.creds, &a->creds, err);
	if (n < 0)
		return vn_wrap(err, "credentials for %s", a->opt.registry);
	if (name_creds(a, err) < 0)
		return -err->code;
	a->creds_known = true;
	vn_debug(a->opt.events, "%s: %s%s", a->opt.registry, a->creds.source ? "credentials from " : "no credentials found",
		 a->creds.source ? a->creds.source : "");
	return 0;
}

static int add_basic(const char *user, const char *password, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *pair = NULL, *coded = NULL;

	if (vn_asprintf(&pair, err, "%s:%s", user, password) < 0)
		return -err->code;
	int n = vn_base64_encode(pair, strlen(pair), &coded, err);
	explicit_bzero(pair, strlen(pair));
	if (n == 0)
		n = vn_buf_addf(ret, err, "Authorization: Basic %s", coded);
	if (coded)
		explicit_bzero(coded, strlen(coded));
	return n;
}

/* ---- the token server */
static int check_realm(const struct vn_auth *a, struct vn_url *ret, struct vn_err *err)
{
	VN_AUTO(vn_url) url = { 0 };
	const struct vn_url *home = a->opt.origin;
	char shown[VN_URL_SHOWN];

	if (vn_url_parse(a->realm, &url, err) < 0)
		return vn_wrap(err, "the token server that %s names", a->opt.registry);
	if (!url.tls && home->tls && !a->opt.lax)
		return vn_fail(err, VN_EUNSAFE, "%s names a token server without TLS, %s; credentials are not sent there",
			       a->opt.registry, vn_url_shown(&url, shown));
	if (vn_host_kind(url.host) != VN_HOST_PUBLIC && strcmp(url.host, home->host) && vn_host_kind(home->host) == VN_HOST_PUBLIC &&
	    !a->opt.lax)
		return vn_fail(err, VN_EUNSAFE, "%s names a token server at the private address %s; nothing is sent there",
			       a->opt.registry, vn_url_shown(&url, shown));
	*ret = url;
	url = (struct vn_url){ 0 };
	return 0;
}

static int add_param(struct vn_buf *buf, const char *name, const char *value, size_t len, struct vn_err *err)
{
	VN_AUTO_FREE char *copy = NULL;

	if (vn_asprintf(&copy, err, "%.*s", (int)len, value) < 0 ||
	    (buf->len && vn_buf_adds(buf, "&", err) < 0) || vn_buf_addf(buf, err, "%s=", name) < 0)
		return -err->code;
	int n = vn_url_escape(buf, copy, err);
	explicit_bzero(copy, strlen(copy));
	return n;
}

static int get_query(const struct vn_auth *a, const char *scope, struct vn_buf *ret, struct vn_err *err)
{
	size_t n;

	if (a->service && add_param(ret, "service", a->service, strlen(a->service), err) < 0)
		return -err->code;
	for (const char *p = scope + strspn(scope, " "); (n = strcspn(p, " ")); p += n, p += strspn(p, " "))
		if (add_param(ret, "scope", p, n, err) < 0)
			return -err->code;
	if (a->creds.user && add_param(ret, "account", a->creds.user, strlen(a->creds.user), err) < 0)
		return -err->code;
	return 0;
}

static int post_form(const struct vn_auth *a, const char *scope, bool identity, struct vn_buf *ret, struct vn_err *err)
{
	const struct {
		const char *name, *value;
	} form[] = {
		{ "grant_type", identity ? "refresh_token" : "password" },
		{ "service", a->service ? a->service : a->opt.registry },
		{ "client_id", "veneer" },
		{ "scope", *scope ? scope : NULL },
		{ "refresh_token", identity ? a->creds.identity : NULL },
		{ "username", identity ? NULL : a->creds.user },
		{ "password", identity ? NULL : a->creds.password },
	};

	for (size_t i = 0; i < sizeof form / sizeof *form; i++)
		if (form[i].value && add_param(ret, form[i].name, form[i].value, strlen(form[i].value), err) < 0)
			return -err->code;
	return 0;
}

/* GET with or without Basic, or (form not NULL) POST. */
static int ask_server(const struct vn_auth *a, const char *text, const struct vn_url *url, const struct vn_buf *form,
		      struct vn_http_response *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) basic = VN_BUF(VN_MAX_HEADER);
	VN_AUTO_IN *body = NULL;
	const struct vn_http_tls *tls;
	const char *headers[4] = { "Accept: application/json" };
	size_t n = 1;
	char shown[VN_URL_SHOWN];

	if (vn_trust_for(a->opt.trust, url, &tls, err) < 0)
		return -err->code;
	if (form) {
		headers[n++] = "Content-Type: application/x-www-form-urlencoded";
		if (vn_in_memory(form->data, form->len, &body, err) < 0)
			return -err->code;
	} else if (a->creds.password) {
		if (add_basic(a->creds.user ? a->creds.user : "", a->creds.password, &basic, err) < 0)
			return -err->code;
		headers[n++] = basic.data;
	}
	struct vn_http_request req = { form ? "POST" : "GET", text, headers, NULL, tls, body, form ? (int64_t)form->len : 0, false };
	int rc = vn_http_send(a->opt.http, &req, ret, NULL, err);
	if (rc == 0)
		vn_http_stop_sending(ret);
	if (basic.data)
		explicit_bzero(basic.data, basic.len);
	vn_debug(a->opt.events, "%s %s: %s%u", req.method, vn_url_shown(url, shown), rc < 0 ? "failed, " : "",
		 rc < 0 ? 0 : ret->status);
	return rc < 0 ? vn_wrap(err, "token server of %s", a->opt.registry) : 0;
}

static int refused_by_server(const struct vn_url *url, struct vn_http_response *r, struct vn_err *err)
{
	struct vn_answer answer;

	vn_answer_read(r, &answer);
	const char *sep = answer.text[0] ? ": " : "";
	if (r->status == 429 || r->status == 408 || r->status >= 500)
		return vn_fail(err, VN_ENETWORK, "the token server %s answered %u%s%s", url->host, r->status, sep, answer.text);
	if (r->status == 400 || r->status == 401 || r->status == 403)
		return vn_fail(err, VN_EAUTH, "%u from its token server %s%s%s", r->status, url->host, sep, answer.text);
	return vn_fail(err, VN_EFORMAT, "the token server %s answered %u%s%s", url->host, r->status, sep, answer.text);
}

static int with_query(const char *realm, const char *query, char **ret, struct vn_err *err)
{
	return vn_asprintf(ret, err, "%s%s%s", realm, !*query ? "" : strchr(realm, '?') ? "&" : "?", query);
}

/* One exchange. *ret_unknown: this server does not know the method (404, 405). */
static int exchange(const struct vn_auth *a, const char *scope, bool post, bool identity, struct vn_token *ret,
		    bool *ret_unknown, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO(vn_buf) params = VN_BUF(VN_MAX_TOKEN_BODY), reply = VN_BUF(VN_MAX_TOKEN_BODY);
	VN_AUTO(vn_url) url = { 0 };
	VN_AUTO_FREE char *text = NULL;

	if (check_realm(a, &url, err) < 0 ||
	    (post ? post_form(a, scope, identity, &params, err) : get_query(a, scope, &params, err)) < 0)
		return -err->code;
	int n = with_query(a->realm, post ? "" : vn_buf_text(&params), &text, err);
	if (n == 0)
		n = ask_server(a, text, &url, post ? &params : NULL, &r, err);
	if (params.data)
		explicit_bzero(params.data, params.len);
	if (n < 0)
		return n;
	*ret_unknown = r.status == 404 || r.status == 405;
	if (r.status != 200 && r.status != 201)
		return refused_by_server(&url, &r, err);
	if (vn_in_read_all(r.body, &reply, err) < 0)
		return vn_wrap(err, "token server %s", url.host);
	n = vn_token_parse(reply.data, reply.len, ret, err);
	if (reply.data)
		explicit_bzero(reply.data, reply.len);
	if (n < 0)
		return vn_wrap(err, "%s", url.host);
	/* a token from the server's own cache has lived a while; both times are of that server's clock */
	const char *date = vn_http_header(&r, "Date", 0);
	int64_t then;
	if (ret->issued && date && vn_http_date(date, &then) && then > ret->issued && (uint64_t)(then - ret->issued) < ret->seconds)
		ret->seconds -= (uint64_t)(then - ret->issued);
	return 0;
}

static int fetch(struct vn_auth *a, const char *scope, struct vn_token *ret, struct vn_err *err)
{
	bool unknown = false, identity = a->creds.identity != NULL;
	int n = exchange(a, scope, identity, identity, ret, &unknown, err);

	if (n < 0 && unknown && identity && a->creds.password)
		n = exchange(a, scope, false, false, ret, &unknown, err);
	else if (n < 0 && unknown && !identity && a->creds.password)
		n = exchange(a, scope, true, false, ret, &unknown, err);
	if (n == 0 && ret->refresh && identity) {
		/* the old one may be spent */
		explicit_bzero(a->creds.identity, strlen(a->creds.identity));
		free(a->creds.identity);
		a->creds.identity = vn_steal(ret->refresh);
	}
	return n;
}

/* ---- tokens that are kept */
static struct kept *find_kept(struct vn_auth *a, const char *scope, unsigned min_left)
{
	uint64_t at = now();

	for (size_t i = 0; i < a->nkept;) {
		struct kept *k = &a->kept[i];
		uint64_t left = k->until > at ? k->until - at : 0, least = min_left < k->life * 3 / 4 ? min_left : k->life * 3 / 4;
		if (left <= EARLY) {
			drop_kept(a, i);
			continue;
		}
		if (left >= least && (!*scope ? !*k->scope : vn_scope_covers(k->scope, scope)))
			return k;
		i++;
	}
	return NULL;
}

static int keep(struct vn_auth *a, const char *scope, struct vn_token *token, struct kept **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *copy = NULL;

	if (vn_strdup(scope, &copy, err) < 0)
		return -err->code;
	if (a->nkept == MAX_KEPT)
		drop_kept(a, 0);
	struct kept *k = &a->kept[a->nkept++];
	*k = (struct kept){ vn_steal(copy), vn_steal(token->text), now() + token->seconds, token->seconds };
	*ret = k;
	return 0;
}

/* A token of an earlier run; *ret stays NULL when none serves. */
static int recall_token(struct vn_auth *a, const char *scope, unsigned min_left, struct kept **ret, struct vn_err *err)
{
	int64_t least = min_left > LEAST_LEFT ? min_left : LEAST_LEFT;

	for (size_t nth = 0; a->opt.memory; nth++) {
		VN_AUTO(vn_memory_item) item = { 0 };
		if (!vn_memory_get(a->opt.memory, VN_MEMORY_TOKEN, nth, least, &item))
			break;
		if (strcmp(item.text[0], a->realm) || strcmp(item.text[1], a->service ? a->service : "") ||
		    strcmp(item.text[2], a->who) || !(*scope ? vn_scope_covers(item.text[3], scope) : !*item.text[3]))
			continue;
		struct vn_token token = { .text = vn_steal(item.text[4]), .seconds = (uint64_t)(item.until - (int64_t)time(NULL)) };
		int n = keep(a, item.text[3], &token, ret, err);
		vn_token_release(&token);
		return n;
	}
	return 0;
}

static void remember_token(const struct vn_auth *a, const struct kept *k)
{
	if (!a->opt.memory || k->life <= LEAST_LEFT)
		return;
	const char *const texts[VN_MEMORY_TEXTS] = { a->realm, a->service, a->who, k->scope, k->text };
	vn_memory_put(a->opt.memory, VN_MEMORY_TOKEN, texts, (int64_t)time(NULL) + (int64_t)k->life);
}

static int bearer(struct vn_auth *a, const char *scope, unsigned min_left, struct vn_buf *ret, bool *ret_fresh,
		  struct vn_err *err)
{
	VN_AUTO(vn_token) token = { 0 };
	VN_AUTO_FREE char *all = NULL;

	if (a->creds.bearer)
		return vn_buf_addf(ret, err, "Authorization: Bearer %s", a->creds.bearer);
	struct kept *k = find_kept(a, scope, min_left);
	if (!k && recall_token(a, scope, min_left, &k, err) < 0)
		return -err->code;
	if (!k) {
		/* some token servers honour only the first scope, so what the registry asked for itself comes first */
		bool more = a->offered && !vn_scope_covers(scope, a->offered);
		if (vn_asprintf(&all, err, "%s%s%s", more ? a->offered : "", more && *scope ? " " : "", scope) < 0 ||
		    fetch(a, all, &token, err) < 0 || keep(a, all, &token, &k, err) < 0)
			return -err->code;
		*ret_fresh = true;
		remember_token(a, k);
	}
	return vn_buf_addf(ret, err, "Authorization: Bearer %s", k->text);
}

int vn_auth_line(struct vn_auth *a, const char *scope, unsigned min_left, struct vn_buf *ret, bool *ret_fresh,
		 struct vn_err *err)
{
	int n = 0;

	*ret_fresh = false;
	pthread_mutex_lock(&a->lock);
	if (!a->asked_memory && a->scheme == VN_SCHEME_OTHER)
		recall(a);
	a->asked_memory = true;
	if (a->scheme != VN_SCHEME_OTHER)
		n = know_creds(a, err);
	if (n == 0 && a->scheme == VN_SCHEME_BEARER) {
		n = bearer(a, scope, min_left, ret, ret_fresh, err);
		if (n < 0 && a->recalled) {
			/* the token server may be another one now: the registry shall say it again */
			unlearn(a);
			vn_buf_clear(ret);
			n = 0;
		}
	}
	if (n == 0 && a->scheme == VN_SCHEME_BASIC && a->creds.password)
		n = add_basic(a->creds.user ? a->creds.user : "", a->creds.password, ret, err);
	pthread_mutex_unlock(&a->lock);
	return n;
}

/* ---- challenges */
static int read_challenges(const struct vn_auth *a, const struct vn_http_response *r, struct vn_challenges *ret,
			   struct vn_err *err)
{
	struct vn_err bad = { 0 };
	const char *value;

	for (size_t i = 0; (value = vn_http_header(r, "WWW-Authenticate", i)); i++)
		vn_challenges_parse(value, ret, &bad);
	if (bad.code && !vn_challenges_best(ret)) {
		*err = bad;
		return vn_wrap(err, "%s", a->opt.registry);
	}
	return 0;
}

static int adopt(struct vn_auth *a, const struct vn_challenge *c, struct vn_err *err)
{
	VN_AUTO_FREE char *realm = NULL, *service = NULL, *scope = NULL;

	if (vn_strdup(c->realm, &realm, err) < 0 || vn_strdup(c->service, &service, err) < 0 ||
	    vn_strdup(c->scope, &scope, err) < 0)
		return -err->code;
	if (a->scheme != c->scheme || !a->realm || !realm || strcmp(a->realm, realm))
		while (a->nkept)
			drop_kept(a, 0);
	a->scheme = c->scheme;
	free(a->realm);
	free(a->service);
	a->realm = vn_steal(realm);
	a->service = vn_steal(service);
	if (scope) {
		free(a->offered);
		a->offered = vn_steal(scope);
	}
	a->recalled = false;
	remember(a);
	return 0;
}

static void forget(struct vn_auth *a, const char *sent)
{
	static const char lead[] = "Authorization: Bearer ";

	if (strncmp(sent, lead, sizeof lead - 1))
		return;
	if (a->opt.memory)
		vn_memory_drop(a->opt.memory, VN_MEMORY_TOKEN, 4, sent + sizeof lead - 1);
	for (size_t i = 0; i < a->nkept;)
		if (!strcmp(a->kept[i].text, sent + sizeof lead - 1))
			drop_kept(a, i);
		else
			i++;
}

static int learn(struct vn_auth *a, const struct vn_http_response *r, const char *scope, const char *sent, bool fresh,
		 bool *ret_again, struct vn_err *err)
{
	VN_AUTO(vn_challenges) list = { 0 };

	if (read_challenges(a, r, &list, err) < 0)
		return -err->code;
	const struct vn_challenge *c = vn_challenges_best(&list);
	if (a->recalled && (!c || c->scheme != VN_SCHEME_BEARER)) {
		/* it may have changed its mind since, and says so best to somebody who proves nothing */
		forget(a, sent);
		unlearn(a);
		*ret_again = *sent != 0;
		return 0;
	}
	/* a registry that speaks Bearer falls back to Basic for wrong credentials (ACR), and answers nothing on some paths (GCR) */
	bool keep_scheme = !c || (a->scheme == VN_SCHEME_BEARER && c->scheme == VN_SCHEME_BASIC);
	bool news = a->scheme == VN_SCHEME_OTHER && c;
	if (!keep_scheme) {
		news = news || a->scheme != c->scheme;
		if (c->scope && c->scheme == VN_SCHEME_BEARER && !vn_scope_covers(scope, c->scope) &&
		    (!a->offered || !vn_scope_covers(a->offered, c->scope)))
			news = true;
		if (adopt(a, c, err) < 0)
			return -err->code;
	}
	forget(a, sent);
	/* a token that lives for a second may end on its way (RFC 6750, 3.1): the caller bounds how often that is believed */
	bool stale = !fresh || (c && c->error && !strcmp(c->error, "invalid_token"));
	*ret_again = a->scheme != VN_SCHEME_OTHER && (news || (a->scheme == VN_SCHEME_BEARER && *sent && stale && !a->creds.bearer));
	return 0;
}

int vn_auth_refused(struct vn_auth *a, const struct vn_http_response *r, const char *scope, const char *sent, bool fresh,
		    bool *ret_again, struct vn_err *err)
{
	*ret_again = false;
	pthread_mutex_lock(&a->lock);
	int n = learn(a, r, scope, sent, fresh, ret_again, err);
	pthread_mutex_unlock(&a->lock);
	return n;
}
