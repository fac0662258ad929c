#include "layer/index.h"
#include "layer/index_format.h"
#include "stream/out.h"
#include "tar/whiteout.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/path.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Records lie behind each other in `arena` in tar order; `at` holds their offsets and is what gets sorted. */
struct builder {
	const char *name;
	struct vn_printer *printer, *bare;
	const struct vn_gathering *gather;   /* NULL: nothing is */
	struct vn_gatherer *gatherer;
	char *arena;
	size_t arena_len, arena_cap;
	uint64_t *at;
	size_t n, at_cap;
	struct vn_buf facts, scratch, path;
	uint64_t plain_size, weight;
	bool links;                  /* some record is a hard link yet to be resolved */
};

static void builder_release(struct builder *b)
{
	vn_printer_close(b->printer);
	vn_printer_close(b->bare);
	if (b->gather)
		b->gather->close(b->gatherer);
	free(b->arena);
	free(b->at);
	vn_buf_release(&b->facts);
	vn_buf_release(&b->scratch);
	vn_buf_release(&b->path);
}

static inline char *path_at(const struct builder *b, size_t i)
{
	return vn_record_path(b->arena + b->at[i]);
}

/* Kind and flags stand right behind the path. */
static inline char *kind_at(const struct builder *b, size_t i)
{
	char *path = path_at(b, i);
	return path + strlen(path) + 1;
}

static int add_record(struct builder *b, const struct vn_entry *e, struct vn_err *err)
{
	vn_buf_clear(&b->scratch);
	int r = vn_record_encode(e, &b->scratch, err);
	if (r == 0)
		r = vn_grow(&b->arena, &b->arena_cap, b->arena_len + b->scratch.len, 1, err);
	if (r == 0)
		r = vn_grow(&b->at, &b->at_cap, b->n + 1, sizeof(*b->at), err);
	if (r < 0)
		return r;
	memcpy(b->arena + b->arena_len, b->scratch.data, b->scratch.len);
	b->at[b->n++] = b->arena_len;
	b->weight += vn_entry_weight(e->size);
	b->arena_len += b->scratch.len;
	return 0;
}

/* Where the four bytes of the source's time stand in Python bytecode: PEP 552 (3.7 on) at 8 when the flags are 0, before that at
 * 4; 0 when there is none. */
static size_t stamp_offset(const uint8_t head[16])
{
	unsigned magic = head[0] | (unsigned)head[1] << 8;
	if (head[2] != '\r' || head[3] != '\n')
		return 0;
	if (magic >= 3390 && magic < 20000)
		return vn_get_u32(head + 4) == 0 ? 8 : 0;
	return 4;
}

static bool is_bytecode(const char *path)
{
	size_t n = strlen(path);
	return n > 4 && (!strcmp(path + n - 4, ".pyc") || !strcmp(path + n - 4, ".pyo"));
}

/* What looks at one file's contents while they pass. The first bytes are collected before anything is decided by them: blocks end
 * where the stream's buffers do. */
struct look {
	uint8_t head[64];
	size_t head_len;
	bool started, bytecode, wanted;
};

static int pass_on(struct builder *b, const struct look *look, const struct vn_entry *e, const void *data, size_t len,
		   struct vn_err *err)
{
	int r = look->wanted ? b->gather->add(b->gatherer, data, len, err) : 0;
	if (r == 0 && e->flags & VN_ENTRY_STAMPED)
		r = vn_printer_add(b->bare, data, len, err);
	return r;
}

static int start(struct builder *b, struct look *look, struct vn_entry *e, struct vn_err *err)
{
	look->started = true;
	int r = 0;
	if (b->gather)
		r = b->gather->begin(b->gatherer, e->path, e->size, look->head, look->head_len, &look->wanted, err);
	size_t stamp = look->bytecode && look->head_len >= 16 ? stamp_offset(look->head) : 0;
	if (r == 0 && look->wanted)
		r = b->gather->add(b->gatherer, look->head, look->head_len, err);
	if (r < 0 || !stamp)
		return r;
	e->flags |= VN_ENTRY_STAMPED;
	memset(look->head + stamp, 0, 4);
	return vn_printer_add(b->bare, look->head, look->head_len, err);
}

