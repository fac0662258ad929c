/* The encoder's side of members: found by what they look like, kept when packing them again gives the same bytes. */
#include "delta/coder.h"
#include "delta/members.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdlib.h>
#include <string.h>

#define SMALLEST 64               /* bytes of a stream that is worth a line of the table */
#define STEP (64u << 10)
#define TABLE_LEVEL 19

void vn_delta_members_release(struct vn_delta_members *m)
{
	free(m->list);
	*m = (struct vn_delta_members){ 0 };
}

void vn_delta_unpacked_release(struct vn_delta_unpacked *u)
{
	vn_buf_release(&u->old);
	vn_buf_release(&u->data);
	vn_buf_release(&u->table);
}

/* ---- sinks that keep nothing */
struct counter {
	struct vn_out out;
	uint64_t len;
};

static int count_bytes(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	(void)data, (void)err;
	((struct counter *)out)->len += len;
	return 0;
}

static const struct vn_out_ops counter_ops = { count_bytes, NULL, NULL };

struct comparer {                     /* VN_EFORMAT at the first byte that differs */
	struct vn_out out;
	const uint8_t *expected;
	size_t left;
};

static int compare_bytes(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	struct comparer *c = (struct comparer *)out;
	if (len > c->left || memcmp(data, c->expected, len) != 0)
		return vn_fail(err, VN_EFORMAT, "the packed bytes differ");
	c->expected += len;
	c->left -= len;
	return 0;
}

static const struct vn_out_ops comparer_ops = { compare_bytes, NULL, NULL };

/* ---- where members are */
/* RFC 1952, 2.3: the bytes in front of the stream; 0 = this is no gzip header. */
static size_t gzip_header(const uint8_t *p, size_t len)
{
	size_t at = 10;
	if (len < 18 || p[0] != 0x1f || p[1] != 0x8b || p[2] != 8 || p[3] & 0xe0)
		return 0;
	if (p[3] & 4)
		at += 2u + (size_t)(p[10] | p[11] << 8);
	for (unsigned text = 8; text <= 16; text *= 2)        /* name, comment */
		if (p[3] & text) {
			const uint8_t *end = at < len ? memchr(p + at, 0, len - at) : NULL;
			if (!end)
				return 0;
			at = (size_t)(end - p) + 1;
		}
	at += p[3] & 2 ? 2 : 0;
	return at < len ? at : 0;
}

/* RFC 1950, 2.2: without a dictionary. */
static size_t zlib_header(const uint8_t *p, size_t len)
{
	bool ok = len > 6 && (p[0] & 15) == 8 && p[0] >> 4 <= 7 && (p[0] << 8 | p[1]) % 31 == 0 && !(p[1] & 0x20);
	return ok ? 2 : 0;
}

/* APPNOTE.TXT, 4.3.7: a local header, whose sizes may be 0: the stream knows its own end. */
static size_t zip_header(const uint8_t *p, size_t len)
{
	if (len < 30 || memcmp(p, "PK\3\4", 4) != 0 || (p[8] | p[9] << 8) != 8 || p[6] & 1)
		return 0;
	size_t at = 30u + (size_t)(p[26] | p[27] << 8) + (size_t)(p[28] | p[29] << 8);
	return at < len ? at : 0;
}

static size_t header_at(const uint8_t *p, size_t len)
{
	switch (*p) {
	case 0x1f:
		return gzip_header(p, len);
	case 0x78:                    /* the window of 32 KiB that everybody takes */
		return zlib_header(p, len);
	case 'P':
		return zip_header(p, len);
	default:
		return 0;
	}
}

/* A member at `at`, or *ret_packed is 0. `spent` grows by what was unpacked in vain. */
static int measure(const uint8_t *data, size_t len, size_t at, struct vn_delta_member *ret, uint64_t *spent, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	struct counter counter = { { &counter_ops }, 0 };
	uint64_t packed = 0, plain = 0;
	int rc = vn_in_memory(data + at, len - at, &in, err);
	if (rc < 0)
		return rc;
	ret->packed = 0;
	rc = vn_inflate_raw(in, VN_MAX_DELTA_UNPACKED / 2, &counter.out, &packed, &plain, err);
	if (rc == 0 && packed >= SMALLEST && plain >= SMALLEST && plain / VN_MAX_RATIO <= packed) {
		*ret = (struct vn_delta_member){ .at = at, .packed = (size_t)packed, .plain = (size_t)plain };
		return 0;
	}
	*spent += counter.len;
	return rc < 0 && err->code != VN_EFORMAT && err->code != VN_ELIMIT ? rc : 0;
}

