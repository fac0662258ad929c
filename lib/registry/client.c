#include "registry/client.h"
#include "registry/memory.h"
#include "registry/refusal.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define MOST_PROOFS 4                /* tokens that one request may use up */

struct vn_client {
	unsigned owners;                     /* beyond the first; changed under `lock` */
	pthread_mutex_t lock, first;         /* of `warning` and `http1`; held during the first contact */
	struct vn_registry_options opt;      /* texts owned */
	const struct vn_events *events;
	char *registry, *repository;
	struct vn_creds_options creds;
	struct vn_http *http;
	struct vn_memory *memory;            /* NULL: nothing is remembered */
	struct vn_trust *trust;
	struct vn_auth *auth;
	struct vn_url origin;
	bool named_port, ready, asked;
	bool guessed;                        /* that TLS is spoken there or not, as it was at another time */
	bool http1;                          /* HTTP/2 broke */
	char warning[200];                   /* the last Warning header that was told */
};

/* ---- life */
struct vn_client *vn_client_hold(struct vn_client *c)
{
	pthread_mutex_lock(&c->lock);
	c->owners++;
	pthread_mutex_unlock(&c->lock);
	return c;
}

void vn_client_close(struct vn_client *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	bool last = !c->owners;
	c->owners -= !last;
	pthread_mutex_unlock(&c->lock);
	if (!last)
		return;
	vn_auth_close(c->auth);
	vn_trust_close(c->trust);
	vn_http_close(c->http);
	vn_memory_close(c->memory, c->events);
	vn_url_release(&c->origin);
	if (c->opt.password)
		explicit_bzero((char *)(uintptr_t)c->opt.password, strlen(c->opt.password));
	free((void *)(uintptr_t)c->opt.authfile);
	free((void *)(uintptr_t)c->opt.username);
	free((void *)(uintptr_t)c->opt.password);
	free(c->registry);
	free(c->repository);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->first);
	free(c);
}
static void client_close_p(struct vn_client **c)
{
	vn_client_close(*c);
}

static int copy_text(const char *from, const char **to, struct vn_err *err)
{
	char *copy = NULL;
	int n = vn_strdup(from, &copy, err);
	*to = copy;
	return n;
}

static int copy_options(struct vn_client *c, const struct vn_registry_options *opt, struct vn_err *err)
{
	if (!opt)
		return 0;
	c->opt = *opt;
	c->opt.authfile = c->opt.username = c->opt.password = c->opt.cacert = c->opt.memory = NULL;
	if (copy_text(opt->authfile, &c->opt.authfile, err) < 0 || copy_text(opt->username, &c->opt.username, err) < 0)
		return -err->code;
	return copy_text(opt->password, &c->opt.password, err);
}

static int set_origin(struct vn_client *c, struct vn_err *err)
{
	const char *name = vn_registry_name(c->registry);

	if (!strcmp(name, "docker.io"))
		name = "registry-1.docker.io";
	if (vn_host_split(name, &c->origin.host, &c->origin.port, err) < 0 || vn_strdup("/v2/", &c->origin.path, err) < 0)
		return -err->code;
	c->named_port = c->origin.port != 0;
	c->origin.tls = !c->opt.plain_http;
	if (!c->named_port)
		c->origin.port = c->origin.tls ? 443 : 80;
	return 0;
}

