#include "stream/deflate.h"
#include "util/cleanup.h"
#include <string.h>
#include <zlib.h>

#define FEED (16u << 10)          /* zlib always sees pieces of this size, so that nothing hangs on the caller's */
#define DRAIN (16u << 10)
#define PLAIN (32u << 10)
#define TAKE_MAX (1u << 30)       /* zlib counts in 32 bits */

struct deflate_out {
	struct vn_out out;
	struct vn_out *inner;
	z_stream z;
	size_t held;
	uint8_t plain[FEED], packed[DRAIN];
};

static int run(struct deflate_out *d, int flush, struct vn_err *err)
{
	int code;
	d->z.next_in = d->plain;
	d->z.avail_in = (uInt)d->held;
	d->held = 0;
	do {
		d->z.next_out = d->packed;
		d->z.avail_out = DRAIN;
		code = deflate(&d->z, flush);
		if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
			return vn_fail(err, VN_EIO, "deflate: zlib fails with code %d", code);
		int rc = vn_out_write(d->inner, d->packed, DRAIN - d->z.avail_out, err);
		if (rc < 0)
			return rc;
	} while (flush == Z_FINISH ? code != Z_STREAM_END : d->z.avail_in || !d->z.avail_out);
	return 0;
}

static int deflate_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	struct deflate_out *d = (struct deflate_out *)out;
	for (const uint8_t *p = data; len > 0;) {
		size_t n = len < FEED - d->held ? len : FEED - d->held;
		memcpy(d->plain + d->held, p, n);
		d->held += n, p += n, len -= n;
		int rc = d->held == FEED ? run(d, Z_NO_FLUSH, err) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int deflate_finish(struct vn_out *out, struct vn_err *err)
{
	return run((struct deflate_out *)out, Z_FINISH, err);
}

static void deflate_close(struct vn_out *out)
{
	struct deflate_out *d = (struct deflate_out *)out;
	(void)deflateEnd(&d->z);
	free(d);
}

static const struct vn_out_ops deflate_ops = { deflate_write, deflate_finish, deflate_close };

int vn_out_deflate(struct vn_out *inner, const struct vn_deflate *how, struct vn_out **ret, struct vn_err *err)
{
	if (how->level < 1 || how->level > 9 || how->strategy > Z_FIXED || how->window_bits < 9 ||
	    how->window_bits > MAX_WBITS || how->mem_level < 1 || how->mem_level > 9)
		return vn_fail(err, VN_EUSAGE, "deflate: level %u, strategy %u, window %u, memory %u are not what zlib knows",
			       how->level, how->strategy, how->window_bits, how->mem_level);
	VN_AUTO_FREE struct deflate_out *d = calloc(1, sizeof(*d));
	if (!d || deflateInit2(&d->z, how->level, Z_DEFLATED, -how->window_bits, how->mem_level, how->strategy) != Z_OK)
		return vn_nomem(err);
	d->out.ops = &deflate_ops;
	d->inner = inner;
	*ret = &vn_steal(d)->out;
	return 0;
}

struct inflating {
	z_stream z;
	uint8_t plain[PLAIN];
};

static void inflating_close(struct inflating **i)
{
	if (*i)
		(void)inflateEnd(&(*i)->z);
	free(*i);
}

/* Z_STREAM_END, Z_OK when it wants more, or a failure. */
static int inflate_block(struct inflating *i, uint64_t max_plain, uint64_t *plain, struct vn_out *out, struct vn_err *err)
{
	int code;
	do {
		i->z.next_out = i->plain;
		i->z.avail_out = PLAIN;
		code = inflate(&i->z, Z_NO_FLUSH);
		if (code == Z_MEM_ERROR)
			return vn_nomem(err);
		if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
			return vn_fail(err, VN_EFORMAT, "deflate: %s", i->z.msg ? i->z.msg : "this is no deflate stream");
		size_t n = PLAIN - i->z.avail_out;
		if (n > max_plain - *plain)
			return vn_fail(err, VN_ELIMIT, "deflate: more than %llu bytes", (unsigned long long)max_plain);
		*plain += n;
		int rc = n ? vn_out_write(out, i->plain, n, err) : 0;
		if (rc < 0)
			return rc;
	} while (code != Z_STREAM_END && (i->z.avail_in || !i->z.avail_out));
	return code == Z_STREAM_END ? Z_STREAM_END : Z_OK;
}

int vn_inflate_raw(struct vn_in *in, uint64_t max_plain, struct vn_out *out, uint64_t *ret_packed, uint64_t *ret_plain,
		   struct vn_err *err)
{
	VN_CLEANUP(inflating_close) struct inflating *i = calloc(1, sizeof(*i));
	uint64_t packed = 0, plain = 0;
	if (!i || inflateInit2(&i->z, -MAX_WBITS) != Z_OK)
		return vn_nomem(err);
	for (int code = Z_OK; code != Z_STREAM_END;) {
		const void *block;
		ssize_t n = vn_in_next(in, &block, err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return vn_fail(err, VN_EFORMAT, "deflate: the stream ends early");
		for (size_t at = 0; at < (size_t)n && code != Z_STREAM_END;) {
			size_t take = (size_t)n - at < TAKE_MAX ? (size_t)n - at : TAKE_MAX;
			i->z.next_in = (uint8_t *)(uintptr_t)block + at;      /* zlib does not write there */
			i->z.avail_in = (uInt)take;
			if ((code = inflate_block(i, max_plain, &plain, out, err)) < 0)
				return code;
			at += take - i->z.avail_in;
			packed += take - i->z.avail_in;
		}
	}
	*ret_packed = packed;
	*ret_plain = plain;
	return 0;
}
