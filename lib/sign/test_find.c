#include "registry/fake.h"
#include "registry/http.h"
#include "sign/fixture.h"

/* An image in a place, and the digest of it. */
static struct vn_digest image_in(struct place *p)
{
	static const char manifest[] = "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}";
	return place_put(p, "1", VN_MT_OCI_MANIFEST, manifest, sizeof(manifest) - 1);
}

static vn_json *notes_of(const char *release, const char *expires)
{
	vn_json *notes = vn_json_object();
	if (release)
		vn_json_set(notes, VN_SIGN_RELEASE, vn_json_string(release));
	if (expires)
		vn_json_set(notes, VN_SIGN_EXPIRES, vn_json_string(expires));
	return notes;
}

static int sign_it(struct place *p, const char *pem, const struct vn_digest *digest, const char *release, const char *expires,
		   struct vn_err *err)
{
	VN_AUTO_SOURCE *source = place_source(p, "1");
	struct vn_sign_place place = { source, place_sink, p };
	VN_AUTO_KEY *key = private_key(pem);
	VN_AUTO_JSON *notes = notes_of(release, expires);
	VN_AUTO(vn_new_signature) s = { .key = NULL };
	struct vn_digest manifest;
	CHECK_OK(vn_new_signature_make(key, false, "r/a", digest, notes, &s, err), err);
	return vn_sign_put_tag(&place, digest, &s, 1, &manifest, err);
}

static int look(struct place *p, const char *pem, const struct vn_digest *digest, struct vn_signed *ret, struct vn_err *err)
{
	VN_AUTO_SOURCE *source = place_source(p, "1");
	struct vn_public_keys *keys = public_keys(pem);
	int rc = vn_signed_by(source, digest, keys, 0, 0, ret, err);
	vn_public_keys_close(keys);
	return rc;
}

static void refused(struct place *p, const char *pem, const struct vn_digest *digest, const char *says)
{
	struct vn_signed s = { .release = 77 };
	struct vn_err err = { 0 };
	CHECK_EQ(look(p, pem, digest, &s, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, says);
	CHECK_EQ(s.release, 77);
}

static void test_tag(void)
{
	struct place p = { .n = 0 };
	struct vn_digest digest = image_in(&p);
	struct vn_signed s;
	struct vn_err err = { 0 };
	refused(&p, P256_PUB, &digest, "is not signed");
	CHECK_OK(sign_it(&p, P256_KEY, &digest, "7", "2030-01-01T00:00:00Z", &err), &err);
	CHECK_OK(look(&p, P256_PUB, &digest, &s, &err), &err);
	CHECK(s.has_release && s.has_expires);
	CHECK_EQ(s.release, 7);
	CHECK_EQ(s.expires, 1893456000);
	CHECK_STR(s.form, "tag");
	CHECK_EQ(strlen(s.key_id), 64);
	/* what is signed rides in the descriptor */
	CHECK_EQ(p.blobs_read, 0);
	refused(&p, ED_PUB, &digest, "is signed, but by none of the keys given: 1 signature over");
	CHECK_OK(sign_it(&p, ED_KEY, &digest, NULL, NULL, &err), &err);
	CHECK_OK(look(&p, ED_PUB, &digest, &s, &err), &err);
	CHECK(!s.has_release && !s.has_expires);
	CHECK_OK(look(&p, P256_PUB, &digest, &s, &err), &err);
	CHECK_EQ(s.release, 7);
	place_empty(&p);
}

/* The highest release counts, and of those the one that lasts longest. */
static void test_best(void)
{
	struct place p = { .n = 0 };
	struct vn_digest digest = image_in(&p);
	struct vn_signed s;
	struct vn_err err = { 0 };
	CHECK_OK(sign_it(&p, ED_KEY, &digest, "7", "2030-01-01T00:00:00Z", &err), &err);
	CHECK_OK(sign_it(&p, ED_KEY, &digest, "9", "2028-01-01T00:00:00Z", &err), &err);
	CHECK_OK(sign_it(&p, ED_KEY, &digest, NULL, NULL, &err), &err);
	CHECK_OK(sign_it(&p, ED_KEY, &digest, "9", "2029-01-01T00:00:00Z", &err), &err);
	CHECK_OK(look(&p, ED_PUB, &digest, &s, &err), &err);
	CHECK_EQ(s.release, 9);
	CHECK_EQ(s.expires, 1861920000);
	CHECK_OK(sign_it(&p, ED_KEY, &digest, "9", NULL, &err), &err);
	CHECK_OK(look(&p, ED_PUB, &digest, &s, &err), &err);
	CHECK_EQ(s.release, 9);
	CHECK(!s.has_expires);
	place_empty(&p);
}

/* Somebody who writes at the same time takes the tag; the signature is added again, but not for ever. */
static void test_race(void)
{
	struct place p = { .lose = 2 };
	struct vn_digest digest = image_in(&p);
	struct vn_signed s;
	struct vn_err err = { 0 };
	CHECK_OK(sign_it(&p, ED_KEY, &digest, "1", NULL, &err), &err);
	CHECK_OK(look(&p, ED_PUB, &digest, &s, &err), &err);
	p.lose = 100;
	CHECK_EQ(sign_it(&p, ED_KEY, &digest, "2", NULL, &err), -VN_ENETWORK);
	CHECK_HAS(err.text, "others write it at the same time");
	place_empty(&p);
}

/* ---- manifests that others made */
#define SIG_TYPE "\"mediaType\":\"" VN_SIGN_PAYLOAD_TYPE "\""

/* `layers` as a manifest under the tag. */
static void put_layers(struct place *p, const struct vn_digest *digest, const char *layers)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	struct vn_err err = { 0 };
	char tag[VN_SIGN_TAG];
	vn_sign_tag(digest, tag);
	CHECK_OK(vn_buf_addf(&bytes, &err,
			     "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_MANIFEST "\",\"config\":{\"mediaType\":\""
			     VN_MT_OCI_CONFIG "\",\"digest\":\"%s\",\"size\":2},\"layers\":[%s]}", digest->text, layers), &err);
	place_put(p, tag, VN_MT_OCI_MANIFEST, bytes.data, bytes.len);
}

