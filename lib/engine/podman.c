/* podman through its command. endpoint: arguments in front of every subcommand, split at blanks.
 *
 * It takes a layer as known when a layer of its store was made from a blob of the same digest, which only the store's own list tells
 * (containers/storage, DRIVER-layers/layers.json): an image that was made here, or came in by `docker save`, has layers whose blobs
 * nobody knows. A thin image comes in as an OCI archive; a docker-archive must be whole. */
#include "engine/deep.h"
#include "engine/handover.h"
#include "engine/kinds.h"
#include "engine/names.h"
#include "engine/podman.h"
#include "engine/whole.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "sha256:HEX" for what podman shows without its algorithm. */
static int image_digest(const char *id, struct vn_digest *ret, struct vn_err *err)
{
	char text[VN_DIGEST_TEXT];
	if (strchr(id, ':'))
		return vn_digest_parse(id, ret, err);
	snprintf(text, sizeof(text), "sha256:%.120s", id);
	return vn_digest_parse(text, ret, err);
}

/* ---- looking */
/* The first of the array that `podman image inspect` gives. VN_ENOTFOUND: no such image. */
static int inspect(struct vn_podman *p, const char *name, vn_json **ret, struct vn_err *err)
{
	struct vn_err why = { 0 };
	struct vn_command cmd = { 0 }, exists = { 0 };
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_ENGINE_JSON);
	vn_command_add(&cmd, "image", "inspect", "--format", "json", name, NULL);
	int rc = vn_podman_run(p, &cmd, &text, err);
	if (rc == 0)
		return vn_json_parse(vn_buf_text(&text), text.len, "podman's reply", ret, err);
	if (rc != -VN_EIO || !cmd.status)
		return rc;
	vn_command_add(&exists, "image", "exists", name, NULL);
	if (vn_podman_run(p, &exists, NULL, &why) < 0 && exists.status == 1)
		return vn_fail(err, VN_ENOTFOUND, "podman has no image %.200s", name);
	return rc;
}

static int read_held(const char *name, const vn_json *json, struct vn_held *ret, struct vn_err *err)
{
	struct vn_jv list = vn_jv_root(json, "podman's reply"), root = vn_jv_at(&list, 0), fs = vn_jv_get(&root, "RootFS"),
		     layers = vn_jv_get(&fs, "Layers"), repo = vn_jv_get(&root, "RepoDigests");
	const char *id = NULL, *digest = NULL;
	VN_AUTO(vn_held) held = { 0 };
	int rc = vn_jv_want_array(&list, err);
	if (rc == 0)
		rc = vn_jv_want_object(&root, err);
	if (rc == 0)
		rc = vn_jv_need_text(&root, "Id", &id, err);
	if (rc == 0)
		rc = image_digest(id, &held.image, err);
	if (rc == 0)
		rc = vn_jv_opt_text(&root, "Digest", &digest, err);
	if (rc == 0)
		rc = vn_engine_repo_digest(name, &repo, &held.manifest, err);
	if (rc == 0 && vn_digest_none(&held.manifest) && digest && *digest)
		rc = vn_digest_parse(digest, &held.manifest, err);
	if (rc == 0)
		rc = vn_engine_diff_ids(&layers, &held, err);
	if (rc < 0)
		return rc;
	*ret = held;
	held = (struct vn_held){ 0 };
	return 0;
}

static int podman_look(struct vn_engine *e, const char *name, struct vn_held *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO_JSON *json = NULL;
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = inspect((struct vn_podman *)e, full, &json, err);
	return rc < 0 ? rc : read_held(full, json, ret, err);
}

