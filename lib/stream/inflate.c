/* The door to ISA-L and libzstd for reading: gzip (RFC 1952, any number of members), zstd (RFC 8878, any number of frames,
 * skippable ones too) or bytes as they are, told apart by their first bytes as container engines do. */
#include "stream/in.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <isa-l/igzip_lib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define OUT_SIZE (256u << 10)     /* measured: 128 KiB to 2 MiB cost the same; this one stays in cache for who hashes it */
#define HEAD_SIZE 6               /* the longest magic */
#define FEED_MAX (1u << 30)       /* ISA-L counts in 32 bits */

struct inflate {
	struct vn_in in;
	struct vn_in *inner;
	ssize_t (*step)(struct inflate *z, const void **ret_block, struct vn_err *err);
	char *what;
	uint64_t max_plain;
	uint64_t plain, packed;       /* bytes that came out, bytes taken from inner */
	const uint8_t *next;          /* of inner's block, not used yet */
	size_t avail;
	bool ended;
	bool mid;                     /* within a member or frame */
	bool many;                    /* a member or frame has ended before */
	uint8_t head[HEAD_SIZE];
	struct vn_err failed;         /* said again when somebody reads on */
	uint8_t *out;
	struct inflate_state *gzip;
	ZSTD_DStream *zstd;
};

/* The next block of inner into next, avail: 1, 0 at the end, -code. */
static int refill(struct inflate *z, struct vn_err *err)
{
	const void *block;
	ssize_t n = vn_in_next(z->inner, &block, err);
	if (n <= 0)
		return (int)n;
	z->next = block;
	z->avail = (size_t)n;
	z->packed += (uint64_t)n;
	return 1;
}

static unsigned long long offset_of(const struct inflate *z)
{
	return (unsigned long long)(z->packed - z->avail);
}

static int ends_early(struct inflate *z, const char *kind, struct vn_err *err)
{
	return vn_fail(err, VN_EFORMAT, "%s: the %s stream ends early, after %llu bytes", z->what, kind,
		       (unsigned long long)z->packed);
}

/* ---- gzip */
static int gzip_failed(struct inflate *z, int code, struct vn_err *err)
{
	static const struct {
		int code;
		const char *text;
	} texts[] = {
		{ ISAL_INVALID_BLOCK, "invalid deflate block" },
		{ ISAL_INVALID_SYMBOL, "invalid deflate code" },
		{ ISAL_INVALID_LOOKBACK, "a distance that reaches before the start" },
		{ ISAL_INVALID_WRAPPER, "invalid gzip header" },
		{ ISAL_UNSUPPORTED_METHOD, "a compression method other than deflate" },
	};
	const char *text = "invalid gzip data";
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].code == code)
			text = texts[i].text;
	if (code == ISAL_INCORRECT_CHECKSUM)
		vn_fail(err, VN_EDIGEST, "%s: the gzip checksum or length before byte %llu does not fit the data", z->what,
			offset_of(z));
	else if (code == ISAL_INVALID_WRAPPER && z->many)
		vn_fail(err, VN_EFORMAT, "%s: something that is no gzip follows the gzip stream, near byte %llu", z->what,
			offset_of(z));
	else
		vn_fail(err, VN_EFORMAT, "%s: %s near byte %llu", z->what, text, offset_of(z));
	return vn_in_settle(z->inner, err);
}

/* Run the decoder once over what there is. */
static int gzip_run(struct inflate *z, struct vn_err *err)
{
	struct inflate_state *s = z->gzip;
	uint32_t feed = z->avail < FEED_MAX ? (uint32_t)z->avail : FEED_MAX;
	s->next_in = (uint8_t *)(uintptr_t)z->next;       /* ISA-L does not write there */
	s->avail_in = feed;
	int code = isal_inflate(s);
	z->next += feed - s->avail_in;
	z->avail -= feed - s->avail_in;
	if (code != ISAL_DECOMP_OK)
		return gzip_failed(z, code, err);
	if (s->block_state == ISAL_BLOCK_FINISH) {
		z->mid = false;
		z->many = true;
	}
	return 0;
}

static ssize_t gzip_step(struct inflate *z, const void **ret_block, struct vn_err *err)
{
	struct inflate_state *s = z->gzip;
	s->next_out = z->out;
	s->avail_out = OUT_SIZE;
	while (s->avail_out) {
		if (z->mid || z->avail) {
			if (!z->mid) {
				isal_inflate_reset(s);
				s->crc_flag = ISAL_GZIP;
				z->mid = true;
			}
			int rc = gzip_run(z, err);
			if (rc < 0)
				return rc;
		}
		if (!s->avail_out || z->avail)
			continue;
		int rc = refill(z, err);
		if (rc < 0)
			return rc;
		if (rc == 0 && z->mid)
			return ends_early(z, "gzip", err);
		if (rc == 0)
			break;
	}
	*ret_block = z->out;
	return (ssize_t)(OUT_SIZE - s->avail_out);
}

