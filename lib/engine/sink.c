/* Blobs are collected as an archive in an unnamed file and handed to POST /images/load at commit. A classic engine looks a layer up
 * by its chain ID before it opens the member (moby, image/tarexport/load.go), so that the bottom layers which some image of it has
 * in the same order need not be sent. One that keeps images in containerd wants every blob. */
#include "engine/docker.h"
#include "engine/engine.h"
#include "store/archive.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <stdlib.h>
#include <string.h>

struct daemon_sink {
	struct vn_sink k;
	struct vn_docker e;
	char *repo_tag, *full_name;
	struct vn_tmp tmp;
	struct vn_archive *a;                /* NULL until the first put */
	struct vn_digest *left_out;          /* blobs that the engine needs not */
	size_t nleft_out;
	struct vn_digest *diff_ids;          /* when they were told */
	size_t ndiff_ids;
	struct vn_desc root;
	struct vn_manifest manifest;
};

static int daemon_expect(struct vn_sink *k, const struct vn_manifest *m, const struct vn_config *c, struct vn_err *err)
{
	struct daemon_sink *s = (struct daemon_sink *)k;
	if (m->nlayers != c->ndiff_ids || !m->nlayers || s->a)
		return 0;
	struct vn_digest *ids = calloc(m->nlayers, sizeof(*ids)), *out = calloc(m->nlayers, sizeof(*out));
	if (!ids || !out) {
		free(ids);
		free(out);
		return vn_nomem(err);
	}
	memcpy(ids, c->diff_ids, m->nlayers * sizeof(*ids));
	size_t present = vn_docker_keeps_in_containerd(&s->e) ? 0 : vn_docker_layers_present(&s->e, c, NULL), n = 0;
	for (size_t i = 0; i < present; i++) {
		/* a blob that serves a higher layer too is needed there */
		bool again = false;
		for (size_t j = present; j < m->nlayers; j++)
			again = again || vn_digest_equal(&m->layers[i].digest, &m->layers[j].digest);
		if (!again)
			out[n++] = m->layers[i].digest;
	}
	vn_debug(k->events, "%s: the engine has %zu of %zu layers", k->ref.text, present, m->nlayers);
	free(s->diff_ids);
	free(s->left_out);
	s->diff_ids = ids;
	s->ndiff_ids = m->nlayers;
	s->left_out = out;
	s->nleft_out = n;
	return 0;
}

/* ---- collecting */
static int begin(struct daemon_sink *s, struct vn_err *err)
{
	if (s->a)
		return 0;
	int rc = vn_tmp_anonymous(&s->tmp, err);
	return rc < 0 ? rc : vn_archive_begin(s->tmp.fd, s->k.ref.text, &s->a, err);
}

static int daemon_current(struct vn_sink *k, struct vn_desc *ret, struct vn_err *err)
{
	struct daemon_sink *s = (struct daemon_sink *)k;
	VN_AUTO_JSON *json = NULL;
	const char *id;
	struct vn_digest digest;
	int rc = vn_docker_inspect(&s->e, s->repo_tag, &json, err);
	if (rc < 0)
		return rc;
	struct vn_jv root = vn_jv_root(json, "the engine's reply");
	rc = vn_jv_want_object(&root, err);
	if (rc == 0)
		rc = vn_jv_need_text(&root, "Id", &id, err);
	if (rc == 0)
		rc = vn_digest_parse(id, &digest, err);
	return rc < 0 ? rc : vn_desc_init(ret, VN_MT_DOCKER_CONFIG, &digest, -1, err);
}

static int daemon_has_blob(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	const struct daemon_sink *s = (struct daemon_sink *)k;
	bool there = s->a && vn_archive_has(s->a, &desc->digest);
	(void)err;
	for (size_t i = 0; !there && i < s->nleft_out; i++)
		there = vn_digest_equal(&s->left_out[i], &desc->digest);
	*ret = there;
	return 0;
}

static int daemon_put_blob(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err)
{
	struct daemon_sink *s = (struct daemon_sink *)k;
	struct vn_in *in = NULL;
	int rc = begin(s, err);
	if (rc == 0)
		rc = body->open(body, &in, err);
	if (rc == 0)
		rc = vn_archive_blob(s->a, desc, in, err);
	return rc < 0 ? vn_wrap(err, "collect for %s", k->ref.text) : 0;
}

