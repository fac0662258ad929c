#include "pull/staging.h"
#include "registry/registry.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/num.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MARK 8                       /* bytes of each */
#define TAIL (2 * MARK + 8)          /* mark of what is less than a unit, and how many bytes that is */
#define HASH_BLOCK (64u << 10)

struct staged_source {
	struct vn_source s;
	struct vn_source *far;
	const struct vn_staging *staging;
};

int vn_staging_path(const char *dir, const struct vn_digest *digest, const char *suffix, char **ret, struct vn_err *err)
{
	return vn_asprintf(ret, err, "%s/%s%s", dir, vn_digest_hex(digest), suffix);
}

/* ---- one blob under way */
struct part {
	const struct vn_staging *staging;
	const struct vn_desc *desc;
	char *path, *marks_path, *boot_path;
	int fd, marks;
	uint64_t size, have, unit;   /* have: bytes in the file */
	uint64_t ask_at;       /* look() is asked at that many bytes; 0 = no more */
};

static void part_release(struct part *p)
{
	vn_close_p(&p->fd);
	vn_close_p(&p->marks);
	free(p->path);
	free(p->marks_path);
	free(p->boot_path);
}

static int hash_range(int fd, uint64_t at, uint64_t len, const char *name, struct vn_digest *ret, struct vn_err *err)
{
	VN_AUTO_FREE uint8_t *block = malloc(HASH_BLOCK);
	struct vn_hash *hash = NULL;
	int r = block ? vn_hash_open("sha256", &hash, err) : vn_nomem(err);
	for (uint64_t n; r == 0 && len; at += n, len -= n) {
		n = len < HASH_BLOCK ? len : HASH_BLOCK;
		r = vn_fs_read_at(fd, at, block, (size_t)n, name, err);
		if (r == 0)
			r = vn_hash_add(hash, block, (size_t)n, err);
	}
	if (r == 0)
		r = vn_hash_end(hash, ret, err);
	vn_hash_close(hash);
	return r;
}

static int mark_of(const struct part *p, uint64_t unit, uint64_t len, char ret[2 * MARK + 1], struct vn_err *err)
{
	struct vn_digest digest;
	int r = hash_range(p->fd, unit * p->unit, len, p->path, &digest, err);
	if (r < 0)
		return r;
	memcpy(ret, vn_digest_hex(&digest), 2 * MARK);
	ret[2 * MARK] = 0;
	return 0;
}

