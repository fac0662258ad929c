/* What this module's tests share: a place in memory that is source and sink, and images of it made of layers. */
#ifndef VN_OCIDELTA_FIXTURE_H
#define VN_OCIDELTA_FIXTURE_H
#include "layer/fixture.h"
#include "ocidelta/ocidelta.h"

#define PLACE_BLOBS 64
struct place {
	struct {
		struct vn_digest digest;
		char *bytes;
		size_t len;
	} at[PLACE_BLOBS];
	size_t n;
	struct vn_desc root;
	int reads, puts, commits;
};
struct place_source {
	struct vn_source s;
	struct place *place;
};
struct place_sink {
	struct vn_sink k;
	struct place *place;
};

static inline size_t place_find(const struct place *p, const struct vn_digest *digest)
{
	size_t i = 0;
	while (i < p->n && !vn_digest_equal(&p->at[i].digest, digest))
		i++;
	return i;
}

static inline struct vn_digest place_add(struct place *p, const void *bytes, size_t len)
{
	struct vn_err err = { 0 };
	struct vn_digest digest = { "" };
	CHECK_OK(vn_digest_of(bytes, len, &digest, &err), &err);
	if (place_find(p, &digest) == p->n && p->n < PLACE_BLOBS) {
		p->at[p->n].digest = digest;
		p->at[p->n].bytes = malloc(len + 1);
		p->at[p->n].len = len;
		memcpy(p->at[p->n++].bytes, bytes, len);
	}
	return digest;
}

static inline void place_empty(struct place *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->at[i].bytes);
	vn_desc_release(&p->root);
	memset(p, 0, sizeof(*p));
}

static int place_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			  struct vn_err *err)
{
	struct place *p = ((struct place_source *)s)->place;
	const struct vn_desc *want = child ? child : &p->root;
	size_t i = place_find(p, &want->digest);
	if (i == p->n)
		return vn_fail(err, VN_ENOTFOUND, "no manifest");
	int r = vn_buf_add(ret_bytes, p->at[i].bytes, p->at[i].len, err);
	return r < 0 ? r : vn_desc_init(ret_desc, want->media_type, &want->digest, (int64_t)p->at[i].len, err);
}

static int place_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	struct place *p = ((struct place_source *)s)->place;
	size_t i = place_find(p, &desc->digest);
	p->reads++;
	return i == p->n ? vn_fail(err, VN_ENOTFOUND, "no blob %s", desc->digest.text) :
			   vn_in_memory(p->at[i].bytes, p->at[i].len, ret, err);
}

static void place_source_close(struct vn_source *s)
{
	vn_ref_release(&s->ref);
	free(s);
}

static inline struct vn_source *place_source(struct place *p, const char *name)
{
	static const struct vn_source_ops ops = { place_manifest, place_blob, NULL, place_source_close, false, NULL };
	struct vn_err err = { 0 };
	struct place_source *s = calloc(1, sizeof(*s));
	s->s.ops = &ops;
	s->place = p;
	CHECK_OK(vn_ref_parse(name, &s->s.ref, &err), &err);
	return &s->s;
}

static int place_has(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	const struct place *p = ((struct place_sink *)k)->place;
	(void)err;
	*ret = place_find(p, &desc->digest) < p->n;
	return 0;
}

static int place_put(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err)
{
	struct place *p = ((struct place_sink *)k)->place;
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(64u << 20);
	int r = body->open(body, &in, err);
	if (r == 0)
		r = vn_in_read_all(in, &bytes, err);
	if (r < 0)
		return r;
	p->puts++;
	CHECK_STR(place_add(p, vn_buf_text(&bytes), bytes.len).text, desc->digest.text);
	CHECK_EQ(bytes.len, desc->size);
	return 0;
}

static int place_put_manifest(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged,
			      struct vn_err *err)
{
	struct place *p = ((struct place_sink *)k)->place;
	CHECK_STR(place_add(p, bytes, len).text, desc->digest.text);
	vn_desc_release(&p->root);
	return tagged ? vn_desc_copy(desc, &p->root, err) : 0;
}

static int place_commit(struct vn_sink *k, struct vn_err *err)
{
	(void)err;
	((struct place_sink *)k)->place->commits++;
	return 0;
}

static void place_sink_close(struct vn_sink *k)
{
	vn_ref_release(&k->ref);
	free(k);
}