static int gzip_open(struct inflate *z, struct vn_err *err)
{
	z->gzip = calloc(1, sizeof(*z->gzip));
	z->out = malloc(OUT_SIZE);
	if (!z->gzip || !z->out)
		return vn_nomem(err);
	isal_inflate_init(z->gzip);
	z->step = gzip_step;
	return 0;
}

/* ---- zstd */
static int zstd_failed(struct inflate *z, size_t result, struct vn_err *err)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return vn_nomem(err);
	case ZSTD_error_frameParameter_windowTooLarge:
		return vn_fail(err, VN_ELIMIT, "%s: the zstd frame wants a window of more than %u MiB", z->what,
			       1u << (VN_MAX_ZSTD_WINDOW_LOG - 20));
	case ZSTD_error_checksum_wrong:
		vn_fail(err, VN_EDIGEST, "%s: the zstd checksum before byte %llu does not fit the data", z->what, offset_of(z));
		break;
	case ZSTD_error_prefix_unknown:
		vn_fail(err, VN_EFORMAT, "%s: something that is no zstd follows the zstd stream, near byte %llu", z->what,
			offset_of(z));
		break;
	default:
		vn_fail(err, VN_EFORMAT, "%s: zstd near byte %llu: %s", z->what, offset_of(z), ZSTD_getErrorName(result));
	}
	return vn_in_settle(z->inner, err);
}

static ssize_t zstd_step(struct inflate *z, const void **ret_block, struct vn_err *err)
{
	ZSTD_outBuffer out = { z->out, OUT_SIZE, 0 };
	while (out.pos < out.size) {
		if (z->mid || z->avail) {
			ZSTD_inBuffer in = { z->next, z->avail, 0 };
			size_t result = ZSTD_decompressStream(z->zstd, &out, &in);
			z->next += in.pos;
			z->avail -= in.pos;
			if (ZSTD_isError(result))
				return zstd_failed(z, result, err);
			z->mid = result != 0;
		}
		if (out.pos == out.size || z->avail)
			continue;
		int rc = refill(z, err);
		if (rc < 0)
			return rc;
		if (rc == 0 && z->mid)
			return ends_early(z, "zstd", err);
		if (rc == 0)
			break;
	}
	*ret_block = z->out;
	return (ssize_t)out.pos;
}

static int zstd_open(struct inflate *z, struct vn_err *err)
{
	z->zstd = ZSTD_createDStream();
	z->out = malloc(OUT_SIZE);
	if (!z->zstd || !z->out)
		return vn_nomem(err);
	size_t result = ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax, VN_MAX_ZSTD_WINDOW_LOG);
	if (ZSTD_isError(result))
		return vn_fail(err, VN_EFORMAT, "zstd: %s", ZSTD_getErrorName(result));
	z->step = zstd_step;
	return 0;
}

/* ---- nothing */
static ssize_t plain_step(struct inflate *z, const void **ret_block, struct vn_err *err)
{
	if (!z->avail) {
		int rc = refill(z, err);
		if (rc <= 0)
			return rc;
	}
	*ret_block = z->next;
	ssize_t n = (ssize_t)z->avail;
	z->avail = 0;
	return n;
}

/* ---- telling them apart */
struct magic {
	const char *name;
	size_t len;
	uint8_t bytes[HEAD_SIZE];
	int (*open)(struct inflate *z, struct vn_err *err);     /* NULL: known, but no layer that engines accept */
};

static const struct magic magics[] = {
	{ "gzip", 2, { 0x1f, 0x8b }, gzip_open },
	{ "zstd", 4, { 0x28, 0xb5, 0x2f, 0xfd }, zstd_open },
	{ "xz", 6, { 0xfd, '7', 'z', 'X', 'Z', 0 }, NULL },
	{ "lz4", 4, { 0x04, 0x22, 0x4d, 0x18 }, NULL },
	{ "lz4 (legacy)", 4, { 0x02, 0x21, 0x4c, 0x18 }, NULL },
	{ "lzip", 5, { 'L', 'Z', 'I', 'P', 1 }, NULL },
	{ "compress (.Z)", 2, { 0x1f, 0x9d }, NULL },
};

