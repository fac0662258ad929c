#include "engine/handover.h"
#include "engine/podman.h"
#include "engine/rooted.h"
#include "tar/reader.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct vn_command whole_command(const struct vn_podman *p, const struct vn_command *cmd)
{
	struct vn_command whole = { .in = cmd->in, .out = cmd->out, .tmpdir = cmd->tmpdir, .seconds = cmd->seconds };
	vn_command_add(&whole, "podman", NULL);
	for (size_t i = 0; i < p->nwords; i++)
		vn_command_add(&whole, p->words[i], NULL);
	for (size_t i = 0; i < cmd->argc && i < VN_COMMAND_WORDS; i++)
		vn_command_add(&whole, cmd->argv[i], NULL);
	return whole;
}

int vn_podman_in(struct vn_podman *p, const struct vn_command *cmd, struct vn_in **ret, struct vn_err *err)
{
	const struct vn_command whole = whole_command(p, cmd);
	return vn_command_in(&whole, ret, err);
}

int vn_podman_run(struct vn_podman *p, struct vn_command *cmd, struct vn_buf *ret, struct vn_err *err)
{
	struct vn_command whole = whole_command(p, cmd);
	int rc = vn_command_run(&whole, ret, err);
	cmd->status = whole.status;
	memcpy(cmd->said, whole.said, sizeof(cmd->said));
	return rc;
}

/* ---- containers that only hold an image's files */
static int remove_container(struct vn_podman *p, const char *id, struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	vn_command_add(&cmd, "rm", "--force", "--volumes", id, NULL);
	return vn_podman_run(p, &cmd, NULL, err);
}

void vn_podman_container_release(struct vn_podman_container *c)
{
	struct vn_err why = { 0 };
	if (*c->id && remove_container(c->p, c->id, &why) < 0)
		vn_warn(c->p->e.events, "the container %.12s, which is of no use any more, could not be removed: %s", c->id, why.text);
	*c->id = 0;
}

/* What killed runs left. */
int vn_podman_sweep(struct vn_podman *p, struct vn_err *err)
{
	VN_AUTO(vn_buf) list = VN_BUF(VN_MAX_ENGINE_JSON);
	VN_AUTO_FREE char *filter = NULL;
	struct vn_command cmd = { 0 };
	char *save = NULL;
	if (p->swept)
		return 0;
	int rc = vn_asprintf(&filter, err, "label=%s", p->label);
	vn_command_add(&cmd, "ps", "--all", "--quiet", "--no-trunc", "--filter", filter, NULL);
	if (rc == 0)
		rc = vn_podman_run(p, &cmd, &list, err);
	for (char *id = rc == 0 && list.len ? strtok_r(list.data, "\n", &save) : NULL; rc == 0 && id; id = strtok_r(NULL, "\n", &save))
		rc = remove_container(p, id, err);
	if (rc == 0)
		rc = vn_fs_remove_tree(p->temporary, err);
	p->swept = rc == 0;
	return rc;
}

int vn_podman_container(struct vn_podman *p, const char *image, struct vn_podman_container *ret, struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	VN_AUTO(vn_buf) id = VN_BUF(4096);
	vn_command_add(&cmd, "create", "--pull", "never", "--network", "none", "--label", p->label, image, "veneer", NULL);
	int rc = vn_podman_run(p, &cmd, &id, err);
	size_t len = rc == 0 ? strcspn(vn_buf_text(&id), "\n") : 0;
	if (rc == 0 && (!len || len >= sizeof(ret->id)))
		rc = vn_fail(err, VN_EFORMAT, "podman gives a container the ID \"%.100s\"", vn_buf_text(&id));
	if (rc < 0)
		return rc;
	ret->p = p;
	memcpy(ret->id, id.data, len);
	ret->id[len] = 0;
	return 0;
}

/* ---- files */
void vn_podman_mount_release(struct vn_podman_mount *m)
{
	struct vn_err why = { 0 };
	struct vn_command cmd = { 0 };
	vn_close_p(&m->root);
	m->root = -1;
	if (!m->image)
		return;
	vn_command_add(&cmd, "image", "unmount", m->image, NULL);
	if (vn_podman_run(m->p, &cmd, NULL, &why) < 0)
		vn_warn(m->p->e.events, "the image %.19s could not be unmounted: %s", m->image, why.text);
	m->image = NULL;
}

