/* Names in a layer that say what is gone (image-spec layer.md, "Whiteouts"). */
#ifndef VN_TAR_WHITEOUT_H
#define VN_TAR_WHITEOUT_H
#include "util/buf.h"

enum vn_whiteout {
	VN_WHITEOUT_NO,	     /* an ordinary name */
	VN_WHITEOUT_IGNORED, /* AUFS's own: no part of the image */
	VN_WHITEOUT_PATH,    /* ".wh.NAME": what lower layers have at and below ret_path is gone */
	VN_WHITEOUT_OPAQUE   /* ".wh..wh..opq": what lower layers have in the folder ret_path is gone */
};
/* `path` is an entry's, `what` its layer. VN_EUNSAFE when it lies below a whiteout or names a folder above itself. */
int vn_whiteout_of(const char *path, const char *what, struct vn_buf *ret_path, enum vn_whiteout *ret, struct vn_err *err);
#endif
