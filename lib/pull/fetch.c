/* Bytes come, and become the image: by a delta from files that the engine has, or layer by layer. */
#include "pull/news.h"
#include "pull/shelf.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

/* ---- room */
static uint64_t free_bytes(const char *dir)
{
	struct statvfs s;
	return dir && statvfs(dir, &s) == 0 ? (uint64_t)s.f_bavail * s.f_frsize : UINT64_MAX;
}

static int check_room(struct vn_pull *p, const char *dir, uint64_t want, const char *what, struct vn_err *err)
{
	uint64_t have = free_bytes(dir), keep = p->config.reserve;
	char a[VN_SIZE_TEXT], b[VN_SIZE_TEXT], c[VN_SIZE_TEXT];
	if (have == UINT64_MAX || (have > keep && have - keep >= want))
		return 0;
	vn_fail(err, VN_EREFUSED, "%s has %s free; %s takes %s, and %s must stay free", dir, vn_size_text(have, a), what,
		vn_size_text(want, b), vn_size_text(keep, c));
	return vn_hint(err, "`veneer-pull gc` removes what is not needed; \"reserve\" in the configuration says what must stay free.");
}

/* ---- the release that a delta starts from */
struct engine_parts {
	struct vn_ocidelta_parts parts;
	struct vn_pull *pull;
	struct vn_digest image;              /* in the engine */
	struct vn_tmp tmp;                   /* what was read last, with its paths and sizes */
	struct vn_digest paths;
	uint64_t len, *sizes;
	size_t n;
};

static void engine_parts_release(struct engine_parts *e)
{
	vn_tmp_release(&e->tmp);
	free(e->sizes);
}

