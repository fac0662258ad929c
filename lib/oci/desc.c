#include "oci/desc.h"
#include "util/cleanup.h"
#include <string.h>

void vn_desc_release(struct vn_desc *desc)
{
	free(desc->media_type);
	vn_json_drop(desc->json);
	*desc = (struct vn_desc){ 0 };
}

int vn_desc_init(struct vn_desc *desc, const char *media_type, const struct vn_digest *digest, int64_t size, struct vn_err *err)
{
	struct vn_desc d = { .digest = *digest, .size = size };
	if (vn_strdup(media_type, &d.media_type, err) < 0)
		return -err->code;
	*desc = d;
	return 0;
}

/* type "/" subtype, RFC 6838 section 4.2; parameters are let through as they are printable */
static bool media_type_ok(const char *text)
{
	const char *slash = strchr(text, '/');
	if (!slash || slash == text || !slash[1] || strlen(text) > 255)
		return false;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			return false;
	return true;
}

int vn_desc_of_json(const struct vn_jv *v, struct vn_desc *ret, struct vn_err *err)
{
	VN_AUTO(vn_desc) d = { 0 };
	const char *type = NULL, *digest = NULL;
	if (!v->v)
		return vn_fail(err, VN_EFORMAT, "%s: %s is missing, expected a descriptor", v->what, v->at);
	if (vn_jv_want_object(v, err) < 0 || vn_jv_need_text(v, "mediaType", &type, err) < 0 ||
	    vn_jv_need_text(v, "digest", &digest, err) < 0 || vn_jv_need_size(v, "size", &d.size, err) < 0)
		return -err->code;
	if (!media_type_ok(type))
		return vn_fail(err, VN_EFORMAT, "%s: %s/mediaType is \"%.60s\", expected type/subtype", v->what, v->at, type);
	if (vn_digest_parse(digest, &d.digest, err) < 0)
		return vn_wrap(err, "%s: %s/digest", v->what, v->at);
	struct vn_jv platform = vn_jv_get(v, "platform"), annotations = vn_jv_get(v, "annotations");
	if (platform.v && vn_platform_of_json(&platform, &d.platform, err) < 0)
		return -err->code;
	if (vn_jv_want_object(&annotations, err) < 0 || vn_strdup(type, &d.media_type, err) < 0)
		return -err->code;
	d.json = vn_json_hold(v->v);
	*ret = d;
	d = (struct vn_desc){ 0 };
	return 0;
}

vn_json *vn_desc_to_json(const struct vn_desc *desc)
{
	VN_AUTO_JSON *o = desc->json ? vn_json_copy(desc->json) : vn_json_object();
	bool ok = vn_json_set(o, "mediaType", vn_json_string(desc->media_type)) &&
		  vn_json_set(o, "digest", vn_json_string(desc->digest.text)) &&
		  vn_json_set(o, "size", vn_json_int(desc->size));
	if (ok && desc->platform.os[0] && !desc->json)
		ok = vn_json_set(o, "platform", vn_platform_to_json(&desc->platform));
	return ok ? vn_steal(o) : NULL;
}

int vn_desc_copy(const struct vn_desc *desc, struct vn_desc *ret, struct vn_err *err)
{
	struct vn_desc d = *desc;
	if (vn_strdup(desc->media_type, &d.media_type, err) < 0)
		return -err->code;
	d.json = vn_json_hold(desc->json);
	*ret = d;
	return 0;
}

const char *vn_desc_annotation(const struct vn_desc *desc, const char *key)
{
	struct vn_err unused = { 0 };
	struct vn_jv root = vn_jv_root(desc->json, ""), annotations = vn_jv_get(&root, "annotations");
	const char *text = NULL;
	return vn_jv_opt_text(&annotations, key, &text, &unused) < 0 ? NULL : text;
}