int vn_client_open(const char *registry, const char *repository, const struct vn_registry_options *opt,
		   const struct vn_events *events, struct vn_client **ret, struct vn_err *err)
{
	VN_CLEANUP(client_close_p) struct vn_client *c = calloc(1, sizeof *c);

	if (!c)
		return vn_nomem(err);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->first, NULL);
	c->events = events;
	if (copy_options(c, opt, err) < 0 || vn_strdup(registry, &c->registry, err) < 0 ||
	    vn_strdup(repository, &c->repository, err) < 0 || set_origin(c, err) < 0)
		return -err->code;
	if (!c->opt.retries)
		c->opt.retries = 4;
	if (opt && opt->memory && vn_memory_open(opt->memory, events, &c->memory, err) < 0)
		return -err->code;
	struct vn_http_options http = { .stall_ms = c->opt.stall_seconds * 1000, .frugal = c->opt.frugal, .wire = c->opt.wire,
					.memory = c->memory };
	c->creds = (struct vn_creds_options){ c->opt.authfile, c->opt.username, c->opt.password, c->opt.helper_seconds, events };
	if (vn_http_open(&http, &c->http, err) < 0 ||
	    vn_trust_open(opt ? opt->cacert : NULL, c->opt.insecure, events, &c->trust, err) < 0)
		return -err->code;
	struct vn_auth_options auth = { c->http, c->trust, events, c->registry, c->repository, &c->origin, &c->creds,
					c->opt.plain_http || c->opt.insecure, c->memory };
	if (vn_auth_open(&auth, &c->auth, err) < 0)
		return -err->code;
	*ret = vn_steal(c);
	return 0;
}

const char *vn_client_registry(const struct vn_client *c)
{
	return c->registry;
}

const char *vn_client_repository(const struct vn_client *c)
{
	return c->repository ? c->repository : "";
}

const struct vn_events *vn_client_events(const struct vn_client *c)
{
	return c->events;
}

const struct vn_registry_options *vn_client_options(const struct vn_client *c)
{
	return &c->opt;
}

const char *vn_client_source(const struct vn_client *c)
{
	return vn_auth_source(c->auth);
}

bool vn_client_home(const struct vn_client *c, const struct vn_url *url)
{
	return vn_url_same_origin(&c->origin, url);
}

/* ---- where answers may lead */
int vn_client_follow(const struct vn_client *c, const struct vn_url *from, const char *target, struct vn_url *ret,
		     struct vn_err *err)
{
	VN_AUTO(vn_url) to = { 0 };
	char shown[VN_URL_SHOWN];
	bool lax = c->opt.plain_http || c->opt.insecure;
	from = from ? from : &c->origin;

	if (vn_url_resolve(from, target, &to, err) < 0)
		return vn_wrap(err, "%s redirects", c->registry);
	/* a proxy in front of the registry took the TLS away and the registry does not know it: stay with TLS */
	if (!to.tls && c->origin.tls && !strcmp(to.host, c->origin.host)) {
		to.tls = true;
		to.port = c->origin.port;
	}
	enum vn_host_kind kind = vn_host_kind(to.host);
	if (!to.tls && from->tls)
		return vn_fail(err, VN_EUNSAFE, "%s leads from https to %s; not followed", c->registry, vn_url_shown(&to, shown));
	if ((kind == VN_HOST_LOOPBACK || kind == VN_HOST_LINK_LOCAL) && vn_host_kind(c->origin.host) == VN_HOST_PUBLIC && !lax)
		return vn_fail(err, VN_EUNSAFE, "%s leads to %s, an address of this machine or its link; not followed",
			       c->registry, vn_url_shown(&to, shown));
	*ret = to;
	to = (struct vn_url){ 0 };
	return 0;
}

static bool redirects(const struct vn_call *call, const struct vn_http_response *r)
{
	bool reads = !strcmp(call->method, "GET") || !strcmp(call->method, "HEAD");

	if (!vn_http_header(r, "Location", 0))
		return false;
	return r->status == 307 || r->status == 308 || (reads && (r->status == 301 || r->status == 302 || r->status == 303));
}

/* ---- one request */
struct attempt {
	struct vn_client *c;
	const struct vn_call *call;
	const char *scope;
	struct vn_buf line;                  /* Authorization for home, or empty */
	bool fresh;
	struct vn_url at;                    /* who answered */
	struct vn_buf away;                  /* Authorization for another host, got without our credentials */
	enum vn_http_trouble trouble;
};

