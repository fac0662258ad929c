#include "pull/shelf.h"
#include "pull/staging.h"
#include "store/layout.h"
#include "stream/out.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EMPTY_INDEX "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_INDEX "\",\"manifests\":[]}"

static int write_once(const char *dir, const char *name, const char *text, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int r = vn_asprintf(&path, err, "%s/%s", dir, name);
	if (r < 0 || vn_fs_exists(path))
		return r;
	return vn_fs_replace(path, text, strlen(text), 0644, err);
}

int vn_shelf_make(const char *dir, struct vn_err *err)
{
	VN_AUTO_FREE char *blobs = NULL;
	int r = vn_asprintf(&blobs, err, "%s/blobs/sha256", dir);
	if (r == 0)
		r = vn_fs_mkdirs(blobs, 0755, err);
	if (r == 0)
		r = write_once(dir, VN_LAYOUT_FILE, VN_LAYOUT_TEXT, err);
	if (r == 0)
		r = write_once(dir, "index.json", EMPTY_INDEX, err);
	if (r == 0)
		vn_layout_tidy(dir);
	return r;
}

int vn_shelf_path(const char *dir, const struct vn_digest *digest, char **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *prefix = NULL;
	int r = vn_asprintf(&prefix, err, "%s/", dir);
	return r < 0 ? r : vn_layout_blob_path(prefix, digest, ret, err);
}

int vn_shelf_open(const char *dir, const struct vn_events *events, struct vn_source **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *text = NULL;
	VN_AUTO(vn_ref) ref = { 0 };
	int r = vn_asprintf(&text, err, "oci:%s", dir);
	if (r == 0)
		r = vn_ref_parse(text, &ref, err);
	return r < 0 ? r : vn_layout_blobs_open(&ref, events, ret, err);
}

int vn_shelf_image(struct vn_source *shelf, const struct vn_digest *manifest, struct vn_image *ret, struct vn_err *err)
{
	const struct vn_desc child = { .digest = *manifest, .size = -1 };
	return vn_image_open_child(shelf, &child, NULL, ret, err);
}

/* ---- writing */
struct shelf_sink {
	struct vn_sink k;
	const char *dir, *staging;
	struct vn_engine *engine;
	size_t *ret_present;
	struct vn_digest *base;              /* layers that are left out */
	size_t nbase;
};

static int shelf_expect(struct vn_sink *k, const struct vn_manifest *m, const struct vn_config *c, struct vn_err *err)
{
	struct shelf_sink *s = (struct shelf_sink *)k;
	size_t present = 0, n = 0;
	int r = s->engine->ops->layers(s->engine, m, c, &present, err);
	if (r < 0)
		return r;
	free(vn_steal(s->base));
	s->nbase = 0;
	s->base = calloc(m->nlayers + 1, sizeof(*s->base));
	if (!s->base)
		return vn_nomem(err);
	present = present < m->nlayers ? present : m->nlayers;
	/* the shelf is the engine: what it has is looked at blob by blob */
	for (size_t i = 0; s->engine->ops->files && i < present; i++) {
		/* a blob that a layer further up stands for as well is needed */
		bool again = false;
		for (size_t j = present; j < m->nlayers; j++)
			again |= vn_digest_equal(&m->layers[i].digest, &m->layers[j].digest);
		if (!again)
			s->base[n++] = m->layers[i].digest;
	}
	s->nbase = n;
	*s->ret_present = present;
	return 0;
}

/* A blob that is to be part of another image is whole; one that is not goes. */
static bool is_whole(const char *path, const struct vn_desc *desc)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_IN *in = NULL;
	int r = vn_in_file(path, &in, &ignored);
	if (r == 0)
		r = vn_in_verify(vn_steal(in), &desc->digest, desc->size, "it", &in, &ignored);
	if (r == 0)
		r = vn_in_drain(in, &ignored);
	if (r == -VN_EDIGEST)
		unlink(path);
	return r == 0;
}

static int shelf_has(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	const struct shelf_sink *s = (const struct shelf_sink *)k;
	VN_AUTO_FREE char *path = NULL;
	struct stat st;
	bool there = false;
	for (size_t i = 0; i < s->nbase && !there; i++)
		there = vn_digest_equal(&s->base[i], &desc->digest);
	int r = vn_shelf_path(s->dir, &desc->digest, &path, err);
	if (r < 0)
		return r;
	*ret = there || (stat(path, &st) == 0 && S_ISREG(st.st_mode) && is_whole(path, desc));
	return 0;
}

/* A folder that others use as well: what this update brings there is written down until the update is done. Not synced: after a power
 * cut a blob too many may stay. */
static void note_brought(const struct shelf_sink *s, const struct vn_desc *desc)
{
	VN_AUTO_FREE char *path = NULL;
	struct vn_err ignored = { 0 };
	if (s->engine->ops->files || vn_staging_path(s->staging, &desc->digest, VN_SHELF_BROUGHT, &path, &ignored) < 0)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	vn_close_p(&fd);
}

/* What was fetched is verified and on the disk: its name is all that changes. */
static bool move_staged(const struct shelf_sink *s, const struct vn_desc *desc, const char *path)
{
	VN_AUTO_FREE char *from = NULL;
	struct vn_err ignored = { 0 };
	if (vn_staging_path(s->staging, &desc->digest, ".blob", &from, &ignored) < 0 || chmod(from, 0644) < 0 || rename(from, path) < 0)
		return false;
	return vn_fs_sync_parent(path, &ignored) == 0;
}

