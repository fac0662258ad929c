#include "image/source.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The digest of `bytes` by the algorithm of `like`. */
static int digest_alike(const struct vn_buf *bytes, const struct vn_digest *like, struct vn_digest *ret, struct vn_err *err)
{
	struct vn_hash *hash = NULL;
	int rc = vn_hash_open(like->text, &hash, err);
	if (rc == 0)
		rc = vn_hash_add(hash, vn_buf_text(bytes), bytes->len, err);
	if (rc == 0)
		rc = vn_hash_end(hash, ret, err);
	vn_hash_close(hash);
	return rc;
}

int vn_source_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
		       struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_digest found;
	int rc = s->ops->manifest(s, child, &bytes, &desc, err);
	if (rc < 0)
		return rc;
	if (child && child->size >= 0 && (uint64_t)child->size != bytes.len)
		return vn_fail(err, VN_EDIGEST, "manifest %s of %s: expected %lld bytes, found %zu", child->digest.text,
			       s->ref.text, (long long)child->size, bytes.len);
	const struct vn_digest *want = child ? &child->digest : &desc.digest;
	rc = digest_alike(&bytes, want, &found, err);
	if (rc < 0)
		return rc;
	if (!vn_digest_equal(&found, want))
		return vn_fail(err, VN_EDIGEST, "manifest of %s: expected digest %s, found %s", s->ref.text, want->text,
			       found.text);
	rc = vn_buf_add(ret_bytes, vn_buf_text(&bytes), bytes.len, err);
	if (rc < 0)
		return rc;
	*ret_desc = desc;
	desc = (struct vn_desc){ 0 };
	return 0;
}

/* ---- bytes that the descriptor itself carries (image-spec descriptor.md, "data") */
struct inline_in {
	struct vn_in in;
	uint8_t *data;
	size_t len;
	bool told;
};

static ssize_t inline_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct inline_in *x = (struct inline_in *)in;
	(void)err;
	if (x->told)
		return 0;
	x->told = true;
	*ret_block = x->data;
	return (ssize_t)x->len;
}

static void inline_close(struct vn_in *in)
{
	struct inline_in *x = (struct inline_in *)in;
	free(x->data);
	free(x);
}

static const struct vn_in_ops inline_ops = { inline_next, inline_close };

static int inline_open(const char *text, struct vn_in **ret, struct vn_err *err)
{
	VN_AUTO_FREE uint8_t *data = NULL;
	size_t len = 0;
	int rc = vn_base64_decode(text, &data, &len, err);
	if (rc < 0)
		return vn_wrap(err, "member `data` of a descriptor");
	struct inline_in *x = calloc(1, sizeof(*x));
	if (!x)
		return vn_nomem(err);
	x->in.ops = &inline_ops;
	x->data = vn_steal(data);
	x->len = len;
	*ret = &x->in;
	return 0;
}

/* ---- a verified stream whose bytes stay in the cache once the end was reached */
struct keep_in {
	struct vn_in in;
	struct vn_in *inner;
	struct vn_cache *cache;
	struct vn_tmp tmp;
	struct vn_digest key;
	bool failed, ended;
};

static ssize_t keep_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct keep_in *k = (struct keep_in *)in;
	ssize_t n = vn_in_next(k->inner, ret_block, err);
	if (n == 0 && !k->ended) {
		struct vn_err ignored = { 0 };
		k->ended = true;
		if (!k->failed)
			vn_cache_commit(k->cache, "blob", k->key.text, &k->tmp, &ignored);
		vn_tmp_release(&k->tmp);
		k->tmp = (struct vn_tmp)VN_TMP;
	}
	return n;
}

static void keep_close(struct vn_in *in)
{
	struct keep_in *k = (struct keep_in *)in;
	vn_in_close(k->inner);
	vn_tmp_release(&k->tmp);
	free(k);
}

static const struct vn_in_ops keep_ops = { keep_next, keep_close };

/* Owns `inner` (verified). When nothing can be kept, *ret is `inner` itself. */
static int keep_open(struct vn_in *inner, struct vn_cache *cache, const struct vn_desc *desc, const struct vn_events *events,
		     struct vn_in **ret, struct vn_err *err)
{
	struct keep_in *k = calloc(1, sizeof(*k));
	if (!k) {
		vn_in_close(inner);
		return vn_nomem(err);
	}
	k->tmp = (struct vn_tmp)VN_TMP;
	int rc = vn_cache_begin(cache, "blob", &k->tmp, err);
	if (rc < 0 || k->tmp.fd < 0) {
		vn_tmp_release(&k->tmp);
		free(k);
		if (rc < 0) {
			vn_in_close(inner);
			return rc;
		}
		*ret = inner;
		return 0;
	}
	rc = vn_in_tee(inner, k->tmp.fd, "the cache", events, &k->failed, &k->inner, err);
	if (rc < 0) {
		vn_tmp_release(&k->tmp);
		free(k);
		return rc;
	}
	k->in.ops = &keep_ops;
	k->cache = cache;
	k->key = desc->digest;
	*ret = &k->in;
	return 0;
}

/* ---- a kept file: when it turns out to be damaged it goes, so that the next run fetches it again */
struct cached_in {
	struct vn_in in;
	struct vn_in *inner;
	struct vn_cache *cache;
	struct vn_digest key;
};