static void attempt_release(struct attempt *a)
{
	if (a->line.data)
		explicit_bzero(a->line.data, a->line.len);
	vn_buf_release(&a->line);
	vn_buf_release(&a->away);
	vn_url_release(&a->at);
}

static void tell_warning(struct vn_client *c, const struct vn_http_response *r)
{
	const char *value = vn_http_header(r, "Warning", 0);
	char line[sizeof c->warning];

	if (!value || strncmp(value, "299 ", 4))
		return;
	vn_creds_line(value + 4, line, sizeof line);
	pthread_mutex_lock(&c->lock);
	bool known = !strcmp(line, c->warning);
	memcpy(c->warning, line, sizeof line);
	pthread_mutex_unlock(&c->lock);
	if (!known)
		vn_warn(c->events, "%s says: %s", c->registry, line);
}

static int hop(struct attempt *a, struct vn_http_response *ret, struct vn_err *err)
{
	struct vn_client *c = a->c;
	VN_AUTO_FREE char *text = NULL;
	VN_AUTO_IN *body = NULL;
	const struct vn_http_tls *tls = NULL;
	const char *headers[8];
	size_t n = 0;
	char shown[VN_URL_SHOWN];
	bool home = vn_client_home(c, &a->at);

	for (size_t i = 0; i < 4 && a->call->headers[i]; i++)
		headers[n++] = a->call->headers[i];
	if (home && a->line.len)
		headers[n++] = a->line.data;
	else if (!home && a->away.len)
		headers[n++] = a->away.data;
	headers[n] = NULL;
	if (vn_url_text(&a->at, &text, err) < 0 || (a->at.tls && vn_trust_for(c->trust, &a->at, &tls, err) < 0) ||
	    (a->call->body && a->call->body->open(a->call->body, &body, err) < 0))
		return -err->code;
	pthread_mutex_lock(&c->lock);
	bool http1 = c->http1;
	pthread_mutex_unlock(&c->lock);
	struct vn_http_request req = { a->call->method, text, headers, NULL, tls, body, body ? a->call->body_len : 0, http1 };
	int rc = vn_http_send(c->http, &req, ret, &a->trouble, err);
	if (rc < 0) {
		vn_debug(c->events, "%s %s: %s", req.method, vn_url_shown(&a->at, shown), err->text);
		return rc;
	}
	vn_http_stop_sending(ret);
	vn_debug(c->events, "%s %s: %u", req.method, vn_url_shown(&a->at, shown), ret->status);
	tell_warning(c, ret);
	return 0;
}

/* Another host wants a token: asked for with nobody's credentials. */
static int prove_away(struct attempt *a, struct vn_http_response *r, struct vn_err *err)
{
	struct vn_client *c = a->c;
	struct vn_auth_options opt = { c->http, c->trust, c->events, a->at.host, NULL, &a->at, NULL,
				       c->opt.plain_http || c->opt.insecure, NULL };
	struct vn_auth *auth = NULL;
	bool again = false, fresh;

	int n = vn_auth_open(&opt, &auth, err);
	if (n == 0)
		n = vn_auth_refused(auth, r, "", "", false, &again, err);
	if (n == 0 && again)
		n = vn_auth_line(auth, "", 0, &a->away, &fresh, err);
	vn_auth_close(auth);
	return n;
}

static bool leaves(const struct attempt *a, const struct vn_http_response *r)
{
	VN_AUTO(vn_url) to = { 0 };
	struct vn_err ignored = { 0 };

	return vn_url_resolve(&a->at, vn_http_header(r, "Location", 0), &to, &ignored) < 0 || !vn_client_home(a->c, &to);
}

