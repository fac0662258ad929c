/* Archives as sinks. The file on its way has no name where the filesystem can do that (O_TMPFILE), so that a killed run leaves
 * nothing; at commit it takes the place of FILE. An archive is written as a whole: one that holds other images is not touched. */
#include "store/archive.h"
#include "store/layout.h"
#include "store/members.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct archive_sink {
	struct vn_sink k;
	bool docker;
	char *repo_tag, *full_name;          /* docker */
	struct vn_tmp tmp;
	struct vn_archive *a;                /* NULL until the first put */
	struct vn_desc root;
	struct vn_manifest manifest;         /* docker */
};

static const char *file_of(const struct archive_sink *s)
{
	return s->k.ref.path;
}

/* ---- what stands there */
static int refuse(const struct archive_sink *s, const char *why, struct vn_err *err)
{
	vn_fail(err, VN_EREFUSED, "%s exists and %s; an archive is written as a whole", file_of(s), why);
	return vn_hint(err, "name another file, or remove this one");
}

static int open_standing(const struct archive_sink *s, struct vn_members **ret, struct vn_err *err)
{
	struct stat st;
	if (stat(file_of(s), &st) == 0 && S_ISREG(st.st_mode) && !st.st_size)
		return vn_fail(err, VN_ENOTFOUND, "%s is empty", file_of(s));
	return vn_members_open(file_of(s), NULL, ret, err);
}

static int check_oci(const struct archive_sink *s, const struct vn_members *members, struct vn_err *err)
{
	struct vn_err why = { 0 };
	VN_AUTO(vn_buf) index = VN_BUF(VN_MAX_ARCHIVE_JSON);
	VN_AUTO(vn_index) x = { 0 };
	const char *tag = s->k.ref.tag;
	if (vn_members_read(members, "index.json", &index, &why) < 0 ||
	    vn_index_parse(vn_buf_text(&index), index.len, &x, &why) < 0)
		return refuse(s, "is no OCI archive", err);
	for (size_t i = 0; i < x.nmanifests; i++) {
		const char *own = vn_desc_annotation(&x.manifests[i], VN_REF_NAME);
		if (tag ? !own || strcmp(own, tag) : own != NULL)
			return refuse(s, "holds another image", err);
	}
	return 0;
}

static int check_docker(const struct archive_sink *s, const struct vn_members *members, struct vn_err *err)
{
	struct vn_err why = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_ARCHIVE_JSON);
	VN_AUTO_JSON *json = NULL;
	if (vn_members_read(members, "manifest.json", &bytes, &why) < 0 ||
	    vn_json_parse(vn_buf_text(&bytes), bytes.len, "manifest.json", &json, &why) < 0)
		return refuse(s, "is no docker-archive", err);
	struct vn_jv root = vn_jv_root(json, "manifest.json"), image = vn_jv_at(&root, 0), tags = vn_jv_get(&image, "RepoTags");
	bool same = vn_jv_count(&root) <= 1 && vn_jv_count(&tags) <= 1;
	for (size_t i = 0; same && i < vn_jv_count(&tags); i++) {
		const char *text;
		struct vn_jv tag = vn_jv_at(&tags, i);
		same = vn_jv_text(&tag, &text, &why) == 0 && s->repo_tag &&
		       (!strcmp(text, s->repo_tag) || !strcmp(text, s->full_name));
	}
	return same ? 0 : refuse(s, "holds another image", err);
}

static int check_standing(const struct archive_sink *s, struct vn_err *err)
{
	struct vn_err why = { 0 };
	VN_CLEANUP(vn_members_close_p) struct vn_members *members = NULL;
	int rc = open_standing(s, &members, &why);
	if (rc == -VN_ENOTFOUND)
		return 0;
	if (rc == -VN_EFORMAT || rc == -VN_EUNSAFE || rc == -VN_ELIMIT)
		return refuse(s, "is no archive of images", err);
	if (rc < 0) {
		*err = why;
		return rc;
	}
	return s->docker ? check_docker(s, members, err) : check_oci(s, members, err);
}

