/* containerd through its command ctr. endpoint: ADDRESS[,NAMESPACE], by default /run/containerd/containerd.sock and "default"; what the
 * kubelet runs is in "k8s.io". An image here is a name for a manifest or index in the content store, and its layers are needed there
 * as they were compressed. Files are read from a view of its snapshot that is mounted in the scratch folder and at once detached. */
#include "engine/command.h"
#include "engine/ctr.h"
#include "engine/deep.h"
#include "engine/handover.h"
#include "engine/kinds.h"
#include "engine/names.h"
#include "engine/rooted.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define MAX_NAMES 1000               /* of one image */
#define PINNED "io.cri-containerd.pinned=pinned"     /* the kubelet leaves such images alone */

/* ---- looking */
static int containerd_look(struct vn_engine *e, const char *name, struct vn_held *ret, struct vn_err *err)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO(vn_ctr_image) image = { 0 };
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_ctr_find(c, full, &image, err);
	if (rc < 0)
		return rc;
	struct vn_digest *ids = calloc(image.config.ndiff_ids + 1, sizeof(*ids));
	if (!ids)
		return vn_nomem(err);
	memcpy(ids, image.config.diff_ids, image.config.ndiff_ids * sizeof(*ids));
	*ret = (struct vn_held){ image.manifest.config.digest, image.target, ids, image.config.ndiff_ids };
	return 0;
}

static int containerd_layers(struct vn_engine *e, const struct vn_manifest *m, const struct vn_config *config, size_t *ret,
			     struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	VN_AUTO(vn_buf) list = VN_BUF(VN_MAX_ENGINE_JSON);
	size_t n = 0;
	vn_command_add(&cmd, "content", "ls", "--quiet", NULL);
	int rc = vn_ctr_run((struct vn_ctr *)e, &cmd, &list, err);
	if (rc < 0)
		return rc;
	while (m->nlayers == config->ndiff_ids && n < m->nlayers && strstr(vn_buf_text(&list), m->layers[n].digest.text))
		n++;
	*ret = n;
	return 0;
}

/* ---- files */
struct view {
	struct vn_ctr *c;
	char *target;
	int root;
};

static int unmount(struct vn_ctr *c, const char *target, struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
	vn_command_add(&cmd, "images", "unmount", "--rm", target, NULL);
	int rc = vn_ctr_run(c, &cmd, NULL, err);
	rmdir(target);
	return rc == -VN_ENOTFOUND ? 0 : rc;
}

static void view_release(struct view *v)
{
	struct vn_err why = { 0 };
	if (v->root >= 0) {
		close(v->root);
		if (unmount(v->c, v->target, &why) < 0)
			vn_warn(v->c->e.events, "the view of an image at %s could not be taken away: %s", v->target, why.text);
	}
	free(v->target);
	v->target = NULL;
	v->root = -1;
}

static int view_open(struct vn_ctr *c, const struct vn_ctr_image *image, struct view *ret, struct vn_err *err)
{
	char platform[VN_PLATFORM_TEXT];
	struct vn_command cmd = { 0 };
	VN_AUTO(view) v = { c, NULL, -1 };
	int rc = vn_asprintf(&v.target, err, "%s/view", c->scratch);
	/* what a killed run left */
	if (rc == 0 && (!c->swept || vn_fs_exists(v.target)))
		rc = unmount(c, v.target, err);
	c->swept = c->swept || rc == 0;
	if (rc == 0)
		rc = vn_fs_mkdirs(v.target, 0700, err);
	if (rc < 0)
		return rc;
	vn_command_add(&cmd, "images", "mount", "--platform", vn_platform_text(&image->config.platform, platform), image->name, v.target,
		       NULL);
	rc = vn_ctr_run(c, &cmd, NULL, err);
	if (rc < 0) {
		struct vn_err ignored = { 0 };
		unmount(c, v.target, &ignored);
		return rc;
	}
	v.root = open(v.target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* lives on while it is open, and no longer */
	umount2(v.target, MNT_DETACH | UMOUNT_NOFOLLOW);
	if (v.root < 0) {
		rc = vn_fail_sys(err, VN_EIO, "cannot open the view of the image at %s", v.target);
		struct vn_err ignored = { 0 };
		unmount(c, v.target, &ignored);
		return rc;
	}
	*ret = v;
	v = (struct view){ NULL, NULL, -1 };
	return 0;
}

static int containerd_files(struct vn_engine *e, const struct vn_digest *digest, const char *const *paths, size_t n, int fd, uint64_t at,
			    uint64_t *ret_sizes, uint64_t *ret_end, struct vn_err *err)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	VN_AUTO(vn_ctr_image) image = { 0 };
	VN_AUTO(view) v = { NULL, NULL, -1 };
	int rc = vn_ctr_find(c, digest->text, &image, err);
	if (rc == 0)
		rc = view_open(c, &image, &v, err);
	return rc < 0 ? rc : vn_rooted_files(v.root, paths, n, fd, at, ret_sizes, ret_end, err);
}

