/* Tests: tars written as lines of text.
 *
 *   "d PATH MODE"  "f PATH TEXT"  "l PATH TARGET"  "h PATH TARGET"  "w PATH" (whiteout)  "o PATH" (opaque mark)
 *   "c PATH MAJOR:MINOR"  "p PATH"  "x PATH NAME=VALUE" (a file with an extended attribute)  "m PATH TIME" (a file of that time)
 *
 * one line for each entry, separated by "; ". */
#ifndef VN_TAR_PEN_H
#define VN_TAR_PEN_H
#include "stream/out.h"
#include "tar/writer.h"
#include "util/buf.h"
#include "util/test.h"
#include <stdlib.h>
#include <sys/types.h>

struct pen {
	struct vn_buf bytes;
	struct vn_out *out;
	struct vn_tar_writer *w;
	uid_t uid;                   /* owner and time of what names none */
	gid_t gid;
	int64_t mtime;
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
	struct vn_tar_entry own = *e;
	own.uid = own.uid ? own.uid : p->uid;
	own.gid = own.gid ? own.gid : p->gid;
	CHECK_OK(vn_tar_write_entry(p->w, &own, &p->err), &p->err);
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
	struct vn_tar_entry e = { .path = path, .mode = 0644, .mtime = p->mtime };
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

/* Lines up to `end`. */
static inline void pen_lines(struct pen *p, const char *text, const char *end)
{
	char line[1024];
	while (text < end) {
		size_t n = strcspn(text, ";");
		n = n < (size_t)(end - text) ? n : (size_t)(end - text);
		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		text += n + (text + n < end);
		text += text < end ? strspn(text, " ") : 0;
		char *path = strlen(line) > 1 ? line + 2 : line + 1, *rest = path + strcspn(path, " ");
		if (*rest)
			*rest++ = 0;
		pen_line(p, line[0], path, rest);
	}
}

static inline void pen_text(struct pen *p, const char *text)
{
	pen_lines(p, text, text + strlen(text));
}
#endif
