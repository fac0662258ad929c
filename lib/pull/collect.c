/* Which blobs of the shelf somebody needs, and whether they are what their names say. */
#include "pull/shelf.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_DEPTH 4                  /* of indexes within each other */

struct needed {
	struct vn_digest *list;
	size_t n, cap;
};

static void needed_release(struct needed *x)
{
	free(x->list);
}

static bool is_needed(const struct needed *x, const char *hex)
{
	for (size_t i = 0; i < x->n; i++)
		if (!strcmp(vn_digest_hex(&x->list[i]), hex))
			return true;
	return false;
}

static int need(struct needed *x, const struct vn_digest *digest, struct vn_err *err)
{
	if (is_needed(x, vn_digest_hex(digest)))
		return 0;
	int r = vn_grow(&x->list, &x->cap, x->n + 1, sizeof(*x->list), err);
	if (r == 0)
		x->list[x->n++] = *digest;
	return r;
}

/* A manifest that is not there needs nothing. `base`: layers at the bottom that need not stay. */
static int need_manifest(struct needed *x, struct vn_source *shelf, const struct vn_digest *digest, size_t base, int depth,
			 struct vn_err *err)
{
	const struct vn_desc child = { .digest = *digest, .size = -1 };
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO(vn_manifest) m = { 0 };
	VN_AUTO(vn_index) index = { 0 };
	int r = vn_source_manifest(shelf, &child, &bytes, &desc, err);
	if (r == -VN_ENOTFOUND) {
		*err = (struct vn_err){ 0 };
		return 0;
	}
	if (r == 0)
		r = need(x, digest, err);
	if (r == 0 && depth > MAX_DEPTH)
		r = vn_fail(err, VN_ELIMIT, "%s lies in more than %d indexes within each other", digest->text, MAX_DEPTH);
	if (r < 0)
		return r;
	if (vn_mediatype(desc.media_type)->kind == VN_KIND_INDEX) {
		r = vn_index_parse(vn_buf_text(&bytes), bytes.len, &index, err);
		for (size_t i = 0; r == 0 && i < index.nmanifests; i++)
			r = need_manifest(x, shelf, &index.manifests[i].digest, 0, depth + 1, err);
		return r;
	}
	r = vn_manifest_parse(vn_buf_text(&bytes), bytes.len, &m, err);
	if (r == 0)
		r = need(x, &m.config.digest, err);
	for (size_t i = base < m.nlayers ? base : m.nlayers; r == 0 && i < m.nlayers; i++)
		r = need(x, &m.layers[i].digest, err);
	return r;
}

/* `only`: one whose entry goes, or went. */
static int need_entries(struct needed *x, const char *dir, struct vn_source *shelf, const struct vn_shelf_keep *keep, size_t n,
			const struct vn_digest *only, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_ARCHIVE_JSON);
	VN_AUTO(vn_index) index = { 0 };
	int r = vn_asprintf(&path, err, "%s/index.json", dir);
	if (r == 0)
		r = vn_fs_read(path, &bytes, err);
	if (r == 0)
		r = vn_index_parse(vn_buf_text(&bytes), bytes.len, &index, err);
	for (size_t i = 0; r == 0 && i < index.nmanifests; i++) {
		bool ours = only && vn_digest_equal(only, &index.manifests[i].digest);
		for (size_t k = 0; k < n; k++)
			ours |= vn_digest_equal(&keep[k].manifest, &index.manifests[i].digest);
		/* what is no image of any kind that is known here needs its own blob alone */
		enum vn_kind kind = vn_mediatype(index.manifests[i].media_type)->kind;
		if (!ours && kind != VN_KIND_MANIFEST && kind != VN_KIND_INDEX)
			r = need(x, &index.manifests[i].digest, err);
		else if (!ours)
			r = need_manifest(x, shelf, &index.manifests[i].digest, 0, 0, err);
	}
	return r;
}

/* Every blob file: its digest and size. */
static int each_blob(const char *dir, int (*visit)(void *user, int at, const char *hex, uint64_t size, struct vn_err *err), void *user,
		     struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	struct stat st;
	int r = vn_asprintf(&path, err, "%s/blobs/sha256", dir);
	DIR *d = r == 0 ? opendir(path) : NULL;
	if (r == 0 && !d)
		return errno == ENOENT ? 0 : vn_fail_sys(err, VN_EIO, "cannot open %s", path);
	for (const struct dirent *e; r == 0 && (e = readdir(d));)
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			r = visit(user, dirfd(d), e->d_name, (uint64_t)st.st_size, err);
	if (d)
		closedir(d);
	return r;
}

struct collecting {
	const char *dir;
	const struct needed *needed;
	bool dry_run;
	void (*tell)(void *user, const char *digest, uint64_t bytes);
	void *user;
};

/* Unless it is needed. */
static int remove_blob(const struct collecting *c, const struct vn_digest *digest, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	struct stat st;
	int r = vn_shelf_path(c->dir, digest, &path, err);
	if (r < 0 || is_needed(c->needed, vn_digest_hex(digest)) || stat(path, &st) < 0)
		return r;
	if (!c->dry_run && unlink(path) < 0 && errno != ENOENT)
		return vn_fail_sys(err, VN_EIO, "cannot remove %s", path);
	if (c->tell)
		c->tell(c->user, digest->text, (uint64_t)st.st_size);
	return 0;
}

