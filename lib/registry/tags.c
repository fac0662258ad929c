#include "registry/manifest.h"
#include "registry/page.h"
#include "registry/refusal.h"
#include "json/json.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>

#define MAX_TAG 128
#define MAX_PAGE (8u << 20)
#define MAX_PAGES 10000
#define NEAR 3

static int add_page(const struct vn_buf *page, struct vn_buf *ret_tags, size_t *ret_count, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;

	if (vn_json_parse(page->data, page->len, "the list of tags", &doc, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(doc, "the list of tags");
	if (vn_jv_want_object(&root, err) < 0)
		return -err->code;
	struct vn_jv tags = vn_jv_get(&root, "tags");
	if (vn_jv_want_array(&tags, err) < 0)
		return -err->code;
	for (size_t i = 0, n = vn_jv_count(&tags); i < n; i++) {
		struct vn_jv tag = vn_jv_at(&tags, i);
		const char *text;
		if (vn_jv_text(&tag, &text, err) < 0)
			return -err->code;
		if (!vn_tag_valid(text))
			continue;
		if (*ret_count >= VN_MAX_TAGS)
			return vn_fail(err, VN_ELIMIT, "more than %d tags", VN_MAX_TAGS);
		if (vn_buf_add(ret_tags, text, strlen(text) + 1, err) < 0)
			return -err->code;
		++*ret_count;
	}
	return 0;
}

static int fetch_page(struct vn_client *c, const char *path, const struct vn_url *url, struct vn_http_response *ret,
		      struct vn_buf *page, struct vn_err *err)
{
	struct vn_call call = { .method = "GET", .path = path, .url = url, .access = VN_ACCESS_PULL };

	if (vn_client_call(c, &call, ret, err) < 0)
		return -err->code;
	if (ret->status != 200)
		return vn_refusal_unexpected(c, &call, ret, err);
	return vn_in_read_all(ret->body, page, err);
}

int vn_tags_list(struct vn_client *c, unsigned max_pages, struct vn_buf *ret_tags, size_t *ret_count, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO(vn_url) url = { 0 };
	size_t count = 0;
	bool more = true;

	if (vn_asprintf(&path, err, "/v2/%s/tags/list?n=1000", vn_client_repository(c)) < 0)
		return -err->code;
	for (unsigned i = 0; more; i++) {
		VN_AUTO(vn_http_response) r = { 0 };
		VN_AUTO(vn_buf) page = VN_BUF(MAX_PAGE);
		size_t before = count;
		if (fetch_page(c, path, url.host ? &url : NULL, &r, &page, err) < 0 || add_page(&page, ret_tags, &count, err) < 0)
			return vn_wrap(err, "tags of %s/%s", vn_client_registry(c), vn_client_repository(c));
		if (!url.host && vn_client_follow(c, NULL, path, &url, err) < 0)
			return -err->code;
		if (vn_page_next(c, &r, "tags", &url, &more, err) < 0)
			return -err->code;
		if ((max_pages && i + 1 >= max_pages) || i + 1 >= MAX_PAGES || count == before)
			more = false;
	}
	*ret_count = count;
	return 0;
}

static size_t distance(const char *a, const char *b)
{
	size_t row[MAX_TAG + 1], n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; *a; a++, i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = corner + (*a != b[j - 1]);
			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

void vn_tags_near(const char *tags, size_t count, const char *tag, char *out, size_t size)
{
	const char *best[NEAR] = { 0 };
	size_t far[NEAR], found = 0, len = strlen(tag), most = len < 4 ? 2 : len / 2 + 1, used = 0;

	out[0] = 0;
	if (len > MAX_TAG)
		return;
	for (; count; count--, tags += strlen(tags) + 1) {
		size_t d = strlen(tags) <= MAX_TAG ? distance(tag, tags) : SIZE_MAX, at = found;
		if (d > most)
			continue;
		while (at && far[at - 1] > d)
			at--;
		if (at >= NEAR)
			continue;
		for (size_t i = found < NEAR ? found : NEAR - 1; i > at; i--)
			best[i] = best[i - 1], far[i] = far[i - 1];
		best[at] = tags;
		far[at] = d;
		found += found < NEAR;
	}
	for (size_t i = 0; i < found && used < size; i++) {
		int n = snprintf(out + used, size - used, "%s%s", i ? ", " : "", best[i]);
		used += n > 0 ? (size_t)n : 0;
	}
}
