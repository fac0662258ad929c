#include "registry/blob.h"
#include "registry/refusal.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>

#define CHUNK (16ull << 20)
#define LEAST_CHUNK (256u << 10)
#define MOST_CHUNK (1ull << 30)
#define LARGE (8u << 20)             /* worth a token that lives on */
#define LARGE_LEFT 300

int vn_blob_exists(struct vn_client *c, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO_FREE char *path = NULL;

	if (vn_asprintf(&path, err, "/v2/%s/blobs/%s", vn_client_repository(c), desc->digest.text) < 0)
		return -err->code;
	struct vn_call call = { .method = "HEAD", .path = path, .access = VN_ACCESS_PUSH };
	if (vn_client_call(c, &call, &r, err) < 0)
		return -err->code;
	*ret = r.status == 200;
	return 0;
}

static int location(struct vn_client *c, const struct vn_url *from, const struct vn_http_response *r, char **ret,
		    struct vn_err *err)
{
	VN_AUTO(vn_url) url = { 0 };
	const char *target = vn_http_header(r, "Location", 0);

	if (!target)
		return vn_fail(err, VN_EFORMAT, "%s opened an upload without saying where (no Location)", vn_client_registry(c));
	if (vn_client_follow(c, from, target, &url, err) < 0)
		return -err->code;
	return vn_url_text(&url, ret, err);
}

int vn_blob_mount(struct vn_client *c, const struct vn_desc *desc, const char *from, bool *ret, char **ret_session,
		  struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO(vn_buf) path = VN_BUF(4096);
	VN_AUTO_FREE char *session = NULL;

	if (vn_buf_addf(&path, err, "/v2/%s/blobs/uploads/?mount=%s&from=", vn_client_repository(c), desc->digest.text) < 0 ||
	    vn_url_escape(&path, from, err) < 0)
		return -err->code;
	struct vn_call call = { .method = "POST", .path = path.data, .access = VN_ACCESS_PUSH, .from = from, .soft = true };
	int n = vn_client_call(c, &call, &r, err);
	/* registries fail here in every way there is; whatever they say, the plain upload is still open to us */
	if (n < 0 && err->code != VN_EAUTH)
		return n;
	bool mounted = n == 0 && r.status == 201;
	if (n == 0 && r.status == 202 && vn_http_header(&r, "Location", 0)) {
		struct vn_err ignored = { 0 };
		location(c, NULL, &r, &session, &ignored);
	}
	if (!mounted)
		vn_debug(vn_client_events(c), "blob %s is not mounted from %s: %u", desc->digest.text, from, n < 0 ? 401 : r.status);
	*ret = mounted;
	*ret_session = vn_steal(session);
	return 0;
}

/* ---- one upload */
struct push {
	struct vn_client *c;
	const struct vn_desc *desc;
	const struct vn_body *body;
	uint64_t size, chunk;
	bool pieces;
	unsigned tries, proofs;
};

enum outcome { PUSHED, AGAIN, SMALLER };

static int open_session(struct push *p, char **ret, uint64_t *ret_least, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO_FREE char *path = NULL;
	const char *least;

	if (vn_asprintf(&path, err, "/v2/%s/blobs/uploads/", vn_client_repository(p->c)) < 0)
		return -err->code;
	struct vn_call call = { .method = "POST", .path = path, .access = VN_ACCESS_PUSH };
	if (vn_client_call(p->c, &call, &r, err) < 0)
		return -err->code;
	if (r.status == 404) {
		vn_refusal_unexpected(p->c, &call, &r, err);
		return vn_hint(err, "Some registries (Amazon ECR among them) want the repository to be made beforehand.");
	}
	if (r.status != 202 && r.status != 201)
		return vn_refusal_unexpected(p->c, &call, &r, err);
	least = vn_http_header(&r, "OCI-Chunk-Min-Length", 0);
	if (!least || !vn_parse_u64(least, ret_least))
		*ret_least = 0;
	return location(p->c, NULL, &r, ret, err);
}

static int with_digest(const struct push *p, const char *session, struct vn_url *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *text = NULL;

	if (vn_asprintf(&text, err, "%s%sdigest=%s", session, strchr(session, '?') ? "&" : "?", p->desc->digest.text) < 0)
		return -err->code;
	return vn_url_parse(text, ret, err);
}

