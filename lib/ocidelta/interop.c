#include "ocidelta/make.h"
#include "tardiff/tardiff.h"
#include "util/cleanup.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>

/* The source's files, out of what is mapped. */
struct mapped_files {
	struct vn_tardiff_files files;
	const struct vn_making *m;
	struct vn_delta_bytes open;
};

static int order_paths(const void *x, const void *y)
{
	return vn_path_cmp(*(const char *const *)x, *(const char *const *)y);
}

static int mapped_open(struct vn_tardiff_files *files, const char *path, struct vn_delta_old **ret_file, struct vn_err *err)
{
	struct mapped_files *f = (struct mapped_files *)files;
	const struct vn_making *m = f->m;
	const char *const *at = bsearch(&path, m->picks.sources, m->picks.nsources, sizeof(*at), order_paths);
	if (!at)
		return vn_fail(err, VN_ENOTFOUND, "no file /%.600s", path);
	size_t i = (size_t)(at - m->picks.sources);
	vn_delta_old_bytes(&f->open, m->source.data + m->old_at[i], (size_t)m->old_size[i]);
	*ret_file = &f->open.old;
	return 0;
}

static void mapped_close(struct vn_tardiff_files *files, struct vn_delta_old *file)
{
	(void)files, (void)file;
}

static int put_document(struct vn_making *m, const struct vn_buf *bytes, const char *media_type, const char *content,
			struct vn_err *err)
{
	struct vn_blob_out b = { 0 };
	int r = vn_making_begin(m, &b, err);
	if (r == 0)
		r = vn_out_write(b.out, vn_buf_text(bytes), bytes->len, err);
	if (r == 0)
		r = vn_making_end(m, &b, media_type, content, NULL, err);
	vn_out_close(b.out);
	return r;
}

static int put_tardiff(struct vn_making *m, size_t layer, struct vn_err *err)
{
	VN_AUTO_FREE struct vn_member *members = NULL;
	struct mapped_files files = { .files = { mapped_open, mapped_close }, .m = m };
	struct vn_tardiff_options options = { .version = (int)m->options->interop };
	struct vn_blob_out b = { 0 };
	size_t n = 0;
	int r = vn_making_members(m, layer, &members, &n, err);
	VN_AUTO_FREE struct vn_tardiff_entry *entries = calloc(n + 1, sizeof(*entries));
	if (!entries)
		return vn_nomem(err);
	for (size_t i = 0; r == 0 && i < n; i++)
		entries[i] = (struct vn_tardiff_entry){ members[i].at - m->at[layer], members[i].len, members[i].pick->source };
	if (r == 0)
		r = vn_making_begin(m, &b, err);
	if (r == 0)
		r = vn_tardiff_make(&files.files, m->target.data + m->at[layer], (size_t)m->bundle.layers[layer].plain, entries, n,
				    &options, b.out, NULL, err);
	if (r == 0)
		r = vn_making_end(m, &b, VN_OCIDELTA_TARDIFF, "image-layer", &m->new_image->layers[layer].desc.digest, err);
	vn_out_close(b.out);
	return r;
}

/* A layer whose tar the source has is reused, whatever its compression: they find layers by diff_id. */
static int put_layer(struct vn_making *m, size_t layer, struct vn_err *err)
{
	struct vn_bundle_layer *l = &m->bundle.layers[layer];
	struct vn_ocidelta *d = &m->out;
	if (l->how == VN_BUNDLE_REUSED)
		return 0;
	if (l->from_source) {
		l->how = VN_BUNDLE_REUSED;
		return 0;
	}
	int r = put_tardiff(m, layer, err);
	if (r < 0 || d->blobs[d->nblobs - 1].desc.size < m->new_image->layers[layer].desc.size)
		return r;
	d->nblobs--;
	vn_tmp_release(&d->blobs[d->nblobs].tmp);
	vn_desc_release(&d->blobs[d->nblobs].desc);
	*l = (struct vn_bundle_layer){ .how = VN_BUNDLE_ORIGINAL };
	return vn_making_original(m, layer, err);
}

int vn_making_interop(struct vn_making *m, struct vn_err *err)
{
	const struct vn_image *image = m->new_image;
	int r = put_document(m, &image->manifest_bytes, image->desc.media_type, "image-manifest", err);
	if (r == 0)
		r = put_document(m, &image->config_bytes, image->manifest.config.media_type, "image-config", err);
	for (size_t i = 0; r == 0 && i < image->nlayers; i++)
		r = put_layer(m, i, err);
	return r;
}