/* Those whose first bytes vary. A tar may begin with a name like "]" or "BZh", therefore the bytes behind take part. */
static bool is_bzip2(const uint8_t *p, size_t n)
{
	return n >= 6 && !memcmp(p, "BZh", 3) && p[3] >= '1' && p[3] <= '9' && ((p[4] == 0x31 && p[5] == 0x41) ||
										(p[4] == 0x17 && p[5] == 0x72));
}
static bool is_lzma(const uint8_t *p, size_t n)
{
	return n >= 5 && p[0] == 0x5d && !p[1] && !p[2] && (p[3] || p[4]);
}
static bool is_zstd_skippable(const uint8_t *p, size_t n)
{
	return n >= 4 && (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18;
}

static int unsupported(struct inflate *z, const char *name, struct vn_err *err)
{
	return vn_fail(err, VN_EFORMAT, "%s: compressed with %s; gzip, zstd and plain are supported", z->what, name);
}

/* Enough bytes to see the magic in next, avail: from inner's own block unless that is shorter. */
static int peek(struct inflate *z, struct vn_err *err)
{
	int rc = refill(z, err);
	if (rc <= 0 || z->avail >= HEAD_SIZE)
		return rc;
	size_t have = z->avail;
	memcpy(z->head, z->next, have);
	ssize_t n = vn_in_read(z->inner, z->head + have, HEAD_SIZE - have, err);
	if (n < 0)
		return (int)n;
	z->packed += (uint64_t)n;
	z->next = z->head;
	z->avail = have + (size_t)n;
	return 1;
}

static int choose(struct inflate *z, struct vn_err *err)
{
	int rc = peek(z, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		const struct magic *m = &magics[i];
		if (z->avail >= m->len && !memcmp(z->next, m->bytes, m->len))
			return m->open ? m->open(z, err) : unsupported(z, m->name, err);
	}
	if (is_zstd_skippable(z->next, z->avail))
		return zstd_open(z, err);
	if (is_bzip2(z->next, z->avail))
		return unsupported(z, "bzip2", err);
	if (is_lzma(z->next, z->avail))
		return unsupported(z, "lzma", err);
	z->step = plain_step;
	return 0;
}

/* ---- the source */
static int check_caps(const struct inflate *z, struct vn_err *err)
{
	char size[VN_SIZE_TEXT], packed[VN_SIZE_TEXT];
	if (z->max_plain) {
		if (z->plain <= z->max_plain)
			return 0;
		vn_fail(err, VN_EUNSAFE, "%s: inflates to more than the allowed %s", z->what, vn_size_text(z->max_plain, size));
	} else {
		if (z->plain <= VN_RATIO_FROM || z->plain / VN_MAX_RATIO <= z->packed)
			return 0;
		vn_fail(err, VN_EUNSAFE, "%s: %s of compressed bytes inflate to %s and more, over %u times as much", z->what,
			vn_size_text(z->packed, packed), vn_size_text(z->plain, size), VN_MAX_RATIO);
	}
	return vn_hint(err, "when this layer is meant to be so large, allow it with --max-layer-size");
}

static ssize_t inflate_block(struct inflate *z, const void **ret_block, struct vn_err *err)
{
	if (!z->step) {
		int rc = choose(z, err);
		if (rc < 0)
			return rc;
	}
	ssize_t n = z->step(z, ret_block, err);
	if (n < 0)
		return n;
	z->ended = n == 0;
	z->plain += (uint64_t)n;
	int rc = check_caps(z, err);
	return rc < 0 ? rc : n;
}

static ssize_t inflate_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct inflate *z = (struct inflate *)in;
	if (z->failed.code) {
		*err = z->failed;
		return -(int)err->code;
	}
	if (z->ended)
		return 0;
	const void *block;
	ssize_t n = inflate_block(z, &block, err);
	if (n < 0)
		z->failed = *err;
	else if (n > 0)
		*ret_block = block;
	return n;
}

static void inflate_close(struct vn_in *in)
{
	struct inflate *z = (struct inflate *)in;
	vn_in_close(z->inner);
	free(z->what);
	free(z->out);
	free(z->gzip);
	ZSTD_freeDStream(z->zstd);
	free(z);
}

static const struct vn_in_ops inflate_ops = { inflate_next, inflate_close };

int vn_in_inflate(struct vn_in *inner, uint64_t max_plain, const char *what, struct vn_in **ret, struct vn_err *err)
{
	VN_AUTO_IN *owned = inner;
	VN_AUTO_FREE struct inflate *z = calloc(1, sizeof(*z));
	if (!z)
		return vn_nomem(err);
	int rc = vn_strdup(what ? what : "input", &z->what, err);
	if (rc < 0)
		return rc;
	z->in.ops = &inflate_ops;
	z->inner = vn_steal(owned);
	z->max_plain = max_plain;
	*ret = &vn_steal(z)->in;
	return 0;
}
