/* The smallest recipe from one file to another: an encoder that tries several predictions on each block of the new file, and
 * a decoder that is one small bounded loop. Knows no model formats, no images, no registry. */
#ifndef VN_DELTA_DELTA_H
#define VN_DELTA_DELTA_H
#include "delta/format.h"
#include "stream/in.h"
#include "stream/out.h"
#include "util/fs.h"

struct vn_delta_old {
	/* Exactly `len` bytes at `offset`, which lie inside. */
	int (*read)(struct vn_delta_old *old, uint64_t offset, void *out, size_t len, struct vn_err *err);
	uint64_t size;
};
struct vn_delta_bytes {
	struct vn_delta_old old;
	const uint8_t *data;
};
void vn_delta_old_bytes(struct vn_delta_bytes *ret, const void *data, size_t len);

struct vn_delta_point {           /* a place between two records */
	uint64_t new_bytes, delta_bytes;
};
struct vn_delta_resume {          /* how to go on where an earlier run stopped */
	const void *head;         /* the first bytes of the delta: VN_DELTA_HEAD_MAX are always enough */
	size_t head_len;
	struct vn_delta_point at; /* the delta stands there now */
	struct vn_delta_old *have;        /* reads what there is of new: at.new_bytes or more */
};
struct vn_delta_apply_options {
	uint64_t memory;          /* most bytes of heap, 0 = VN_MAX_DELTA_MEMORY */
	uint64_t new_size;        /* largest new file, 0 = VN_MAX_BLOB */
	uint64_t unpacked;        /* largest of either file with its members unpacked, 0 = VN_MAX_DELTA_UNPACKED */
	struct vn_tmp *scratch;   /* open and empty, for old unpacked where the delta has members; NULL = in $TMPDIR */
	/* NULL or: called after each record, when its bytes are in `out`. A failure ends the work. A delta with members can
	 * only be applied from its start, and does not call it. */
	int (*progress)(void *context, const struct vn_delta_point *at, struct vn_err *err);
	void *context;
	const struct vn_delta_resume *resume;     /* NULL = from the start */
};

/* Is `old` what this delta starts from? VN_EDIGEST when not. */
int vn_delta_check_old(const struct vn_delta_head *head, struct vn_delta_old *old, struct vn_err *err);
/* Rebuilds the new file, or the rest of it. Bytes reach `out` record by record, each verified; only a return of 0 says that
 * all of them are right, so finish and publish `out` after that. Whatever is wrong with the delta or with `old` is VN_EDIGEST
 * or VN_ELIMIT. Heap: vn_delta_memory() of the head, never above options->memory. `options` may be NULL. */
int vn_delta_apply(struct vn_delta_old *old, struct vn_in *delta, struct vn_out *out,
		   const struct vn_delta_apply_options *options, struct vn_err *err);

struct vn_delta_record {
	uint64_t start, len;      /* in new, unpacked where the head says so */
	uint64_t blocks;
	enum vn_delta_mode mode;
	char facts[96];           /* for people: where from, width, layout */
	uint64_t packed;          /* bytes of the delta */
};
const char *vn_delta_mode_name(unsigned mode);
/* Reads a delta without old and tells each record. Finds damage of the framing only: the check values cover new bytes. */
int vn_delta_walk(struct vn_in *in, struct vn_delta_head *ret_head,
		  int (*record)(void *context, const struct vn_delta_record *r, struct vn_err *err), void *context,
		  struct vn_err *err);

/* new[new_at, new_at + new_len) was made from that part of old, in the same order of elements and perhaps in another type. */
struct vn_delta_hint {
	uint64_t new_at, new_len, old_at, old_len;
};
struct vn_delta_options {
	int effort;               /* 1 fast, 2 default, 3 slow; 0 = 2 */
	uint64_t memory;          /* heap of the decoder that it must fit, 0 = VN_DELTA_MEMORY */
	unsigned threads;         /* 0 = 2; the delta does not depend on it */
	/* NULL or: told how many bytes of new are coded so far, by one thread at a time. It begins again for a second try. */
	void (*progress)(void *context, uint64_t done);
	void *context;
	/* Where tensors went: by new_at, without overlap in new. Those that lie outside are left out; wrong ones cost bytes. */
	const struct vn_delta_hint *hints;
	size_t nhints;
};
#define VN_DELTA_MEMORY (4u << 20)

struct vn_delta_stats {           /* for each mode: blocks, bytes of new, bytes of delta */
	struct {
		uint64_t blocks, plain, packed;
	} mode[VN_DELTA_MODES];
	uint64_t size;
	uint64_t members;         /* of new, that are packed again; then bytes of new are those of it unpacked */
};
/* The same bytes for the same input with the same libzstd. `stats` may be NULL. */
int vn_delta_make(const void *old, size_t old_len, const void *new_data, size_t new_len, const struct vn_delta_options *options,
		  struct vn_out *out, struct vn_delta_stats *stats, struct vn_err *err);
#endif