static int find_members(const uint8_t *data, size_t len, struct vn_delta_members *ret, struct vn_err *err)
{
	uint64_t spent = 0;
	for (size_t i = 0; i < len && spent / 4 <= len + STEP;) {
		struct vn_delta_member m = { 0 };
		size_t header = header_at(data + i, len - i);
		int rc = header ? measure(data, len, i + header, &m, &spent, err) : 0;
		if (rc < 0)
			return rc;
		if (m.packed == 0) {
			i++;
			continue;
		}
		if ((rc = vn_grow(&ret->list, &ret->cap, ret->count + 1, sizeof(*ret->list), err)) < 0)
			return rc;
		ret->list[ret->count++] = m;
		i = m.at + m.packed;
	}
	return 0;
}

/* ---- which of them to unpack */
static int unpack_member(const uint8_t *data, const struct vn_delta_member *m, struct vn_buf *out, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *to = NULL;
	uint64_t packed, plain;
	int rc = vn_in_memory(data + m->at, m->packed, &in, err);
	if (rc < 0 || (rc = vn_out_buf(out, &to, err)) < 0)
		return rc;
	return vn_inflate_raw(in, m->plain, to, &packed, &plain, err);
}

static int try_settings(const struct vn_buf *plain, const uint8_t *packed, size_t len, const struct vn_deflate *how,
			bool *ret_same, struct vn_err *err)
{
	struct comparer comparer = { { &comparer_ops }, packed, len };
	VN_AUTO_OUT *out = NULL;
	*ret_same = false;
	int rc = vn_out_deflate(&comparer.out, how, &out, err);
	for (size_t at = 0, n; rc == 0 && at < plain->len; at += n) {
		n = plain->len - at < STEP ? plain->len - at : STEP;
		rc = vn_out_write(out, plain->data + at, n, err);
	}
	if (rc == 0)
		rc = vn_out_finish(out, err);
	*ret_same = rc == 0 && comparer.left == 0;
	return rc < 0 && err->code != VN_EFORMAT ? rc : 0;
}

/* Which settings pack the member to the bytes that are there? Those of the member before first, then what is common. */
static int prove(const uint8_t *data, struct vn_delta_member *m, const struct vn_deflate *last, struct vn_err *err)
{
	static const uint8_t levels[] = { 6, 9, 1, 5, 7, 8, 4, 3, 2 }, memories[] = { 8, 9 };
	VN_AUTO(vn_buf) plain = VN_BUF(m->plain);
	bool same = false;
	int rc = unpack_member(data, m, &plain, err);
	m->how = *last;
	if (rc < 0 || (last->level && (rc = try_settings(&plain, data + m->at, m->packed, last, &same, err)) < 0))
		return rc;
	for (size_t i = 0; !same && i < sizeof(levels) * sizeof(memories); i++) {
		m->how = (struct vn_deflate){ levels[i % sizeof(levels)], 0, 15, memories[i / sizeof(levels)] };
		if ((rc = try_settings(&plain, data + m->at, m->packed, &m->how, &same, err)) < 0)
			return rc;
	}
	m->left = !same;
	return 0;
}

