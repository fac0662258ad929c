#include "delta/delta.h"
#include "delta/frame.h"
#include "delta/members.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN 64                       /* first bytes of a body, enough for its numbers */
#define SKIP (16u << 10)

struct walk {
	struct vn_delta_frames frames;
	const struct vn_delta_head *head;
	uint64_t block;
	uint8_t body[SEEN];
	size_t len;
	bool converts, fine;
};

const char *vn_delta_mode_name(unsigned mode)
{
	static const char *const names[VN_DELTA_MODES] = { "copy", "raw", "ref", "planes", "xor", "sub", "fsub" };
	return mode < VN_DELTA_MODES ? names[mode] : "unknown";
}

static int damaged(uint64_t start, const char *what, struct vn_err *err)
{
	return vn_fail(err, VN_EDIGEST, "the delta is damaged: the record for byte %llu of the new file %s",
		       (unsigned long long)start, what);
}

/* The first `count` numbers of the body. */
static int numbers(const struct walk *w, uint64_t start, uint64_t *ret, int count, struct vn_err *err)
{
	size_t at = 0, n;
	for (int i = 0; i < count; i++, at += n)
		if ((n = vn_get_varint(w->body + at, w->len - at, &ret[i])) == 0)
			return damaged(start, "begins with a number that is not valid", err);
	return 0;
}

static int describe_copy(const struct walk *w, struct vn_delta_record *r, struct vn_err *err)
{
	uint64_t v[3];
	int rc = numbers(w, r->start, v, w->fine ? 1 : 3, err);
	if (rc < 0)
		return rc;
	if (v[0] == 0 || v[0] > vn_delta_count_blocks(w->head) - w->block)
		return damaged(r->start, "copies more blocks than the new file has", err);
	r->blocks = v[0];
	if (w->fine)
		snprintf(r->facts, sizeof(r->facts), "fine map");
	else
		snprintf(r->facts, sizeof(r->facts), "from %+lld", (long long)vn_delta_unzigzag(v[2]));
	return 0;
}

static int describe_reference(const struct walk *w, struct vn_delta_record *r, struct vn_err *err)
{
	uint64_t v[3];
	int rc = numbers(w, r->start, v, r->mode == VN_DELTA_REF ? 3 : 1, err);
	if (rc < 0)
		return rc;
	if (r->mode == VN_DELTA_RAW)
		snprintf(r->facts, sizeof(r->facts), "history %llu", (unsigned long long)v[0]);
	else
		snprintf(r->facts, sizeof(r->facts), "old %+lld, %llu bytes, history %llu", (long long)vn_delta_unzigzag(v[0]),
			 (unsigned long long)v[1], (unsigned long long)v[2]);
	return 0;
}

static int describe(const struct walk *w, struct vn_delta_record *r, struct vn_err *err)
{
	if (r->mode == VN_DELTA_COPY)
		return describe_copy(w, r, err);
	if (r->mode == VN_DELTA_RAW || r->mode == VN_DELTA_REF)
		return describe_reference(w, r, err);
	if (r->mode >= VN_DELTA_MODES)
		return damaged(r->start, "has a mode that this version does not know", err);
	if (w->len == 0)
		return damaged(r->start, "has no body", err);
	unsigned shape = w->body[0];
	if (r->mode == VN_DELTA_PLANES)
		snprintf(r->facts, sizeof(r->facts), "stride %u", shape);
	else
		snprintf(r->facts, sizeof(r->facts), "%swidth %u, phase %u%s%s%s", w->converts ? "converted, " : "",
			 1u << (shape & VN_DELTA_SHAPE_WIDTH), shape >> VN_DELTA_SHAPE_PHASE_SHIFT & 7,
			 shape & VN_DELTA_SHAPE_SPARSE ? ", sparse" : "",
			 shape & VN_DELTA_SHAPE_CLASSES ? ", classes" : "", shape & VN_DELTA_SHAPE_FINE ? ", fine map" : "");
	return 0;
}

static int one_record(struct walk *w, struct vn_delta_record *r, struct vn_err *err)
{
	struct vn_delta_frame frame;
	uint8_t skipped[SKIP];
	uint64_t begin = w->frames.consumed;
	int rc = vn_delta_read_frame(&w->frames, w->head, r->start, &frame, err);
	if (rc < 0)
		return rc;
	w->len = frame.body_len < SEEN ? frame.body_len : SEEN;
	rc = vn_delta_read(&w->frames, r->start, w->body, w->len, err);
	for (size_t left = frame.body_len - w->len, n; rc == 0 && left > 0; left -= n) {
		n = left < SKIP ? left : SKIP;
		rc = vn_delta_read(&w->frames, r->start, skipped, n, err);
	}
	if (rc < 0)
		return rc;
	w->converts = frame.mode >= (VN_DELTA_CONVERT | VN_DELTA_XOR);
	w->fine = frame.mode == (VN_DELTA_COPY | VN_DELTA_COPY_FINE);
	r->mode = w->fine ? VN_DELTA_COPY : (enum vn_delta_mode)(w->converts ? frame.mode & ~VN_DELTA_CONVERT : frame.mode);
	r->blocks = 1;
	if ((rc = describe(w, r, err)) < 0)
		return rc;
	w->block += r->blocks;
	uint64_t end = w->block << w->head->block_log2;
	r->len = (end < w->head->new_size ? end : w->head->new_size) - r->start;
	r->packed = w->frames.consumed - begin;
	return 0;
}

int vn_delta_walk(struct vn_in *in, struct vn_delta_head *ret_head,
		  int (*record)(void *context, const struct vn_delta_record *r, struct vn_err *err), void *context,
		  struct vn_err *err)
{
	struct vn_delta_head head, inside;
	struct walk w = { .frames.in = in, .head = &inside };
	VN_AUTO(vn_delta_table) table = { 0 };
	int rc = vn_delta_read_head(&w.frames, &head, err);
	if (rc < 0 || (head.members && (rc = vn_delta_table_read(&w.frames, &head, &table, err)) < 0))
		return rc;
	inside = vn_delta_inside(&head);
	for (uint64_t at = 0, len; rc == 0 && at < inside.new_size; at += len) {
		struct vn_delta_record r = { .start = at };
		if ((rc = one_record(&w, &r, err)) == 0)
			rc = record(context, &r, err);
		len = r.len;
	}
	if (rc < 0 || (rc = vn_delta_read_end(&w.frames, err)) < 0)
		return rc;
	*ret_head = head;
	return 0;
}