int vn_podman_mount(struct vn_podman *p, const char *image, struct vn_podman_mount *ret, struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	struct vn_command stale = { 0 }, cmd = { 0 };
	VN_AUTO(vn_buf) path = VN_BUF(VN_MAX_PATH);
	VN_AUTO(vn_podman_mount) m = { p, image, -1 };
	vn_command_add(&stale, "image", "unmount", "--force", image, NULL);
	vn_podman_run(p, &stale, NULL, &ignored);
	vn_command_add(&cmd, "image", "mount", image, NULL);
	int rc = vn_podman_run(p, &cmd, &path, err);
	if (rc < 0) {
		m.image = NULL;
		return rc;
	}
	path.data[strcspn(vn_buf_text(&path), "\n")] = 0;
	m.root = open(path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m.root < 0)
		return vn_fail_sys(err, VN_EIO, "cannot open %s, where podman mounted an image", path.data);
	*ret = m;
	m = (struct vn_podman_mount){ NULL, NULL, -1 };
	return 0;
}

static int copy_out(struct vn_podman *p, const struct vn_podman_container *c, const char *path, int fd, uint64_t *at, struct vn_err *err)
{
	VN_AUTO_FREE char *from = NULL;
	VN_AUTO_CLOSE int file = -1;
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	struct vn_command cmd = { 0 };
	struct vn_in *in = NULL;
	const struct vn_tar_entry *entry;
	const void *block;
	ssize_t n = 0;
	int more = 0, rc = vn_asprintf(&from, err, "%s:/%s", c->id, path);
	if (rc == 0)
		rc = vn_scratch_file(p->scratch, &file, err);
	cmd.out = file;
	vn_command_add(&cmd, "cp", from, "-", NULL);
	if (rc == 0 && (rc = vn_podman_run(p, &cmd, NULL, err)) == -VN_EIO && cmd.status)
		err->code = VN_ENOTFOUND;
	off_t size = rc == 0 ? lseek(file, 0, SEEK_END) : 0;
	if (rc == 0)
		rc = vn_in_slice(file, 0, (uint64_t)size, path, &in, err);
	if (rc == 0)
		rc = vn_tar_open(in, path, &tar, err);
	if (rc == 0)
		more = vn_tar_next(tar, &entry, err);
	if (rc < 0 || more < 0)
		return rc < 0 ? -(int)err->code : more;
	if (!more || entry->type != VN_FILE)
		return vn_fail(err, VN_ENOTFOUND, "the image has no file /%.600s", path);
	while (rc == 0 && (n = vn_tar_data(tar, &block, err)) > 0)
		rc = vn_put_at(fd, block, (size_t)n, at, err);
	return rc < 0 ? rc : (int)n;
}

int vn_podman_files(struct vn_engine *e, const struct vn_digest *image, const char *const *paths, size_t n, int fd, uint64_t at,
			uint64_t *ret_sizes, uint64_t *ret_end, struct vn_err *err)
{
	struct vn_podman *p = (struct vn_podman *)e;
	struct vn_err why = { 0 };
	VN_AUTO(vn_podman_mount) m = { NULL, NULL, -1 };
	VN_AUTO(vn_podman_container) c = { 0 };
	int rc = vn_podman_sweep(p, err);
	if (rc < 0)
		return rc;
	if (vn_podman_mount(p, vn_digest_hex(image), &m, &why) == 0)
		return vn_rooted_files(m.root, paths, n, fd, at, ret_sizes, ret_end, err);
	vn_debug(e->events, "podman: %s", why.text);
	rc = vn_podman_container(p, vn_digest_hex(image), &c, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		uint64_t begin = at;
		rc = copy_out(p, &c, paths[i], fd, &at, err);
		if (ret_sizes)
			ret_sizes[i] = at - begin;
	}
	if (rc == 0)
		*ret_end = at;
	return rc;
}

