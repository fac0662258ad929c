/* What a device remembers between runs so that the next request costs less: one JSON file,
 *   {"version":1,"salt":TEXT,"registries":[…],"tokens":[…],"sessions":[…]}
 * with the newest last and an object of texts for each item. It holds secrets: a file that others may read or write, or that is no
 * regular file of this user, is not believed. Thread-safe. */
#ifndef VN_REGISTRY_MEMORY_H
#define VN_REGISTRY_MEMORY_H
#include "util/err.h"
#include "util/events.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vn_memory_kind {
	VN_MEMORY_REGISTRY,          /* how a registry wants to be asked: origin | scheme, realm, service, scope */
	VN_MEMORY_TOKEN,             /* realm, service, who, scope | token */
	VN_MEMORY_SESSION,           /* peer, trust | session (base64) */
	VN_MEMORY_KINDS,
};
#define VN_MEMORY_TEXTS 5
#define VN_MEMORY_EACH 8             /* items kept of each kind; the oldest go */

/* The texts stand in the order above, "" = none; those before the bar are the key. */
struct vn_memory_item {
	char *text[VN_MEMORY_TEXTS];
	int64_t noted, until;        /* seconds since 1970 by this machine's clock; until 0: for good */
};
void vn_memory_item_release(struct vn_memory_item *item);

struct vn_memory;
/* `path` NULL: for this owner only. A file that is absent, damaged or not to be believed is as good as none. Owners in one process
 * share what is remembered in one file. */
int vn_memory_open(const char *path, const struct vn_events *events, struct vn_memory **ret, struct vn_err *err);
/* Writes the file when there is something new; a failure to do so is a warning. */
void vn_memory_close(struct vn_memory *m, const struct vn_events *events);

/* A copy of the nth newest item of a kind that holds for `least` more seconds; false beyond the last. What was noted at a time
 * that is still to come (the clock was set back) holds no more. */
bool vn_memory_get(struct vn_memory *m, enum vn_memory_kind kind, size_t nth, int64_t least, struct vn_memory_item *ret);
/* Replaces the item with that key. What is too long or cannot be kept is forgotten. */
void vn_memory_put(struct vn_memory *m, enum vn_memory_kind kind, const char *const *texts, int64_t until);
/* Forget every item of a kind whose text number `column` is `text`. */
void vn_memory_drop(struct vn_memory *m, enum vn_memory_kind kind, size_t column, const char *text);
/* A name for a secret that tells nothing about it: 32 hexadecimal digits, other ones in every file. */
#define VN_MEMORY_NAME 33
int vn_memory_name(struct vn_memory *m, const void *secret, size_t len, char ret[VN_MEMORY_NAME], struct vn_err *err);

/* For the fuzz target: the file's bytes. */
int vn_memory_read(struct vn_memory *m, const void *bytes, size_t len, struct vn_err *err);
#endif
