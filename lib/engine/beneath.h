/* Places inside a folder, and never outside of it: no symbolic link is followed, whoever wrote it, and nothing climbs. By
 * openat2(2), or one component at a time where the kernel (before 5.6) or a filter of system calls does not have it. */
#ifndef VN_ENGINE_BENEATH_H
#define VN_ENGINE_BENEATH_H

/* `path` is clean (util/path.h), "" is `root` itself. -1 and errno: ELOOP or ENOTDIR when a component is no directory. */
int vn_beneath_open(int root, const char *path, int flags);
/* The directory that holds `path`, opened with O_PATH. *ret_base points into `path`. */
int vn_beneath_parent(int root, const char *path, const char **ret_base);
/* vn_beneath_open without openat2. */
int vn_beneath_walk(int root, const char *path, int flags);
#endif
