/* What this module's tests share: keys, and a place in memory that is a source with tags beside each other, and a sink. */
#ifndef VN_SIGN_FIXTURE_H
#define VN_SIGN_FIXTURE_H
#include "image/sink.h"
#include "sign/find.h"
#include "sign/put.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/test_dir.h"
#include <stdlib.h>

/* ---- keys for tests, protecting nothing: `openssl genpkey`, and the first Ed25519 key of RFC 8032, section 7.1 */
#define P256_KEY                                                                                   \
	"-----BEGIN EC PRIVATE KEY-----\n"                                                         \
	"MHcCAQEEIElJFDWkMAKv9MzfI6Nc7/KxeFwg1HIMGNMv6VkpIjUaoAoGCCqGSM49\n"                       \
	"AwEHoUQDQgAEF9uo7h4efSGhEmztTXRFFIECUmOxdt69gpwNU5dKjaPijuu0w7wi\n"                       \
	"E9kBhZbxx6IwCuFuAubBRB8635RacBmxnw==\n"                                                   \
	"-----END EC PRIVATE KEY-----\n"
#define P256_PUB                                                                                   \
	"-----BEGIN PUBLIC KEY-----\n"                                                             \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEF9uo7h4efSGhEmztTXRFFIECUmOx\n"                       \
	"dt69gpwNU5dKjaPijuu0w7wiE9kBhZbxx6IwCuFuAubBRB8635RacBmxnw==\n"                           \
	"-----END PUBLIC KEY-----\n"
#define ED_KEY                                                                                     \
	"-----BEGIN PRIVATE KEY-----\n"                                                            \
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"                       \
	"-----END PRIVATE KEY-----\n"
#define ED_PUB                                                                                     \
	"-----BEGIN PUBLIC KEY-----\n"                                                             \
	"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"                           \
	"-----END PUBLIC KEY-----\n"

static inline void fixture_begin(void)
{
	test_dir_make("sign");
}
#define fixture_end test_dir_remove

/* A file with that text; eight paths live at a time. */
static inline const char *file_of(const char *name, const char *text)
{
	const char *p = below(name);
	struct vn_err err = { 0 };
	CHECK_OK(vn_fs_replace(p, text, strlen(text), 0600, &err), &err);
	return p;
}

static inline struct vn_key *private_key(const char *pem)
{
	struct vn_passphrase none = { .given = false };
	struct vn_err err = { 0 };
	struct vn_key *key = NULL;
	CHECK_OK(vn_key_open_private(file_of("a.key", pem), &none, &key, &err), &err);
	return key;
}

static inline struct vn_public_keys *public_keys(const char *pem)
{
	const char *file = file_of("a.pub", pem);
	struct vn_public_keys *keys = NULL;
	struct vn_err err = { 0 };
	CHECK_OK(vn_public_keys_open(&file, 1, &keys, &err), &err);
	return keys;
}

/* ---- a place in memory */
#define PLACE_BLOBS 600
#define PLACE_TAGS 8
struct place {
	struct {
		struct vn_digest digest;
		char *bytes;
		size_t len;
	} at[PLACE_BLOBS];
	size_t n;
	struct {
		char name[160];
		struct vn_desc desc;
	} tags[PLACE_TAGS];
	size_t ntags;
	int blobs_read, lose;        /* `lose`: that many times somebody else's tag wins */
	int fail;                    /* code that every read of a manifest gives */
};
struct place_source {
	struct vn_source s;
	struct place *place;
};
struct place_sink {
	struct vn_sink k;
	struct place *place;
	struct vn_desc put;
};

static inline struct vn_digest place_add(struct place *p, const void *bytes, size_t len)
{
	struct vn_err err = { 0 };
	char *copy = malloc(len + 1);
	CHECK(p->n < PLACE_BLOBS);
	memcpy(copy, bytes, len);
	copy[len] = 0;
	p->at[p->n].bytes = copy;
	p->at[p->n].len = len;
	CHECK_OK(vn_digest_of(bytes, len, &p->at[p->n].digest, &err), &err);
	return p->at[p->n++].digest;
}

static inline void place_tag(struct place *p, const char *name, const struct vn_desc *desc)
{
	struct vn_err err = { 0 };
	size_t i = 0;
	while (i < p->ntags && strcmp(p->tags[i].name, name))
		i++;
	if (i >= PLACE_TAGS) {
		CHECK(i < PLACE_TAGS);
		return;
	}
	snprintf(p->tags[i].name, sizeof(p->tags[i].name), "%s", name);
	vn_desc_release(&p->tags[i].desc);
	p->tags[i].desc = (struct vn_desc){ 0 };
	CHECK_OK(vn_desc_copy(desc, &p->tags[i].desc, &err), &err);
	p->ntags += i == p->ntags;
}

/* A document of that type under a tag. */
static inline struct vn_digest place_put(struct place *p, const char *tag, const char *type, const void *bytes, size_t len)
{
	VN_AUTO(vn_desc) desc = { 0 };
	struct vn_err err = { 0 };
	struct vn_digest digest = place_add(p, bytes, len);
	CHECK_OK(vn_desc_init(&desc, type, &digest, (int64_t)len, &err), &err);
	place_tag(p, tag, &desc);
	return digest;
}

