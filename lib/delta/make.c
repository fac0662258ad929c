#include "delta/block.h"
#include "delta/coder.h"
#include "delta/frame.h"
#include "delta/members.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <pthread.h>
#include <string.h>

#define THREADS_MAX 16
#define BLOCK_LOG 18                  /* each tensor gets its own prediction; larger ones win less than 2 % */
#define BLOCK_LOG_WHOLE 23            /* one block for the whole file where the decoder has the memory */

struct record {
	struct vn_buf bytes;          /* of COPY blocks the first of a run has those of all */
	enum vn_delta_mode mode;
};
struct crew {
	const struct vn_delta_job *job;
	const struct vn_delta_options *options;
	struct record *records;
	uint8_t *copies;              /* of each block: by which maps it is a copy */
	uint64_t count;
	pthread_mutex_t lock;         /* guards what follows */
	uint64_t next;
	struct vn_err failed;
};

static void records_free(struct record *records, uint64_t count)
{
	for (uint64_t i = 0; records && i < count; i++)
		vn_buf_release(&records[i].bytes);
	free(records);
}

static uint64_t take_block(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	uint64_t number = crew->failed.code ? crew->count : crew->next++;
	if (crew->options->progress && number < crew->count)
		crew->options->progress(crew->options->context, number << crew->job->head.block_log2);
	pthread_mutex_unlock(&crew->lock);
	return number;
}

static void tell_failure(struct crew *crew, const struct vn_err *err)
{
	pthread_mutex_lock(&crew->lock);
	if (!crew->failed.code)
		crew->failed = *err;
	pthread_mutex_unlock(&crew->lock);
}

static void *work(void *context)
{
	struct crew *crew = context;
	struct vn_delta_coder *coder = NULL;
	struct vn_err err = { 0 };
	int rc = vn_delta_coder_open(crew->job, &coder, &err);
	for (uint64_t i; rc == 0 && (i = take_block(crew)) < crew->count;)
		rc = vn_delta_code_block(coder, i, &crew->records[i].bytes, &crew->records[i].mode,
					 &crew->copies[i], &err);
	if (rc < 0)
		tell_failure(crew, &err);
	vn_delta_coder_close(coder);
	return NULL;
}

static uint64_t block_end(const struct vn_delta_head *h, uint64_t number)
{
	uint64_t end = (number + 1) << h->block_log2;
	return end < h->new_size ? end : h->new_size;
}

static int code_runs(const struct crew *crew, struct vn_err *err)
{
	struct vn_delta_coder *coder = NULL;
	int rc = vn_delta_coder_open(crew->job, &coder, err);
	for (uint64_t i = 0, n = 1; rc == 0 && i < crew->count; i += n, n = 1)
		if (crew->copies[i])
			rc = vn_delta_code_run(coder, crew->copies, i, &n, &crew->records[i].bytes, err);
	vn_delta_coder_close(coder);
	return rc;
}

/* All records of one way to cut the file. */
static int code_blocks(const struct vn_delta_job *job, const struct vn_delta_options *options, struct record **ret,
		       uint64_t *ret_count, uint64_t *ret_size, struct vn_err *err)
{
	pthread_t thread[THREADS_MAX];
	VN_AUTO_FREE uint8_t *copies = NULL;
	struct crew crew = { .job = job, .options = options };
	uint64_t block = (uint64_t)1 << job->head.block_log2, size = job->head.len;
	unsigned started = 0;
	crew.count = vn_delta_count_blocks(&job->head);
	if (!(crew.copies = copies = calloc((size_t)crew.count + 1, 1)) ||
	    !(crew.records = calloc((size_t)crew.count + 1, sizeof(*crew.records))))
		return vn_nomem(err);
	for (uint64_t i = 0; i < crew.count; i++)
		crew.records[i].bytes.max = (size_t)block + 3 * VN_DELTA_BODY_SLACK;
	pthread_mutex_init(&crew.lock, NULL);
	/* a thread that does not start leaves its share to this one */
	while (started + 1 < options->threads && started + 1 < crew.count && started < THREADS_MAX &&
	       pthread_create(&thread[started], NULL, work, &crew) == 0)
		started++;
	work(&crew);
	while (started > 0)
		pthread_join(thread[--started], NULL);
	pthread_mutex_destroy(&crew.lock);
	if (crew.failed.code)
		*err = crew.failed;
	if (crew.failed.code || code_runs(&crew, err) < 0) {
		records_free(crew.records, crew.count);
		return -(int)err->code;
	}
	for (uint64_t i = 0; i < crew.count; i++)
		size += crew.records[i].bytes.len;
	*ret = crew.records;
	*ret_count = crew.count;
	*ret_size = size;
	return 0;
}

