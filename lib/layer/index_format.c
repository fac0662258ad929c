#include "layer/index_format.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SEAL_BLOCK (64u << 10)

void vn_index_head(uint8_t head[VN_INDEX_HEAD], uint64_t records, uint64_t plain_size, uint64_t facts_at, uint64_t weight)
{
	memcpy(head, "VNIX", 4);
	vn_put_u32(head + 4, VN_INDEX_VERSION);
	vn_put_u64(head + 8, records);
	vn_put_u64(head + 16, plain_size);
	vn_put_u64(head + 24, facts_at);
	vn_put_u64(head + 32, weight);
	memset(head + VN_INDEX_SEAL, 0, VN_PRINT_SIZE);
}

int vn_index_seal(int fd, const uint8_t key[VN_PRINT_KEY], uint8_t ret[VN_PRINT_SIZE], struct vn_err *err)
{
	struct vn_printer *printer = NULL;
	VN_AUTO_FREE uint8_t *block = malloc(SEAL_BLOCK);
	off_t at = 0;
	ssize_t n = 1;
	int r = block ? vn_printer_open(key, &printer, err) : vn_nomem(err);
	while (r == 0 && n > 0) {
		n = pread(fd, block, SEAL_BLOCK, at);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n < 0)
			r = vn_fail_sys(err, VN_EIO, "cannot read the index of a layer");
		else if (at == 0 && n >= VN_INDEX_HEAD)
			memset(block + VN_INDEX_SEAL, 0, VN_PRINT_SIZE);
		if (r == 0 && n > 0)
			r = vn_printer_add(printer, block, (size_t)n, err);
		at += n;
	}
	if (r == 0)
		r = vn_printer_end(printer, ret, err);
	vn_printer_close(printer);
	return r;
}

static int put(struct vn_buf *out, uint64_t v, struct vn_err *err)
{
	uint8_t num[10];
	return vn_buf_add(out, num, vn_put_varint(num, v), err);
}

static int put_text(struct vn_buf *out, const char *text, struct vn_err *err)
{
	size_t len = strlen(text);
	int r = put(out, len, err);
	return r < 0 ? r : vn_buf_add(out, text, len + 1, err);
}

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

int vn_record_encode(const struct vn_entry *e, struct vn_buf *out, struct vn_err *err)
{
	const uint64_t nums[] = { e->mode, e->uid, e->gid, e->size, zigzag(e->mtime), e->nsec, e->major, e->minor, e->group };
	const char marks[2] = { e->kind, (char)e->flags };
	int r = put_text(out, e->path, err);
	if (r == 0)
		r = vn_buf_add(out, marks, 2, err);
	for (size_t i = 0; r == 0 && i < sizeof(nums) / sizeof(nums[0]); i++)
		r = put(out, nums[i], err);
	if (r == 0 && e->flags & VN_ENTRY_LINK)
		r = put_text(out, e->link, err);
	if (r == 0 && e->kind == '-')
		r = vn_buf_add(out, e->print, VN_PRINT_SIZE, err);
	if (r == 0 && e->flags & VN_ENTRY_STAMPED)
		r = vn_buf_add(out, e->bare, VN_PRINT_SIZE, err);
	if (r == 0 && e->flags & VN_ENTRY_XATTRS) {
		r = put(out, e->xattrs_len, err);
		if (r == 0)
			r = vn_buf_add(out, e->xattrs, e->xattrs_len, err);
	}
	if (r == 0 && e->flags & VN_ENTRY_FACTS) {
		r = put(out, e->facts_at, err);
		if (r == 0)
			r = put(out, e->facts_len, err);
	}
	return r;
}

struct reader {
	const char *p;
	size_t left;
};

static bool get(struct reader *in, uint64_t max, uint64_t *ret)
{
	size_t n = vn_get_varint((const uint8_t *)in->p, in->left, ret);
	if (!n || *ret > max)
		return false;
	in->p += n;
	in->left -= n;
	return true;
}

static bool get_bytes(struct reader *in, size_t n, const void **ret)
{
	if (n > in->left)
		return false;
	*ret = in->p;
	in->p += n;
	in->left -= n;
	return true;
}

static bool get_text(struct reader *in, const char **ret)
{
	uint64_t len;
	const void *text;
	if (!get(in, VN_MAX_PATH, &len) || !get_bytes(in, (size_t)len + 1, &text) || memchr(text, 0, (size_t)len + 1) !=
	    (const char *)text + len)
		return false;
	*ret = text;
	return true;
}

static bool get_numbers(struct reader *in, struct vn_entry *e)
{
	uint64_t mode, uid, gid, mtime, nsec, major, minor;
	if (!get(in, 07777, &mode) || !get(in, UINT32_MAX, &uid) || !get(in, UINT32_MAX, &gid) || !get(in, UINT64_MAX, &e->size) ||
	    !get(in, UINT64_MAX, &mtime) || !get(in, 999999999, &nsec) || !get(in, UINT32_MAX, &major) ||
	    !get(in, UINT32_MAX, &minor) || !get(in, VN_MAX_ENTRIES + 1, &e->group))
		return false;
	e->mode = (uint32_t)mode, e->uid = (uint32_t)uid, e->gid = (uint32_t)gid;
	e->mtime = (int64_t)(mtime >> 1) ^ -(int64_t)(mtime & 1);
	e->nsec = (uint32_t)nsec, e->major = (uint32_t)major, e->minor = (uint32_t)minor;
	return true;
}

static bool decode(struct reader *in, struct vn_entry *e)
{
	const void *marks, *bytes;
	uint64_t n;
	if (!get_text(in, &e->path) || !get_bytes(in, 2, &marks))
		return false;
	e->kind = ((const char *)marks)[0];
	e->flags = ((const uint8_t *)marks)[1];
	if (!e->kind || !strchr("-dlcbpwoh", e->kind) || !get_numbers(in, e))
		return false;
	if (e->flags & VN_ENTRY_LINK && !get_text(in, &e->link))
		return false;
	if ((e->kind == 'l' || e->kind == VN_KIND_LOWER) && !e->link)
		return false;
	if (e->kind == '-') {
		if (!get_bytes(in, VN_PRINT_SIZE, &bytes))
			return false;
		memcpy(e->print, bytes, VN_PRINT_SIZE);
	}
	if (e->flags & VN_ENTRY_STAMPED) {
		if (!get_bytes(in, VN_PRINT_SIZE, &bytes))
			return false;
		memcpy(e->bare, bytes, VN_PRINT_SIZE);
	}
	if (e->flags & VN_ENTRY_XATTRS) {
		if (!get(in, 2 * VN_MAX_XATTRS, &n) || !get_bytes(in, (size_t)n, &bytes))
			return false;
		e->xattrs = bytes;
		e->xattrs_len = (size_t)n;
	}
	if (e->flags & VN_ENTRY_FACTS) {
		if (!get(in, UINT64_MAX, &e->facts_at) || !get(in, VN_MAX_FACTS, &n))
			return false;
		e->facts_len = (uint32_t)n;
	}
	return true;
}

int vn_record_decode(const char *bytes, size_t len, struct vn_entry *ret, size_t *ret_used, const char *name, struct vn_err *err)
{
	struct reader in = { bytes, len };
	struct vn_entry e = { 0 };
	if (!decode(&in, &e))
		return vn_fail(err, VN_EFORMAT, "the index of %s is damaged", name);
	*ret = e;
	if (ret_used)
		*ret_used = len - in.left;
	return 0;
}
