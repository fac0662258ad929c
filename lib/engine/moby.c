#include "engine/deep.h"
#include "engine/docker.h"
#include "engine/handover.h"
#include "engine/kinds.h"
#include "engine/moby.h"
#include "engine/names.h"
#include "engine/whole.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- looking */
static int moby_look(struct vn_engine *e, const char *name, struct vn_held *ret, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO_JSON *json = NULL;
	VN_AUTO(vn_held) held = { 0 };
	const char *id = NULL;
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_moby_reach(m, err);
	if (rc == 0)
		rc = vn_docker_inspect(&m->docker, full, &json, err);
	struct vn_jv root = vn_jv_root(json, "the engine's reply"), fs = vn_jv_get(&root, "RootFS"), layers = vn_jv_get(&fs, "Layers"),
		     repo = vn_jv_get(&root, "RepoDigests");
	if (rc == 0)
		rc = vn_jv_want_object(&root, err);
	if (rc == 0)
		rc = vn_jv_need_text(&root, "Id", &id, err);
	if (rc == 0)
		rc = vn_digest_parse(id, &held.image, err);
	if (rc == 0)
		rc = vn_engine_repo_digest(full, &repo, &held.manifest, err);
	if (rc == 0)
		rc = vn_engine_diff_ids(&layers, &held, err);
	if (rc < 0)
		return rc;
	*ret = held;
	held = (struct vn_held){ 0 };
	return 0;
}

static int moby_layers(struct vn_engine *e, const struct vn_manifest *manifest, const struct vn_config *c, size_t *ret,
		       struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	VN_AUTO_JSON *ping = NULL;
	int rc = vn_moby_reach(m, err);
	if (rc == 0)
		rc = vn_docker_json(&m->docker, "/version", &ping, err);
	if (rc < 0)
		return rc;
	bool thin = manifest->nlayers == c->ndiff_ids && !vn_docker_keeps_in_containerd(&m->docker);
	*ret = thin ? vn_docker_layers_present(&m->docker, c, NULL) : 0;
	return 0;
}

/* ---- taking in */
/* What an engine gives every container of its own (moby, daemon/initlayer). */
static const char *const own_files[] = { ".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf" };

static int compare_files(struct vn_moby *m, const struct vn_incoming *in, const struct vn_moby_container *c, const char *id,
			 struct vn_err *err)
{
	VN_AUTO(vn_deep) d = { 0 };
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO(vn_http_response) r = { 0 };
	struct vn_digest image;
	int rc = vn_deep_open(in, &d, err);
	for (size_t i = 0; rc == 0 && i < sizeof(own_files) / sizeof(*own_files); i++)
		vn_deep_except(&d, own_files[i]);
	if (rc == 0)
		rc = vn_digest_parse(id, &image, err);
	if (rc == 0)
		rc = vn_docker_path("/containers/", c->id, "/export", &path, err);
	if (rc == 0)
		rc = vn_docker_call(&m->docker, "GET", path, NULL, 0, &r, err);
	if (rc == 0)
		rc = vn_deep_tar(&d, vn_steal(r.body), "the engine's copy", err);
	vn_http_response_release(&r);
	return rc < 0 ? rc : vn_deep_rest(&d, &m->e, &image, m->scratch, err);
}

static int moby_prove(struct vn_engine *e, const struct vn_incoming *in, bool deep, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	const struct vn_image *image = in->image;
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO_JSON *json = NULL;
	VN_AUTO(vn_moby_container) c = { 0 };
	const char *id = NULL;
	int rc = vn_engine_full_name(in->name, &full, err);
	if (rc == 0)
		rc = vn_moby_ready(m, err);
	if (rc == 0)
		rc = vn_docker_inspect(&m->docker, full, &json, err);
	if (rc == 0)
		rc = vn_docker_same(&m->docker, in->name, json, &image->manifest.config.digest, &image->desc.digest,
				    image->config.diff_ids, image->config.ndiff_ids, VN_EDIGEST, err);
	if (rc < 0)
		return rc;
	struct vn_jv root = vn_jv_root(json, "the engine's reply");
	rc = vn_jv_need_text(&root, "Id", &id, err);
	if (rc == 0 && (rc = vn_moby_container(m, full, &c, err)) < 0 && err->code != VN_ENETWORK) {
		vn_wrap(err, "the engine cannot make a container of %s", in->name);
		err->code = VN_EDIGEST;
		return -VN_EDIGEST;
	}
	return rc < 0 || !deep ? rc : compare_files(m, in, &c, id, err);
}

