/* The bytes of index.h's file: head and records. */
#ifndef VN_LAYER_INDEX_FORMAT_H
#define VN_LAYER_INDEX_FORMAT_H
#include "layer/index.h"
#include "util/num.h"

/* Counts up whenever the format, or what is gathered as facts, changes: older files are then made again. */
#define VN_INDEX_VERSION 3
#define VN_INDEX_HEAD 56
#define VN_INDEX_SEAL 40                 /* offset of the seal */
void vn_index_head(uint8_t head[VN_INDEX_HEAD], uint64_t records, uint64_t plain_size, uint64_t facts_at, uint64_t weight);
/* The fingerprint of everything but the seal: what a crash or another program left is told from what was written. */
int vn_index_seal(int fd, const uint8_t key[VN_PRINT_KEY], uint8_t ret[VN_PRINT_SIZE], struct vn_err *err);

int vn_record_encode(const struct vn_entry *e, struct vn_buf *out, struct vn_err *err);
/* Decode one record from `len` bytes: texts point into them. *ret_used may be NULL. VN_EFORMAT when it is malformed or ends early. */
int vn_record_decode(const char *bytes, size_t len, struct vn_entry *ret, size_t *ret_used, const char *name, struct vn_err *err);
/* The longest that a record can be. */
#define VN_RECORD_MAX (2u * VN_MAX_XATTRS + 4u * VN_MAX_PATH + 256u)

/* The path of a record that is known to be well-formed. */
static inline char *vn_record_path(char *record)
{
	while ((uint8_t)*record & 0x80)
		record++;
	return record + 1;
}
#endif
