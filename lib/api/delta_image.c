/* Deltas of images: make, show, apply. */
#include "api/delta.h"
#include "util/cleanup.h"
#include "util/events.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>
#include <sys/stat.h>

/* ---- an image of each side, for one platform */

void vn_delta_pair_release(struct vn_delta_pair *p)
{
	vn_image_release(&p->old_image);
	vn_image_release(&p->new_image);
	vn_source_close(p->old_source);
	vn_source_close(p->new_source);
}

static int open_pair(struct vn *vn, const char *old_ref, const char *new_ref, const struct vn_delta_settings *settings,
		     struct vn_delta_pair *p, struct vn_err *err)
{
	struct vn_platform want;
	int r = settings->platform ? vn_platform_parse(settings->platform, &want, err) : 0;
	if (r == 0)
		r = vn_open_source(vn, old_ref, &p->old_source, err);
	if (r == 0)
		r = vn_open_source(vn, new_ref, &p->new_source, err);
	if (r == 0)
		r = vn_image_open(p->new_source, settings->platform ? &want : NULL, vn->cache, &p->new_image, err);
	return r < 0 ? r : vn_image_open(p->old_source, &p->new_image.config.platform, vn->cache, &p->old_image, err);
}

/* ---- what is told of a delta */

static bool has_blob_of(const struct vn_ocidelta *delta, const char *media_type)
{
	for (size_t i = 0; i < delta->nblobs; i++)
		if (!strcmp(delta->blobs[i].desc.media_type, media_type))
			return true;
	return false;
}

static int fill_layers(struct vn_delta_run *run, const struct vn_ocidelta *delta, const struct vn_image *new_image,
		       struct vn_delta_item *item, struct vn_err *err)
{
	static const char *const hows[] = {
		[VN_OCIDELTA_REUSED] = "reused",
		[VN_OCIDELTA_REBUILT] = "rebuilt",
		[VN_OCIDELTA_REPACKED] = "repacked",
		[VN_OCIDELTA_ORIGINAL] = "original",
	};
	struct vn_delta_layer *list = vn_arena_take(&run->arena, (delta->nlayers + 1) * sizeof(*list), err);
	if (!list)
		return -(int)err->code;
	for (size_t i = 0; i < delta->nlayers; i++) {
		const char *digest = new_image && i < new_image->nlayers ? new_image->layers[i].desc.digest.text : "";
		list[i].how = hows[delta->layers[i].how];
		list[i].size = delta->layers[i].size;
		if (vn_delta_run_text(run, digest, &list[i].digest, err) < 0 ||
		    vn_delta_run_text(run, delta->layers[i].sources, &list[i].sources, err) < 0)
			return -(int)err->code;
	}
	item->layers = list;
	item->nlayers = delta->nlayers;
	return 0;
}

int vn_delta_run_image(struct vn_delta_run *run, const struct vn_ocidelta *delta, const struct vn_image *new_image,
		       struct vn_delta_item **ret, struct vn_err *err)
{
	char platform[VN_PLATFORM_TEXT] = "";
	struct vn_delta_item *item;
	int r = vn_delta_run_item(run, &item, err);
	if (r < 0)
		return r;
	if (new_image)
		vn_platform_text(&new_image->config.platform, platform);
	item->image = true;
	item->format = has_blob_of(delta, VN_OCIDELTA_TARDIFF) ? "tar-diff" : "veneer";
	item->size = delta->size;
	item->full = delta->full;
	item->inline_data = delta->size && delta->size == delta->manifest.len;
	for (size_t i = 0; i < VN_DELTA_MODES; i++)
		item->new_size += delta->stats.mode[i].plain;
	r = vn_delta_run_text(run, platform, &item->platform, err);
	if (r == 0)
		r = vn_delta_run_text(run, delta->source.text, &item->old_digest, err);
	if (r == 0)
		r = vn_delta_run_text(run, delta->target.text, &item->new_digest, err);
	if (r == 0)
		r = vn_delta_run_text(run, delta->desc.digest.text, &item->digest, err);
	if (r == 0)
		r = vn_delta_run_methods(run, &delta->stats, item, err);
	if (r == 0)
		r = fill_layers(run, delta, new_image, item, err);
	*ret = item;
	return r;
}

/* ---- make */

static struct vn_ocidelta_options options_of(const struct vn_delta_settings *settings, const struct vn_index_options *index)
{
	return (struct vn_ocidelta_options){
		.interop = settings->interop,
		.codec = { .effort = settings->effort, .memory = settings->target_memory },
		.index = *index,
	};
}