static unsigned log2_above(uint64_t v)
{
	unsigned log = 0;
	while ((uint64_t)1 << log < v)
		log++;
	return log;
}

static unsigned clamp(unsigned v, unsigned low, unsigned high)
{
	return v < low ? low : v > high ? high : v;
}

static unsigned window_for(uint64_t size, unsigned most)
{
	return size ? clamp(log2_above(size), VN_DELTA_WINDOW_BASE + 1, most) : 0;
}

/* Does enough of new come from old as it is for a window of old to be of use? */
static bool related(const struct vn_delta_map *map, uint64_t new_size)
{
	uint64_t mapped = 0;
	for (size_t i = 0; i < map->count; i++)
		mapped += map->segments[i].len;
	return mapped >= new_size / 64;
}

/* The larger windows, as long as the decoder can have them; the history gives way first, or gets all without an old file. */
static bool fit_windows(struct vn_delta_head *h, bool with_old, unsigned block_log2, unsigned most, uint64_t memory)
{
	struct vn_delta_head inside = vn_delta_inside(h);
	h->block_log2 = clamp(log2_above(inside.new_size), VN_DELTA_BLOCK_MIN, block_log2);
	bool single = inside.new_size <= (uint64_t)1 << h->block_log2;
	for (unsigned log2 = most; log2 > VN_DELTA_WINDOW_BASE; log2--) {
		unsigned history = !with_old ? log2 : log2 > 20 ? log2 - 2 : clamp(log2, 12, 18);
		h->old_window_log2 = with_old ? window_for(inside.old_size, log2) : 0;
		for (unsigned less = 0; less < 2; less++) {
			h->history_log2 = single ? 0 : window_for(inside.new_size, clamp(history - less, 12, 24));
			if (vn_delta_memory(h) <= memory)
				return true;
		}
	}
	h->old_window_log2 = h->history_log2 = 0;
	return vn_delta_memory(h) <= memory;
}

static int digest_of(const void *data, size_t len, uint8_t *ret, size_t take, struct vn_err *err)
{
	uint8_t raw[VN_DELTA_NEW_DIGEST];
	struct vn_hash *hash = NULL;
	int rc = vn_hash_open("sha256", &hash, err);
	if (rc == 0 && (rc = vn_hash_add(hash, data, len, err)) == 0 && (rc = vn_delta_hash_end(hash, raw, err)) == 0)
		memcpy(ret, raw, take);
	vn_hash_close(hash);
	return rc;
}

/* One whole delta. */
struct attempt {
	struct vn_delta_head head;            /* as it is written */
	struct vn_delta_job job;              /* its head as the blocks see it */
	struct record *records;
	uint64_t count, size, members;
	struct vn_buf table;                  /* with its check */
};

static void attempt_release(struct attempt *a)
{
	records_free(a->records, a->count);
	vn_buf_release(&a->table);
	*a = (struct attempt){ 0 };
}

