/* The door to libarchive for reading. Its conversions of names follow the locale of the calling thread; here that is always
 * "C", where bytes pass unchanged. Global pax headers have no effect, as with the container engines. */
#include "tar/reader.h"
#include "tar/acl.h"
#include "tar/writer.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/path.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <string.h>

#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define NSEC_PER_SEC 1000000000
#define PRIMER_SIZE 512

struct vn_tar {
	struct vn_in *in;
	char *what;
	locale_t locale;
	struct archive *archive;
	struct archive_entry *header;
	struct vn_buf primer;           /* what libarchive reads before the input; see open_archive() */
	bool primed, opened, ended;
	struct vn_err failed;           /* of `in`, or the one that ended the reading: said again */
	bool in_header;                 /* libarchive reads the headers of one entry */
	uint64_t header_bytes;          /* whole blocks that it has taken for them so far */
	int64_t header_at;              /* where those of the present entry begin, the primer counted */
	uint64_t entries;
	uint64_t holes;                 /* bytes of holes so far, all entries */
	struct vn_tar_entry entry;
	struct vn_buf path, link, last;  /* last: path of the entry before, for messages */
	struct vn_buf acl_access, acl_default;
	struct vn_xattr *xattrs;
	size_t xattrs_cap;

	/* data of the present entry */
	bool has_data, data_ended;
	uint64_t logical;               /* size that the entry promised */
	uint64_t at;                    /* next byte to hand out */
	uint64_t block_at;              /* where the block below belongs */
	const uint8_t *block;
	size_t block_len;
};

static const uint8_t zeros[64 << 10];

static la_ssize_t on_read(struct archive *a, void *user, const void **ret_block)
{
	struct vn_tar *t = user;
	if (!t->primed) {
		t->primed = true;
		*ret_block = t->primer.data;
		return (la_ssize_t)t->primer.len;
	}
	ssize_t n = -1;
	if (t->header_bytes > VN_MAX_TAR_HEADERS)
		vn_fail(&t->failed, VN_ELIMIT, "%s: the headers of one entry behind \"%.300s\" exceed %u bytes", t->what,
			vn_buf_text(&t->path), VN_MAX_TAR_HEADERS);
	else
		n = vn_in_next(t->in, ret_block, &t->failed);
	if (n < 0) {
		archive_set_error(a, EIO, "input");
		return -1;
	}
	t->header_bytes += t->in_header ? (uint64_t)n : 0;
	return n;
}

static int keep(struct vn_tar *t, const struct vn_err *err)
{
	t->failed = *err;
	return -(int)err->code;
}

/* libarchive gave up: the input's own failure if it was that, else what libarchive says and where. */
static int malformed(struct vn_tar *t, const char *text, struct vn_err *err)
{
	if (t->failed.code) {
		*err = t->failed;
		return -(int)err->code;
	}
	const char *near = vn_buf_text(t->path.len ? &t->path : &t->last);
	int64_t at = archive_read_header_position(t->archive);   /* an error code when libarchive has given up */
	if (at < PRIMER_SIZE)
		at = t->header_at;
	vn_fail(err, VN_EFORMAT, "%s: %s, at byte %lld of the tar%s%.300s", t->what, text ? text : "malformed tar header",
		(long long)(at > PRIMER_SIZE ? at - PRIMER_SIZE : 0), *near ? ", near " : "", near);
	vn_in_settle(t->in, err);
	return keep(t, err);
}

static const char *explain(const struct vn_tar *t)
{
	const char *text = archive_error_string(t->archive);
	if (!text)
		return NULL;
	if (!strcmp(text, "Truncated tar archive") || !strncmp(text, "Truncated input", 15))
		return "the tar ends early";
	if (!strcmp(text, "Damaged tar archive"))
		return t->entries ? "a tar header with a wrong checksum" : "this is no tar";
	return text;
}

