#include "delta/decode.h"
#include "delta/members.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>

#define READ_SIZE (64u << 10)

static void decoder_release(struct vn_delta_decoder *d)
{
	free(d->data);
	free(d->mapped);
	free(d->work);
	free(d->room);
	free(d->prefix);
	free(d->model);
	ZSTD_freeDCtx(d->zstd);
	vn_hash_close(d->check);
}

static void keep_history(struct vn_delta_decoder *d)
{
	uint8_t *kept = d->prefix + d->window;
	size_t take = d->len < d->history ? d->len : d->history, stay = d->history - take;
	if (d->history == 0)
		return;
	if (stay > d->history_len)
		stay = d->history_len;
	memmove(kept, kept + d->history_len - stay, stay);
	memcpy(kept + stay, d->data + d->len - take, take);
	d->history_len = stay + take;
}

/* The last sink but the caller's: new as it is promised, no byte more, no other bytes. */
struct promised {
	struct vn_out out;
	struct vn_out *inner;
	const struct vn_delta_head *head;
	struct vn_hash *hash;
	uint64_t left;
};

static int promised_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	struct promised *p = (struct promised *)out;
	if (len > p->left)
		return vn_fail(err, VN_EDIGEST, "the rebuilt file is larger than the %llu bytes that the delta promises",
			       (unsigned long long)p->head->new_size);
	p->left -= len;
	int rc = vn_hash_add(p->hash, data, len, err);
	return rc < 0 ? rc : vn_out_write(p->inner, data, len, err);
}

static int promised_finish(struct vn_out *out, struct vn_err *err)
{
	struct promised *p = (struct promised *)out;
	uint8_t found[VN_DELTA_NEW_DIGEST];
	int rc = vn_delta_hash_end(p->hash, found, err);
	if (rc == 0 && memcmp(found, p->head->new_digest, sizeof(found)) != 0)
		return vn_fail(err, VN_EDIGEST, "the rebuilt file has not the digest that the delta promises");
	return rc;
}

static const struct vn_out_ops promised_ops = { promised_write, promised_finish, NULL };

static void promised_release(struct promised *p)
{
	vn_hash_close(p->hash);
}

static int give_out(struct vn_delta_decoder *d, struct vn_out *out, struct vn_err *err)
{
	int rc = vn_out_write(out, d->data, d->len, err);
	if (rc < 0)
		return rc;
	keep_history(d);
	d->start += d->len;
	d->block++;
	return 0;
}

static void enter_block(struct vn_delta_decoder *d)
{
	uint64_t size = (uint64_t)1 << d->head->block_log2, rest = d->head->new_size - d->start;
	d->len = rest < size ? (size_t)rest : (size_t)size;
}

static int compare_check(struct vn_delta_decoder *d, const struct vn_delta_frame *frame, struct vn_err *err)
{
	uint8_t found[VN_DELTA_NEW_DIGEST];
	int rc = vn_delta_hash_end(d->check, found, err);
	if (rc < 0)
		return rc;
	return memcmp(found, frame->check, sizeof(frame->check)) == 0 ? 0 : vn_delta_damaged(d, "its check value differs", err);
}

static int copy_blocks(struct vn_delta_decoder *d, struct vn_out *out, struct vn_err *err)
{
	uint64_t blocks = 0;
	int rc = vn_delta_copy_begin(d, &blocks, err);
	for (; rc == 0 && blocks > 0; blocks--) {
		enter_block(d);
		if ((rc = vn_delta_copy_next(d, err)) == 0)
			rc = give_out(d, out, err);
	}
	return rc < 0 ? rc : vn_delta_body_end(d, err);
}

static int one_record(struct vn_delta_decoder *d, struct vn_out *out, struct vn_err *err)
{
	struct vn_delta_frame frame;
	enter_block(d);
	int rc = vn_delta_read_frame(&d->frames, d->head, d->start, &frame, err);
	if (rc < 0 || (rc = vn_delta_read(&d->frames, d->start, d->body, frame.body_len, err)) < 0 ||
	    (rc = vn_delta_hash_frame(d->check, d->head, d->start, &frame, d->body, err)) < 0)
		return rc;
	d->mode = frame.mode;
	d->body_len = frame.body_len;
	d->at = d->list.at = d->list.len = 0;
	d->shift = 0;
	d->fine = d->mode == (VN_DELTA_COPY | VN_DELTA_COPY_FINE);
	if (d->mode == VN_DELTA_COPY || d->fine)
		return (rc = compare_check(d, &frame, err)) < 0 ? rc : copy_blocks(d, out, err);
	if ((rc = vn_delta_decode(d, err)) < 0 || (rc = vn_hash_add(d->check, d->data, d->len, err)) < 0 ||
	    (rc = compare_check(d, &frame, err)) < 0)
		return rc;
	return give_out(d, out, err);
}

