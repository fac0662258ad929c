#include "engine/ctr.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ctr itself waits ten seconds for an engine that is not there. */
int vn_ctr_answers(const struct vn_ctr *c, struct vn_err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(c->address) >= sizeof(a.sun_path))
		return vn_fail(err, VN_EUSAGE, "%.200s is too long for the path of a socket", c->address);
	memcpy(a.sun_path, c->address, strlen(c->address) + 1);
	VN_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot make a socket");
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return 0;
	if (errno == EACCES || errno == EPERM) {
		vn_fail(err, VN_EAUTH, "no permission to talk to containerd at %s", c->address);
		return vn_hint(err, "run as root");
	}
	vn_fail_sys(err, VN_ENETWORK, "no containerd at %s", c->address);
	return vn_hint(err, "start it, or name another socket: ADDRESS[,NAMESPACE]");
}

static struct vn_command whole_command(const struct vn_ctr *c, const struct vn_command *cmd)
{
	struct vn_command whole = { .in = cmd->in, .out = cmd->out, .seconds = cmd->seconds };
	vn_command_add(&whole, "ctr", "--address", c->address, "--namespace", c->space, NULL);
	for (size_t i = 0; i < cmd->argc && i < VN_COMMAND_WORDS; i++)
		vn_command_add(&whole, cmd->argv[i], NULL);
	return whole;
}

int vn_ctr_in(struct vn_ctr *c, const struct vn_command *cmd, struct vn_in **ret, struct vn_err *err)
{
	const struct vn_command whole = whole_command(c, cmd);
	int rc = vn_ctr_answers(c, err);
	return rc < 0 ? rc : vn_command_in(&whole, ret, err);
}

int vn_ctr_run(struct vn_ctr *c, struct vn_command *cmd, struct vn_buf *ret, struct vn_err *err)
{
	struct vn_command whole = whole_command(c, cmd);
	int rc = vn_ctr_answers(c, err);
	if (rc < 0)
		return rc;
	rc = vn_command_run(&whole, ret, err);
	cmd->status = whole.status;
	memcpy(cmd->said, whole.said, sizeof(cmd->said));
	if (rc != -VN_EIO || !whole.status)
		return rc;
	if (strstr(whole.said, "not found"))
		err->code = VN_ENOTFOUND;
	else if (strstr(whole.said, "failed to dial") || strstr(whole.said, "code = Unavailable"))
		err->code = VN_ENETWORK;
	return -(int)err->code;
}

/* ---- tables */
size_t vn_ctr_words(char *line, char **words, size_t n)
{
	size_t found = 0;
	for (char *save = NULL, *word = strtok_r(line, " \t", &save); word && found < n; word = strtok_r(NULL, " \t", &save))
		words[found++] = word;
	return found;
}