static int look_at(struct builder *b, struct look *look, struct vn_entry *e, const uint8_t *data, size_t len, struct vn_err *err)
{
	if (!look->started) {
		size_t room = sizeof(look->head) - look->head_len, n = len < room ? len : room;
		memcpy(look->head + look->head_len, data, n);
		look->head_len += n;
		data += n;
		len -= n;
		if (look->head_len < sizeof(look->head))
			return 0;
		int r = start(b, look, e, err);
		if (r < 0)
			return r;
	}
	return len ? pass_on(b, look, e, data, len, err) : 0;
}

/* Read a file's contents: fingerprints, and facts where somebody wants to know more. */
static int take_contents(struct builder *b, struct vn_tar *tar, struct vn_entry *e, struct vn_err *err)
{
	struct look look = { .bytecode = is_bytecode(e->path) };
	const void *block;
	ssize_t n;
	int r = 0;
	while (r == 0 && (n = vn_tar_data(tar, &block, err)) != 0) {
		if (n < 0)
			return (int)n;
		r = vn_printer_add(b->printer, block, (size_t)n, err);
		if (r == 0)
			r = look_at(b, &look, e, block, (size_t)n, err);
	}
	if (r == 0 && !look.started && look.head_len)
		r = start(b, &look, e, err);
	if (r == 0)
		r = vn_printer_end(b->printer, e->print, err);
	if (r == 0 && e->flags & VN_ENTRY_STAMPED)
		r = vn_printer_end(b->bare, e->bare, err);
	if (r == 0 && look.wanted) {
		e->facts_at = b->facts.len;
		r = b->gather->end(b->gatherer, &b->facts, err);
		e->facts_len = (uint32_t)(b->facts.len - e->facts_at);
		if (e->facts_len)
			e->flags |= VN_ENTRY_FACTS;
	}
	return r;
}

static int add_whiteout(struct builder *b, const char *path, bool *ret_done, struct vn_err *err)
{
	enum vn_whiteout how;
	int r = vn_whiteout_of(path, b->name, &b->path, &how, err);
	if (r < 0)
		return r;
	*ret_done = how != VN_WHITEOUT_NO;
	if (how != VN_WHITEOUT_PATH && how != VN_WHITEOUT_OPAQUE)
		return 0;
	struct vn_entry e = { .path = vn_buf_text(&b->path), .flags = VN_ENTRY_HIDES,
			      .kind = how == VN_WHITEOUT_OPAQUE ? VN_KIND_OPAQUE : VN_KIND_WHITEOUT };
	return add_record(b, &e, err);
}

static int encode_xattrs(const struct vn_tar_entry *t, struct vn_buf *out, struct vn_err *err)
{
	uint8_t num[10];
	int r = 0;
	vn_buf_clear(out);
	for (size_t i = 0; r == 0 && i < t->nxattrs; i++) {
		size_t len = strlen(t->xattrs[i].name);
		r = vn_buf_add(out, num, vn_put_varint(num, len), err);
		if (r == 0)
			r = vn_buf_add(out, t->xattrs[i].name, len + 1, err);
		if (r == 0)
			r = vn_buf_add(out, num, vn_put_varint(num, t->xattrs[i].len), err);
		if (r == 0)
			r = vn_buf_add(out, t->xattrs[i].value, t->xattrs[i].len, err);
	}
	return r;
}

