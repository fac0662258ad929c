/* Parse, walk, print; what was printed must parse to the same value. */
#include "util/cleanup.h"
#include "json/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct vn_jv *v)
{
	struct vn_err err = { 0 };
	struct vn_jv child;
	const char *key, *text;
	int64_t n;
	bool b;
	void *iter = NULL;
	while (vn_jv_each(v, &iter, &key, &child)) {
		vn_jv_need_size(v, key, &n, &err);
		vn_jv_opt_int(v, key, &n, &err);
		vn_jv_opt_bool(v, key, &b, &err);
		vn_jv_opt_text(v, key, &text, &err);
		walk(&child);
	}
	for (size_t i = 0; vn_jv_is_array(v) && i < vn_jv_count(v); i++) {
		child = vn_jv_at(v, i);
		vn_jv_text(&child, &text, &err);
		walk(&child);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	VN_AUTO_JSON *v = NULL, *again = NULL;
	if (vn_json_parse(data, size, "fuzz", &v, &err) < 0)
		return 0;
	struct vn_jv root = vn_jv_root(v, "fuzz");
	walk(&root);
	struct vn_buf text = VN_BUF(64u << 20);
	if (vn_json_text(v, size & 1, &text, &err) < 0)
		abort();
	if (vn_json_parse(text.data, text.len, "printed", &again, &err) < 0 || !vn_json_same(v, again))
		abort();
	vn_buf_release(&text);
	return 0;
}