static int write_at(int fd, uint64_t at, const void *data, size_t len, const char *name, struct vn_err *err)
{
	if (lseek(fd, (off_t)at, SEEK_SET) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write %s", name);
	return vn_fs_write(fd, data, len, name, err);
}

/* A unit is complete: it is on the disk, then its mark is. */
static int seal_unit(struct part *p, uint64_t unit, struct vn_err *err)
{
	char mark[2 * MARK + 1];
	int r = mark_of(p, unit, p->unit, mark, err);
	if (r == 0 && fdatasync(p->fd) < 0)
		r = vn_fail_sys(err, VN_EIO, "cannot write %s", p->path);
	if (r == 0)
		r = write_at(p->marks, unit * 2 * MARK, mark, 2 * MARK, p->marks_path, err);
	if (r == 0 && fdatasync(p->marks) < 0)
		r = vn_fail_sys(err, VN_EIO, "cannot write %s", p->marks_path);
	return r;
}

/* Where fetching ended without a kill, less than a unit may follow the last one: its length if it is what it was then. */
static int recover_tail(const struct part *p, uint64_t units, uint64_t data, uint64_t marks, uint64_t *ret, struct vn_err *err)
{
	uint8_t said[TAIL];
	char found[2 * MARK + 1];
	*ret = 0;
	if (marks != units * 2 * MARK + TAIL)
		return 0;
	int r = vn_fs_read_at(p->marks, units * 2 * MARK, said, TAIL, p->marks_path, err);
	if (r < 0)
		return r;
	uint64_t len = vn_get_u64(said + 2 * MARK);
	if (len >= p->unit || len > data - units * p->unit)
		return 0;
	r = mark_of(p, units, len, found, err);
	if (r == 0 && !memcmp(found, said, 2 * MARK))
		*ret = len;
	return r;
}

/* Every unit was on the disk before its mark was written, so that only the last marks can be wrong. */
static int recover_marked(struct part *p, uint64_t units, uint64_t data, uint64_t marks, struct vn_err *err)
{
	char found[2 * MARK + 1], said[2 * MARK + 1] = "";
	for (; units; units--) {
		int r = vn_fs_read_at(p->marks, (units - 1) * 2 * MARK, said, 2 * MARK, p->marks_path, err);
		if (r == 0)
			r = mark_of(p, units - 1, p->unit, found, err);
		if (r < 0)
			return r;
		if (!strcmp(found, said))
			break;
	}
	uint64_t tail;
	int r = recover_tail(p, units, data, marks, &tail, err);
	if (r == 0)
		p->have = units * p->unit + tail;
	return r;
}

static bool same_boot(const struct part *p)
{
	VN_AUTO(vn_buf) said = VN_BUF(VN_BOOT_TEXT);
	struct vn_err ignored = { 0 };
	char boot[VN_BOOT_TEXT];
	vn_boot_id(boot);
	return *boot && vn_fs_read(p->boot_path, &said, &ignored) == 0 && !strcmp(vn_buf_text(&said), boot);
}

/* The last units may have no mark yet. */
static int recover_written(struct part *p, uint64_t units, uint64_t data, struct vn_err *err)
{
	int r = 0;
	for (; r == 0 && units < data / p->unit; units++)
		r = seal_unit(p, units, err);
	p->have = data;
	return r;
}

static int recover(struct part *p, bool same, struct vn_err *err)
{
	struct stat st, marks;
	if (fstat(p->fd, &st) < 0 || fstat(p->marks, &marks) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot look at %s", p->path);
	uint64_t data = (uint64_t)st.st_size, units = (uint64_t)marks.st_size / (2 * MARK);
	units = units < data / p->unit ? units : data / p->unit;
	int r = same && data <= p->size ? recover_written(p, units, data, err) :
					  recover_marked(p, units, data, (uint64_t)marks.st_size, err);
	if (r < 0)
		return r;
	if (p->have > p->size)
		p->have = 0;
	if (ftruncate(p->fd, (off_t)p->have) < 0 || ftruncate(p->marks, (off_t)(p->have / p->unit * 2 * MARK)) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot shorten %s", p->path);
	return 0;
}

/* Not synced: when it is lost, so are the bytes that it vouches for. */
static int note_boot(const struct part *p, struct vn_err *err)
{
	char boot[VN_BOOT_TEXT];
	VN_AUTO_CLOSE int fd = open(p->boot_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	vn_boot_id(boot);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write %s", p->boot_path);
	return vn_fs_write(fd, boot, strlen(boot), p->boot_path, err);
}

static int open_part(const struct vn_staging *staging, const struct vn_desc *desc, struct part *p, struct vn_err *err)
{
	p->staging = staging;
	p->desc = desc;
	p->size = (uint64_t)desc->size;
	p->unit = vn_staging_unit(p->size);
	p->ask_at = staging->look ? p->unit : 0;
	int r = vn_staging_path(staging->dir, &desc->digest, ".part", &p->path, err);
	if (r == 0)
		r = vn_staging_path(staging->dir, &desc->digest, ".marks", &p->marks_path, err);
	if (r == 0)
		r = vn_staging_path(staging->dir, &desc->digest, ".boot", &p->boot_path, err);
	if (r < 0)
		return r;
	p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	p->marks = open(p->marks_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (p->fd < 0 || p->marks < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write %s", p->fd < 0 ? p->path : p->marks_path);
	bool same = same_boot(p);
	r = recover(p, same, err);
	return r < 0 || same ? r : note_boot(p, err);
}

static int begin_again(struct part *p, struct vn_err *err)
{
	p->have = 0;
	if (ftruncate(p->fd, 0) < 0 || ftruncate(p->marks, 0) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot shorten %s", p->path);
	return 0;
}

/* Fetching ends here for now: what came since the last mark stays too, so that a link on which no run brings a whole unit brings
 * the blob all the same. Failing, it costs those bytes. */
static void keep_tail(struct part *p)
{
	uint64_t unit = p->have / p->unit, len = p->have % p->unit;
	uint8_t record[TAIL];
	char mark[2 * MARK + 1];
	struct vn_err ignored = { 0 };
	if (!len || p->have >= p->size || mark_of(p, unit, len, mark, &ignored) < 0 || fdatasync(p->fd) < 0)
		return;
	memcpy(record, mark, 2 * MARK);
	vn_put_u64(record + 2 * MARK, len);
	if (write_at(p->marks, unit * 2 * MARK, record, TAIL, p->marks_path, &ignored) == 0)
		(void)fdatasync(p->marks);
}

/* ---- what is there, and then nothing yet */
struct prefix_in {
	struct vn_in in;
	struct vn_in *inner;
};

static ssize_t prefix_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	ssize_t n = vn_in_next(((struct prefix_in *)in)->inner, ret_block, err);
	return n ? n : vn_fail(err, VN_ENETWORK, "the rest is still to come");
}

static void prefix_close(struct vn_in *in)
{
	vn_in_close(((struct prefix_in *)in)->inner);
	free(in);
}

static const struct vn_in_ops prefix_ops = { prefix_next, prefix_close };

static int show(struct part *p, struct vn_err *err)
{
	struct prefix_in *x = calloc(1, sizeof(*x));
	struct vn_err why = { 0 };
	if (!x)
		return vn_nomem(err);
	x->in.ops = &prefix_ops;
	VN_AUTO_IN *in = &x->in;
	int r = vn_in_slice(p->fd, 0, p->have, p->path, &x->inner, err);
	if (r == 0)
		r = p->staging->look(p->staging->user, p->desc, in, &why);
	if (r == -VN_ENETWORK) {
		p->ask_at = p->have * 2;
		return 0;
	}
	p->ask_at = 0;
	if (r < 0 && why.code)
		*err = why;
	return r;
}

static int take(struct part *p, const uint8_t *data, size_t len, struct vn_err *err)
{
	if (len > p->size - p->have)
		return vn_fail(err, VN_EDIGEST, "blob %s is longer than the %llu bytes it should have", p->desc->digest.text,
			       (unsigned long long)p->size);
	while (len) {
		uint64_t room = p->unit - p->have % p->unit;
		size_t n = len < room ? len : (size_t)room;
		int r = write_at(p->fd, p->have, data, n, p->path, err);
		if (r < 0)
			return r;
		p->have += n;
		data += n;
		len -= n;
		if (p->have % p->unit == 0)
			r = seal_unit(p, p->have / p->unit - 1, err);
		if (r == 0 && p->ask_at && p->have >= p->ask_at && p->have < p->size)
			r = show(p, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int receive(struct part *p, struct vn_source *far, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	uint64_t from = p->have;
	const void *block;
	ssize_t n;
	int r = vn_registry_blob_from(far, p->desc, p->have, &from, &in, err);
	if (r == 0 && from != p->have)
		r = begin_again(p, err);
	if (r == 0 && far->events)
		r = vn_in_meter(vn_steal(in), "update", p->size, far->events, &in, err);
	if (r < 0)
		return r;
	while ((n = vn_in_next(in, &block, err)) > 0)
		if ((r = take(p, block, (size_t)n, err)) < 0)
			return r;
	if (n < 0)
		return (int)n;
	if (p->have < p->size)
		return vn_fail(err, VN_ENETWORK, "blob %s ended after %llu of %llu bytes", p->desc->digest.text,
			       (unsigned long long)p->have, (unsigned long long)p->size);
	return 0;
}

/* All of it is there: right, or thrown away. */
static int conclude(struct part *p, const char *blob, struct vn_err *err)
{
	struct vn_digest found;
	int r = hash_range(p->fd, 0, p->size, p->path, &found, err);
	if (r < 0)
		return r;
	if (!vn_digest_equal(&found, &p->desc->digest)) {
		unlink(p->path);
		unlink(p->marks_path);
		unlink(p->boot_path);
		return vn_fail(err, VN_EDIGEST, "blob of %llu bytes: expected digest %s, found %s", (unsigned long long)p->size,
			       p->desc->digest.text, found.text);
	}
	if (fsync(p->fd) < 0 || rename(p->path, blob) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot write %s", blob);
	unlink(p->marks_path);
	unlink(p->boot_path);
	return vn_fs_sync_dir(p->staging->dir, err);
}

int vn_staging_fetch(struct vn_source *staged, const struct vn_desc *desc, struct vn_err *err)
{
	struct staged_source *s = (struct staged_source *)staged;
	VN_AUTO(part) p = { .fd = -1, .marks = -1 };
	VN_AUTO_FREE char *blob = NULL;
	if (desc->size < 0 || (uint64_t)desc->size > VN_MAX_BLOB)
		return vn_fail(err, VN_ELIMIT, "blob %s has %lld bytes, more than %llu", desc->digest.text, (long long)desc->size,
			       (unsigned long long)VN_MAX_BLOB);
	int r = vn_staging_path(s->staging->dir, &desc->digest, ".blob", &blob, err);
	if (r < 0 || vn_fs_exists(blob))
		return r;
	r = open_part(s->staging, desc, &p, err);
	if (r == 0 && p.ask_at && p.have >= p.ask_at && p.have < p.size)
		r = show(&p, err);
	if (r == 0 && p.have < p.size)
		r = receive(&p, s->far, err);
	if (r == -VN_ENETWORK || r == -VN_EAUTH)
		keep_tail(&p);
	/* of a disk that fails only what has a mark is believed */
	if (r == -VN_EIO)
		unlink(p.boot_path);
	return r < 0 ? r : conclude(&p, blob, err);
}

/* ---- manifests */
static int manifest_path(struct staged_source *s, const struct vn_desc *child, char **ret, struct vn_err *err)
{
	const char *name = child ? vn_digest_hex(&child->digest) : s->s.ref.tag ? s->s.ref.tag : "untagged";
	return vn_asprintf(ret, err, "%s/%s.manifest", s->staging->dir, name);
}

static int manifest_kept(const char *path, struct vn_buf *ret_bytes, struct vn_desc *ret_desc, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST + 512);
	struct vn_digest digest;
	int r = vn_fs_read(path, &bytes, err);
	char *end = r < 0 || !bytes.len ? NULL : memchr(bytes.data, '\n', bytes.len);
	if (r < 0 || !end)
		return r < 0 ? r : vn_fail(err, VN_ENOTFOUND, "%s is damaged", path);
	*end++ = 0;
	size_t len = bytes.len - (size_t)(end - bytes.data);
	r = vn_digest_of(end, len, &digest, err);
	if (r == 0)
		r = vn_buf_add(ret_bytes, end, len, err);
	return r < 0 ? r : vn_desc_init(ret_desc, bytes.data, &digest, (int64_t)len, err);
}

static int keep_manifest(const char *path, const struct vn_buf *bytes, const struct vn_desc *desc, struct vn_err *err)
{
	VN_AUTO(vn_buf) file = VN_BUF(VN_MAX_MANIFEST + 512);
	int r = vn_buf_addf(&file, err, "%.300s\n", desc->media_type);
	if (r == 0)
		r = vn_buf_add(&file, bytes->data, bytes->len, err);
	return r < 0 ? r : vn_fs_replace(path, file.data, file.len, 0600, err);
}

static int staged_manifest(struct vn_source *source, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			   struct vn_err *err)
{
	struct staged_source *s = (struct staged_source *)source;
	VN_AUTO_FREE char *path = NULL;
	struct vn_err none = { 0 };
	int r = manifest_path(s, child, &path, err);
	if (r < 0)
		return r;
	if (manifest_kept(path, ret_bytes, ret_desc, &none) == 0) {
		if (!child || vn_digest_equal(&child->digest, &ret_desc->digest))
			return 0;
		vn_buf_clear(ret_bytes);
		vn_desc_release(ret_desc);
	}
	r = vn_source_manifest(s->far, child, ret_bytes, ret_desc, err);
	return r < 0 ? r : keep_manifest(path, ret_bytes, ret_desc, err);
}

static int staged_blob(struct vn_source *source, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int r = vn_staging_fetch(source, desc, err);
	if (r == 0)
		r = vn_staging_path(((struct staged_source *)source)->staging->dir, &desc->digest, ".blob", &path, err);
	return r < 0 ? r : vn_in_file(path, ret, err);
}

static void staged_close(struct vn_source *source)
{
	vn_ref_release(&source->ref);
	free(source);
}

/* What is not there yet crosses the network: nothing is read of it before the journal says so. */
static const struct vn_source_ops staged_ops = {
	.remote = true, .manifest = staged_manifest, .blob = staged_blob, .close = staged_close
};

int vn_staging_source_open(struct vn_source *far, const struct vn_staging *staging, struct vn_source **ret, struct vn_err *err)
{
	struct staged_source *s = calloc(1, sizeof(*s));
	if (!s)
		return vn_nomem(err);
	s->s.ops = &staged_ops;
	s->s.events = far->events;
	s->far = far;
	s->staging = staging;
	int r = vn_ref_with(&far->ref, far->ref.tag, vn_digest_none(&far->ref.digest) ? NULL : far->ref.digest.text, &s->s.ref, err);
	if (r < 0) {
		staged_close(&s->s);
		return r;
	}
	*ret = &s->s;
	return 0;
}

/* ---- the folder */
uint64_t vn_staging_bytes(const char *dir)
{
	uint64_t sum = 0;
	struct stat st;
	DIR *d = opendir(dir);
	for (const struct dirent *e; d && (e = readdir(d));)
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	if (d)
		closedir(d);
	return sum;
}

/* A folder that is not empty, or a mount: the engine that made it takes it away. */
static int remove_entry(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY ? 0 : -1;
}

int vn_staging_clear(const char *dir, struct vn_err *err)
{
	DIR *d = opendir(dir);
	int r = d || errno == ENOENT ? 0 : vn_fail_sys(err, VN_EIO, "cannot open %s", dir);
	for (const struct dirent *e; r == 0 && d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && remove_entry(dirfd(d), e->d_name) < 0)
			r = vn_fail_sys(err, VN_EIO, "cannot remove %s/%s", dir, e->d_name);
	if (d)
		closedir(d);
	return r;
}
