/* The door to libzstd for writing. */
#include "stream/out.h"
#include "util/cleanup.h"
#include <zstd.h>

#define PACKED_SIZE (128u << 10)

struct zstd_out {
	struct vn_out out;
	struct vn_out *inner;
	ZSTD_CCtx *zstd;
	uint8_t packed[PACKED_SIZE];
};

static int run(struct zstd_out *z, const void *data, size_t len, ZSTD_EndDirective end, struct vn_err *err)
{
	ZSTD_inBuffer in = { data, len, 0 };
	for (;;) {
		ZSTD_outBuffer out = { z->packed, PACKED_SIZE, 0 };
		size_t left = ZSTD_compressStream2(z->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return vn_fail(err, VN_EIO, "zstd: %s", ZSTD_getErrorName(left));
		int rc = vn_out_write(z->inner, z->packed, out.pos, err);
		if (rc < 0 || (end == ZSTD_e_end ? left == 0 : in.pos == in.size))
			return rc;
	}
}

static int zstd_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	return run((struct zstd_out *)out, data, len, ZSTD_e_continue, err);
}

static int zstd_finish(struct vn_out *out, struct vn_err *err)
{
	struct zstd_out *z = (struct zstd_out *)out;
	int rc = run(z, NULL, 0, ZSTD_e_end, err);
	return rc < 0 ? rc : vn_out_finish(z->inner, err);
}

static void zstd_close(struct vn_out *out)
{
	struct zstd_out *z = (struct zstd_out *)out;
	ZSTD_freeCCtx(z->zstd);
	vn_out_close(z->inner);
	free(z);
}

static const struct vn_out_ops zstd_ops = { zstd_write, zstd_finish, zstd_close };

int vn_out_zstd(struct vn_out *inner, int level, struct vn_out **ret, struct vn_err *err)
{
	VN_AUTO_OUT *owned = inner;
	struct zstd_out *z = calloc(1, sizeof(*z));
	if (!z || !(z->zstd = ZSTD_createCCtx())) {
		free(z);
		return vn_nomem(err);
	}
	z->out.ops = &zstd_ops;
	z->inner = vn_steal(owned);
	size_t code = ZSTD_CCtx_setParameter(z->zstd, ZSTD_c_compressionLevel, level);
	*ret = &z->out;
	if (!ZSTD_isError(code))
		return 0;
	zstd_close(*ret);
	*ret = NULL;
	return vn_fail(err, VN_EUSAGE, "zstd: level %d: %s", level, ZSTD_getErrorName(code));
}
