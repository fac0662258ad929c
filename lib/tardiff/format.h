/* Numbers of the format that reader and writer share (tardiff.h). */
#ifndef VN_TARDIFF_FORMAT_H
#define VN_TARDIFF_FORMAT_H

#define VN_TARDIFF_MAGIC_1 "tardf1\n"     /* with its NUL */
#define VN_TARDIFF_MAGIC_2 "tardf2\n"
#define VN_TARDIFF_MAGIC_LEN 8
#define VN_TARDIFF_PATH_MAX 4096          /* these three as in pkg/tar-patch and the rust crate of oci-delta */
#define VN_TARDIFF_ADD_MAX (100u << 20)   /* bytes of one ADD_DATA that others read */
#define VN_TARDIFF_DICT_LOG 29            /* 512 MiB: source and window of a ZSTD_DICT */

enum vn_tardiff_op {
	VN_TARDIFF_OP_DATA,
	VN_TARDIFF_OP_OPEN,
	VN_TARDIFF_OP_COPY,
	VN_TARDIFF_OP_ADD_DATA,
	VN_TARDIFF_OP_SEEK,
	VN_TARDIFF_OP_ZSTD_DICT,
};
#endif
