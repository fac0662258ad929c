#include "api/context.h"
#include "api/filter.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <string.h>

/* Indexes on both sides are compared on one platform: the asked one, else this machine's or the only one; an index beside a plain
 * image follows the image. */
static int open_pair(struct vn *vn, struct vn_source *old_source, struct vn_source *new_source, const char *platform,
		     struct vn_image *old_image, struct vn_image *new_image, struct vn_err *err)
{
	struct vn_platform want;
	int r = 0;
	if (platform) {
		r = vn_platform_parse(platform, &want, err);
		if (r == 0)
			r = vn_image_open(old_source, &want, vn->cache, old_image, err);
		return r < 0 ? r : vn_image_open(new_source, &want, vn->cache, new_image, err);
	}
	r = vn_image_open(old_source, NULL, vn->cache, old_image, err);
	if (r == 0)
		r = vn_image_open(new_source, NULL, vn->cache, new_image, err);
	if (r < 0 || vn_platform_same(&old_image->config.platform, &new_image->config.platform))
		return r;
	if (old_image->from_index && !new_image->from_index) {
		vn_image_release(old_image);
		memset(old_image, 0, sizeof(*old_image));
		return vn_image_open(old_source, &new_image->config.platform, vn->cache, old_image, err);
	}
	if (new_image->from_index && !old_image->from_index) {
		vn_image_release(new_image);
		memset(new_image, 0, sizeof(*new_image));
		return vn_image_open(new_source, &old_image->config.platform, vn->cache, new_image, err);
	}
	return 0;
}

static int add_source(struct vn_diff *d, const struct vn_source_report *report, struct vn_err *err)
{
	if (!report->has_tree)
		return 0;
	d->summary.source_revision_new = vn_arena_text(&d->arena, report->tree.revision, err);
	if (report->has_changes)
		d->summary.source_revision_old = vn_arena_text(&d->arena, report->changes.old_revision, err);
	return vn_source_publish(report, &d->arena, &d->source, &d->nsource, err);
}

int vn_diff_run(struct vn *vn, const char *old_ref, const char *new_ref, const struct vn_diff_options *given, struct vn_diff **ret,
		struct vn_err *err)
{
	struct vn_diff_options o;
	struct vn_diff_images_options images = { 0 };
	struct vn_policy policy = { 0 };
	struct vn_source_report report = { .has_tree = false };
	struct vn_image old_image, new_image;
	VN_AUTO_SOURCE *old_source = NULL, *new_source = NULL;
	struct vn_diff *d = NULL;
	memset(&old_image, 0, sizeof(old_image));
	memset(&new_image, 0, sizeof(new_image));
	int r = vn_take_options(&o, sizeof(o), given, "struct vn_diff_options", err);
	if (r == 0)
		r = vn_policy_load(o.policy, o.source_dir, &policy, err);
	if (r == 0)
		r = vn_index_setup(vn, &images.index, err);
	if (r == 0)
		r = vn_open_source(vn, old_ref, &old_source, err);
	if (r == 0)
		r = vn_open_source(vn, new_ref, &new_source, err);
	if (r == 0)
		r = open_pair(vn, old_source, new_source, o.platform, &old_image, &new_image, err);
	if (r == 0)
		r = vn_source_look(vn, o.source_dir, &old_image.config, &old_image.manifest, &report, err);
	images.policy = &policy;
	images.all_files = o.all_files || (vn_filter_classes(&policy, &o) & 1u << VN_CLASS_METADATA);
	if (r == 0)
		r = vn_diff_images(&old_image, &new_image, &images, &d, err);
	if (r == 0)
		r = add_source(d, &report, err);
	if (r == 0)
		vn_filter_apply(&policy, &o, d);
	/* the result stands on its own */
	if (d)
		vn_trees_release(&d->trees);
	if (r == 0)
		*ret = d;
	else
		vn_diff_free(d);
	vn_source_report_release(&report);
	vn_policy_release(&policy);
	vn_image_release(&old_image);
	vn_image_release(&new_image);
	return r;
}
