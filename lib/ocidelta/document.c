/* The artifact's manifest. Every byte of it goes over the air: nothing is said twice, and the order of members is fixed. */
#include "ocidelta/make.h"
#include "util/cleanup.h"
#include <string.h>

#define DOCUMENT 1000                /* about what the manifest has besides */

static const char empty_config[] = "{}";

int vn_ocidelta_blob_open(const struct vn_ocidelta *delta, const struct vn_ocidelta_blob *b, struct vn_in **ret,
			  struct vn_err *err)
{
	if (b->tmp.fd >= 0)
		return vn_in_slice(b->tmp.fd, 0, (uint64_t)b->desc.size, "a temporary file", ret, err);
	return vn_source_blob(delta->at, &b->desc, NULL, "delta", ret, err);
}

static int add_data(const struct vn_ocidelta *d, size_t i, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF((size_t)d->blobs[i].desc.size);
	VN_AUTO_FREE char *text = NULL;
	int r = vn_ocidelta_blob_open(d, &d->blobs[i], &in, err);
	if (r == 0)
		r = vn_in_read_all(in, &bytes, err);
	if (r == 0)
		r = vn_base64_encode(vn_buf_text(&bytes), bytes.len, &text, err);
	if (r < 0)
		return r;
	return vn_json_set(d->blobs[i].desc.json, "data", vn_json_string(text)) ? 0 : vn_nomem(err);
}

static vn_json *descriptor(const char *media_type, const char *digest, int64_t size)
{
	vn_json *v = vn_json_object();
	vn_json_set(v, "mediaType", vn_json_string(media_type));
	vn_json_set(v, "digest", vn_json_string(digest));
	vn_json_set(v, "size", vn_json_int(size));
	return v;
}

int vn_ocidelta_config(struct vn_desc *ret, struct vn_err *err)
{
	struct vn_digest digest;
	int r = vn_digest_of(empty_config, strlen(empty_config), &digest, err);
	return r < 0 ? r : vn_desc_init(ret, VN_MT_OCI_EMPTY, &digest, (int64_t)strlen(empty_config), err);
}

/* The layers that the source has, by digest and by diff_id, as texts that are arrays themselves. */
static int note_reused(vn_json *notes, const struct vn_ocidelta *d, const struct vn_image *image, struct vn_err *err)
{
	VN_AUTO_JSON *digests = vn_json_array(), *diff_ids = vn_json_array();
	VN_AUTO(vn_buf) by_digest = VN_BUF(VN_MAX_MANIFEST), by_diff_id = VN_BUF(VN_MAX_MANIFEST);
	size_t n = 0;
	for (size_t i = 0; i < image->nlayers; i++) {
		if (d->layers[i].how != VN_OCIDELTA_REUSED)
			continue;
		n++;
		vn_json_add(digests, vn_json_string(image->layers[i].desc.digest.text));
		vn_json_add(diff_ids, vn_json_string(image->layers[i].diff_id.text));
	}
	int r = n ? vn_json_text(digests, false, &by_digest, err) : 0;
	if (r == 0 && n)
		r = vn_json_text(diff_ids, false, &by_diff_id, err);
	if (r < 0 || !n)
		return r;
	vn_json_set(notes, VN_OCIDELTA_PREFIX "reused", vn_json_string(vn_buf_text(&by_digest)));
	vn_json_set(notes, VN_OCIDELTA_PREFIX "reused-diff-id", vn_json_string(vn_buf_text(&by_diff_id)));
	return 0;
}

static int annotations(const struct vn_ocidelta *d, const struct vn_image *old_image, const struct vn_image *new_image, bool interop,
		       vn_json **ret, struct vn_err *err)
{
	VN_AUTO_JSON *notes = vn_json_object();
	int r = 0;
	vn_json_set(notes, VN_OCIDELTA_PREFIX "source", vn_json_string(d->source.text));
	if (interop) {
		vn_json_set(notes, VN_OCIDELTA_PREFIX "source-config", vn_json_string(old_image->manifest.config.digest.text));
		vn_json_set(notes, VN_OCIDELTA_PREFIX "target", vn_json_string(d->target.text));
		r = note_reused(notes, d, new_image, err);
	}
	if (r == 0)
		*ret = vn_steal(notes);
	return r;
}

int vn_ocidelta_document(struct vn_ocidelta *d, const struct vn_image *old_image, const struct vn_image *new_image,
			 const struct vn_ocidelta_options *options, struct vn_err *err)
{
	VN_AUTO(vn_desc) config = { 0 };
	vn_json *notes = NULL;
	uint64_t most = options->inline_most ? options->inline_most : VN_OCIDELTA_INLINE, sum = 0;
	for (size_t i = 0; i < d->nblobs; i++)
		sum += (uint64_t)d->blobs[i].desc.size;
	/* base64 makes three bytes four: that must not be what the delta loses by */
	bool within = most > 1 && sum <= most && (sum / 3 * 4 + DOCUMENT < d->full || sum + DOCUMENT >= d->full);
	int r = vn_ocidelta_config(&config, err);
	for (size_t i = 0; r == 0 && within && i < d->nblobs; i++)
		r = add_data(d, i, err);
	if (r == 0)
		r = annotations(d, old_image, new_image, options->interop != 0, &notes, err);
	if (r < 0)
		return r;
	VN_AUTO_JSON *root = vn_json_object();
	vn_json *empty = descriptor(config.media_type, config.digest.text, config.size), *layers = vn_json_array();
	vn_json_set(empty, "data", vn_json_string("e30="));
	for (size_t i = 0; i < d->nblobs; i++)
		vn_json_add(layers, vn_desc_to_json(&d->blobs[i].desc));
	vn_json_set(root, "schemaVersion", vn_json_int(2));
	vn_json_set(root, "mediaType", vn_json_string(VN_MT_OCI_MANIFEST));
	vn_json_set(root, "artifactType", vn_json_string(VN_OCIDELTA_ARTIFACT));
	vn_json_set(root, "config", empty);
	vn_json_set(root, "layers", layers);
	const struct vn_desc *target = &new_image->desc;
	vn_json_set(root, "subject", descriptor(target->media_type, target->digest.text, target->size));
	vn_json_set(root, "annotations", notes);
	d->manifest = (struct vn_buf)VN_BUF(VN_MAX_MANIFEST);
	struct vn_digest digest;
	r = vn_json_text(root, false, &d->manifest, err);
	if (r == 0)
		r = vn_digest_of(vn_buf_text(&d->manifest), d->manifest.len, &digest, err);
	if (r == 0)
		r = vn_desc_init(&d->desc, VN_MT_OCI_MANIFEST, &digest, (int64_t)d->manifest.len, err);
	d->size = d->manifest.len + (within ? 0 : sum);
	return r;
}
