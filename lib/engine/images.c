#include "engine/docker.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_LOOKED_AT 500        /* images of the engine that are compared with the new one */

int vn_docker_inspect(struct vn_docker *e, const char *name, vn_json **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_docker_path("/images/", name, "/json", &path, err);
	return rc < 0 ? rc : vn_docker_json(e, path, ret, err);
}

/* ---- which layers the engine has */
bool vn_docker_keeps_in_containerd(struct vn_docker *e)
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

size_t vn_docker_layers_present(struct vn_docker *e, const struct vn_config *c, char *ret_image)
{
	struct vn_err ignored = { 0 };
	VN_AUTO_JSON *list = NULL;
	size_t best = 0;
	if (ret_image)
		*ret_image = 0;
	if (vn_docker_json(e, "/images/json", &list, &ignored) < 0)
		return 0;
	struct vn_jv root = vn_jv_root(list, "images");
	for (size_t i = 0; i < vn_jv_count(&root) && i < MAX_LOOKED_AT && best < c->ndiff_ids; i++) {
		VN_AUTO_JSON *json = NULL;
		const char *id = NULL;
		struct vn_jv image = vn_jv_at(&root, i);
		if (!vn_jv_is_object(&image) || vn_jv_need_text(&image, "Id", &id, &ignored) < 0 ||
		    vn_docker_inspect(e, id, &json, &ignored) < 0)
			continue;
		size_t n = common_layers(json, c);
		if (n > best && ret_image)
			snprintf(ret_image, VN_DOCKER_ID, "%s", id);
		best = n > best ? n : best;
	}
	return best;
}

/* ---- loading */
struct progress {
	const struct vn_docker *e;
	const char *what;
	bool thin;
	const struct vn_events *events;
};

/* One object of the progress stream: {"error": …, "errorDetail": {"message": …}} or {"stream": …}. An engine over containerd tells
 * of a failed unpacking in the latter and goes on. */
static int check_line(const struct progress *p, const char *line, size_t len, struct vn_err *err)
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
		vn_debug(p->events, "%s: %.300s", p->what, stream);
	if (!error)
		return 0;
	vn_fail(err, VN_EIO, "the engine at %s could not load the image: %.400s", p->e->where, error);
	return p->thin ? vn_hint(err, "if an image was removed from the engine just now, run the command again") : -VN_EIO;
}

static int read_progress(const struct progress *p, struct vn_in *in, struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_ENGINE_JSON);
	int rc = vn_in_read_all(in, &text, err);
	for (size_t at = 0; rc == 0 && at < text.len;) {
		const char *line = text.data + at, *end = memchr(line, '\n', text.len - at);
		size_t len = end ? (size_t)(end - line) : text.len - at;
		rc = check_line(p, line, len, err);
		at += len + 1;
	}
	return rc;
}

int vn_docker_load(struct vn_docker *e, int fd, const char *what, bool thin, const struct vn_events *events, struct vn_err *err)
{
	const struct progress p = { e, what, thin, events };
	struct stat st;
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_http_response) r = { 0 };
	if (fstat(fd, &st) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot look at a temporary file");
	int rc = vn_in_slice(fd, 0, (uint64_t)st.st_size, "a temporary file", &in, err);
	if (rc == 0 && events)
		rc = vn_in_meter(vn_steal(in), what, (uint64_t)st.st_size, events, &in, err);
	if (rc == 0)
		rc = vn_docker_call(e, "POST", "/images/load?quiet=1", in, st.st_size, &r, err);
	if (rc == 0)
		rc = read_progress(&p, r.body, err);
	/* the response ends before what it was an answer to */
	vn_http_response_release(&r);
	return rc;
}

/* ---- what it shows */
static int not_as_sent(const struct vn_docker *e, const char *name, const char *what, const char *found, const char *expected,
		       enum vn_code code, struct vn_err *err)
{
	return vn_fail(err, code, "the engine at %s took %s, but shows the %s %.80s instead of %.80s", e->where, name, what, found,
		       expected);
}

int vn_docker_same(const struct vn_docker *e, const char *name, const vn_json *inspected, const struct vn_digest *config,
		   const struct vn_digest *manifest, const struct vn_digest *diff_ids, size_t ndiff_ids, enum vn_code code,
		   struct vn_err *err)
{
	const char *id = NULL;
	struct vn_jv root = vn_jv_root(inspected, "the engine's reply"), fs = vn_jv_get(&root, "RootFS"),
		     layers = vn_jv_get(&fs, "Layers");
	int rc = vn_jv_want_object(&root, err);
	if (rc == 0)
		rc = vn_jv_need_text(&root, "Id", &id, err);
	if (rc < 0)
		return rc;
	if (strcmp(id, config->text) && strcmp(id, manifest->text))
		return not_as_sent(e, name, "image", id, config->text, code, err);
	if (!diff_ids)
		return 0;
	if (vn_jv_count(&layers) != ndiff_ids)
		return vn_fail(err, code, "the engine at %s took %s, but shows %zu layers instead of %zu", e->where, name,
			       vn_jv_count(&layers), ndiff_ids);
	for (size_t i = 0; i < ndiff_ids; i++) {
		const char *text = NULL;
		struct vn_jv layer = vn_jv_at(&layers, i);
		rc = vn_jv_text(&layer, &text, err);
		if (rc < 0)
			return rc;
		if (strcmp(text, diff_ids[i].text))
			return not_as_sent(e, name, "layer", text, diff_ids[i].text, code, err);
	}
	return 0;
}
