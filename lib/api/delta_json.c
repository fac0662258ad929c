/* Schema veneer.delta/1; veneer-delta(1) describes it. */
#include "api/delta.h"
#include "util/cleanup.h"
#include <stdint.h>

/* null where nothing is known */
static vn_json *text(const char *value)
{
	return vn_json_string(value && *value ? value : NULL);
}

static vn_json *number(uint64_t n)
{
	return vn_json_int((int64_t)n);
}

static vn_json *end_json(const char *name, const char *digest, uint64_t size)
{
	vn_json *o = vn_json_object();
	vn_json_set(o, "name", text(name));
	vn_json_set(o, "digest", text(digest));
	vn_json_set(o, "size", number(size));
	return o;
}

static vn_json *methods_json(const struct vn_delta_item *item)
{
	vn_json *list = vn_json_array();
	for (size_t i = 0; i < item->nmethods; i++) {
		const struct vn_delta_method *m = &item->methods[i];
		vn_json *o = vn_json_object();
		vn_json_set(o, "name", text(m->name));
		vn_json_set(o, "regions", number(m->regions));
		vn_json_set(o, "plain", number(m->plain));
		vn_json_set(o, "packed", number(m->packed));
		vn_json_add(list, o);
	}
	return list;
}

static vn_json *regions_json(const struct vn_delta_item *item)
{
	vn_json *list = vn_json_array();
	for (size_t i = 0; i < item->nregions; i++) {
		const struct vn_delta_region *region = &item->regions[i];
		vn_json *o = vn_json_object();
		vn_json_set(o, "at", number(region->at));
		vn_json_set(o, "length", number(region->length));
		vn_json_set(o, "packed", number(region->packed));
		vn_json_set(o, "method", text(region->method));
		vn_json_set(o, "facts", text(region->facts));
		vn_json_set(o, "file", text(region->file));
		vn_json_add(list, o);
	}
	return list;
}

static vn_json *layers_json(const struct vn_delta_item *item)
{
	vn_json *list = vn_json_array();
	for (size_t i = 0; i < item->nlayers; i++) {
		const struct vn_delta_layer *layer = &item->layers[i];
		vn_json *o = vn_json_object();
		vn_json_set(o, "digest", text(layer->digest));
		vn_json_set(o, "how", text(layer->how));
		vn_json_set(o, "size", number(layer->size));
		vn_json_set(o, "sources", text(layer->sources));
		vn_json_add(list, o);
	}
	return list;
}

static vn_json *item_json(const struct vn_delta_item *item)
{
	vn_json *o = vn_json_object();
	vn_json_set(o, "image", vn_json_bool(item->image));
	vn_json_set(o, "platform", text(item->platform));
	vn_json_set(o, "written", vn_json_bool(item->written));
	vn_json_set(o, "old", end_json(item->old_name, item->old_digest, item->old_size));
	vn_json_set(o, "new", end_json(item->new_name, item->new_digest, item->new_size));
	vn_json_set(o, "reference", text(item->reference));
	vn_json_set(o, "digest", text(item->digest));
	vn_json_set(o, "format", text(item->format));
	vn_json_set(o, "size", number(item->size));
	vn_json_set(o, "full", number(item->full));
	vn_json_set(o, "memory", number(item->memory));
	vn_json_set(o, "inline", vn_json_bool(item->inline_data));
	vn_json_set(o, "relation", text(item->relation));
	vn_json_set(o, "reason", text(item->reason));
	vn_json_set(o, "methods", methods_json(item));
	vn_json_set(o, "regions", regions_json(item));
	vn_json_set(o, "layers", layers_json(item));
	return o;
}

int vn_delta_json(const struct vn_delta_run *run, char **ret_text, struct vn_err *err)
{
	const struct vn_delta_result *result = vn_delta_get(run);
	VN_AUTO_JSON *root = vn_json_object();
	VN_AUTO(vn_buf) out = VN_BUF(SIZE_MAX / 2);
	vn_json *items = vn_json_array();
	vn_json_set(root, "schema", text("veneer.delta/1"));
	vn_json_set(root, "verb", text(result->verb));
	for (size_t i = 0; i < result->nitems; i++)
		vn_json_add(items, item_json(&result->items[i]));
	vn_json_set(root, "deltas", items);
	vn_json_set(root, "target", text(result->target));
	vn_json_set(root, "exact", vn_json_bool(result->exact));
	vn_json_set(root, "referrers", vn_json_bool(result->referrers));
	vn_json_set(root, "uploaded_bytes", number(result->uploaded));
	vn_json_set(root, "sentence", text(result->sentence));
	int r = vn_json_text(root, true, &out, err);
	return r < 0 ? r : vn_buf_steal(&out, ret_text, err);
}
