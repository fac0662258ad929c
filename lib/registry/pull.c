#include "registry/blob.h"
#include "registry/refusal.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>

#define MAX_RESUMES 2                /* in a row, without PROGRESS bytes in between */
#define PROGRESS (1u << 20)

struct pull {
	struct vn_in in;
	struct vn_client *client;
	char *path;
	struct vn_digest digest;
	uint64_t size, done;         /* done: bytes handed out, or that the caller had before */
	uint64_t skip;               /* bytes that the answer repeats */
	uint64_t mark;               /* done at the last reconnect */
	unsigned resumes;
	bool no_range;               /* the server's ranges cannot be trusted */
	bool begun;                  /* the caller knows where the stream begins */
	struct vn_http_response r;   /* body NULL: reconnect first */
};

static bool number(const char **p, uint64_t *ret)
{
	char digits[21];
	size_t n = strspn(*p, "0123456789");

	if (!n || n >= sizeof digits)
		return false;
	memcpy(digits, *p, n);
	digits[n] = 0;
	*p += n;
	return vn_parse_u64(digits, ret);
}

bool vn_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last, int64_t *ret_total)
{
	uint64_t total;

	if (strncmp(text, "bytes ", 6))
		return false;
	text += 6;
	if (!number(&text, ret_first) || *text++ != '-' || !number(&text, ret_last) || *text++ != '/' || *ret_last < *ret_first)
		return false;
	if (!strcmp(text, "*")) {
		*ret_total = -1;
		return true;
	}
	if (!number(&text, &total) || *text || total > INT64_MAX)
		return false;
	*ret_total = (int64_t)total;
	return true;
}

static int lying_length(const struct pull *p, struct vn_err *err)
{
	const char *length = vn_http_header(&p->r, "Content-Length", 0);
	uint64_t said;

	bool known = length && vn_parse_u64(length, &said);
	if (known && said == p->size)
		return 0;
	if (vn_refusal_web_page(p->client, &p->r, "a blob", err) < 0)
		return -err->code;
	if (!known)
		return 0;
	return vn_fail(err, VN_EDIGEST, "blob %s of %s/%s: expected %llu bytes, the registry announces %llu", p->digest.text,
		       vn_client_registry(p->client), vn_client_repository(p->client), (unsigned long long)p->size,
		       (unsigned long long)said);
}

/* Whether a 206 continues exactly where the bytes ended. */
static bool continues(const struct pull *p)
{
	const char *text = vn_http_header(&p->r, "Content-Range", 0), *length = vn_http_header(&p->r, "Content-Length", 0);
	uint64_t first, last, said;
	int64_t total;

	return text && vn_content_range(text, &first, &last, &total) && first == p->done && last == p->size - 1 &&
	       (total < 0 || (uint64_t)total == p->size) &&
	       (!length || !vn_parse_u64(length, &said) || said == p->size - p->done);
}

/* The answer holds the whole blob: what was handed out is passed over, what the caller had before is given again. */
static void repeats(struct pull *p)
{
	if (!p->begun)
		p->done = p->mark = 0;
	p->skip = p->done;
}

/* One GET; 1: the server's range is not what was asked for, ask again without. */
static int connect_once(struct pull *p, struct vn_err *err)
{
	char range[64];
	struct vn_call call = { .method = "GET", .path = p->path, .access = VN_ACCESS_PULL };

	snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)p->done);
	bool part = p->done && !p->no_range;
	size_t n = 0;
	if (!vn_client_options(p->client)->frugal)
		call.headers[n++] = "Accept: */*";
	call.headers[n] = part ? range : NULL;
	if (vn_client_call(p->client, &call, &p->r, err) < 0)
		return -err->code;
	if (p->r.status == 200) {
		repeats(p);
		return lying_length(p, err);
	}
	if (p->r.status == 206 && part && continues(p)) {
		p->skip = 0;
		return 0;
	}
	if (part && (p->r.status == 206 || p->r.status == 416)) {
		vn_debug(vn_client_events(p->client), "blob %s: the registry's range is wrong; starting over", p->digest.text);
		p->no_range = true;
		return 1;
	}
	if (p->r.status == 404)
		return vn_fail(err, VN_ENOTFOUND, "%s/%s has no blob %s", vn_client_registry(p->client),
			       vn_client_repository(p->client), p->digest.text);
	return vn_refusal_unexpected(p->client, &call, &p->r, err);
}