static int give(struct vn_moby *m, const char *full, struct vn_in **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO(vn_http_response) r = { 0 };
	int rc = vn_docker_path("/images/", full, "/get", &path, err);
	if (rc == 0)
		rc = vn_docker_call(&m->docker, "GET", path, NULL, 0, &r, err);
	if (rc == 0)
		*ret = vn_steal(r.body);
	return rc;
}

static int moby_reread(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO(vn_held) held = { 0 };
	struct vn_in *archive = NULL;
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = moby_look(e, name, &held, err);
	if (rc < 0)
		return rc;
	/* compressed blobs have other digests; they have their names */
	size_t n = vn_docker_keeps_in_containerd(&m->docker) ? 0 : held.ndiff_ids;
	rc = give(m, full, &archive, err);
	if (rc == 0)
		rc = vn_whole_check(archive, held.diff_ids, n, name, err);
	/* its own word, when a file is not what it was; a connection that ends is none */
	if (rc != -VN_EIO)
		return rc;
	vn_wrap(err, "the engine cannot give %s back as it was", name);
	err->code = VN_EDIGEST;
	return -VN_EDIGEST;
}

static int moby_load(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	VN_AUTO_CLOSE int fd = -1;
	int rc = vn_moby_ready(m, err);
	if (rc == 0)
		rc = vn_scratch_file(m->scratch, &fd, err);
	if (rc == 0)
		rc = vn_handover(in, fd, err);
	if (rc == 0)
		rc = vn_docker_load(&m->docker, fd, in->name, in->present > 0, e->events, err);
	if (rc < 0)
		return rc;
	rc = moby_prove(e, in, false, err);
	if (rc == -VN_ENOTFOUND || rc == -VN_EDIGEST) {
		err->code = VN_EIO;
		rc = vn_wrap(err, "look at what was loaded");
	}
	return rc;
}

/* ---- names */
/* "repo", "tag" of a full name; the text is cut. */
static const char *cut_tag(char *full)
{
	char *colon = strrchr(full, ':');
	if (!colon || strchr(colon, '/'))
		return "latest";
	*colon = 0;
	return colon + 1;
}

static int moby_name_as(struct vn_engine *e, const char *to, const char *name, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	VN_AUTO_FREE char *from = NULL, *full = NULL, *before = NULL, *after = NULL, *path = NULL;
	int rc = vn_engine_full_name(to, &from, err);
	if (rc == 0)
		rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_moby_reach(m, err);
	if (rc < 0)
		return rc;
	const char *tag = cut_tag(full);
	rc = vn_docker_path("/images/", from, "/tag?repo=", &before, err);
	if (rc == 0)
		rc = vn_asprintf(&after, err, "&tag=%s", tag);
	if (rc == 0)
		rc = vn_docker_path(before, full, after, &path, err);
	return rc < 0 ? rc : vn_docker_do(&m->docker, "POST", path, err);
}

static int delete_image(struct vn_moby *m, const char *name, bool force, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_docker_path("/images/", name, force ? "?force=1" : "?force=0", &path, err);
	if (rc == 0)
		rc = vn_docker_do(&m->docker, "DELETE", path, err);
	return rc == -VN_ENOTFOUND ? 0 : rc;
}

static int moby_forget(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	VN_AUTO_FREE char *full = NULL;
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_moby_ready(m, err);
	if (rc == 0)
		rc = vn_moby_let_go(m, full, err);
	return rc < 0 ? rc : delete_image(m, full, false, err);
}

/* VN_EREFUSED when a container was made from an image: it would keep the layers. */
static int unused(struct vn_moby *m, const char *image, struct vn_err *err)
{
	VN_AUTO(vn_buf) filter = VN_BUF(VN_MAX_URL);
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO_JSON *list = NULL;
	const char *id = "";
	int rc = vn_buf_addf(&filter, err, "{\"ancestor\":[\"%s\"]}", image);
	if (rc == 0)
		rc = vn_docker_path("/containers/json?all=1&filters=", vn_buf_text(&filter), "", &path, err);
	if (rc == 0)
		rc = vn_docker_json(&m->docker, path, &list, err);
	struct vn_jv root = vn_jv_root(list, "the list of containers"), first = vn_jv_at(&root, 0);
	if (rc < 0 || !vn_jv_count(&root))
		return rc;
	rc = vn_jv_want_object(&first, err);
	if (rc == 0)
		rc = vn_jv_need_text(&first, "Id", &id, err);
	return rc < 0 ? rc : vn_fail(err, VN_EREFUSED, "the container %.12s was made from the image %.19s", id, image);
}

