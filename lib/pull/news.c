#include "pull/news.h"
#include "pull/shelf.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>

void vn_news_release(struct vn_news *n)
{
	vn_ocidelta_release(&n->delta);
	vn_source_close(n->staged_beside);
	vn_source_close(n->beside);
	vn_source_close(n->staged);
	vn_source_close(n->channel);
	vn_desc_release(&n->target);
	vn_desc_release(&n->root);
	*n = (struct vn_news){ 0 };
}

/* ---- ask */
/* A file that holds nothing but a delta: its target is the news. */
static int ask_delta(struct vn_news *n, struct vn_err *err)
{
	int r = vn_ocidelta_open(n->channel, NULL, &n->delta, err);
	if (r < 0)
		return r;
	n->has_delta = n->alone = true;
	vn_desc_release(&n->root);
	return vn_desc_init(&n->root, VN_MT_OCI_MANIFEST, &n->delta.target, -1, err);
}

static bool is_delta(const struct vn_buf *manifest)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_JSON *json = NULL;
	const char *type = NULL;
	if (vn_json_parse(vn_buf_text(manifest), manifest->len, "manifest", &json, &ignored) < 0)
		return false;
	struct vn_jv root = vn_jv_root(json, "manifest");
	return vn_jv_is_object(&root) && vn_jv_opt_text(&root, "artifactType", &type, &ignored) == 0 && type &&
	       !strcmp(type, VN_OCIDELTA_ARTIFACT);
}

int vn_news_ask(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	int r = n->import ? vn_source_manifest(n->channel, NULL, &bytes, &n->root, err) : vn_registry_head(n->channel, &n->root, err);
	if (r == 0 && n->import && is_delta(&bytes))
		r = ask_delta(n, err);
	if (r < 0)
		return r;
	n->staging = (struct vn_staging){ .dir = p->dry_run ? p->scratch : p->staging };
	return vn_staging_source_open(n->channel, &n->staging, &n->staged, err);
}

/* ---- prove */
static int check_counter(struct vn_pull *p, const struct vn_signed *s, struct vn_err *err)
{
	/* without keys a counter is nobody's word */
	if (!p->keys || !p->journal.counter || p->allow_downgrade || (s->has_release && s->release >= p->journal.counter))
		return 0;
	if (!s->has_release)
		vn_fail(err, VN_EREFUSED, "the new release has no signed release counter, and this device has run release %llu",
			(unsigned long long)p->journal.counter);
	else
		vn_fail(err, VN_EREFUSED, "%s is release %llu, and this device has run release %llu", p->public_name,
			(unsigned long long)s->release, (unsigned long long)p->journal.counter);
	return vn_hint(err, "An older release comes back with `veneer-pull rollback`, or once with --allow-downgrade.");
}

static int check_signature(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	char until[VN_TIME_TEXT];
	int r = vn_signed_by(n->channel, &n->root.digest, p->keys, vn_pull_time(p), p->journal.counter, &n->proof, err);
	if (r < 0)
		return r;
	if (n->proof.has_expires && n->proof.expires < vn_pull_time(p))
		return vn_fail(err, VN_EREFUSED, "the signature of %s was good until %s", p->public_name,
			       vn_time_text(n->proof.expires, until));
	return 0;
}

int vn_pull_platform(const struct vn_pull *p, struct vn_platform *ret, struct vn_err *err)
{
	if (p->config.platform)
		return vn_platform_parse(p->config.platform, ret, err);
	vn_platform_local(ret);
	return 0;
}

int vn_pull_runs_here(const struct vn_pull *p, const struct vn_image *image, struct vn_err *err)
{
	struct vn_platform want;
	const struct vn_platform *have = &image->config.platform;
	char a[VN_PLATFORM_TEXT], b[VN_PLATFORM_TEXT];
	int r = vn_pull_platform(p, &want, err);
	if (r < 0 || !*have->os || !*have->architecture || vn_platform_score(&want, have))
		return r;
	return vn_fail(err, VN_EREFUSED, "%s is an image for %s, and this device is %s", p->public_name, vn_platform_text(have, a),
		       vn_platform_text(&want, b));
}

