/* Packages.db, rpm's own "ndb"; every number is a little-endian uint32:
 *   file   = page of 4096 × slot pages, then blobs in blocks of 16
 *   header = "RpmP" version(0) generation slot-pages next-package 0 0 0        32 bytes
 *   slot   = "Slot" package block-offset block-count                          16 bytes, block-offset 0: free
 *   blob   = "BlbS" package generation length, the rpm header, … adler32 length "BlbE" */
#include "deps/parse.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>

#define PAGE 4096u
#define BLOCK 16u
#define SLOT 16u
#define HEADER 32u
#define BLOB_HEAD 16u
#define BLOB_TAIL 12u

static int read_slot(struct vn_deps *in, size_t at, size_t *total, struct vn_err *err)
{
	const uint8_t *slot = in->bytes + at;
	uint32_t package = vn_get_u32(slot + 4);
	uint64_t from = (uint64_t)vn_get_u32(slot + 8) * BLOCK, size = (uint64_t)vn_get_u32(slot + 12) * BLOCK;
	if (memcmp(slot, "Slot", 4) != 0)
		return vn_deps_fail(in, at, err, "not a slot of an ndb package database");
	if (from == 0)
		return 0;
	if (from > in->len || size > in->len - from || size < BLOB_HEAD + BLOB_TAIL)
		return vn_deps_fail(in, at, err, "a slot points to %llu bytes at %llu, outside the file",
				    (unsigned long long)size, (unsigned long long)from);
	const uint8_t *blob = in->bytes + from;
	uint32_t len = vn_get_u32(blob + 12);
	if (memcmp(blob, "BlbS", 4) != 0 || vn_get_u32(blob + 4) != package)
		return vn_deps_fail(in, (size_t)from, err, "not the blob of package %u", package);
	if (len > size - BLOB_HEAD - BLOB_TAIL || len > VN_MAX_RPM_HEADER)
		return vn_deps_fail(in, (size_t)from, err, "a blob of %u bytes in %llu", len, (unsigned long long)size);
	*total += len;
	if (*total > in->len)
		return vn_deps_fail(in, at, err, "the slots share their blobs");
	return vn_deps_rpm_header(in, (size_t)from + BLOB_HEAD, blob + BLOB_HEAD, len, err);
}

int vn_deps_rpm_ndb(struct vn_deps *in, struct vn_err *err)
{
	size_t total = 0;
	if (in->len == 0)
		return 0;
	if (in->len < PAGE || memcmp(in->bytes, "RpmP", 4) != 0)
		return vn_deps_fail(in, 0, err, "not an ndb package database");
	if (vn_get_u32(in->bytes + 4) != 0)
		return vn_deps_fail(in, 4, err, "ndb version %u, expected 0", vn_get_u32(in->bytes + 4));
	uint64_t slots_end = (uint64_t)vn_get_u32(in->bytes + 12) * PAGE;
	if (slots_end == 0 || slots_end > in->len)
		return vn_deps_fail(in, 12, err, "%u pages of slots in a file of %zu bytes", vn_get_u32(in->bytes + 12),
				    in->len);
	for (size_t at = HEADER; at < slots_end; at += SLOT) {
		int rc = read_slot(in, at, &total, err);
		if (rc)
			return rc;
	}
	return 0;
}
