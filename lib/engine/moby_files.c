#include "engine/handover.h"
#include "engine/moby.h"
#include "engine/names.h"
#include "engine/rooted.h"
#include "tar/reader.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/path.h"
#include <errno.h>
#include <string.h>

#define LABEL "dev.veneer.pull"
#define ONE_BY_ONE 4                 /* files, beyond which the folder above them all is asked for: a request costs a process there */

int vn_moby_reach(struct vn_moby *m, struct vn_err *err)
{
	return m->docker.http ? 0 : vn_docker_open(m->endpoint, &m->docker, err);
}

/* ---- containers that only hold an image's files */
static int remove_container(struct vn_moby *m, const char *id, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_docker_path("/containers/", id, "?force=1&v=1", &path, err);
	if (rc == 0)
		rc = vn_docker_do(&m->docker, "DELETE", path, err);
	return rc == -VN_ENOTFOUND ? 0 : rc;
}

void vn_moby_container_release(struct vn_moby_container *c)
{
	struct vn_err why = { 0 };
	if (*c->id && remove_container(c->m, c->id, &why) < 0)
		vn_warn(c->m->e.events, "the container %.12s, which is of no use any more, could not be removed: %s", c->id, why.text);
	*c->id = 0;
}

/* {"label":["LABEL=SCRATCH"]} */
static int our_label(const struct vn_moby *m, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_JSON *want = vn_json_object();
	VN_AUTO_FREE char *label = NULL;
	vn_json *labels = vn_json_array();
	int rc = vn_asprintf(&label, err, LABEL "=%s", m->scratch);
	vn_json_add(labels, vn_json_string(label));
	vn_json_set(want, "label", labels);
	return rc < 0 ? rc : vn_json_text(want, false, ret, err);
}

static int sweep(struct vn_moby *m, struct vn_err *err)
{
	VN_AUTO(vn_buf) filter = VN_BUF(VN_MAX_URL);
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO_JSON *list = NULL;
	int rc = our_label(m, &filter, err);
	if (rc == 0)
		rc = vn_docker_path("/containers/json?all=1&filters=", vn_buf_text(&filter), "", &path, err);
	if (rc == 0)
		rc = vn_docker_json(&m->docker, path, &list, err);
	struct vn_jv root = vn_jv_root(list, "the list of containers");
	for (size_t i = 0; rc == 0 && i < vn_jv_count(&root); i++) {
		const char *id = NULL;
		struct vn_jv item = vn_jv_at(&root, i);
		rc = vn_jv_want_object(&item, err);
		if (rc == 0)
			rc = vn_jv_need_text(&item, "Id", &id, err);
		if (rc == 0)
			rc = remove_container(m, id, err);
	}
	m->swept = rc == 0;
	return rc;
}

int vn_moby_ready(struct vn_moby *m, struct vn_err *err)
{
	int rc = vn_moby_reach(m, err);
	return rc < 0 || m->swept ? rc : sweep(m, err);
}

/* What a container of `image` that is never started is made of. */
static vn_json *container_json(const char *image, const char *label, const char *value)
{
	vn_json *body = vn_json_object(), *cmd = vn_json_array(), *labels = vn_json_object(), *host = vn_json_object();
	vn_json_add(cmd, vn_json_string("veneer"));
	vn_json_set(labels, label, vn_json_string(value));
	vn_json_set(host, "NetworkMode", vn_json_string("none"));
	vn_json_set(body, "Image", vn_json_string(image));
	vn_json_set(body, "Cmd", cmd);
	vn_json_set(body, "Labels", labels);
	vn_json_set(body, "HostConfig", host);
	return body;
}

int vn_moby_let_go(struct vn_moby *m, const char *full, struct vn_err *err)
{
	char keeper[VN_KEEPER];
	return remove_container(m, vn_engine_keeper(full, keeper), err);
}

int vn_moby_keep(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	VN_AUTO_FREE char *full = NULL, *path = NULL;
	VN_AUTO_JSON *body = NULL, *reply = NULL;
	char keeper[VN_KEEPER];
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_moby_reach(m, err);
	if (rc == 0)
		rc = vn_docker_path("/containers/create?name=", vn_engine_keeper(full, keeper), "", &path, err);
	if (rc < 0)
		return rc;
	body = container_json(full, VN_KEEPER_LABEL, full);
	rc = vn_docker_post(&m->docker, path, body, &reply, err);
	/* it is there already */
	if (rc == -VN_EREFUSED) {
		*err = (struct vn_err){ 0 };
		return 0;
	}
	return rc;
}