/* One layer: `text` signed with ED_KEY, as a blob. */
static void put_signed(struct place *p, const struct vn_digest *digest, const char *text, bool spoil)
{
	VN_AUTO_KEY *key = private_key(ED_KEY);
	VN_AUTO_FREE char *sig = NULL;
	VN_AUTO(vn_buf) layer = VN_BUF(4096);
	uint8_t bytes[VN_SIGNATURE_MOST];
	struct vn_err err = { 0 };
	size_t len = 0;
	struct vn_digest blob = place_add(p, text, strlen(text));
	CHECK_OK(vn_key_sign(key, text, strlen(text), bytes, &len, &err), &err);
	bytes[5] ^= spoil;
	CHECK_OK(vn_base64_encode(bytes, len, &sig, &err), &err);
	CHECK_OK(vn_buf_addf(&layer, &err,
			     "{" SIG_TYPE ",\"digest\":\"%s\",\"size\":%zu,\"annotations\":{\"" VN_SIGN_ANNOTATION "\":\"%s\"}}",
			     blob.text, strlen(text), sig), &err);
	put_layers(p, digest, vn_buf_text(&layer));
}

static void payload_of(const struct vn_digest *digest, const char *type, char out[600])
{
	snprintf(out, 600,
		 "{\n  \"critical\": {\"type\": \"%s\", \"image\": {\"docker-manifest-digest\": \"%s\"},\n"
		 "  \"identity\": {\"docker-reference\": \"\"}}, \"optional\": {\"dev.veneer.release\": \"5\"}\n}\n",
		 type, digest->text);
}

static void test_foreign(void)
{
	struct place p = { .n = 0 };
	struct vn_digest digest = image_in(&p), other = place_add(&p, "other", 5);
	struct vn_signed s;
	struct vn_err err = { 0 };
	char text[600];
	payload_of(&digest, "cosign container image signature", text);
	put_signed(&p, &digest, text, false);
	CHECK_OK(look(&p, ED_PUB, &digest, &s, &err), &err);
	CHECK_EQ(s.release, 5);
	CHECK_EQ(p.blobs_read, 1);
	put_signed(&p, &digest, text, true);
	refused(&p, ED_PUB, &digest, "by none of the keys given");
	payload_of(&other, "cosign container image signature", text);
	put_signed(&p, &digest, text, false);
	refused(&p, ED_PUB, &digest, "it signs another image");
	payload_of(&digest, "something else", text);
	put_signed(&p, &digest, text, false);
	refused(&p, ED_PUB, &digest, "/critical/type");
	put_signed(&p, &digest, "well signed nonsense", false);
	refused(&p, ED_PUB, &digest, "signed payload");
	place_empty(&p);
}