static int archive_current(struct vn_sink *k, struct vn_desc *ret, struct vn_err *err)
{
	struct archive_sink *s = (struct archive_sink *)k;
	VN_CLEANUP(vn_members_close_p) struct vn_members *members = NULL;
	VN_AUTO_SOURCE *source = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	int rc = check_standing(s, err);
	if (rc == 0)
		rc = open_standing(s, &members, err);
	if (rc < 0)
		return rc;
	if (s->docker) {
		rc = vn_docker_archive_source_open(&k->ref, k->events, &source, err);
		return rc < 0 ? rc : vn_source_manifest(source, NULL, &bytes, ret, err);
	}
	rc = vn_members_read(members, "index.json", &bytes, err);
	return rc < 0 ? rc : vn_layout_entry(&bytes, k->ref.tag, file_of(s), ret, err);
}

/* ---- the file on its way */
static int folder_of(const char *path, char **ret, struct vn_err *err)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return vn_strdup(".", ret, err);
	return vn_asprintf(ret, err, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static int open_file(struct archive_sink *s, struct vn_err *err)
{
	VN_AUTO_FREE char *dir = NULL;
	int rc = folder_of(file_of(s), &dir, err);
	if (rc < 0)
		return rc;
	s->tmp.fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (s->tmp.fd >= 0)
		return 0;
	return vn_tmp_open(&s->tmp, dir, err);
}

/* Gives the unnamed file the name that was asked for or, where another file stands, one that vn_tmp_publish can rename. What
 * takes time comes before, so that a killed run leaves no file that nobody asked for. */
static int name_file(struct archive_sink *s, bool *ret_done, struct vn_err *err)
{
	char self[40];
	uint8_t salt[4];
	VN_AUTO_FREE char *dir = NULL, *path = NULL;
	if (s->tmp.path)
		return 0;
	if (fchmod(s->tmp.fd, 0644) < 0 || fsync(s->tmp.fd) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write %s", file_of(s));
	int rc = folder_of(file_of(s), &dir, err);
	if (rc == 0)
		rc = vn_random(salt, sizeof(salt), err);
	if (rc == 0)
		rc = vn_asprintf(&path, err, "%s/.tmp-%02x%02x%02x%02x", dir, salt[0], salt[1], salt[2], salt[3]);
	if (rc < 0)
		return rc;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", s->tmp.fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, file_of(s), AT_SYMLINK_FOLLOW) == 0) {
		*ret_done = true;
		return vn_fs_sync_dir(dir, err);
	}
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot put %s in its place", file_of(s));
	s->tmp.path = vn_steal(path);
	return 0;
}

static int begin(struct archive_sink *s, struct vn_err *err)
{
	if (s->a)
		return 0;
	int rc = check_standing(s, err);
	if (rc == 0)
		rc = open_file(s, err);
	if (rc == 0)
		rc = vn_archive_begin(s->tmp.fd, file_of(s), &s->a, err);
	return rc;
}

static int archive_has_blob(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	const struct archive_sink *s = (struct archive_sink *)k;
	(void)err;
	*ret = s->a && vn_archive_has(s->a, &desc->digest);
	return 0;
}

static int archive_put_blob(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err)
{
	struct archive_sink *s = (struct archive_sink *)k;
	struct vn_in *in = NULL;
	int rc = begin(s, err);
	if (rc == 0)
		rc = body->open(body, &in, err);
	if (rc == 0)
		rc = vn_archive_blob(s->a, desc, in, err);
	return rc < 0 ? vn_wrap(err, "write %s", file_of(s)) : 0;
}

static int one_image_only(const struct archive_sink *s, struct vn_err *err)
{
	vn_fail(err, VN_EFORMAT, "%s: a docker-archive holds images of one platform, and this is an index", file_of(s));
	return vn_hint(err, "choose one with --platform, or write to oci-archive:FILE");
}

static int archive_put_manifest(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged,
				struct vn_err *err)
{
	struct archive_sink *s = (struct archive_sink *)k;
	struct vn_in *in = NULL;
	VN_AUTO(vn_manifest) m = { 0 };
	VN_AUTO(vn_desc) root = { 0 };
	if (s->docker && (!tagged || vn_mediatype(desc->media_type)->kind == VN_KIND_INDEX))
		return one_image_only(s, err);
	int rc = begin(s, err);
	if (rc == 0 && s->docker)
		rc = vn_manifest_parse(bytes, len, &m, err);
	if (rc == 0)
		rc = vn_in_memory(bytes, len, &in, err);
	if (rc == 0)
		rc = vn_archive_blob(s->a, desc, in, err);
	if (rc == 0 && tagged)
		rc = vn_desc_copy(desc, &root, err);
	if (rc < 0)
		return vn_wrap(err, "write %s", file_of(s));
	if (tagged) {
		vn_desc_release(&s->root);
		vn_manifest_release(&s->manifest);
		s->root = root;
		s->manifest = m;
		root = (struct vn_desc){ 0 };
		m = (struct vn_manifest){ 0 };
	}
	return 0;
}

static int archive_commit(struct vn_sink *k, struct vn_err *err)
{
	struct archive_sink *s = (struct archive_sink *)k;
	if (!s->a || !s->root.media_type)
		return vn_fail(err, VN_EUSAGE, "nothing was written that %s could name", k->ref.text);
	int rc = vn_archive_index(s->a, &s->root, k->ref.tag, s->full_name, err);
	if (rc == 0 && s->docker)
		rc = vn_archive_docker(s->a, &s->manifest, s->repo_tag, err);
	if (rc == 0)
		rc = vn_archive_finish(s->a, err);
	bool done = false;
	if (rc == 0)
		rc = name_file(s, &done, err);
	if (rc == 0 && !done)
		rc = vn_tmp_publish(&s->tmp, file_of(s), 0644, err);
	return rc < 0 ? vn_wrap(err, "write %s", file_of(s)) : 0;
}

static int archive_reopen(struct vn_sink *k, struct vn_source **ret, struct vn_err *err)
{
	const struct archive_sink *s = (struct archive_sink *)k;
	return s->docker ? vn_docker_archive_source_open(&k->ref, k->events, ret, err)
			 : vn_oci_archive_source_open(&k->ref, k->events, ret, err);
}

static void archive_close(struct vn_sink *k)
{
	struct archive_sink *s = (struct archive_sink *)k;
	vn_archive_close(s->a);
	vn_tmp_release(&s->tmp);
	vn_desc_release(&s->root);
	vn_manifest_release(&s->manifest);
	vn_ref_release(&k->ref);
	free(s->repo_tag);
	free(s->full_name);
	free(s);
}

/* The OCI part of either archive is read by programs that find nothing but OCI in a layout. */
static const struct vn_sink_ops archive_ops = {
	.current = archive_current,
	.has_blob = archive_has_blob,
	.put_blob = archive_put_blob,
	.put_manifest = archive_put_manifest,
	.commit = archive_commit,
	.close = archive_close,
	.reopen = archive_reopen,
	.only = VN_FAMILY_OCI,
};

static int open_sink(const struct vn_ref *ref, bool docker, const struct vn_events *events, struct vn_sink **ret,
		     struct vn_err *err)
{
	if (!vn_digest_none(&ref->digest))
		return vn_fail(err, VN_EUSAGE, "%s: a digest cannot be written to", ref->text);
	struct archive_sink *s = calloc(1, sizeof(*s));
	if (!s)
		return vn_nomem(err);
	s->k.ops = &archive_ops;
	s->k.events = events;
	s->tmp = (struct vn_tmp)VN_TMP;
	s->docker = docker;
	int rc = vn_ref_parse(ref->text, &s->k.ref, err);
	if (rc == 0 && docker)
		rc = vn_archive_names(ref, &s->repo_tag, &s->full_name, err);
	if (rc == 0)
		rc = check_standing(s, err);
	if (rc < 0) {
		archive_close(&s->k);
		return rc;
	}
	*ret = &s->k;
	return 0;
}

int vn_oci_archive_sink_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_sink **ret, struct vn_err *err)
{
	return open_sink(ref, false, events, ret, err);
}

int vn_docker_archive_sink_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_sink **ret,
				struct vn_err *err)
{
	return open_sink(ref, true, events, ret, err);
}