static int daemon_put_manifest(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged,
			       struct vn_err *err)
{
	struct daemon_sink *s = (struct daemon_sink *)k;
	struct vn_in *in = NULL;
	VN_AUTO(vn_manifest) m = { 0 };
	VN_AUTO(vn_desc) root = { 0 };
	if (!tagged || vn_mediatype(desc->media_type)->kind == VN_KIND_INDEX) {
		vn_fail(err, VN_EFORMAT, "%s: an engine holds images of one platform, and this is an index", k->ref.text);
		return vn_hint(err, "choose one with --platform");
	}
	int rc = begin(s, err);
	if (rc == 0)
		rc = vn_manifest_parse(bytes, len, &m, err);
	if (rc == 0)
		rc = vn_in_memory(bytes, len, &in, err);
	if (rc == 0)
		rc = vn_archive_blob(s->a, desc, in, err);
	if (rc == 0)
		rc = vn_desc_copy(desc, &root, err);
	if (rc < 0)
		return vn_wrap(err, "collect for %s", k->ref.text);
	vn_desc_release(&s->root);
	vn_manifest_release(&s->manifest);
	s->root = root;
	s->manifest = m;
	root = (struct vn_desc){ 0 };
	m = (struct vn_manifest){ 0 };
	return 0;
}

static int verify(struct daemon_sink *s, struct vn_err *err)
{
	VN_AUTO_JSON *json = NULL;
	int rc = vn_docker_inspect(&s->e, s->repo_tag, &json, err);
	if (rc < 0)
		return vn_wrap(err, "look at what was loaded");
	return vn_docker_same(&s->e, s->repo_tag, json, &s->manifest.config.digest, &s->root.digest, s->diff_ids, s->ndiff_ids, VN_EIO,
			      err);
}

static int daemon_commit(struct vn_sink *k, struct vn_err *err)
{
	struct daemon_sink *s = (struct daemon_sink *)k;
	if (!s->a || !s->root.media_type)
		return vn_fail(err, VN_EUSAGE, "nothing was written that %s could name", k->ref.text);
	int rc = vn_archive_index(s->a, &s->root, k->ref.tag, s->full_name, err);
	if (rc == 0)
		rc = vn_archive_docker(s->a, &s->manifest, s->repo_tag, err);
	if (rc == 0)
		rc = vn_archive_finish(s->a, err);
	if (rc == 0)
		rc = vn_docker_load(&s->e, s->tmp.fd, k->ref.text, s->nleft_out > 0, k->events, err);
	if (rc == 0)
		rc = verify(s, err);
	return rc < 0 ? vn_wrap(err, "%s", k->ref.text) : 0;
}

static int daemon_reopen(struct vn_sink *k, struct vn_source **ret, struct vn_err *err)
{
	return vn_docker_daemon_source_open(&k->ref, k->events, ret, err);
}

static void daemon_close(struct vn_sink *k)
{
	struct daemon_sink *s = (struct daemon_sink *)k;
	vn_archive_close(s->a);
	vn_tmp_release(&s->tmp);
	vn_docker_release(&s->e);
	vn_desc_release(&s->root);
	vn_manifest_release(&s->manifest);
	vn_ref_release(&k->ref);
	free(s->left_out);
	free(s->diff_ids);
	free(s->repo_tag);
	free(s->full_name);
	free(s);
}

static const struct vn_sink_ops daemon_ops = {
	.current = daemon_current,
	.has_blob = daemon_has_blob,
	.put_blob = daemon_put_blob,
	.put_manifest = daemon_put_manifest,
	.commit = daemon_commit,
	.close = daemon_close,
	.reopen = daemon_reopen,
	.expect = daemon_expect,
};

int vn_docker_daemon_sink_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_sink **ret,
			       struct vn_err *err)
{
	if (!vn_digest_none(&ref->digest)) {
		vn_fail(err, VN_EUSAGE, "%s: a digest cannot be written to", ref->text);
		return vn_hint(err, "name a tag: docker-daemon:NAME:TAG");
	}
	struct daemon_sink *s = calloc(1, sizeof(*s));
	if (!s)
		return vn_nomem(err);
	s->k.ops = &daemon_ops;
	s->k.events = events;
	s->tmp = (struct vn_tmp)VN_TMP;
	int rc = vn_ref_parse(ref->text, &s->k.ref, err);
	if (rc == 0)
		rc = vn_archive_names(ref, &s->repo_tag, &s->full_name, err);
	if (rc == 0)
		rc = vn_docker_open(NULL, &s->e, err);
	if (rc < 0) {
		daemon_close(&s->k);
		return vn_wrap(err, "%s", ref->text);
	}
	*ret = &s->k;
	return 0;
}