/* ---- one header */
static int entry_type(struct vn_tar *t, struct archive_entry *h, struct vn_err *err)
{
	t->entry.size = 0;
	if (archive_entry_hardlink(h)) {
		t->entry.type = VN_HARDLINK;
		return 0;
	}
	switch (archive_entry_filetype(h)) {
	case AE_IFDIR:
		t->entry.type = VN_DIR;
		return 0;
	case AE_IFLNK:
		t->entry.type = VN_SYMLINK;
		return 0;
	case AE_IFCHR:
		t->entry.type = VN_CHAR;
		return 0;
	case AE_IFBLK:
		t->entry.type = VN_BLOCK;
		return 0;
	case AE_IFIFO:
		t->entry.type = VN_FIFO;
		return 0;
	default:        /* POSIX: unknown types are regular files */
		t->entry.type = VN_FILE;
	}
	if (archive_entry_size(h) < 0)
		return vn_fail(err, VN_EFORMAT, "%s: \"%.300s\" has the size %lld", t->what, vn_buf_text(&t->path),
			       (long long)archive_entry_size(h));
	t->entry.size = (uint64_t)archive_entry_size(h);
	return 0;
}

static int entry_path(struct vn_tar *t, struct archive_entry *h, struct vn_err *err)
{
	struct vn_buf swap = t->last;
	t->last = t->path;
	t->path = swap;
	vn_buf_clear(&t->path);
	const char *raw = archive_entry_pathname(h);
	if (!raw)
		raw = archive_entry_pathname_utf8(h);
	if (!raw)
		return malformed(t, "an entry without a name", err);
	int rc = vn_path_clean(raw, &t->path, err);
	return rc < 0 ? vn_wrap(err, "%s", t->what) : 0;
}

static int entry_link(struct vn_tar *t, struct archive_entry *h, struct vn_err *err)
{
	t->entry.link = NULL;
	if (t->entry.type != VN_SYMLINK && t->entry.type != VN_HARDLINK)
		return 0;
	const char *raw = t->entry.type == VN_SYMLINK ? archive_entry_symlink(h) : archive_entry_hardlink(h);
	if (!raw || !*raw)
		return malformed(t, "a link without a target", err);
	if (t->entry.type == VN_HARDLINK) {
		int rc = vn_path_clean(raw, &t->link, err);
		if (rc < 0)
			return vn_wrap(err, "%s: hard link \"%.300s\"", t->what, vn_buf_text(&t->path));
		if (!t->link.len)
			return malformed(t, "a hard link to the root", err);
		t->entry.link = vn_buf_text(&t->link);
		return 0;
	}
	if (strlen(raw) > VN_MAX_PATH)
		return vn_fail(err, VN_ELIMIT, "%s: the target of symlink \"%.300s\" is longer than %d bytes", t->what,
			       vn_buf_text(&t->path), VN_MAX_PATH);
	t->entry.link = raw;
	return 0;
}

static bool fits_u32(int64_t v)
{
	return v >= 0 && v <= UINT32_MAX;
}

static int entry_numbers(struct vn_tar *t, struct archive_entry *h, struct vn_err *err)
{
	int64_t uid = archive_entry_uid(h), gid = archive_entry_gid(h);
	if (!fits_u32(uid) || !fits_u32(gid))
		return vn_fail(err, VN_EFORMAT, "%s: \"%.300s\" belongs to %lld:%lld, which no system can keep", t->what,
			       vn_buf_text(&t->path), (long long)uid, (long long)gid);
	t->entry.uid = (uint32_t)uid;
	t->entry.gid = (uint32_t)gid;
	t->entry.mode = archive_entry_mode(h) & 07777;
	t->entry.mtime = archive_entry_mtime(h);
	t->entry.mtime_nsec = (uint32_t)archive_entry_mtime_nsec(h);
	/* pax writes sign and magnitude; libarchive gives both parts as written */
	if (t->entry.mtime < 0 && t->entry.mtime > INT64_MIN && t->entry.mtime_nsec) {
		t->entry.mtime--;
		t->entry.mtime_nsec = NSEC_PER_SEC - t->entry.mtime_nsec;
	}
	bool device = t->entry.type == VN_CHAR || t->entry.type == VN_BLOCK;
	t->entry.dev_major = device ? (uint32_t)archive_entry_rdevmajor(h) : 0;
	t->entry.dev_minor = device ? (uint32_t)archive_entry_rdevminor(h) : 0;
	return 0;
}

