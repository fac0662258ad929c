/* What the tests of trees share: layers written as lines of text, and trees told as one.
 *
 *   "d PATH MODE"  "f PATH TEXT"  "l PATH TARGET"  "h PATH TARGET"  "w PATH" (whiteout)  "o PATH" (opaque mark)
 *   "c PATH MAJOR:MINOR"  "p PATH"  "x PATH NAME=VALUE" (a file with an extended attribute)
 *
 * one line for each entry, separated by "; ". */
#ifndef VN_ENGINE_TREE_FIXTURE_H
#define VN_ENGINE_TREE_FIXTURE_H
#include "engine/tree.h"
#include "tar/writer.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static char fixture_dir[256];

static inline void fixture_begin(void)
{
	const char *dir = getenv("TMPDIR");
	snprintf(fixture_dir, sizeof(fixture_dir), "%s/veneer-tree-XXXXXX", dir && *dir && strlen(dir) < 200 ? dir : "/tmp");
	CHECK(mkdtemp(fixture_dir) != NULL);
}

static inline void fixture_end(void)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_tree_remove(AT_FDCWD, fixture_dir, &err), &err);
}

/* A path below the folder; four of them live at a time. */
static inline const char *below(const char *name)
{
	static char path[4][600];
	static unsigned turn;
	char *p = path[turn++ % 4];
	snprintf(p, 600, "%s/%s", fixture_dir, name);
	return p;
}

/* ---- layers */
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
	struct vn_tar_entry own = *e;
	own.uid = own.uid ? own.uid : geteuid();
	own.gid = own.gid ? own.gid : getegid();
	CHECK_OK(vn_tar_write_entry(p->w, &own, &p->err), &p->err);
	if (e->size)
		CHECK_OK(vn_tar_write_data(p->w, data, e->size, &p->err), &p->err);
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
	struct vn_tar_entry e = { .path = path, .type = VN_FILE, .mode = 0644 };
	snprintf(path, sizeof(path), "%s%s%s%s", dir, *dir ? "/" : "", prefix, base);
	pen_entry(p, &e, NULL);
}

static inline void pen_line(struct pen *p, char kind, char *path, char *rest)
{
	struct vn_tar_entry e = { .path = path, .type = VN_FILE, .mode = 0644, .mtime = 1000 };
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

/* The tar of the lines up to the end or the next '|'. */
static inline void pen_layer(const char *text, size_t len, struct pen *p)
{
	char line[1024];
	pen_open(p);
	for (const char *end = text + len; text < end;) {
		size_t n = 0;
		while (text + n < end && text[n] != ';')
			n++;
		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		text += n + (text + n < end);
		while (text < end && *text == ' ')
			text++;
		char *path = strlen(line) > 1 ? line + 2 : line + 1, *rest = path + strcspn(path, " ");
		if (*rest)
			*rest++ = 0;
		pen_line(p, line[0], path, rest);
	}
	pen_close(p);
}

/* ---- trees */
static inline int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void tell_file(int dir, const char *name, const char *path, char kind, struct vn_buf *out, struct vn_err *err)
{
	char text[600] = "";
	ssize_t n = 0;
	VN_AUTO_CLOSE int fd = kind == '-' ? openat(dir, name, O_RDONLY | O_NOFOLLOW) : -1;
	if (fd >= 0)
		n = read(fd, text, sizeof(text) - 1);
	else if (kind == 'l')
		n = readlinkat(dir, name, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	CHECK_OK(vn_buf_addf(out, err, "%s%c %s%s%s", out->len ? ", " : "", kind, path,
			     kind == '-'   ? "="
			     : kind == 'l' ? ">"
					   : "",
			     text),
		 err);
}

static inline void tell_dir(int fd, const char *path, struct vn_buf *out)
{
	struct vn_err err = { 0 };
	char *names[200] = { NULL };
	size_t n = 0;
	DIR *d = fdopendir(dup(fd));
	rewinddir(d);
	for (const struct dirent *e; (e = readdir(d)) && n < 200;)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			names[n++] = strdup(e->d_name);
	closedir(d);
	qsort(names, n, sizeof(*names), by_text);
	for (size_t i = 0; i < n; i++) {
		char here[1000];
		struct stat st = { 0 };
		snprintf(here, sizeof(here), "%s%s%s", path, *path ? "/" : "", names[i]);
		CHECK(fstatat(fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0);
		char kind = S_ISDIR(st.st_mode)	   ? 'd'
			    : S_ISLNK(st.st_mode)  ? 'l'
			    : S_ISCHR(st.st_mode)  ? 'c'
			    : S_ISFIFO(st.st_mode) ? 'p'
						   : '-';
		tell_file(fd, names[i], here, kind, out, &err);
		VN_AUTO_CLOSE int sub = kind == 'd' ? openat(fd, names[i], O_RDONLY | O_DIRECTORY) : -1;
		if (sub >= 0)
			tell_dir(sub, here, out);
		free(names[i]);
	}
}

/* Unpacks layers that are separated by '|' into the new folder `name`, each above the last as trees are: a copy, then the
 * layer. */
static inline int unpack(const char *text, const char *name, const struct vn_events *events, struct vn_err *err)
{
	int rc = 0;
	VN_AUTO_CLOSE int before = -1;
	for (int i = 0; rc == 0 && text; i++) {
		char here[40];
		struct pen p;
		struct vn_in *in = NULL;
		VN_AUTO_TREE *t = NULL;
		const char *bar = strchr(text, '|');
		snprintf(here, sizeof(here), "%s.%d", name, i);
		const char *dir = below(bar ? here : name);
		pen_layer(text, bar ? (size_t)(bar - text) : strlen(text), &p);
		CHECK(mkdir(dir, 0755) == 0);
		VN_AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY);
		rc = vn_tree_open(fd, name, events, &t, err);
		if (rc == 0)
			rc = before < 0 ? vn_tree_begin(t, err) : vn_tree_copy(t, before, err);
		if (rc == 0)
			rc = vn_in_memory(p.bytes.data, p.bytes.len, &in, err);
		if (rc == 0)
			rc = vn_tree_apply(t, in, "layer", err);
		vn_buf_release(&p.bytes);
		if (before >= 0)
			close(before);
		before = fd;
		fd = -1;
		text = bar ? bar + 1 : NULL;
	}
	return rc;
}
#endif
