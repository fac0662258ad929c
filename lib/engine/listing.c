#include "engine/listing.h"
#include "engine/beneath.h"
#include "engine/rooted.h"
#include "stream/out.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/path.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BLOCK (128u << 10)
#define SEAL "#sha256 "
#define SEAL_LEN (sizeof(SEAL) - 1 + 64 + 1)
#define DIGEST " sha256digest="
#define MAX_LINE (8u * VN_MAX_PATH + 512)    /* a path and the target of a link, four bytes for each of theirs, and words */

/* ---- one path */
static bool is_plain(char c)
{
	return c > ' ' && c < 127 && c != '\\' && c != '#' && c != '=' && c != '*' && c != '?' && c != '[';
}

static int add_name(struct vn_buf *line, const char *name, struct vn_err *err)
{
	int rc = 0;
	for (; rc == 0 && *name; name++)
		rc = is_plain(*name) ? vn_buf_add(line, name, 1, err) : vn_buf_addf(line, err, "\\%03o", (unsigned char)*name);
	return rc;
}

static int add_link(struct vn_buf *line, int root, const char *path, struct vn_err *err)
{
	char target[VN_MAX_PATH + 1];
	const char *base;
	VN_AUTO_CLOSE int parent = vn_beneath_parent(root, path, &base);
	ssize_t n = parent < 0 ? -1 : readlinkat(parent, base, target, sizeof(target) - 1);
	if (n < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read the link \"%.300s\"", path);
	target[n] = 0;
	int rc = vn_buf_adds(line, " link=", err);
	return rc < 0 ? rc : add_name(line, target, err);
}

static int add_digest(struct vn_buf *line, struct vn_hash *hash, int root, const char *path, struct vn_err *err)
{
	VN_AUTO_FREE char *block = malloc(BLOCK);
	VN_AUTO_CLOSE int fd = vn_beneath_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct vn_digest digest;
	ssize_t n;
	if (!block)
		return vn_nomem(err);
	if (fd < 0 && errno == EACCES)
		return 0;
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot open \"%.300s\"", path);
	while ((n = read(fd, block, BLOCK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vn_fail_sys(err, VN_EIO, "cannot read \"%.300s\"", path);
		int rc = vn_hash_add(hash, block, (size_t)n, err);
		if (rc < 0)
			return rc;
	}
	int rc = vn_hash_end(hash, &digest, err);
	return rc < 0 ? rc : vn_buf_addf(line, err, DIGEST "%s", vn_digest_hex(&digest));
}

static const char *type_of(mode_t mode)
{
	return S_ISDIR(mode)  ? "dir"
	     : S_ISLNK(mode)  ? "link"
	     : S_ISCHR(mode)  ? "char"
	     : S_ISBLK(mode)  ? "block"
	     : S_ISFIFO(mode) ? "fifo"
	     : S_ISSOCK(mode) ? "socket"
			      : "file";
}

/* The line of a path without its end; with the digest of a file's contents, which are read for it, or without. */
static int describe(struct vn_buf *line, struct vn_hash *hash, int root, const char *path, const struct stat *st, bool contents,
		    struct vn_err *err)
{
	vn_buf_clear(line);
	int rc = vn_buf_adds(line, *path ? "./" : ".", err);
	if (rc == 0)
		rc = add_name(line, path, err);
	if (rc == 0)
		rc = vn_buf_addf(line, err, " type=%s uid=%u gid=%u", type_of(st->st_mode), (unsigned)st->st_uid, (unsigned)st->st_gid);
	if (rc == 0 && S_ISLNK(st->st_mode))
		return add_link(line, root, path, err);
	if (rc == 0)
		rc = vn_buf_addf(line, err, " mode=%04o", (unsigned)st->st_mode & 07777);
	if (rc == 0 && (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)))
		rc = vn_buf_addf(line, err, " device=native,%u,%u", major(st->st_rdev), minor(st->st_rdev));
	if (rc < 0 || !S_ISREG(st->st_mode))
		return rc;
	rc = vn_buf_addf(line, err, " size=%llu", (unsigned long long)st->st_size);
	return rc < 0 || !contents ? rc : add_digest(line, hash, root, path, err);
}

static int look_at(int root, const char *path, struct stat *ret)
{
	const char *base;
	if (!*path)
		return fstat(root, ret);
	VN_AUTO_CLOSE int parent = vn_beneath_parent(root, path, &base);
	return parent < 0 ? -1 : fstatat(parent, base, ret, AT_SYMLINK_NOFOLLOW);
}

