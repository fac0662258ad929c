/* Files of an image that is unpacked or mounted in a folder. Links are not followed: a clean path of a regular file crosses none. */
#ifndef VN_ENGINE_ROOTED_H
#define VN_ENGINE_ROOTED_H
#include "util/err.h"
#include <stddef.h>
#include <stdint.h>

/* A regular file below the folder `root`: VN_ENOTFOUND when there is none. */
int vn_rooted_open(int root, const char *path, int *ret_fd, uint64_t *ret_size, struct vn_err *err);
/* As files() of struct vn_engine_ops. */
int vn_rooted_files(int root, const char *const *paths, size_t n, int fd, uint64_t at, uint64_t *ret_sizes, uint64_t *ret_end,
		    struct vn_err *err);
/* All of a block to its place; *at moves on. VN_ELIMIT beyond VN_MAX_BLOB. */
int vn_put_at(int fd, const void *data, size_t len, uint64_t *at, struct vn_err *err);
#endif