/* ---- taking in */
/* The name is that image. A target that is an index stands for the manifest in it that this machine takes. */
static int find_incoming(struct vn_ctr *c, const struct vn_incoming *in, const char *full, struct vn_ctr_image *ret, struct vn_err *err)
{
	VN_AUTO(vn_ctr_image) image = { 0 };
	struct vn_digest target;
	int rc = vn_ctr_target(c, full, &target, err);
	if (rc == 0 && (rc = vn_ctr_find(c, full, &image, err)) == -VN_ENOTFOUND)
		rc = vn_fail(err, VN_EDIGEST, "documents of %s are not in containerd", in->name);
	if (rc == 0 && !vn_digest_equal(&image.digest, &in->image->desc.digest))
		rc = vn_fail(err, VN_EDIGEST, "%s is %s in containerd instead of %s", in->name, image.digest.text,
			     in->image->desc.digest.text);
	if (rc < 0)
		return rc;
	*ret = image;
	image = (struct vn_ctr_image){ 0 };
	return 0;
}

static int containerd_prove(struct vn_engine *e, const struct vn_incoming *in, bool deep, struct vn_err *err)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO(vn_ctr_image) image = { 0 };
	VN_AUTO(view) v = { NULL, NULL, -1 };
	VN_AUTO(vn_deep) d = { 0 };
	int rc = vn_engine_full_name(in->name, &full, err);
	if (rc == 0)
		rc = find_incoming(c, in, full, &image, err);
	if (rc == 0)
		rc = vn_ctr_check(c, full, err);
	if (rc == 0)
		rc = view_open(c, &image, &v, err);
	if (rc < 0 || !deep)
		return rc;
	rc = vn_deep_open(in, &d, err);
	return rc < 0 ? rc : vn_deep_tree(&d, v.root, err);
}

/* Its blobs are hashed, and the files that they hold are compared with the view that containers get. Modes are containerd's own: 1.6
 * takes setuid from a file that has a hard link. */
static int reread(struct vn_ctr *c, const char *name, struct vn_err *err)
{
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO(vn_ctr_image) found = { 0 };
	VN_AUTO_SOURCE *content = NULL;
	VN_AUTO(vn_image) image = { 0 };
	VN_AUTO(view) v = { NULL, NULL, -1 };
	VN_AUTO(vn_deep) d = { 0 };
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_ctr_find(c, full, &found, err);
	if (rc == 0)
		rc = vn_ctr_source(c, full, &content, err);
	const struct vn_desc manifest = { .digest = found.digest, .size = -1 };
	if (rc == 0)
		rc = vn_image_open_child(content, &manifest, NULL, &image, err);
	const struct vn_incoming in = { &image, 0, name };
	if (rc == 0)
		rc = vn_deep_open(&in, &d, err);
	if (rc == 0)
		rc = view_open(c, &found, &v, err);
	return rc < 0 ? rc : vn_deep_tree(&d, v.root, err);
}

static int containerd_reread(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_err away = { 0 };
	int rc = reread((struct vn_ctr *)e, name, err);
	if (rc < 0 && vn_ctr_answers((struct vn_ctr *)e, &away) < 0)
		*err = away;
	return rc < 0 ? -(int)err->code : 0;
}

