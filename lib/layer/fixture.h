/* What this module's tests share: layers written as lines of text, their indexes, and what a merge of them shows.
 *
 *   "d PATH MODE"  "f PATH TEXT"  "l PATH TARGET"  "h PATH TARGET"  "w PATH" (whiteout)  "o PATH" (opaque mark)
 *   "c PATH MAJOR:MINOR"  "p PATH"  "x PATH NAME=VALUE" (a file with an extended attribute)  "m PATH TIME" (a file of that time)
 *
 * one line for each entry, separated by "; ". */
#ifndef VN_LAYER_FIXTURE_H
#define VN_LAYER_FIXTURE_H
#include "layer/compare.h"
#include "layer/facts.h"
#include "stream/out.h"
#include "tar/writer.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/test.h"
#include <stdlib.h>

static const struct vn_index_options fixture_options = { .key = { 1, 2, 3, 4, 5 }, .gather = &vn_gather_facts };

/* ---- tars */
struct pen {
	struct vn_buf bytes;
	struct vn_out *out;
	struct vn_tar_writer *w;
	struct vn_err err;
};

static inline void pen_open(struct pen *p)
{
	memset(p, 0, sizeof(*p));
	p->bytes.max = SIZE_MAX / 2;
	CHECK_OK(vn_out_buf(&p->bytes, &p->out, &p->err), &p->err);
	CHECK_OK(vn_tar_writer_open(p->out, &p->w, &p->err), &p->err);
}

static inline void pen_entry(struct pen *p, const struct vn_tar_entry *e, const void *data)
{
	CHECK_OK(vn_tar_write_entry(p->w, e, &p->err), &p->err);
	if (e->size)
		CHECK_OK(vn_tar_write_data(p->w, data, e->size, &p->err), &p->err);
}

static inline void pen_file(struct pen *p, const char *path, const void *data, size_t len)
{
	struct vn_tar_entry e = { .path = path, .type = VN_FILE, .mode = 0644, .size = len };
	pen_entry(p, &e, data);
}

static inline void pen_close(struct pen *p)
{
	CHECK_OK(vn_tar_writer_finish(p->w, &p->err), &p->err);
	vn_tar_writer_close(p->w);
	vn_out_close(p->out);
}

static inline void pen_mark(struct pen *p, const char *dir, const char *prefix, const char *base)
{
	char path[5000];
	snprintf(path, sizeof(path), "%s%s%s%s", dir, *dir ? "/" : "", prefix, base);
	pen_file(p, path, "", 0);
}

static inline void pen_line(struct pen *p, char kind, char *path, char *rest)
{
	struct vn_tar_entry e = { .path = path, .mode = 0644 };
	struct vn_xattr xattr = { .name = rest };
	char *slash = strrchr(path, '/'), *mark;
	switch (kind) {
	case 'd':
		e.type = VN_DIR;
		e.mode = *rest ? (uint32_t)strtoul(rest, NULL, 8) : 0755;
		break;
	case 'l':
	case 'h':
		e.type = kind == 'l' ? VN_SYMLINK : VN_HARDLINK;
		e.link = rest;
		break;
	case 'c':
		e.type = VN_CHAR;
		e.dev_major = (uint32_t)strtoul(rest, &mark, 10);
		e.dev_minor = (uint32_t)strtoul(mark + 1, NULL, 10);
		break;
	case 'p':
		e.type = VN_FIFO;
		break;
	case 'x':
		mark = strchr(rest, '=');
		*mark++ = 0;
		xattr.value = mark;
		xattr.len = strlen(mark);
		e.xattrs = &xattr;
		e.nxattrs = 1;
		break;
	case 'm':
		e.mtime = (int64_t)strtoul(rest, NULL, 10);
		break;
	case 'w':
		if (slash)
			*slash = 0;
		pen_mark(p, slash ? path : "", ".wh.", slash ? slash + 1 : path);
		return;
	case 'o':
		pen_mark(p, path, "", ".wh..wh..opq");
		return;
	default:
		e.size = strlen(rest);
	}
	pen_entry(p, &e, rest);
}

static inline void pen_text(struct pen *p, const char *text)
{
	char line[512];
	while (*text) {
		size_t n = strcspn(text, ";");
		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		text += n + (text[n] == ';');
		text += strspn(text, " ");
		char *path = strlen(line) > 1 ? line + 2 : line + 1, *rest = path + strcspn(path, " ");
		if (*rest)
			*rest++ = 0;
		pen_line(p, line[0], path, rest);
	}
}

/* ---- indexes */
/* Index tar bytes in blocks of at most `chunk` (0: as they come). */
static inline int index_bytes(const void *bytes, size_t len, size_t chunk, struct vn_layer_index *ret, struct vn_err *err)
{
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	struct vn_in *in = NULL;
	int r = vn_tmp_anonymous(&tmp, err);
	if (r == 0)
		r = vn_in_memory(bytes, len, &in, err);
	if (r == 0 && chunk)
		r = vn_in_fault(in, UINT64_MAX, true, chunk, &in, err);
	if (r == 0)
		r = vn_layer_index_build(in, "layer", &fixture_options, tmp.fd, err);
	if (r == 0)
		r = vn_layer_index_adopt(tmp.fd, "layer", ret, err);
	if (r == 0)
		tmp.fd = -1;
	return r;
}

static inline int index_text(const char *text, struct vn_layer_index *ret, struct vn_err *err)
{
	struct pen p;
	pen_open(&p);
	pen_text(&p, text);
	pen_close(&p);
	int r = index_bytes(p.bytes.data, p.bytes.len, 0, ret, err);
	vn_buf_release(&p.bytes);
	return r;
}

#define STACK_MAX 6
struct stack {
	struct vn_layer_index layers[STACK_MAX];
	const struct vn_layer_index *list[STACK_MAX];
	size_t n;
};
/* "LAYER | LAYER | …", the lowest first. */
static inline void stack_open(struct stack *s, const char *text)
{
	struct vn_err err = { 0 };
	char layer[1024];
	s->n = 0;
	for (bool more = *text; more && s->n < STACK_MAX; s->n++) {
		size_t n = strcspn(text, "|");
		snprintf(layer, sizeof(layer), "%.*s", (int)n, text);
		while (n && layer[n - 1] == ' ')
			layer[--n] = 0;
		text += strcspn(text, "|");
		more = *text == '|';
		text += more;
		text += strspn(text, " ");
		s->layers[s->n] = (struct vn_layer_index)VN_LAYER_INDEX;
		s->list[s->n] = &s->layers[s->n];
		CHECK_OK(index_text(layer, &s->layers[s->n], &err), &err);
	}
}

static inline void stack_close(struct stack *s)
{
	for (size_t i = 0; i < s->n; i++)
		vn_layer_index_release(&s->layers[i]);
}
#endif
