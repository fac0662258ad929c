/* Files kept under the XDG cache directory by kind and key, least recently used out first. Safe for concurrent runs: a file
 * appears whole, an eviction never takes what another run has open. A cache that cannot be written is told once as a warning
 * and then silently empty. */
#ifndef VN_IMAGE_CACHE_H
#define VN_IMAGE_CACHE_H
#include "util/digest.h"
#include "util/events.h"
#include "util/fs.h"

struct vn_cache;
/* `dir` NULL: $VENEER_CACHE_DIR, else $XDG_CACHE_HOME/veneer, else ~/.cache/veneer. `max` 0: $VENEER_CACHE_SIZE, else 20 GB. */
int vn_cache_open(const char *dir, uint64_t max, const struct vn_events *events, struct vn_cache **ret, struct vn_err *err);
void vn_cache_close(struct vn_cache *cache);
/* An open descriptor of the kept file, its use noted; -1 when there is none. kind: "blob", "index" … (a folder's name). */
int vn_cache_get(struct vn_cache *cache, const char *kind, const char *key);
/* Begin a file; tmp->fd stays -1 when the cache cannot be written. */
int vn_cache_begin(struct vn_cache *cache, const char *kind, struct vn_tmp *tmp, struct vn_err *err);
int vn_cache_commit(struct vn_cache *cache, const char *kind, const char *key, struct vn_tmp *tmp, struct vn_err *err);
void vn_cache_drop(struct vn_cache *cache, const char *kind, const char *key);
/* 16 random bytes made when the cache was (random for this run when it cannot be kept). */
int vn_cache_secret(struct vn_cache *cache, uint8_t ret[16], struct vn_err *err);
#endif