int vn_delta_pair_make(struct vn *vn, const struct vn_delta_pair *p, const struct vn_delta_settings *settings,
		       struct vn_ocidelta *ret, struct vn_err *err)
{
	struct vn_index_options index;
	struct vn_delta_apply_options how = { .memory = settings->target_memory };
	struct vn_ocidelta_applied applied;
	VN_AUTO_SINK *nowhere = NULL;
	int r = vn_index_setup(vn, &index, err);
	if (r < 0)
		return r;
	struct vn_ocidelta_options options = options_of(settings, &index);
	memset(&applied, 0, sizeof(applied));
	r = vn_ocidelta_make(&p->old_image, &p->new_image, &options, ret, err);
	if (r == 0)
		r = vn_proof_sink_open(vn, &nowhere, err);
	if (r < 0)
		return r;
	r = vn_ocidelta_apply(ret, &p->old_image, &index, &how, nowhere, &applied, err);
	vn_desc_release(&applied.root);
	return r < 0 ? vn_wrap(err, "proving the delta") : 0;
}

/* A sink for a result: a file is an OCI archive. A tag in a registry or a layout never moves from something else. */
static int open_dest(struct vn *vn, const char *dest, const struct vn_digest *same, struct vn_sink **ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO(vn_desc) now = { 0 };
	VN_AUTO_SINK *sink = NULL;
	int r = vn_delta_dest_ref(dest, &ref, err);
	if (r == 0 && !vn_digest_none(&ref.digest))
		r = vn_fail(err, VN_EUSAGE, "%s names a digest: give a tag", dest);
	if (r == 0)
		r = vn_open_sink(vn, &ref, &sink, err);
	if (r < 0)
		return r;
	if (ref.transport == VN_REF_REGISTRY || ref.transport == VN_REF_OCI) {
		r = sink->ops->current(sink, &now, err);
		if (r < 0 && r != -VN_ENOTFOUND)
			return r;
		if (r == 0 && !vn_digest_equal(&now.digest, same)) {
			vn_fail(err, VN_EREFUSED, "%s already names %s; not moved", ref.text, now.digest.text);
			return vn_hint(err, "Use another tag.");
		}
	}
	*ret = vn_steal(sink);
	return 0;
}

/* An archive is written as a whole: never in the place of what is read. */
static int check_dest(const char *dest, const struct vn_source *input, const char *role, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	const struct vn_ref *in = &input->ref;
	struct stat st;
	int r = dest ? vn_delta_dest_ref(dest, &ref, err) : 0;
	if (r < 0 || !dest || ref.transport == VN_REF_REGISTRY || ref.transport == VN_REF_OCI)
		return r;
	if ((in->transport != VN_REF_OCI_ARCHIVE && in->transport != VN_REF_DOCKER_ARCHIVE) || stat(in->path, &st) < 0 || !ref.path)
		return 0;
	return vn_delta_target_check(ref.path, &st, role, err);
}

/* Where only images can be written, no artifact can. */
static int check_artifact_dest(const char *dest, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	int r = dest ? vn_delta_dest_ref(dest, &ref, err) : 0;
	if (r < 0 || (ref.transport != VN_REF_DOCKER_ARCHIVE && ref.transport != VN_REF_DOCKER_DAEMON))
		return r;
	vn_fail(err, VN_EUSAGE, "%s takes images only, and a delta of images is an artifact", ref.text);
	return vn_hint(err, "Name an OCI archive, an OCI layout or a registry.");
}

static int refuse(struct vn_delta_run *run, struct vn_delta_item *item, struct vn_err *err)
{
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT];
	item->reason = VN_DELTA_SAVES_NOTHING;
	run->stays = true;
	vn_fail(err, VN_EREFUSED, "the delta saves nothing: a device would fetch %s, and without it %s", vn_size_text(item->size, a),
		vn_size_text(item->full, b));
	return vn_hint(err, "Let devices pull NEW; or go on with --larger.");
}

int vn_delta_images_make(struct vn *vn, const char *old_ref, const char *new_ref, const char *dest,
			 const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO(vn_delta_pair) pair = { .old_source = NULL };
	VN_AUTO(vn_ocidelta) delta = { .nblobs = 0 };
	VN_AUTO_SINK *sink = NULL;
	struct vn_delta_item *item;
	int r = vn_open_cache(vn, err);
	if (r == 0)
		r = check_artifact_dest(dest, err);
	if (r == 0)
		r = open_pair(vn, old_ref, new_ref, settings, &pair, err);
	if (r == 0)
		r = check_dest(dest, pair.old_source, "OLD", err);
	if (r == 0)
		r = check_dest(dest, pair.new_source, "NEW", err);
	if (r == 0)
		r = vn_delta_pair_make(vn, &pair, settings, &delta, err);
	if (r == 0)
		r = vn_delta_run_image(run, &delta, &pair.new_image, &item, err);
	if (r == 0)
		r = vn_delta_regions_of_image(run, &delta, item, err);
	if (r == 0)
		r = vn_delta_run_text(run, old_ref, &item->old_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, new_ref, &item->new_name, err);
	if (r < 0)
		return r;
	item->nregions = 0;
	if (item->full && item->size >= item->full && !settings->larger)
		return refuse(run, item, err);
	r = vn_delta_run_fetches(run, item->size, item->full, err);
	if (r < 0 || !dest)
		return r;
	r = open_dest(vn, dest, &delta.desc.digest, &sink, err);
	if (r == 0)
		r = vn_ocidelta_put(&delta, sink, &run->result.uploaded, err);
	if (r == 0)
		r = vn_delta_run_text(run, dest, &item->reference, err);
	item->written = r == 0;
	return r;
}