static uint64_t print_of(const uint8_t *p, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;             /* FNV-1a */
	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

struct printed {
	uint64_t print;
	struct vn_delta_member *member;
};

static int by_print(const void *a, const void *b)
{
	const struct printed *x = a, *y = b;
	return x->print < y->print ? -1 : x->print > y->print;
}

/* What stands in both files is a copy as it is: unpacking it would only cost the device time. */
static int leave_equal(const uint8_t *old, struct vn_delta_members *from, const uint8_t *data, struct vn_delta_members *to,
		       struct vn_err *err)
{
	VN_AUTO_FREE struct printed *prints = calloc(from->count + 1, sizeof(*prints));
	if (!prints)
		return vn_nomem(err);
	for (size_t i = 0; i < from->count; i++)
		prints[i] = (struct printed){ print_of(old + from->list[i].at, from->list[i].packed), &from->list[i] };
	qsort(prints, from->count, sizeof(*prints), by_print);
	for (size_t i = 0; i < to->count; i++) {
		struct vn_delta_member *m = &to->list[i];
		struct printed key = { print_of(data + m->at, m->packed), m };
		struct printed *p = bsearch(&key, prints, from->count, sizeof(*prints), by_print);
		if (p && p->member->packed == m->packed && memcmp(old + p->member->at, data + m->at, m->packed) == 0)
			m->left = p->member->left = true;
	}
	return 0;
}

/* Drops what is left as it is and what is above the bounds; the unpacked file and its lines of the table. */
static int build(const uint8_t *data, size_t len, struct vn_delta_members *m, bool settings, struct vn_buf *ret,
		 struct vn_buf *table, uint64_t *ret_count, struct vn_err *err)
{
	size_t at = 0, kept = 0;
	uint64_t most = VN_MAX_DELTA_UNPACKED - len, lines = 0;
	for (size_t i = 0; i < m->count; i++) {
		if (m->list[i].left || m->list[i].plain > most || (lines += 24) > VN_DELTA_TABLE_MAX / 2)
			continue;
		most -= m->list[i].plain;
		m->list[kept++] = m->list[i];
	}
	m->count = kept;
	int rc = settings ? 0 : vn_delta_put_varint(table, kept, err);
	for (size_t i = 0; rc == 0 && i < kept; i++) {
		const struct vn_delta_member *x = &m->list[i];
		uint8_t how[2];
		how[0] = (uint8_t)(x->how.level | x->how.strategy << 4);
		how[1] = (uint8_t)(x->how.window_bits | x->how.mem_level << 4);
		if ((rc = vn_buf_add(ret, data + at, x->at - at, err)) < 0 || (rc = unpack_member(data, x, ret, err)) < 0 ||
		    (rc = vn_delta_put_varint(table, x->at - at, err)) < 0 ||
		    (rc = vn_delta_put_varint(table, x->plain, err)) < 0)
			return rc;
		rc = settings ? vn_buf_add(table, how, sizeof(how), err) : 0;
		at = x->at + x->packed;
	}
	*ret_count = kept;
	return rc < 0 ? rc : vn_buf_add(ret, data + at, len - at, err);
}

/* As a stream: V(0) bytes, or V(n) and a frame of n bytes without its magic number. */
static int pack_table(const struct vn_buf *table, struct vn_buf *ret, struct vn_err *err)
{
	size_t cap = ZSTD_compressBound(table->len);
	VN_AUTO_FREE uint8_t *packed = malloc(cap);
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t n = 0;
	if (z && packed) {
		ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, TABLE_LEVEL);
		n = ZSTD_compress2(z, packed, cap, table->data, table->len);
	}
	ZSTD_freeCCtx(z);
	if (n == 0 || ZSTD_isError(n))
		return vn_nomem(err);
	bool plain = n - 4 >= table->len;
	int rc = vn_delta_put_varint(ret, plain ? 0 : n - 4, err);
	if (rc < 0)
		return rc;
	return plain ? vn_buf_add(ret, table->data, table->len, err) : vn_buf_add(ret, packed + 4, n - 4, err);
}

int vn_delta_unpack(const uint8_t *old, size_t old_len, const uint8_t *data, size_t len, struct vn_delta_unpacked *ret,
		    bool *ret_any, struct vn_err *err)
{
	VN_AUTO(vn_delta_members) from = { 0 }, to = { 0 };
	VN_AUTO(vn_buf) table = VN_BUF(VN_DELTA_TABLE_MAX);
	struct vn_deflate last = { 0 };
	uint64_t none = 0;
	*ret_any = false;
	if (old_len > VN_MAX_DELTA_UNPACKED / 2 || len > VN_MAX_DELTA_UNPACKED / 2)
		return 0;
	int rc = find_members(data, len, &to, err);
	if (rc < 0 || (rc = find_members(old, old_len, &from, err)) < 0 || (rc = leave_equal(old, &from, data, &to, err)) < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < to.count; i++)
		if (!to.list[i].left && (rc = prove(data, &to.list[i], &last, err)) == 0 && !to.list[i].left)
			last = to.list[i].how;
	/* old alone is worth it when new holds the plain bytes */
	if (rc < 0 || (last.level == 0 && (to.count > 0 || from.count == 0)))
		return rc;
	size_t most = VN_MAX_DELTA_UNPACKED < SIZE_MAX / 2 ? (size_t)VN_MAX_DELTA_UNPACKED : SIZE_MAX / 2;
	*ret = (struct vn_delta_unpacked){ .old = VN_BUF(most), .data = VN_BUF(most), .table = VN_BUF(2 * VN_DELTA_TABLE_MAX) };
	if ((rc = build(old, old_len, &from, false, &ret->old, &table, &none, err)) < 0 ||
	    (rc = build(data, len, &to, true, &ret->data, &table, &ret->members, err)) < 0 ||
	    (rc = pack_table(&table, &ret->table, err)) < 0)
		return rc;
	ret->table_len = table.len;
	*ret_any = true;
	return 0;
}
