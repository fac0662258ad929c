#include "diff/sentence.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <string.h>

/* "python3-yaml 6.0-3 added, numpy 1.19 → 1.20 and 3 more" */
static int packages_text(const struct vn_diff *d, struct vn_buf *out, struct vn_err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < d->npackages && i < 2; i++) {
		const struct vn_package_change *p = &d->packages[i];
		const char *comma = i ? ", " : "";
		if (!p->old_version)
			r = vn_buf_addf(out, err, "%s%s %s added", comma, p->name, p->new_version);
		else if (!p->new_version)
			r = vn_buf_addf(out, err, "%s%s removed", comma, p->name);
		else
			r = vn_buf_addf(out, err, "%s%s %s → %s", comma, p->name, p->old_version, p->new_version);
	}
	if (r == 0 && d->npackages > 2)
		r = vn_buf_addf(out, err, " and %zu more", d->npackages - 2);
	return r;
}


static int add_part(struct vn_buf *out, int *parts, uint64_t bytes, const char *what, struct vn_err *err)
{
	char size[VN_SIZE_TEXT];
	return vn_buf_addf(out, err, "%s%s %s", (*parts)++ ? ", " : "", vn_size_text(bytes, size), what);
}

/* What is really new, class by class. */
static int add_classes(const struct vn_diff *d, struct vn_buf *out, int *parts, struct vn_err *err)
{
	static const struct {
		enum vn_class class_;
		const char *what;
	} classes[] = {
		{ VN_CLASS_MODEL, "is your model" }, { VN_CLASS_SCORE, "is your score script" },
		{ VN_CLASS_DEPENDENCY, "is dependencies" }, { VN_CLASS_CONFIG, "is settings" }, { VN_CLASS_OTHER, "is other files" },
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (!d->summary.class_files[classes[i].class_])
			continue;
		uint64_t share = vn_diff_class_share(d, classes[i].class_);
		/* what is only removed or changes hands weighs nothing */
		if (!share) {
			r = vn_buf_addf(out, err, "%s%s without new content", (*parts)++ ? ", " : "", classes[i].what + strlen("is "));
			continue;
		}
		r = add_part(out, parts, share, classes[i].what, err);
		if (r == 0 && classes[i].class_ == VN_CLASS_DEPENDENCY && d->npackages) {
			r = vn_buf_adds(out, " (", err);
			if (r == 0)
				r = packages_text(d, out, err);
			if (r == 0)
				r = vn_buf_adds(out, ")", err);
		}
	}
	return r;
}

static int when_same(const struct vn_diff *d, struct vn_buf *out, struct vn_err *err)
{
	char size[VN_SIZE_TEXT];
	if (d->summary.identical)
		return vn_buf_adds(out, "They are one and the same image.", err);
	if (!d->summary.pull_bytes)
		return vn_buf_adds(out, "They are the same: nothing would be pulled but the configuration.", err);
	return vn_buf_addf(out, err, "They are the same: %s would be pulled, all of it build noise.",
			   vn_size_text(d->summary.pull_bytes, size));
}

int vn_diff_sentence(struct vn_diff *d, const char **ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) out = VN_BUF(8192);
	const struct vn_diff_summary *s = &d->summary;
	char size[VN_SIZE_TEXT];
	int parts = 0, r = 0;
	if (s->same) {
		r = when_same(d, &out, err);
	} else if (!s->pull_bytes) {
		r = vn_buf_adds(&out, "No layer would be pulled: the configuration alone differs.", err);
	} else {
		uint64_t noise = s->payload_bytes < s->pull_bytes ? s->pull_bytes - s->payload_bytes : 0;
		r = vn_buf_addf(&out, err, "%s would be pulled: ", vn_size_text(s->pull_bytes, size));
		if (r == 0 && noise)
			r = add_part(&out, &parts, noise, "differ only in build noise", err);
		if (r == 0)
			r = add_classes(d, &out, &parts, err);
		if (r == 0 && !s->payload_bytes && !parts)
			r = vn_buf_adds(&out, "files are removed", err);
		if (r == 0)
			r = vn_buf_adds(&out, ".", err);
	}
	*ret = r == 0 ? vn_arena_text(&d->arena, vn_buf_text(&out), err) : NULL;
	return *ret ? 0 : -(int)err->code;
}
