/* Version 2, little-endian: u32 version, then for each entry u16 tag, u16 permissions, u32 id; sorted by tag, then id. */
#include "tar/acl.h"
#include "util/num.h"
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#define ACL_VERSION 2
#define ACL_NO_ID UINT32_MAX
#define ACL_ENTRY_SIZE 8

static int tag_of(int libarchive_tag)
{
	switch (libarchive_tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
		return 0x01;
	case ARCHIVE_ENTRY_ACL_USER:
		return 0x02;
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
		return 0x04;
	case ARCHIVE_ENTRY_ACL_GROUP:
		return 0x08;
	case ARCHIVE_ENTRY_ACL_MASK:
		return 0x10;
	case ARCHIVE_ENTRY_ACL_OTHER:
		return 0x20;
	default:
		return 0;
	}
}

static int by_tag_and_id(const void *a, const void *b)
{
	const uint8_t *x = a, *y = b;
	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	uint32_t i = vn_get_u32(x + 4), k = vn_get_u32(y + 4);
	return (i > k) - (i < k);
}

int vn_tar_acl_xattr(struct archive_entry *entry, int type, struct vn_buf *ret_bytes, struct vn_err *err)
{
	int each, permissions, tag, id;
	const char *name;
	uint8_t version[4];
	vn_buf_clear(ret_bytes);
	if (archive_entry_acl_reset(entry, type) <= 0)
		return 0;
	vn_put_u32(version, ACL_VERSION);
	int rc = vn_buf_add(ret_bytes, version, sizeof(version), err);
	while (rc == 0 && archive_entry_acl_next(entry, type, &each, &permissions, &tag, &id, &name) == ARCHIVE_OK) {
		int kind = tag_of(tag);
		bool named = kind == 0x02 || kind == 0x08;
		if (!kind || (named && id < 0))
			return vn_fail(err, VN_EFORMAT, "an ACL entry %s%s", kind ? "that has no number for " : "of unknown kind",
				       kind && name ? name : "");
		uint8_t bytes[ACL_ENTRY_SIZE] = { (uint8_t)kind, 0, (uint8_t)(permissions & 7), 0 };
		vn_put_u32(bytes + 4, named ? (uint32_t)id : ACL_NO_ID);
		rc = vn_buf_add(ret_bytes, bytes, sizeof(bytes), err);
	}
	if (rc < 0)
		return rc;
	qsort(ret_bytes->data + 4, (ret_bytes->len - 4) / ACL_ENTRY_SIZE, ACL_ENTRY_SIZE, by_tag_and_id);
	return 0;
}
