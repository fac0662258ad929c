/* Files on the machine that veneer runs on: read whole with a cap, publish by temp + fsync + rename + fsync(dir). */
#ifndef VN_UTIL_FS_H
#define VN_UTIL_FS_H
#include "util/buf.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int vn_fs_read(const char *path, struct vn_buf *ret_bytes, struct vn_err *err);   /* VN_ENOTFOUND when absent */
int vn_fs_mkdirs(const char *path, mode_t mode, struct vn_err *err);
bool vn_fs_exists(const char *path);
/* From the root on, and without slashes at its end; links and ".." in it stay. */
int vn_fs_absolute(const char *path, char **ret, struct vn_err *err);
int vn_fs_write(int fd, const void *data, size_t len, const char *name, struct vn_err *err);  /* all of it */
/* Exactly `len` bytes at `offset`: VN_EIO when the file is shorter. */
int vn_fs_read_at(int fd, uint64_t offset, void *out, size_t len, const char *name, struct vn_err *err);
/* Names that were made, changed or removed in a folder are on the disk. */
int vn_fs_sync_dir(const char *dir, struct vn_err *err);
int vn_fs_sync_parent(const char *path, struct vn_err *err);
/* Which run of the kernel this is; "" = it does not say. What was written in this one is there although nothing was synced. */
#define VN_BOOT_TEXT 40
void vn_boot_id(char ret[VN_BOOT_TEXT]);
int vn_fs_remove_tree(const char *path, struct vn_err *err);

/* A file that appears under its name only when it is whole. Zero-initialise through VN_TMP. */
struct vn_tmp {
	int fd;          /* -1 = never opened */
	char *path;      /* NULL once published or when it never had a name */
};
#define VN_TMP { -1, NULL }
#define VN_TMP_PREFIX ".tmp-"
int vn_tmp_open(struct vn_tmp *tmp, const char *dir, struct vn_err *err);
int vn_tmp_anonymous(struct vn_tmp *tmp, struct vn_err *err);    /* in $TMPDIR, already unlinked */
int vn_tmp_publish(struct vn_tmp *tmp, const char *path, mode_t mode, struct vn_err *err);
void vn_tmp_release(struct vn_tmp *tmp);                         /* closes, and unlinks what was not published */

int vn_fs_replace(const char *path, const void *data, size_t len, mode_t mode, struct vn_err *err);
#endif
