#include "delta/members.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define STEP (64u << 10)

static const uint8_t zstd_magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };

void vn_delta_table_release(struct vn_delta_table *t)
{
	free(t->data);
	*t = (struct vn_delta_table){ 0 };
}

static int damaged(const char *what, struct vn_err *err)
{
	return vn_fail(err, VN_EDIGEST, "the delta is damaged: its table of members %s", what);
}

static int next_number(struct vn_delta_table *t, uint64_t *ret, struct vn_err *err)
{
	size_t n = vn_get_varint(t->data + t->at, t->len - t->at, ret);
	if (n == 0)
		return damaged("has a number that is not valid", err);
	t->at += n;
	return 0;
}

/* check:u8[4] V(length) bytes; the check covers the head and what follows. */
static int read_packed(struct vn_delta_frames *f, const struct vn_delta_head *head, uint8_t *packed, size_t *ret_len,
		       struct vn_err *err)
{
	uint8_t check[VN_DELTA_CHECK], found[VN_DELTA_NEW_DIGEST], raw[10];
	struct vn_hash *hash = NULL;
	uint64_t form;
	size_t n = 0;
	int rc = vn_delta_read(f, 0, check, sizeof(check), err);
	if (rc < 0 || (rc = vn_delta_read_varint(f, 0, raw, &n, err)) < 0)
		return rc;
	if (vn_get_varint(raw, n, &form) != n || form > head->table_len)
		return damaged("has no valid length", err);
	size_t len = form ? (size_t)form : head->table_len;
	if ((rc = vn_delta_read(f, 0, packed, len, err)) < 0 || (rc = vn_hash_open("sha256", &hash, err)) < 0)
		return rc;
	if ((rc = vn_hash_add(hash, head->bytes, head->len, err)) == 0 && (rc = vn_hash_add(hash, raw, n, err)) == 0 &&
	    (rc = vn_hash_add(hash, packed, len, err)) == 0)
		rc = vn_delta_hash_end(hash, found, err);
	vn_hash_close(hash);
	if (rc == 0 && memcmp(found, check, sizeof(check)) != 0)
		return damaged("differs from its check value", err);
	*ret_len = form ? len : 0;
	return rc;
}

int vn_delta_table_read(struct vn_delta_frames *f, const struct vn_delta_head *head, struct vn_delta_table *ret,
			struct vn_err *err)
{
	VN_AUTO(vn_delta_table) t = { .len = head->table_len };
	VN_AUTO_FREE uint8_t *room = malloc(sizeof(zstd_magic) + head->table_len + 1);
	size_t len = 0;
	t.data = malloc(head->table_len + 1);
	if (!room || !t.data)
		return vn_nomem(err);
	uint8_t *packed = room + sizeof(zstd_magic);
	int rc = read_packed(f, head, packed, &len, err);
	if (rc < 0)
		return rc;
	if (len == 0) {
		memcpy(t.data, packed, t.len);
	} else if (len == 1) {
		memset(t.data, *packed, t.len);
	} else {
		memcpy(room, zstd_magic, sizeof(zstd_magic));
		if (ZSTD_decompress(t.data, t.len, room, sizeof(zstd_magic) + len) != t.len)
			return damaged("cannot be unpacked", err);
	}
	if ((rc = next_number(&t, &t.old_count, err)) < 0)
		return rc;
	*ret = t;
	t.data = NULL;
	return 0;
}

/* ---- old */
struct part_in {                      /* old from a place on */
	struct vn_in in;
	struct vn_delta_old *old;
	uint64_t at, end;
	uint8_t buf[STEP];
};

static ssize_t part_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct part_in *p = (struct part_in *)in;
	size_t n = p->end - p->at < STEP ? (size_t)(p->end - p->at) : STEP;
	int rc = n ? p->old->read(p->old, p->at, p->buf, n, err) : 0;
	if (rc < 0)
		return rc;
	p->at += n;
	*ret_block = p->buf;
	return (ssize_t)n;
}

static const struct vn_in_ops part_ops = { part_next, NULL };

static int copy_part(struct part_in *p, uint64_t at, uint64_t len, struct vn_out *out, struct vn_err *err)
{
	p->at = at;
	p->end = at + len;
	return vn_copy(&p->in, out, NULL, err);
}

static int unpack_old(struct vn_delta_table *t, const struct vn_delta_head *head, struct part_in *part, struct vn_out *out,
		      struct vn_err *err)
{
	uint64_t at = 0, left = head->old_unpacked, gap, plain, packed, found;
	int rc;
	for (uint64_t i = 0; i < t->old_count; i++, at += packed) {
		if ((rc = next_number(t, &gap, err)) < 0 || (rc = next_number(t, &plain, err)) < 0)
			return rc;
		if (gap > head->old_size - at || gap > left || plain > left - gap)
			return damaged("reaches beyond the old file", err);
		if ((rc = copy_part(part, at, gap, out, err)) < 0)
			return rc;
		at += gap;
		part->at = at;
		part->end = head->old_size;
		if ((rc = vn_inflate_raw(&part->in, plain, out, &packed, &found, err)) < 0)
			return err->code == VN_EFORMAT || err->code == VN_ELIMIT ? damaged("names what is none", err) : rc;
		if (found != plain)
			return damaged("has another length than the member", err);
		left -= gap + plain;
	}
	if (left != head->old_size - at)
		return damaged("does not make the unpacked old file", err);
	return copy_part(part, at, left, out, err);
}