static int open_decoder(struct vn_delta_decoder *d, struct vn_err *err)
{
	size_t block = vn_delta_block_size(d->head);
	d->window = vn_delta_window(d->head->old_window_log2, d->head->old_size);
	d->history = vn_delta_window(d->head->history_log2, d->head->new_size);
	d->data = malloc(block + 1);
	d->mapped = malloc(block + 1);
	d->work = malloc(block + VN_DELTA_STREAM_SLACK);
	d->room = malloc(block + VN_DELTA_BODY_SLACK + VN_DELTA_MAGIC_ROOM);
	d->prefix = malloc(d->window + d->history + 1);
	d->zstd = ZSTD_createDCtx();
	if (!d->data || !d->mapped || !d->work || !d->room || !d->prefix || !d->zstd)
		return vn_nomem(err);
	d->body = d->room + VN_DELTA_MAGIC_ROOM;
	return vn_hash_open("sha256", &d->check, err);
}

/* Adds the first `len` bytes of `from`. */
static int hash_reader(struct vn_hash *hash, struct vn_delta_old *from, uint64_t len, struct vn_err *err)
{
	VN_AUTO_FREE uint8_t *buf = malloc(READ_SIZE);
	int rc = buf ? 0 : vn_nomem(err);
	for (uint64_t at = 0, n; rc == 0 && at < len; at += n) {
		n = len - at < READ_SIZE ? len - at : READ_SIZE;
		if ((rc = from->read(from, at, buf, (size_t)n, err)) == 0)
			rc = vn_hash_add(hash, buf, (size_t)n, err);
	}
	return rc;
}

int vn_delta_check_old(const struct vn_delta_head *head, struct vn_delta_old *old, struct vn_err *err)
{
	uint8_t found[VN_DELTA_NEW_DIGEST];
	struct vn_hash *hash = NULL;
	if (old->size != head->old_size)
		return vn_fail(err, VN_EDIGEST, "this delta is for another old file: %llu bytes, expected %llu",
			       (unsigned long long)old->size, (unsigned long long)head->old_size);
	int rc = vn_hash_open("sha256", &hash, err);
	if (rc == 0 && (rc = hash_reader(hash, old, old->size, err)) == 0)
		rc = vn_delta_hash_end(hash, found, err);
	vn_hash_close(hash);
	if (rc == 0 && memcmp(found, head->old_digest, VN_DELTA_OLD_DIGEST) != 0)
		return vn_fail(err, VN_EDIGEST, "this delta is for another old file: the sizes agree, the digests do not");
	return rc;
}

static int check_limits(const struct vn_delta_head *head, const struct vn_delta_apply_options *o, struct vn_err *err)
{
	uint64_t memory = o->memory ? o->memory : VN_MAX_DELTA_MEMORY, size = o->new_size ? o->new_size : VN_MAX_BLOB;
	uint64_t unpacked = o->unpacked ? o->unpacked : VN_MAX_DELTA_UNPACKED;
	if (head->new_size > size)
		return vn_fail(err, VN_ELIMIT, "the delta makes a file of %llu bytes, at most %llu are allowed",
			       (unsigned long long)head->new_size, (unsigned long long)size);
	if (head->members && (head->old_unpacked > unpacked || head->new_unpacked > unpacked))
		return vn_fail(err, VN_ELIMIT, "the delta unpacks %llu bytes to %llu, at most %llu are allowed",
			       (unsigned long long)head->old_unpacked, (unsigned long long)head->new_unpacked,
			       (unsigned long long)unpacked);
	if (vn_delta_memory(head) > memory)
		return vn_fail(err, VN_ELIMIT, "the delta takes %llu bytes of memory, at most %llu are allowed",
			       (unsigned long long)vn_delta_memory(head), (unsigned long long)memory);
	return 0;
}