/* ---- show */

static int open_delta(struct vn *vn, const char *name, struct vn_source **ret_source, struct vn_ocidelta *ret,
		      struct vn_err *err)
{
	int r = vn_open_cache(vn, err);
	if (r == 0)
		r = vn_open_source(vn, name, ret_source, err);
	return r < 0 ? r : vn_ocidelta_open(*ret_source, vn->cache, ret, err);
}

/* One that is listed, as it says itself. */
static int fill_listed(struct vn *vn, const struct vn_ref *repository, const struct vn_desc *listed, const struct vn_desc *image,
		       struct vn_delta_run *run, struct vn_err *err)
{
	char platform[VN_PLATFORM_TEXT] = "";
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO(vn_ocidelta) delta = { .nblobs = 0 };
	VN_AUTO_SOURCE *at = NULL;
	struct vn_delta_item *item;
	int r = vn_ref_with(repository, NULL, listed->digest.text, &ref, err);
	if (r == 0)
		r = vn_registry_source_open(&ref, &vn->registry, vn_listeners(vn), &at, err);
	if (r == 0)
		r = vn_ocidelta_open(at, vn->cache, &delta, err);
	if (r < 0)
		return r;
	r = vn_delta_run_image(run, &delta, NULL, &item, err);
	if (r == 0 && *image->platform.os)
		r = vn_delta_run_text(run, vn_platform_text(&image->platform, platform), &item->platform, err);
	if (r == 0)
		r = vn_delta_run_text(run, ref.text, &item->reference, err);
	item->written = r == 0;
	return r;
}

/* The deltas that the registry lists for one image; what cannot be read is told and left out. */
static int list_referrers(struct vn *vn, struct vn_source *source, const struct vn_desc *image, struct vn_delta_run *run,
			  struct vn_err *err)
{
	const struct vn_events *events = vn_listeners(vn);
	VN_AUTO(vn_referrers) found = { 0 };
	struct vn_err broken = { 0 };
	int r = vn_registry_referrers(&source->ref, &image->digest, VN_OCIDELTA_ARTIFACT, &vn->registry, events, &found, err);
	if (r < 0)
		return r;
	run->result.referrers |= found.api;
	for (size_t i = 0; i < found.n; i++)
		if (fill_listed(vn, &source->ref, &found.list[i], image, run, &broken) < 0)
			vn_warn(events, "%s is listed, but cannot be read: %s", found.list[i].digest.text, broken.text);
	return 0;
}

/* Of an image, or of each image of an index. */
static int list_deltas(struct vn *vn, struct vn_source *source, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) root = { 0 };
	VN_AUTO(vn_index) index = { 0 };
	int r = vn_source_manifest(source, NULL, &bytes, &root, err);
	if (r < 0)
		return r;
	if (vn_mediatype(root.media_type)->kind != VN_KIND_INDEX)
		r = list_referrers(vn, source, &root, run, err);
	else
		r = vn_index_parse(bytes.data, bytes.len, &index, err);
	for (size_t i = 0; r == 0 && i < index.nmanifests; i++)
		if (vn_index_is_image(&index.manifests[i]))
			r = list_referrers(vn, source, &index.manifests[i], run, err);
	if (r < 0)
		return r;
	char count[VN_COUNT_TEXT] = "no";
	r = vn_delta_run_text(run, source->ref.text, &run->result.target, err);
	if (r < 0)
		return r;
	if (run->result.nitems)
		vn_count_text(run->result.nitems, count);
	run->result.sentence = vn_arena_printf(&run->arena, err, "%s is an image; its registry lists %s delta%s for it.",
					       source->ref.text, count, run->result.nitems == 1 ? "" : "s");
	return run->result.sentence ? 0 : -(int)err->code;
}