/* ---- lines of a list */
struct lines {
	struct vn_in *in;
	struct vn_buf line, path;
	const char *rest;            /* of the last block */
	size_t left;
};
static void lines_release(struct lines *l)
{
	vn_in_close(l->in);
	vn_buf_release(&l->line);
	vn_buf_release(&l->path);
}

static int lines_open(int fd, struct lines *ret, struct vn_err *err)
{
	struct stat st;
	*ret = (struct lines){ .line = VN_BUF(MAX_LINE), .path = VN_BUF(VN_MAX_PATH) };
	if (fstat(fd, &st) < 0 || st.st_size < 0)
		return vn_fail_sys(err, VN_EIO, "cannot look at the list of files");
	return vn_in_slice(fd, 0, (uint64_t)st.st_size, "the list of files", &ret->in, err);
}

/* The path that a line begins with; *ret_more is what follows it. */
static int read_path(struct lines *l, struct vn_err *err)
{
	const char *p = vn_buf_text(&l->line);
	int rc = 0;
	vn_buf_clear(&l->path);
	bool good = *p++ == '.' && (*p == ' ' || *p == '/');
	for (p += good && *p == '/'; good && rc == 0 && *p && *p != ' '; p++) {
		char c = *p;
		if (c == '\\') {
			good = p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7';
			c = good ? (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0')) : 0;
			p += good ? 3 : 0;
		}
		good = good && c;
		rc = good ? vn_buf_add(&l->path, &c, 1, err) : 0;
	}
	if (rc == 0 && (!good || *p != ' '))
		rc = vn_fail(err, VN_EFORMAT, "the list of files has the line \"%.200s\"", vn_buf_text(&l->line));
	return rc;
}

/* 1 and the next line, without its end, with its path; 0 at the seal or the end. */
static int next_line(struct lines *l, struct vn_err *err)
{
	const void *block;
	vn_buf_clear(&l->line);
	for (;;) {
		const char *end = l->left ? memchr(l->rest, '\n', l->left) : NULL;
		size_t n = end ? (size_t)(end - l->rest) : l->left;
		int rc = vn_buf_add(&l->line, l->left ? l->rest : "", n, err);
		if (rc < 0)
			return rc;
		l->rest = end ? end + 1 : NULL;
		l->left = end ? l->left - n - 1 : 0;
		if (end)
			break;
		ssize_t got = vn_in_next(l->in, &block, err);
		if (got <= 0)
			return (int)got;
		l->rest = block;
		l->left = (size_t)got;
	}
	if (*vn_buf_text(&l->line) == '#')
		return 0;
	int rc = read_path(l, err);
	return rc < 0 ? rc : 1;
}

/* The seal at the end is that of all before it. */
static int check_seal(int fd, struct vn_err *err)
{
	char said[SEAL_LEN + 1] = "", found[SEAL_LEN + 1];
	struct vn_digest digest = { "" };
	struct stat st;
	VN_AUTO_IN *in = NULL;
	VN_AUTO_HASH *hash = NULL;
	const void *block;
	ssize_t n = 0;
	if (fstat(fd, &st) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot look at the list of files");
	if (st.st_size < (off_t)SEAL_LEN)
		return vn_fail(err, VN_EDIGEST, "the list of files is damaged");
	int rc = vn_in_slice(fd, 0, (uint64_t)st.st_size - SEAL_LEN, "the list of files", &in, err);
	if (rc == 0)
		rc = vn_hash_open("sha256", &hash, err);
	while (rc == 0 && (n = vn_in_next(in, &block, err)) > 0)
		rc = vn_hash_add(hash, block, (size_t)n, err);
	if (rc == 0 && n == 0)
		rc = vn_hash_end(hash, &digest, err);
	if (rc == 0 && n == 0)
		rc = vn_fs_read_at(fd, (uint64_t)st.st_size - SEAL_LEN, said, SEAL_LEN, "the list of files", err);
	if (rc < 0 || n < 0)
		return rc < 0 ? rc : (int)n;
	snprintf(found, sizeof(found), SEAL "%s\n", vn_digest_hex(&digest));
	return strcmp(said, found) ? vn_fail(err, VN_EDIGEST, "the list of files is damaged") : 0;
}

/* ---- writing */
/* Every path of a tree, in order. */
struct walk {
	int root;
	struct vn_buf todo;          /* paths, each NUL-ended; the last is the next */
	struct vn_buf path, names;
	size_t *order, order_cap;
};
static void walk_release(struct walk *w)
{
	vn_buf_release(&w->todo);
	vn_buf_release(&w->path);
	vn_buf_release(&w->names);
	free(w->order);
}

static int backwards(const void *a, const void *b, void *names)
{
	return strcmp((char *)names + *(const size_t *)b, (char *)names + *(const size_t *)a);
}

/* What is in the directory w->path is to come. */
static int push_names(struct walk *w, DIR *d, struct vn_err *err)
{
	const struct dirent *e;
	size_t n = 0;
	int rc = 0;
	vn_buf_clear(&w->names);
	while (rc == 0 && (errno = 0, e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		rc = vn_grow(&w->order, &w->order_cap, n + 1, sizeof(*w->order), err);
		if (rc == 0)
			w->order[n++] = w->names.len;
		if (rc == 0)
			rc = vn_buf_add(&w->names, e->d_name, strlen(e->d_name) + 1, err);
	}
	if (rc == 0 && errno)
		rc = vn_fail_sys(err, VN_EIO, "cannot read the folder \"%.300s\"", vn_buf_text(&w->path));
	if (n)
		qsort_r(w->order, n, sizeof(*w->order), backwards, w->names.data);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = vn_buf_addf(&w->todo, err, "%s%s%s", vn_buf_text(&w->path), w->path.len ? "/" : "", w->names.data + w->order[i]);
		if (rc == 0)
			rc = vn_buf_add(&w->todo, "", 1, err);
	}
	return rc;
}

static int go_into(struct walk *w, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = vn_beneath_open(w->root, vn_buf_text(&w->path), O_RDONLY | O_DIRECTORY);
	if (fd < 0 && errno == EACCES)
		return 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return vn_fail_sys(err, VN_EIO, "cannot open the folder \"%.300s\"", vn_buf_text(&w->path));
	fd = -1;
	int rc = push_names(w, d, err);
	closedir(d);
	return rc;
}

/* 1: w->path is the next; 0: that was all. */
static int walk_next(struct walk *w, struct stat *ret, struct vn_err *err)
{
	if (!w->todo.len)
		return 0;
	size_t at = w->todo.len - 1;
	while (at && w->todo.data[at - 1])
		at--;
	vn_buf_clear(&w->path);
	int rc = vn_buf_adds(&w->path, w->todo.data + at, err);
	w->todo.len = at;
	if (rc == 0 && look_at(w->root, vn_buf_text(&w->path), ret) < 0)
		rc = vn_fail_sys(err, VN_EIO, "cannot look at \"%.300s\"", vn_buf_text(&w->path));
	if (rc == 0 && S_ISDIR(ret->st_mode))
		rc = go_into(w, err);
	return rc < 0 ? rc : 1;
}

/* The tree below and its list, which goes along with the walk. */
struct below {
	int root;
	struct lines lines;
	bool there;                  /* its present line is one */
};
static void below_release(struct below *b)
{
	lines_release(&b->lines);
}

/* Of a list that cannot be used nothing is known. */
static void below_open(const struct vn_listing_below *from, struct below *ret)
{
	struct vn_err ignored = { 0 };
	*ret = (struct below){ .root = -1 };
	if (!from || from->list < 0 || check_seal(from->list, &ignored) < 0 || lines_open(from->list, &ret->lines, &ignored) < 0)
		return;
	ret->root = from->root;
	ret->there = next_line(&ret->lines, &ignored) > 0;
}

static void below_next(struct below *b)
{
	struct vn_err ignored = { 0 };
	b->there = next_line(&b->lines, &ignored) > 0;
}

static int put_line(struct vn_out *out, struct vn_buf *line, struct vn_err *err)
{
	int rc = vn_buf_add(line, "\n", 1, err);
	return rc < 0 ? rc : vn_out_write(out, vn_buf_text(line), line->len, err);
}

/* Lines before `path` (NULL: all that are left) are of paths that the new tree lacks: layers took them away, or they were missing below
 * and go on being so. */
static int pass_lines(struct below *b, const char *path, struct vn_out *out, struct vn_err *err)
{
	struct stat st;
	int rc = 0;
	for (; rc == 0 && b->there && (!path || vn_path_cmp(vn_buf_text(&b->lines.path), path) < 0); below_next(b))
		if (look_at(b->root, vn_buf_text(&b->lines.path), &st) < 0)
			rc = put_line(out, &b->lines.line, err);
	return rc;
}

/* The layers left it alone: what the list below says of it holds, whatever became of it since. */
static bool is_shared(const struct below *b, const char *path, const struct stat *st)
{
	struct stat low;
	if (!b->there || strcmp(vn_buf_text(&b->lines.path), path) || look_at(b->root, path, &low) < 0)
		return false;
	if (S_ISDIR(st->st_mode))
		return low.st_mode == st->st_mode && low.st_uid == st->st_uid && low.st_gid == st->st_gid;
	return low.st_ino == st->st_ino && low.st_dev == st->st_dev;
}

static int write_lines(int root, struct below *b, struct vn_out *out, struct vn_err *err)
{
	struct stat st;
	VN_CLEANUP(walk_release) struct walk w = { root, VN_BUF(VN_MAX_TREE_DIRS), VN_BUF(VN_MAX_PATH), VN_BUF(VN_MAX_TREE_DIRS), NULL, 0 };
	VN_AUTO_HASH *hash = NULL;
	VN_AUTO(vn_buf) line = VN_BUF(MAX_LINE);
	int rc = vn_hash_open("sha256", &hash, err), more = 0;
	if (rc == 0)
		rc = vn_buf_add(&w.todo, "", 1, err);
	while (rc == 0 && (more = walk_next(&w, &st, err)) > 0) {
		const char *path = vn_buf_text(&w.path);
		rc = pass_lines(b, path, out, err);
		bool shared = rc == 0 && is_shared(b, path, &st);
		if (rc == 0 && !shared)
			rc = describe(&line, hash, root, path, &st, true, err);
		if (rc == 0)
			rc = put_line(out, shared ? &b->lines.line : &line, err);
	}
	if (rc == 0 && more == 0)
		rc = pass_lines(b, NULL, out, err);
	return rc < 0 ? rc : more;
}

int vn_listing_write(int root, const struct vn_listing_below *below, int to, const char *place, struct vn_err *err)
{
	char seal[SEAL_LEN + 1];
	struct vn_digest digest = { "" };
	uint64_t size = 0;
	VN_CLEANUP(below_release) struct below b;
	VN_AUTO_OUT *out = NULL, *counted = NULL;
	below_open(below, &b);
	int rc = vn_out_fd(to, "the list of files", &out, err);
	if (rc == 0)
		rc = vn_out_digest(vn_steal(out), &digest, &size, &counted, err);
	if (rc == 0)
		rc = write_lines(root, &b, counted, err);
	if (rc == 0)
		rc = vn_out_finish(counted, err);
	snprintf(seal, sizeof(seal), SEAL "%s\n", vn_digest_hex(&digest));
	if (rc == 0)
		rc = vn_fs_write(to, seal, SEAL_LEN, "the list of files", err);
	return rc < 0 ? vn_wrap(err, "list the files of %s", place) : 0;
}

/* ---- comparing */
/* The words at which two lines part. */
static int differs(const char *place, const char *path, const char *found, const char *listed, struct vn_err *err)
{
	size_t at = 0, word = 0;
	for (; found[at] && found[at] == listed[at]; at++)
		if (found[at] == ' ')
			word = at + 1;
	return vn_fail(err, VN_EDIGEST, "%s: /%.300s has %.*s instead of %.*s", place, path, (int)strcspn(found + word, " "), found + word,
		       (int)strcspn(listed + word, " "), listed + word);
}

/* Contents that nobody could read when the list was made are not looked at. */
static int compare_path(int root, const struct lines *l, struct vn_hash *hash, struct vn_buf *line, const char *place,
			struct vn_err *err)
{
	struct stat st;
	const char *path = vn_buf_text(&l->path), *listed = vn_buf_text(&l->line);
	bool has_digest = strstr(listed, DIGEST) != NULL;
	if (look_at(root, path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			       ? vn_fail(err, VN_EDIGEST, "%s: /%.300s is missing", place, path)
			       : vn_fail_sys(err, VN_EIO, "%s: cannot look at /%.300s", place, path);
	int rc = describe(line, hash, root, path, &st, has_digest, err);
	if (rc < 0 || !strcmp(vn_buf_text(line), listed))
		return rc;
	if (S_ISREG(st.st_mode) && has_digest && !strstr(vn_buf_text(line), DIGEST))
		return vn_fail(err, VN_EAUTH, "%s: /%.300s may not be read", place, path);
	return differs(place, path, vn_buf_text(line), listed, err);
}

int vn_listing_compare(int root, int list, const char *place, struct vn_err *err)
{
	VN_CLEANUP(lines_release) struct lines l = { .in = NULL };
	VN_AUTO_HASH *hash = NULL;
	VN_AUTO(vn_buf) line = VN_BUF(MAX_LINE);
	int more = 0, rc = check_seal(list, err);
	if (rc == 0)
		rc = lines_open(list, &l, err);
	if (rc == 0)
		rc = vn_hash_open("sha256", &hash, err);
	while (rc == 0 && (more = next_line(&l, err)) > 0)
		rc = compare_path(root, &l, hash, &line, place, err);
	return rc < 0 ? rc : more;
}