static int import(struct vn_ctr *c, int fd, const struct vn_platform *platform, struct vn_err *err)
{
	char text[VN_PLATFORM_TEXT];
	struct vn_command cmd = { .in = fd };
	if (lseek(fd, 0, SEEK_SET) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read the archive for the engine");
	vn_command_add(&cmd, "images", "import", "--platform", vn_platform_text(platform, text), "-", NULL);
	return vn_ctr_run(c, &cmd, NULL, err);
}

static int remove_name(struct vn_ctr *c, const char *full, struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	vn_command_add(&cmd, "images", "rm", "--sync", full, NULL);
	int rc = vn_ctr_run(c, &cmd, NULL, err);
	return rc == -VN_ENOTFOUND ? 0 : rc;
}

/* What an import cannot finish it leaves under the name. */
static int take_in(struct vn_ctr *c, const struct vn_incoming *in, const char *full, int fd, struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	struct vn_command label = { 0 };
	int rc = import(c, fd, &in->image->config.platform, err);
	vn_command_add(&label, "images", "label", full, PINNED, NULL);
	if (rc == 0)
		rc = vn_ctr_run(c, &label, NULL, err);
	if (rc == 0)
		rc = containerd_prove(&c->e, in, false, err);
	if (rc < 0 && rc != -VN_ENETWORK)
		remove_name(c, full, &ignored);
	return rc;
}

static int containerd_load(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	VN_AUTO_FREE char *full = NULL;
	VN_AUTO_CLOSE int fd = -1;
	int rc = vn_engine_full_name(in->name, &full, err);
	if (rc == 0)
		rc = vn_scratch_file(c->scratch, &fd, err);
	if (rc == 0)
		rc = vn_handover(in, fd, err);
	if (rc < 0)
		return rc;
	rc = take_in(c, in, full, fd, err);
	if (rc == -VN_ENOTFOUND || rc == -VN_EDIGEST) {
		err->code = VN_EIO;
		rc = -VN_EIO;
	}
	return rc;
}

/* ---- names */
/* `ctr images tag --force` removes a name before it makes it again. An import changes it in one transaction: of an archive that holds
 * documents which the content store has, under another name. */
static int move_name(struct vn_ctr *c, const char *from, const struct vn_digest *target, const char *full, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = -1;
	VN_AUTO(vn_ctr_image) image = { 0 };
	VN_AUTO(vn_buf) root = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_archive *a = NULL;
	struct vn_in *in = NULL;
	enum vn_kind kind;
	const char *type = NULL;
	int rc = vn_ctr_find(c, from, &image, err);
	if (rc == 0)
		rc = vn_ctr_content(c, target, &root, err);
	if (rc == 0)
		rc = vn_manifest_kind(root.data, root.len, NULL, &kind, &type, err);
	if (rc == 0)
		rc = vn_desc_init(&desc, type, target, (int64_t)root.len, err);
	if (rc == 0)
		rc = vn_scratch_file(c->scratch, &fd, err);
	if (rc == 0)
		rc = vn_archive_begin(fd, "the archive for the engine", &a, err);
	if (rc == 0)
		rc = vn_in_memory(root.data, root.len, &in, err);
	if (rc == 0)
		rc = vn_archive_blob(a, &desc, in, err);
	if (rc == 0)
		rc = vn_archive_index(a, &desc, NULL, full, err);
	if (rc == 0)
		rc = vn_archive_finish(a, err);
	vn_archive_close(a);
	return rc < 0 ? rc : import(c, fd, &image.config.platform, err);
}

static int containerd_name_as(struct vn_engine *e, const char *to, const char *name, struct vn_err *err)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	VN_AUTO_FREE char *from = NULL, *full = NULL;
	struct vn_digest target, now = { "" };
	struct vn_command tag = { 0 };
	int rc = vn_engine_full_name(to, &from, err);
	if (rc == 0)
		rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_ctr_target(c, from, &target, err);
	if (rc < 0)
		return rc;
	rc = vn_ctr_target(c, full, &now, err);
	if (rc == 0 && vn_digest_equal(&now, &target))
		return 0;
	if (rc == 0) {
		rc = move_name(c, from, &target, full, err);
	} else if (rc == -VN_ENOTFOUND) {
		vn_command_add(&tag, "images", "tag", from, full, NULL);
		rc = vn_ctr_run(c, &tag, NULL, err);
	}
	if (rc == 0)
		rc = vn_ctr_target(c, full, &now, err);
	if (rc == 0 && !vn_digest_equal(&now, &target))
		rc = vn_fail(err, VN_EIO, "%s is %s in containerd after it was made %s", name, now.text, target.text);
	return rc;
}

static int containerd_forget(struct vn_engine *e, const char *name, struct vn_err *err)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	VN_AUTO_FREE char *full = NULL, *filter = NULL;
	VN_AUTO(vn_buf) list = VN_BUF(VN_MAX_ENGINE_JSON);
	struct vn_command cmd = { 0 };
	int rc = vn_engine_full_name(name, &full, err);
	if (rc == 0)
		rc = vn_asprintf(&filter, err, "image==\"%s\"", full);
	vn_command_add(&cmd, "containers", "ls", "--quiet", filter, NULL);
	if (rc == 0)
		rc = vn_ctr_run(c, &cmd, &list, err);
	if (rc < 0)
		return rc;
	if (list.len)
		return vn_fail(err, VN_EREFUSED, "the container %.*s uses %s", (int)strcspn(list.data, "\n"), list.data, name);
	return remove_name(c, full, err);
}

