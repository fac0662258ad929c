/* POSIX.1-1988 ustar headers; an entry that they cannot express gets a pax extended header (POSIX.1-2001) with records in
 * byte order of their keys. Every byte follows from the entry alone. */
#include "tar/writer.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>

#define BLOCK 512
#define NAME_SIZE 100
#define PREFIX_SIZE 155
#define MAX_OCTAL7 07777777u                  /* seven digits: mode, uid, gid, device numbers */
#define MAX_OCTAL11 077777777777ull           /* eleven digits: size, mtime */
#define PAX_NAME "PaxHeaders/"                /* + the last part of the path, as far as it fits */
#define MAX_PAX (1u << 20)                    /* what libarchive and Go's archive/tar read at most */
#define MAX_DATA_SIZE INT64_MAX

struct ustar {
	char name[NAME_SIZE];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char linkname[100];
	char magic[6], version[2];
	char uname[32], gname[32];
	char dev_major[8], dev_minor[8];
	char prefix[PREFIX_SIZE];
	char pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a tar header is one block");

struct vn_tar_writer {
	struct vn_out *out;
	uint64_t left;          /* data bytes of the present entry still to come */
	size_t padding;         /* zero bytes that follow them */
	bool failed;
	struct vn_buf pax, path;
};

static const char zeros[2 * BLOCK];

static size_t padding_of(uint64_t size)
{
	return (size_t)(-size & (BLOCK - 1));
}

/* ---- fields */
static void put_octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = 0;
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

static void put_checksum(struct ustar *h)
{
	unsigned sum = 0;
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const uint8_t *)h)[i];
	put_octal(h->checksum, 7, sum);         /* six digits, NUL, space */
	h->checksum[7] = ' ';
}

static void init_header(struct ustar *h, char type)
{
	memset(h, 0, sizeof(*h));
	h->type = type;
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* Where the path is split so that both halves fit: the length of the prefix, 0 = none needed, -1 = impossible. The name
 * half may be empty but for a trailing slash, therefore the last byte never counts as a place to split. */
static int split_at(const char *path, size_t len)
{
	if (len <= NAME_SIZE)
		return 0;
	if (len > PREFIX_SIZE + 1 + NAME_SIZE)
		return -1;
	size_t first = len - NAME_SIZE - 1;
	for (size_t i = first ? first : 1; i <= PREFIX_SIZE && i + 1 < len; i++)
		if (path[i] == '/')
			return (int)i;
	return -1;
}

/* ---- pax records: "LENGTH KEY=VALUE\n", where LENGTH counts itself */
static int add_record(struct vn_buf *pax, const char *prefix, const char *key, const void *value, size_t len,
		      struct vn_err *err)
{
	size_t body = strlen(prefix) + strlen(key) + len + 3;      /* space, '=', newline */
	size_t total = body + 1;
	char digits[24];
	for (;;) {
		size_t n = (size_t)snprintf(digits, sizeof(digits), "%zu", total);
		if (body + n == total)
			break;
		total = body + n;
	}
	int rc = vn_buf_addf(pax, err, "%s %s%s=", digits, prefix, key);
	if (rc == 0)
		rc = vn_buf_add(pax, value, len, err);
	return rc < 0 ? rc : vn_buf_add(pax, "\n", 1, err);
}

static int add_number(struct vn_buf *pax, const char *key, uint64_t value, struct vn_err *err)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return add_record(pax, "", key, text, (size_t)n, err);
}

/* Sign and magnitude, no trailing zeros: -1.5 is one and a half seconds before the epoch. */
static int add_time(struct vn_buf *pax, int64_t sec, uint32_t nsec, struct vn_err *err)
{
	char text[48];
	bool negative = sec < 0;
	uint64_t whole = negative ? -(uint64_t)sec : (uint64_t)sec;
	if (negative && nsec) {
		whole--;
		nsec = 1000000000 - nsec;
	}
	int n = snprintf(text, sizeof(text), "%s%llu.%09u", negative ? "-" : "", (unsigned long long)whole, nsec);
	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	return add_record(pax, "", "mtime", text, (size_t)n, err);
}

static bool is_device(const struct vn_tar_entry *e)
{
	return e->type == VN_CHAR || e->type == VN_BLOCK;
}

static const char *link_of(const struct vn_tar_entry *e)
{
	return e->type == VN_SYMLINK || e->type == VN_HARDLINK ? e->link : "";
}

