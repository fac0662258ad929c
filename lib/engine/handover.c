#include "engine/handover.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int vn_scratch_file(const char *scratch, int *ret_fd, struct vn_err *err)
{
	int fd = open(scratch, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		VN_AUTO(vn_tmp) tmp = VN_TMP;
		int rc = vn_tmp_open(&tmp, scratch, err);
		if (rc < 0)
			return rc;
		fd = tmp.fd;
		tmp.fd = -1;
		*ret_fd = fd;
		return 0;
	}
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot make a file in %s", scratch);
	*ret_fd = fd;
	return 0;
}

/* The engine has it, and nothing above needs the same blob. */
static bool left_out(const struct vn_incoming *in, size_t layer)
{
	const struct vn_image *image = in->image;
	if (layer >= in->present)
		return false;
	for (size_t i = in->present; i < image->nlayers; i++)
		if (vn_digest_equal(&image->layers[layer].desc.digest, &image->layers[i].desc.digest))
			return false;
	return true;
}

static int add_blobs(const struct vn_incoming *in, struct vn_archive *a, struct vn_err *err)
{
	const struct vn_image *image = in->image;
	struct vn_in *blob = NULL;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < image->nlayers; i++) {
		char what[512];
		if (left_out(in, i))
			continue;
		rc = vn_source_blob(image->source, &image->layers[i].desc, image->cache, vn_image_layer_name(image, i, what), &blob, err);
		if (rc == 0)
			rc = vn_archive_blob(a, &image->layers[i].desc, blob, err);
	}
	if (rc == 0)
		rc = vn_in_memory(image->config_bytes.data, image->config_bytes.len, &blob, err);
	if (rc == 0)
		rc = vn_archive_blob(a, &image->manifest.config, blob, err);
	if (rc == 0)
		rc = vn_in_memory(image->manifest_bytes.data, image->manifest_bytes.len, &blob, err);
	return rc < 0 ? rc : vn_archive_blob(a, &image->desc, blob, err);
}

static int write_archive(const struct vn_incoming *in, struct vn_archive *a, struct vn_err *err)
{
	char name[600];
	VN_AUTO(vn_ref) parsed = { 0 };
	VN_AUTO_FREE char *brief = NULL, *full = NULL;
	snprintf(name, sizeof(name), "%s", in->name);
	const struct vn_ref ref = { .name = name };
	int rc = vn_ref_parse(name, &parsed, err);
	if (rc == 0)
		rc = vn_archive_names(&ref, &brief, &full, err);
	if (rc == 0)
		rc = add_blobs(in, a, err);
	if (rc == 0)
		rc = vn_archive_index(a, &in->image->desc, parsed.tag, full, err);
	if (rc == 0)
		rc = vn_archive_docker(a, &in->image->manifest, brief, err);
	return rc < 0 ? rc : vn_archive_finish(a, err);
}

int vn_handover(const struct vn_incoming *in, int fd, struct vn_err *err)
{
	struct vn_archive *a = NULL;
	int rc = vn_archive_begin(fd, "the archive for the engine", &a, err);
	if (rc == 0)
		rc = write_archive(in, a, err);
	vn_archive_close(a);
	return rc;
}