static inline void place_empty(struct place *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->at[i].bytes);
	for (size_t i = 0; i < p->ntags; i++)
		vn_desc_release(&p->tags[i].desc);
	memset(p, 0, sizeof(*p));
}

static inline int place_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes,
				 struct vn_desc *ret_desc, struct vn_err *err)
{
	struct place *p = ((struct place_source *)s)->place;
	const struct vn_desc *want = child;
	if (p->fail)
		return vn_fail(err, (enum vn_code)p->fail, "the road is closed");
	for (size_t i = 0; !want && i < p->ntags; i++)
		want = s->ref.tag && !strcmp(p->tags[i].name, s->ref.tag) ? &p->tags[i].desc : NULL;
	for (size_t i = 0; want && i < p->n; i++)
		if (vn_digest_equal(&p->at[i].digest, &want->digest)) {
			CHECK_OK(vn_buf_add(ret_bytes, p->at[i].bytes, p->at[i].len, err), err);
			return vn_desc_copy(want, ret_desc, err);
		}
	return vn_fail(err, VN_ENOTFOUND, "no manifest");
}

static inline int place_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	struct place *p = ((struct place_source *)s)->place;
	p->blobs_read++;
	for (size_t i = 0; i < p->n; i++)
		if (vn_digest_equal(&p->at[i].digest, &desc->digest))
			return vn_in_memory(p->at[i].bytes, p->at[i].len, ret, err);
	return vn_fail(err, VN_ENOTFOUND, "no blob %s", desc->digest.text);
}

static inline void place_source_close(struct vn_source *s)
{
	vn_ref_release(&s->ref);
	free(s);
}

static inline struct vn_source *place_source(struct place *p, const char *tag);

static inline int place_beside(struct vn_source *s, const char *tag, struct vn_source **ret, struct vn_err *err)
{
	(void)err;
	*ret = place_source(((struct place_source *)s)->place, tag);
	return 0;
}

static inline struct vn_source *place_source(struct place *p, const char *tag)
{
	static const struct vn_source_ops ops = { place_manifest, place_blob, NULL, place_source_close, false, place_beside };
	struct place_source *s = calloc(1, sizeof(*s));
	struct vn_err err = { 0 };
	char text[300];
	s->s.ops = &ops;
	s->place = p;
	snprintf(text, sizeof(text), "oci:place:%s", tag);
	CHECK_OK(vn_ref_parse(text, &s->s.ref, &err), &err);
	return &s->s;
}

static inline int place_has(struct vn_sink *k, const struct vn_desc *desc, bool *ret, struct vn_err *err)
{
	struct place *p = ((struct place_sink *)k)->place;
	(void)err;
	*ret = false;
	for (size_t i = 0; i < p->n; i++)
		*ret = *ret || vn_digest_equal(&p->at[i].digest, &desc->digest);
	return 0;
}

static inline int place_put_blob(struct vn_sink *k, const struct vn_desc *desc, const struct vn_body *body, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MANIFEST);
	CHECK_OK(body->open(body, &in, err), err);
	CHECK_OK(vn_in_read_all(in, &bytes, err), err);
	CHECK_EQ(bytes.len, desc->size);
	struct vn_digest digest = place_add(((struct place_sink *)k)->place, vn_buf_text(&bytes), bytes.len);
	CHECK_STR(digest.text, desc->digest.text);
	return 0;
}

static inline int place_put_manifest(struct vn_sink *k, const struct vn_desc *desc, const void *bytes, size_t len, bool tagged,
				     struct vn_err *err)
{
	struct place_sink *to = (struct place_sink *)k;
	place_add(to->place, bytes, len);
	return tagged ? vn_desc_copy(desc, &to->put, err) : 0;
}

static inline int place_commit(struct vn_sink *k, struct vn_err *err)
{
	struct place_sink *to = (struct place_sink *)k;
	(void)err;
	if (to->place->lose-- <= 0)
		place_tag(to->place, k->ref.tag, &to->put);
	return 0;
}

static inline void place_sink_close(struct vn_sink *k)
{
	vn_desc_release(&((struct place_sink *)k)->put);
	vn_ref_release(&k->ref);
	free(k);
}

/* As struct vn_sign_place's. */
static inline int place_sink(void *user, const char *tag, struct vn_sink **ret, struct vn_err *err)
{
	static const struct vn_sink_ops ops = {
		.has_blob = place_has, .put_blob = place_put_blob, .put_manifest = place_put_manifest, .commit = place_commit,
		.close = place_sink_close,
	};
	struct place_sink *k = calloc(1, sizeof(*k));
	char text[300];
	k->k.ops = &ops;
	k->place = user;
	snprintf(text, sizeof(text), "oci:place:%s", tag);
	*ret = &k->k;
	return vn_ref_parse(text, &k->k.ref, err);
}
#endif
