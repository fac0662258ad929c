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
#include <strings.h>
#include <sys/stat.h>

#define MAX_LOOKED_AT 500        /* images of the engine that are compared with the new one */

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

static int inspect(struct vn_docker *e, const char *name, vn_json **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_docker_path("/images/", name, "/json", &path, err);
	return rc < 0 ? rc : vn_docker_json(e, path, ret, err);
}

/* ---- which layers the engine has */
static bool keeps_in_containerd(struct vn_docker *e)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_JSON *json = NULL;
	const char *driver = NULL;
	if (vn_docker_json(e, "/info", &json, &ignored) < 0)
		return true;
	struct vn_jv root = vn_jv_root(json, "info"), status = vn_jv_get(&root, "DriverStatus");
	if (!vn_jv_is_object(&root) || vn_jv_opt_text(&root, "Driver", &driver, &ignored) < 0 || !driver)
		return true;
	for (size_t i = 0; i < vn_jv_count(&status); i++) {
		const char *text = "";
		struct vn_jv pair = vn_jv_at(&status, i);
		for (size_t j = 0; j < vn_jv_count(&pair); j++) {
			struct vn_jv item = vn_jv_at(&pair, j);
			if (vn_jv_is_string(&item) && vn_jv_text(&item, &text, &ignored) == 0 && strstr(text, "containerd.snapshotter"))
				return true;
		}
	}
	return false;
}

/* How many of our bottom layers an inspected image has. */
static size_t common_layers(const vn_json *json, const struct vn_config *c)
{
	struct vn_err ignored = { 0 };
	struct vn_jv root = vn_jv_root(json, "image"), fs = vn_jv_get(&root, "RootFS"), layers = vn_jv_get(&fs, "Layers");
	size_t n = 0, count = vn_jv_count(&layers);
	while (n < count && n < c->ndiff_ids) {
		const char *text = NULL;
		struct vn_jv layer = vn_jv_at(&layers, n);
		if (vn_jv_text(&layer, &text, &ignored) < 0 || strcmp(text, c->diff_ids[n].text))
			break;
		n++;
	}
	return n;
}

static size_t layers_present(struct vn_docker *e, const struct vn_config *c)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_JSON *list = NULL;
	size_t best = 0;
	if (vn_docker_json(e, "/images/json", &list, &ignored) < 0)
		return 0;
	struct vn_jv root = vn_jv_root(list, "images");
	for (size_t i = 0; i < vn_jv_count(&root) && i < MAX_LOOKED_AT && best < c->ndiff_ids; i++) {
		VN_AUTO_JSON *json = NULL;
		const char *id = NULL;
		struct vn_jv image = vn_jv_at(&root, i);
		if (!vn_jv_is_object(&image) || vn_jv_need_text(&image, "Id", &id, &ignored) < 0 ||
		    inspect(e, id, &json, &ignored) < 0)
			continue;
		size_t n = common_layers(json, c);
		best = n > best ? n : best;
	}
	return best;
}

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
	size_t present = keeps_in_containerd(&s->e) ? 0 : layers_present(&s->e, c), n = 0;
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
	int rc = inspect(&s->e, s->repo_tag, &json, err);
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

/* ---- loading */
/* One object of the progress stream: {"error": …, "errorDetail": {"message": …}} or {"stream": …}. An engine over containerd tells
 * of a failed unpacking in the latter and goes on. */
static int check_line(const struct daemon_sink *s, const char *line, size_t len, struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_JSON *json = NULL;
	const char *error = NULL, *stream = NULL;
	if (!len || vn_json_parse(line, len, "progress", &json, &ignored) < 0)
		return 0;
	struct vn_jv root = vn_jv_root(json, "progress");
	if (!vn_jv_is_object(&root))
		return 0;
	vn_jv_opt_text(&root, "error", &error, &ignored);
	vn_jv_opt_text(&root, "stream", &stream, &ignored);
	if (!error && stream && strcasestr(stream, "error unpacking"))
		error = stream;
	if (stream && !error)
		vn_debug(s->k.events, "%s: %.300s", s->k.ref.text, stream);
	if (!error)
		return 0;
	vn_fail(err, VN_EIO, "the engine at %s could not load the image: %.400s", s->e.where, error);
	return s->nleft_out ? vn_hint(err, "if an image was removed from the engine just now, run the command again") : -VN_EIO;
}

