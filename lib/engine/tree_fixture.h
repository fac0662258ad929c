/* What the tests of trees share: layers written as lines of text (tar/pen.h), and trees told as one. */
#ifndef VN_ENGINE_TREE_FIXTURE_H
#define VN_ENGINE_TREE_FIXTURE_H
#include "engine/tree.h"
#include "tar/pen.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/test_dir.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static inline void fixture_begin(void)
{
	test_dir_make("tree");
}

static inline void fixture_end(void)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_tree_remove(AT_FDCWD, test_dir, &err), &err);
}

/* ---- layers */
/* The tar of the lines in `len` bytes of text. */
static inline void pen_layer(const char *text, size_t len, struct pen *p)
{
	pen_open(p);
	p->uid = geteuid();
	p->gid = getegid();
	p->mtime = 1000;
	pen_lines(p, text, text + len);
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
