#include "registry/answer.h"
#include "registry/blob.h"
#include "registry/url.h"
#include "util/cleanup.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Link, and what a Location, Content-Range, Retry-After may hold. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VN_AUTO_FREE char *text = NULL, *next = NULL, *again = NULL;
	VN_AUTO(vn_url) base = { 0 }, url = { 0 }, same = { 0 };
	struct vn_err err = { 0 };
	uint64_t first, last;
	int64_t total, seconds;

	if (vn_asprintf(&text, &err, "%.*s", (int)size, (const char *)data) < 0)
		return 0;
	vn_link_next(text, &next, &err);
	vn_http_date(text, &seconds);
	if (vn_content_range(text, &first, &last, &total) && last < first)
		abort();
	if (vn_url_parse("https://r.example:5000/v2/a/b?c", &base, &err) < 0 ||
	    vn_url_resolve(&base, next ? next : text, &url, &err) < 0)
		return 0;
	/* what was taken apart and put together is the same place */
	if (vn_url_text(&url, &again, &err) == 0 && vn_url_parse(again, &same, &err) == 0 &&
	    (!vn_url_same_origin(&url, &same) || strcmp(url.path, same.path)))
		abort();
	return 0;
}
