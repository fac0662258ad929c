#include "api/context.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/events.h"
#include <stdlib.h>
#include <string.h>

#define REVISION "org.opencontainers.image.revision"

/* The revision that OLD says it was built from: label, else annotation; NULL when it says nothing. */
static const char *recorded(const struct vn_config *config, const struct vn_manifest *manifest)
{
	struct vn_err ignored = { 0 };
	struct vn_jv root = vn_jv_root(config->json, "OLD's configuration"), inner = vn_jv_get(&root, "config");
	struct vn_jv labels = vn_jv_get(&inner, "Labels"), value = vn_jv_get(&labels, REVISION);
	const char *text;
	if (value.v && vn_jv_text(&value, &text, &ignored) == 0 && *text)
		return text;
	return vn_manifest_annotation(manifest, REVISION);
}

int vn_source_look(struct vn *vn, const char *dir, const struct vn_config *old_config, const struct vn_manifest *old_manifest,
		   struct vn_source_report *ret, struct vn_err *err)
{
	memset(ret, 0, sizeof(*ret));
	if (!dir)
		return 0;
	int r = vn_source_tree_describe(dir, &ret->tree, err);
	if (r < 0)
		return r;
	ret->has_tree = true;
	const char *old = recorded(old_config, old_manifest);
	if (!old) {
		vn_warn(vn_listeners(vn), "OLD records no revision (%s): what changed in %s since then is not known", REVISION, dir);
		return 0;
	}
	struct vn_err why = { 0 };
	r = vn_source_changed(dir, old, &ret->changes, &why);
	ret->has_changes = r == 0;
	/* often the revision of a base image's own source, whose labels every image above inherits */
	if (r == -VN_ENOTFOUND || r == -VN_EUSAGE) {
		vn_warn(vn_listeners(vn), "%s: what changed in %s since OLD was built is not known%s%s", why.text, dir,
			*why.hint ? "; " : "", why.hint);
		return 0;
	}
	if (r < 0) {
		*err = why;
		vn_source_report_release(ret);
	}
	return r;
}

void vn_source_report_release(struct vn_source_report *report)
{
	if (report->has_tree)
		vn_source_tree_release(&report->tree);
	if (report->has_changes)
		vn_source_changes_release(&report->changes);
	memset(report, 0, sizeof(*report));
}

/* "+numpy==1.20, -numpy==1.19" */
static const char *detail_of(const struct vn_source_file *f, struct vn_arena *arena, struct vn_err *err)
{
	VN_AUTO(vn_buf) out = VN_BUF(64u << 10);
	int r = 0;
	for (size_t i = 0; r == 0 && i < f->nlines && out.len < 4096; i++)
		r = vn_buf_addf(&out, err, "%s%c%s", i ? ", " : "", f->lines[i].added ? '+' : '-', f->lines[i].text);
	if (r == 0 && f->more_lines)
		r = vn_buf_adds(&out, ", …", err);
	return r == 0 ? vn_arena_text(arena, vn_buf_text(&out), err) : NULL;
}

int vn_source_publish(const struct vn_source_report *report, struct vn_arena *arena, struct vn_source_change **ret, size_t *ret_n,
		      struct vn_err *err)
{
	*ret = NULL;
	*ret_n = 0;
	if (!report->has_changes || !report->changes.nfiles)
		return 0;
	VN_AUTO_FREE struct vn_source_change *list = calloc(report->changes.nfiles, sizeof(*list));
	if (!list)
		return vn_nomem(err);
	for (size_t i = 0; i < report->changes.nfiles; i++) {
		const struct vn_source_file *f = &report->changes.files[i];
		list[i].path = vn_arena_text(arena, f->path, err);
		list[i].status = vn_source_change_name(f->change);
		list[i].added = f->added;
		list[i].removed = f->removed;
		list[i].detail = detail_of(f, arena, err);
		if (!list[i].path || !list[i].detail)
			return -(int)err->code;
	}
	*ret = vn_steal(list);
	*ret_n = report->changes.nfiles;
	return 0;
}