static int add_entry(struct builder *b, struct vn_tar *tar, const struct vn_tar_entry *t, struct vn_err *err)
{
	static const char kinds[] = { [VN_FILE] = '-', [VN_DIR] = 'd', [VN_SYMLINK] = 'l', [VN_HARDLINK] = VN_KIND_LOWER,
				      [VN_CHAR] = 'c', [VN_BLOCK] = 'b', [VN_FIFO] = 'p' };
	bool done;
	int r = add_whiteout(b, t->path, &done, err);
	if (r < 0 || done)
		return r;
	/* the tar entry's texts go with the next call that reads contents */
	VN_AUTO_FREE char *path = strdup(t->path);
	VN_AUTO(vn_buf) xattrs = VN_BUF(2 * VN_MAX_XATTRS);
	if (!path)
		return vn_nomem(err);
	r = encode_xattrs(t, &xattrs, err);
	if (r < 0)
		return r;
	struct vn_entry e = { .path = path, .kind = kinds[t->type], .mode = t->mode, .uid = t->uid, .gid = t->gid,
			      .size = t->type == VN_FILE ? t->size : 0, .mtime = t->mtime, .nsec = t->mtime_nsec,
			      .major = t->dev_major, .minor = t->dev_minor, .link = t->link,
			      .xattrs = (uint8_t *)xattrs.data, .xattrs_len = xattrs.len };
	if (!e.path[0] && t->type != VN_DIR)
		return vn_fail(err, VN_EUNSAFE, "%s: an entry that is no directory is named \"/\"", b->name);
	e.flags = (uint8_t)((t->link ? VN_ENTRY_LINK : 0) | (xattrs.len ? VN_ENTRY_XATTRS : 0));
	if (t->type == VN_FILE)
		r = take_contents(b, tar, &e, err);
	if (r == 0 && t->type == VN_HARDLINK)
		b->links = true;
	return r < 0 ? r : add_record(b, &e, err);
}

static int compare_records(const void *x, const void *y, void *arena)
{
	const uint64_t *a = x, *b = y;
	int order = vn_path_cmp(vn_record_path((char *)arena + *a), vn_record_path((char *)arena + *b));
	return order ? order : (*a > *b) - (*a < *b);       /* tar order among equals */
}

/* One record for each path: the last that describes it, with the marks of all. */
static void drop_repeats(struct builder *b)
{
	size_t out = 0;
	for (size_t i = 0, next; i < b->n; i = next) {
		size_t keep = i;
		char hides = 0;
		for (next = i; next < b->n && !strcmp(path_at(b, i), path_at(b, next)); next++) {
			char *kind = kind_at(b, next);
			hides |= kind[1] & VN_ENTRY_HIDES;
			if (kind[0] != VN_KIND_WHITEOUT && kind[0] != VN_KIND_OPAQUE)
				keep = next;
			else if (kind_at(b, keep)[0] == VN_KIND_WHITEOUT)
				keep = next;
		}
		kind_at(b, keep)[1] |= hides;
		b->at[out++] = b->at[keep];
	}
	b->n = out;
}

static bool is_mark(char kind)
{
	return kind == VN_KIND_WHITEOUT || kind == VN_KIND_OPAQUE;
}

/* Marks below a path that is no directory any more in this layer: umoci writes them for what a file or link replaced. They hide
 * nothing that the path itself does not. */
static void drop_idle_marks(struct builder *b)
{
	const char *leaf = NULL;
	size_t out = 0;
	for (size_t i = 0; i < b->n; i++) {
		char kind = kind_at(b, i)[0];
		const char *path = path_at(b, i);
		if (leaf && is_mark(kind) && strcmp(path, leaf) && vn_path_below(path, leaf))
			continue;
		if (kind != 'd' && !is_mark(kind))
			leaf = path;
		b->at[out++] = b->at[i];
	}
	b->n = out;
}

static size_t find(const struct builder *b, const char *path)
{
	size_t low = 0, high = b->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = vn_path_cmp(path_at(b, mid), path);
		if (order == 0)
			return mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return b->n;
}

