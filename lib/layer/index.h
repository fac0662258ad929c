/* The index of one layer: what its tar holds, sorted by path, without the contents. It is made once while the layer streams by
 * and kept in the cache under the digest of the bytes it was made from, so that a second look costs neither download nor
 * inflate. Trees are merged and compared by walking such indexes side by side (merge.h): memory does not grow with them.
 *
 * File, all integers LEB128 varints unless said otherwise:
 *   "VNIX" u32le(version) u64le(records) u64le(plain bytes) u64le(offset of the facts) u64le(weight)
 *   seal: 16 bytes, the fingerprint of all the rest
 *   record*   sorted by vn_path_cmp, one for each path:
 *     len path NUL kind:u8 flags:u8
 *     mode uid gid size zigzag(mtime) nsec major minor group
 *     [link: len bytes NUL]          VN_ENTRY_LINK
 *     [print: 16 bytes]              kind '-'
 *     [print without stamp: 16]      VN_ENTRY_STAMPED
 *     [xattrs: len bytes]            VN_ENTRY_XATTRS: (len name NUL len value)*, sorted by name
 *     [facts: offset len]            VN_ENTRY_FACTS: into the facts
 *   facts     NUL-terminated texts, see facts.h */
#ifndef VN_LAYER_INDEX_H
#define VN_LAYER_INDEX_H
#include "image/image.h"
#include "tar/reader.h"

/* Kinds are as ls -l prints them, and: */
enum { VN_KIND_WHITEOUT = 'w' /* nothing here, and lower layers' path is hidden */,
       VN_KIND_OPAQUE = 'o' /* only the opaque mark of a directory that this layer does not describe */,
       VN_KIND_LOWER = 'h' /* hard link to a file of a lower layer; link names it */ };
enum { VN_ENTRY_HIDES = 1 /* what lower layers have at and below the path is hidden */, VN_ENTRY_LINK = 2,
       VN_ENTRY_STAMPED = 4 /* Python bytecode with a source stamp */, VN_ENTRY_XATTRS = 8, VN_ENTRY_FACTS = 16,
       VN_ENTRY_IMPLIED = 32 /* a directory that no layer describes (merge.h) */ };

struct vn_entry {
	const char *path;
	char kind;
	uint8_t flags;
	uint32_t mode, uid, gid, nsec, major, minor;
	uint64_t size;
	int64_t mtime;
	uint64_t group;              /* hard links of one file in one layer share it; 0 = none */
	const char *link;
	uint8_t print[VN_PRINT_SIZE];
	uint8_t bare[VN_PRINT_SIZE]; /* VN_ENTRY_STAMPED: the print with the stamp zeroed */
	const uint8_t *xattrs;
	size_t xattrs_len;
	uint64_t facts_at;
	uint32_t facts_len;
};

struct vn_layer_index {
	int fd;                      /* -1 = none */
	char *name;                  /* of the layer, for messages */
	uint64_t records, plain_size, facts_at;
	uint64_t weight;             /* of all records, by vn_entry_weight */
};
#define VN_LAYER_INDEX { -1, NULL, 0, 0, 0, 0 }
/* How much of its layer's compressed size an entry is held for: its bytes, and about what a header comes to. */
static inline uint64_t vn_entry_weight(uint64_t size)
{
	return size + 100;
}

/* What learns about files while they stream by, for an index to keep; facts.h has the one that there is. */
struct vn_gatherer;
struct vn_gathering {
	int (*open)(const char *layer_name, const struct vn_events *events, struct vn_gatherer **ret, struct vn_err *err);
	void (*close)(struct vn_gatherer *g);        /* NULL is fine */
	/* Whether the file wants to be looked into, by its path or its first bytes; then feed it from its start and end. */
	int (*begin)(struct vn_gatherer *g, const char *path, uint64_t size, const void *head, size_t head_len, bool *ret_wanted,
		     struct vn_err *err);
	int (*add)(struct vn_gatherer *g, const void *data, size_t len, struct vn_err *err);
	/* Appends the facts, or nothing. */
	int (*end)(struct vn_gatherer *g, struct vn_buf *facts, struct vn_err *err);
};
struct vn_index_options {
	struct vn_cache *cache;      /* may be NULL: the index lives in an unlinked file */
	uint8_t key[VN_PRINT_KEY];   /* of the fingerprints */
	uint64_t max_plain;          /* vn_in_inflate */
	const struct vn_events *events;
	const struct vn_gathering *gather;   /* NULL: no facts; then `cache` is NULL too, since others look for them there */
};
/* Index layer i: from the cache, else by reading it. */
int vn_layer_index_open(const struct vn_image *image, size_t i, const struct vn_index_options *options,
			struct vn_layer_index *ret, struct vn_err *err);
void vn_layer_index_release(struct vn_layer_index *x);
/* Index a plain tar stream (owned) into fd. */
int vn_layer_index_build(struct vn_in *tar, const char *name, const struct vn_index_options *options, int fd,
			 struct vn_err *err);
/* Check the head of an index file and take over fd. VN_EFORMAT when it is not one of this version. */
int vn_layer_index_adopt(int fd, const char *name, struct vn_layer_index *ret, struct vn_err *err);

/* Walks the records of one index in order, reading ahead in a small window. */
struct vn_cursor;
int vn_cursor_open(const struct vn_layer_index *x, struct vn_cursor **ret, struct vn_err *err);
/* 1 and the entry (valid until the next call), 0 at the end, -code. */
int vn_cursor_next(struct vn_cursor *c, struct vn_entry *ret, struct vn_err *err);
void vn_cursor_close(struct vn_cursor *c);
/* The entry's facts as one text of NUL-terminated strings; len 0 when there are none. */
int vn_layer_index_facts(const struct vn_layer_index *x, const struct vn_entry *e, struct vn_buf *ret, struct vn_err *err);
#endif
