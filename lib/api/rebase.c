#include "api/context.h"
#include "rebase/rebase.h"
#include "util/cleanup.h"
#include "util/events.h"
#include "util/limits.h"
#include <string.h>

static int open_sink(void *user, const struct vn_ref *ref, struct vn_sink **ret, struct vn_err *err)
{
	return vn_open_sink(user, ref, ret, err);
}

/* Options win over the policy. `accept` holds VN_CLASSES. */
static int apply_policy(struct vn_rebase_options *o, const struct vn_policy *policy, enum vn_class *accept, struct vn_err *err)
{
	if (o->mode == VN_MODE_DEFAULT)
		o->mode = policy->mode && !strcmp(policy->mode, "paths") ? VN_MODE_PATHS : VN_MODE_CONTENT;
	o->split = o->split || policy->split;
	if (!o->tag)
		o->tag = policy->tag;
	if (o->naccept && o->mode == VN_MODE_CONTENT)
		return vn_fail(err, VN_EUSAGE, "--accept goes with --mode paths: content mode carries every difference");
	if (o->naccept || !policy->naccept)
		return 0;
	for (size_t i = 0; i < policy->naccept && o->naccept < VN_CLASSES; i++)
		if (!vn_class_parse(policy->accept[i], &accept[o->naccept++]))
			return vn_fail(err, VN_EUSAGE, "the policy accepts \"%s\", which is no class", policy->accept[i]);
	o->accept = accept;
	return 0;
}

/* OLD's configuration and manifest, for the revision that they record. */
static int look_at_source(struct vn *vn, struct vn_source *old_source, const struct vn_rebase_options *o,
			  struct vn_source_report *ret, struct vn_err *err)
{
	struct vn_image image;
	struct vn_platform want;
	if (!o->source_dir)
		return 0;
	memset(&image, 0, sizeof(image));
	int r = o->platform ? vn_platform_parse(o->platform, &want, err) : 0;
	if (r == 0)
		r = vn_image_open(old_source, o->platform ? &want : NULL, vn->cache, &image, err);
	if (r == 0)
		r = vn_source_look(vn, o->source_dir, &image.config, &image.manifest, ret, err);
	vn_image_release(&image);
	if (r == 0 && ret->has_changes && ret->changes.nfiles)
		vn_warn(vn_listeners(vn), "%zu dependency file%s changed in %s since OLD's revision %.12s, such as %s", ret->changes.nfiles,
			ret->changes.nfiles == 1 ? "" : "s", o->source_dir, ret->changes.old_revision, ret->changes.files[0].path);
	return r;
}

struct places {
	struct vn_source *old_source, *new_source;
	struct vn_ref dest;
};

static void places_release(struct places *p)
{
	vn_source_close(p->old_source);
	vn_source_close(p->new_source);
	vn_ref_release(&p->dest);
}

static int open_places(struct vn *vn, const char *old_ref, const char *new_ref, const char *dest_ref,
		       const struct vn_rebase_options *o, struct places *p, struct vn_err *err)
{
	int r = vn_ref_parse(dest_ref, &p->dest, err);
	if (r == 0 && !vn_digest_none(&p->dest.digest))
		r = vn_fail(err, VN_EUSAGE, "DEST %s names a digest: give a tag", dest_ref);
	if (r == 0 && o->tag && p->dest.tag && strcmp(p->dest.tag, "latest")) {
		vn_fail(err, VN_EUSAGE, "DEST %s has a tag, and there is a template for it (%s)", dest_ref, o->tag);
		vn_hint(err, "Leave out one of the two.");
		r = -VN_EUSAGE;
	}
	if (r == 0)
		r = vn_open_source(vn, old_ref, &p->old_source, err);
	return r < 0 ? r : vn_open_source(vn, new_ref, &p->new_source, err);
}

/* The public result's own copies: what follows outlives the work tree's description. */
static int add_source(struct vn_rebase *result, const struct vn_source_report *report, struct vn_err *err)
{
	size_t n = 0;
	int r = vn_source_publish(report, &result->arena, &result->source, &n, err);
	result->result.source = result->source;
	result->result.nsource = n;
	return r;
}

int vn_rebase_run(struct vn *vn, const char *old_ref, const char *new_ref, const char *dest_ref,
		  const struct vn_rebase_options *given, struct vn_rebase **ret, struct vn_err *err)
{
	struct vn_rebase_options o;
	struct vn_policy policy = { 0 };
	struct vn_source_report report = { .has_tree = false };
	enum vn_class accept[VN_CLASSES];
	VN_CLEANUP(places_release) struct places p = { NULL, NULL, { 0 } };
	struct vn_rebase *result = NULL;
	struct vn_rebase_input in = { .policy = &policy, .options = &o, .open_sink = open_sink, .user = vn };
	int r = vn_take_options(&o, sizeof(o), given, "struct vn_rebase_options", err);
	if (r == 0)
		r = vn_policy_load(o.policy, o.source_dir, &policy, err);
	if (r == 0)
		r = apply_policy(&o, &policy, accept, err);
	if (r == 0)
		r = vn_index_setup(vn, &in.index, err);
	if (r == 0)
		r = open_places(vn, old_ref, new_ref, dest_ref, &o, &p, err);
	if (r == 0)
		r = look_at_source(vn, p.old_source, &o, &report, err);
	struct vn_stamp stamp = { report.tree.revision, report.tree.describe, report.tree.origin, report.tree.dirty };
	in.old_source = p.old_source;
	in.new_source = p.new_source;
	in.dest = &p.dest;
	in.cache = vn->cache;
	in.stamp = report.has_tree ? &stamp : NULL;
	in.branch = report.has_tree ? report.tree.branch : NULL;
	if (r == 0)
		r = vn_rebase_images(&in, &result, err);
	int published = result ? add_source(result, &report, err) : 0;
	if (published < 0) {
		vn_rebase_free(result);
		result = NULL;
		r = published;
	}
	if (result)
		*ret = result;
	vn_source_report_release(&report);
	vn_policy_release(&policy);
	return r;
}
