#include "ocidelta/make.h"
#include "ocidelta/recipe.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SOURCES_SHOWN 8              /* paths that are told of one layer */

void vn_spool_release(struct vn_spool *m)
{
	if (m->data)
		munmap((void *)(uintptr_t)m->data, (size_t)m->len);
	vn_tmp_release(&m->tmp);
	*m = (struct vn_spool)VN_SPOOL;
}

int vn_spool_add(struct vn_spool *m, const void *data, size_t len, struct vn_err *err)
{
	int r = m->tmp.fd < 0 ? vn_tmp_anonymous(&m->tmp, err) : 0;
	if (r == 0)
		r = vn_fs_write(m->tmp.fd, data, len, "a temporary file", err);
	m->len += r == 0 ? len : 0;
	return r;
}

int vn_spool_open(struct vn_spool *m, struct vn_err *err)
{
	if (m->len > SIZE_MAX / 2)
		return vn_fail(err, VN_ELIMIT, "%llu bytes are more than this machine can look at at once",
			       (unsigned long long)m->len);
	if (!m->len)
		return 0;
	void *data = mmap(NULL, (size_t)m->len, PROT_READ, MAP_SHARED, m->tmp.fd, 0);
	if (data == MAP_FAILED)
		return vn_fail_sys(err, VN_EIO, "cannot map a temporary file of %llu bytes", (unsigned long long)m->len);
	m->data = data;
	return 0;
}

static void vn_making_release(struct vn_making *m)
{
	vn_image_files_release(&m->old);
	vn_image_files_release(&m->now);
	vn_picks_release(&m->picks);
	m->bundle.paths = NULL;              /* the picks' */
	vn_bundle_release(&m->bundle);
	free(m->carried);
	free(m->at);
	free(m->old_at);
	free(m->old_size);
	vn_spool_release(&m->source);
	vn_spool_release(&m->target);
	vn_ocidelta_release(&m->out);
}

/* ---- blobs */
int vn_making_begin(struct vn_making *m, struct vn_blob_out *ret, struct vn_err *err)
{
	VN_AUTO_OUT *file = NULL;
	struct vn_ocidelta *d = &m->out;
	struct vn_ocidelta_blob *more = realloc(d->blobs, (d->nblobs + 1) * sizeof(*more));
	if (!more)
		return vn_nomem(err);
	d->blobs = more;
	*ret = (struct vn_blob_out){ .number = d->nblobs };
	d->blobs[d->nblobs++] = (struct vn_ocidelta_blob){ .tmp = VN_TMP };
	int r = vn_tmp_anonymous(&d->blobs[ret->number].tmp, err);
	if (r == 0)
		r = vn_out_fd(d->blobs[ret->number].tmp.fd, "a temporary file", &file, err);
	return r < 0 ? r : vn_out_digest(vn_steal(file), &ret->digest, &ret->size, &ret->out, err);
}

static int annotate(struct vn_desc *desc, const char *content, const struct vn_digest *to, struct vn_err *err)
{
	vn_json *json = vn_json_object(), *notes = vn_json_object();
	bool ok = vn_json_set(notes, VN_OCIDELTA_PREFIX "content", vn_json_string(content));
	if (to)
		ok &= vn_json_set(notes, VN_OCIDELTA_PREFIX "to", vn_json_string(to->text));
	ok &= vn_json_set(json, "mediaType", vn_json_string(desc->media_type));
	ok &= vn_json_set(json, "digest", vn_json_string(desc->digest.text));
	ok &= vn_json_set(json, "size", vn_json_int(desc->size));
	ok &= vn_json_set(json, "annotations", notes);
	desc->json = json;
	return ok ? 0 : vn_nomem(err);
}

int vn_making_end(struct vn_making *m, struct vn_blob_out *b, const char *media_type, const char *content,
		  const struct vn_digest *to, struct vn_err *err)
{
	struct vn_desc *desc = &m->out.blobs[b->number].desc;
	int r = vn_out_finish(b->out, err);
	vn_out_close(vn_steal(b->out));
	if (r == 0)
		r = vn_desc_init(desc, media_type, &b->digest, (int64_t)b->size, err);
	return r < 0 ? r : annotate(desc, content, to, err);
}

int vn_making_original(struct vn_making *m, size_t layer, struct vn_err *err)
{
	struct vn_ocidelta *d = &m->out;
	const struct vn_desc *desc = &m->new_image->layers[layer].desc;
	struct vn_ocidelta_blob *more = realloc(d->blobs, (d->nblobs + 1) * sizeof(*more));
	if (!more)
		return vn_nomem(err);
	d->blobs = more;
	d->blobs[d->nblobs++] = (struct vn_ocidelta_blob){ .tmp = VN_TMP };
	int r = vn_desc_init(&d->blobs[d->nblobs - 1].desc, desc->media_type, &desc->digest, desc->size, err);
	return r < 0 ? r : annotate(&d->blobs[d->nblobs - 1].desc, "image-layer", &desc->digest, err);
}