static int hops(struct attempt *a, struct vn_http_response *ret, struct vn_err *err)
{
	for (unsigned count = 0;; count++) {
		VN_AUTO(vn_http_response) r = { 0 };
		VN_AUTO(vn_url) next = { 0 };
		if (hop(a, &r, err) < 0)
			return -err->code;
		bool away = !vn_client_home(a->c, &a->at);
		if (r.status == 401 && away && !a->away.len) {
			struct vn_err ignored = { 0 };
			if (prove_away(a, &r, &ignored) == 0 && a->away.len)
				continue;
		}
		if (!redirects(a->call, &r) || (a->call->home && leaves(a, &r))) {
			*ret = r;
			r = (struct vn_http_response){ 0 };
			return 0;
		}
		if (count >= VN_MAX_REDIRECTS)
			return vn_fail(err, VN_ELIMIT, "%s redirects more than %d times", a->c->registry, VN_MAX_REDIRECTS);
		if (vn_client_follow(a->c, &a->at, vn_http_header(&r, "Location", 0), &next, err) < 0)
			return -err->code;
		vn_buf_clear(&a->away);
		vn_url_release(&a->at);
		a->at = next;
		next = (struct vn_url){ 0 };
	}
}

static int begin_at(struct attempt *a, struct vn_err *err)
{
	VN_AUTO_FREE char *text = NULL;

	if (a->call->url)
		return vn_url_text(a->call->url, &text, err) < 0 ? -(int)err->code : vn_url_parse(text, &a->at, err);
	return vn_url_resolve(&a->c->origin, a->call->path, &a->at, err);
}

/* *ret_again: a 401 of the registry itself that a new token may turn. */
static int try_once(struct vn_client *c, const struct vn_call *call, const char *scope, bool prove,
		    struct vn_http_response *ret, bool *ret_again, enum vn_http_trouble *ret_trouble, struct vn_err *err)
{
	VN_CLEANUP(attempt_release) struct attempt a = { .c = c, .call = call, .scope = scope };
	VN_AUTO(vn_http_response) r = { 0 };

	a.line.max = a.away.max = VN_MAX_TOKEN_BODY + 64;
	*ret_again = false;
	*ret_trouble = VN_HTTP_FINE;
	if (begin_at(&a, err) < 0 || (prove && vn_auth_line(c->auth, scope, call->min_left, &a.line, &a.fresh, err) < 0))
		return -err->code;
	int n = hops(&a, &r, err);
	*ret_trouble = a.trouble;
	if (n < 0)
		return n;
	if (!vn_client_home(c, &a.at))
		*ret_trouble = VN_HTTP_AWAY;
	else if (r.status == 401 &&
	    vn_auth_refused(c->auth, &r, scope, vn_buf_text(&a.line), a.fresh, ret_again, err) < 0)
		return -err->code;
	*ret = r;
	r = (struct vn_http_response){ 0 };
	return 0;
}

/* ---- tries */
static unsigned tries_for(const struct vn_client *c, enum vn_http_trouble trouble)
{
	if (trouble == VN_HTTP_UNKNOWN_HOST)
		return 0;
	return trouble == VN_HTTP_NO_CONNECTION && c->opt.retries > 1 ? 1 : c->opt.retries;
}

/* A failure or an answer that is worth another try: waits, or gives up with the number of tries. 1: try again. */
static int again_or_not(struct vn_client *c, const struct vn_call *call, unsigned *tries, int n, enum vn_http_trouble trouble,
			struct vn_http_response *r, struct vn_err *err)
{
	char what[VN_REFUSAL_WHAT], said[400];
	unsigned limit = n < 0 ? tries_for(c, trouble) : c->opt.retries;

	if (n < 0 && err->code != VN_ENETWORK)
		return n;
	if (trouble == VN_HTTP_H2) {
		pthread_mutex_lock(&c->lock);
		c->http1 = true;
		pthread_mutex_unlock(&c->lock);
	}
	if (*tries < limit) {
		struct vn_err kept = *err;
		int waited = vn_client_wait(c, ++*tries, n < 0 ? NULL : r, err);
		vn_http_response_release(r);
		if (waited < 0)
			return waited;
		*err = kept;
		return 1;
	}
	vn_refusal_what(c, call, what);
	if (n == 0) {
		vn_refusal_said(r, said, sizeof said);
		vn_fail(err, VN_ENETWORK, "%s%s answered %s to the %s", trouble == VN_HTTP_AWAY ? "the storage of " : "", c->registry,
			said, what);
		if (r->status == 429)
			vn_hint(err, "Its rate limit is used up: wait, or log in for a higher one.");
	}
	size_t len = strlen(err->text);
	if (*tries)
		snprintf(err->text + len, sizeof err->text - len, "; tried %u times", *tries + 1);
	return -(int)err->code;
}