static int collect_one(void *user, int at, const char *name, uint64_t size, struct vn_err *err)
{
	struct vn_digest digest;
	(void)at;
	(void)size;
	if (strlen(name) != 64)
		return 0;
	snprintf(digest.text, sizeof(digest.text), "sha256:%s", name);
	return remove_blob(user, &digest, err);
}

/* The manifest goes last, so that a run that is killed can be repeated. */
static int remove_only(const struct collecting *c, struct vn_source *shelf, const struct vn_digest *only, struct vn_err *err)
{
	VN_AUTO(needed) its = { 0 };
	int r = need_manifest(&its, shelf, only, 0, 0, err);
	for (size_t i = its.n; r == 0 && i-- > 0;)
		r = remove_blob(c, &its.list[i], err);
	return r;
}

static int need_what_stays(struct needed *x, const char *dir, const struct vn_shelf_keep *keep, size_t n, struct vn_source *shelf,
			   const struct vn_digest *only, struct vn_err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = need_manifest(x, shelf, &keep[i].manifest, keep[i].base, 0, err);
	return r < 0 ? r : need_entries(x, dir, shelf, keep, n, only, err);
}

int vn_shelf_collect(const char *dir, const struct vn_shelf_keep *keep, size_t n, const struct vn_digest *only, bool dry_run,
		     void (*tell)(void *user, const char *digest, uint64_t bytes), void *user, struct vn_err *err)
{
	VN_AUTO_SOURCE *shelf = NULL;
	VN_AUTO(needed) x = { 0 };
	int r = vn_shelf_open(dir, NULL, &shelf, err);
	if (r == 0)
		r = need_what_stays(&x, dir, keep, n, shelf, dry_run ? only : NULL, err);
	struct collecting c = { dir, &x, dry_run, tell, user };
	if (r < 0)
		return r;
	return only ? remove_only(&c, shelf, only, err) : each_blob(dir, collect_one, &c, err);
}

static bool is_brought(const char *name, struct vn_digest *ret)
{
	size_t len = strlen(name), end = strlen(VN_SHELF_BROUGHT);
	if (len != 64 + end || strcmp(name + 64, VN_SHELF_BROUGHT))
		return false;
	snprintf(ret->text, sizeof(ret->text), "sha256:%.64s", name);
	return vn_digest_valid(ret->text);
}

static int list_brought(const char *staging, struct needed *ret, struct vn_err *err)
{
	struct vn_digest digest;
	int r = 0;
	DIR *d = opendir(staging);
	for (const struct dirent *e; r == 0 && d && (e = readdir(d));)
		if (is_brought(e->d_name, &digest))
			r = need(ret, &digest, err);
	if (d)
		closedir(d);
	return r;
}

int vn_shelf_take_back(const char *dir, const char *staging, const struct vn_shelf_keep *keep, size_t n,
		       void (*tell)(void *user, const char *digest, uint64_t bytes), void *user, struct vn_err *err)
{
	VN_AUTO_SOURCE *shelf = NULL;
	VN_AUTO(needed) brought = { 0 };
	VN_AUTO(needed) x = { 0 };
	const struct collecting c = { dir, &x, false, tell, user };
	int r = list_brought(staging, &brought, err);
	if (r < 0 || !brought.n)
		return r;
	r = vn_shelf_open(dir, NULL, &shelf, err);
	if (r == 0)
		r = need_what_stays(&x, dir, keep, n, shelf, NULL, err);
	for (size_t i = 0; r == 0 && i < brought.n; i++)
		r = remove_blob(&c, &brought.list[i], err);
	return r;
}

struct verifying {
	void (*tell)(void *user, const char *digest, uint64_t bytes, const char *problem);
	void *user;
};

static int verify_one(void *user, int at, const char *name, uint64_t size, struct vn_err *err)
{
	const struct verifying *v = user;
	struct vn_digest digest;
	struct vn_err why = { 0 };
	VN_AUTO_IN *in = NULL;
	if (strlen(name) != 64)
		return 0;
	snprintf(digest.text, sizeof(digest.text), "sha256:%s", name);
	int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? vn_fail_sys(&why, VN_EIO, "cannot open it") : vn_in_fd(fd, name, &in, &why);
	if (r == 0)
		r = vn_in_verify(vn_steal(in), &digest, -1, "it", &in, &why);
	if (r == 0)
		r = vn_in_drain(in, &why);
	if (r == -VN_ENOMEM) {
		*err = why;
		return r;
	}
	v->tell(v->user, digest.text, size, r < 0 ? why.text : NULL);
	return 0;
}

int vn_shelf_verify(const char *dir, void (*tell)(void *user, const char *digest, uint64_t bytes, const char *problem), void *user,
		    struct vn_err *err)
{
	struct verifying v = { tell, user };
	return each_blob(dir, verify_one, &v, err);
}