static int digest_paths(const char *const *paths, size_t n, struct vn_digest *ret, struct vn_err *err)
{
	struct vn_hash *hash = NULL;
	int r = vn_hash_open("sha256", &hash, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = vn_hash_add(hash, paths[i], strlen(paths[i]) + 1, err);
	if (r == 0)
		r = vn_hash_end(hash, ret, err);
	vn_hash_close(hash);
	return r;
}

static int read_from_engine(struct engine_parts *e, const char *const *paths, size_t n, const struct vn_digest *digest,
			    struct vn_err *err)
{
	struct vn_pull *p = e->pull;
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	uint64_t *sizes = calloc(n + 1, sizeof(*sizes)), end = 0;
	int r = sizes ? vn_tmp_anonymous(&tmp, err) : vn_nomem(err);
	if (r == 0)
		r = p->engine->ops->files(p->engine, &e->image, paths, n, tmp.fd, 0, sizes, &end, err);
	if (r < 0) {
		free(sizes);
		return r;
	}
	engine_parts_release(e);
	e->tmp = tmp;
	tmp = (struct vn_tmp)VN_TMP;
	e->sizes = sizes;
	e->paths = *digest;
	e->len = end;
	e->n = n;
	return 0;
}

static int copy_out(const struct engine_parts *e, int fd, uint64_t at, struct vn_err *err)
{
	VN_AUTO_FREE char *block = malloc(1u << 16);
	int r = block ? 0 : vn_nomem(err);
	for (uint64_t from = 0, n; r == 0 && from < e->len; from += n) {
		n = e->len - from < 1u << 16 ? e->len - from : 1u << 16;
		r = vn_fs_read_at(e->tmp.fd, from, block, (size_t)n, "a temporary file", err);
		if (r == 0 && lseek(fd, (off_t)(at + from), SEEK_SET) < 0)
			r = vn_fail_sys(err, VN_EIO, "cannot write a temporary file");
		if (r == 0)
			r = vn_fs_write(fd, block, (size_t)n, "a temporary file", err);
	}
	return r;
}

/* The files are asked for twice: when the delta's beginning is there, to see whether it fits, and when it is applied. */
static int engine_files(struct vn_ocidelta_parts *parts, const char *const *paths, size_t n, int fd, uint64_t at, uint64_t *ret_sizes,
			uint64_t *ret_end, struct vn_err *err)
{
	struct engine_parts *e = (struct engine_parts *)parts;
	struct vn_digest digest;
	int r = digest_paths(paths, n, &digest, err);
	if (r == 0 && (e->tmp.fd < 0 || e->n != n || !vn_digest_equal(&digest, &e->paths)))
		r = read_from_engine(e, paths, n, &digest, err);
	if (r == 0)
		r = copy_out(e, fd, at, err);
	if (r < 0)
		return r;
	if (ret_sizes)
		memcpy(ret_sizes, e->sizes, n * sizeof(*ret_sizes));
	*ret_end = at + e->len;
	return 0;
}

/* ---- by a delta */
struct delta_way {
	struct vn_pull *pull;
	struct vn_news *news;
	struct vn_source *shelf;
	struct vn_image image;               /* the release that it starts from */
	struct engine_parts engine;          /* files from there … */
	struct vn_image_files layers;        /* … or out of layers on the shelf */
	struct vn_ocidelta_parts from_layers;
	struct vn_index_options index;
	struct vn_ocidelta_parts *parts;
};

static void delta_way_release(struct delta_way *w)
{
	engine_parts_release(&w->engine);
	if (w->layers.layers)
		vn_image_files_release(&w->layers);
	vn_image_release(&w->image);
	vn_source_close(w->shelf);
}

static int layer_files(struct vn_ocidelta_parts *parts, const char *const *paths, size_t n, int fd, uint64_t at, uint64_t *ret_sizes,
		       uint64_t *ret_end, struct vn_err *err)
{
	struct delta_way *w = (struct delta_way *)(void *)((char *)parts - offsetof(struct delta_way, from_layers));
	return vn_image_files_read(&w->layers, paths, n, fd, at, ret_sizes, ret_end, err);
}

static int open_way(struct vn_pull *p, struct vn_news *n, struct delta_way *w, struct vn_err *err)
{
	const struct vn_release *active = vn_journal_active(&p->journal);
	w->pull = p;
	w->news = n;
	if (!active)
		return vn_fail(err, VN_EDIGEST, "the delta starts from %s, and nothing runs here", n->delta.source.text);
	int r = vn_pull_open_release(p, active, &w->shelf, &w->image, err);
	if (r < 0)
		return r;
	w->engine.parts = (struct vn_ocidelta_parts){ &w->image, engine_files };
	w->engine.pull = p;
	w->engine.image = active->image;
	w->parts = &w->engine.parts;
	if (p->engine->ops->files)
		return 0;
	w->index = (struct vn_index_options){ .events = vn_pull_events(p) };
	r = vn_random(w->index.key, sizeof(w->index.key), err);
	if (r == 0)
		r = vn_image_files_open(&w->image, &w->index, &w->layers, err);
	w->from_layers = (struct vn_ocidelta_parts){ &w->image, layer_files };
	w->parts = &w->from_layers;
	return r;
}

/* The bundle's beginning is there: does it start from what this device has, and is there room for what it makes? */
static int look(void *user, const struct vn_desc *desc, struct vn_in *prefix, struct vn_err *err)
{
	struct delta_way *w = user;
	uint64_t plain = 0;
	/* the bundle comes first; behind it are layers that travel as they are */
	if (!vn_digest_equal(&desc->digest, &w->news->delta.blobs[0].desc.digest))
		return 0;
	int r = vn_ocidelta_prove(&w->news->delta, w->parts, prefix, &plain, err);
	/* its tar and its blob, then the same again in the engine, which unpacks it and keeps it */
	if (r == 0)
		r = check_room(w->pull, w->pull->shelf, 2 * plain, "the update", err);
	if (r == 0 && w->pull->engine->ops->data)
		r = check_room(w->pull, w->pull->engine->ops->data(w->pull->engine), 2 * plain, "the update", err);
	return r;
}

static int prove_inline(struct delta_way *w, struct vn_err *err)
{
	struct vn_ocidelta *d = &w->news->delta;
	VN_AUTO_IN *in = NULL;
	if (!d->nblobs)
		return 0;
	int r = vn_source_blob(d->at, &d->blobs[0].desc, NULL, "delta", &in, err);
	return r < 0 ? r : look(w, &d->blobs[0].desc, in, err);
}

int vn_news_fits(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	VN_CLEANUP(delta_way_release) struct delta_way w = { .engine = { .tmp = VN_TMP } };
	int r = open_way(p, n, &w, err);
	return r < 0 ? r : prove_inline(&w, err);
}

static int apply_delta(struct vn_pull *p, struct vn_news *n, size_t *ret_present, struct vn_err *err)
{
	VN_CLEANUP(delta_way_release) struct delta_way w = { .engine = { .tmp = VN_TMP } };
	VN_AUTO_SINK *sink = NULL;
	const struct vn_delta_apply_options limits = { .memory = p->config.memory };
	struct vn_ocidelta_applied applied;
	memset(&applied, 0, sizeof(applied));
	int r = open_way(p, n, &w, err);
	if (r < 0)
		return r;
	n->staging.look = look;
	n->staging.user = &w;
	r = n->need && n->staged_beside ? 0 : prove_inline(&w, err);
	for (size_t i = 0; r == 0 && n->staged_beside && n->need && i < n->delta.nblobs; i++)
		if (!vn_ocidelta_is_inline(&n->delta.blobs[i].desc))
			r = vn_staging_fetch(n->staged_beside, &n->delta.blobs[i].desc, err);
	n->staging.look = NULL;
	if (r == 0)
		r = vn_shelf_sink_open(p->shelf, p->staging, p->engine, ret_present, vn_pull_events(p), &sink, err);
	if (r == 0)
		r = vn_ocidelta_apply_parts(&n->delta, w.parts, &limits, sink, &applied, err);
	if (r == 0 && !applied.exact)
		r = vn_fail(err, VN_EDIGEST, "the delta makes another image than %s", n->target.digest.text);
	vn_desc_release(&applied.root);
	return r;
}

/* ---- in full */
static int copy_image(struct vn_pull *p, struct vn_news *n, size_t *ret_present, struct vn_err *err)
{
	VN_AUTO_SINK *sink = NULL;
	VN_AUTO(vn_image) image = { 0 };
	char what[600];
	int r = check_room(p, p->shelf, n->need, "the update", err);
	if (r == 0 && p->engine->ops->data)
		r = check_room(p, p->engine->ops->data(p->engine), 3 * n->need, "the update", err);
	if (r == 0)
		r = vn_image_open_child(n->staged, &n->target, NULL, &image, err);
	if (r == 0)
		r = vn_shelf_sink_open(p->shelf, p->staging, p->engine, ret_present, vn_pull_events(p), &sink, err);
	if (r == 0)
		r = vn_sink_expect(sink, &image.manifest, &image.config, err);
	for (size_t i = 0; r == 0 && i < image.nlayers; i++) {
		vn_image_layer_name(&image, i, what);
		r = vn_copy_blob(n->staged, &image.layers[i].desc, NULL, sink, what, NULL, err);
	}
	if (r == 0)
		r = vn_copy_blob(n->staged, &image.manifest.config, NULL, sink, "configuration", NULL, err);
	if (r < 0)
		return r;
	return sink->ops->put_manifest(sink, &image.desc, vn_buf_text(&image.manifest_bytes), image.manifest_bytes.len, true, err);
}

/* ---- the release that it became */
static int describe(struct vn_pull *p, struct vn_release *r, size_t present, struct vn_err *err)
{
	VN_AUTO_SOURCE *shelf = NULL;
	VN_AUTO(vn_image) image = { 0 };
	int rc = vn_pull_open_release(p, r, &shelf, &image, err);
	if (rc < 0)
		return rc;
	rc = vn_pull_runs_here(p, &image, err);
	if (rc < 0)
		return rc;
	const char *version = vn_manifest_annotation(&image.manifest, "org.opencontainers.image.version");
	r->image = image.manifest.config.digest;
	r->layers = image.nlayers;
	/* what the engine had is its own; of a first install it is the base that it then has */
	r->base = present ? present : vn_pull_base_layers(&image);
	snprintf(r->label, sizeof(r->label), "%.127s", version && *version ? version : p->ref.tag ? p->ref.tag : "");
	return 0;
}

int vn_news_fetch(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	struct vn_update *u = &p->journal.update;
	size_t present = 0;
	int r = n->has_delta ? apply_delta(p, n, &present, err) : copy_image(p, n, &present, err);
	if (r < 0)
		return r;
	snprintf(u->release.how, sizeof(u->release.how), "%s", n->import ? "import" : n->has_delta ? "delta" : "full");
	r = describe(p, &u->release, present, err);
	if (r < 0)
		return r;
	u->present = present;
	u->step = VN_STEP_VERIFIED;
	r = vn_pull_save(p, err);
	if (r == 0)
		vn_pull_tell(p, "verified", &u->release, u->release.how, 0);
	return r;
}