static int scope_text(const struct vn_client *c, const struct vn_call *call, char **ret, struct vn_err *err)
{
	if (call->access == VN_ACCESS_NONE || !c->repository)
		return vn_strdup("", ret, err);
	if (call->from)
		return vn_asprintf(ret, err, "repository:%s:pull,push repository:%s:pull", c->repository, call->from);
	return vn_asprintf(ret, err, "repository:%s:pull%s", c->repository, call->access == VN_ACCESS_PUSH ? ",push" : "");
}

static int run(struct vn_client *c, const struct vn_call *call, bool prove, struct vn_http_response *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *scope = NULL;
	enum vn_http_trouble trouble;
	unsigned tries = 0, proofs = 0;
	bool again;

	if (scope_text(c, call, &scope, err) < 0)
		return -err->code;
	for (;;) {
		VN_AUTO(vn_http_response) r = { 0 };
		int n = try_once(c, call, scope, prove, &r, &again, &trouble, err);
		/* 400 is what servers say who wait for TLS */
		if (c->guessed)
			c->guessed = n < 0 || r.status == 400;
		if (n == -VN_EAUTH && prove) {
			char detail[300];
			snprintf(detail, sizeof detail, "%.299s", err->text);
			return vn_refusal_denied(c, call, 401, detail, err);
		}
		if (n == 0 && again && prove && proofs++ < MOST_PROOFS)
			continue;
		/* the storage behind a registry refuses links that are too old; the registry gives new ones */
		bool old_link = n == 0 && r.status == 403 && trouble == VN_HTTP_AWAY;
		if (n == 0 && prove && !call->soft && !old_link && (r.status == 401 || r.status == 403)) {
			struct vn_answer answer;
			vn_answer_read(&r, &answer);
			char detail[300];
			snprintf(detail, sizeof detail, "%u%s%s", r.status, *answer.text ? " " : "", answer.text);
			return vn_refusal_denied(c, call, r.status, detail, err);
		}
		if (n == 0 && !old_link && !vn_client_worth_retry(r.status)) {
			*ret = r;
			r = (struct vn_http_response){ 0 };
			return 0;
		}
		n = again_or_not(c, call, &tries, n, trouble, &r, err);
		if (n <= 0)
			return n;
	}
}

/* ---- the first contact */
/* TLS is not spoken there; on a loopback host, where docker's test registries live, that is fine. */
static bool try_plain(const struct vn_client *c, enum vn_http_trouble trouble)
{
	if (!c->origin.tls || vn_host_kind(c->origin.host) != VN_HOST_LOOPBACK)
		return false;
	return trouble == VN_HTTP_NOT_TLS || trouble == VN_HTTP_TLS || (trouble == VN_HTTP_NO_CONNECTION && !c->named_port);
}

static void set_tls(struct vn_client *c, bool tls)
{
	c->origin.tls = tls;
	if (!c->named_port)
		c->origin.port = tls ? 443 : 80;
}

static int ping(struct vn_client *c, struct vn_err *err)
{
	static const struct vn_call call = { .method = "GET", .path = "/v2/" };
	VN_AUTO(vn_http_response) r = { 0 };
	enum vn_http_trouble trouble;
	bool again;
	int n = 0;

	if (c->origin.tls && vn_host_kind(c->origin.host) == VN_HOST_LOOPBACK) {
		n = try_once(c, &call, "", false, &r, &again, &trouble, err);
		if (n < 0 && try_plain(c, trouble)) {
			set_tls(c, false);
		} else if (n == 0 || trouble == VN_HTTP_UNTRUSTED) {
			c->asked = n == 0 && r.status == 401;
			return n;
		}
	}
	n = run(c, &call, false, &r, err);
	c->asked = n == 0 && r.status == 401;
	return n;
}

