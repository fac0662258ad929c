/* DIR/blobs/ALG/HEX appear by rename; DIR/index.json changes by rename at commit, under an exclusive flock on DIR. */
#include "store/layout.h"
#include "store/store.h"
#include "stream/out.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct seen {
	struct vn_digest digest;
	bool made;                       /* by this run */
};

struct layout_sink {
	struct vn_sink k;
	bool ready;                      /* the folder stands */
	bool made_dir;                   /* this run created it */
	bool committed;
	struct stat index_before;        /* st_ino 0: there was none */
	struct vn_desc root;
	struct seen *seen;               /* blobs that the image stands on */
	size_t nseen, cap;
};

static const char *dir_of(const struct layout_sink *l)
{
	return l->k.ref.path;
}

/* ---- the folder */
static int lock_dir(const struct layout_sink *l, int how, int *ret_fd, struct vn_err *err)
{
	return vn_layout_lock(dir_of(l), how, ret_fd, err);
}

/* But for what a run that was killed right at the beginning left. */
static bool is_empty(const char *dir)
{
	bool empty = true;
	DIR *d = opendir(dir);
	for (const struct dirent *e; d && empty && (e = readdir(d));)
		empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strncmp(e->d_name, VN_TMP_PREFIX, strlen(VN_TMP_PREFIX));
	if (d)
		closedir(d);
	return empty;
}

/* Is DIR something that may be written to? *ret_layout: a layout stands there already. */
static int check_place(const char *dir, bool *ret_layout, struct vn_err *err)
{
	VN_AUTO_FREE char *file = NULL;
	VN_AUTO(vn_buf) version = VN_BUF(4096);
	struct stat st;
	*ret_layout = false;
	if (stat(dir, &st) < 0)
		return errno == ENOENT ? 0 : vn_fail_sys(err, VN_EIO, "cannot look at %s", dir);
	if (!S_ISDIR(st.st_mode))
		return vn_fail(err, VN_EIO, "%s is in the way: no folder", dir);
	int rc = vn_asprintf(&file, err, "%s/%s", dir, VN_LAYOUT_FILE);
	if (rc == 0)
		rc = vn_fs_read(file, &version, err);
	/* another run may make the layout between any two looks: what holds something now had its oci-layout before */
	bool empty = rc == -VN_ENOTFOUND && is_empty(dir);
	if (rc == -VN_ENOTFOUND && !empty)
		rc = vn_fs_read(file, &version, err);
	if (rc == 0) {
		*ret_layout = true;
		return vn_layout_check_version(&version, dir, err);
	}
	if (rc != -VN_ENOTFOUND || empty)
		return empty ? 0 : rc;
	vn_fail(err, VN_EREFUSED, "%s is no OCI layout, and it is not empty", dir);
	return vn_hint(err, "name a new folder");
}

static int make_ready(struct layout_sink *l, struct vn_err *err)
{
	bool there = false;
	VN_AUTO_CLOSE int lock = -1;     /* nobody collects the file that is about to become oci-layout */
	VN_AUTO_FREE char *index = NULL, *file = NULL;
	if (l->ready)
		return 0;
	int rc = check_place(dir_of(l), &there, err);
	if (rc < 0)
		return rc;
	l->made_dir = !vn_fs_exists(dir_of(l));
	rc = vn_fs_mkdirs(dir_of(l), 0755, err);
	if (rc == 0)
		rc = vn_asprintf(&index, err, "%s/index.json", dir_of(l));
	if (rc == 0)
		rc = vn_asprintf(&file, err, "%s/%s", dir_of(l), VN_LAYOUT_FILE);
	if (rc < 0)
		return rc;
	if (stat(index, &l->index_before) < 0)
		l->index_before = (struct stat){ 0 };
	if (there) {
		vn_layout_tidy(dir_of(l));
	} else {
		rc = lock_dir(l, LOCK_SH, &lock, err);
		if (rc == 0)
			rc = vn_fs_replace(file, VN_LAYOUT_TEXT, strlen(VN_LAYOUT_TEXT), 0644, err);
	}
	l->ready = rc == 0;
	return rc;
}

/* ---- blobs */
static int blob_path(const struct layout_sink *l, const struct vn_digest *digest, char **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *prefix = NULL;
	int rc = vn_asprintf(&prefix, err, "%s/", dir_of(l));
	return rc < 0 ? rc : vn_layout_blob_path(prefix, digest, ret, err);
}

