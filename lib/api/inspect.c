#include "api/context.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdlib.h>
#include <string.h>

struct vn_inspect {
	struct vn_arena arena;
	struct vn_inspect_result result;
	struct vn_inspect_image *images;
	size_t nimages, images_cap;
	const char **tags;
};

static int text(struct vn_inspect *x, const char *value, const char **ret, struct vn_err *err)
{
	*ret = vn_arena_text(&x->arena, value ? value : "", err);
	return *ret ? 0 : -(int)err->code;
}

static int pairs(struct vn_inspect *x, const struct vn_jv *obj, const struct vn_inspect_pair **ret, size_t *ret_n, struct vn_err *err)
{
	size_t n = vn_jv_is_object(obj) ? vn_jv_count(obj) : 0, i = 0;
	struct vn_inspect_pair *list = vn_arena_take(&x->arena, (n + 1) * sizeof(*list), err);
	void *iter = NULL;
	const char *key, *value;
	struct vn_jv one;
	if (!list)
		return -(int)err->code;
	while (i < n && vn_jv_each(obj, &iter, &key, &one)) {
		struct vn_err ignored = { 0 };
		if (vn_jv_text(&one, &value, &ignored) < 0)
			continue;
		int r = text(x, key, &list[i].key, err);
		if (r == 0)
			r = text(x, value, &list[i].value, err);
		if (r < 0)
			return r;
		i++;
	}
	*ret = list;
	*ret_n = i;
	return 0;
}

/* A list of words as a shell would read them. */
static int command(struct vn_inspect *x, const struct vn_jv *list, const char **ret, struct vn_err *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
	VN_AUTO(vn_buf) out = VN_BUF(VN_MAX_CONFIG);
	struct vn_err ignored = { 0 };
	const char *word;
	int r = 0;
	for (size_t i = 0; r == 0 && vn_jv_is_array(list) && i < vn_jv_count(list); i++) {
		struct vn_jv one = vn_jv_at(list, i);
		if (vn_jv_text(&one, &word, &ignored) < 0)
			continue;
		if (out.len)
			r = vn_buf_adds(&out, " ", err);
		bool quote = !*word || word[strspn(word, plain)];
		if (r == 0 && quote)
			r = vn_buf_adds(&out, "'", err);
		for (; r == 0 && *word; word++)
			r = *word == '\'' ? vn_buf_adds(&out, "'\\''", err) : vn_buf_add(&out, word, 1, err);
		if (r == 0 && quote)
			r = vn_buf_adds(&out, "'", err);
	}
	return r < 0 ? r : text(x, vn_buf_text(&out), ret, err);
}

static int fill_layers(struct vn_inspect *x, const struct vn_image *image, struct vn_inspect_image *to, struct vn_err *err)
{
	struct vn_inspect_layer *list = vn_arena_take(&x->arena, (image->nlayers + 1) * sizeof(*list), err);
	if (!list)
		return -(int)err->code;
	int r = 0;
	for (size_t i = 0; r == 0 && i < image->nlayers; i++) {
		const struct vn_image_layer *l = &image->layers[i];
		r = text(x, l->desc.digest.text, &list[i].digest, err);
		if (r == 0)
			r = text(x, l->diff_id.text, &list[i].diff_id, err);
		if (r == 0)
			r = text(x, l->desc.media_type, &list[i].media_type, err);
		if (r == 0)
			r = text(x, l->step, &list[i].step, err);
		list[i].size = (uint64_t)l->desc.size;
		to->size += list[i].size;
	}
	to->layers = list;
	to->nlayers = image->nlayers;
	return r;
}

static int opt(struct vn_inspect *x, const struct vn_jv *obj, const char *key, const char **ret, struct vn_err *err)
{
	const char *value = NULL;
	int r = vn_jv_opt_text(obj, key, &value, err);
	return r < 0 ? r : text(x, value, ret, err);
}

