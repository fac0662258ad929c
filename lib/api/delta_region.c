/* The regions of a delta, of files or of images, as they can be told without OLD. */
#include "api/delta.h"
#include "ocidelta/read.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdlib.h>
#include <string.h>

struct walk {
	struct vn_delta_run *run;
	const struct vn_bundle *bundle;      /* NULL: a delta of files */
	uint64_t base;                       /* bytes of the target in front of what is walked */
	struct vn_delta_region *list;
	size_t n, cap;
	struct vn_delta_stats stats;
};

static void walk_release(struct walk *w)
{
	free(w->list);
}

/* The document or layer of the target that a byte of the rebuilt whole lies in. */
static const char *part_at(const struct walk *w, uint64_t at, struct vn_err *err)
{
	const struct vn_bundle *b = w->bundle;
	if (at < b->manifest)
		return "manifest";
	at -= b->manifest;
	if (at < b->config)
		return "configuration";
	at -= b->config;
	for (size_t i = 0; i < b->nlayers; i++) {
		const struct vn_bundle_layer *layer = &b->layers[i];
		if (!vn_bundle_in_delta(layer))
			continue;
		if (at < layer->plain)
			return vn_arena_printf(&w->run->arena, err, "layer %zu", i + 1);
		at -= layer->plain;
	}
	return "";
}

static int add_region(void *context, const struct vn_delta_record *record, struct vn_err *err)
{
	struct walk *w = context;
	int r = vn_grow(&w->list, &w->cap, w->n + 1, sizeof(*w->list), err);
	if (r < 0)
		return r;
	struct vn_delta_region *region = &w->list[w->n++];
	*region = (struct vn_delta_region){ .at = w->base + record->start, .length = record->len, .packed = record->packed,
					    .method = vn_delta_mode_name(record->mode), .file = "" };
	if (w->bundle)
		region->file = part_at(w, region->at, err);
	if (!region->file)
		return -(int)err->code;
	w->stats.mode[record->mode].blocks++;
	w->stats.mode[record->mode].plain += record->len;
	w->stats.mode[record->mode].packed += record->packed;
	return vn_delta_run_text(w->run, record->facts, &region->facts, err);
}

static int finish(struct walk *w, uint64_t memory, uint64_t size, struct vn_delta_item *item, struct vn_err *err)
{
	struct vn_delta_region *list = vn_arena_take(&w->run->arena, (w->n + 1) * sizeof(*list), err);
	if (!list)
		return -(int)err->code;
	if (w->n)
		memcpy(list, w->list, w->n * sizeof(*list));
	item->regions = list;
	item->nregions = w->n;
	item->memory = memory;
	w->stats.size = size;
	return vn_delta_run_methods(w->run, &w->stats, item, err);
}

int vn_delta_regions_of_file(struct vn_delta_run *run, struct vn_in *in, uint64_t size, struct vn_delta_head *ret_head,
			     struct vn_delta_item *item, struct vn_err *err)
{
	VN_AUTO(walk) walk = { .run = run };
	int r = vn_delta_walk(in, ret_head, add_region, &walk, err);
	return r < 0 ? r : finish(&walk, vn_delta_memory(ret_head), size, item, err);
}

/* The delta of the documents, then the one of the layers' tars unless there are none. */
static int walk_bundle(struct walk *w, struct vn_bundle *b, struct vn_in *in, struct vn_delta_item *item, uint64_t *ret_memory,
		       struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST + VN_MAX_CONFIG);
	VN_AUTO_IN *documents = NULL;
	struct vn_delta_head head;
	uint64_t layers = 0;
	int r = vn_bundle_read(in, b, err);
	if (r == 0)
		r = vn_bundle_bytes(in, b->documents, &bytes, err);
	if (r == 0)
		r = vn_in_memory(bytes.data, bytes.len, &documents, err);
	if (r == 0)
		r = vn_delta_walk(documents, &head, add_region, w, err);
	if (r == 0)
		r = vn_bundle_new_size(b, &layers, err);
	if (r < 0)
		return r;
	item->old_size = head.old_size;
	item->new_size = head.new_size;
	*ret_memory = vn_delta_memory(&head);
	w->base = b->manifest + b->config;
	if (!layers)
		return 0;
	r = vn_delta_walk(in, &head, add_region, w, err);
	if (r < 0)
		return r;
	item->old_size += head.old_size;
	item->new_size += head.new_size;
	if (vn_delta_memory(&head) > *ret_memory)
		*ret_memory = vn_delta_memory(&head);
	return 0;
}

int vn_delta_regions_of_image(struct vn_delta_run *run, const struct vn_ocidelta *delta, struct vn_delta_item *item,
			      struct vn_err *err)
{
	VN_AUTO(vn_bundle) bundle = { .nlayers = 0 };
	VN_AUTO(walk) walk = { .run = run, .bundle = &bundle };
	VN_AUTO_IN *in = NULL;
	const struct vn_ocidelta_blob *blob = NULL;
	uint64_t memory = 0;
	for (size_t i = 0; i < delta->nblobs; i++)
		if (!strcmp(delta->blobs[i].desc.media_type, VN_OCIDELTA_BUNDLE))
			blob = &delta->blobs[i];
	if (!blob)
		return 0;
	int r = vn_ocidelta_blob_open(delta, blob, &in, err);
	if (r == 0)
		r = walk_bundle(&walk, &bundle, in, item, &memory, err);
	return r < 0 ? r : finish(&walk, memory, (uint64_t)blob->desc.size, item, err);
}
