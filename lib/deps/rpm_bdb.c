/* Packages, a Berkeley DB hash (versions 8 to 10 of the access method), in either byte order.
 *   meta page   byte 12 magic 0x061561   16 version   20 page size   25 type 8   24 encryption   32 last page
 *   any page    16 next page   20 entries (u16)   22 first free byte, or bytes of an overflow page (u16)   25 type   26 …
 *   hash page   (type 2 or 13) u16 offsets of the items, which fill the page from its end: key, value, key, value, …
 *   item        type 1: bytes follow;  type 3: 3 unused, u32 first overflow page, u32 total length
 *   overflow    (type 7) bytes 26 … of the page; chained through "next page"
 * rpm keeps the last package number under key 0; it is the one value shorter than any header. */
#include "deps/parse.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>

#define MAGIC 0x061561u
#define PAGE_HEAD 26u
enum { PAGE_HASH_UNSORTED = 2, PAGE_OVERFLOW = 7, PAGE_HASH_META = 8, PAGE_HASH = 13 };
enum { ITEM_INLINE = 1, ITEM_OVERFLOW = 3 };

struct bdb {
	struct vn_deps *in;
	bool big;
	size_t page, pages; /* bytes of a page, number of whole pages */
	size_t total;
	struct vn_buf value;
};

static uint32_t u32(const struct bdb *db, const uint8_t *p)
{
	return db->big ? __builtin_bswap32(vn_get_u32(p)) : vn_get_u32(p);
}

static unsigned u16(const struct bdb *db, const uint8_t *p)
{
	return db->big ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

static int read_overflow(struct bdb *db, size_t at, uint32_t page, uint32_t len, struct vn_err *err)
{
	struct vn_deps *in = db->in;
	if (len > VN_MAX_RPM_HEADER || len > in->len)
		return vn_deps_fail(in, at, err, "a value of %u bytes in a file of %zu", len, in->len);
	vn_buf_clear(&db->value);
	if (vn_buf_reserve(&db->value, len, err) < 0)
		return -err->code;
	for (size_t left = len, steps = 0; left > 0; steps++) {
		if (page == 0 || page >= db->pages || steps > db->pages)
			return vn_deps_fail(in, at, err, "a chain of overflow pages leads to page %u of %zu", page, db->pages);
		const uint8_t *p = in->bytes + page * db->page;
		size_t n = u16(db, p + 22);
		if (p[25] != PAGE_OVERFLOW || n == 0 || n > db->page - PAGE_HEAD || n > left)
			return vn_deps_fail(in, page * db->page, err,
					    "not an overflow page with at most %zu bytes (type %u, %zu bytes)", left, p[25], n);
		if (vn_buf_add(&db->value, p + PAGE_HEAD, n, err) < 0)
			return -err->code;
		left -= n;
		page = u32(db, p + 16);
	}
	return 0;
}

/* The value item in bytes from … to of the file. */
static int read_value(struct bdb *db, size_t from, size_t to, struct vn_err *err)
{
	struct vn_deps *in = db->in;
	const uint8_t *blob = in->bytes + from + 1;
	size_t len = to - from - 1, at = from;
	if (in->bytes[from] == ITEM_OVERFLOW) {
		if (to - from < 12)
			return vn_deps_fail(in, from, err, "an overflow item of %zu bytes, expected 12", to - from);
		uint32_t first = u32(db, in->bytes + from + 4);
		if (read_overflow(db, from, first, u32(db, in->bytes + from + 8), err) < 0)
			return -err->code;
		blob = (const uint8_t *)vn_buf_text(&db->value);
		len = db->value.len;
		at = first * db->page;
	} else if (in->bytes[from] != ITEM_INLINE) {
		return vn_deps_fail(in, from, err, "an item of type %u, expected 1 or 3", in->bytes[from]);
	}
	db->total += len;
	if (db->total > in->len)
		return vn_deps_fail(in, from, err, "the items share their overflow pages");
	return len <= 4 ? 0 : vn_deps_rpm_header(in, at, blob, len, err);
}

static int read_page(struct bdb *db, size_t number, struct vn_err *err)
{
	size_t start = number * db->page;
	const uint8_t *p = db->in->bytes + start;
	if (p[25] != PAGE_HASH && p[25] != PAGE_HASH_UNSORTED)
		return 0;
	size_t entries = u16(db, p + 20), low = PAGE_HEAD + 2 * entries, end = db->page;
	if (low > db->page || entries % 2)
		return vn_deps_fail(db->in, start + 20, err, "%zu items on a page of %zu bytes", entries, db->page);
	for (size_t i = 0; i < entries; i++) {
		size_t from = u16(db, p + PAGE_HEAD + 2 * i);
		if (from < low || from >= end)
			return vn_deps_fail(db->in, start + PAGE_HEAD + 2 * i, err,
					    "item %zu at %zu, expected between %zu and %zu", i, from, low, end);
		int rc = i % 2 ? read_value(db, start + from, start + end, err) : 0;
		if (rc)
			return rc;
		end = from;
	}
	return 0;
}

static int open_meta(struct bdb *db, struct vn_err *err)
{
	struct vn_deps *in = db->in;
	const uint8_t *meta = in->bytes;
	if (in->len < 512)
		return vn_deps_fail(in, 0, err, "a Berkeley DB file of %zu bytes", in->len);
	db->big = vn_get_u32(meta + 12) != MAGIC;
	if (u32(db, meta + 12) != MAGIC || meta[25] != PAGE_HASH_META)
		return vn_deps_fail(in, 12, err, "not a Berkeley DB hash");
	uint32_t version = u32(db, meta + 16), page = u32(db, meta + 20);
	if (version < 7 || version > 10)
		return vn_deps_fail(in, 16, err, "Berkeley DB hash version %u, expected 7 to 10", version);
	if (page < 512 || page > 65536 || (page & (page - 1)))
		return vn_deps_fail(in, 20, err, "pages of %u bytes, expected a power of two from 512 to 65536", page);
	if (meta[24])
		return vn_deps_fail(in, 24, err, "an encrypted Berkeley DB");
	db->page = page;
	db->pages = in->len / page;
	if (u32(db, meta + 32) >= db->pages)
		return vn_deps_fail(in, 32, err, "last page %u, but the file ends after %zu pages", u32(db, meta + 32),
				    db->pages);
	return 0;
}

int vn_deps_rpm_bdb(struct vn_deps *in, struct vn_err *err)
{
	struct bdb db = { .in = in, .value = VN_BUF(VN_MAX_RPM_HEADER) };
	if (in->len == 0)
		return 0;
	int rc = open_meta(&db, err);
	for (size_t i = 1; rc == 0 && i < db.pages; i++)
		rc = read_page(&db, i, err);
	vn_buf_release(&db.value);
	return rc;
}
