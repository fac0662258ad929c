/* What the tests of engines share: an image whose layers are written as lines of text (engine/tree_fixture.h), '|' between them,
 * and commands that are shell scripts. */
#ifndef VN_ENGINE_DEVICE_FIXTURE_H
#define VN_ENGINE_DEVICE_FIXTURE_H
#include "engine/kinds.h"
#include "engine/tree_fixture.h"

#define MADE_LAYERS 4
struct made {
	struct vn_source source;
	struct pen layer[MADE_LAYERS];
	struct vn_digest digest[MADE_LAYERS];
	size_t n;
	char config[1024], manifest[2048];
	size_t lost;                         /* so many bottom layers are not in the store */
	struct vn_image image;
};

static inline int made_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret, struct vn_desc *ret_desc,
				struct vn_err *err)
{
	const struct made *m = (const struct made *)s;
	struct vn_digest digest;
	(void)child;
	CHECK_OK(vn_digest_of(m->manifest, strlen(m->manifest), &digest, err), err);
	CHECK_OK(vn_buf_adds(ret, m->manifest, err), err);
	return vn_desc_init(ret_desc, VN_MT_OCI_MANIFEST, &digest, (int64_t)strlen(m->manifest), err);
}

static inline int made_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	const struct made *m = (const struct made *)s;
	for (size_t i = m->lost; i < m->n; i++)
		if (vn_digest_equal(&desc->digest, &m->digest[i]))
			return vn_in_memory(m->layer[i].bytes.data, m->layer[i].bytes.len, ret, err);
	if (desc->size == (int64_t)strlen(m->config))
		return vn_in_memory(m->config, strlen(m->config), ret, err);
	return vn_fail(err, VN_ENOTFOUND, "no blob %s", desc->digest.text);
}

static inline void made_close(struct vn_source *s)
{
	(void)s;
}

static inline void made_open(struct made *m, const char *text)
{
	static const struct vn_source_ops ops = { .manifest = made_manifest, .blob = made_blob, .close = made_close };
	static char name[] = "made";
	struct vn_err err = { 0 };
	struct vn_digest digest;
	VN_AUTO(vn_buf) ids = VN_BUF(4096), layers = VN_BUF(4096);
	memset(m, 0, sizeof(*m));
	for (; text && m->n < MADE_LAYERS; m->n++) {
		const char *bar = strchr(text, '|'), *comma = m->n ? "," : "";
		pen_layer(text, bar ? (size_t)(bar - text) : strlen(text), &m->layer[m->n]);
		CHECK_OK(vn_digest_of(m->layer[m->n].bytes.data, m->layer[m->n].bytes.len, &m->digest[m->n], &err), &err);
		CHECK_OK(vn_buf_addf(&ids, &err, "%s\"%s\"", comma, m->digest[m->n].text), &err);
		CHECK_OK(vn_buf_addf(&layers, &err, "%s{\"mediaType\":\"" VN_MT_OCI_LAYER "\",\"digest\":\"%s\",\"size\":%zu}", comma,
				     m->digest[m->n].text, m->layer[m->n].bytes.len), &err);
		text = bar ? bar + 1 : NULL;
	}
	snprintf(m->config, sizeof(m->config),
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"x\"]},"
		 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
		 vn_buf_text(&ids));
	CHECK_OK(vn_digest_of(m->config, strlen(m->config), &digest, &err), &err);
	snprintf(m->manifest, sizeof(m->manifest),
		 "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"config\":{\"mediaType\":\"" VN_MT_OCI_CONFIG
		 "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
		 digest.text, strlen(m->config), vn_buf_text(&layers));
	m->source = (struct vn_source){ .ops = &ops, .ref = { .text = name } };
	CHECK_OK(vn_image_open(&m->source, NULL, NULL, &m->image, &err), &err);
}

static inline void made_release(struct made *m)
{
	vn_image_release(&m->image);
	for (size_t i = 0; i < m->n; i++)
		vn_buf_release(&m->layer[i].bytes);
}

/* What `docker save` makes of it, with `last` in place of its top layer (NULL: itself). */
static inline void made_archive(const struct made *m, const char *last, struct pen *ret)
{
	pen_open(ret);
	for (size_t i = 0; i < m->n; i++) {
		const struct pen *layer = &m->layer[i];
		char name[40];
		snprintf(name, sizeof(name), "%zu/layer.tar", i);
		bool other = last && i == m->n - 1;
		pen_file(ret, name, other ? last : layer->bytes.data, other ? strlen(last) : layer->bytes.len);
	}
	pen_close(ret);
}

/* ---- commands */
/* A script `name` in front of PATH, which also writes its words into the file "log". */
static inline void put_command(const char *name, const char *script)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) text = VN_BUF(65536), path = VN_BUF(65536);
	static char usual[4096];
	if (!*usual)
		snprintf(usual, sizeof(usual), "%s", getenv("PATH"));
	CHECK_OK(vn_fs_mkdirs(below("bin"), 0755, &err), &err);
	CHECK_OK(vn_buf_addf(&text, &err, "#!/bin/sh\ncd %s\nprintf '%%s\\n' \"$*\" >>log\n%s\n", test_dir, script), &err);
	char file[80];
	snprintf(file, sizeof(file), "bin/%s", name);
	CHECK_OK(vn_fs_replace(below(file), text.data, text.len, 0755, &err), &err);
	CHECK_OK(vn_buf_addf(&path, &err, "%s:%s", below("bin"), usual), &err);
	setenv("PATH", path.data, 1);
}

static inline void put_text(const char *name, const char *text)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_fs_replace(below(name), text, strlen(text), 0644, &err), &err);
}

/* What the commands were asked since the last call; valid until the next. */
static inline const char *asked(void)
{
	static char text[16384];
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) log = VN_BUF(sizeof(text) - 1);
	text[0] = 0;
	if (vn_fs_read(below("log"), &log, &err) == 0)
		snprintf(text, sizeof(text), "%s", vn_buf_text(&log));
	unlink(below("log"));
	return text;
}
#endif