/* Rows of `ctr images ls`: REF TYPE DIGEST SIZE … below a head. `full` NULL: by target; else that name. */
static int find_row(struct vn_ctr *c, const char *full, const struct vn_digest *target, char **ret_name, struct vn_digest *ret,
		    struct vn_err *err)
{
	VN_AUTO_FREE char *filter = NULL;
	VN_AUTO(vn_buf) list = VN_BUF(VN_MAX_ENGINE_JSON);
	struct vn_command cmd = { 0 };
	char *save = NULL;
	int rc = full ? vn_asprintf(&filter, err, "name==\"%s\"", full) : vn_asprintf(&filter, err, "target.digest==\"%s\"", target->text);
	vn_command_add(&cmd, "images", "ls", filter, NULL);
	if (rc == 0)
		rc = vn_ctr_run(c, &cmd, &list, err);
	if (rc < 0)
		return rc;
	for (char *line = list.len ? strtok_r(list.data, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		char *word[3];
		if (vn_ctr_words(line, word, 3) < 3 || !vn_digest_valid(word[2]) || (full && strcmp(word[0], full)) ||
		    (!full && strcmp(word[2], target->text)))
			continue;
		rc = ret_name ? vn_strdup(word[0], ret_name, err) : 0;
		return rc < 0 || !ret ? rc : vn_digest_parse(word[2], ret, err);
	}
	return vn_fail(err, VN_ENOTFOUND, "containerd at %s has no image %.200s in the namespace %s", c->address,
		       full ? full : target->text, c->space);
}

int vn_ctr_target(struct vn_ctr *c, const char *full, struct vn_digest *ret, struct vn_err *err)
{
	return find_row(c, full, NULL, NULL, ret, err);
}

int vn_ctr_name_of(struct vn_ctr *c, const struct vn_digest *target, char **ret, struct vn_err *err)
{
	return find_row(c, NULL, target, ret, NULL, err);
}

int vn_ctr_check(struct vn_ctr *c, const char *full, struct vn_err *err)
{
	VN_AUTO_FREE char *filter = NULL;
	VN_AUTO(vn_buf) list = VN_BUF(VN_MAX_ENGINE_JSON);
	struct vn_command cmd = { 0 };
	char *save = NULL;
	int rc = vn_asprintf(&filter, err, "name==\"%s\"", full);
	vn_command_add(&cmd, "images", "check", filter, NULL);
	if (rc == 0)
		rc = vn_ctr_run(c, &cmd, &list, err);
	if (rc < 0)
		return rc;
	/* REF TYPE DIGEST STATUS (N/M) SIZE UNPACKED, where STATUS may be "incomplete" and SIZE two words */
	for (char *line = list.len ? strtok_r(list.data, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		char *word[16];
		size_t n = vn_ctr_words(line, word, 16);
		if (n < 5 || strcmp(word[0], full))
			continue;
		if (strcmp(word[3], "complete"))
			return vn_fail(err, VN_EDIGEST, "%s is %s %s in containerd", full, word[3], word[4]);
		if (strcmp(word[n - 1], "true"))
			return vn_fail(err, VN_EDIGEST, "containerd has not unpacked %s", full);
		return 0;
	}
	return vn_fail(err, VN_ENOTFOUND, "containerd at %s has no image %.200s", c->address, full);
}

int vn_ctr_roots(struct vn_ctr *c, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) list = VN_BUF(VN_MAX_ENGINE_JSON);
	struct vn_command cmd = { 0 };
	char *save = NULL;
	vn_command_add(&cmd, "plugins", "ls", "--detailed", NULL);
	int rc = vn_ctr_run(c, &cmd, &list, err);
	if (rc < 0)
		return rc;
	/* plugins that do not work show where they would be, too */
	for (char *line = list.len ? strtok_r(list.data, "\n", &save) : NULL; rc == 0 && line; line = strtok_r(NULL, "\n", &save)) {
		char *word[3];
		if (vn_ctr_words(line, word, 3) == 2 && !strcmp(word[0], "root") && *word[1] == '/')
			rc = vn_buf_add(ret, word[1], strlen(word[1]) + 1, err);
	}
	return rc;
}

/* ---- images */
int vn_ctr_content(struct vn_ctr *c, const struct vn_digest *digest, struct vn_buf *ret, struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	struct vn_digest found;
	vn_command_add(&cmd, "content", "get", digest->text, NULL);
	int rc = vn_ctr_run(c, &cmd, ret, err);
	if (rc == 0)
		rc = vn_digest_of(ret->data ? ret->data : "", ret->len, &found, err);
	if (rc == 0 && !strncmp(digest->text, "sha256:", 7) && !vn_digest_equal(&found, digest))
		rc = vn_fail(err, VN_EDIGEST, "containerd at %s gives %s for %s", c->address, found.text, digest->text);
	return rc;
}

void vn_ctr_image_release(struct vn_ctr_image *image)
{
	free(image->name);
	vn_manifest_release(&image->manifest);
	vn_config_release(&image->config);
	memset(image, 0, sizeof(*image));
}

/* Manifest and configuration behind a target. */
static int resolve(struct vn_ctr *c, struct vn_ctr_image *image, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST), config = VN_BUF(VN_MAX_CONFIG);
	VN_AUTO(vn_index) index = { 0 };
	enum vn_kind kind = VN_KIND_UNKNOWN;
	const char *type = NULL;
	image->digest = image->target;
	int rc = vn_ctr_content(c, &image->target, &bytes, err);
	if (rc == 0)
		rc = vn_manifest_kind(bytes.data, bytes.len, NULL, &kind, &type, err);
	if (rc == 0 && kind == VN_KIND_INDEX) {
		const struct vn_desc *child = NULL;
		rc = vn_index_parse(bytes.data, bytes.len, &index, err);
		if (rc == 0)
			rc = vn_index_select(&index, NULL, &child, err);
		vn_buf_clear(&bytes);
		if (rc == 0)
			image->digest = child->digest;
		if (rc == 0)
			rc = vn_ctr_content(c, &image->digest, &bytes, err);
	}
	if (rc == 0)
		rc = vn_manifest_parse(bytes.data, bytes.len, &image->manifest, err);
	if (rc == 0)
		rc = vn_ctr_content(c, &image->manifest.config.digest, &config, err);
	return rc < 0 ? rc : vn_config_parse(config.data, config.len, &image->config, err);
}