/* ---- what there is to do */
static bool has_digest(const struct vn_image *image, size_t n, const struct vn_digest *digest)
{
	for (size_t i = 0; i < n; i++)
		if (vn_digest_equal(&image->layers[i].desc.digest, digest))
			return true;
	return false;
}

static void plan_layer(struct vn_making *m, size_t i)
{
	const struct vn_image_layer *layer = &m->new_image->layers[i];
	struct vn_bundle_layer *l = &m->bundle.layers[i];
	if (has_digest(m->old_image, m->old_image->nlayers, &layer->desc.digest) || has_digest(m->new_image, i, &layer->desc.digest))
		return;
	l->how = VN_BUNDLE_UNKNOWN;
	for (size_t j = 0; j < m->old_image->nlayers && !l->from_source; j++)
		if (vn_digest_equal(&m->old_image->layers[j].diff_id, &layer->diff_id)) {
			l->from_source = true;
			l->plain = j;
		}
	if (!l->from_source) {
		m->carried[m->ncarried++] = i;
		m->out.full += (uint64_t)layer->desc.size;
	}
}

static int plan(struct vn_making *m, struct vn_err *err)
{
	size_t n = m->new_image->nlayers;
	m->bundle.layers = calloc(n + 1, sizeof(*m->bundle.layers));
	m->carried = calloc(n + 1, sizeof(*m->carried));
	m->at = calloc(n + 1, sizeof(*m->at));
	m->out.layers = calloc(n + 1, sizeof(*m->out.layers));
	if (!m->bundle.layers || !m->carried || !m->at || !m->out.layers)
		return vn_nomem(err);
	m->bundle.nlayers = m->out.nlayers = n;
	m->bundle.manifest = m->new_image->manifest_bytes.len;
	m->bundle.config = m->new_image->config_bytes.len;
	m->out.full = m->bundle.manifest + m->bundle.config;
	m->out.source = m->old_image->desc.digest;
	m->out.target = m->new_image->desc.digest;
	m->out.at = m->new_image->source;
	for (size_t i = 0; i < n; i++)
		plan_layer(m, i);
	int r = vn_image_files_open(m->old_image, &m->options->index, &m->old, err);
	return r < 0 ? r : vn_image_files_open(m->new_image, &m->options->index, &m->now, err);
}

/* ---- both sides as bytes */
static int spool_tar(struct vn_making *m, size_t i, struct vn_spool *to, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *file = NULL, *out = NULL;
	struct vn_digest digest;
	struct vn_bundle_layer *l = &m->bundle.layers[i];
	uint64_t start = to->len, size = 0;
	char name[512];
	int r = vn_spool_add(to, "", 0, err);
	if (r == 0)
		r = vn_image_layer_tar(m->new_image, i, m->options->index.max_plain, &in, err);
	if (r == 0)
		r = vn_out_fd(to->tmp.fd, "a temporary file", &file, err);
	if (r == 0)
		r = vn_out_digest(vn_steal(file), &digest, &size, &out, err);
	if (r == 0)
		r = vn_copy(in, out, NULL, err);
	if (r == 0)
		r = vn_out_finish(out, err);
	if (r < 0)
		return r;
	to->len += size;
	if (!vn_digest_equal(&digest, &m->new_image->layers[i].diff_id))
		return vn_fail(err, VN_EDIGEST, "%s: expected the diff_id %s, found %s", vn_image_layer_name(m->new_image, i, name),
			       m->new_image->layers[i].diff_id.text, digest.text);
	if (!l->from_source)
		l->plain = size;
	m->at[i] = start;
	m->out.layers[i].plain = size;
	return vn_recipe_find(m->new_image, i, to->tmp.fd, start, size, l, err);
}

static int spool_target(struct vn_making *m, struct vn_err *err)
{
	const struct vn_image *image = m->new_image;
	int r = 0;
	for (size_t i = 0; r == 0 && i < image->nlayers; i++) {
		struct vn_spool aside = VN_SPOOL;
		struct vn_bundle_layer *l = &m->bundle.layers[i];
		if (l->how != VN_BUNDLE_REUSED && l->how != VN_BUNDLE_ORIGINAL)
			r = spool_tar(m, i, l->from_source ? &aside : &m->target, err);
		vn_spool_release(&aside);
	}
	return r < 0 ? r : vn_spool_open(&m->target, err);
}