static bool ecr(const struct push *p)
{
	return strstr(vn_client_registry(p->c), ".dkr.ecr.") != NULL;
}

/* What an answer to PUT or PATCH means. A session is never used twice: replaying into one doubles the bytes. */
static int judge(struct push *p, const struct vn_call *call, struct vn_http_response *r, bool again, enum outcome *ret,
		 struct vn_err *err)
{
	unsigned status = r->status;

	if (status == 200 || status == 201 || status == 202 || status == 204) {
		*ret = PUSHED;
		return 0;
	}
	if (status == 413 && !ecr(p)) {
		*ret = SMALLER;
		return 0;
	}
	if (status == 401 && again && p->proofs++ < 2) {
		*ret = AGAIN;
		return 0;
	}
	if ((status == 404 || status == 416 || vn_client_worth_retry(status)) && p->tries < vn_client_options(p->c)->retries) {
		*ret = AGAIN;
		return vn_client_wait(p->c, ++p->tries, r, err);
	}
	vn_refusal_unexpected(p->c, call, r, err);
	return vn_wrap(err, "blob %.19s…", p->desc->digest.text);
}

/* A request that failed in the network: a new session, as long as there are tries. */
static int lost(struct push *p, enum outcome *ret, struct vn_err *err)
{
	if (err->code != VN_ENETWORK)
		return -err->code;
	if (p->tries >= vn_client_options(p->c)->retries) {
		size_t len = strlen(err->text);
		snprintf(err->text + len, sizeof err->text - len, "; tried %u times", p->tries + 1);
		return vn_wrap(err, "blob %.19s…", p->desc->digest.text);
	}
	*ret = AGAIN;
	return vn_client_wait(p->c, ++p->tries, NULL, err);
}

static int put_whole(struct push *p, const char *session, enum outcome *ret, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO(vn_url) url = { 0 };
	bool again = false;

	if (with_digest(p, session, &url, err) < 0)
		return -err->code;
	struct vn_call call = { .method = "PUT", .url = &url, .access = VN_ACCESS_PUSH, .body = p->body,
				.headers = { "Content-Type: application/octet-stream" }, .body_len = (int64_t)p->size,
				.min_left = p->size > LARGE ? LARGE_LEFT : 0 };
	if (vn_client_once(p->c, &call, &r, &again, err) < 0)
		return lost(p, ret, err);
	return judge(p, &call, &r, again, ret, err);
}

/* ---- in pieces */
struct piece {
	struct vn_in in;
	struct vn_in *inner;         /* borrowed */
	uint64_t left;
	uint8_t block[64 << 10];
};

static ssize_t piece_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct piece *p = (struct piece *)in;
	size_t want = p->left < sizeof p->block ? (size_t)p->left : sizeof p->block;

	if (!want)
		return 0;
	ssize_t n = vn_in_read(p->inner, p->block, want, err);
	if (n > 0)
		p->left -= (uint64_t)n;
	*ret_block = p->block;
	return n;
}

static void piece_close(struct vn_in *in)
{
	free(in);
}

static const struct vn_in_ops piece_ops = { piece_next, piece_close };

struct piece_body {
	struct vn_in *inner;
	uint64_t len;
	bool used;
};

static int piece_open(const struct vn_body *body, struct vn_in **ret, struct vn_err *err)
{
	struct piece_body *b = body->user;
	struct piece *p;

	if (b->used)
		return vn_fail(err, VN_ENETWORK, "a piece cannot be sent twice");
	p = calloc(1, sizeof *p);
	if (!p)
		return vn_nomem(err);
	b->used = true;
	p->in.ops = &piece_ops;
	p->inner = b->inner;
	p->left = b->len;
	*ret = &p->in;
	return 0;
}

