/* Schema veneer.inspect/1; veneer-inspect(1) describes it. */
#include "api/context.h"
#include "util/cleanup.h"
#include <stdint.h>

static vn_json *pairs(const struct vn_inspect_pair *list, size_t n)
{
	vn_json *o = vn_json_object();
	for (size_t i = 0; i < n; i++)
		vn_json_set(o, list[i].key, vn_json_string(list[i].value));
	return o;
}

static vn_json *image_json(const struct vn_inspect_image *image)
{
	vn_json *o = vn_json_object(), *layers = vn_json_array();
	for (size_t i = 0; i < image->nlayers; i++) {
		vn_json *l = vn_json_object();
		vn_json_set(l, "digest", vn_json_string(image->layers[i].digest));
		vn_json_set(l, "diff_id", vn_json_string(image->layers[i].diff_id));
		vn_json_set(l, "media_type", vn_json_string(image->layers[i].media_type));
		vn_json_set(l, "size", vn_json_int((int64_t)image->layers[i].size));
		vn_json_set(l, "step", vn_json_string(image->layers[i].step));
		vn_json_add(layers, l);
	}
	vn_json_set(o, "digest", vn_json_string(image->digest));
	vn_json_set(o, "media_type", vn_json_string(image->media_type));
	vn_json_set(o, "platform", vn_json_string(image->platform));
	vn_json_set(o, "created", vn_json_string(image->created));
	vn_json_set(o, "size", vn_json_int((int64_t)image->size));
	vn_json_set(o, "layers", layers);
	vn_json_set(o, "entrypoint", vn_json_string(image->entrypoint));
	vn_json_set(o, "cmd", vn_json_string(image->cmd));
	vn_json_set(o, "user", vn_json_string(image->user));
	vn_json_set(o, "workdir", vn_json_string(image->workdir));
	vn_json_set(o, "labels", pairs(image->labels, image->nlabels));
	vn_json_set(o, "annotations", pairs(image->annotations, image->nannotations));
	vn_json_set(o, "base_name", vn_json_string(image->base_name));
	vn_json_set(o, "base_digest", vn_json_string(image->base_digest));
	return o;
}

int vn_inspect_json(const struct vn_inspect *inspect, char **ret_text, struct vn_err *err)
{
	const struct vn_inspect_result *x = vn_inspect_get(inspect);
	VN_AUTO_JSON *root = vn_json_object();
	vn_json *images = vn_json_array();
	struct vn_buf out = VN_BUF(SIZE_MAX / 2);
	vn_json_set(root, "schema", vn_json_string("veneer.inspect/1"));
	vn_json_set(root, "reference", vn_json_string(x->reference));
	vn_json_set(root, "digest", vn_json_string(x->digest));
	vn_json_set(root, "media_type", vn_json_string(x->media_type));
	vn_json_set(root, "index", vn_json_bool(x->index));
	for (size_t i = 0; i < x->nimages; i++)
		vn_json_add(images, image_json(&x->images[i]));
	vn_json_set(root, "images", images);
	if (x->tags) {
		vn_json *tags = vn_json_array();
		for (size_t i = 0; i < x->ntags; i++)
			vn_json_add(tags, vn_json_string(x->tags[i]));
		vn_json_set(root, "tags", tags);
	}
	int r = vn_json_text(root, true, &out, err);
	if (r == 0)
		r = vn_buf_steal(&out, ret_text, err);
	vn_buf_release(&out);
	return r;
}
