/* The door to zlib: gzip whose bytes depend on the input and the level alone. */
#include "stream/out.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <string.h>
#include <zlib.h>

#define PACKED_SIZE (128u << 10)
#define FEED_MAX (1u << 30)       /* zlib counts in 32 bits */
#define OS_UNKNOWN 255            /* RFC 1952, 2.3.1 */

struct gzip_out {
	struct vn_out out;
	struct vn_out *inner;
	z_stream z;
	uint8_t head[VN_GZIP_HEAD];
	bool started;
	uLong crc;
	uint32_t plain;               /* modulo 2^32, as RFC 1952 has it */
	uint8_t packed[PACKED_SIZE];
};

/* Feed what z.next_in holds; Z_FINISH also ends the stream. */
static int run(struct gzip_out *g, int flush, struct vn_err *err)
{
	int code;
	do {
		g->z.next_out = g->packed;
		g->z.avail_out = PACKED_SIZE;
		code = deflate(&g->z, flush);
		if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
			return vn_fail(err, VN_EIO, "gzip: zlib fails with code %d", code);
		int rc = vn_out_write(g->inner, g->packed, PACKED_SIZE - g->z.avail_out, err);
		if (rc < 0)
			return rc;
	} while (flush == Z_FINISH ? code != Z_STREAM_END : g->z.avail_in || !g->z.avail_out);
	return 0;
}

static int start(struct gzip_out *g, struct vn_err *err)
{
	if (g->started)
		return 0;
	g->started = true;
	return vn_out_write(g->inner, g->head, VN_GZIP_HEAD, err);
}

static int gzip_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	struct gzip_out *g = (struct gzip_out *)out;
	int started = start(g, err);
	if (started < 0)
		return started;
	for (const uint8_t *p = data; len;) {
		size_t n = len < FEED_MAX ? len : FEED_MAX;
		g->z.next_in = (uint8_t *)(uintptr_t)p;       /* zlib does not write there */
		g->z.avail_in = (uInt)n;
		g->crc = crc32(g->crc, p, (uInt)n);
		g->plain += (uint32_t)n;
		int rc = run(g, Z_NO_FLUSH, err);
		if (rc < 0)
			return rc;
		p += n;
		len -= n;
	}
	return 0;
}

static int gzip_finish(struct vn_out *out, struct vn_err *err)
{
	struct gzip_out *g = (struct gzip_out *)out;
	uint8_t tail[8];
	int rc = start(g, err);
	if (rc == 0)
		rc = run(g, Z_FINISH, err);
	vn_put_u32(tail, (uint32_t)g->crc);
	vn_put_u32(tail + 4, g->plain);
	if (rc == 0)
		rc = vn_out_write(g->inner, tail, sizeof(tail), err);
	return rc < 0 ? rc : vn_out_finish(g->inner, err);
}

static void gzip_close(struct vn_out *out)
{
	struct gzip_out *g = (struct gzip_out *)out;
	(void)deflateEnd(&g->z);
	vn_out_close(g->inner);
	free(g);
}

static const struct vn_out_ops gzip_ops = { gzip_write, gzip_finish, gzip_close };

void vn_gzip_own(int level, struct vn_gzip_like *ret)
{
	/* magic, deflate, no flags, no time, how hard it was tried, the system */
	uint8_t tried = level == 9 ? 2 : level == 1 || level == 0 ? 4 : 0;
	*ret = (struct vn_gzip_like){ { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, tried, OS_UNKNOWN }, level, 8 };
}

int vn_out_gzip(struct vn_out *inner, int level, struct vn_out **ret, struct vn_err *err)
{
	struct vn_gzip_like own;
	vn_gzip_own(level, &own);
	return vn_out_gzip_like(inner, &own, ret, err);
}

int vn_out_gzip_like(struct vn_out *inner, const struct vn_gzip_like *like, struct vn_out **ret, struct vn_err *err)
{
	VN_AUTO_OUT *owned = inner;
	VN_AUTO_FREE struct gzip_out *g = calloc(1, sizeof(*g));
	if (!g)
		return vn_nomem(err);
	int code = deflateInit2(&g->z, like->level, Z_DEFLATED, -MAX_WBITS, like->mem_level, Z_DEFAULT_STRATEGY);
	if (code == Z_MEM_ERROR)
		return vn_nomem(err);
	if (code != Z_OK)
		return vn_fail(err, VN_EUSAGE, "gzip: level %d with memory %d is not one that zlib knows", like->level,
			       like->mem_level);
	memcpy(g->head, like->head, VN_GZIP_HEAD);
	g->out.ops = &gzip_ops;
	g->inner = vn_steal(owned);
	*ret = &vn_steal(g)->out;
	return 0;
}