#define BLOB "\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\""

static void test_hostile_layers(void)
{
	static const struct {
		const char *layer, *says;
	} list[] = {
		{ "{" SIG_TYPE "," BLOB ",\"size\":2}", "lacks the annotation" },
		{ "{" SIG_TYPE "," BLOB ",\"size\":2,\"annotations\":{\"" VN_SIGN_ANNOTATION "\":\"\"}}",
		  "lacks the annotation" },
		{ "{" SIG_TYPE "," BLOB ",\"size\":2,\"annotations\":{\"" VN_SIGN_ANNOTATION "\":\"?\"}}", VN_SIGN_ANNOTATION },
		{ "{" SIG_TYPE "," BLOB ",\"size\":70000,\"annotations\":{\"" VN_SIGN_ANNOTATION "\":\"AAAA\"}}",
		  "at most 65536" },
		{ "{" SIG_TYPE "," BLOB ",\"size\":2,\"annotations\":{\"" VN_SIGN_ANNOTATION "\":\"AAAA\"}}", "no blob" },
		{ "{" SIG_TYPE "," BLOB ",\"size\":2,\"data\":\"e30=\",\"annotations\":{\"" VN_SIGN_ANNOTATION "\":\"AAAA\"}}",
		  "by none" },
		{ "{" SIG_TYPE "," BLOB ",\"size\":2,\"data\":\"e2A=\",\"annotations\":{\"" VN_SIGN_ANNOTATION "\":\"AAAA\"}}",
		  "signed payload" },
		{ "{" SIG_TYPE "," BLOB ",\"size\":2,\"data\":\"e30gICAg\",\"annotations\":{\"" VN_SIGN_ANNOTATION "\":\"AAAA\"}}",
		  "signed payload" },
		{ "{" SIG_TYPE ",\"digest\":\"md5:00\",\"size\":2}", "digest" },
		{ "{\"mediaType\":\"application/x\"," BLOB ",\"size\":2}", "is not signed" },
		{ "7", "expected" },
	};
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct place p = { .n = 0 };
		struct vn_digest digest = image_in(&p);
		put_layers(&p, &digest, list[i].layer);
		refused(&p, ED_PUB, &digest, list[i].says);
		place_empty(&p);
	}
}

static void test_caps(void)
{
	static const char one[] = "{" SIG_TYPE "," BLOB ",\"size\":2}";
	struct place p = { .n = 0 };
	struct vn_digest digest = image_in(&p);
	VN_AUTO(vn_buf) layers = VN_BUF(1 << 20);
	char *sig = calloc(1, VN_MAX_SIGNATURE_TEXT + 2);
	struct vn_err err = { 0 };
	for (int i = 0; i < VN_MAX_SIGNATURES; i++)
		CHECK_OK(vn_buf_addf(&layers, &err, "%s%s", i ? "," : "", one), &err);
	put_layers(&p, &digest, vn_buf_text(&layers));
	refused(&p, ED_PUB, &digest, "lacks the annotation");
	CHECK_EQ(sign_it(&p, ED_KEY, &digest, NULL, NULL, &err), -VN_ELIMIT);
	CHECK_OK(vn_buf_addf(&layers, &err, ",%s", one), &err);
	put_layers(&p, &digest, vn_buf_text(&layers));
	refused(&p, ED_PUB, &digest, "257 signatures under one tag, at most 256");
	memset(sig, 'A', VN_MAX_SIGNATURE_TEXT + 1);
	vn_buf_clear(&layers);
	CHECK_OK(vn_buf_addf(&layers, &err,
			     "{" SIG_TYPE "," BLOB ",\"size\":2,\"annotations\":{\"" VN_SIGN_ANNOTATION "\":\"%s\"}}", sig), &err);
	put_layers(&p, &digest, vn_buf_text(&layers));
	refused(&p, ED_PUB, &digest, "longer than 4096 characters");
	free(sig);
	place_empty(&p);
}