/* The record that holds the contents of a hard link, following links to links; n when it is in a lower layer. */
static int resolve(const struct builder *b, size_t i, size_t *ret, struct vn_err *err)
{
	struct vn_entry e;
	for (int hops = 0; hops < 64; hops++) {
		int r = vn_record_decode(b->arena + b->at[i], b->arena_len - b->at[i], &e, NULL, b->name, err);
		if (r < 0)
			return r;
		if (e.kind != VN_KIND_LOWER) {
			if (e.kind == 'd' || e.kind == VN_KIND_WHITEOUT || e.kind == VN_KIND_OPAQUE)
				return vn_fail(err, VN_EUNSAFE, "%s: a hard link points to \"%s\", which is no file", b->name, e.path);
			*ret = i;
			return 0;
		}
		i = find(b, e.link);
		if (i == b->n) {
			*ret = b->n;
			return 0;
		}
	}
	return vn_fail(err, VN_EUNSAFE, "%s: hard links point at each other in a circle", b->name);
}

static int order_u64(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
	return (a > b) - (a < b);
}

/* The positions that hard links of this layer resolve to, sorted. */
static int link_targets(const struct builder *b, uint64_t **ret, size_t *ret_n, struct vn_err *err)
{
	VN_AUTO_FREE uint64_t *targets = NULL;
	size_t n = 0, cap = 0, target;
	for (size_t i = 0; b->links && i < b->n; i++) {
		if (kind_at(b, i)[0] != VN_KIND_LOWER)
			continue;
		int r = resolve(b, i, &target, err);
		if (r == 0 && target < b->n)
			r = vn_grow(&targets, &cap, n + 1, sizeof(*targets), err);
		if (r < 0)
			return r;
		if (target < b->n)
			targets[n++] = target;
	}
	if (n)
		qsort(targets, n, sizeof(*targets), order_u64);
	*ret = vn_steal(targets);
	*ret_n = n;
	return 0;
}

/* Appends to scratch. */
static int write_record(struct builder *b, size_t i, const uint64_t *targets, size_t ntargets, struct vn_err *err)
{
	struct vn_entry e, to;
	size_t target = b->n;
	uint64_t self = i;
	int r = vn_record_decode(b->arena + b->at[i], b->arena_len - b->at[i], &e, NULL, b->name, err);
	if (r == 0 && e.kind == VN_KIND_LOWER)
		r = resolve(b, i, &target, err);
	if (r < 0)
		return r;
	if (target < b->n) {
		r = vn_record_decode(b->arena + b->at[target], b->arena_len - b->at[target], &to, NULL, b->name, err);
		if (r < 0)
			return r;
		to.path = e.path;
		to.flags |= e.flags & VN_ENTRY_HIDES;
		e = to;
		e.group = target + 1;
	} else if (ntargets && bsearch(&self, targets, ntargets, sizeof(*targets), order_u64)) {
		e.group = i + 1;
	}
	return vn_record_encode(&e, &b->scratch, err);
}

static int flush_records(struct builder *b, struct vn_out *out, uint64_t *at, struct vn_err *err)
{
	int r = b->scratch.len ? vn_out_write(out, b->scratch.data, b->scratch.len, err) : 0;
	*at += b->scratch.len;
	vn_buf_clear(&b->scratch);
	return r;
}

/* Nothing may lie below what is no directory: an engine would write through the link. */
static int check_parent(const struct builder *b, size_t i, size_t *last_leaf, struct vn_err *err)
{
	const char *path = path_at(b, i);
	if (*last_leaf < b->n && vn_path_below(path, path_at(b, *last_leaf)))
		return vn_fail(err, VN_EUNSAFE, "%s: \"%s\" lies below \"%s\", which is %s", b->name, path, path_at(b, *last_leaf),
			       kind_at(b, *last_leaf)[0] == 'l' ? "a symbolic link" : "no directory");
	char kind = kind_at(b, i)[0];
	if (kind != 'd' && kind != VN_KIND_WHITEOUT && kind != VN_KIND_OPAQUE)
		*last_leaf = i;
	return 0;
}

