#include "delta/coder.h"
#include "delta/frame.h"
#include <string.h>

#define RUN_PAIRS 192                 /* of the map of a run of COPY blocks: its body stays small */
#define RUN_BYTES (64u << 20)         /* of new: what is copied again at most when an apply is resumed */
#define BLOCK_SEGMENTS 64             /* of a block that is copied by a fine map */
#define SEGMENT_BYTES 14              /* of such a map, at most: lengths below 2^28, a shift below 2^41 */

static uint64_t block_end(const struct vn_delta_head *h, uint64_t number)
{
	uint64_t end = (number + 1) << h->block_log2;
	return end < h->new_size ? end : h->new_size;
}

/* Segments that reach into [c->start, end). */
static size_t count_segments(const struct vn_delta_coder *c, uint64_t end, size_t most)
{
	const struct vn_delta_map *m = c->job->map;
	size_t first = vn_delta_first_segment(c), n = 0;
	while (n <= most && first + n < m->count && m->segments[first + n].start < end)
		n++;
	return n;
}

uint8_t vn_delta_copies(const struct vn_delta_coder *c)
{
	uint8_t copies = memcmp(c->coarse, c->data, c->len) == 0 ? VN_DELTA_BY_COARSE : 0;
	size_t most = c->len / SEGMENT_BYTES < BLOCK_SEGMENTS ? c->len / SEGMENT_BYTES : BLOCK_SEGMENTS;
	size_t n = count_segments(c, c->start + c->len, most);
	return n > 0 && n <= most && memcmp(c->fine, c->data, c->len) == 0 ? copies | VN_DELTA_BY_FINE : copies;
}

/* Where the shift changes: the end, in bytes of new, of the pieces that share the first one's. */
static uint64_t same_shift(const struct vn_delta_job *job, uint64_t at, uint64_t end)
{
	size_t piece = vn_delta_piece(&job->head);
	int64_t shift = job->map->shifts[at >> VN_DELTA_PIECE_LOG];
	while (at < end && job->map->shifts[at >> VN_DELTA_PIECE_LOG] == shift)
		at += piece;
	return at < end ? at : end;
}

/* How many blocks from `first` on go into one record. */
static uint64_t run_length(struct vn_delta_coder *c, const uint8_t *copies, uint64_t first, uint8_t map)
{
	const struct vn_delta_head *h = &c->job->head;
	uint64_t n = 0, parts = 0, count = vn_delta_count_blocks(h);
	while (first + n < count && copies[first + n] & map && parts < RUN_PAIRS && n << h->block_log2 < RUN_BYTES) {
		uint64_t at = (first + n) << h->block_log2, end = block_end(h, first + n++);
		c->start = at;
		if (map == VN_DELTA_BY_FINE)
			parts += count_segments(c, end, BLOCK_SEGMENTS);
		for (; map == VN_DELTA_BY_COARSE && at < end; parts++)
			at = same_shift(c->job, at, end);
	}
	return n;
}

static int put_coarse(struct vn_delta_coder *c, uint64_t at, uint64_t end, struct vn_err *err)
{
	size_t piece = vn_delta_piece(&c->job->head);
	int64_t last = 0;
	for (uint64_t next; at < end; at = next) {
		int64_t shift = c->job->map->shifts[at >> VN_DELTA_PIECE_LOG];
		next = same_shift(c->job, at, end);
		int rc = vn_delta_put_varint(&c->body, (next - at + piece - 1) / piece, err);
		if (rc < 0 || (rc = vn_delta_put_varint(&c->body, vn_delta_zigzag(shift - last), err)) < 0)
			return rc;
		last = shift;
	}
	return 0;
}

/* The body of a run, in `body`. */
static int put_run(struct vn_delta_coder *c, uint64_t first, uint64_t blocks, uint8_t map, struct vn_err *err)
{
	const struct vn_delta_head *h = &c->job->head;
	uint64_t end = block_end(h, first + blocks - 1);
	bool fits = true;
	vn_buf_clear(&c->body);
	c->start = first << h->block_log2;
	int rc = vn_delta_put_varint(&c->body, blocks, err);
	if (rc < 0)
		return rc;
	if (map == VN_DELTA_BY_COARSE)
		return put_coarse(c, c->start, end, err);
	rc = vn_delta_put_fine_map(c, (size_t)(end - c->start), 19, &fits, err);
	return rc == 0 && !fits ? vn_fail(err, VN_ELIMIT, "the map of a copy is larger than a block") : rc;
}

int vn_delta_code_run(struct vn_delta_coder *c, const uint8_t *copies, uint64_t first, uint64_t *ret_blocks,
		      struct vn_buf *out, struct vn_err *err)
{
	uint64_t coarse = run_length(c, copies, first, VN_DELTA_BY_COARSE), fine = run_length(c, copies, first, VN_DELTA_BY_FINE);
	uint64_t blocks = coarse > fine ? coarse : fine;
	bool by_fine = fine > coarse;
	int rc = put_run(c, first, blocks, by_fine ? VN_DELTA_BY_FINE : VN_DELTA_BY_COARSE, err);
	if (rc == 0 && coarse == fine) {
		size_t len = c->body.len;
		if ((rc = put_run(c, first, blocks, VN_DELTA_BY_FINE, err)) == 0 && !(by_fine = c->body.len < len))
			rc = put_run(c, first, blocks, VN_DELTA_BY_COARSE, err);
	}
	if (rc < 0)
		return rc;
	*ret_blocks = blocks;
	return vn_delta_put_record(c->hash, &c->job->head, first << c->job->head.block_log2,
				   by_fine ? VN_DELTA_COPY | VN_DELTA_COPY_FINE : VN_DELTA_COPY, &c->body, "", 0, out, err);
}