static int moby_discard(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	char other[VN_DOCKER_ID];
	VN_AUTO_FREE char *full = NULL;
	int rc = vn_engine_full_name(in->name, &full, err);
	if (rc == 0)
		rc = vn_moby_ready(m, err);
	if (rc == 0)
		rc = vn_moby_let_go(m, full, err);
	if (rc == 0)
		rc = unused(m, in->image->manifest.config.digest.text, err);
	if (rc == 0)
		rc = delete_image(m, full, true, err);
	/* under other names its layers would stay, and a layer that is there is not unpacked again */
	if (rc == 0)
		rc = delete_image(m, in->image->manifest.config.digest.text, true, err);
	if (rc == 0)
		rc = delete_image(m, in->image->desc.digest.text, true, err);
	if (rc < 0 || vn_docker_keeps_in_containerd(&m->docker))
		return rc;
	if (vn_docker_layers_present(&m->docker, &in->image->config, other) <= in->present)
		return 0;
	vn_fail(err, VN_EREFUSED, "layers of %s, which may be damaged, are also used by the image %.19s", in->name, other);
	return vn_hint(err, "remove that image from the engine, or pull it anew, and try again");
}

/* ---- the data folder */
static const char *moby_data(struct vn_engine *e)
{
	struct vn_moby *m = (struct vn_moby *)e;
	struct vn_err ignored = { 0 };
	VN_AUTO_JSON *json = NULL;
	const char *root = NULL;
	if (m->asked_root || vn_moby_reach(m, &ignored) < 0 || !m->docker.socket ||
	    vn_docker_json(&m->docker, "/info", &json, &ignored) < 0)
		return m->root;
	struct vn_jv info = vn_jv_root(json, "info");
	m->asked_root = true;
	if (vn_jv_is_object(&info) && vn_jv_opt_text(&info, "DockerRootDir", &root, &ignored) == 0 && root && vn_fs_exists(root))
		vn_strdup(root, &m->root, &ignored);
	return m->root;
}

/* The folder's file system alone where that is all; every one of this kernel's when the engine's lies out of sight (we run in a
 * container that has the socket) or it keeps images in containerd, wherever that has them. */
static int moby_sync(struct vn_engine *e, struct vn_err *err)
{
	struct vn_moby *m = (struct vn_moby *)e;
	int rc = vn_moby_reach(m, err);
	if (rc < 0)
		return rc;
	if (!m->docker.socket) {
		vn_warn(e->events, "the engine at %s is not on this machine: its images may not survive a power cut", m->docker.where);
		return 0;
	}
	const char *root = moby_data(e);
	VN_AUTO_CLOSE int fd = root ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0 || vn_docker_keeps_in_containerd(&m->docker)) {
		sync();
		return 0;
	}
	return syncfs(fd) < 0 ? vn_fail_sys(err, VN_EIO, "cannot make %s durable", root) : 0;
}

static int moby_handle(struct vn_engine *e, const char *name, char **ret, struct vn_err *err)
{
	(void)e;
	return vn_strdup(name, ret, err);
}

static void moby_close(struct vn_engine *e)
{
	struct vn_moby *m = (struct vn_moby *)e;
	vn_docker_release(&m->docker);
	free(m->endpoint);
	free(m->scratch);
	free(m->root);
	free(m);
}

static const struct vn_engine_ops moby_ops = {
	.name = "moby",
	.look = moby_look,
	.layers = moby_layers,
	.files = vn_moby_files,
	.load = moby_load,
	.prove = moby_prove,
	.reread = moby_reread,
	.sync = moby_sync,
	.name_as = moby_name_as,
	.keep = vn_moby_keep,
	.forget = moby_forget,
	.discard = moby_discard,
	.data = moby_data,
	.handle = moby_handle,
	.close = moby_close,
};

int vn_engine_moby_open(const char *endpoint, const char *scratch, const struct vn_events *events, struct vn_engine **ret,
			struct vn_err *err)
{
	struct vn_moby *m = calloc(1, sizeof(*m));
	if (!m)
		return vn_nomem(err);
	m->e = (struct vn_engine){ &moby_ops, events };
	int rc = vn_strdup(endpoint, &m->endpoint, err);
	if (rc == 0)
		rc = vn_strdup(scratch, &m->scratch, err);
	if (rc < 0) {
		moby_close(&m->e);
		return rc;
	}
	*ret = &m->e;
	return 0;
}