static ssize_t cached_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct cached_in *c = (struct cached_in *)in;
	ssize_t n = vn_in_next(c->inner, ret_block, err);
	if (n != -VN_EDIGEST && n != -VN_EIO)
		return n;
	vn_cache_drop(c->cache, "blob", c->key.text);
	vn_fail(err, VN_ENETWORK, "the cached copy of %s is damaged; it was removed from the cache", c->key.text);
	return vn_hint(err, "run the command again: the blob will be fetched anew");
}

static void cached_close(struct vn_in *in)
{
	struct cached_in *c = (struct cached_in *)in;
	vn_in_close(c->inner);
	free(c);
}

static const struct vn_in_ops cached_ops = { cached_next, cached_close };

/* Small files are read once before they are trusted, so that a damaged one is simply fetched again; of large ones the reader learns
 * it at the end. */
#define CHECKED_FIRST (8 << 20)

static bool is_damaged(int fd, const struct vn_desc *desc)
{
	struct vn_err why = { 0 };
	VN_AUTO_IN *in = NULL;
	const void *block;
	ssize_t n = 1;
	int rc = vn_in_slice(fd, 0, (uint64_t)desc->size, "a kept file", &in, &why);
	if (rc == 0)
		rc = vn_in_verify(vn_steal(in), &desc->digest, desc->size, "a kept file", &in, &why);
	while (rc == 0 && n > 0)
		n = vn_in_next(in, &block, &why);
	return rc < 0 || n < 0;
}

/* *ret stays NULL when the cache does not have it. */
static int cached_open(struct vn_cache *cache, const struct vn_desc *desc, const char *what, struct vn_in **ret,
		       struct vn_err *err)
{
	struct stat st;
	VN_AUTO_CLOSE int fd = vn_cache_get(cache, "blob", desc->digest.text);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0 || (desc->size >= 0 && st.st_size != desc->size)) {
		vn_cache_drop(cache, "blob", desc->digest.text);
		return 0;
	}
	if (desc->size >= 0 && desc->size <= CHECKED_FIRST && is_damaged(fd, desc)) {
		vn_cache_drop(cache, "blob", desc->digest.text);
		return 0;
	}
	struct cached_in *c = calloc(1, sizeof(*c));
	if (!c)
		return vn_nomem(err);
	VN_AUTO_IN *file = NULL;
	int rc = vn_in_fd(fd, what, &file, err);
	fd = -1;
	if (rc == 0)
		rc = vn_in_verify(vn_steal(file), &desc->digest, desc->size, what, &c->inner, err);
	if (rc < 0) {
		free(c);
		return rc;
	}
	c->in.ops = &cached_ops;
	c->cache = cache;
	c->key = desc->digest;
	*ret = &c->in;
	return 0;
}

static int fetched_open(struct vn_source *s, const struct vn_desc *desc, struct vn_cache *cache, const char *what,
			struct vn_in **ret, struct vn_err *err)
{
	struct vn_in *in = NULL;
	int rc = s->ops->blob(s, desc, &in, err);
	if (rc == 0 && s->ops->remote && s->events)
		rc = vn_in_meter(in, what, desc->size > 0 ? (uint64_t)desc->size : 0, s->events, &in, err);
	if (rc == 0)
		rc = vn_in_verify(in, &desc->digest, desc->size, what, &in, err);
	if (rc == 0 && s->ops->remote && cache)
		rc = keep_open(in, cache, desc, s->events, &in, err);
	if (rc < 0)
		return rc;
	*ret = in;
	return 0;
}

int vn_source_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_cache *cache, const char *what,
		   struct vn_in **ret, struct vn_err *err)
{
	const char *data = NULL;
	struct vn_in *in = NULL;
	int rc = 0;
	if (desc->size >= 0 && (uint64_t)desc->size > VN_MAX_BLOB)
		return vn_fail(err, VN_ELIMIT, "%s: blob %s has %lld bytes, more than %llu", what, desc->digest.text,
			       (long long)desc->size, (unsigned long long)VN_MAX_BLOB);
	if (desc->json) {
		struct vn_jv root = vn_jv_root(desc->json, what);
		rc = vn_jv_opt_text(&root, "data", &data, err);
		if (rc < 0)
			return rc;
	}
	if (data) {
		rc = inline_open(data, &in, err);
		if (rc == 0)
			rc = vn_in_verify(in, &desc->digest, desc->size, what, &in, err);
	} else {
		if (cache && s->ops->remote)
			rc = cached_open(cache, desc, what, &in, err);
		if (rc == 0 && in)
			vn_debug(s->events, "%s: %s is in the cache", what, desc->digest.text);
		if (rc == 0 && !in)
			rc = fetched_open(s, desc, cache, what, &in, err);
	}
	if (rc < 0)
		return rc;
	*ret = in;
	return 0;
}

int vn_source_beside(struct vn_source *s, const char *tag, struct vn_source **ret, struct vn_err *err)
{
	if (!s->ops->beside)
		return vn_fail(err, VN_ENOTFOUND, "there is nothing beside %s", s->ref.text);
	return s->ops->beside(s, tag, ret, err);
}

void vn_source_close(struct vn_source *s)
{
	if (s)
		s->ops->close(s);
}