static int remember(struct layout_sink *l, const struct vn_digest *digest, bool made, struct vn_err *err)
{
	int rc = vn_grow(&l->seen, &l->cap, l->nseen + 1, sizeof(*l->seen), err);
	if (rc == 0)
		l->seen[l->nseen++] = (struct seen){ *digest, made };
	return rc;
}

static int layout_has_blob(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	struct layout_sink *l = (struct layout_sink *)k;
	VN_AUTO_FREE char *path = NULL;
	struct stat st;
	int rc = blob_path(l, &desc->digest, &path, err);
	if (rc < 0)
		return rc;
	bool there = stat(path, &st) == 0 && S_ISREG(st.st_mode) && (desc->size < 0 || st.st_size == desc->size);
	if (there)
		rc = remember(l, &desc->digest, false, err);
	if (rc == 0)
		*ret = there;
	return rc;
}

static int put(struct layout_sink *l, const struct vn_desc *desc, struct vn_in *bytes, struct vn_err *err)
{
	VN_AUTO_IN *in = bytes;
	VN_AUTO_OUT *out = NULL;
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	VN_AUTO_FREE char *path = NULL;
	int rc = make_ready(l, err);
	if (rc == 0)
		rc = blob_path(l, &desc->digest, &path, err);
	if (rc == 0)
		rc = vn_layout_tmp_open(dir_of(l), path, &tmp, err);
	if (rc == 0)
		rc = vn_in_verify(vn_steal(in), &desc->digest, desc->size, desc->digest.text, &in, err);
	if (rc == 0)
		rc = vn_out_fd(tmp.fd, dir_of(l), &out, err);
	if (rc == 0)
		rc = vn_copy(in, out, NULL, err);
	if (rc < 0)
		return rc;
	bool made = !vn_fs_exists(path);
	rc = vn_tmp_publish(&tmp, path, 0644, err);
	return rc < 0 ? rc : remember(l, &desc->digest, made, err);
}

static int layout_put_blob(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err)
{
	struct vn_in *in = NULL;
	int rc = body->open(body, &in, err);
	if (rc == 0)
		rc = put((struct layout_sink *)k, desc, in, err);
	return rc < 0 ? vn_wrap(err, "write to %s", dir_of((struct layout_sink *)k)) : 0;
}

static int layout_put_manifest(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged,
			       struct vn_err *err)
{
	struct layout_sink *l = (struct layout_sink *)k;
	struct vn_in *in = NULL;
	bool there = false;
	VN_AUTO(vn_desc) root = { 0 };
	int rc = layout_has_blob(k, desc, &there, err);
	if (rc == 0 && !there)
		rc = vn_in_memory(bytes, len, &in, err);
	if (rc == 0 && !there)
		rc = put(l, desc, in, err);
	if (rc == 0 && tagged)
		rc = vn_desc_copy(desc, &root, err);
	if (rc < 0)
		return vn_wrap(err, "write to %s", dir_of(l));
	if (tagged) {
		vn_desc_release(&l->root);
		l->root = root;
		root = (struct vn_desc){ 0 };
	}
	return 0;
}

/* ---- commit */
/* Another run that failed may have taken back a blob which this one relied on. */
static int check_seen(const struct layout_sink *l, struct vn_err *err)
{
	for (size_t i = 0; i < l->nseen; i++) {
		VN_AUTO_FREE char *path = NULL;
		int rc = blob_path(l, &l->seen[i].digest, &path, err);
		if (rc < 0)
			return rc;
		if (!vn_fs_exists(path)) {
			vn_fail(err, VN_EIO, "%s lost the blob %s while this run was writing to it", dir_of(l), l->seen[i].digest.text);
			return vn_hint(err, "run the command again");
		}
	}
	return 0;
}

static int layout_commit(struct vn_sink *k, struct vn_err *err)
{
	struct layout_sink *l = (struct layout_sink *)k;
	VN_AUTO_CLOSE int lock = -1;
	if (!l->root.media_type)
		return vn_fail(err, VN_EUSAGE, "nothing was written that %s could name", l->k.ref.text);
	int rc = make_ready(l, err);
	if (rc == 0)
		rc = lock_dir(l, LOCK_EX, &lock, err);
	if (rc == 0)
		rc = check_seen(l, err);
	if (rc == 0)
		rc = vn_layout_put_entry(dir_of(l), &l->root, l->k.ref.tag, NULL, err);
	l->committed = rc == 0;
	return rc;
}