static int patch(struct push *p, struct vn_in *in, char **session, uint64_t at, uint64_t len, enum outcome *ret,
		 struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO(vn_url) url = { 0 };
	VN_AUTO_FREE char *next = NULL;
	struct piece_body part = { in, len, false };
	struct vn_body body = { piece_open, &part };
	char range[80];
	bool again = false;

	/* distribution-spec: inclusive, without "bytes" */
	snprintf(range, sizeof range, "Content-Range: %llu-%llu", (unsigned long long)at, (unsigned long long)(at + len - 1));
	if (vn_url_parse(*session, &url, err) < 0)
		return -err->code;
	struct vn_call call = { .method = "PATCH", .url = &url, .access = VN_ACCESS_PUSH,
				.headers = { "Content-Type: application/octet-stream", range }, .body = &body, .body_len = (int64_t)len };
	if (vn_client_once(p->c, &call, &r, &again, err) < 0)
		return lost(p, ret, err);
	int n = judge(p, &call, &r, again, ret, err);
	if (n < 0 || *ret != PUSHED)
		return n;
	if (vn_http_header(&r, "Location", 0)) {
		if (location(p->c, &url, &r, &next, err) < 0)
			return -err->code;
		free(*session);
		*session = vn_steal(next);
	}
	return 0;
}

static int put_pieces(struct push *p, char **session, enum outcome *ret, struct vn_err *err)
{
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO(vn_url) url = { 0 };
	VN_AUTO_IN *in = NULL;
	bool again = false;

	if (p->body->open(p->body, &in, err) < 0)
		return -err->code;
	for (uint64_t at = 0; at < p->size;) {
		uint64_t len = p->size - at < p->chunk ? p->size - at : p->chunk;
		int n = patch(p, in, session, at, len, ret, err);
		if (n < 0 || *ret != PUSHED)
			return n;
		at += len;
	}
	if (with_digest(p, *session, &url, err) < 0)
		return -err->code;
	struct vn_call call = { .method = "PUT", .url = &url, .access = VN_ACCESS_PUSH };
	if (vn_client_once(p->c, &call, &r, &again, err) < 0)
		return lost(p, ret, err);
	return judge(p, &call, &r, again, ret, err);
}

/* The registry, or a proxy in front of it, takes less at once. */
static int go_smaller(struct push *p, struct vn_err *err)
{
	char size[VN_SIZE_TEXT];
	uint64_t next = p->pieces ? p->chunk / 4 : p->chunk;

	if (!p->pieces && p->size / 2 < next)
		next = p->size / 2;
	if (next < LEAST_CHUNK && (p->pieces || p->size <= LEAST_CHUNK)) {
		vn_fail(err, VN_EREFUSED, "%s refuses blob %.19s… as too large (413), even in pieces of %s", vn_client_registry(p->c),
			p->desc->digest.text, vn_size_text(p->pieces ? p->chunk : p->size, size));
		return vn_hint(err, "A proxy in front of the registry may limit the size of requests (nginx: client_max_body_size).");
	}
	p->chunk = next < LEAST_CHUNK ? LEAST_CHUNK : next;
	p->pieces = true;
	vn_debug(vn_client_events(p->c), "blob %s: refused as too large; in pieces of %llu bytes", p->desc->digest.text,
		 (unsigned long long)p->chunk);
	return 0;
}

int vn_blob_push(struct vn_client *c, const struct vn_desc *desc, const struct vn_body *body, const char *session,
		 uint64_t chunk, struct vn_err *err)
{
	struct push p = { .c = c, .desc = desc, .body = body, .size = desc->size > 0 ? (uint64_t)desc->size : 0,
			  .chunk = chunk ? chunk : CHUNK };

	for (;;) {
		VN_AUTO_FREE char *at = NULL;
		enum outcome outcome = AGAIN;
		uint64_t least = 0;
		int n;
		if (session && !p.tries && !p.proofs && !p.pieces)
			n = vn_strdup(session, &at, err);
		else
			n = open_session(&p, &at, &least, err);
		if (n == 0 && p.pieces && least > p.chunk && least <= MOST_CHUNK)
			p.chunk = least;
		if (n == 0)
			n = p.pieces ? put_pieces(&p, &at, &outcome, err) : put_whole(&p, at, &outcome, err);
		if (n < 0)
			return n == -VN_ENETWORK && ecr(&p) ? vn_hint(err, "Amazon ECR breaks off when the repository does not exist.") : n;
		if (outcome == PUSHED)
			return 0;
		if (outcome == SMALLER && go_smaller(&p, err) < 0)
			return -err->code;
	}
}