/* The image for this device: the root itself, or an index's entry. */
static int choose(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_index) x = { 0 };
	const struct vn_desc *entry = NULL;
	struct vn_platform want;
	if (vn_mediatype(n->root.media_type)->kind != VN_KIND_INDEX)
		return vn_desc_copy(&n->root, &n->target, err);
	int r = vn_pull_platform(p, &want, err);
	if (r == 0)
		r = vn_source_manifest(n->staged, &n->root, &bytes, &desc, err);
	if (r == 0)
		r = vn_index_parse(vn_buf_text(&bytes), bytes.len, &x, err);
	if (r == 0)
		r = vn_index_select(&x, &want, &entry, err);
	return r < 0 ? vn_wrap(err, "%s", p->public_name) : vn_desc_copy(entry, &n->target, err);
}

int vn_news_prove(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	int r = p->keys ? check_signature(p, n, err) : 0;
	if (r == 0)
		r = check_counter(p, &n->proof, err);
	return r < 0 ? r : choose(p, n, err);
}

/* ---- find */
static uint64_t outside(const struct vn_ocidelta *d)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < d->nblobs; i++)
		if (!vn_ocidelta_is_inline(&d->blobs[i].desc) && d->blobs[i].desc.size > 0)
			sum += (uint64_t)d->blobs[i].desc.size;
	return sum;
}

/* The delta from the release that runs, under the tag that both digests give. Absent: *ret_found false. */
static int find_delta(struct vn_pull *p, struct vn_news *n, bool *ret_found, struct vn_err *err)
{
	const struct vn_release *active = vn_journal_active(&p->journal);
	char tag[VN_OCIDELTA_TAG];
	struct vn_err why = { 0 };
	*ret_found = n->has_delta;
	if (n->has_delta || !active || vn_digest_none(&active->manifest))
		return 0;
	int r = vn_ocidelta_tag(&active->manifest, &n->target.digest, tag, err);
	if (r == 0 && vn_source_beside(n->channel, tag, &n->beside, &why) == 0)
		r = vn_staging_source_open(n->beside, &n->staging, &n->staged_beside, err);
	if (r < 0 || !n->staged_beside)
		return r;
	r = vn_ocidelta_open(n->staged_beside, NULL, &n->delta, &why);
	if (r == -VN_ENETWORK || r == -VN_EAUTH || r == -VN_ENOMEM || r == -VN_EIO) {
		*err = why;
		return r;
	}
	if (r < 0) {
		vn_debug(vn_pull_events(p), "no delta %s: %s", tag, why.text);
		return 0;
	}
	n->has_delta = *ret_found = vn_digest_equal(&n->delta.target, &n->target.digest) &&
				    vn_digest_equal(&n->delta.source, &active->manifest);
	return 0;
}

/* Manifest and configuration come now; of the layers, those that the engine lacks will. */
static int plan_full(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	VN_AUTO(vn_image) image = { 0 };
	size_t present = 0;
	int r = vn_image_open_child(n->staged, &n->target, NULL, &image, err);
	if (r == 0)
		r = vn_pull_runs_here(p, &image, err);
	if (r == 0)
		r = p->engine->ops->layers(p->engine, &image.manifest, &image.config, &present, err);
	for (size_t i = present; r == 0 && i < image.nlayers; i++) {
		VN_AUTO_FREE char *path = NULL;
		r = vn_shelf_path(p->shelf, &image.layers[i].desc.digest, &path, err);
		if (r == 0 && !vn_fs_exists(path))
			n->need += image.layers[i].desc.size > 0 ? (uint64_t)image.layers[i].desc.size : 0;
	}
	return r;
}

int vn_news_find(struct vn_pull *p, struct vn_news *n, struct vn_err *err)
{
	bool found = false;
	const struct vn_update *u = &p->journal.update;
	bool failed = !n->alone && u->delta_failed && vn_digest_equal(&u->release.manifest, &n->target.digest);
	n->need = 0;
	int r = failed ? 0 : find_delta(p, n, &found, err);
	if (r < 0)
		return r;
	if (found) {
		n->need = outside(&n->delta);
		return 0;
	}
	n->has_delta = false;
	return plan_full(p, n, err);
}
