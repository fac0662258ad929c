#include "engine/deep.h"
#include "engine/handover.h"
#include "engine/rooted.h"
#include "tar/reader.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/path.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BLOCK (128u << 10)
/* what an entry of an upper layer hides of the lower ones */
#define SELF 1u                      /* the path itself */
#define BELOW 2u                     /* what lies below it */

struct vn_deep_node {
	const char *path;            /* NULL: an empty slot */
	uint64_t size, layer_size;
	uint8_t print[VN_PRINT_SIZE], layer_print[VN_PRINT_SIZE];
	uint8_t hides, layer_hides;  /* layer_…: of the layer that is being read */
	bool file, layer_file;       /* the merged tree shows this file; the layer has one */
	bool same;
};

/* ---- the table */
static uint64_t hash_of(const char *path, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;      /* FNV-1a */
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)path[i]) * 0x100000001b3u;
	return h;
}

static struct vn_deep_node *slot_of(struct vn_deep_node *nodes, size_t cap, const char *path, size_t len)
{
	size_t i = (size_t)hash_of(path, len) & (cap - 1);
	while (nodes[i].path && (strncmp(nodes[i].path, path, len) || nodes[i].path[len]))
		i = (i + 1) & (cap - 1);
	return &nodes[i];
}

static struct vn_deep_node *find(const struct vn_deep *d, const char *path, size_t len)
{
	struct vn_deep_node *node = d->cap ? slot_of(d->nodes, d->cap, path, len) : NULL;
	return node && node->path ? node : NULL;
}

static int grow(struct vn_deep *d, struct vn_err *err)
{
	size_t cap = d->cap ? d->cap * 2 : 1024;
	if (cap > VN_MAX_DEEP_NAMES / sizeof(*d->nodes))
		return vn_fail(err, VN_ELIMIT, "the layers above the base have more than %zu entries", d->n);
	struct vn_deep_node *nodes = calloc(cap, sizeof(*nodes));
	if (!nodes)
		return vn_nomem(err);
	for (size_t i = 0; i < d->cap; i++)
		if (d->nodes[i].path)
			*slot_of(nodes, cap, d->nodes[i].path, strlen(d->nodes[i].path)) = d->nodes[i];
	free(d->nodes);
	d->nodes = nodes;
	d->cap = cap;
	return 0;
}

static int node_of(struct vn_deep *d, const char *path, struct vn_deep_node **ret, struct vn_err *err)
{
	int rc = d->n * 4 >= d->cap * 3 ? grow(d, err) : 0;
	if (rc < 0)
		return rc;
	struct vn_deep_node *node = slot_of(d->nodes, d->cap, path, strlen(path));
	if (!node->path) {
		node->path = vn_arena_text(&d->arena, path, err);
		if (!node->path)
			return -(int)err->code;
		d->n++;
	}
	*ret = node;
	return 0;
}

static bool hidden(const struct vn_deep *d, const struct vn_deep_node *node)
{
	size_t len = strlen(node->path);
	if (node->hides & SELF)
		return true;
	while (len) {
		while (len && node->path[--len] != '/')
			;
		const struct vn_deep_node *above = find(d, node->path, len);
		if (above && above->hides & BELOW)
			return true;
	}
	return false;
}

/* ---- what the store's layers say */
static int print_entry(struct vn_deep *d, struct vn_tar *tar, uint64_t *ret_size, uint8_t *ret_print, struct vn_err *err)
{
	const void *block;
	ssize_t n;
	*ret_size = 0;
	while ((n = vn_tar_data(tar, &block, err)) > 0) {
		int rc = vn_printer_add(d->printer, block, (size_t)n, err);
		if (rc < 0)
			return rc;
		*ret_size += (uint64_t)n;
	}
	return n < 0 ? (int)n : vn_printer_end(d->printer, ret_print, err);
}

