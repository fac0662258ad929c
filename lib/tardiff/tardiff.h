/* tar-diff (application/vnd.tar-diff): a layer's tar rebuilt from the regular files of another image, as containers/tar-diff
 * and containers/oci-delta exchange it. Format: file-format.md, pkg/protocol and pkg/tar-patch of containers/tar-diff.
 *
 *   tar-diff   = "tardf1\n" NUL | "tardf2\n" NUL, then one zstd stream (any number of frames) of operations
 *   operation  = op:u8 V(size) data                V = LEB128 varint; Copy and Seek carry no data
 *   DATA       0  `size` bytes, as they are
 *   OPEN       1  a path of `size` bytes becomes the source, its position 0
 *   COPY       2  `size` bytes of the source from its position, which advances
 *   ADD_DATA   3  `size` bytes, each added modulo 256 to a byte of the source from its position, which advances
 *   SEEK       4  the position becomes `size`; it may lie behind the end, where nothing can be read
 *   ZSTD_DICT  5  version 2: a zstd frame of `size` bytes with the whole source as raw dictionary; the position becomes its end
 *
 * A size of 0 is valid for every operation but OPEN and ZSTD_DICT. Nothing follows the last operation. There is no digest in
 * it: whoever applies a tar-diff compares the result with the diff_id that it should have. */
#ifndef VN_TARDIFF_TARDIFF_H
#define VN_TARDIFF_TARDIFF_H
#include "delta/delta.h"

#define VN_TARDIFF_MEDIA_TYPE "application/vnd.tar-diff"

/* The regular files of the old image. One is open at a time. */
struct vn_tardiff_files {
	/* `path` is clean (util/path.h); VN_ENOTFOUND when there is no regular file. *ret_file stays valid until close. */
	int (*open)(struct vn_tardiff_files *files, const char *path, struct vn_delta_old **ret_file, struct vn_err *err);
	void (*close)(struct vn_tardiff_files *files, struct vn_delta_old *file);
};

struct vn_tardiff_limits {
	uint64_t memory;          /* most bytes of heap, 0 = VN_MAX_TARDIFF_MEMORY */
	uint64_t new_size;        /* largest tar, 0 = VN_MAX_BLOB */
};

/* Writes the tar to `out` as it is rebuilt, in one pass. VN_EFORMAT: no tar-diff at all. VN_EDIGEST: damaged, or made for
 * another old image, naming the path that is missing. VN_EUNSAFE: a path that leaves the image. VN_ELIMIT: too large. */
int vn_tardiff_apply(struct vn_tardiff_files *files, struct vn_in *delta, struct vn_out *out,
		     const struct vn_tardiff_limits *limits, struct vn_err *err);

/* The contents of one regular file in the new tar, and the old file that they resemble. */
struct vn_tardiff_entry {
	uint64_t offset, len;     /* in the new tar */
	const char *old_path;     /* in the old image, clean; NULL = none */
};
struct vn_tardiff_options {
	int version;              /* 1 or 2; 0 = 1, which every reader knows */
	int level;                /* of zstd, 1..19; 0 = 19 */
};
enum vn_tardiff_method {
	VN_TARDIFF_COPY,          /* identical */
	VN_TARDIFF_ADD,           /* copied, added and new ranges */
	VN_TARDIFF_DICT,          /* a zstd frame with the old file as dictionary */
	VN_TARDIFF_DATA,          /* all of it new */
	VN_TARDIFF_METHODS
};
struct vn_tardiff_stats {
	struct {
		uint64_t files, bytes;
	} method[VN_TARDIFF_METHODS];
	uint64_t size;            /* of the tar-diff */
};
/* `entries` are in the order of their offsets and do not overlap; whatever lies between them is written as it is. An old path
 * that other readers would refuse (longer than 4 KiB, no UTF-8, not clean) is not used; one that cannot be opened is an error.
 * The same bytes for the same input with the same libzstd. Heap: one old file at a time, and up to four times the size of its
 * entry. `options` and `stats` may be NULL. */
int vn_tardiff_make(struct vn_tardiff_files *files, const void *tar, size_t tar_len, const struct vn_tardiff_entry *entries,
		    size_t count, const struct vn_tardiff_options *options, struct vn_out *out, struct vn_tardiff_stats *stats,
		    struct vn_err *err);
#endif
