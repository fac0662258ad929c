/* Size while reading, digest at the end. */
#include "stream/in.h"
#include "util/cleanup.h"
#include <string.h>

struct verify {
	struct vn_in in;
	struct vn_in *inner;
	struct vn_hash *hash;        /* NULL when only the size is known */
	struct vn_digest expected;
	int64_t size;
	uint64_t done;
	bool ended;
	struct vn_err failed;        /* said again when somebody reads on */
	char *what;
};

static int verify_end(struct verify *v, struct vn_err *err)
{
	if (v->size >= 0 && v->done != (uint64_t)v->size)
		return vn_fail(err, VN_EDIGEST, "%s: %llu bytes came where %lld were promised", v->what,
			       (unsigned long long)v->done, (long long)v->size);
	if (v->hash) {
		struct vn_digest found;
		int rc = vn_hash_end(v->hash, &found, err);
		if (rc < 0)
			return rc;
		if (!vn_digest_equal(&found, &v->expected))
			return vn_fail(err, VN_EDIGEST, "%s: the digest of what came is %s, expected %s", v->what, found.text,
				       v->expected.text);
	}
	v->ended = true;
	return 0;
}

static ssize_t verify_block(struct verify *v, const void **ret_block, struct vn_err *err)
{
	const void *block;
	ssize_t n = vn_in_next(v->inner, &block, err);
	if (n < 0)
		return n;
	if (n == 0)
		return verify_end(v, err);
	v->done += (uint64_t)n;
	if (v->size >= 0 && v->done > (uint64_t)v->size)
		return vn_fail(err, VN_EDIGEST, "%s: more than the promised %lld bytes came", v->what, (long long)v->size);
	if (v->hash) {
		int rc = vn_hash_add(v->hash, block, (size_t)n, err);
		if (rc < 0)
			return rc;
	}
	*ret_block = block;
	return n;
}

static ssize_t verify_next(struct vn_in *in, const void **ret_block, struct vn_err *err)
{
	struct verify *v = (struct verify *)in;
	if (v->failed.code) {
		*err = v->failed;
		return -(int)err->code;
	}
	if (v->ended)
		return 0;
	ssize_t n = verify_block(v, ret_block, err);
	if (n < 0)
		v->failed = *err;
	return n;
}

static void verify_close(struct vn_in *in)
{
	struct verify *v = (struct verify *)in;
	vn_in_close(v->inner);
	vn_hash_close(v->hash);
	free(v->what);
	free(v);
}

static const struct vn_in_ops verify_ops = { verify_next, verify_close };

static int open_hash(const struct vn_digest *digest, struct vn_hash **ret, struct vn_err *err)
{
	char algorithm[16] = "";
	size_t n = strcspn(digest->text, ":");
	if (n >= sizeof(algorithm))
		return vn_fail(err, VN_EFORMAT, "digest \"%s\" names no known algorithm", digest->text);
	memcpy(algorithm, digest->text, n);
	return vn_hash_open(algorithm, ret, err);
}

int vn_in_verify(struct vn_in *inner, const struct vn_digest *digest, int64_t size, const char *what, struct vn_in **ret,
		 struct vn_err *err)
{
	VN_AUTO_IN *owned = inner;
	VN_AUTO_FREE struct verify *v = calloc(1, sizeof(*v));
	VN_AUTO_FREE char *name = NULL;
	if (!v)
		return vn_nomem(err);
	int rc = vn_strdup(what ? what : "input", &name, err);
	if (rc == 0 && digest && !vn_digest_none(digest)) {
		v->expected = *digest;
		rc = open_hash(digest, &v->hash, err);
	}
	if (rc < 0)
		return rc;
	v->in.ops = &verify_ops;
	v->inner = vn_steal(owned);
	v->what = vn_steal(name);
	v->size = size;
	*ret = &vn_steal(v)->in;
	return 0;
}