static int find_store(struct vn_podman *p, struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_ENGINE_JSON);
	VN_AUTO_JSON *json = NULL;
	const char *dir = NULL, *driver = NULL;
	if (p->root)
		return 0;
	vn_command_add(&cmd, "info", "--format", "json", NULL);
	int rc = vn_podman_run(p, &cmd, &text, err);
	if (rc == 0)
		rc = vn_json_parse(vn_buf_text(&text), text.len, "podman's reply", &json, err);
	struct vn_jv root = vn_jv_root(json, "podman's reply"), store = vn_jv_get(&root, "store");
	if (rc == 0)
		rc = vn_jv_want_object(&store, err);
	if (rc == 0)
		rc = vn_jv_need_text(&store, "graphRoot", &dir, err);
	if (rc == 0)
		rc = vn_jv_need_text(&store, "graphDriverName", &driver, err);
	if (rc == 0)
		rc = vn_strdup(driver, &p->driver, err);
	return rc < 0 ? rc : vn_strdup(dir, &p->root, err);
}

/* Some layer of the store has that diff_id and was made from that blob. */
static bool in_store(const struct vn_jv *layers, const char *diff_id, const char *blob)
{
	struct vn_err ignored = { 0 };
	for (size_t i = 0; i < vn_jv_count(layers); i++) {
		const char *diff = NULL, *compressed = NULL;
		struct vn_jv layer = vn_jv_at(layers, i);
		if (!vn_jv_is_object(&layer) || vn_jv_opt_text(&layer, "diff-digest", &diff, &ignored) < 0 ||
		    vn_jv_opt_text(&layer, "compressed-diff-digest", &compressed, &ignored) < 0)
			continue;
		if (diff && !strcmp(diff, diff_id) && (!strcmp(diff, blob) || (compressed && !strcmp(compressed, blob))))
			return true;
	}
	return false;
}

static int store_layers(struct vn_podman *p, vn_json **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_STORE_LAYERS);
	int rc = find_store(p, err);
	if (rc == 0)
		rc = vn_asprintf(&path, err, "%s/%s-layers/layers.json", p->root, p->driver);
	if (rc == 0)
		rc = vn_fs_read(path, &text, err);
	return rc < 0 ? rc : vn_json_parse(vn_buf_text(&text), text.len, path, ret, err);
}

static int podman_layers(struct vn_engine *e, const struct vn_manifest *m, const struct vn_config *c, size_t *ret, struct vn_err *err)
{
	struct vn_podman *p = (struct vn_podman *)e;
	struct vn_err why = { 0 };
	VN_AUTO_JSON *json = NULL;
	size_t n = 0;
	int rc = find_store(p, err);
	if (rc < 0)
		return rc;
	/* a list that cannot be read costs bytes and nothing else */
	if (store_layers(p, &json, &why) < 0)
		vn_debug(e->events, "podman: %s", why.text);
	struct vn_jv layers = vn_jv_root(json, "layers.json");
	while (m->nlayers == c->ndiff_ids && n < m->nlayers && in_store(&layers, c->diff_ids[n].text, m->layers[n].digest.text))
		n++;
	*ret = n;
	return 0;
}

/* ---- taking in */
static int compare_files(struct vn_podman *p, const struct vn_incoming *in, struct vn_err *err)
{
	struct vn_err why = { 0 };
	VN_AUTO(vn_podman_mount) m = { NULL, NULL, -1 };
	VN_AUTO(vn_deep) d = { 0 };
	const struct vn_digest *config = &in->image->manifest.config.digest;
	int rc = vn_deep_open(in, &d, err);
	if (rc < 0)
		return rc;
	if (vn_podman_mount(p, vn_digest_hex(config), &m, &why) == 0)
		return vn_deep_tree(&d, m.root, err);
	return vn_deep_rest(&d, &p->e, config, p->scratch, err);
}