static const char *find_pair(const struct vn_inspect_image *image, const char *key)
{
	for (size_t i = 0; i < image->nlabels; i++)
		if (!strcmp(image->labels[i].key, key))
			return image->labels[i].value;
	for (size_t i = 0; i < image->nannotations; i++)
		if (!strcmp(image->annotations[i].key, key))
			return image->annotations[i].value;
	return "";
}

static int fill_config(struct vn_inspect *x, const struct vn_image *image, struct vn_inspect_image *to, struct vn_err *err)
{
	char platform[VN_PLATFORM_TEXT];
	struct vn_jv root = vn_jv_root(image->config.json, "the configuration"), inner = vn_jv_get(&root, "config");
	struct vn_jv manifest = vn_jv_root(image->manifest.json, "the manifest");
	struct vn_jv labels = vn_jv_get(&inner, "Labels"), annotations = vn_jv_get(&manifest, "annotations");
	struct vn_jv entrypoint = vn_jv_get(&inner, "Entrypoint"), cmd = vn_jv_get(&inner, "Cmd");
	int r = text(x, vn_platform_text(&image->config.platform, platform), &to->platform, err);
	if (r == 0)
		r = opt(x, &root, "created", &to->created, err);
	if (r == 0)
		r = opt(x, &inner, "User", &to->user, err);
	if (r == 0)
		r = opt(x, &inner, "WorkingDir", &to->workdir, err);
	if (r == 0)
		r = command(x, &entrypoint, &to->entrypoint, err);
	if (r == 0)
		r = command(x, &cmd, &to->cmd, err);
	if (r == 0)
		r = pairs(x, &labels, &to->labels, &to->nlabels, err);
	if (r == 0)
		r = pairs(x, &annotations, &to->annotations, &to->nannotations, err);
	to->base_name = find_pair(to, "org.opencontainers.image.base.name");
	to->base_digest = find_pair(to, "org.opencontainers.image.base.digest");
	return r;
}

static int add_image(struct vn_inspect *x, const struct vn_image *image, struct vn_err *err)
{
	int r = vn_grow(&x->images, &x->images_cap, x->nimages + 1, sizeof(*x->images), err);
	if (r < 0)
		return r;
	struct vn_inspect_image *to = &x->images[x->nimages];
	memset(to, 0, sizeof(*to));
	r = text(x, image->desc.digest.text, &to->digest, err);
	if (r == 0)
		r = text(x, image->desc.media_type, &to->media_type, err);
	if (r == 0)
		r = fill_layers(x, image, to, err);
	if (r == 0)
		r = fill_config(x, image, to, err);
	x->nimages++;
	return r;
}

static int add_children(struct vn *vn, struct vn_inspect *x, struct vn_source *source, const struct vn_buf *bytes, struct vn_err *err)
{
	struct vn_index index = { 0 };
	int r = vn_index_parse(bytes->data, bytes->len, &index, err);
	for (size_t i = 0; r == 0 && i < index.nmanifests; i++) {
		struct vn_image image;
		if (!vn_index_is_image(&index.manifests[i]))
			continue;
		memset(&image, 0, sizeof(image));
		r = vn_image_open_child(source, &index.manifests[i], vn->cache, &image, err);
		if (r == 0)
			r = add_image(x, &image, err);
		vn_image_release(&image);
	}
	vn_index_release(&index);
	return r;
}

static int add_tags(struct vn_inspect *x, struct vn_source *source, struct vn_err *err)
{
	VN_AUTO(vn_buf) tags = VN_BUF(64u << 20);
	size_t n = 0, at = 0;
	if (!source->ops->tags)
		return vn_fail(err, VN_EUSAGE, "%s has no tags to list", source->ref.text);
	int r = source->ops->tags(source, &tags, &n, err);
	x->tags = r == 0 ? calloc(n + 1, sizeof(*x->tags)) : NULL;
	if (r == 0 && !x->tags)
		return vn_nomem(err);
	for (size_t i = 0; r == 0 && i < n && at < tags.len; i++) {
		r = text(x, tags.data + at, &x->tags[i], err);
		at += strlen(tags.data + at) + 1;
		x->result.ntags = i + 1;
	}
	x->result.tags = x->tags;
	return r;
}