int vn_moby_container(struct vn_moby *m, const char *image, struct vn_moby_container *ret, struct vn_err *err)
{
	VN_AUTO_JSON *body = container_json(image, LABEL, m->scratch), *reply = NULL;
	const char *id = NULL;
	int rc = vn_docker_post(&m->docker, "/containers/create", body, &reply, err);
	struct vn_jv root = vn_jv_root(reply, "the engine's reply");
	if (rc == 0)
		rc = vn_jv_want_object(&root, err);
	if (rc == 0)
		rc = vn_jv_need_text(&root, "Id", &id, err);
	if (rc == 0 && strlen(id) >= sizeof(ret->id))
		rc = vn_fail(err, VN_EFORMAT, "the engine at %s gives a container an ID of %zu characters", m->docker.where, strlen(id));
	if (rc < 0)
		return rc;
	ret->m = m;
	memcpy(ret->id, id, strlen(id) + 1);
	return 0;
}

/* ---- files */
static int no_file(const char *path, struct vn_err *err)
{
	return vn_fail(err, VN_ENOTFOUND, "the image has no file /%.600s", path);
}

/* What is below a path of the container, as a tar whose names begin with the path's last part. */
static int archive_of(struct vn_moby *m, const struct vn_moby_container *c, const char *path, struct vn_tar **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *before = NULL, *url = NULL;
	VN_AUTO(vn_http_response) r = { 0 };
	int rc = vn_asprintf(&before, err, "/containers/%s/archive?path=/", c->id);
	if (rc == 0)
		rc = vn_docker_path(before, path, "", &url, err);
	if (rc == 0)
		rc = vn_docker_call(&m->docker, "GET", url, NULL, 0, &r, err);
	if (rc == -VN_ENOTFOUND)
		return no_file(path, err);
	return rc < 0 ? rc : vn_tar_open(vn_steal(r.body), path, ret, err);
}

static int copy_entry(struct vn_tar *tar, int fd, uint64_t *at, struct vn_err *err)
{
	const void *block;
	ssize_t n;
	while ((n = vn_tar_data(tar, &block, err)) > 0) {
		int rc = vn_put_at(fd, block, (size_t)n, at, err);
		if (rc < 0)
			return rc;
	}
	return (int)n;
}

struct wanted {
	const char *path;
	size_t slot;
	uint64_t at, size;           /* in the scratch file, when it was found there */
	bool found;
};

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct wanted *)a)->path, ((const struct wanted *)b)->path);
}

static int by_slot(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;
	return (x->slot > y->slot) - (x->slot < y->slot);
}

/* The folder that is above all of the paths: so many bytes of the first. */
static size_t common_folder(const struct wanted *w, size_t n)
{
	size_t len = (size_t)(vn_path_base(w[0].path) - w[0].path);
	for (size_t i = 1; i < n; i++) {
		size_t same = 0, last = 0;
		for (; same < len && w[0].path[same] == w[i].path[same]; same++)
			if (w[0].path[same] == '/')
				last = same + 1;
		len = last;
	}
	return len ? len - 1 : 0;
}

/* Those files of one folder's tar that are wanted go to the scratch file. Links to files that stand in it before, and files that
 * are not in it, are left. `w` is sorted by path. */
static int pick(struct vn_moby *m, const struct vn_moby_container *c, const char *folder, struct wanted *w, size_t n, int fd,
		uint64_t *at, struct vn_err *err)
{
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	const struct vn_tar_entry *entry;
	const char *base = vn_path_base(folder);
	VN_AUTO(vn_buf) path = VN_BUF(VN_MAX_PATH * 2);
	int rc = archive_of(m, c, folder, &tar, err), more = 0;
	while (rc == 0 && (more = vn_tar_next(tar, &entry, err)) > 0) {
		size_t skip = *folder && !strncmp(entry->path, base, strlen(base)) ? strlen(base) : 0;
		vn_buf_clear(&path);
		rc = vn_buf_addf(&path, err, "%s%s", folder, entry->path + skip);
		if (rc < 0 || entry->type != VN_FILE)
			continue;
		struct wanted key = { .path = path.data }, *hit = bsearch(&key, w, n, sizeof(*w), by_path);
		if (!hit)
			continue;
		hit->at = *at;
		rc = copy_entry(tar, fd, at, err);
		hit->size = *at - hit->at;
		hit->found = rc == 0;
	}
	return rc < 0 ? rc : more;
}