static int read_scratch(struct vn_delta_old *old, uint64_t offset, void *out, size_t len, struct vn_err *err)
{
	return vn_fs_read_at(((struct vn_delta_scratch *)old)->fd, offset, out, len, "the unpacked old file", err);
}

int vn_delta_unpack_old(struct vn_delta_table *t, const struct vn_delta_head *head, struct vn_delta_old *old, int fd,
			struct vn_delta_scratch *ret, struct vn_err *err)
{
	VN_AUTO_OUT *out = NULL;
	VN_AUTO_FREE struct part_in *part = calloc(1, sizeof(*part));
	if (!part)
		return vn_nomem(err);
	part->in.ops = &part_ops;
	part->old = old;
	int rc = vn_out_fd(fd, "the unpacked old file", &out, err);
	if (rc < 0 || (rc = unpack_old(t, head, part, out, err)) < 0)
		return rc;
	*ret = (struct vn_delta_scratch){ { read_scratch, head->old_unpacked }, fd };
	return 0;
}

/* ---- new */
struct packer {
	struct vn_out out;
	struct vn_out *inner;
	struct vn_delta_table *table;
	uint64_t left;                /* bytes of new, unpacked, that are still to come */
	uint64_t gap, plain;          /* left of those before the member, and of the member */
	struct vn_deflate how;
	struct vn_out *member;        /* while it is being written */
	bool more;                    /* is there a member at all */
};

/* V(gap) V(plain) level | strategy << 4:u8 window_bits | mem_level << 4:u8 */
static int next_member(struct packer *p, struct vn_err *err)
{
	struct vn_delta_table *t = p->table;
	int rc;
	p->more = t->at < t->len;
	if (!p->more)
		return 0;
	if ((rc = next_number(t, &p->gap, err)) < 0 || (rc = next_number(t, &p->plain, err)) < 0)
		return rc;
	if (t->len - t->at < 2 || p->gap > p->left || p->plain > p->left - p->gap)
		return damaged("reaches beyond the new file", err);
	const uint8_t *how = t->data + t->at;
	p->how = (struct vn_deflate){ how[0] & 15, how[0] >> 4, how[1] & 15, how[1] >> 4 };
	t->at += 2;
	return 0;
}

/* Ends what is complete, begins what follows. */
static int turn(struct packer *p, struct vn_err *err)
{
	int rc = 0;
	while (rc == 0 && p->more && p->gap == 0) {
		if (!p->member && (rc = vn_out_deflate(p->inner, &p->how, &p->member, err)) < 0)
			return err->code == VN_EUSAGE ? damaged("has settings that deflate has not", err) : rc;
		if (p->plain > 0)
			return 0;
		rc = vn_out_finish(p->member, err);
		vn_out_close(p->member);
		p->member = NULL;
		if (rc == 0)
			rc = next_member(p, err);
	}
	return rc;
}

static int packer_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	struct packer *p = (struct packer *)out;
	for (const uint8_t *from = data; len > 0;) {
		uint64_t most = p->member ? p->plain : p->more ? p->gap : p->left;
		size_t n = len < most ? len : (size_t)most;
		if (n == 0)
			return damaged("ends before the new file", err);
		int rc = vn_out_write(p->member ? p->member : p->inner, from, n, err);
		if (rc < 0)
			return rc;
		p->left -= n, from += n, len -= n;
		if (p->member)
			p->plain -= n;
		else if (p->more)
			p->gap -= n;
		if ((rc = turn(p, err)) < 0)
			return rc;
	}
	return 0;
}

static int packer_finish(struct vn_out *out, struct vn_err *err)
{
	struct packer *p = (struct packer *)out;
	return p->more || p->left ? damaged("does not end with the new file", err) : 0;
}

static void packer_close(struct vn_out *out)
{
	struct packer *p = (struct packer *)out;
	vn_out_close(p->member);
	free(p);
}

static const struct vn_out_ops packer_ops = { packer_write, packer_finish, packer_close };

int vn_delta_packer(struct vn_delta_table *t, const struct vn_delta_head *head, struct vn_out *inner, struct vn_out **ret,
		    struct vn_err *err)
{
	VN_AUTO_OUT *out = NULL;
	struct packer *p = calloc(1, sizeof(*p));
	if (!p)
		return vn_nomem(err);
	p->out.ops = &packer_ops;
	out = &p->out;
	p->inner = inner;
	p->table = t;
	p->left = head->new_unpacked;
	int rc = next_member(p, err);
	if (rc < 0 || (rc = turn(p, err)) < 0)
		return rc;
	*ret = vn_steal(out);
	return 0;
}