static int write_attempt(const struct attempt *a, struct vn_out *out, struct vn_delta_stats *stats, struct vn_err *err)
{
	const struct vn_delta_head *h = &a->job.head;
	struct vn_delta_stats s = { .size = a->head.len + a->table.len, .members = a->members };
	int rc = vn_out_write(out, a->head.bytes, a->head.len, err);
	if (rc == 0)
		rc = vn_out_write(out, a->table.data, a->table.len, err);
	for (uint64_t i = 0; i < a->count && rc == 0; i++) {
		const struct record *r = &a->records[i];
		s.mode[r->mode].blocks++;
		s.mode[r->mode].plain += block_end(h, i) - (i << h->block_log2);
		s.mode[r->mode].packed += r->bytes.len;
		s.size += r->bytes.len;
		rc = vn_out_write(out, r->bytes.data, r->bytes.len, err);
	}
	if (rc == 0 && stats)
		*stats = s;
	return rc;
}

/* The table behind the head, with its check value. */
static int add_table(struct attempt *a, const struct vn_buf *packed, struct vn_err *err)
{
	uint8_t digest[VN_DELTA_NEW_DIGEST];
	struct vn_hash *hash = NULL;
	int rc = vn_hash_open("sha256", &hash, err);
	if (rc == 0 && (rc = vn_hash_add(hash, a->head.bytes, a->head.len, err)) == 0 &&
	    (rc = vn_hash_add(hash, packed->data, packed->len, err)) == 0)
		rc = vn_delta_hash_end(hash, digest, err);
	vn_hash_close(hash);
	a->table.max = VN_DELTA_CHECK + packed->len;
	if (rc < 0 || (rc = vn_buf_add(&a->table, digest, VN_DELTA_CHECK, err)) < 0)
		return rc;
	return vn_buf_add(&a->table, packed->data, packed->len, err);
}

/* `a` has the job and a head whose windows are set: codes it, and is what stands in `best` when it is smaller. */
static int attempt(struct attempt *a, const struct vn_buf *table, const struct vn_delta_options *o, struct attempt *best,
		   struct vn_err *err)
{
	vn_delta_head_write(&a->head);
	a->job.head = vn_delta_inside(&a->head);
	int rc = table ? add_table(a, table, err) : 0;
	if (rc == 0)
		rc = code_blocks(&a->job, o, &a->records, &a->count, &a->size, err);
	a->size += a->table.len;
	if (rc == 0 && (best->head.len == 0 || a->size < best->size)) {
		attempt_release(best);
		*best = *a;
		best->job.map = NULL;         /* not needed to write it, and gone by then */
		best->job.casts = NULL;
	} else {
		attempt_release(a);
	}
	return rc;
}

/* Codes with two sizes of block where both fit. */
static int code_pair(const struct attempt *form, const struct vn_buf *table, const struct vn_delta_options *o,
		     struct attempt *best, struct vn_err *err)
{
	struct attempt plain = *form, whole = *form;
	uint64_t size = vn_delta_inside(&form->head).new_size;
	unsigned log2 = BLOCK_LOG;
	bool with_old = related(form->job.map, size);
	while (!fit_windows(&plain.head, with_old, log2, 21, o->memory))
		if (--log2 < VN_DELTA_BLOCK_MIN)
			return vn_fail(err, VN_EUSAGE, "a decoder needs more than %llu bytes of memory",
				       (unsigned long long)o->memory);
	bool more = size > (uint64_t)1 << plain.head.block_log2 && size <= 1u << BLOCK_LOG_WHOLE;
	int rc = attempt(&plain, table, o, best, err);
	if (rc < 0 || !more || !fit_windows(&whole.head, with_old, BLOCK_LOG_WHOLE, 24, o->memory))
		return rc;
	return attempt(&whole, table, o, best, err);
}

