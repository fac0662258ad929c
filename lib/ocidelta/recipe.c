#include "ocidelta/recipe.h"
#include "util/cleanup.h"
#include <string.h>

#define NEW_LEVEL 6                  /* of a layer that is packed anew */
#define FLAGS_AT 3                   /* in a gzip header (RFC 1952, 2.3), and what says how hard it was tried */
#define TRIED_AT 8

/* Compares what is written with a stream; the first difference ends it. */
struct same_out {
	struct vn_out out;
	struct vn_in *in;
	bool differs;
};

static int same_write(struct vn_out *out, const void *data, size_t len, struct vn_err *err)
{
	struct same_out *s = (struct same_out *)out;
	char block[16384];
	for (const char *p = data; len;) {
		size_t want = len < sizeof(block) ? len : sizeof(block);
		ssize_t n = vn_in_read(s->in, block, want, err);
		if (n < 0)
			return (int)n;
		if (n == 0 || memcmp(block, p, (size_t)n)) {
			s->differs = true;
			return vn_fail(err, VN_EDIGEST, "the blob differs");
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int same_finish(struct vn_out *out, struct vn_err *err)
{
	struct same_out *s = (struct same_out *)out;
	char more;
	ssize_t n = vn_in_read(s->in, &more, 1, err);
	s->differs = n > 0;
	return n < 0 ? (int)n : n > 0 ? vn_fail(err, VN_EDIGEST, "the blob is longer") : 0;
}

static void same_close(struct vn_out *out)
{
	(void)out;                   /* lives with its user */
}

static const struct vn_out_ops same_ops = { same_write, same_finish, same_close };

static int blob_of(const struct vn_image *image, size_t layer, struct vn_in **ret, struct vn_err *err)
{
	char name[512];
	return vn_source_blob(image->source, &image->layers[layer].desc, image->cache, vn_image_layer_name(image, layer, name), ret,
			      err);
}

struct trial {
	const struct vn_image *image;
	size_t layer;
	int fd;
	uint64_t at, len;
};

static int try(const struct trial *t, const struct vn_gzip_like *like, bool *ret_same, struct vn_err *ret_err)
{
	struct vn_err ours = { 0 }, *err = &ours;
	struct same_out same = { .out = { &same_ops } };      /* outlives what is above it */
	VN_AUTO_IN *blob = NULL, *tar = NULL;
	VN_AUTO_OUT *gzip = NULL;
	int r = blob_of(t->image, t->layer, &blob, err);
	same.in = blob;
	if (r == 0)
		r = vn_in_slice(t->fd, t->at, t->len, "a temporary file", &tar, err);
	if (r == 0)
		r = vn_out_gzip_like(&same.out, like, &gzip, err);
	if (r == 0)
		r = vn_copy(tar, gzip, NULL, err);
	if (r == 0)
		r = vn_out_finish(gzip, err);
	*ret_same = r == 0;
	if (r == 0 || same.differs)
		return 0;
	*ret_err = ours;
	return r;
}

static int find_gzip(const struct trial *t, const uint8_t head[VN_GZIP_HEAD], struct vn_bundle_layer *ret, struct vn_err *err)
{
	static const uint8_t usual[] = { 6, 9, 1, 5, 4, 7, 8, 3, 2 }, tried_hard[] = { 9, 6, 8, 7, 5, 4, 3, 2, 1 };
	const uint8_t *levels = head[TRIED_AT] == 2 ? tried_hard : usual;
	struct vn_gzip_like own, like = { .mem_level = 0 };
	memcpy(like.head, head, VN_GZIP_HEAD);
	if (head[FLAGS_AT])
		return 0;
	for (int mem = 8; mem <= 9; mem++)
		for (int i = 0; i < 9; i++) {
			bool same = false;
			like.level = levels[i];
			like.mem_level = mem;
			int r = try(t, &like, &same, err);
			if (r < 0)
				return r;
			if (!same)
				continue;
			vn_gzip_own(like.level, &own);
			ret->how = mem == 8 && !memcmp(own.head, head, VN_GZIP_HEAD) ? VN_BUNDLE_GZIP : VN_BUNDLE_GZIP_AS;
			ret->gzip = like;
			return 0;
		}
	return 0;
}

int vn_recipe_find(const struct vn_image *image, size_t layer, int fd, uint64_t at, uint64_t len, struct vn_bundle_layer *ret,
		   struct vn_err *err)
{
	struct trial t = { image, layer, fd, at, len };
	uint8_t head[VN_GZIP_HEAD] = { 0 };
	VN_AUTO_IN *in = NULL;
	size_t have = 0;
	ssize_t n = 1;
	ret->how = VN_BUNDLE_UNKNOWN;
	if (vn_digest_equal(&image->layers[layer].desc.digest, &image->layers[layer].diff_id)) {
		ret->how = VN_BUNDLE_PLAIN;
		return 0;
	}
	int r = blob_of(image, layer, &in, err);
	while (r == 0 && have < sizeof(head) && (n = vn_in_read(in, head + have, sizeof(head) - have, err)) > 0)
		have += (size_t)n;
	if (r < 0 || n < 0)
		return r < 0 ? r : (int)n;
	bool gzip = have == sizeof(head) && head[0] == 0x1f && head[1] == 0x8b && head[2] == 8;
	return gzip ? find_gzip(&t, head, ret, err) : 0;
}

int vn_recipe_out(const struct vn_bundle_layer *recipe, struct vn_out *inner, struct vn_out **ret, struct vn_err *err)
{
	if (recipe->how == VN_BUNDLE_UNKNOWN)
		return vn_out_gzip(inner, NEW_LEVEL, ret, err);
	if (recipe->how != VN_BUNDLE_PLAIN)
		return vn_out_gzip_like(inner, &recipe->gzip, ret, err);
	*ret = inner;
	return 0;
}