int vn_delta_images_show(struct vn *vn, const char *name, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO_SOURCE *source = NULL;
	VN_AUTO(vn_ocidelta) delta = { .nblobs = 0 };
	struct vn_delta_item *item;
	int r = open_delta(vn, name, &source, &delta, err);
	if (r == -VN_EFORMAT && source && source->ref.transport == VN_REF_REGISTRY) {
		*err = (struct vn_err){ 0 };
		return list_deltas(vn, source, run, err);
	}
	if (r == 0)
		r = vn_delta_run_image(run, &delta, NULL, &item, err);
	if (r == 0)
		r = vn_delta_regions_of_image(run, &delta, item, err);
	if (r == 0)
		r = vn_delta_run_text(run, name, &item->reference, err);
	if (r < 0)
		return r;
	item->written = true;
	return item->full ? vn_delta_run_fetches(run, item->size, item->full, err) : 0;
}

/* ---- apply */

/* OLD's image that the delta was made from, else the one of the platform. */
static int open_source_image(struct vn *vn, struct vn_source *source, const struct vn_digest *want_digest,
			     const struct vn_delta_settings *settings, struct vn_image *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) root = { 0 };
	VN_AUTO(vn_index) index = { 0 };
	struct vn_platform want;
	if (settings->platform) {
		int r = vn_platform_parse(settings->platform, &want, err);
		return r < 0 ? r : vn_image_open(source, &want, vn->cache, ret, err);
	}
	int r = vn_source_manifest(source, NULL, &bytes, &root, err);
	if (r == 0 && vn_mediatype(root.media_type)->kind == VN_KIND_INDEX)
		r = vn_index_parse(bytes.data, bytes.len, &index, err);
	for (size_t i = 0; r == 0 && i < index.nmanifests; i++)
		if (vn_digest_equal(&index.manifests[i].digest, want_digest))
			return vn_image_open_child(source, &index.manifests[i], vn->cache, ret, err);
	return r < 0 ? r : vn_image_open(source, NULL, vn->cache, ret, err);
}

static int conclude(struct vn_delta_run *run, const struct vn_ocidelta_applied *applied, const char *dest, struct vn_err *err)
{
	const char *done = dest ? "Written" : "Rebuilt and thrown away";
	run->result.exact = applied->exact;
	if (dest)
		run->result.target = vn_arena_printf(&run->arena, err, "%s@%s", dest, applied->root.digest.text);
	if (!run->result.target)
		return -(int)err->code;
	if (applied->exact)
		run->result.sentence = vn_arena_printf(&run->arena, err, "%s: digest for digest the image that the delta promises.",
						       done);
	else
		run->result.sentence = vn_arena_printf(&run->arena, err,
						       "%s: the image that the delta promises; its digest is another, because "
						       "%s.", done, applied->repacked ? "layers were packed anew" :
						       "its manifest is kept in another format there");
	return run->result.sentence ? 0 : -(int)err->code;
}

int vn_delta_images_apply(struct vn *vn, const char *old_ref, const char *delta_ref, const char *dest,
			  const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO_SOURCE *source = NULL, *at = NULL;
	VN_AUTO_SINK *sink = NULL;
	VN_AUTO(vn_image) old = { 0 };
	VN_AUTO(vn_ocidelta) delta = { .nblobs = 0 };
	struct vn_delta_apply_options how = { .memory = settings->max_memory };
	struct vn_ocidelta_applied applied;
	struct vn_index_options index;
	struct vn_delta_item *item;
	memset(&applied, 0, sizeof(applied));
	int r = vn_index_setup(vn, &index, err);
	if (r == 0)
		r = open_delta(vn, delta_ref, &at, &delta, err);
	if (r == 0)
		r = check_dest(dest, at, "DELTA", err);
	if (r == 0 && settings->digest && strcmp(delta.target.text, settings->digest))
		r = vn_fail(err, VN_EDIGEST, "%s makes %s, expected %s", delta_ref, delta.target.text, settings->digest);
	if (r == 0)
		r = vn_open_source(vn, old_ref, &source, err);
	if (r == 0)
		r = open_source_image(vn, source, &delta.source, settings, &old, err);
	if (r == 0)
		r = dest ? open_dest(vn, dest, &delta.target, &sink, err) : vn_proof_sink_open(vn, &sink, err);
	if (r < 0)
		return r;
	r = vn_ocidelta_apply(&delta, &old, &index, &how, sink, &applied, err);
	if (r < 0)
		r = vn_wrap(err, "applying %s to %s", at->ref.transport == VN_REF_OCI_ARCHIVE ? at->ref.path : delta_ref, old_ref);
	if (r == 0)
		r = vn_delta_run_image(run, &delta, NULL, &item, err);
	if (r == 0)
		r = vn_delta_run_text(run, dest, &item->new_name, err);
	if (r == 0) {
		item->written = true;
		r = conclude(run, &applied, dest, err);
	}
	vn_desc_release(&applied.root);
	return r;
}