static int read_progress(const struct daemon_sink *s, struct vn_in *in, struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_ENGINE_JSON);
	int rc = vn_in_read_all(in, &text, err);
	for (size_t at = 0; rc == 0 && at < text.len;) {
		const char *line = text.data + at, *end = memchr(line, '\n', text.len - at);
		size_t len = end ? (size_t)(end - line) : text.len - at;
		rc = check_line(s, line, len, err);
		at += len + 1;
	}
	return rc;
}

static int load(struct daemon_sink *s, struct vn_err *err)
{
	struct stat st;
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_http_response) r = { 0 };
	if (fstat(s->tmp.fd, &st) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot look at a temporary file");
	int rc = vn_in_slice(s->tmp.fd, 0, (uint64_t)st.st_size, "a temporary file", &in, err);
	if (rc == 0 && s->k.events)
		rc = vn_in_meter(vn_steal(in), s->k.ref.text, (uint64_t)st.st_size, s->k.events, &in, err);
	if (rc == 0)
		rc = vn_docker_call(&s->e, "POST", "/images/load?quiet=1", in, st.st_size, &r, err);
	if (rc == 0)
		rc = read_progress(s, r.body, err);
	/* the response ends before what it was an answer to */
	vn_http_response_release(&r);
	return rc;
}

static int not_as_sent(const struct daemon_sink *s, const char *what, const char *found, const char *expected, struct vn_err *err)
{
	return vn_fail(err, VN_EIO, "the engine at %s took %s, but shows the %s %.80s instead of %.80s", s->e.where, s->repo_tag, what,
		       found, expected);
}

static int verify(struct daemon_sink *s, struct vn_err *err)
{
	VN_AUTO_JSON *json = NULL;
	const char *id = NULL;
	int rc = inspect(&s->e, s->repo_tag, &json, err);
	if (rc < 0)
		return vn_wrap(err, "look at what was loaded");
	struct vn_jv root = vn_jv_root(json, "the engine's reply"), fs = vn_jv_get(&root, "RootFS"), layers = vn_jv_get(&fs, "Layers");
	rc = vn_jv_want_object(&root, err);
	if (rc == 0)
		rc = vn_jv_need_text(&root, "Id", &id, err);
	if (rc < 0)
		return rc;
	if (strcmp(id, s->manifest.config.digest.text) && strcmp(id, s->root.digest.text))
		return not_as_sent(s, "image", id, s->manifest.config.digest.text, err);
	if (!s->diff_ids)
		return 0;
	if (vn_jv_count(&layers) != s->ndiff_ids)
		return vn_fail(err, VN_EIO, "the engine at %s took %s, but shows %zu layers instead of %zu", s->e.where, s->repo_tag,
			       vn_jv_count(&layers), s->ndiff_ids);
	for (size_t i = 0; i < s->ndiff_ids; i++) {
		const char *text = NULL;
		struct vn_jv layer = vn_jv_at(&layers, i);
		rc = vn_jv_text(&layer, &text, err);
		if (rc < 0)
			return rc;
		if (strcmp(text, s->diff_ids[i].text))
			return not_as_sent(s, "layer", text, s->diff_ids[i].text, err);
	}
	return 0;
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
		rc = load(s, err);
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
		rc = vn_docker_open(&s->e, err);
	if (rc < 0) {
		daemon_close(&s->k);
		return vn_wrap(err, "%s", ref->text);
	}
	*ret = &s->k;
	return 0;
}
