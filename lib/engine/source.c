#include "engine/docker.h"
#include "engine/engine.h"
#include "store/archive.h"
#include "stream/out.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <unistd.h>

/* Fails with a sentence of ours when the image is not there, before anything is exported. */
static int check_present(struct vn_docker *e, const struct vn_ref *ref, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO_JSON *json = NULL;
	int rc = vn_docker_path("/images/", ref->name, "/json", &path, err);
	if (rc == 0)
		rc = vn_docker_json(e, path, &json, err);
	if (rc != -VN_ENOTFOUND)
		return rc;
	vn_fail(err, VN_ENOTFOUND, "the engine at %s has no image %.200s", e->where, ref->name);
	return vn_hint(err, "`docker image ls` lists what it has");
}

static int export(struct vn_docker *e, const struct vn_ref *ref, const struct vn_events *events, struct vn_tmp *tmp,
		  struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO(vn_http_response) r = { 0 };
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *out = NULL;
	int rc = vn_docker_path("/images/", ref->name, "/get", &path, err);
	if (rc == 0)
		rc = vn_docker_call(e, "GET", path, NULL, 0, &r, err);
	if (rc == 0)
		rc = vn_tmp_anonymous(tmp, err);
	if (rc == 0)
		rc = vn_out_fd(tmp->fd, "a temporary file", &out, err);
	if (rc == 0) {
		in = vn_steal(r.body);
		rc = events ? vn_in_meter(vn_steal(in), ref->text, 0, events, &in, err) : 0;
	}
	return rc < 0 ? rc : vn_copy(in, out, NULL, err);
}

int vn_docker_daemon_source_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret,
				 struct vn_err *err)
{
	VN_AUTO(vn_docker) e = { 0 };
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	int rc = vn_docker_open(NULL, &e, err);
	if (rc == 0)
		rc = check_present(&e, ref, err);
	if (rc == 0)
		rc = export(&e, ref, events, &tmp, err);
	if (rc < 0)
		return vn_wrap(err, "%s", ref->text);
	/* the export holds this image alone, under whatever name */
	struct vn_ref only = *ref;
	only.name = NULL;
	int fd = tmp.fd;
	tmp.fd = -1;
	return vn_docker_archive_source_fd(fd, ref->text, &only, events, ret, err);
}