/* image-spec layer.md, "Whiteouts"; names that begin with ".wh..wh." otherwise are AUFS' own. */
static int whiteout(struct vn_deep *d, const char *path, const char *base, struct vn_err *err)
{
	char target[VN_MAX_PATH + 1];
	struct vn_deep_node *node;
	size_t dir = (size_t)(base - path);
	bool opaque = !strcmp(base, ".wh..wh..opq");
	if (!opaque && !strncmp(base, ".wh..wh.", 8))
		return 0;
	snprintf(target, sizeof(target), "%.*s%s", (int)(opaque && dir ? dir - 1 : dir), path, opaque ? "" : base + 4);
	int rc = node_of(d, target, &node, err);
	if (rc == 0)
		node->layer_hides |= opaque ? BELOW : SELF | BELOW;
	return rc;
}

static int take_entry(struct vn_deep *d, struct vn_tar *tar, const struct vn_tar_entry *e, struct vn_err *err)
{
	struct vn_deep_node *node;
	const char *base = vn_path_base(e->path);
	if (!strncmp(base, ".wh.", 4))
		return whiteout(d, e->path, base, err);
	int rc = node_of(d, e->path, &node, err);
	if (rc < 0)
		return rc;
	node->layer_hides |= e->type == VN_DIR ? SELF : SELF | BELOW;
	node->layer_file = e->type == VN_FILE;
	if (e->type == VN_FILE)
		return print_entry(d, tar, &node->layer_size, node->layer_print, err);
	/* a link to a file of a lower layer brought no contents */
	const struct vn_deep_node *to = e->type == VN_HARDLINK ? find(d, e->link, strlen(e->link)) : NULL;
	if (to && to->layer_file) {
		node->layer_file = true;
		node->layer_size = to->layer_size;
		memcpy(node->layer_print, to->layer_print, VN_PRINT_SIZE);
	}
	return 0;
}

static int take_layer(struct vn_deep *d, const struct vn_image *image, size_t layer, struct vn_err *err)
{
	char what[512];
	struct vn_in *in = NULL;
	const struct vn_tar_entry *e;
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	int rc = vn_image_layer_tar(image, layer, 0, &in, err), more = 0;
	if (rc == 0)
		rc = vn_tar_open(in, vn_image_layer_name(image, layer, what), &tar, err);
	while (rc == 0 && (more = vn_tar_next(tar, &e, err)) > 0)
		rc = take_entry(d, tar, e, err);
	if (rc < 0 || more < 0)
		return rc < 0 ? rc : more;
	for (size_t i = 0; i < d->cap; i++) {
		struct vn_deep_node *node = &d->nodes[i];
		if (node->path && node->layer_file && !hidden(d, node)) {
			node->file = true;
			node->size = node->layer_size;
			memcpy(node->print, node->layer_print, VN_PRINT_SIZE);
			d->files++;
		}
	}
	for (size_t i = 0; i < d->cap; i++) {
		d->nodes[i].hides |= d->nodes[i].layer_hides;
		d->nodes[i].layer_hides = 0;
		d->nodes[i].layer_file = false;
	}
	return 0;
}

int vn_deep_open(const struct vn_incoming *in, struct vn_deep *ret, struct vn_err *err)
{
	uint8_t key[VN_PRINT_KEY];
	VN_AUTO(vn_deep) d = { 0 };
	int rc = vn_random(key, sizeof(key), err);
	if (rc == 0)
		rc = vn_printer_open(key, &d.printer, err);
	for (size_t i = in->image->nlayers; rc == 0 && i-- > in->present;)
		rc = take_layer(&d, in->image, i, err);
	if (rc < 0)
		return rc;
	*ret = d;
	d = (struct vn_deep){ 0 };
	return 0;
}

void vn_deep_release(struct vn_deep *d)
{
	free(d->nodes);
	vn_arena_release(&d->arena);
	vn_printer_close(d->printer);
	memset(d, 0, sizeof(*d));
}

void vn_deep_except(struct vn_deep *d, const char *path)
{
	struct vn_deep_node *node = find(d, path, strlen(path));
	if (node)
		node->file = false;
}

