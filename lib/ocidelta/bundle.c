#include "ocidelta/bundle.h"
#include "util/cleanup.h"
#include "util/num.h"
#include "util/path.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_LEN 4
#define TABLE_LEVEL 19
#define DOCUMENTS_MOST (VN_MAX_MANIFEST + VN_MAX_CONFIG + (1u << 20))

void vn_bundle_release(struct vn_bundle *b)
{
	vn_arena_release(&b->arena);
	free(b->paths);
	free(b->layers);
	memset(b, 0, sizeof(*b));
}

int vn_bundle_new_size(const struct vn_bundle *b, uint64_t *ret, struct vn_err *err)
{
	uint64_t size = 0;
	for (size_t i = 0; i < b->nlayers; i++)
		if (vn_bundle_in_delta(&b->layers[i]) && (!vn_add_u64(size, b->layers[i].plain, &size) || size > VN_MAX_BLOB))
			return vn_fail(err, VN_ELIMIT, "the delta's layers have more than %llu bytes",
				       (unsigned long long)VN_MAX_BLOB);
	*ret = size;
	return 0;
}

/* ---- writing */
static int put(struct vn_buf *t, uint64_t v, struct vn_err *err)
{
	uint8_t bytes[10];
	return vn_buf_add(t, bytes, vn_put_varint(bytes, v), err);
}

static int put_path(struct vn_buf *t, const char *before, const char *path, struct vn_err *err)
{
	size_t kept = 0, len = strlen(path);
	while (before[kept] && before[kept] == path[kept])
		kept++;
	int r = put(t, kept, err);
	if (r == 0)
		r = put(t, len - kept, err);
	return r < 0 ? r : vn_buf_add(t, path + kept, len - kept, err);
}

static int put_layer(struct vn_buf *t, const struct vn_bundle_layer *l, struct vn_err *err)
{
	uint8_t how = (uint8_t)(l->how | (l->from_source ? VN_BUNDLE_SOURCE : 0));
	uint8_t levels[2] = { (uint8_t)l->gzip.level, (uint8_t)l->gzip.mem_level };
	int r = vn_buf_add(t, &how, 1, err);
	if (r == 0 && l->how > VN_BUNDLE_ORIGINAL)
		r = put(t, l->plain, err);
	if (r == 0 && l->how == VN_BUNDLE_GZIP_AS)
		r = vn_buf_add(t, l->gzip.head, VN_GZIP_HEAD, err);
	if (r == 0 && l->how >= VN_BUNDLE_GZIP)
		r = vn_buf_add(t, levels, l->how == VN_BUNDLE_GZIP ? 1 : 2, err);
	return r;
}

static int put_table(const struct vn_bundle *b, struct vn_buf *t, struct vn_err *err)
{
	int r = put(t, b->npaths, err);
	for (size_t i = 0; r == 0 && i < b->npaths; i++)
		r = put_path(t, i ? b->paths[i - 1] : "", b->paths[i], err);
	if (r == 0)
		r = put(t, b->manifest, err);
	if (r == 0)
		r = put(t, b->config, err);
	if (r == 0)
		r = put(t, b->documents, err);
	if (r == 0)
		r = put(t, b->nlayers, err);
	for (size_t i = 0; r == 0 && i < b->nlayers; i++)
		r = put_layer(t, &b->layers[i], err);
	return r;
}

int vn_bundle_write(const struct vn_bundle *b, struct vn_out *out, struct vn_err *err)
{
	VN_AUTO(vn_buf) table = VN_BUF(VN_MAX_DELTA_TABLE), packed = VN_BUF(VN_MAX_DELTA_TABLE), head = VN_BUF(64);
	VN_AUTO_OUT *memory = NULL, *zstd = NULL;
	int r = put_table(b, &table, err);
	if (r == 0)
		r = vn_out_buf(&packed, &memory, err);
	if (r == 0)
		r = vn_out_zstd(vn_steal(memory), TABLE_LEVEL, &zstd, err);
	if (r == 0)
		r = vn_out_write(zstd, table.data, table.len, err);
	if (r == 0)
		r = vn_out_finish(zstd, err);
	bool plain = packed.len >= table.len;
	if (r == 0)
		r = vn_buf_adds(&head, VN_BUNDLE_MAGIC, err);
	if (r == 0)
		r = put(&head, table.len, err);
	if (r == 0)
		r = put(&head, plain ? 0 : packed.len, err);
	if (r == 0)
		r = vn_out_write(out, head.data, head.len, err);
	return r < 0 ? r : vn_out_write(out, plain ? table.data : packed.data, plain ? table.len : packed.len, err);
}

/* ---- reading */
struct table {
	const uint8_t *p;
	size_t len, at;
};