/* ---- extended attributes */
static int add_xattr(struct vn_tar *t, const char *name, const void *value, size_t len, size_t *sum, struct vn_err *err)
{
	size_t more = strlen(name);
	if (__builtin_add_overflow(more, len, &more) || __builtin_add_overflow(*sum, more, sum) || *sum > VN_MAX_XATTRS)
		return vn_fail(err, VN_ELIMIT, "%s: the extended attributes of \"%.300s\" exceed %u bytes", t->what,
			       vn_buf_text(&t->path), VN_MAX_XATTRS);
	int rc = vn_grow(&t->xattrs, &t->xattrs_cap, t->entry.nxattrs + 1, sizeof(*t->xattrs), err);
	if (rc < 0)
		return rc;
	t->xattrs[t->entry.nxattrs++] = (struct vn_xattr){ name, value, len };
	return 0;
}

static bool has_xattr(const struct vn_tar *t, const char *name)
{
	for (size_t i = 0; i < t->entry.nxattrs; i++)
		if (!strcmp(t->xattrs[i].name, name))
			return true;
	return false;
}

static int add_acl(struct vn_tar *t, struct archive_entry *h, int type, const char *name, struct vn_buf *bytes, size_t *sum,
		   struct vn_err *err)
{
	if (!(archive_entry_acl_types(h) & type) || has_xattr(t, name))
		return 0;
	int rc = vn_tar_acl_xattr(h, type, bytes, err);
	if (rc < 0)
		return vn_wrap(err, "%s: \"%.300s\"", t->what, vn_buf_text(&t->path));
	return bytes->len ? add_xattr(t, name, bytes->data, bytes->len, sum, err) : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct vn_xattr *)a)->name, ((const struct vn_xattr *)b)->name);
}

/* Writers give the same attribute in several dialects (SCHILY, LIBARCHIVE, RHT); one is kept. */
static void sort_xattrs(struct vn_tar *t)
{
	size_t n = t->entry.nxattrs, kept = 0;
	if (n > 1)
		qsort(t->xattrs, n, sizeof(*t->xattrs), by_name);
	for (size_t i = 0; i < n; i++)
		if (!kept || strcmp(t->xattrs[kept - 1].name, t->xattrs[i].name))
			t->xattrs[kept++] = t->xattrs[i];
	t->entry.nxattrs = kept;
	t->entry.xattrs = kept ? t->xattrs : NULL;
}

static int entry_xattrs(struct vn_tar *t, struct archive_entry *h, struct vn_err *err)
{
	size_t sum = 0;
	t->entry.nxattrs = 0;
	t->entry.xattrs = NULL;
	if (archive_entry_xattr_reset(h) > 0) {
		const char *name;
		const void *value;
		size_t len;
		while (archive_entry_xattr_next(h, &name, &value, &len) == ARCHIVE_OK) {
			int rc = add_xattr(t, name, value, len, &sum, err);
			if (rc < 0)
				return rc;
		}
	}
	if (archive_entry_acl_types(h)) {
		int rc = add_acl(t, h, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ACL_ACCESS, &t->acl_access, &sum, err);
		if (rc == 0)
			rc = add_acl(t, h, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, ACL_DEFAULT, &t->acl_default, &sum, err);
		if (rc < 0)
			return rc;
	}
	sort_xattrs(t);
	return 0;
}

