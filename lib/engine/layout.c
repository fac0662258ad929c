/* The engine "oci": a layout folder (image-spec image-layout.md). What it holds under a name is an entry of index.json whose
 * ref.name is the tag of the name: "edge.example.io/app:prod" is "prod". Blobs come there before load() is called, and whoever
 * collects blobs that no entry names removes those of what was forgotten. */
#include "store/layout.h"
#include "engine/kinds.h"
#include "engine/names.h"
#include "store/store.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct layout {
	struct vn_engine e;
	char *dir;
};

static const char *dir_of(struct vn_engine *e)
{
	return ((struct layout *)e)->dir;
}

static int done(struct vn_engine *e, int rc, struct vn_err *err)
{
	return rc < 0 ? vn_wrap(err, "oci %s", dir_of(e)) : 0;
}

/* ---- names */
static int tag_of(const char *name, char **ret_tag, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	int rc = vn_ref_parse(name, &ref, err);
	if (rc < 0)
		return rc;
	if (ref.transport != VN_REF_REGISTRY || !ref.tag)
		return vn_fail(err, VN_EUSAGE, "\"%.200s\" is not a name with a tag", name);
	*ret_tag = vn_steal(ref.tag);
	return 0;
}

/* "oci:DIR", ":" and `entry` when not NULL. */
static int ref_of(struct vn_engine *e, const char *entry, struct vn_ref *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *text = NULL;
	int rc = vn_asprintf(&text, err, "oci:%s%s%s", dir_of(e), entry ? ":" : "", entry ? entry : "");
	return rc < 0 ? rc : vn_ref_parse(text, ret, err);
}

/* ---- looking */
static int open_image(struct vn_engine *e, const struct vn_desc *desc, struct vn_source **ret_source, struct vn_image *ret,
		      struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	int rc = ref_of(e, NULL, &ref, err);
	if (rc == 0)
		rc = vn_layout_blobs_open(&ref, e->events, ret_source, err);
	return rc < 0 ? rc : vn_image_open_child(*ret_source, desc, NULL, ret, err);
}

static int hold(const struct vn_image *image, struct vn_held *ret, struct vn_err *err)
{
	size_t n = image->config.ndiff_ids;
	struct vn_held held = { image->manifest.config.digest, image->root.digest, calloc(n + 1, sizeof(*held.diff_ids)), n };
	if (!held.diff_ids)
		return vn_nomem(err);
	for (size_t i = 0; i < n; i++)
		held.diff_ids[i] = image->config.diff_ids[i];
	*ret = held;
	return 0;
}

static int look_entry(struct vn_engine *e, const struct vn_desc *desc, struct vn_held *ret, struct vn_err *err)
{
	VN_AUTO_SOURCE *source = NULL;
	VN_AUTO(vn_image) image = { 0 };
	int rc = open_image(e, desc, &source, &image, err);
	return rc < 0 ? rc : hold(&image, ret, err);
}

static int no_image(struct vn_engine *e, const char *name, struct vn_err *err)
{
	return vn_fail(err, VN_ENOTFOUND, "%s holds no image %.200s", dir_of(e), name);
}

/* index.json, empty where there is none. */
static int read_index(struct vn_engine *e, struct vn_buf *text, struct vn_index *ret, struct vn_err *err)
{
	int rc = vn_layout_index(dir_of(e), text, err);
	if (rc < 0)
		return rc == -VN_ENOTFOUND ? 0 : rc;
	return vn_index_parse(vn_buf_text(text), text->len, ret, err);
}

/* By the digest of a manifest or a configuration. Entries that are no images are passed over. */
static int look_digest(struct vn_engine *e, const char *name, struct vn_held *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_ARCHIVE_JSON);
	VN_AUTO(vn_index) x = { 0 };
	int rc = read_index(e, &text, &x, err);
	for (size_t i = 0; rc == 0 && i < x.nmanifests; i++) {
		struct vn_err ignored = { 0 };
		VN_AUTO(vn_held) held = { 0 };
		if (look_entry(e, &x.manifests[i], &held, &ignored) < 0)
			continue;
		if (strcmp(name, held.image.text) && strcmp(name, held.manifest.text))
			continue;
		*ret = held;
		held = (struct vn_held){ 0 };
		return 0;
	}
	return rc < 0 ? rc : no_image(e, name, err);
}

/* The entry of a name. */
static int entry_of(struct vn_engine *e, const char *name, struct vn_desc *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_ARCHIVE_JSON);
	VN_AUTO_FREE char *tag = NULL;
	int rc = tag_of(name, &tag, err);
	if (rc == 0)
		rc = vn_layout_index(dir_of(e), &text, err);
	if (rc == 0)
		rc = vn_layout_entry(&text, tag, dir_of(e), ret, err);
	return rc == -VN_ENOTFOUND ? no_image(e, name, err) : rc;
}

static int layout_look(struct vn_engine *e, const char *name, struct vn_held *ret, struct vn_err *err)
{
	VN_AUTO(vn_desc) entry = { 0 };
	const char *at = strchr(name, '@'), *digest = at ? at + 1 : name;
	int rc = vn_digest_valid(digest) ? look_digest(e, digest, ret, err) : entry_of(e, name, &entry, err);
	if (rc == 0 && entry.media_type)
		rc = look_entry(e, &entry, ret, err);
	return done(e, rc, err);
}