static inline struct vn_sink *place_sink(struct place *p)
{
	static const struct vn_sink_ops ops = { .has_blob = place_has, .put_blob = place_put, .put_manifest = place_put_manifest,
						.commit = place_commit, .close = place_sink_close };
	struct vn_err err = { 0 };
	struct place_sink *k = calloc(1, sizeof(*k));
	k->k.ops = &ops;
	k->place = p;
	CHECK_OK(vn_ref_parse("oci:/result", &k->k.ref, &err), &err);
	return &k->k;
}

/* ---- images */
enum packing { PACK_PLAIN, PACK_GZIP_9, PACK_GZIP_OTHER /* as gzip(1) -6 with a time */, PACK_ODD /* by nobody we know */, PACK_ZSTD };
struct built {
	struct place place;
	struct vn_source *source;
	struct vn_image image;
	struct vn_buf layers, diff_ids;      /* JSON under way */
};

static inline void pack(enum packing how, const void *tar, size_t len, struct vn_buf *ret)
{
	struct vn_err err = { 0 };
	VN_AUTO_OUT *memory = NULL, *out = NULL;
	struct vn_gzip_like like = { { 0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 0, 3 }, how == PACK_ODD ? 0 : 6, 8 };
	CHECK_OK(vn_out_buf(ret, &memory, &err), &err);
	if (how == PACK_PLAIN)
		out = vn_steal(memory);
	else if (how == PACK_GZIP_9)
		CHECK_OK(vn_out_gzip(vn_steal(memory), 9, &out, &err), &err);
	else if (how == PACK_ZSTD)
		CHECK_OK(vn_out_zstd(vn_steal(memory), 19, &out, &err), &err);
	else
		CHECK_OK(vn_out_gzip_like(vn_steal(memory), &like, &out, &err), &err);
	CHECK_OK(vn_out_write(out, tar, len, &err), &err);
	CHECK_OK(vn_out_finish(out, &err), &err);
}

static inline void built_layer(struct built *b, enum packing how, const struct vn_buf *tar)
{
	struct vn_err err = { 0 };
	struct vn_digest diff_id;
	VN_AUTO(vn_buf) blob = VN_BUF(64u << 20);
	static const char *const types[] = { "", "+gzip", "+gzip", "+gzip", "+zstd" };
	b->layers.max = b->diff_ids.max = 1 << 20;
	pack(how, tar->data, tar->len, &blob);
	struct vn_digest digest = place_add(&b->place, blob.data, blob.len);
	CHECK_OK(vn_digest_of(tar->data, tar->len, &diff_id, &err), &err);
	vn_buf_addf(&b->layers, &err, "%s{\"mediaType\":\"" VN_MT_OCI_LAYER "%s\",\"digest\":\"%s\",\"size\":%zu}",
		    b->layers.len ? "," : "", types[how], digest.text, blob.len);
	vn_buf_addf(&b->diff_ids, &err, "%s\"%s\"", b->diff_ids.len ? "," : "", diff_id.text);
}

static inline void built_open(struct built *b, const char *name)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) config = VN_BUF(1 << 20), manifest = VN_BUF(1 << 20);
	vn_buf_addf(&config, &err, "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Labels\":{\"n\":\"%s\"}},"
		    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}", name, vn_buf_text(&b->diff_ids));
	struct vn_digest digest = place_add(&b->place, config.data, config.len);
	vn_buf_addf(&manifest, &err, "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"config\":{\"mediaType\":\""
		    VN_MT_OCI_CONFIG "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}", digest.text, config.len,
		    vn_buf_text(&b->layers));
	digest = place_add(&b->place, manifest.data, manifest.len);
	vn_desc_release(&b->place.root);
	CHECK_OK(vn_desc_init(&b->place.root, VN_MT_OCI_MANIFEST, &digest, (int64_t)manifest.len, &err), &err);
	b->source = place_source(&b->place, name);
	CHECK_OK(vn_image_open(b->source, NULL, NULL, &b->image, &err), &err);
}

static inline void built_close(struct built *b)
{
	vn_image_release(&b->image);
	vn_source_close(b->source);
	vn_buf_release(&b->layers);
	vn_buf_release(&b->diff_ids);
	place_empty(&b->place);
}

/* Bytes without any pattern, but the same for the same seed. */
static inline void noise(uint8_t *ret, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		ret[i] = (uint8_t)(seed >> 24);
	}
}
#endif