static int guess_and_code(const struct attempt *form, const struct vn_buf *table, const struct vn_delta_options *o,
			  struct attempt *best, struct vn_err *err)
{
	VN_AUTO(vn_delta_map) map = { 0 };
	VN_AUTO(vn_delta_casts) casts = { 0 };
	struct vn_delta_head h = vn_delta_inside(&form->head);
	size_t old_len = (size_t)h.old_size, len = (size_t)h.new_size;
	struct vn_delta_options hints = *o;
	struct attempt guessed = *form;
	if (table)
		hints.nhints = 0;     /* they speak of the files as they are */
	int rc = vn_delta_map_make(form->job.old, old_len, form->job.data, len, &hints, &map, err);
	if (rc < 0 || (rc = vn_delta_casts_find(form->job.old, old_len, form->job.data, len, &map, &hints, &casts, err)) < 0)
		return rc;
	guessed.job.map = &map;
	guessed.job.casts = &casts;
	return code_pair(&guessed, table, o, best, err);
}

/* The pair as it is, and where there is something to unpack, unpacked. */
static int make(const struct attempt *form, const struct vn_delta_options *o, struct attempt *best, struct vn_err *err)
{
	const struct vn_delta_job *job = &form->job;
	VN_AUTO(vn_delta_unpacked) inner = { 0 };
	struct attempt unpacked = *form;
	bool any = false;
	size_t old_len = (size_t)form->head.old_size, len = (size_t)form->head.new_size;
	int rc = guess_and_code(form, NULL, o, best, err);
	if (rc < 0 || (rc = vn_delta_unpack(job->old, old_len, job->data, len, &inner, &any, err)) < 0 || !any)
		return rc;
	unpacked.job.old = (const uint8_t *)inner.old.data;
	unpacked.job.data = (const uint8_t *)inner.data.data;
	unpacked.head.members = true;
	unpacked.head.old_unpacked = inner.old.len;
	unpacked.head.new_unpacked = inner.data.len;
	unpacked.head.table_len = inner.table_len;
	unpacked.members = inner.members;
	struct vn_delta_head least = unpacked.head;
	if (!fit_windows(&least, true, VN_DELTA_BLOCK_MIN, VN_DELTA_WINDOW_BASE, o->memory))
		return 0;     /* no room for zlib */
	return guess_and_code(&unpacked, &inner.table, o, best, err);
}

int vn_delta_make(const void *old, size_t old_len, const void *new_data, size_t new_len, const struct vn_delta_options *options,
		  struct vn_out *out, struct vn_delta_stats *stats, struct vn_err *err)
{
	struct vn_delta_options o = options ? *options : (struct vn_delta_options){ 0 };
	struct attempt form = { .job = { .old = old, .data = new_data } };
	VN_CLEANUP(attempt_release) struct attempt best = { 0 };
	o.memory = o.memory ? o.memory : VN_DELTA_MEMORY;
	o.threads = o.threads ? clamp(o.threads, 1, THREADS_MAX) : 2;
	form.job.effort = o.effort ? (int)clamp((unsigned)o.effort, 1, 3) : 2;
	form.head = (struct vn_delta_head){ .old_size = old_len, .new_size = new_len, .block_log2 = VN_DELTA_BLOCK_MIN };
	if (form.head.old_size > VN_MAX_BLOB || form.head.new_size > VN_MAX_BLOB)
		return vn_fail(err, VN_ELIMIT, "a delta from %zu to %zu bytes; at most %llu are allowed", old_len, new_len,
			       (unsigned long long)VN_MAX_BLOB);
	int rc = digest_of(old, old_len, form.head.old_digest, sizeof(form.head.old_digest), err);
	if (rc < 0 || (rc = digest_of(new_data, new_len, form.head.new_digest, sizeof(form.head.new_digest), err)) < 0)
		return rc;
	if (new_len == 0) {
		vn_delta_head_write(&form.head);
		best = form;
	} else if ((rc = make(&form, &o, &best, err)) < 0) {
		return rc;
	}
	return write_attempt(&best, out, stats, err);
}