static int read_one(struct vn_moby *m, const struct vn_moby_container *c, const char *path, int fd, uint64_t *at, bool *ret_empty,
		    struct vn_err *err)
{
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	const struct vn_tar_entry *entry;
	int rc = archive_of(m, c, path, &tar, err), more = 0;
	if (rc == 0)
		more = vn_tar_next(tar, &entry, err);
	*ret_empty = rc == 0 && more == 0;
	if (rc < 0 || more <= 0)
		return rc < 0 ? rc : more;
	if (entry->type != VN_FILE)
		return no_file(path, err);
	rc = copy_entry(tar, fd, at, err);
	return rc < 0 ? rc : vn_tar_next(tar, &entry, err);
}

/* A name that is not UTF-8 gives an empty tar (seen with 20.10): its folder has it. */
static int copy_one(struct vn_moby *m, const struct vn_moby_container *c, struct wanted *w, int fd, uint64_t *at, struct vn_err *err)
{
	VN_AUTO_FREE char *folder = NULL;
	bool empty = false;
	int rc = read_one(m, c, w->path, fd, at, &empty, err);
	if (rc < 0 || !empty)
		return rc;
	rc = vn_asprintf(&folder, err, "%.*s", (int)common_folder(w, 1), w->path);
	if (rc == 0)
		rc = pick(m, c, folder, w, 1, fd, at, err);
	return rc < 0 || w->found ? rc : no_file(w->path, err);
}

static int copy_scratch(int from, const struct wanted *w, int fd, uint64_t *at, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	const void *block;
	ssize_t n = 0;
	int rc = vn_in_slice(from, w->at, w->size, "the files of the image", &in, err);
	while (rc == 0 && (n = vn_in_next(in, &block, err)) > 0)
		rc = vn_put_at(fd, block, (size_t)n, at, err);
	return rc < 0 ? rc : (int)n;
}

static int pick_all(struct vn_moby *m, const struct vn_moby_container *c, struct wanted *w, size_t n, int scratch, struct vn_err *err)
{
	VN_AUTO_FREE char *folder = NULL;
	uint64_t end = 0;
	qsort(w, n, sizeof(*w), by_path);
	int rc = vn_asprintf(&folder, err, "%.*s", (int)common_folder(w, n), w[0].path);
	if (rc == 0)
		rc = pick(m, c, folder, w, n, scratch, &end, err);
	qsort(w, n, sizeof(*w), by_slot);
	return rc;
}

int vn_moby_files(struct vn_engine *e, const struct vn_digest *image, const char *const *paths, size_t n, int fd, uint64_t at,
		  uint64_t *ret_sizes, uint64_t *ret_end, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	VN_AUTO(vn_moby_container) c = { 0 };
	VN_AUTO_CLOSE int scratch = -1;
	VN_AUTO_FREE struct wanted *w = calloc(n + 1, sizeof(*w));
	int rc = w ? vn_moby_ready(m, err) : vn_nomem(err);
	for (size_t i = 0; w && i < n; i++)
		w[i] = (struct wanted){ .path = paths[i], .slot = i };
	if (rc == 0)
		rc = vn_moby_container(m, image->text, &c, err);
	if (rc == 0 && n > ONE_BY_ONE) {
		rc = vn_scratch_file(m->scratch, &scratch, err);
		if (rc == 0)
			rc = pick_all(m, &c, w, n, scratch, err);
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		uint64_t begin = at;
		rc = w[i].found ? copy_scratch(scratch, &w[i], fd, &at, err) : copy_one(m, &c, &w[i], fd, &at, err);
		if (ret_sizes)
			ret_sizes[i] = at - begin;
	}
	if (rc == 0)
		*ret_end = at;
	return rc;
}