static int take_entry(struct vn_tar *t, struct vn_err *err)
{
	struct archive_entry *h = t->header;
	if (++t->entries > VN_MAX_ENTRIES)
		return vn_fail(err, VN_ELIMIT, "%s: more than %u entries", t->what, VN_MAX_ENTRIES);
	int rc = entry_path(t, h, err);
	if (rc == 0)
		rc = entry_type(t, h, err);
	if (rc == 0)
		rc = entry_numbers(t, h, err);
	if (rc == 0)
		rc = entry_link(t, h, err);
	if (rc == 0)
		rc = entry_xattrs(t, h, err);
	if (rc < 0)
		return rc;
	if (!t->path.len && t->entry.type != VN_DIR)
		return malformed(t, "the root is no directory", err);
	t->entry.path = vn_buf_text(&t->path);
	t->has_data = t->entry.type == VN_FILE;
	t->data_ended = false;
	t->logical = t->entry.size;
	t->at = 0;
	t->block_len = 0;
	return 0;
}

/* ---- the walk */
static int make_primer(struct vn_tar *t, struct vn_err *err)
{
	static const struct vn_tar_entry entry = { .path = "primer", .type = VN_SYMLINK, .link = "primer" };
	VN_AUTO_OUT *out = NULL;
	VN_CLEANUP(vn_tar_writer_close_p) struct vn_tar_writer *w = NULL;
	int rc = vn_out_buf(&t->primer, &out, err);
	if (rc == 0)
		rc = vn_tar_writer_open(out, &w, err);
	return rc < 0 ? rc : vn_tar_write_entry(w, &entry, err);
}

/* One symlink of our own comes before the input. libarchive (up to 3.7) loses a target that only a pax record gives, as long
 * as no header before had one; and to it an input of no bytes is no archive, though it is an empty layer. */
