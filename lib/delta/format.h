/* The container of a delta, as veneer-delta(5) specifies it. V = LEB128 varint, Z = zigzag varint, numbers little-endian.
 *
 *   delta  = head table? record*         a block of new is 2^block_log2 bytes, the last one shorter; nothing behind
 *   head   = "VND1" block_log2:u8 windows:u8 V(old size) V(new size) sha256(old)[0..8) sha256(new)[0..32)
 *            with MEMBERS in the high bit of block_log2: V(old size, unpacked) V(new size, unpacked) V(length of table)
 *   table  = check:u8[4] stream of (V(members of old) (V(gap) V(plain length))*
 *            (V(gap) V(plain length) level | strategy << 4:u8 window bits | memory level << 4:u8)*)
 *   record = V(length of body) mode:u8 check:u8[4] body                   COPY: many blocks, another mode: one
 *   check  = sha256(the head, for the first record | V(length of body) | mode | body | but for COPY: the new bytes)[0..4)
 *   body   = COPY: V(blocks) map                                       mode | COPY_FINE: the map is a fine one
 *          | RAW: V(history) stream
 *          | REF: Z(old start - block start) V(old length) V(history) stream
 *          | PLANES: stride:u8 stream*stride
 *          | XOR, SUB, FSUB: shape:u8 map residual                    mode | CONVERT: the map is a converting one
 *   shape  = log2(width) | phase << 2 | SPARSE << 5 | FINE << 6 | CLASSES << 7
 *   map    = (V(pieces) Z(shift - previous shift))*                        pieces of 16 KiB (or a block), until all is covered
 *          | FINE: V(length) stream of (V(mapped) V(unmapped) Z(shift - previous shift))*    in bytes
 *          | CONVERT: V(length) stream of segments
 *   segment = from:4 to:4 V(elements) V(unmapped bytes) Z(place in old - end of the segment before, in old)
 *             to U8, I8, U16, I16: Z(exponent) V(scales) [scales > 1: V(run)] (V(step) Z(zero) Z(base))*scales
 *   residual = stream*width | SPARSE: V(elements) V(length of gaps) stream(gaps) stream*width
 *            | CLASSES: edge bytes V(lag) V(length of model) stream(model) V(length of symbols) symbols:rANS
 *              low bits of the elements, lowest first
 *   model  = shift:u8 ranges [ranges, with a lag] table:u8 for each pair of ranges, symbols-1:u8 table*
 *   ranges = n-1:u8 start:u8*(n-1)      table = (code of weight - that two symbols before):u8*symbols
 *   stream = V(0) raw bytes | V(1) byte, repeated | V(n) n bytes: a zstd frame without its magic number */
#ifndef VN_DELTA_FORMAT_H
#define VN_DELTA_FORMAT_H
#include "util/digest.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VN_DELTA_MAGIC "VND1"
#define VN_DELTA_MAGIC_LEN 4
#define VN_DELTA_BLOCK_MIN 12             /* log2 */
#define VN_DELTA_BLOCK_MAX 24
#define VN_DELTA_HAS_MEMBERS 0x80u        /* in the byte of block_log2 */
#define VN_DELTA_TABLE_MAX (256u << 10)   /* bytes of the table of members */
#define VN_DELTA_WINDOW_BASE 11           /* log2 of a window = base + nibble; nibble 0 = none */
#define VN_DELTA_PIECE_LOG 14
#define VN_DELTA_SHIFT_MAX (1ll << 40)
#define VN_DELTA_OLD_DIGEST 8             /* guards against accidents; what comes out is held against all of the other */
#define VN_DELTA_NEW_DIGEST 32
#define VN_DELTA_CHECK 4
#define VN_DELTA_HEAD_MAX (VN_DELTA_MAGIC_LEN + 2 + 5 * 10 + VN_DELTA_OLD_DIGEST + VN_DELTA_NEW_DIGEST)
#define VN_DELTA_BODY_SLACK 4096          /* a body is at most this much longer than its block */
#define VN_DELTA_STREAM_SLACK 64          /* likewise gaps and values of a sparse residual */

enum vn_delta_mode {
	VN_DELTA_COPY,
	VN_DELTA_RAW,
	VN_DELTA_REF,
	VN_DELTA_PLANES,
	VN_DELTA_XOR,
	VN_DELTA_SUB,
	VN_DELTA_FSUB,
	VN_DELTA_MODES
};

#define VN_DELTA_CONVERT 0x80u            /* in the mode of XOR, SUB and FSUB: their map is a converting one */
#define VN_DELTA_COPY_FINE 0x80u          /* in the mode of COPY: its map is a fine one */
#define VN_DELTA_SHAPE_WIDTH 3u           /* mask: log2 of 1, 2, 4, 8 */
#define VN_DELTA_SHAPE_PHASE_SHIFT 2
#define VN_DELTA_SHAPE_SPARSE 0x20u
#define VN_DELTA_SHAPE_FINE 0x40u
#define VN_DELTA_SHAPE_CLASSES 0x80u

struct vn_delta_head {
	uint64_t old_size, new_size;              /* of the files */
	bool members;                             /* blocks, maps and windows are about the files with their members unpacked */
	uint64_t old_unpacked, new_unpacked;      /* without members: as above */
	size_t table_len;
	unsigned block_log2;
	unsigned old_window_log2, history_log2;   /* 0 = none: the most a REF takes from old, and from new before the block */
	uint8_t old_digest[VN_DELTA_OLD_DIGEST];
	uint8_t new_digest[VN_DELTA_NEW_DIGEST];
	size_t len;                               /* bytes of the head itself */
	uint8_t bytes[VN_DELTA_HEAD_MAX];
};

/* The head at the start of a delta; `len` bytes are there, VN_DELTA_HEAD_MAX are always enough. */
int vn_delta_head_parse(const void *data, size_t len, struct vn_delta_head *ret, struct vn_err *err);
/* Fills bytes and len from the other members. */
void vn_delta_head_write(struct vn_delta_head *head);
/* The raw bytes of a running sha256. */
int vn_delta_hash_end(struct vn_hash *hash, uint8_t ret[VN_DELTA_NEW_DIGEST], struct vn_err *err);
/* Most bytes of heap that applying takes; with members, a scratch file of old_unpacked bytes besides. */
uint64_t vn_delta_memory(const struct vn_delta_head *head);
/* The head as the blocks see it: its sizes are those of the unpacked files. */
struct vn_delta_head vn_delta_inside(const struct vn_delta_head *head);

static inline size_t vn_delta_block_size(const struct vn_delta_head *h)
{
	uint64_t size = (uint64_t)1 << h->block_log2;
	return (size_t)(h->new_size < size ? h->new_size : size);
}
/* Bytes of a piece of a coarse map. */
static inline size_t vn_delta_piece(const struct vn_delta_head *h)
{
	return (size_t)1 << (h->block_log2 < VN_DELTA_PIECE_LOG ? h->block_log2 : VN_DELTA_PIECE_LOG);
}
static inline uint64_t vn_delta_count_blocks(const struct vn_delta_head *h)
{
	return (h->new_size + ((uint64_t)1 << h->block_log2) - 1) >> h->block_log2;
}
static inline size_t vn_delta_window(unsigned log2, uint64_t size)
{
	uint64_t window = log2 ? (uint64_t)1 << log2 : 0;
	return (size_t)(size < window ? size : window);
}
static inline uint64_t vn_delta_zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}
static inline int64_t vn_delta_unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}
#endif
