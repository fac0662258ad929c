#include "oci/config.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>

#define WHAT "image configuration"
#define MAX_HISTORY (4 * VN_MAX_LAYERS) /* steps without a layer stand between those that have one */

void vn_config_release(struct vn_config *c)
{
	free(c->diff_ids);
	free(c->history);
	vn_json_drop(c->json);
	*c = (struct vn_config){ 0 };
}

static int read_diff_ids(const struct vn_jv *root, struct vn_config *c, struct vn_err *err)
{
	struct vn_jv rootfs = vn_jv_get(root, "rootfs"), list = vn_jv_get(&rootfs, "diff_ids");
	const char *type = "layers";
	if (vn_jv_want_object(&rootfs, err) < 0 || vn_jv_opt_text(&rootfs, "type", &type, err) < 0 ||
	    vn_jv_want_array(&list, err) < 0)
		return -err->code;
	if (strcmp(type, "layers") != 0)
		return vn_fail(err, VN_EFORMAT, WHAT ": /rootfs/type is \"%.40s\", expected \"layers\"", type);
	size_t n = vn_jv_count(&list);
	if (n > VN_MAX_LAYERS)
		return vn_fail(err, VN_ELIMIT, WHAT ": /rootfs/diff_ids has %zu entries, at most %d are read", n,
			       VN_MAX_LAYERS);
	c->diff_ids = calloc(n ? n : 1, sizeof(*c->diff_ids));
	if (!c->diff_ids)
		return vn_nomem(err);
	for (; c->ndiff_ids < n; c->ndiff_ids++) {
		struct vn_jv v = vn_jv_at(&list, c->ndiff_ids);
		const char *text;
		if (vn_jv_text(&v, &text, err) < 0)
			return -err->code;
		if (vn_digest_parse(text, &c->diff_ids[c->ndiff_ids], err) < 0)
			return vn_wrap(err, WHAT ": %s", v.at);
	}
	return 0;
}

static int read_history(const struct vn_jv *root, struct vn_config *c, struct vn_err *err)
{
	struct vn_jv list = vn_jv_get(root, "history");
	if (vn_jv_want_array(&list, err) < 0)
		return -err->code;
	size_t n = vn_jv_count(&list);
	if (n > MAX_HISTORY)
		return vn_fail(err, VN_ELIMIT, WHAT ": /history has %zu entries, at most %d are read", n, MAX_HISTORY);
	c->history = calloc(n ? n : 1, sizeof(*c->history));
	if (!c->history)
		return vn_nomem(err);
	for (; c->nhistory < n; c->nhistory++) {
		struct vn_jv v = vn_jv_at(&list, c->nhistory);
		struct vn_history *h = &c->history[c->nhistory];
		h->created_by = h->comment = "";
		if (!v.v)
			return vn_fail(err, VN_EFORMAT, WHAT ": %s is null, expected an object", v.at);
		if (vn_jv_want_object(&v, err) < 0 || vn_jv_opt_text(&v, "created_by", &h->created_by, err) < 0 ||
		    vn_jv_opt_text(&v, "comment", &h->comment, err) < 0 ||
		    vn_jv_opt_bool(&v, "empty_layer", &h->empty_layer, err) < 0)
			return -err->code;
	}
	return 0;
}

int vn_config_parse(const void *bytes, size_t len, struct vn_config *ret, struct vn_err *err)
{
	VN_AUTO(vn_config) c = { 0 };
	if (len > VN_MAX_CONFIG)
		return vn_fail(err, VN_ELIMIT, WHAT " of %zu bytes, at most %u are read", len, VN_MAX_CONFIG);
	if (vn_json_parse(bytes, len, WHAT, &c.json, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(c.json, WHAT);
	if (vn_jv_want_object(&root, err) < 0 || vn_platform_of_json(&root, &c.platform, err) < 0 ||
	    read_diff_ids(&root, &c, err) < 0 || read_history(&root, &c, err) < 0)
		return -err->code;
	*ret = c;
	c = (struct vn_config){ 0 };
	return 0;
}

bool vn_config_history_fits(const struct vn_config *c)
{
	size_t layers = 0;
	for (size_t i = 0; i < c->nhistory; i++)
		layers += !c->history[i].empty_layer;
	return layers == c->ndiff_ids;
}

const char *vn_config_step(const struct vn_config *c, size_t layer)
{
	if (!vn_config_history_fits(c))
		return "";
	for (size_t i = 0; i < c->nhistory; i++)
		if (!c->history[i].empty_layer && layer-- == 0)
			return c->history[i].created_by[0] || !c->history[i].comment ? c->history[i].created_by : c->history[i].comment;
	return "";
}

/* C(0) = D(0), C(n) = sha256(C(n-1) + " " + D(n)) */
int vn_chain_ids(const struct vn_digest *diff_ids, size_t n, struct vn_digest *ret, struct vn_err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (i == 0) {
			ret[0] = diff_ids[0];
			continue;
		}
		char pair[2 * VN_DIGEST_TEXT + 1];
		int len = snprintf(pair, sizeof(pair), "%s %s", ret[i - 1].text, diff_ids[i].text);
		if (vn_digest_of(pair, (size_t)len, &ret[i], err) < 0)
			return -err->code;
	}
	return 0;
}