static int same(const struct vn_incoming *in, const struct vn_held *held, struct vn_err *err)
{
	const struct vn_config *config = &in->image->config;
	const struct vn_digest *want = &in->image->manifest.config.digest;
	if (!vn_digest_equal(&held->image, want))
		return vn_fail(err, VN_EDIGEST, "podman took %s, but shows the image %s instead of %s", in->name, held->image.text,
			       want->text);
	bool equal = held->ndiff_ids == config->ndiff_ids;
	for (size_t i = 0; equal && i < config->ndiff_ids; i++)
		equal = vn_digest_equal(&held->diff_ids[i], &config->diff_ids[i]);
	return equal ? 0 : vn_fail(err, VN_EDIGEST, "podman took %s, but shows other layers", in->name);
}

static int podman_prove(struct vn_engine *e, const struct vn_incoming *in, bool deep, struct vn_err *err)
{
	struct vn_podman *p = (struct vn_podman *)e;
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO_JSON *json = NULL;
	VN_AUTO(vn_held) held = { 0 };
	VN_AUTO(vn_podman_container) c = { 0 };
	int rc = vn_engine_full_name(in->name, &full, err);
	if (rc == 0)
		rc = vn_podman_sweep(p, err);
	if (rc == 0)
		rc = inspect(p, full, &json, err);
	if (rc == 0)
		rc = read_held(full, json, &held, err);
	if (rc == 0)
		rc = same(in, &held, err);
	if (rc < 0)
		return rc;
	rc = vn_podman_container(p, full, &c, err);
	if (rc == -VN_EIO) {
		vn_wrap(err, "podman cannot make a container of %s", in->name);
		err->code = VN_EDIGEST;
		return -VN_EDIGEST;
	}
	return rc < 0 || !deep ? rc : compare_files(p, in, err);
}

static int podman_reread(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_podman *p = (struct vn_podman *)e;
	VN_AUTO(vn_held) held = { 0 };
	VN_AUTO_FREE char *full = NULL;
	struct vn_in *archive = NULL;
	struct vn_command cmd = { .tmpdir = p->scratch };
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = podman_look(e, name, &held, err);
	vn_command_add(&cmd, "save", "--quiet", "--format", "docker-archive", full, NULL);
	if (rc == 0)
		rc = vn_podman_in(p, &cmd, &archive, err);
	if (rc < 0)
		return rc;
	rc = vn_whole_check(archive, held.diff_ids, held.ndiff_ids, name, err);
	/* it answered a moment ago */
	if (rc != -VN_EIO && rc != -VN_EFORMAT)
		return rc;
	vn_wrap(err, "podman cannot give %s back as it was", name);
	err->code = VN_EDIGEST;
	return -VN_EDIGEST;
}

/* As an archive: a layout folder gets a name that is made of its path. podman unpacks it beside it. */
static int take_in(struct vn_podman *p, const struct vn_incoming *in, struct vn_err *err)
{
	VN_AUTO_FREE char *file = NULL, *from = NULL;
	VN_AUTO_CLOSE int fd = -1;
	struct vn_command pull = { .tmpdir = p->temporary };
	int rc = vn_fs_mkdirs(p->temporary, 0700, err);
	if (rc == 0)
		rc = vn_asprintf(&file, err, "%s/image.tar", p->temporary);
	if (rc == 0)
		rc = vn_asprintf(&from, err, "oci-archive:%s", file);
	if (rc < 0)
		return rc;
	fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	rc = fd < 0 ? vn_fail_sys(err, VN_EIO, "cannot make %s", file) : vn_handover(in, fd, err);
	vn_command_add(&pull, "pull", "--quiet", from, NULL);
	return rc < 0 ? rc : vn_podman_run(p, &pull, NULL, err);
}

static int podman_load(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	struct vn_podman *p = (struct vn_podman *)e;
	struct vn_err ignored = { 0 };
	int rc = vn_podman_sweep(p, err);
	if (rc < 0)
		return rc;
	rc = take_in(p, in, err);
	vn_fs_remove_tree(p->temporary, &ignored);
	if (rc == 0)
		rc = podman_prove(e, in, false, err);
	if (rc == -VN_ENOTFOUND || rc == -VN_EDIGEST) {
		err->code = VN_EIO;
		rc = -VN_EIO;
	}
	return rc;
}