/* The request itself is the first contact, and a 401 says how to prove who asks. Only loopback hosts may lack TLS. */
static int first_contact(struct vn_client *c, struct vn_err *err)
{
	static const struct vn_call call = { .method = "HEAD", .path = "/v2/" };
	VN_AUTO(vn_http_response) r = { 0 };
	enum vn_http_trouble trouble;
	bool again;

	if (!c->origin.tls || vn_host_kind(c->origin.host) != VN_HOST_LOOPBACK)
		return 0;
	for (int tls = 1; tls >= 0 && !c->guessed; tls--) {
		set_tls(c, tls);
		c->guessed = vn_auth_known(c->auth);
	}
	if (c->guessed)
		return 0;
	set_tls(c, true);
	int n = try_once(c, &call, "", false, &r, &again, &trouble, err);
	if (n < 0 && !try_plain(c, trouble))
		return trouble == VN_HTTP_UNTRUSTED ? n : 0;
	set_tls(c, n == 0);
	vn_auth_remember(c->auth);
	return 0;
}

/* What was remembered is not so any more, and the request has to be made again. */
static bool guessed_wrong(struct vn_client *c, struct vn_http_response *r)
{
	pthread_mutex_lock(&c->first);
	bool wrong = c->guessed;
	c->guessed = false;
	if (wrong) {
		vn_http_response_release(r);
		vn_auth_forget(c->auth);
		set_tls(c, true);
		c->ready = false;
	}
	pthread_mutex_unlock(&c->first);
	return wrong;
}

static int ensure(struct vn_client *c, struct vn_err *err)
{
	pthread_mutex_lock(&c->first);
	int n = c->ready ? 0 : c->opt.frugal ? first_contact(c, err) : ping(c, err);
	if (n == 0)
		c->ready = true;
	pthread_mutex_unlock(&c->first);
	return n;
}

int vn_client_call(struct vn_client *c, const struct vn_call *call, struct vn_http_response *ret, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	int n;

	do {
		n = ensure(c, err);
		if (n == 0)
			n = run(c, call, true, &r, err);
	} while (guessed_wrong(c, &r));
	if (n < 0)
		return n;
	*ret = r;
	r = (struct vn_http_response){ 0 };
	return 0;
}

int vn_client_once(struct vn_client *c, const struct vn_call *call, struct vn_http_response *ret, bool *ret_again,
		   struct vn_err *err)
{
	VN_AUTO_FREE char *scope = NULL;
	enum vn_http_trouble trouble;

	if (ensure(c, err) < 0 || scope_text(c, call, &scope, err) < 0)
		return -err->code;
	int n = try_once(c, call, scope, true, ret, ret_again, &trouble, err);
	if (n == -VN_EAUTH) {
		char detail[300];
		snprintf(detail, sizeof detail, "%.299s", err->text);
		return vn_refusal_denied(c, call, 401, detail, err);
	}
	if (trouble == VN_HTTP_H2) {
		pthread_mutex_lock(&c->lock);
		c->http1 = true;
		pthread_mutex_unlock(&c->lock);
	}
	return n;
}

int vn_client_verify(struct vn_client *c, bool *ret_asked, struct vn_err *err)
{
	static const struct vn_call call = { .method = "GET", .path = "/v2/" };
	VN_AUTO(vn_http_response) r = { 0 };

	if (vn_client_call(c, &call, &r, err) < 0)
		return -err->code;
	*ret_asked = c->asked;
	return r.status == 200 ? 0 : vn_refusal_unexpected(c, &call, &r, err);
}
