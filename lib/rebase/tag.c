#include "rebase/tag.h"
#include "util/cleanup.h"
#include <string.h>

static const struct vn_model_info *model_of(const struct vn_tag_input *in)
{
	const struct vn_model_info *first = NULL;
	for (size_t i = 0; i < in->nmodels; i++) {
		if (!in->models[i].path)
			continue;
		if (in->models[i].changed)
			return &in->models[i];
		if (!first)
			first = &in->models[i];
	}
	return first;
}

/* The value of a name; *ret_known false when there is no such name. */
static const char *value_of(const char *name, size_t len, const struct vn_tag_input *in, char digest[13], bool *ret_known)
{
	const struct vn_model_info *m = model_of(in);
	const struct vn_stamp *s = in->stamp;
	digest[0] = 0;
	if (m && m->new_digest && strlen(m->new_digest) > 19) {
		memcpy(digest, m->new_digest + 7, 12);
		digest[12] = 0;
	}
	const struct {
		const char *name, *value;
	} values[] = {
		{ "git.describe", s ? s->describe : NULL }, { "git.revision", s ? s->revision : NULL },
		{ "git.branch", in->branch }, { "model.format", m ? m->format : NULL },
		{ "model.element", m ? m->element : NULL }, { "model.quantisation", m ? m->quantisation : NULL },
		{ "model.digest", digest }, { "build", in->build }, { "new.tag", in->new_tag }, { "old.tag", in->old_tag },
	};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strlen(values[i].name) == len && !strncmp(values[i].name, name, len)) {
			*ret_known = true;
			return values[i].value && *values[i].value ? values[i].value : NULL;
		}
	*ret_known = false;
	return NULL;
}

static int add_value(struct vn_buf *out, const char *value, struct vn_err *err)
{
	int r = 0;
	for (; *value && r == 0; value++) {
		bool fits = (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z') ||
			    (*value >= '0' && *value <= '9') || *value == '.' || *value == '_' || *value == '-';
		r = vn_buf_add(out, fits ? value : "-", 1, err);
	}
	return r;
}

int vn_tag_expand(const char *template, const struct vn_tag_input *in, char **ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) out = VN_BUF(4096);
	char digest[13];
	int r = 0;
	for (const char *p = template; *p && r == 0;) {
		if (*p != '{') {
			r = vn_buf_add(&out, p++, 1, err);
			continue;
		}
		size_t len = strcspn(p + 1, "}");
		bool known = false;
		if (!p[1 + len])
			return vn_fail(err, VN_EUSAGE, "the tag template \"%s\" has a '{' without '}'", template);
		const char *value = value_of(p + 1, len, in, digest, &known);
		if (!known) {
			vn_fail(err, VN_EUSAGE, "the tag template \"%s\" names {%.*s}, which does not exist", template, (int)len, p + 1);
			return vn_hint(err, "There are {git.describe} {git.revision} {git.branch} {model.format} {model.element} "
					    "{model.quantisation} {model.digest} {build} {new.tag} {old.tag}.");
		}
		if (!value) {
			vn_fail(err, VN_EUSAGE, "the tag template \"%s\" needs {%.*s}, which has no value here", template, (int)len, p + 1);
			return vn_hint(err, "%s", !strncmp(p + 1, "git.", 4) ? "Name the model's git work tree with --source." :
						  !strncmp(p + 1, "build", 5) ? "Give it with --build." :
						  "NEW does not tell it: use another name.");
		}
		r = add_value(&out, value, err);
		p += len + 2;
	}
	if (r < 0)
		return r;
	if (!vn_tag_valid(vn_buf_text(&out)))
		return vn_fail(err, VN_EUSAGE, "the tag template \"%s\" gives \"%.160s\", which is no tag", template, vn_buf_text(&out));
	return vn_buf_steal(&out, ret, err);
}
