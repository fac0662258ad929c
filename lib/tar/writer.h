/* A deterministic tar writer: POSIX ustar headers with pax records only where ustar cannot say it. Our own, not libarchive's,
 * because the digest of every veneer layer hangs on these bytes: they must not change with a library's version. */
#ifndef VN_TAR_WRITER_H
#define VN_TAR_WRITER_H
#include "stream/out.h"
#include "tar/reader.h"

struct vn_tar_writer;
int vn_tar_writer_open(struct vn_out *out, struct vn_tar_writer **ret, struct vn_err *err);      /* out stays the caller's */
int vn_tar_write_entry(struct vn_tar_writer *w, const struct vn_tar_entry *entry, struct vn_err *err);
/* Exactly entry->size bytes follow for VN_FILE. */
int vn_tar_write_data(struct vn_tar_writer *w, const void *data, size_t len, struct vn_err *err);
int vn_tar_writer_finish(struct vn_tar_writer *w, struct vn_err *err);                            /* two zero blocks */
void vn_tar_writer_close(struct vn_tar_writer *w);
static inline void vn_tar_writer_close_p(struct vn_tar_writer **w) { vn_tar_writer_close(*w); }
#endif
