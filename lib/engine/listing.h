/* What an unpacked image consists of, written down when it is made and compared with when somebody asks: mtree(5), as bsdtar and
 * mtree read it. One line for each path, in the order of vn_path_cmp:
 *
 *   ./usr/bin/app type=file uid=0 gid=0 mode=0755 size=123 sha256digest=HEX
 *
 * with link= for symbolic links and device= for devices; bytes of names that could be taken for something else are \ooo (octal). A
 * file that may not be read has no digest. The last line is "#sha256 HEX", of all lines before it. Times and extended attributes
 * are not in it. */
#ifndef VN_ENGINE_LISTING_H
#define VN_ENGINE_LISTING_H
#include "util/err.h"

/* A tree that shares files with the new one, and its list. */
struct vn_listing_below {
	int root, list;              /* list -1: there is none */
};
/* The list of the tree `root`, into the file `to`. What it shares with the tree below is as that one's list says, and not read: what was
 * damaged there stays damaged. `below` may be NULL; `place` is for messages. */
int vn_listing_write(int root, const struct vn_listing_below *below, int to, const char *place, struct vn_err *err);
/* VN_EDIGEST names the first path that is not as the list says, or says that the list itself is damaged. Paths that are not in the
 * list do not matter. */
int vn_listing_compare(int root, int list, const char *place, struct vn_err *err);
#endif