static int write_blob(const char *dir, const char *path, const struct vn_desc *desc, struct vn_in *bytes, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *out = NULL;
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	int r = vn_in_verify(bytes, &desc->digest, desc->size, desc->digest.text, &in, err);
	if (r == 0)
		r = vn_layout_tmp_open(dir, path, &tmp, err);
	if (r == 0)
		r = vn_out_fd(tmp.fd, path, &out, err);
	if (r == 0)
		r = vn_copy(in, out, NULL, err);
	return r < 0 ? r : vn_tmp_publish(&tmp, path, 0644, err);
}

static int shelf_put(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err)
{
	const struct shelf_sink *s = (const struct shelf_sink *)k;
	VN_AUTO_FREE char *path = NULL;
	struct vn_in *in = NULL;
	int r = vn_shelf_path(s->dir, &desc->digest, &path, err);
	/* opening is what fetches it */
	if (r == 0)
		r = body->open(body, &in, err);
	if (r < 0)
		return r;
	note_brought(s, desc);
	if (move_staged(s, desc, path)) {
		vn_in_close(in);
		return 0;
	}
	return write_blob(s->dir, path, desc, in, err);
}

static int shelf_put_manifest(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged,
			      struct vn_err *err)
{
	const struct shelf_sink *s = (const struct shelf_sink *)k;
	VN_AUTO_FREE char *path = NULL;
	struct vn_in *in = NULL;
	(void)tagged;
	int r = vn_shelf_path(s->dir, &desc->digest, &path, err);
	if (r == 0)
		r = vn_in_memory(bytes, len, &in, err);
	if (r < 0)
		return r;
	if (!vn_fs_exists(path))
		note_brought(s, desc);
	return write_blob(s->dir, path, desc, in, err);
}

static int shelf_commit(struct vn_sink *k, struct vn_err *err)
{
	(void)k;
	(void)err;
	return 0;
}

static void shelf_close(struct vn_sink *k)
{
	struct shelf_sink *s = (struct shelf_sink *)k;
	vn_ref_release(&k->ref);
	free(s->base);
	free(s);
}

static const struct vn_sink_ops shelf_ops = {
	.has_blob = shelf_has,
	.put_blob = shelf_put,
	.put_manifest = shelf_put_manifest,
	.commit = shelf_commit,
	.close = shelf_close,
	.expect = shelf_expect,
};

int vn_shelf_sink_open(const char *dir, const char *staging, struct vn_engine *engine, size_t *ret_present,
		       const struct vn_events *events, struct vn_sink **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *text = NULL;
	int r = vn_asprintf(&text, err, "oci:%s", dir);
	if (r < 0)
		return r;
	struct shelf_sink *s = calloc(1, sizeof(*s));
	if (!s)
		return vn_nomem(err);
	s->k.ops = &shelf_ops;
	s->k.events = events;
	s->dir = dir;
	s->staging = staging;
	s->engine = engine;
	s->ret_present = ret_present;
	r = vn_ref_parse(text, &s->k.ref, err);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = &s->k;
	return 0;
}

int vn_shelf_put(const char *dir, const void *bytes, size_t len, struct vn_digest *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	struct vn_digest digest;
	struct vn_in *in = NULL;
	int r = vn_digest_of(bytes, len, &digest, err);
	if (r == 0)
		r = vn_shelf_path(dir, &digest, &path, err);
	if (r == 0)
		r = vn_in_memory(bytes, len, &in, err);
	if (r < 0)
		return r;
	const struct vn_desc desc = { .digest = digest, .size = (int64_t)len };
	r = write_blob(dir, path, &desc, in, err);
	if (r == 0)
		*ret = digest;
	return r;
}

int vn_shelf_list(const char *dir, const char *prefix, const struct vn_desc *images, const char *const *tags, size_t n,
		  struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO(vn_buf) old = VN_BUF(VN_MAX_ARCHIVE_JSON), now = VN_BUF(VN_MAX_ARCHIVE_JSON);
	VN_AUTO(vn_index) x = { 0 };
	int r = vn_asprintf(&path, err, "%s/index.json", dir);
	if (r == 0)
		r = vn_fs_read(path, &old, err);
	if (r == 0)
		r = vn_index_parse(vn_buf_text(&old), old.len, &x, err);
	if (r < 0)
		return r;
	VN_AUTO_JSON *doc = vn_json_copy(x.json);
	vn_json *entries = vn_json_array();
	for (size_t i = 0; i < x.nmanifests; i++) {
		const char *tag = vn_desc_annotation(&x.manifests[i], VN_REF_NAME);
		if (!tag || strncmp(tag, prefix, strlen(prefix)))
			vn_json_add(entries, vn_json_hold(x.manifests[i].json));
	}
	vn_json_set(doc, "manifests", entries);
	r = vn_json_text(doc, false, &now, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		VN_AUTO(vn_buf) next = VN_BUF(VN_MAX_ARCHIVE_JSON);
		r = vn_layout_with_entry(&now, dir, &images[i], tags[i], NULL, &next, err);
		vn_buf_clear(&now);
		if (r == 0)
			r = vn_buf_add(&now, vn_buf_text(&next), next.len, err);
	}
	if (r < 0 || (now.len == old.len && !memcmp(now.data, old.data, now.len)))
		return r;
	return vn_fs_replace(path, vn_buf_text(&now), now.len, 0644, err);
}