static int find_config(struct vn_ctr *c, const char *digest, struct vn_ctr_image *ret, struct vn_err *err)
{
	VN_AUTO(vn_buf) list = VN_BUF(VN_MAX_ENGINE_JSON);
	struct vn_command cmd = { 0 };
	char *save = NULL;
	vn_command_add(&cmd, "images", "ls", NULL);
	int rc = vn_ctr_run(c, &cmd, &list, err);
	if (rc < 0)
		return rc;
	for (char *line = list.len ? strtok_r(list.data, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		struct vn_err ignored = { 0 };
		VN_AUTO(vn_ctr_image) image = { 0 };
		char *word[3];
		if (vn_ctr_words(line, word, 3) < 3 || vn_digest_parse(word[2], &image.target, &ignored) < 0 ||
		    resolve(c, &image, &ignored) < 0 || strcmp(image.manifest.config.digest.text, digest))
			continue;
		rc = vn_strdup(word[0], &image.name, err);
		if (rc < 0)
			return rc;
		*ret = image;
		image = (struct vn_ctr_image){ 0 };
		return 0;
	}
	return vn_fail(err, VN_ENOTFOUND, "containerd at %s has no image with the configuration %s in the namespace %s", c->address, digest,
		       c->space);
}

int vn_ctr_find(struct vn_ctr *c, const char *name, struct vn_ctr_image *ret, struct vn_err *err)
{
	VN_AUTO(vn_ctr_image) image = { 0 };
	if (vn_digest_valid(name))
		return find_config(c, name, ret, err);
	int rc = vn_ctr_target(c, name, &image.target, err);
	if (rc == 0)
		rc = vn_strdup(name, &image.name, err);
	if (rc == 0)
		rc = resolve(c, &image, err);
	if (rc < 0)
		return rc;
	*ret = image;
	image = (struct vn_ctr_image){ 0 };
	return 0;
}

/* ---- blobs */
struct content {
	struct vn_source source;
	struct vn_ctr *c;
};

static int content_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			    struct vn_err *err)
{
	enum vn_kind kind;
	const char *type = NULL;
	if (!child)
		return vn_fail(err, VN_ENOTFOUND, "containerd's content has no names");
	int rc = vn_ctr_content(((struct content *)s)->c, &child->digest, ret_bytes, err);
	if (rc == 0)
		rc = vn_manifest_kind(ret_bytes->data, ret_bytes->len, NULL, &kind, &type, err);
	return rc < 0 ? rc : vn_desc_init(ret_desc, type, &child->digest, (int64_t)ret_bytes->len, err);
}

static int content_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	struct vn_command cmd = { 0 };
	vn_command_add(&cmd, "content", "get", desc->digest.text, NULL);
	return vn_ctr_in(((struct content *)s)->c, &cmd, ret, err);
}

static void content_close(struct vn_source *s)
{
	vn_ref_release(&s->ref);
	free(s);
}

int vn_ctr_source(struct vn_ctr *c, const char *name, struct vn_source **ret, struct vn_err *err)
{
	static const struct vn_source_ops ops = { .manifest = content_manifest, .blob = content_blob, .close = content_close };
	struct content *s = calloc(1, sizeof(*s));
	if (!s)
		return vn_nomem(err);
	s->source = (struct vn_source){ .ops = &ops, .events = c->e.events };
	s->c = c;
	int rc = vn_strdup(name, &s->source.ref.text, err);
	if (rc < 0)
		content_close(&s->source);
	else
		*ret = &s->source;
	return rc;
}