static int look(struct vn *vn, struct vn_inspect *x, struct vn_source *source, const struct vn_inspect_options *o, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	enum vn_kind kind = VN_KIND_UNKNOWN;
	const char *type;
	struct vn_platform want;
	struct vn_image image;
	int r = vn_source_manifest(source, NULL, &bytes, &desc, err);
	if (r == 0)
		r = vn_manifest_kind(bytes.data, bytes.len, desc.media_type, &kind, &type, err);
	if (r == 0)
		r = text(x, source->ref.text, &x->result.reference, err);
	if (r == 0)
		r = text(x, desc.digest.text, &x->result.digest, err);
	if (r == 0)
		r = text(x, desc.media_type, &x->result.media_type, err);
	if (r < 0)
		return r;
	x->result.index = kind == VN_KIND_INDEX;
	if (x->result.index && !o->platform) {
		r = add_children(vn, x, source, &bytes, err);
	} else {
		memset(&image, 0, sizeof(image));
		r = o->platform ? vn_platform_parse(o->platform, &want, err) : 0;
		if (r == 0)
			r = vn_image_open(source, o->platform ? &want : NULL, vn->cache, &image, err);
		if (r == 0)
			r = add_image(x, &image, err);
		vn_image_release(&image);
	}
	return r < 0 || !o->tags ? r : add_tags(x, source, err);
}

int vn_inspect_run(struct vn *vn, const char *ref, const struct vn_inspect_options *given, struct vn_inspect **ret,
		   struct vn_err *err)
{
	struct vn_inspect_options o;
	VN_AUTO_SOURCE *source = NULL;
	struct vn_inspect *x = calloc(1, sizeof(*x));
	int r = x ? vn_take_options(&o, sizeof(o), given, "struct vn_inspect_options", err) : vn_nomem(err);
	if (r == 0)
		r = vn_open_cache(vn, err);
	if (r == 0)
		r = vn_open_source(vn, ref, &source, err);
	if (r == 0)
		r = look(vn, x, source, &o, err);
	if (r < 0) {
		vn_inspect_free(x);
		return r;
	}
	x->result.images = x->images;
	x->result.nimages = x->nimages;
	*ret = x;
	return 0;
}

const struct vn_inspect_result *vn_inspect_get(const struct vn_inspect *inspect)
{
	return &inspect->result;
}

void vn_inspect_free(struct vn_inspect *x)
{
	if (!x)
		return;
	vn_arena_release(&x->arena);
	free(x->images);
	free(x->tags);
	free(x);
}

int vn_inspect_raw(struct vn *vn, const char *ref, const char *platform, bool config, char **ret_bytes, size_t *ret_len,
		   struct vn_err *err)
{
	VN_AUTO_SOURCE *source = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_platform want;
	struct vn_image image;
	memset(&image, 0, sizeof(image));
	int r = vn_open_cache(vn, err);
	if (r == 0)
		r = vn_open_source(vn, ref, &source, err);
	if (r == 0 && platform)
		r = vn_platform_parse(platform, &want, err);
	if (r == 0 && !platform && !config)
		r = vn_source_manifest(source, NULL, &bytes, &desc, err);
	else if (r == 0)
		r = vn_image_open(source, platform ? &want : NULL, vn->cache, &image, err);
	struct vn_buf *from = !platform && !config ? &bytes : config ? &image.config_bytes : &image.manifest_bytes;
	size_t len = from->len;
	if (r == 0)
		r = vn_buf_steal(from, ret_bytes, err);
	if (r == 0)
		*ret_len = len;
	vn_image_release(&image);
	return r;
}