/* ---- names */
static int podman_name_as(struct vn_engine *e, const char *to, const char *name, struct vn_err *err)
{
	VN_AUTO_FREE char *from = NULL, *full = NULL;
	struct vn_command cmd = { 0 };
	int rc = vn_engine_full_name(to, &from, err);
	if (rc == 0)
		rc = vn_engine_full_name(name, &full, err);
	vn_command_add(&cmd, "tag", from, full, NULL);
	return rc < 0 ? rc : vn_podman_run((struct vn_podman *)e, &cmd, NULL, err);
}

static int let_go(struct vn_podman *p, const char *full, struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	char keeper[VN_KEEPER];
	vn_command_add(&cmd, "rm", "--force", "--ignore", vn_engine_keeper(full, keeper), NULL);
	return vn_podman_run(p, &cmd, NULL, err);
}

static int podman_keep(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_podman *p = (struct vn_podman *)e;
	VN_AUTO_FREE char *full = NULL, *label = NULL;
	struct vn_command there = { 0 }, make = { 0 };
	struct vn_err ignored = { 0 };
	char keeper[VN_KEEPER];
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_asprintf(&label, err, VN_KEEPER_LABEL "=%s", full);
	if (rc < 0)
		return rc;
	vn_command_add(&there, "container", "exists", vn_engine_keeper(full, keeper), NULL);
	if (vn_podman_run(p, &there, NULL, &ignored) == 0)
		return 0;
	vn_command_add(&make, "create", "--pull", "never", "--network", "none", "--name", keeper, "--label", label, full, "veneer", NULL);
	return vn_podman_run(p, &make, NULL, err);
}

static int podman_forget(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_podman *p = (struct vn_podman *)e;
	struct vn_err gone = { 0 };
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO_JSON *json = NULL;
	struct vn_command cmd = { 0 };
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_podman_sweep(p, err);
	vn_command_add(&cmd, "rmi", full, NULL);
	if (rc == 0)
		rc = let_go(p, full, err);
	if (rc == 0)
		rc = vn_podman_run(p, &cmd, NULL, err);
	if (rc != -VN_EIO || !cmd.status)
		return rc;
	if (inspect(p, full, &json, &gone) == -VN_ENOTFOUND)
		return 0;
	/* podman-rmi(1): 2 when a container uses it */
	if (cmd.status == 2)
		err->code = VN_EREFUSED;
	return -(int)err->code;
}

/* VN_EREFUSED when a container was made from it: it would be removed too. */
static int unused(struct vn_podman *p, const char *id, struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	VN_AUTO(vn_buf) list = VN_BUF(VN_MAX_ENGINE_JSON);
	VN_AUTO_FREE char *filter = NULL;
	int rc = vn_asprintf(&filter, err, "ancestor=%s", id);
	vn_command_add(&cmd, "ps", "--all", "--quiet", "--filter", filter, NULL);
	if (rc == 0)
		rc = vn_podman_run(p, &cmd, &list, err);
	if (rc == 0 && list.len)
		rc = vn_fail(err, VN_EREFUSED, "the container %.12s was made from the image %.12s", list.data, id);
	return rc;
}