static int spool_source(struct vn_making *m, struct vn_err *err)
{
	size_t n = m->picks.nsources;
	m->old_at = calloc(n + 1, sizeof(*m->old_at));
	m->old_size = calloc(n + 1, sizeof(*m->old_size));
	int r = m->old_at && m->old_size ? 0 : vn_nomem(err);
	if (r == 0)
		r = vn_spool_add(&m->source, "", 0, err);
	uint64_t at = 0;
	if (r == 0)
		r = vn_image_files_read(&m->old, m->picks.sources, n, m->source.tmp.fd, at, m->old_size, &m->source.len, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		m->old_at[i] = at;
		at += m->old_size[i];
	}
	return r < 0 ? r : vn_spool_open(&m->source, err);
}

/* ---- the bundle */
struct telling {
	const struct vn_events *events;
	uint64_t total;
};

static void tell(void *context, uint64_t done)
{
	const struct telling *t = context;
	vn_progress(t->events, "delta", done, t->total);
}

/* Manifest and configuration, one behind the other. */
static int documents_of(const struct vn_image *image, struct vn_buf *ret, struct vn_err *err)
{
	int r = vn_buf_add(ret, vn_buf_text(&image->manifest_bytes), image->manifest_bytes.len, err);
	return r < 0 ? r : vn_buf_add(ret, vn_buf_text(&image->config_bytes), image->config_bytes.len, err);
}

static int make_documents(const struct vn_making *m, struct vn_buf *ret, struct vn_delta_stats *stats, struct vn_err *err)
{
	VN_AUTO(vn_buf) old = VN_BUF(SIZE_MAX / 2), now = VN_BUF(SIZE_MAX / 2);
	VN_AUTO_OUT *out = NULL;
	struct vn_delta_options codec = { .effort = m->options->codec.effort, .memory = m->options->codec.memory };
	int r = documents_of(m->old_image, &old, err);
	if (r == 0)
		r = documents_of(m->new_image, &now, err);
	if (r == 0)
		r = vn_out_buf(ret, &out, err);
	return r < 0 ? r : vn_delta_make(old.data, old.len, now.data, now.len, &codec, out, stats, err);
}

static void add_stats(struct vn_delta_stats *sum, const struct vn_delta_stats *more)
{
	for (int i = 0; i < VN_DELTA_MODES; i++) {
		sum->mode[i].blocks += more->mode[i].blocks;
		sum->mode[i].plain += more->mode[i].plain;
		sum->mode[i].packed += more->mode[i].packed;
	}
	sum->size += more->size;
	sum->members += more->members;
}

static int write_bundle(struct vn_making *m, struct vn_err *err)
{
	VN_AUTO(vn_buf) documents = VN_BUF(SIZE_MAX / 2);
	struct vn_delta_stats layers = { 0 };
	struct vn_blob_out b = { 0 };
	struct vn_delta_options codec = m->options->codec;
	struct telling telling = { m->options->index.events, m->target.len };
	VN_AUTO_FREE struct vn_delta_hint *hints = NULL;
	int r = codec.hints ? 0 : vn_making_hints(m, &hints, &codec.nhints, err);
	if (!codec.hints)
		codec.hints = hints;
	if (!codec.progress && telling.events) {
		codec.progress = tell;
		codec.context = &telling;
	}
	m->bundle.paths = m->picks.sources;
	m->bundle.npaths = m->picks.nsources;
	if (r == 0)
		r = make_documents(m, &documents, &m->out.stats, err);
	m->bundle.documents = documents.len;
	if (r == 0)
		r = vn_making_begin(m, &b, err);
	if (r == 0)
		r = vn_bundle_write(&m->bundle, b.out, err);
	if (r == 0)
		r = vn_out_write(b.out, documents.data, documents.len, err);
	if (r == 0 && m->ncarried)
		r = vn_delta_make(m->source.data, (size_t)m->source.len, m->target.data, (size_t)m->target.len, &codec, b.out,
				  &layers, err);
	add_stats(&m->out.stats, &layers);
	if (r == 0)
		r = vn_making_end(m, &b, VN_OCIDELTA_BUNDLE, "veneer", NULL, err);
	vn_out_close(b.out);
	if (r == 0 && telling.events)
		vn_done(telling.events, "delta", m->target.len);
	return r;
}

static void drop_blobs(struct vn_ocidelta *d)
{
	for (size_t i = 0; i < d->nblobs; i++) {
		vn_tmp_release(&d->blobs[i].tmp);
		vn_desc_release(&d->blobs[i].desc);
	}
	d->nblobs = 0;
}