static int damaged(struct vn_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int damaged(struct vn_err *err, const char *fmt, ...)
{
	char text[200];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return vn_fail(err, VN_EDIGEST, "the table of the delta is damaged: %s", text);
}

static int get(struct table *t, uint64_t most, uint64_t *ret, struct vn_err *err)
{
	size_t n = vn_get_varint(t->p + t->at, t->len - t->at, ret);
	if (!n)
		return damaged(err, "no number at byte %zu of %zu", t->at, t->len);
	if (*ret > most)
		return vn_fail(err, VN_ELIMIT, "the table of the delta says %llu at byte %zu, at most %llu is read",
			       (unsigned long long)*ret, t->at, (unsigned long long)most);
	t->at += n;
	return 0;
}

static int get_bytes(struct table *t, size_t len, const uint8_t **ret, struct vn_err *err)
{
	if (len > t->len - t->at)
		return damaged(err, "it ends early, after %zu bytes", t->len);
	*ret = t->p + t->at;
	t->at += len;
	return 0;
}

static int get_path(struct table *t, struct vn_buf *path, struct vn_buf *clean, struct vn_err *err)
{
	uint64_t kept, len;
	const uint8_t *bytes = NULL;
	int r = get(t, VN_MAX_PATH, &kept, err);
	if (r == 0)
		r = get(t, VN_MAX_PATH, &len, err);
	if (r == 0)
		r = get_bytes(t, (size_t)len, &bytes, err);
	if (r < 0)
		return r;
	if (kept > path->len)
		return damaged(err, "a path keeps %llu bytes of one with %zu", (unsigned long long)kept, path->len);
	if (path->data)
		path->data[path->len = (size_t)kept] = 0;
	r = vn_buf_add(path, bytes, (size_t)len, err);
	if (r == 0 && memchr(vn_buf_text(path), 0, path->len))
		r = vn_fail(err, VN_EUNSAFE, "the delta names a file with a NUL in its path");
	vn_buf_clear(clean);
	if (r == 0)
		r = vn_path_clean(vn_buf_text(path), clean, err);
	if (r == 0 && (!clean->len || strcmp(vn_buf_text(path), vn_buf_text(clean))))
		r = vn_fail(err, VN_EUNSAFE, "the delta names the file \"%.300s\", which is no clean path", vn_buf_text(path));
	return r;
}

static int get_paths(struct table *t, struct vn_bundle *b, struct vn_err *err)
{
	VN_AUTO(vn_buf) path = VN_BUF(2 * VN_MAX_PATH), clean = VN_BUF(2 * VN_MAX_PATH);
	uint64_t n = 0, sum = 0;
	int r = get(t, VN_MAX_DELTA_FILES, &n, err);
	for (uint64_t i = 0; r == 0 && i < n; i++) {
		r = get_path(t, &path, &clean, err);
		if (r == 0 && (sum += path.len) > VN_MAX_DELTA_TABLE)
			r = vn_fail(err, VN_ELIMIT, "the paths that the delta names have more than %u bytes", VN_MAX_DELTA_TABLE);
		if (r == 0 && i && vn_path_cmp(b->paths[i - 1], vn_buf_text(&path)) >= 0)
			r = damaged(err, "the file \"%.100s\" is out of order", vn_buf_text(&path));
		if (r == 0)
			r = vn_grow(&b->paths, &b->paths_cap, b->npaths + 1, sizeof(*b->paths), err);
		if (r == 0 && !(b->paths[b->npaths++] = vn_arena_text(&b->arena, vn_buf_text(&path), err)))
			r = -(int)err->code;
	}
	return r;
}

static int get_level(struct table *t, int *ret, struct vn_err *err)
{
	const uint8_t *level = NULL;
	int r = get_bytes(t, 1, &level, err);
	if (r < 0)
		return r;
	if (*level < 1 || *level > 9)
		return damaged(err, "%u is no level of gzip", *level);
	*ret = *level;
	return 0;
}

static int get_layer(struct table *t, struct vn_bundle_layer *l, struct vn_err *err)
{
	const uint8_t *p = NULL;
	int r = get_bytes(t, 1, &p, err);
	if (r < 0)
		return r;
	l->how = (enum vn_bundle_how)(*p & 0x7f);
	l->from_source = *p & VN_BUNDLE_SOURCE;
	if (l->how >= VN_BUNDLE_HOWS || (l->from_source && l->how <= VN_BUNDLE_ORIGINAL))
		return damaged(err, "%u is no kind of a layer", *p);
	if (l->how > VN_BUNDLE_ORIGINAL)
		r = get(t, l->from_source ? VN_MAX_LAYERS - 1 : VN_MAX_BLOB, &l->plain, err);
	if (r < 0 || l->how < VN_BUNDLE_GZIP)
		return r;
	if (l->how == VN_BUNDLE_GZIP_AS && (r = get_bytes(t, VN_GZIP_HEAD, &p, err)) == 0)
		memcpy(l->gzip.head, p, VN_GZIP_HEAD);
	if (r == 0)
		r = get_level(t, &l->gzip.level, err);
	if (l->how == VN_BUNDLE_GZIP && r == 0)
		vn_gzip_own(l->gzip.level, &l->gzip);
	return l->how == VN_BUNDLE_GZIP || r < 0 ? r : get_level(t, &l->gzip.mem_level, err);
}

static int get_table(struct table *t, struct vn_bundle *b, struct vn_err *err)
{
	uint64_t n = 0, size;
	int r = get_paths(t, b, err);
	if (r == 0)
		r = get(t, VN_MAX_MANIFEST, &b->manifest, err);
	if (r == 0)
		r = get(t, VN_MAX_CONFIG, &b->config, err);
	if (r == 0)
		r = get(t, DOCUMENTS_MOST, &b->documents, err);
	if (r == 0)
		r = get(t, VN_MAX_LAYERS, &n, err);
	if (r == 0 && !(b->layers = calloc((size_t)n + 1, sizeof(*b->layers))))
		r = vn_nomem(err);
	for (; r == 0 && b->nlayers < n; b->nlayers++)
		r = get_layer(t, &b->layers[b->nlayers], err);
	if (r == 0 && t->at != t->len)
		r = damaged(err, "%zu bytes follow it", t->len - t->at);
	return r < 0 ? r : vn_bundle_new_size(b, &size, err);
}

static int read_varint(struct vn_in *in, uint64_t *ret, struct vn_err *err)
{
	uint8_t bytes[10];
	size_t n = 0;
	do {
		int r = vn_in_read_full(in, bytes + n, 1, err);
		if (r < 0)
			return r;
	} while (bytes[n++] & 0x80 && n < sizeof(bytes));
	return vn_get_varint(bytes, n, ret) == n ? 0 : damaged(err, "its length is no number");
}

static int inflate(const struct vn_buf *packed, struct vn_buf *table, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL, *plain = NULL;
	static const uint8_t zstd[] = { 0x28, 0xb5, 0x2f, 0xfd };
	if (packed->len < sizeof(zstd) || memcmp(packed->data, zstd, sizeof(zstd)))
		return damaged(err, "it is no zstd frame");
	int r = vn_in_memory(packed->data, packed->len, &in, err);
	if (r == 0)
		r = vn_in_inflate(vn_steal(in), table->max, "the table of the delta", &plain, err);
	return r < 0 ? r : vn_in_read_all(plain, table, err);
}

int vn_bundle_bytes(struct vn_in *in, uint64_t len, struct vn_buf *ret, struct vn_err *err)
{
	char block[4096];
	int r = 0;
	/* no more memory than bytes have come */
	while (r == 0 && len) {
		size_t n = len < sizeof(block) ? (size_t)len : sizeof(block);
		r = vn_in_read_full(in, block, n, err);
		if (r == 0)
			r = vn_buf_add(ret, block, n, err);
		len -= n;
	}
	if (r < 0 && err->code == VN_EFORMAT)
		r = -(int)(err->code = VN_EDIGEST);
	return r;
}

static int read_table(struct vn_in *in, struct vn_buf *table, struct vn_err *err)
{
	VN_AUTO(vn_buf) packed = VN_BUF(VN_MAX_DELTA_TABLE);
	char magic[MAGIC_LEN];
	uint64_t len, packed_len;
	int r = vn_in_read_full(in, magic, MAGIC_LEN, err);
	if (r == 0 && memcmp(magic, VN_BUNDLE_MAGIC, MAGIC_LEN))
		r = vn_fail(err, VN_EDIGEST, "this is no delta of an image: it does not begin with \"" VN_BUNDLE_MAGIC "\"");
	if (r == 0)
		r = read_varint(in, &len, err);
	if (r == 0)
		r = read_varint(in, &packed_len, err);
	if (r < 0)
		return r;
	if (len > VN_MAX_DELTA_TABLE || packed_len > VN_MAX_DELTA_TABLE)
		return vn_fail(err, VN_ELIMIT, "the table of the delta has %llu bytes, at most %u are read", (unsigned long long)len,
			       VN_MAX_DELTA_TABLE);
	table->max = (size_t)len;
	r = vn_bundle_bytes(in, packed_len ? packed_len : len, packed_len ? &packed : table, err);
	if (r == 0 && packed_len)
		r = inflate(&packed, table, err);
	if (r == 0 && table->len != len)
		r = damaged(err, "it has %zu bytes, %llu are announced", table->len, (unsigned long long)len);
	return r;
}

int vn_bundle_read(struct vn_in *in, struct vn_bundle *ret, struct vn_err *err)
{
	VN_AUTO(vn_bundle) b = { 0 };
	VN_AUTO(vn_buf) table = VN_BUF(0);
	int r = read_table(in, &table, err);
	/* what a stream below finds, such as a wrong digest, is worth more than that its bytes make no sense */
	if (r < 0 && err->code == VN_EFORMAT)
		err->code = VN_EDIGEST, r = -VN_EDIGEST;
	struct table t = { (const uint8_t *)vn_buf_text(&table), table.len, 0 };
	if (r == 0)
		r = get_table(&t, &b, err);
	if (r < 0)
		return r;
	*ret = b;
	b = (struct vn_bundle){ 0 };
	return 0;
}
