#include "rebase/thin.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <string.h>

const char *vn_label(const struct vn_config *config, const char *key)
{
	struct vn_err ignored = { 0 };
	struct vn_jv root = vn_jv_root(config->json, "the configuration"), inner = vn_jv_get(&root, "config");
	struct vn_jv labels = vn_jv_get(&inner, "Labels"), value = vn_jv_get(&labels, key);
	const char *text;
	if (!value.v || vn_jv_text(&value, &text, &ignored) < 0)
		return NULL;
	return text;
}

/* The layers above the base must be ours by their history, too: a label alone is inherited by any build FROM a thin image. */
static bool made_by_veneer(const struct vn_config *config, size_t base_layers)
{
	size_t layer = 0;
	if (!vn_config_history_fits(config))
		return false;
	for (size_t i = 0; i < config->nhistory; i++) {
		if (config->history[i].empty_layer)
			continue;
		bool ours = config->history[i].comment && !strcmp(config->history[i].comment, VN_HISTORY_COMMENT);
		if (layer++ >= base_layers && !ours)
			return false;
	}
	return true;
}

int vn_base_of(const struct vn_image *old_image, struct vn_base *ret, struct vn_err *err)
{
	struct vn_base base = { .layers = old_image->nlayers };
	const char *layers = vn_label(&old_image->config, VN_LABEL_BASE_LAYERS), *name = NULL, *digest = NULL;
	uint64_t n = 0;
	int r;
	if (layers) {
		if (!vn_parse_u64(layers, &n) || n > old_image->nlayers)
			return vn_fail(err, VN_EFORMAT, "%s says in its label %s that it stands on \"%.40s\" layers, but it has %zu",
				       old_image->source->ref.text, VN_LABEL_BASE_LAYERS, layers, old_image->nlayers);
		if (n < old_image->nlayers && made_by_veneer(&old_image->config, (size_t)n)) {
			base.layers = (size_t)n;
			base.thin = true;
			name = vn_label(&old_image->config, VN_LABEL_BASE_NAME);
			digest = vn_label(&old_image->config, VN_LABEL_BASE_DIGEST);
		}
	}
	if (base.thin) {
		if (digest && vn_digest_valid(digest))
			memcpy(base.digest.text, digest, strlen(digest) + 1);
		r = vn_strdup(name ? name : "", &base.name, err);
	} else {
		base.digest = old_image->root.digest;
		if (old_image->source->ref.transport == VN_REF_REGISTRY)
			r = vn_ref_full_name(&old_image->source->ref, &base.name, err);
		else
			r = vn_strdup("", &base.name, err);
	}
	if (r < 0)
		return r;
	*ret = base;
	return 0;
}

void vn_base_release(struct vn_base *base)
{
	free(base->name);
	base->name = NULL;
}

struct vn_image vn_base_view(const struct vn_image *old_image, const struct vn_base *base)
{
	struct vn_image view = *old_image;
	view.nlayers = base->layers;
	return view;
}