/* ---- blobs */
static int blob_path(struct vn_engine *e, const struct vn_digest *digest, char **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *prefix = NULL;
	int rc = vn_asprintf(&prefix, err, "%s/", dir_of(e));
	return rc < 0 ? rc : vn_layout_blob_path(prefix, digest, ret, err);
}

static int has_blob(struct vn_engine *e, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	struct stat st;
	int rc = blob_path(e, &desc->digest, &path, err);
	if (rc == 0)
		*ret = stat(path, &st) == 0 && S_ISREG(st.st_mode) && (desc->size < 0 || st.st_size == desc->size);
	return rc;
}

/* A blob in the folder: its size, and with `deep` its bytes. */
static int check_blob(struct vn_engine *e, const struct vn_desc *desc, bool deep, struct vn_err *err)
{
	bool there = false;
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO_IN *in = NULL;
	int rc = has_blob(e, desc, &there, err);
	if (rc == 0 && !there)
		return vn_fail(err, VN_EDIGEST, "the blob %s is missing, or its size is not %lld", desc->digest.text,
			       (long long)desc->size);
	if (rc < 0 || !deep)
		return rc;
	rc = blob_path(e, &desc->digest, &path, err);
	if (rc == 0)
		rc = vn_in_file(path, &in, err);
	if (rc == 0)
		rc = vn_in_verify(vn_steal(in), &desc->digest, desc->size, path, &in, err);
	return rc < 0 ? rc : vn_in_drain(in, err);
}

static int check_blobs(struct vn_engine *e, const struct vn_image *image, bool deep, struct vn_err *err)
{
	int rc = check_blob(e, &image->desc, deep, err);
	if (rc == 0)
		rc = check_blob(e, &image->manifest.config, deep, err);
	for (size_t i = 0; rc == 0 && i < image->nlayers; i++)
		rc = check_blob(e, &image->layers[i].desc, deep, err);
	return rc;
}

static int layout_layers(struct vn_engine *e, const struct vn_manifest *m, const struct vn_config *c, size_t *ret,
			 struct vn_err *err)
{
	size_t n = 0;
	bool there = true;
	(void)c;
	for (; n < m->nlayers; n++) {
		int rc = has_blob(e, &m->layers[n], &there, err);
		if (rc < 0)
			return done(e, rc, err);
		if (!there)
			break;
	}
	*ret = n;
	return 0;
}

/* ---- what is held */
static int put_entry(struct vn_engine *e, const struct vn_desc *desc, const char *tag, struct vn_err *err)
{
	VN_AUTO_CLOSE int lock = -1;
	VN_AUTO_FREE char *file = NULL;
	VN_AUTO(vn_buf) version = VN_BUF(4096);
	int rc = vn_asprintf(&file, err, "%s/" VN_LAYOUT_FILE, dir_of(e));
	if (rc == 0)
		rc = vn_fs_read(file, &version, err);
	if (rc == 0)
		rc = vn_layout_check_version(&version, dir_of(e), err);
	if (rc == 0)
		rc = vn_layout_lock(dir_of(e), LOCK_EX, &lock, err);
	return rc < 0 ? rc : vn_layout_put_entry(dir_of(e), desc, tag, NULL, err);
}

static int layout_load(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	VN_AUTO_FREE char *tag = NULL;
	int rc = tag_of(in->name, &tag, err);
	if (rc == 0)
		rc = check_blobs(e, in->image, false, err);
	if (rc < 0 && err->code == VN_EDIGEST)
		err->code = VN_EIO;
	if (rc == 0)
		rc = put_entry(e, &in->image->desc, tag, err);
	return done(e, rc < 0 ? -(int)err->code : 0, err);
}

static int prove(struct vn_engine *e, const struct vn_incoming *in, bool deep, struct vn_err *err)
{
	VN_AUTO(vn_desc) entry = { 0 };
	int rc = entry_of(e, in->name, &entry, err);
	if (rc < 0)
		return rc;
	if (!vn_digest_equal(&entry.digest, &in->image->desc.digest))
		return vn_fail(err, VN_EDIGEST, "%s is the image %s, expected %s", in->name, entry.digest.text,
			       in->image->desc.digest.text);
	return check_blobs(e, in->image, deep, err);
}

static int layout_prove(struct vn_engine *e, const struct vn_incoming *in, bool deep, struct vn_err *err)
{
	return done(e, prove(e, in, deep, err), err);
}

