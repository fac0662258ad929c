/* Members in order: blobs/, blobs/ALG/ and the blobs as they come, then oci-layout, index.json and, for Docker, manifest.json.
 * Modern `docker save` writes the same set; containerd and podman read the OCI part, moby manifest.json. Owner 0, time 0. */
#include "store/archive.h"
#include "store/layout.h"
#include "tar/writer.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdlib.h>
#include <string.h>

struct vn_archive {
	char *name;
	struct vn_out *out;
	struct vn_tar_writer *tar;
	struct vn_digest *has;
	size_t n, cap;
	bool blobs, sha256, sha512;          /* folders that stand */
	bool broken;                         /* a member ended early: the file is of no use */
};

int vn_archive_begin(int fd, const char *name, struct vn_archive **ret, struct vn_err *err)
{
	struct vn_archive *a = calloc(1, sizeof(*a));
	if (!a)
		return vn_nomem(err);
	int rc = vn_strdup(name, &a->name, err);
	if (rc == 0)
		rc = vn_out_fd(fd, name, &a->out, err);
	if (rc == 0)
		rc = vn_tar_writer_open(a->out, &a->tar, err);
	if (rc < 0) {
		vn_archive_close(a);
		return rc;
	}
	*ret = a;
	return 0;
}

void vn_archive_close(struct vn_archive *a)
{
	if (!a)
		return;
	vn_tar_writer_close(a->tar);
	vn_out_close(a->out);
	free(a->has);
	free(a->name);
	free(a);
}

bool vn_archive_has(const struct vn_archive *a, const struct vn_digest *digest)
{
	for (size_t i = 0; i < a->n; i++)
		if (vn_digest_equal(&a->has[i], digest))
			return true;
	return false;
}

/* ---- members */
static int add_folder(struct vn_archive *a, const char *path, bool *stands, struct vn_err *err)
{
	const struct vn_tar_entry entry = { .path = path, .type = VN_DIR, .mode = 0755 };
	if (*stands)
		return 0;
	*stands = true;
	return vn_tar_write_entry(a->tar, &entry, err);
}

static int add_header(struct vn_archive *a, const char *path, uint64_t size, struct vn_err *err)
{
	const struct vn_tar_entry entry = { .path = path, .type = VN_FILE, .mode = 0644, .size = size };
	return vn_tar_write_entry(a->tar, &entry, err);
}

static int add_text(struct vn_archive *a, const char *path, const char *text, size_t len, struct vn_err *err)
{
	int rc = add_header(a, path, len, err);
	return rc < 0 || !len ? rc : vn_tar_write_data(a->tar, text, len, err);
}

static int add_stream(struct vn_archive *a, const struct vn_desc *desc, struct vn_in *in, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	const void *block;
	ssize_t n = 0;
	bool wide = !strncmp(desc->digest.text, "sha512:", 7);
	int rc = vn_layout_blob_path("", &desc->digest, &path, err);
	if (rc == 0)
		rc = add_folder(a, "blobs", &a->blobs, err);
	if (rc == 0)
		rc = add_folder(a, wide ? "blobs/sha512" : "blobs/sha256", wide ? &a->sha512 : &a->sha256, err);
	if (rc == 0)
		rc = add_header(a, path, (uint64_t)desc->size, err);
	while (rc == 0 && (n = vn_in_next(in, &block, err)) > 0)
		rc = vn_tar_write_data(a->tar, block, (size_t)n, err);
	return rc < 0 ? rc : (int)n;
}

int vn_archive_blob(struct vn_archive *a, const struct vn_desc *desc, struct vn_in *in, struct vn_err *err)
{
	VN_AUTO_IN *owned = in;
	if (a->broken)
		return vn_fail(err, VN_EIO, "%s: an earlier member could not be written", a->name);
	if (vn_archive_has(a, &desc->digest))
		return 0;
	if (desc->size < 0)
		return vn_fail(err, VN_EFORMAT, "%s: the size of %s is not known", a->name, desc->digest.text);
	int rc = vn_grow(&a->has, &a->cap, a->n + 1, sizeof(*a->has), err);
	if (rc == 0)
		rc = vn_in_verify(vn_steal(owned), &desc->digest, desc->size, desc->digest.text, &owned, err);
	if (rc < 0)
		return rc;
	rc = add_stream(a, desc, owned, err);
	a->broken = rc < 0;
	if (rc == 0)
		a->has[a->n++] = desc->digest;
	return rc;
}

int vn_archive_index(struct vn_archive *a, const struct vn_desc *root, const char *tag, const char *full_name,
		     struct vn_err *err)
{
	const struct vn_buf none = VN_BUF(0);
	VN_AUTO(vn_buf) index = VN_BUF(VN_MAX_ARCHIVE_JSON);
	int rc = vn_layout_with_entry(&none, a->name, root, tag, full_name, &index, err);
	if (rc == 0)
		rc = add_text(a, VN_LAYOUT_FILE, VN_LAYOUT_TEXT, strlen(VN_LAYOUT_TEXT), err);
	if (rc == 0)
		rc = add_text(a, "index.json", vn_buf_text(&index), index.len, err);
	return rc;
}

static vn_json *blob_name(const struct vn_digest *digest)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_FREE char *path = NULL;
	return vn_layout_blob_path("", digest, &path, &ignored) < 0 ? NULL : vn_json_string(path);
}

int vn_archive_docker(struct vn_archive *a, const struct vn_manifest *m, const char *repo_tag, struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_ARCHIVE_JSON);
	VN_AUTO_JSON *doc = vn_json_array();
	vn_json *image = vn_json_object(), *tags = repo_tag ? vn_json_array() : vn_json_string(NULL), *layers = vn_json_array();
	if (repo_tag)
		vn_json_add(tags, vn_json_string(repo_tag));
	for (size_t i = 0; i < m->nlayers; i++)
		vn_json_add(layers, blob_name(&m->layers[i].digest));
	vn_json_set(image, "Config", blob_name(&m->config.digest));
	vn_json_set(image, "RepoTags", tags);
	vn_json_set(image, "Layers", layers);
	vn_json_add(doc, image);
	int rc = vn_json_text(doc, false, &text, err);
	return rc < 0 ? rc : add_text(a, "manifest.json", vn_buf_text(&text), text.len, err);
}

int vn_archive_finish(struct vn_archive *a, struct vn_err *err)
{
	if (a->broken)
		return vn_fail(err, VN_EIO, "%s: a member could not be written", a->name);
	int rc = vn_tar_writer_finish(a->tar, err);
	return rc < 0 ? rc : vn_out_finish(a->out, err);
}