/* Takes up what an earlier run has made: its digest goes on, its end is the history. */
static int resume(struct vn_delta_decoder *d, const struct vn_delta_resume *r, struct promised *promised, struct vn_err *err)
{
	uint64_t size = (uint64_t)1 << d->head->block_log2, done = r->at.new_bytes;
	if (d->head->members || done > d->head->new_size || (done % size && done != d->head->new_size) || r->have->size < done)
		return vn_fail(err, VN_EUSAGE, "this delta cannot be resumed at byte %llu of the new file",
			       (unsigned long long)done);
	int rc = hash_reader(promised->hash, r->have, done, err);
	if (rc < 0)
		return rc;
	promised->left -= done;
	d->start = done;
	d->block = (done + size - 1) >> d->head->block_log2;
	d->frames.consumed = r->at.delta_bytes;
	d->history_len = done < d->history ? (size_t)done : d->history;
	if (d->history_len == 0)
		return 0;
	return r->have->read(r->have, done - d->history_len, d->prefix + d->window, d->history_len, err);
}

static int run(struct vn_delta_decoder *d, struct vn_out *out, const struct vn_delta_apply_options *o, struct vn_err *err)
{
	while (d->start < d->head->new_size) {
		int rc = one_record(d, out, err);
		if (rc < 0)
			return rc;
		struct vn_delta_point at = { d->start, d->frames.consumed };
		if (o->progress && !d->head->members && (rc = o->progress(o->context, &at, err)) < 0)
			return rc;
	}
	int rc = vn_out_finish(out, err);
	return rc < 0 ? rc : vn_delta_read_end(&d->frames, err);
}

/* Old is unpacked into the scratch file, which the blocks read; what they make passes through the packer. */
static int run_inside(struct vn_delta_decoder *d, const struct vn_delta_head *head, struct promised *promised,
		      struct vn_delta_scratch *scratch, const struct vn_delta_apply_options *o, struct vn_err *err)
{
	VN_AUTO(vn_delta_table) table = { 0 };
	VN_AUTO(vn_tmp) own = VN_TMP;
	VN_AUTO_OUT *packer = NULL;
	int rc = vn_delta_table_read(&d->frames, head, &table, err);
	if (rc < 0 || (!o->scratch && (rc = vn_tmp_anonymous(&own, err)) < 0))
		return rc;
	int fd = o->scratch ? o->scratch->fd : own.fd;
	if ((rc = vn_delta_unpack_old(&table, head, d->old, fd, scratch, err)) < 0 ||
	    (rc = vn_delta_packer(&table, head, &promised->out, &packer, err)) < 0)
		return rc;
	d->old = &scratch->old;
	if ((rc = open_decoder(d, err)) < 0 || (rc = run(d, packer, o, err)) < 0)
		return rc;
	return vn_out_finish(&promised->out, err);
}

int vn_delta_apply(struct vn_delta_old *old, struct vn_in *delta, struct vn_out *out,
		   const struct vn_delta_apply_options *options, struct vn_err *err)
{
	struct vn_delta_apply_options o = options ? *options : (struct vn_delta_apply_options){ 0 };
	struct vn_delta_head head, inside;
	struct vn_delta_scratch scratch;
	VN_CLEANUP(decoder_release) struct vn_delta_decoder d = { .head = &inside, .old = old, .frames.in = delta };
	VN_CLEANUP(promised_release) struct promised promised = { { &promised_ops }, out, &head, NULL, 0 };
	int rc = o.resume ? vn_delta_head_parse(o.resume->head, o.resume->head_len, &head, err)
			  : vn_delta_read_head(&d.frames, &head, err);
	if (rc < 0 || (rc = check_limits(&head, &o, err)) < 0 || (rc = vn_delta_check_old(&head, old, err)) < 0 ||
	    (rc = vn_hash_open("sha256", &promised.hash, err)) < 0)
		return rc;
	promised.left = head.new_size;
	inside = vn_delta_inside(&head);
	if (head.members && !o.resume)
		return run_inside(&d, &head, &promised, &scratch, &o, err);
	if ((rc = open_decoder(&d, err)) < 0 || (o.resume && (rc = resume(&d, o.resume, &promised, err)) < 0))
		return rc;
	return run(&d, &promised.out, &o, err);
}

static int read_bytes(struct vn_delta_old *old, uint64_t offset, void *out, size_t len, struct vn_err *err)
{
	const struct vn_delta_bytes *b = (const struct vn_delta_bytes *)old;
	if (offset > old->size || len > old->size - offset)
		return vn_fail(err, VN_EIO, "a read beyond the old file");
	memcpy(out, b->data + offset, len);
	return 0;
}

void vn_delta_old_bytes(struct vn_delta_bytes *ret, const void *data, size_t len)
{
	ret->old.read = read_bytes;
	ret->old.size = len;
	ret->data = data;
}