/* The largest layer that is in the delta becomes an original; false when there is none. */
static bool give_up_one(struct vn_making *m)
{
	size_t best = 0, at = m->ncarried;
	for (size_t i = 0; i < m->ncarried; i++) {
		size_t layer = m->carried[i];
		if (at == m->ncarried || m->new_image->layers[layer].desc.size > m->new_image->layers[best].desc.size)
			best = layer, at = i;
	}
	if (at == m->ncarried)
		return false;
	memmove(m->carried + at, m->carried + at + 1, (m->ncarried - at - 1) * sizeof(*m->carried));
	m->ncarried--;
	m->bundle.layers[best] = (struct vn_bundle_layer){ .how = VN_BUNDLE_ORIGINAL };
	m->out.layers[best].plain = 0;
	return true;
}

static uint64_t carried_size(const struct vn_making *m)
{
	uint64_t size = 0;
	for (size_t i = 0; i < m->ncarried; i++)
		size += (uint64_t)m->new_image->layers[m->carried[i]].desc.size;
	return size;
}

static int one_bundle(struct vn_making *m, struct vn_err *err)
{
	vn_spool_release(&m->source);
	vn_spool_release(&m->target);
	vn_picks_release(&m->picks);
	free(vn_steal(m->old_at));
	free(vn_steal(m->old_size));
	drop_blobs(&m->out);
	int r = vn_picks_make(&m->old, &m->now, m->carried, m->ncarried, &m->picks, err);
	if (r == 0)
		r = spool_target(m, err);
	if (r == 0)
		r = spool_source(m, err);
	return r;
}

static int make_bundle(struct vn_making *m, struct vn_err *err)
{
	int r = one_bundle(m, err);
	if (r == 0)
		r = write_bundle(m, err);
	/* documents alone are small; a layer is only worth its recipe when that is smaller */
	while (r == 0 && m->ncarried && (uint64_t)m->out.blobs[0].desc.size > carried_size(m) + m->bundle.manifest + m->bundle.config &&
	       give_up_one(m)) {
		r = one_bundle(m, err);
		if (r == 0)
			r = write_bundle(m, err);
	}
	for (size_t i = 0; r == 0 && i < m->bundle.nlayers; i++)
		if (m->bundle.layers[i].how == VN_BUNDLE_ORIGINAL)
			r = vn_making_original(m, i, err);
	return r;
}

/* ---- for people */
static int name_sources(struct vn_making *m, size_t layer, struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(SIZE_MAX / 2);
	VN_AUTO_FREE struct vn_member *members = NULL;
	size_t n = 0, shown = 0, left = 0;
	int r = vn_making_members(m, layer, &members, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (!members[i].pick || !members[i].pick->source)
			continue;
		left += shown == SOURCES_SHOWN;
		if (shown < SOURCES_SHOWN && (r = vn_buf_addf(&text, err, "%s/%s", shown ? ", " : "", members[i].pick->source)) == 0)
			shown++;
	}
	if (r == 0 && left)
		r = vn_buf_addf(&text, err, ", %zu more", left);
	return r < 0 || !shown ? r : vn_buf_steal(&text, &m->out.layers[layer].sources, err);
}

static int tell_layers(struct vn_making *m, struct vn_err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < m->out.nlayers; i++) {
		struct vn_ocidelta_layer *l = &m->out.layers[i];
		enum vn_bundle_how how = m->bundle.layers[i].how;
		l->how = how == VN_BUNDLE_REUSED ? VN_OCIDELTA_REUSED : how == VN_BUNDLE_ORIGINAL ? VN_OCIDELTA_ORIGINAL :
			 how == VN_BUNDLE_UNKNOWN ? VN_OCIDELTA_REPACKED : VN_OCIDELTA_REBUILT;
		l->size = (uint64_t)m->new_image->layers[i].desc.size;
		if (vn_making_carries(m, i))
			r = name_sources(m, i, err);
	}
	return r;
}

int vn_ocidelta_make(const struct vn_image *old_image, const struct vn_image *new_image, const struct vn_ocidelta_options *options,
		     struct vn_ocidelta *ret, struct vn_err *err)
{
	VN_AUTO(vn_making) m = { .old_image = old_image, .new_image = new_image, .options = options, .source = VN_SPOOL,
				 .target = VN_SPOOL };
	int r = plan(&m, err);
	if (r == 0 && options->interop) {
		r = one_bundle(&m, err);
		if (r == 0)
			r = vn_making_interop(&m, err);
	} else if (r == 0)
		r = make_bundle(&m, err);
	if (r == 0)
		r = tell_layers(&m, err);
	if (r == 0)
		r = vn_ocidelta_document(&m.out, old_image, new_image, options, err);
	if (r < 0)
		return r;
	*ret = m.out;
	m.out = (struct vn_ocidelta){ 0 };
	return 0;
}