/* ---- the engine's */
static int differs(const struct vn_deep_node *node, const char *how, struct vn_err *err)
{
	return vn_fail(err, VN_EDIGEST, "the engine's copy of /%.500s %s", node->path, how);
}

static int compare(struct vn_deep_node *node, uint64_t size, const uint8_t *print, struct vn_err *err)
{
	if (size != node->size)
		return vn_fail(err, VN_EDIGEST, "the engine's copy of /%.500s has %llu bytes instead of %llu", node->path,
			       (unsigned long long)size, (unsigned long long)node->size);
	if (memcmp(print, node->print, VN_PRINT_SIZE))
		return differs(node, "has other contents", err);
	node->same = true;
	return 0;
}

static int compare_fd(struct vn_deep *d, struct vn_deep_node *node, int fd, char *block, struct vn_err *err)
{
	uint8_t print[VN_PRINT_SIZE];
	uint64_t size = 0;
	for (;;) {
		ssize_t n = pread(fd, block, BLOCK, (off_t)size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vn_fail_sys(err, VN_EIO, "cannot read the engine's copy of /%.500s", node->path);
		if (n == 0)
			break;
		int rc = vn_printer_add(d->printer, block, (size_t)n, err);
		if (rc < 0)
			return rc;
		size += (uint64_t)n;
	}
	int rc = vn_printer_end(d->printer, print, err);
	return rc < 0 ? rc : compare(node, size, print, err);
}

int vn_deep_tree(struct vn_deep *d, int root, struct vn_err *err)
{
	VN_AUTO_FREE char *block = malloc(BLOCK);
	int rc = block ? 0 : vn_nomem(err);
	for (size_t i = 0; rc == 0 && i < d->cap; i++) {
		struct vn_deep_node *node = &d->nodes[i];
		VN_AUTO_CLOSE int fd = -1;
		uint64_t size;
		if (!node->path || !node->file || node->same)
			continue;
		rc = vn_rooted_open(root, node->path, &fd, &size, err);
		if (rc == -VN_ENOTFOUND)
			rc = differs(node, "is missing", err);
		if (rc == 0)
			rc = compare_fd(d, node, fd, block, err);
	}
	return rc;
}

int vn_deep_tar(struct vn_deep *d, struct vn_in *in, const char *what, struct vn_err *err)
{
	const struct vn_tar_entry *e;
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	int rc = vn_tar_open(in, what, &tar, err), more = 0;
	while (rc == 0 && (more = vn_tar_next(tar, &e, err)) > 0) {
		uint8_t print[VN_PRINT_SIZE];
		uint64_t size;
		struct vn_deep_node *node = find(d, e->path, strlen(e->path));
		if (!node || !node->file)
			continue;
		if (e->type == VN_FILE) {
			rc = print_entry(d, tar, &size, print, err);
			if (rc == 0)
				rc = compare(node, size, print, err);
		} else if (e->type == VN_HARDLINK) {
			const struct vn_deep_node *to = find(d, e->link, strlen(e->link));
			if (to && to->same)
				rc = compare(node, to->size, to->print, err);
		}
	}
	return rc < 0 ? rc : more;
}

int vn_deep_rest(struct vn_deep *d, struct vn_engine *e, const struct vn_digest *image, const char *scratch, struct vn_err *err)
{
	VN_AUTO_FREE char *block = malloc(BLOCK);
	int rc = block ? 0 : vn_nomem(err);
	for (size_t i = 0; rc == 0 && i < d->cap; i++) {
		struct vn_deep_node *node = &d->nodes[i];
		VN_AUTO_CLOSE int fd = -1;
		uint64_t end;
		if (!node->path || !node->file || node->same)
			continue;
		rc = vn_scratch_file(scratch, &fd, err);
		if (rc == 0)
			rc = e->ops->files(e, image, &node->path, 1, fd, 0, NULL, &end, err);
		if (rc == -VN_ENOTFOUND)
			rc = differs(node, "is missing", err);
		if (rc == 0)
			rc = compare_fd(d, node, fd, block, err);
	}
	return rc;
}