static int write_index(struct builder *b, int fd, const uint8_t key[VN_PRINT_KEY], struct vn_err *err)
{
	VN_AUTO_OUT *file = NULL;
	VN_AUTO_FREE uint64_t *targets = NULL;
	size_t ntargets = 0, last_leaf = b->n;
	uint8_t head[VN_INDEX_HEAD];
	uint64_t at = sizeof(head);
	int r = vn_out_fd(fd, "the index of a layer", &file, err);
	if (r == 0)
		r = link_targets(b, &targets, &ntargets, err);
	memset(head, 0, sizeof(head));
	vn_buf_clear(&b->scratch);
	if (r == 0)
		r = vn_out_write(file, head, sizeof(head), err);
	for (size_t i = 0; r == 0 && i < b->n; i++) {
		r = check_parent(b, i, &last_leaf, err);
		if (r == 0)
			r = write_record(b, i, targets, ntargets, err);
		if (r == 0 && b->scratch.len >= 64u << 10)
			r = flush_records(b, file, &at, err);
	}
	if (r == 0)
		r = flush_records(b, file, &at, err);
	if (r == 0 && b->facts.len)
		r = vn_out_write(file, b->facts.data, b->facts.len, err);
	if (r == 0)
		r = vn_out_finish(file, err);
	if (r < 0)
		return r;
	vn_index_head(head, b->n, b->plain_size, at, b->weight);
	if (pwrite(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return vn_fail_sys(err, VN_EIO, "cannot write the index of a layer");
	r = vn_index_seal(fd, key, head + VN_INDEX_SEAL, err);
	if (r == 0 && pwrite(fd, head + VN_INDEX_SEAL, VN_PRINT_SIZE, VN_INDEX_SEAL) != VN_PRINT_SIZE)
		return vn_fail_sys(err, VN_EIO, "cannot write the index of a layer");
	return r;
}

/* Counts the plain bytes that pass. */
struct counter {
	struct vn_in in;
	struct vn_in *inner;
	uint64_t *count;
};

static ssize_t counter_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct counter *c = (struct counter *)in;
	ssize_t n = vn_in_next(c->inner, ret_block, err);
	if (n > 0)
		*c->count += (uint64_t)n;
	return n;
}

static void counter_close(struct vn_in *in)
{
	struct counter *c = (struct counter *)in;
	vn_in_close(c->inner);
	free(c);
}

static int count(struct vn_in *inner, uint64_t *total, struct vn_in **ret, struct vn_err *err)
{
	static const struct vn_in_ops ops = { counter_next, counter_close };
	struct counter *c = calloc(1, sizeof(*c));
	if (!c) {
		vn_in_close(inner);
		return vn_nomem(err);
	}
	c->in.ops = &ops;
	c->inner = inner;
	c->count = total;
	*ret = &c->in;
	return 0;
}

int vn_layer_index_build(struct vn_in *in, const char *name, const struct vn_index_options *options, int fd, struct vn_err *err)
{
	VN_CLEANUP(builder_release) struct builder b = { .name = name, .gather = options->gather, .facts = VN_BUF(VN_MAX_FACTS),
							 .scratch = VN_BUF(4 * VN_MAX_XATTRS), .path = VN_BUF(2 * VN_MAX_PATH) };
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	const struct vn_tar_entry *entry;
	struct vn_in *counted = NULL;
	int r = count(in, &b.plain_size, &counted, err);
	if (r < 0)
		return r;
	r = vn_tar_open(counted, name, &tar, err);
	if (r == 0)
		r = vn_printer_open(options->key, &b.printer, err);
	if (r == 0)
		r = vn_printer_open(options->key, &b.bare, err);
	if (r == 0 && b.gather)
		r = b.gather->open(name, options->events, &b.gatherer, err);
	while (r == 0 && (r = vn_tar_next(tar, &entry, err)) > 0)
		r = add_entry(&b, tar, entry, err);
	if (r < 0)
		return r;
	if (b.n)
		qsort_r(b.at, b.n, sizeof(*b.at), compare_records, b.arena);
	drop_repeats(&b);
	drop_idle_marks(&b);
	return write_index(&b, fd, options->key, err);
}
