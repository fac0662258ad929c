/* Schema veneer.sign/1; veneer-sign(1) describes it. */
#include "api/sign.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdint.h>
#include <string.h>

/* null where nothing is known */
static vn_json *text(const char *value)
{
	return vn_json_string(*value ? value : NULL);
}

static int signature_json(const struct vn_signature *s, vn_json **ret, struct vn_err *err)
{
	VN_AUTO_JSON *annotations = NULL, *o = vn_json_object();
	char time_text[VN_TIME_TEXT];
	int rc = vn_json_parse(s->annotations, strlen(s->annotations), "annotations", &annotations, err);
	if (rc < 0)
		return rc;
	vn_json_set(o, "good", vn_json_bool(!*s->reason));
	vn_json_set(o, "form", text(s->form));
	vn_json_set(o, "key", text(s->key));
	vn_json_set(o, "key_id", text(s->key_id));
	vn_json_set(o, "algorithm", text(s->algorithm));
	vn_json_set(o, "reason", text(s->reason));
	vn_json_set(o, "release", s->release ? vn_json_int((int64_t)s->release) : vn_json_string(NULL));
	vn_json_set(o, "expires", s->expires ? vn_json_string(vn_time_text(s->expires, time_text)) : vn_json_string(NULL));
	vn_json_set(o, "annotations", vn_json_hold(annotations));
	*ret = vn_steal(o);
	return 0;
}

int vn_sign_json(const struct vn_sign_run *run, char **ret_text, struct vn_err *err)
{
	const struct vn_sign_result *x = &run->result;
	VN_AUTO_JSON *root = vn_json_object(), *list = vn_json_array();
	VN_AUTO(vn_buf) out = VN_BUF(SIZE_MAX / 2);
	for (size_t i = 0; i < x->nsignatures; i++) {
		vn_json *one = NULL;
		int rc = signature_json(&x->signatures[i], &one, err);
		if (rc < 0)
			return rc;
		vn_json_add(list, one);
	}
	vn_json_set(root, "schema", vn_json_string("veneer.sign/1"));
	vn_json_set(root, "verb", vn_json_string(x->verb));
	vn_json_set(root, "reference", vn_json_string(x->reference));
	vn_json_set(root, "digest", vn_json_string(x->digest));
	vn_json_set(root, "written", text(x->written));
	vn_json_set(root, "good", vn_json_bool(x->good));
	vn_json_set(root, "sentence", vn_json_string(x->sentence));
	vn_json_set(root, "signatures", vn_json_hold(list));
	int rc = vn_json_text(root, true, &out, err);
	return rc < 0 ? rc : vn_buf_steal(&out, ret_text, err);
}