static int reconnect(struct pull *p, struct vn_err *err)
{
	int n;

	do {
		vn_http_response_release(&p->r);
		n = connect_once(p, err);
	} while (n > 0);
	if (n < 0)
		vn_http_response_release(&p->r);
	return n;
}

static int gave_up(const struct pull *p, const struct vn_err *why, struct vn_err *err)
{
	static const char *const times[] = { "", "; resumed once, gave up", "; resumed twice, gave up" };
	char done[VN_COUNT_TEXT], size[VN_COUNT_TEXT], reason[300];

	snprintf(reason, sizeof reason, "%.299s", why->text);
	return vn_fail(err, VN_ENETWORK, "blob %.19s… of %s/%s ended after %s of %s bytes%s (%s)", p->digest.text,
		       vn_client_registry(p->client), vn_client_repository(p->client), vn_count_text(p->done, done),
		       vn_count_text(p->size, size), times[p->resumes <= MAX_RESUMES ? p->resumes : MAX_RESUMES], reason);
}

/* Bytes were cut off by `why`: reconnect, or give up. */
static int resume(struct pull *p, const struct vn_err *why, struct vn_err *err)
{
	vn_http_response_release(&p->r);
	if (p->done - p->mark >= PROGRESS)
		p->resumes = 0;
	if (p->resumes >= MAX_RESUMES)
		return gave_up(p, why, err);
	p->resumes++;
	p->mark = p->done;
	vn_debug(vn_client_events(p->client), "blob %s: %s; resuming at %llu", p->digest.text, why->text,
		 (unsigned long long)p->done);
	if (p->resumes > 1 && vn_client_wait(p->client, p->resumes, NULL, err) < 0)
		return -err->code;
	return reconnect(p, err);
}

static ssize_t pull_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct pull *p = (struct pull *)in;

	for (;;) {
		struct vn_err why = { 0 };
		const void *block = NULL;
		ssize_t n;
		if (!p->r.body && p->done == p->size)
			return 0;
		if (!p->r.body)
			n = vn_fail(&why, VN_ENETWORK, "the connection was lost");
		else
			n = vn_in_next(p->r.body, &block, &why);
		if (n == 0 && p->done == p->size)
			return 0;
		if (n == 0)
			n = vn_fail(&why, VN_ENETWORK, "the registry sent less than it should");
		if (n < 0 && (why.code != VN_ENETWORK || p->done == p->size)) {
			*err = why;
			return p->done == p->size && why.code == VN_ENETWORK ? 0 : n;
		}
		if (n < 0 && resume(p, &why, err) < 0)
			return -(ssize_t)err->code;
		if (n < 0)
			continue;
		if ((uint64_t)n <= p->skip) {
			p->skip -= (uint64_t)n;
			continue;
		}
		block = (const uint8_t *)block + p->skip;
		uint64_t fresh = (uint64_t)n - p->skip;
		p->skip = 0;
		if (fresh > p->size - p->done)
			return vn_fail(err, VN_EDIGEST, "blob %s of %s/%s is longer than the %llu bytes it should have", p->digest.text,
				       vn_client_registry(p->client), vn_client_repository(p->client), (unsigned long long)p->size);
		p->done += fresh;
		*ret_block = block;
		return (ssize_t)fresh;
	}
}

static void pull_close(struct vn_in *in)
{
	struct pull *p = (struct pull *)in;

	vn_http_response_release(&p->r);
	free(p->path);
	free(p);
}

static const struct vn_in_ops pull_ops = { pull_next, pull_close };

int vn_blob_pull(struct vn_client *c, const struct vn_desc *desc, uint64_t from, uint64_t *ret_from, struct vn_in **ret,
		 struct vn_err *err)
{
	struct pull *p = calloc(1, sizeof *p);

	if (!p)
		return vn_nomem(err);
	VN_AUTO_IN *in = &p->in;
	p->in.ops = &pull_ops;
	p->client = c;
	p->digest = desc->digest;
	p->size = desc->size > 0 ? (uint64_t)desc->size : 0;
	p->done = p->mark = from <= p->size ? from : 0;
	if (vn_asprintf(&p->path, err, "/v2/%s/blobs/%s", vn_client_repository(c), desc->digest.text) < 0)
		return -err->code;
	/* with all of it at hand there is nothing to ask for */
	if ((!p->done || p->done < p->size) && reconnect(p, err) < 0)
		return -err->code;
	p->begun = true;
	if (ret_from)
		*ret_from = p->done;
	*ret = vn_steal(in);
	return 0;
}