/* What stands under the tag is no list of signatures: it is neither believed nor written over. */
static void test_other_things_under_the_tag(void)
{
	static const char index[] = "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_INDEX "\",\"manifests\":[]}";
	struct place p = { .n = 0 };
	struct vn_digest digest = image_in(&p);
	struct vn_err err = { 0 };
	char tag[VN_SIGN_TAG];
	vn_sign_tag(&digest, tag);
	place_put(&p, tag, VN_MT_OCI_INDEX, index, sizeof(index) - 1);
	refused(&p, ED_PUB, &digest, "expected an image manifest");
	CHECK_EQ(sign_it(&p, ED_KEY, &digest, NULL, NULL, &err), -VN_EFORMAT);
	put_layers(&p, &digest, "{\"mediaType\":\"" VN_MT_OCI_LAYER "\"," BLOB ",\"size\":2}");
	CHECK_EQ(sign_it(&p, ED_KEY, &digest, NULL, NULL, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "expected signatures alone");
	place_empty(&p);
}

/* A road that is closed is no verdict on the image. */
static void test_road(void)
{
	static const int codes[] = { VN_ENETWORK, VN_EAUTH, VN_EIO };
	for (size_t i = 0; i < 3; i++) {
		struct place p = { .n = 0 };
		struct vn_digest digest = image_in(&p);
		struct vn_signed s;
		struct vn_err err = { 0 };
		p.fail = codes[i];
		CHECK_EQ(look(&p, ED_PUB, &digest, &s, &err), -codes[i]);
		place_empty(&p);
	}
}

static void test_long_digest(void)
{
	struct place p = { .n = 0 };
	struct vn_digest digest;
	char text[VN_DIGEST_TEXT] = "sha512:";
	struct vn_err err = { 0 };
	memset(text + 7, 'a', 128);
	CHECK_OK(vn_digest_parse(text, &digest, &err), &err);
	refused(&p, ED_PUB, &digest, "is not signed");
}

/* ---- bundles, in a layout's list of referrers */
static void put_bundle(struct place *p, const struct vn_digest *digest, const char *pem, const char *predicate,
		       const char *type)
{
	VN_AUTO(vn_buf) bundle = VN_BUF(1 << 16), manifest = VN_BUF(1 << 16), index = VN_BUF(1 << 16);
	VN_AUTO(vn_new_signature) s = { .key = NULL };
	VN_AUTO(vn_desc) image = { 0 };
	VN_AUTO_KEY *key = private_key(pem);
	VN_AUTO_JSON *notes = notes_of("4", NULL);
	struct vn_err err = { 0 };
	char tag[VN_SIGN_TAG];
	CHECK_OK(vn_desc_init(&image, VN_MT_OCI_MANIFEST, digest, 10, &err), &err);
	CHECK_OK(vn_new_signature_make(key, true, "", digest, notes, &s, &err), &err);
	CHECK_OK(vn_sign_bundle_make(key->id, s.text.data, s.text.len, s.bytes, s.len, &bundle, &err), &err);
	CHECK_OK(vn_sign_bundle_manifest(&image, &bundle, &manifest, &err), &err);
	struct vn_digest m = place_add(p, manifest.data, manifest.len);
	CHECK_OK(vn_buf_addf(&index, &err,
			     "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_INDEX "\",\"manifests\":[{\"mediaType\":\""
			     VN_MT_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,\"artifactType\":\"%s\",\"annotations\":{\""
			     VN_SIGN_PREDICATE_ANNOTATION "\":\"%s\"}}]}", m.text, manifest.len, type, predicate), &err);
	snprintf(tag, sizeof(tag), "sha256-%s", vn_digest_hex(digest));
	place_put(p, tag, VN_MT_OCI_INDEX, index.data, index.len);
}

static void test_bundles(void)
{
	struct place p = { .n = 0 };
	struct vn_digest digest = image_in(&p), other = place_add(&p, "other", 5);
	struct vn_signed s;
	struct vn_err err = { 0 };
	put_bundle(&p, &digest, P256_KEY, VN_SIGN_PREDICATE, VN_SIGN_BUNDLE_TYPE);
	CHECK_OK(look(&p, P256_PUB, &digest, &s, &err), &err);
	CHECK_STR(s.form, "bundle");
	CHECK_EQ(s.release, 4);
	CHECK_EQ(p.blobs_read, 0);
	refused(&p, ED_PUB, &digest, "by none of the keys given");
	/* the tag has one of another key: the bundle is asked for all the same */
	CHECK_OK(sign_it(&p, ED_KEY, &digest, "1", NULL, &err), &err);
	CHECK_OK(look(&p, P256_PUB, &digest, &s, &err), &err);
	CHECK_STR(s.form, "bundle");
	CHECK_OK(look(&p, ED_PUB, &digest, &s, &err), &err);
	CHECK_STR(s.form, "tag");
	place_empty(&p);

	digest = image_in(&p);
	put_bundle(&p, &digest, P256_KEY, "https://spdx.dev/Document", VN_SIGN_BUNDLE_TYPE);
	refused(&p, P256_PUB, &digest, "is not signed");
	put_bundle(&p, &digest, P256_KEY, VN_SIGN_PREDICATE, "application/x");
	refused(&p, P256_PUB, &digest, "is not signed");
	/* as go-containerregistry wrote the index */
	put_bundle(&p, &digest, P256_KEY, VN_SIGN_PREDICATE, VN_MT_OCI_EMPTY);
	CHECK_OK(look(&p, P256_PUB, &digest, &s, &err), &err);
	CHECK_STR(s.form, "bundle");
	put_bundle(&p, &digest, P256_KEY, VN_SIGN_PREDICATE, "");
	CHECK_OK(look(&p, P256_PUB, &digest, &s, &err), &err);
	put_bundle(&p, &other, P256_KEY, VN_SIGN_PREDICATE, VN_SIGN_BUNDLE_TYPE);
	/* the list of the other one, under this one's tag */
	snprintf(p.tags[2].name, sizeof(p.tags[2].name), "sha256-%s", vn_digest_hex(&digest));
	snprintf(p.tags[1].name, sizeof(p.tags[1].name), "gone");
	refused(&p, P256_PUB, &digest, "it signs another image");
	place_empty(&p);
}

/* ---- over the wire */
#define HEX(d) d d d d d d d d d d d d d d d d
#define IMAGE "sha256:" HEX("aaaa")

/* One request for an image whose signature carries its payload. */
static void test_one_request(void)
{
	struct place p = { .n = 0 };
	struct vn_digest digest;
	struct vn_err err = { 0 };
	struct vn_signed s;
	CHECK_OK(vn_digest_parse(IMAGE, &digest, &err), &err);
	CHECK_OK(sign_it(&p, P256_KEY, &digest, "3", NULL, &err), &err);
	const char *manifest = p.at[p.n - 1].bytes;
	const struct fake_step script[] = {
		{ "GET /v2/ ", NULL, "200", "{}" },
		{ "GET /v2/a/manifests/sha256-" HEX("aaaa") ".sig ", NULL, "200\nContent-Type: " VN_MT_OCI_MANIFEST, manifest },
		{ 0 },
	};
	struct fake_world w;
	fake_world_open(&w, script);
	struct vn_source *source = fake_source(&w, "a@" IMAGE);
	struct vn_public_keys *keys = public_keys(P256_PUB);
	CHECK_OK(vn_signed_by(source, &digest, keys, 0, 0, &s, &err), &err);
	CHECK_EQ(s.release, 3);
	vn_source_close(source);
	vn_public_keys_close(keys);
	fake_stop(&w.fake);
	place_empty(&p);
}

int main(void)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_http_init(&err), &err);
	fixture_begin();
	RUN(test_tag);
	RUN(test_best);
	RUN(test_race);
	RUN(test_foreign);
	RUN(test_hostile_layers);
	RUN(test_caps);
	RUN(test_other_things_under_the_tag);
	RUN(test_road);
	RUN(test_long_digest);
	RUN(test_bundles);
	RUN(test_one_request);
	fixture_end();
	vn_http_exit();
	return vn_test_end();
}