static int layout_sync(struct vn_engine *e, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = open(dir_of(e), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot sync %s", dir_of(e));
	return 0;
}

static int name_as(struct vn_engine *e, const char *to, const char *name, struct vn_err *err)
{
	VN_AUTO(vn_desc) entry = { 0 };
	VN_AUTO_FREE char *tag = NULL;
	int rc = tag_of(name, &tag, err);
	if (rc == 0)
		rc = entry_of(e, to, &entry, err);
	return rc < 0 ? rc : put_entry(e, &entry, tag, err);
}

static int layout_name_as(struct vn_engine *e, const char *to, const char *name, struct vn_err *err)
{
	return done(e, name_as(e, to, name, err), err);
}

static int drop_entry(struct vn_engine *e, const char *name, int *ret_lock, struct vn_err *err)
{
	VN_AUTO_FREE char *tag = NULL;
	int rc = tag_of(name, &tag, err);
	if (rc == 0)
		rc = vn_layout_lock(dir_of(e), LOCK_EX, ret_lock, err);
	return rc < 0 ? rc : vn_layout_drop_entry(dir_of(e), tag, err);
}

static int layout_forget(struct vn_engine *e, const char *name, struct vn_err *err)
{
	VN_AUTO_CLOSE int lock = -1;
	int rc = drop_entry(e, name, &lock, err);
	return rc == -VN_ENOTFOUND ? 0 : done(e, rc, err);
}

/* ---- discarding */
static void count_layer(const struct vn_image *in, size_t present, const struct vn_image *other, bool *keep)
{
	for (size_t i = present; i < in->nlayers; i++)
		for (size_t j = 0; j < other->nlayers; j++)
			keep[i] |= vn_digest_equal(&in->layers[i].desc.digest, &other->layers[j].desc.digest);
	for (size_t i = present; i < in->nlayers; i++)
		for (size_t j = 0; j < present; j++)
			keep[i] |= vn_digest_equal(&in->layers[i].desc.digest, &in->layers[j].desc.digest);
}

/* Blobs that the image of another entry names, too, stay. */
static int remove_layers(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_ARCHIVE_JSON);
	VN_AUTO(vn_index) x = { 0 };
	VN_AUTO_FREE bool *keep = calloc(in->image->nlayers + 1, sizeof(*keep));
	if (!keep)
		return vn_nomem(err);
	int rc = read_index(e, &text, &x, err);
	for (size_t i = 0; rc == 0 && i < x.nmanifests; i++) {
		struct vn_err ignored = { 0 };
		VN_AUTO_SOURCE *source = NULL;
		VN_AUTO(vn_image) other = { 0 };
		if (open_image(e, &x.manifests[i], &source, &other, &ignored) == 0)
			count_layer(in->image, in->present, &other, keep);
	}
	for (size_t i = in->present; rc == 0 && i < in->image->nlayers; i++) {
		VN_AUTO_FREE char *path = NULL;
		rc = keep[i] ? 0 : blob_path(e, &in->image->layers[i].desc.digest, &path, err);
		if (rc == 0 && path && unlink(path) < 0 && errno != ENOENT)
			rc = vn_fail_sys(err, VN_EIO, "cannot remove %s", path);
	}
	return rc;
}

static int layout_discard(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	VN_AUTO_CLOSE int lock = -1;
	int rc = drop_entry(e, in->name, &lock, err);
	if (rc == 0)
		rc = remove_layers(e, in, err);
	return rc == -VN_ENOTFOUND ? 0 : done(e, rc, err);
}

/* ---- the engine */
static const char *layout_data(struct vn_engine *e)
{
	struct vn_err ignored = { 0 };
	vn_fs_mkdirs(dir_of(e), 0755, &ignored);
	return dir_of(e);
}

static int layout_handle(struct vn_engine *e, const char *name, char **ret, struct vn_err *err)
{
	VN_AUTO(vn_desc) entry = { 0 };
	VN_AUTO_FREE char *tag = NULL;
	int rc = entry_of(e, name, &entry, err);
	if (rc == 0)
		rc = tag_of(name, &tag, err);
	return rc < 0 ? done(e, rc, err) : vn_asprintf(ret, err, "%s:%s", dir_of(e), tag);
}

static void layout_close(struct vn_engine *e)
{
	struct layout *l = (struct layout *)e;
	free(l->dir);
	free(l);
}

static const struct vn_engine_ops layout_ops = {
	.name = "oci",
	.look = layout_look,
	.layers = layout_layers,
	.load = layout_load,
	.prove = layout_prove,
	.sync = layout_sync,
	.name_as = layout_name_as,
	.forget = layout_forget,
	.discard = layout_discard,
	.data = layout_data,
	.handle = layout_handle,
	.close = layout_close,
};

int vn_engine_oci_open(const char *endpoint, const struct vn_events *events, struct vn_engine **ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	if (!endpoint || !*endpoint || strchr(endpoint, ':')) {
		vn_fail(err, VN_EUSAGE, "the engine oci needs a folder%s%.200s",
			endpoint && *endpoint ? " without ':' in its name: " : "", endpoint ? endpoint : "");
		return vn_hint(err, "set \"endpoint\" to the layout folder");
	}
	struct layout *l = calloc(1, sizeof(*l));
	if (!l)
		return vn_nomem(err);
	l->e = (struct vn_engine){ &layout_ops, events };
	int rc = vn_strdup(endpoint, &l->dir, err);
	if (rc == 0)
		rc = ref_of(&l->e, NULL, &ref, err);
	if (rc < 0) {
		layout_close(&l->e);
		return rc;
	}
	*ret = &l->e;
	return 0;
}