static int layout_current(struct vn_sink *k, struct vn_desc *ret, struct vn_err *err)
{
	struct layout_sink *l = (struct layout_sink *)k;
	bool there;
	VN_AUTO(vn_buf) index = VN_BUF(VN_MAX_ARCHIVE_JSON);
	int rc = check_place(dir_of(l), &there, err);
	if (rc == 0)
		rc = vn_layout_index(dir_of(l), &index, err);
	return rc < 0 ? rc : vn_layout_entry(&index, l->k.ref.tag, dir_of(l), ret, err);
}

static int layout_reopen(struct vn_sink *k, struct vn_source **ret, struct vn_err *err)
{
	const struct layout_sink *l = (struct layout_sink *)k;
	bool begun = l->ready || l->nseen;
	return begun && !l->committed ? vn_layout_blobs_open(&k->ref, k->events, ret, err)
				      : vn_layout_source_open(&k->ref, k->events, ret, err);
}

/* Takes back what this run put there, unless somebody else has changed the layout meanwhile and may stand on it. */
static void undo(struct layout_sink *l)
{
	struct vn_err ignored = { 0 };
	struct stat st = { 0 };
	VN_AUTO_CLOSE int lock = -1;
	VN_AUTO_FREE char *index = NULL;
	if (!l->ready || lock_dir(l, LOCK_EX, &lock, &ignored) < 0 || vn_asprintf(&index, &ignored, "%s/index.json", dir_of(l)) < 0)
		return;
	if (stat(index, &st) < 0)
		st.st_ino = 0;
	if (st.st_ino != l->index_before.st_ino || st.st_mtim.tv_sec != l->index_before.st_mtim.tv_sec ||
	    st.st_mtim.tv_nsec != l->index_before.st_mtim.tv_nsec)
		return;
	for (size_t i = 0; i < l->nseen; i++) {
		VN_AUTO_FREE char *path = NULL;
		if (l->seen[i].made && blob_path(l, &l->seen[i].digest, &path, &ignored) == 0)
			unlink(path);
	}
	if (!l->made_dir)
		return;
	static const char *const made[] = { "/blobs/sha256", "/blobs/sha512", "/blobs" };
	int rc = 0;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		VN_AUTO_FREE char *path = NULL;
		if (vn_asprintf(&path, &ignored, "%s%s", dir_of(l), made[i]) < 0)
			return;
		rc = rmdir(path) < 0 && errno != ENOENT;
	}
	VN_AUTO_FREE char *file = NULL;
	if (rc == 0 && vn_asprintf(&file, &ignored, "%s/%s", dir_of(l), VN_LAYOUT_FILE) == 0 && unlink(file) == 0)
		rmdir(dir_of(l));
}

static void layout_close(struct vn_sink *k)
{
	struct layout_sink *l = (struct layout_sink *)k;
	if (!l->committed)
		undo(l);
	vn_desc_release(&l->root);
	vn_ref_release(&l->k.ref);
	free(l->seen);
	free(l);
}

static const struct vn_sink_ops layout_ops = {
	.current = layout_current,
	.has_blob = layout_has_blob,
	.put_blob = layout_put_blob,
	.put_manifest = layout_put_manifest,
	.commit = layout_commit,
	.close = layout_close,
	.reopen = layout_reopen,
	.only = VN_FAMILY_OCI,           /* skopeo and podman find nothing else in a layout */
};

int vn_layout_sink_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_sink **ret, struct vn_err *err)
{
	bool there;
	if (!vn_digest_none(&ref->digest)) {
		vn_fail(err, VN_EUSAGE, "%s: a digest cannot be written to", ref->text);
		return vn_hint(err, "name a tag: oci:DIR:TAG");
	}
	int rc = check_place(ref->path, &there, err);
	if (rc < 0)
		return rc;
	struct layout_sink *l = calloc(1, sizeof(*l));
	if (!l)
		return vn_nomem(err);
	l->k.ops = &layout_ops;
	l->k.events = events;
	rc = vn_ref_parse(ref->text, &l->k.ref, err);
	if (rc < 0) {
		free(l);
		return rc;
	}
	*ret = &l->k;
	return 0;
}