static int open_archive(struct vn_tar *t, struct vn_err *err)
{
	int rc = make_primer(t, err);
	if (rc < 0)
		return rc;
	t->archive = archive_read_new();
	if (!t->archive || archive_read_support_format_tar(t->archive) != ARCHIVE_OK)
		return vn_nomem(err);
	if (archive_read_open(t->archive, t, NULL, on_read, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(t->archive, &t->header) != ARCHIVE_OK)
		return malformed(t, archive_error_string(t->archive), err);
	t->opened = true;
	return 0;
}

/* libarchive warns of a name that is no UTF-8, which is fine, and of malformed pax records, which is not. */
static bool fatal(struct archive *a, int code)
{
	return code != ARCHIVE_OK && (code != ARCHIVE_WARN || archive_errno(a) != EILSEQ);
}

static int next_entry(struct vn_tar *t, struct vn_err *err)
{
	if (!t->opened) {
		int rc = open_archive(t, err);
		if (rc < 0)
			return rc;
	}
	if (t->ended)
		return 0;
	int code = archive_read_data_skip(t->archive);
	if (code != ARCHIVE_OK && code != ARCHIVE_EOF)
		return malformed(t, explain(t), err);
	t->in_header = true;
	code = archive_read_next_header(t->archive, &t->header);
	t->in_header = false;
	t->header_bytes = 0;
	if (code == ARCHIVE_EOF && !t->failed.code) {
		t->ended = true;
		return vn_in_drain(t->in, err);
	}
	if (fatal(t->archive, code))
		return malformed(t, explain(t), err);
	t->header_at = archive_read_header_position(t->archive);
	int rc = take_entry(t, err);
	return rc < 0 ? rc : 1;
}

int vn_tar_next(struct vn_tar *t, const struct vn_tar_entry **ret, struct vn_err *err)
{
	if (t->failed.code) {
		*err = t->failed;
		return -(int)err->code;
	}
	t->has_data = false;
	locale_t before = uselocale(t->locale);
	int rc = next_entry(t, err);
	uselocale(before);
	if (rc < 0)
		return keep(t, err);
	if (rc > 0)
		*ret = &t->entry;
	return rc;
}

/* ---- contents */
static int next_block(struct vn_tar *t, struct vn_err *err)
{
	const void *block;
	size_t len = 0;
	la_int64_t offset = 0;
	do {
		int code = archive_read_data_block(t->archive, &block, &len, &offset);
		if (code == ARCHIVE_EOF) {
			t->data_ended = true;
			return 0;
		}
		if (code != ARCHIVE_OK)
			return malformed(t, explain(t), err);
	} while (!len);
	if (offset < 0 || (uint64_t)offset < t->at || (uint64_t)offset > t->logical || len > t->logical - (uint64_t)offset)
		return malformed(t, "a sparse file whose pieces do not fit together", err);
	t->block = block;
	t->block_len = len;
	t->block_at = (uint64_t)offset;
	return 0;
}

static ssize_t hole(struct vn_tar *t, uint64_t len, const void **ret_block, struct vn_err *err)
{
	size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
	t->holes += n;
	if (t->holes > VN_MAX_HOLES)
		return vn_fail(err, VN_EUNSAFE, "%s: the sparse files up to \"%.300s\" have more than %llu bytes of holes", t->what,
			       vn_buf_text(&t->path), VN_MAX_HOLES);
	t->at += n;
	*ret_block = zeros;
	return (ssize_t)n;
}

static ssize_t next_data(struct vn_tar *t, const void **ret_block, struct vn_err *err)
{
	if (!t->block_len && !t->data_ended) {
		int rc = next_block(t, err);
		if (rc < 0)
			return rc;
	}
	if (t->block_len && t->at < t->block_at)
		return hole(t, t->block_at - t->at, ret_block, err);
	if (t->block_len) {
		size_t n = t->block_len;
		*ret_block = t->block;
		t->at += n;
		t->block_len = 0;
		return (ssize_t)n;
	}
	return t->at < t->logical ? hole(t, t->logical - t->at, ret_block, err) : 0;
}

ssize_t vn_tar_data(struct vn_tar *t, const void **ret_block, struct vn_err *err)
{
	if (t->failed.code) {
		*err = t->failed;
		return -(int)err->code;
	}
	if (!t->has_data)
		return 0;
	locale_t before = uselocale(t->locale);
	ssize_t n = next_data(t, ret_block, err);
	uselocale(before);
	return n < 0 ? keep(t, err) : n;
}

uint64_t vn_tar_offset(const struct vn_tar *t)
{
	int64_t at = t->opened ? archive_filter_bytes(t->archive, 0) : 0;
	return at > PRIMER_SIZE ? (uint64_t)at - PRIMER_SIZE : 0;
}

/* ---- open, close */
int vn_tar_open(struct vn_in *in, const char *what, struct vn_tar **ret, struct vn_err *err)
{
	VN_AUTO_IN *owned = in;
	VN_AUTO_FREE struct vn_tar *t = calloc(1, sizeof(*t));
	VN_AUTO_FREE char *name = NULL;
	if (!t)
		return vn_nomem(err);
	int rc = vn_strdup(what ? what : "tar", &name, err);
	if (rc < 0)
		return rc;
	t->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!t->locale)
		return vn_nomem(err);
	t->what = vn_steal(name);
	t->in = vn_steal(owned);
	t->primer.max = PRIMER_SIZE;
	t->path.max = t->link.max = t->last.max = 2 * VN_MAX_PATH;
	t->acl_access.max = t->acl_default.max = VN_MAX_XATTRS;
	*ret = vn_steal(t);
	return 0;
}

void vn_tar_close(struct vn_tar *t)
{
	if (!t)
		return;
	if (t->archive)
		archive_read_free(t->archive);
	vn_in_close(t->in);
	vn_buf_release(&t->primer);
	vn_buf_release(&t->path);
	vn_buf_release(&t->link);
	vn_buf_release(&t->last);
	vn_buf_release(&t->acl_access);
	vn_buf_release(&t->acl_default);
	freelocale(t->locale);
	free(t->xattrs);
	free(t->what);
	free(t);
}
