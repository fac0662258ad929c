#include "layer/index.h"
#include "layer/index_format.h"
#include "util/cleanup.h"
#include "util/events.h"
#include "util/limits.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW (64u << 10)

static int read_at(int fd, void *out, size_t len, uint64_t at, size_t *ret, struct vn_err *err)
{
	size_t got = 0;
	while (got < len) {
		ssize_t n = pread(fd, (char *)out + got, len - got, (off_t)(at + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vn_fail_sys(err, VN_EIO, "cannot read the index of a layer");
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret = got;
	return 0;
}

int vn_layer_index_adopt(int fd, const char *name, struct vn_layer_index *ret, struct vn_err *err)
{
	uint8_t head[VN_INDEX_HEAD];
	size_t got = 0;
	struct stat st;
	VN_AUTO_FREE char *copy = NULL;
	int r = read_at(fd, head, sizeof(head), 0, &got, err);
	if (r == 0)
		r = vn_strdup(name, &copy, err);
	if (r < 0)
		return r;
	if (got < sizeof(head) || memcmp(head, "VNIX", 4) || vn_get_u32(head + 4) != VN_INDEX_VERSION || fstat(fd, &st) < 0 ||
	    vn_get_u64(head + 24) < sizeof(head) || vn_get_u64(head + 24) > (uint64_t)st.st_size)
		return vn_fail(err, VN_EFORMAT, "the index of %s is damaged", name);
	ret->fd = fd;
	ret->name = vn_steal(copy);
	ret->records = vn_get_u64(head + 8);
	ret->plain_size = vn_get_u64(head + 16);
	ret->facts_at = vn_get_u64(head + 24);
	ret->weight = vn_get_u64(head + 32);
	return 0;
}

void vn_layer_index_release(struct vn_layer_index *x)
{
	if (x->fd >= 0)
		close(x->fd);
	free(x->name);
	*x = (struct vn_layer_index)VN_LAYER_INDEX;
}

struct vn_cursor {
	const struct vn_layer_index *x;
	uint64_t at;                 /* file offset of data[0] */
	size_t len, pos, cap;
	uint64_t left;               /* records yet to come */
	char *data;
};

int vn_cursor_open(const struct vn_layer_index *x, struct vn_cursor **ret, struct vn_err *err)
{
	struct vn_cursor *c = calloc(1, sizeof(*c));
	if (!c)
		return vn_nomem(err);
	c->x = x;
	c->at = VN_INDEX_HEAD;
	c->left = x->records;
	*ret = c;
	return 0;
}

void vn_cursor_close(struct vn_cursor *c)
{
	if (c)
		free(c->data);
	free(c);
}

/* Make at least `want` bytes available behind pos, or all there are. */
static int fill(struct vn_cursor *c, size_t want, struct vn_err *err)
{
	if (c->len - c->pos >= want)
		return 0;
	if (c->cap < want) {
		char *larger = realloc(c->data, want);
		if (!larger)
			return vn_nomem(err);
		c->data = larger;
		c->cap = want;
	}
	memmove(c->data, c->data + c->pos, c->len - c->pos);
	c->at += c->pos;
	c->len -= c->pos;
	c->pos = 0;
	uint64_t left = c->x->facts_at - (c->at + c->len);
	size_t room = c->cap - c->len, got;
	int r = read_at(c->x->fd, c->data + c->len, left < room ? (size_t)left : room, c->at + c->len, &got, err);
	if (r == 0)
		c->len += got;
	return r;
}

int vn_cursor_next(struct vn_cursor *c, struct vn_entry *ret, struct vn_err *err)
{
	size_t used;
	if (c->left == 0)
		return 0;
	/* a record is nearly always shorter than what is left of the window: look again with the longest possible only if not */
	int r = c->len - c->pos < WINDOW / 8 ? fill(c, WINDOW, err) : 0;
	if (r == 0)
		r = vn_record_decode(c->data + c->pos, c->len - c->pos, ret, &used, c->x->name, err);
	if (r == -VN_EFORMAT && fill(c, VN_RECORD_MAX, err) == 0) {
		r = vn_record_decode(c->data + c->pos, c->len - c->pos, ret, &used, c->x->name, err);
		if (r == 0)
			memset(err, 0, sizeof(*err));
	}
	if (r < 0)
		return r;
	c->pos += used;
	c->left--;
	return 1;
}

int vn_layer_index_facts(const struct vn_layer_index *x, const struct vn_entry *e, struct vn_buf *ret, struct vn_err *err)
{
	size_t got;
	vn_buf_clear(ret);
	if (!(e->flags & VN_ENTRY_FACTS))
		return 0;
	int r = vn_buf_reserve(ret, e->facts_len, err);
	if (r == 0)
		r = read_at(x->fd, ret->data, e->facts_len, x->facts_at + e->facts_at, &got, err);
	if (r < 0)
		return r;
	if (got < e->facts_len)
		return vn_fail(err, VN_EFORMAT, "the index of %s is damaged", x->name);
	ret->len = got;
	ret->data[got] = 0;
	return 0;
}

static bool is_sealed(int fd, const uint8_t key[VN_PRINT_KEY])
{
	uint8_t said[VN_PRINT_SIZE], is[VN_PRINT_SIZE];
	struct vn_err why = { 0 };
	size_t got = 0;
	return read_at(fd, said, sizeof(said), VN_INDEX_SEAL, &got, &why) == 0 && got == sizeof(said) &&
	       vn_index_seal(fd, key, is, &why) == 0 && !memcmp(said, is, sizeof(is));
}

/* Cache keys: the digest that the bytes were verified against, and nothing that a configuration merely claims. */
static int open_cached(const struct vn_image *image, size_t i, const char *name, const struct vn_index_options *o,
		       struct vn_layer_index *ret)
{
	struct vn_err why = { 0 };
	int fd = o->cache ? vn_cache_get(o->cache, "index", image->layers[i].desc.digest.text) : -1;
	if (fd < 0)
		return 0;
	if (is_sealed(fd, o->key) && vn_layer_index_adopt(fd, name, ret, &why) == 0)
		return 1;
	close(fd);
	vn_debug(o->events, "the kept index of %s is damaged or of another version: made again", name);
	vn_cache_drop(o->cache, "index", image->layers[i].desc.digest.text);
	return 0;
}

static bool is_kept(const struct vn_image *image, size_t i, const struct vn_index_options *o)
{
	int fd = o->cache ? vn_cache_get(o->cache, "blob", image->layers[i].desc.digest.text) : -1;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int make_index(const struct vn_image *image, size_t i, const char *name, const struct vn_index_options *o,
		      struct vn_layer_index *ret, struct vn_err *err)
{
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	struct vn_in *tar = NULL;
	bool keep = false;
	int r = o->cache ? vn_cache_begin(o->cache, "index", &tmp, err) : 0;
	if (r == 0) {
		keep = tmp.fd >= 0;
		if (!keep)
			r = vn_tmp_anonymous(&tmp, err);
	}
	if (r == 0)
		r = vn_image_layer_tar(image, i, o->max_plain, &tar, err);
	if (r == 0)
		r = vn_layer_index_build(tar, name, o, tmp.fd, err);
	if (r < 0)
		return r;
	int fd = dup(tmp.fd);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot keep the index of %s open", name);
	r = vn_layer_index_adopt(fd, name, ret, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return keep ? vn_cache_commit(o->cache, "index", image->layers[i].desc.digest.text, &tmp, err) : 0;
}

int vn_layer_index_open(const struct vn_image *image, size_t i, const struct vn_index_options *o, struct vn_layer_index *ret,
			struct vn_err *err)
{
	char name[512];
	vn_image_layer_name(image, i, name);
	if (open_cached(image, i, name, o, ret))
		return 0;
	bool kept = is_kept(image, i, o);
	int r = make_index(image, i, name, o, ret, err);
	/* a kept blob that turned out to be damaged is gone now: fetch it */
	if (r == -VN_ENETWORK && kept && !is_kept(image, i, o))
		r = make_index(image, i, name, o, ret, err);
	return r;
}