/* Names first, so that nothing but the snapshots themselves keeps them. */
static int containerd_discard(struct vn_engine *e, const struct vn_incoming *in, struct vn_err *err)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	const struct vn_config *config = &in->image->config;
	VN_AUTO_FREE struct vn_digest *chain = calloc(config->ndiff_ids + 1, sizeof(*chain));
	VN_AUTO_FREE char *full = NULL;
	int rc = chain ? vn_engine_full_name(in->name, &full, err) : vn_nomem(err);
	if (rc == 0)
		rc = vn_chain_ids(config->diff_ids, config->ndiff_ids, chain, err);
	if (rc == 0)
		rc = remove_name(c, full, err);
	for (size_t i = 0; rc == 0 && i < MAX_NAMES; i++) {
		VN_AUTO_FREE char *name = NULL;
		rc = vn_ctr_name_of(c, &in->image->desc.digest, &name, err);
		if (rc == 0)
			rc = remove_name(c, name, err);
	}
	if (rc == 0)
		return vn_fail(err, VN_EIO, "%s is named anew while its names are removed", in->name);
	rc = rc == -VN_ENOTFOUND ? 0 : rc;
	for (size_t i = config->ndiff_ids; rc == 0 && i-- > in->present;) {
		struct vn_command cmd = { 0 };
		vn_command_add(&cmd, "snapshots", "rm", chain[i].text, NULL);
		rc = vn_ctr_run(c, &cmd, NULL, err);
		if (rc == -VN_EIO) {
			vn_fail(err, VN_EREFUSED, "layer %zu of %s, which may be damaged, is also used by another image or container: %s",
				i + 1, in->name, cmd.said);
			return vn_hint(err, "remove that from the engine and try again");
		}
		rc = rc == -VN_ENOTFOUND ? 0 : rc;
	}
	return rc;
}

/* ---- the data folders */
static int containerd_sync(struct vn_engine *e, struct vn_err *err)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	VN_AUTO(vn_buf) roots = VN_BUF(VN_MAX_ENGINE_JSON);
	bool any = false;
	int rc = vn_ctr_roots(c, &roots, err);
	if (rc < 0)
		return rc;
	for (size_t at = 0; at < roots.len; at += strlen(roots.data + at) + 1) {
		const char *dir = roots.data + at;
		VN_AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && syncfs(fd) < 0)
			return vn_fail_sys(err, VN_EIO, "cannot make %s durable", dir);
		any = any || fd >= 0;
	}
	if (!any)
		sync();
	return 0;
}

static const char *containerd_data(struct vn_engine *e)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	struct vn_err ignored = { 0 };
	VN_AUTO(vn_buf) roots = VN_BUF(VN_MAX_ENGINE_JSON);
	if (c->data || vn_ctr_roots(c, &roots, &ignored) < 0)
		return c->data;
	for (size_t at = 0; !c->data && at < roots.len; at += strlen(roots.data + at) + 1)
		if (vn_fs_exists(roots.data + at))
			vn_strdup(roots.data + at, &c->data, &ignored);
	return c->data;
}

static int containerd_handle(struct vn_engine *e, const char *name, char **ret, struct vn_err *err)
{
	(void)e;
	return vn_engine_full_name(name, ret, err);
}

static void containerd_close(struct vn_engine *e)
{
	struct vn_ctr *c = (struct vn_ctr *)e;
	free(c->address);
	free(c->space);
	free(c->scratch);
	free(c->data);
	free(c);
}

static const struct vn_engine_ops containerd_ops = {
	.name = "containerd",
	.look = containerd_look,
	.layers = containerd_layers,
	.files = containerd_files,
	.load = containerd_load,
	.prove = containerd_prove,
	.reread = containerd_reread,
	.sync = containerd_sync,
	.name_as = containerd_name_as,
	.forget = containerd_forget,
	.discard = containerd_discard,
	.data = containerd_data,
	.handle = containerd_handle,
	.close = containerd_close,
};

int vn_engine_containerd_open(const char *endpoint, const char *scratch, const struct vn_events *events, struct vn_engine **ret,
			      struct vn_err *err)
{
	struct vn_ctr *c = calloc(1, sizeof(*c));
	if (!c)
		return vn_nomem(err);
	c->e = (struct vn_engine){ &containerd_ops, events };
	if (!endpoint || !*endpoint)
		endpoint = VN_CTR_ADDRESS;
	if (!strncmp(endpoint, "unix://", 7))
		endpoint += 7;
	size_t len = strcspn(endpoint, ",");
	int rc = !len ? vn_strdup(VN_CTR_ADDRESS, &c->address, err) : vn_asprintf(&c->address, err, "%.*s", (int)len, endpoint);
	if (rc == 0)
		rc = vn_strdup(endpoint[len] && endpoint[len + 1] ? endpoint + len + 1 : "default", &c->space, err);
	if (rc == 0)
		rc = vn_strdup(scratch, &c->scratch, err);
	if (rc < 0) {
		containerd_close(&c->e);
		return rc;
	}
	*ret = &c->e;
	return 0;
}