static int add_xattrs(struct vn_buf *pax, const struct vn_tar_entry *e, struct vn_err *err)
{
	for (size_t i = 0; i < e->nxattrs; i++) {
		const struct vn_xattr *x = &e->xattrs[i];
		if (strchr(x->name, '=') || !*x->name)
			return vn_fail(err, VN_EFORMAT, "\"%.300s\": pax has no form for an extended attribute named \"%.100s\"",
				       e->path, x->name);
		int rc = add_record(pax, "SCHILY.xattr.", x->name, x->value, x->len, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int build_pax(struct vn_tar_writer *w, const struct vn_tar_entry *e, const char *path, size_t len, struct vn_err *err)
{
	const char *link = link_of(e);
	int rc = 0;
	vn_buf_clear(&w->pax);
	if (is_device(e) && e->dev_major > MAX_OCTAL7)
		rc = add_number(&w->pax, "SCHILY.devmajor", e->dev_major, err);
	if (rc == 0 && is_device(e) && e->dev_minor > MAX_OCTAL7)
		rc = add_number(&w->pax, "SCHILY.devminor", e->dev_minor, err);
	if (rc == 0 && e->nxattrs)
		rc = add_xattrs(&w->pax, e, err);
	if (rc == 0 && e->gid > MAX_OCTAL7)
		rc = add_number(&w->pax, "gid", e->gid, err);
	if (rc == 0 && (strlen(link) > NAME_SIZE || !is_ascii(link)))
		rc = add_record(&w->pax, "", "linkpath", link, strlen(link), err);
	if (rc == 0 && (e->mtime_nsec || e->mtime < 0 || (uint64_t)e->mtime > MAX_OCTAL11))
		rc = add_time(&w->pax, e->mtime, e->mtime_nsec, err);
	if (rc == 0 && (split_at(path, len) < 0 || !is_ascii(path)))
		rc = add_record(&w->pax, "", "path", path, len, err);
	if (rc == 0 && e->type == VN_FILE && e->size > MAX_OCTAL11)
		rc = add_number(&w->pax, "size", e->size, err);
	if (rc == 0 && e->uid > MAX_OCTAL7)
		rc = add_number(&w->pax, "uid", e->uid, err);
	return rc;
}

/* ---- headers */
static void put_name(struct ustar *h, const char *path, size_t len)
{
	int split = split_at(path, len);
	if (split > 0) {
		memcpy(h->prefix, path, (size_t)split);
		path += split + 1;
		len -= (size_t)split + 1;
	}
	memcpy(h->name, path, len < NAME_SIZE ? len : NAME_SIZE);
}

static int write_pax(struct vn_tar_writer *w, const char *path, struct vn_err *err)
{
	struct ustar h;
	init_header(&h, 'x');
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	size_t fixed = sizeof(PAX_NAME) - 1;
	memcpy(h.name, PAX_NAME, fixed);
	/* readers show this name only when they know no pax: printable ASCII, whatever the path holds */
	for (size_t i = 0; base[i] && fixed + i < NAME_SIZE; i++)
		h.name[fixed + i] = base[i] > ' ' && base[i] < 0x7f ? base[i] : '_';
	put_octal(h.mode, sizeof(h.mode), 0644);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), w->pax.len);
	put_octal(h.mtime, sizeof(h.mtime), 0);
	put_octal(h.dev_major, sizeof(h.dev_major), 0);
	put_octal(h.dev_minor, sizeof(h.dev_minor), 0);
	put_checksum(&h);
	int rc = vn_out_write(w->out, &h, sizeof(h), err);
	if (rc == 0)
		rc = vn_out_write(w->out, w->pax.data, w->pax.len, err);
	return rc < 0 ? rc : vn_out_write(w->out, zeros, padding_of(w->pax.len), err);
}

static uint64_t up_to(uint64_t value, uint64_t max)
{
	return value <= max ? value : 0;
}

static char type_flag(enum vn_entry_type type)
{
	switch (type) {
	case VN_DIR:
		return '5';
	case VN_SYMLINK:
		return '2';
	case VN_HARDLINK:
		return '1';
	case VN_CHAR:
		return '3';
	case VN_BLOCK:
		return '4';
	case VN_FIFO:
		return '6';
	default:
		return '0';
	}
}

static int write_ustar(struct vn_tar_writer *w, const struct vn_tar_entry *e, const char *path, size_t len, struct vn_err *err)
{
	struct ustar h;
	const char *link = link_of(e);
	size_t link_len = strlen(link);
	init_header(&h, type_flag(e->type));
	put_name(&h, path, len);
	put_octal(h.mode, sizeof(h.mode), e->mode & 07777);
	put_octal(h.uid, sizeof(h.uid), up_to(e->uid, MAX_OCTAL7));
	put_octal(h.gid, sizeof(h.gid), up_to(e->gid, MAX_OCTAL7));
	put_octal(h.size, sizeof(h.size), e->type == VN_FILE ? up_to(e->size, MAX_OCTAL11) : 0);
	put_octal(h.mtime, sizeof(h.mtime), e->mtime < 0 ? 0 : up_to((uint64_t)e->mtime, MAX_OCTAL11));
	memcpy(h.linkname, link, link_len < sizeof(h.linkname) ? link_len : sizeof(h.linkname));
	put_octal(h.dev_major, sizeof(h.dev_major), is_device(e) ? up_to(e->dev_major, MAX_OCTAL7) : 0);
	put_octal(h.dev_minor, sizeof(h.dev_minor), is_device(e) ? up_to(e->dev_minor, MAX_OCTAL7) : 0);
	put_checksum(&h);
	return vn_out_write(w->out, &h, sizeof(h), err);
}

static int check_entry(const struct vn_tar_writer *w, const struct vn_tar_entry *e, struct vn_err *err)
{
	if (w->left)
		return vn_fail(err, VN_EIO, "\"%.300s\" begins while %llu bytes of the entry before are missing", e->path,
			       (unsigned long long)w->left);
	if (!*e->path && e->type != VN_DIR)
		return vn_fail(err, VN_EFORMAT, "the root of an image can only be a directory");
	if (strlen(e->path) > VN_MAX_PATH || strlen(link_of(e)) > VN_MAX_PATH)
		return vn_fail(err, VN_ELIMIT, "\"%.300s\": path or target is longer than %d bytes", e->path, VN_MAX_PATH);
	if ((e->type == VN_SYMLINK || e->type == VN_HARDLINK) && !*e->link)
		return vn_fail(err, VN_EFORMAT, "\"%.300s\": a link without a target", e->path);
	if (e->size > MAX_DATA_SIZE || e->mtime_nsec >= 1000000000)
		return vn_fail(err, VN_EFORMAT, "\"%.300s\": size or time is out of range", e->path);
	return 0;
}

static int write_entry(struct vn_tar_writer *w, const struct vn_tar_entry *e, struct vn_err *err)
{
	int rc = check_entry(w, e, err);
	if (rc < 0)
		return rc;
	vn_buf_clear(&w->path);
	rc = vn_buf_addf(&w->path, err, "%s%s", *e->path ? e->path : ".", e->type == VN_DIR ? "/" : "");
	if (rc < 0)
		return rc;
	const char *path = vn_buf_text(&w->path);
	rc = build_pax(w, e, path, w->path.len, err);
	if (rc < 0)
		return vn_wrap(err, "pax records of \"%.300s\"", path);
	if (w->pax.len)
		rc = write_pax(w, *e->path ? e->path : ".", err);
	if (rc == 0)
		rc = write_ustar(w, e, path, w->path.len, err);
	if (rc < 0)
		return rc;
	w->left = e->type == VN_FILE ? e->size : 0;
	w->padding = padding_of(w->left);
	return 0;
}

int vn_tar_write_entry(struct vn_tar_writer *w, const struct vn_tar_entry *entry, struct vn_err *err)
{
	int rc = write_entry(w, entry, err);
	w->failed |= rc < 0;
	return rc;
}

int vn_tar_write_data(struct vn_tar_writer *w, const void *data, size_t len, struct vn_err *err)
{
	int rc = 0;
	if (len > w->left)
		rc = vn_fail(err, VN_EIO, "\"%s\": %zu bytes come where %llu are missing", vn_buf_text(&w->path), len,
			     (unsigned long long)w->left);
	else
		rc = vn_out_write(w->out, data, len, err);
	if (rc == 0 && len && len == w->left)
		rc = vn_out_write(w->out, zeros, w->padding, err);
	if (rc == 0)
		w->left -= len;
	w->failed |= rc < 0;
	return rc;
}

int vn_tar_writer_finish(struct vn_tar_writer *w, struct vn_err *err)
{
	if (w->failed)
		return vn_fail(err, VN_EIO, "the tar cannot be ended: an entry of it failed");
	if (w->left)
		return vn_fail(err, VN_EIO, "\"%s\": %llu bytes are missing at the end", vn_buf_text(&w->path),
			       (unsigned long long)w->left);
	return vn_out_write(w->out, zeros, 2 * BLOCK, err);
}

int vn_tar_writer_open(struct vn_out *out, struct vn_tar_writer **ret, struct vn_err *err)
{
	struct vn_tar_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return vn_nomem(err);
	w->out = out;
	w->pax.max = MAX_PAX;
	w->path.max = VN_MAX_PATH + 2;
	*ret = w;
	return 0;
}

void vn_tar_writer_close(struct vn_tar_writer *w)
{
	if (!w)
		return;
	vn_buf_release(&w->pax);
	vn_buf_release(&w->path);
	free(w);
}