static int podman_discard(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	struct vn_podman *p = (struct vn_podman *)e;
	const struct vn_config *c = &in->image->config;
	const char *id = vn_digest_hex(&in->image->manifest.config.digest);
	VN_AUTO_JSON *json = NULL, *list = NULL;
	VN_AUTO_FREE char *full = NULL;
	struct vn_command cmd = { 0 };
	int rc = vn_podman_sweep(p, err);
	if (rc == 0)
		rc = vn_engine_full_name(in->name, &full, err);
	if (rc == 0)
		rc = let_go(p, full, err);
	if (rc == 0)
		rc = inspect(p, id, &json, err);
	if (rc == 0)
		rc = unused(p, id, err);
	vn_command_add(&cmd, "rmi", "--force", id, NULL);
	if (rc == 0)
		rc = vn_podman_run(p, &cmd, NULL, err);
	if (rc < 0 && rc != -VN_ENOTFOUND)
		return rc;
	rc = store_layers(p, &list, err);
	struct vn_jv layers = vn_jv_root(list, "layers.json");
	for (size_t i = in->present; rc == 0 && i < c->ndiff_ids && i < in->image->nlayers; i++)
		if (in_store(&layers, c->diff_ids[i].text, in->image->layers[i].desc.digest.text)) {
			vn_fail(err, VN_EREFUSED, "layer %zu of %s, which may be damaged, is also used by another image of podman", i + 1,
				in->name);
			rc = vn_hint(err, "remove that image, or pull it anew, and try again");
		}
	return rc;
}

/* ---- the data folder */
static int podman_sync(struct vn_engine *e, struct vn_err *err)
{
	struct vn_podman *p = (struct vn_podman *)e;
	int rc = find_store(p, err);
	VN_AUTO_CLOSE int fd = rc == 0 ? open(p->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (rc < 0)
		return rc;
	if (fd < 0 || syncfs(fd) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot make %s durable", p->root);
	return 0;
}

static const char *podman_data(struct vn_engine *e)
{
	struct vn_err ignored = { 0 };
	struct vn_podman *p = (struct vn_podman *)e;
	return find_store(p, &ignored) < 0 ? NULL : p->root;
}

static int podman_handle(struct vn_engine *e, const char *name, char **ret, struct vn_err *err)
{
	(void)e;
	return vn_engine_full_name(name, ret, err);
}

static void podman_close(struct vn_engine *e)
{
	struct vn_podman *p = (struct vn_podman *)e;
	free(p->scratch);
	free(p->temporary);
	free(p->label);
	free(p->text);
	free(p->root);
	free(p->driver);
	free(p);
}

static const struct vn_engine_ops podman_ops = {
	.name = "podman",
	.look = podman_look,
	.layers = podman_layers,
	.files = vn_podman_files,
	.load = podman_load,
	.prove = podman_prove,
	.reread = podman_reread,
	.sync = podman_sync,
	.name_as = podman_name_as,
	.keep = podman_keep,
	.forget = podman_forget,
	.discard = podman_discard,
	.data = podman_data,
	.handle = podman_handle,
	.close = podman_close,
};

static int split_words(struct vn_podman *p, struct vn_err *err)
{
	char *save = NULL;
	for (char *word = p->text ? strtok_r(p->text, " \t", &save) : NULL; word; word = strtok_r(NULL, " \t", &save)) {
		if (p->nwords == VN_MAX_ENDPOINT_WORDS)
			return vn_fail(err, VN_ELIMIT, "the endpoint of podman has more than %d arguments", VN_MAX_ENDPOINT_WORDS);
		p->words[p->nwords++] = word;
	}
	return 0;
}

int vn_engine_podman_open(const char *endpoint, const char *scratch, const struct vn_events *events, struct vn_engine **ret,
			  struct vn_err *err)
{
	struct vn_podman *p = calloc(1, sizeof(*p));
	if (!p)
		return vn_nomem(err);
	p->e = (struct vn_engine){ &podman_ops, events };
	int rc = vn_strdup(endpoint, &p->text, err);
	if (rc == 0)
		rc = split_words(p, err);
	if (rc == 0)
		rc = vn_strdup(scratch, &p->scratch, err);
	if (rc == 0)
		rc = vn_asprintf(&p->temporary, err, "%s/podman", scratch);
	if (rc == 0)
		rc = vn_asprintf(&p->label, err, VN_PODMAN_LABEL "=%s", scratch);
	if (rc < 0) {
		podman_close(&p->e);
		return rc;
	}
	*ret = &p->e;
	return 0;
}
