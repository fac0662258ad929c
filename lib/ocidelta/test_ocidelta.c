#include "ocidelta/fixture.h"
#include "ocidelta/read.h"

#define MODEL 60000

/* A model of doubles that all move a little. */
static void model(uint8_t ret[MODEL], uint32_t seed)
{
	noise(ret, MODEL, 7);
	for (size_t i = 0; i < MODEL; i += 8)
		ret[i] = (uint8_t)(ret[i] + (i / 8 * seed) % 16);
}

static void add_base(struct built *b, enum packing how)
{
	struct pen p;
	uint8_t lib[5000];
	noise(lib, sizeof(lib), 1);
	pen_open(&p);
	pen_text(&p, "d app; d app/models; f app/run.py import sys; d lib");
	pen_file(&p, "lib/big.so", lib, sizeof(lib));
	pen_close(&p);
	built_layer(b, how, &p.bytes);
	vn_buf_release(&p.bytes);
}

static void add_model(struct built *b, enum packing how, const char *path, uint32_t seed)
{
	struct pen p;
	uint8_t *bytes = malloc(MODEL);
	model(bytes, seed);
	pen_open(&p);
	pen_file(&p, path, bytes, MODEL);
	pen_close(&p);
	built_layer(b, how, &p.bytes);
	vn_buf_release(&p.bytes);
	free(bytes);
}

static void pair(struct built *old, struct built *now, enum packing how)
{
	memset(old, 0, sizeof(*old));
	memset(now, 0, sizeof(*now));
	add_base(old, PACK_GZIP_9);
	add_model(old, PACK_GZIP_9, "app/models/net-v1.onnx", 0);
	built_open(old, "oci:/old:1");
	add_base(now, PACK_GZIP_9);
	add_model(now, how, "app/models/net-v2.onnx", 5);
	built_open(now, "oci:/new:2");
}

static struct vn_ocidelta_options options(unsigned interop)
{
	return (struct vn_ocidelta_options){ .interop = interop, .index = fixture_options };
}

/* Make, put, open. */
static void deliver(const struct built *old, const struct built *now, const struct vn_ocidelta_options *o, struct place *at,
		    struct vn_source **ret_source, struct vn_ocidelta *made, struct vn_ocidelta *opened)
{
	struct vn_err err = { 0 };
	uint64_t moved = 0;
	struct vn_sink *k = place_sink(at);
	CHECK_OK(vn_ocidelta_make(&old->image, &now->image, o, made, &err), &err);
	CHECK_OK(vn_ocidelta_put(made, k, &moved, &err), &err);
	CHECK_EQ(at->commits, 1);
	CHECK(moved > 0);
	vn_sink_close(k);
	*ret_source = place_source(at, "oci:/delta:d");
	CHECK_OK(vn_ocidelta_open(*ret_source, NULL, opened, &err), &err);
	CHECK_EQ(opened->size, made->size);
	CHECK_STR(opened->target.text, now->image.desc.digest.text);
	CHECK_STR(opened->source.text, old->image.desc.digest.text);
}

static int apply(const struct vn_ocidelta *delta, const struct built *old, struct place *to, struct vn_ocidelta_applied *ret,
		 struct vn_err *err)
{
	struct vn_sink *k = place_sink(to);
	int r = vn_ocidelta_apply(delta, &old->image, &fixture_options, NULL, k, ret, err);
	vn_sink_close(k);
	return r;
}

/* Every blob of the target is in the result, byte for byte. */
static void check_whole(const struct built *now, const struct place *to)
{
	CHECK_STR(to->root.digest.text, now->image.desc.digest.text);
	for (size_t i = 0; i < now->image.nlayers; i++)
		CHECK(place_find(to, &now->image.layers[i].desc.digest) < to->n);
	CHECK(place_find(to, &now->image.manifest.config.digest) < to->n);
	CHECK_EQ(to->commits, 1);
}

static void round_trip(enum packing how, unsigned interop)
{
	struct vn_err err = { 0 };
	struct built old, now;
	struct place at = { 0 }, to = { 0 };
	struct vn_source *source;
	struct vn_ocidelta made = { 0 }, opened = { 0 };
	struct vn_ocidelta_applied applied = { 0 };
	struct vn_ocidelta_options o = options(interop);
	pair(&old, &now, how);
	deliver(&old, &now, &o, &at, &source, &made, &opened);
	CHECK_EQ(made.nlayers, 2);
	CHECK_EQ(made.layers[0].how, VN_OCIDELTA_REUSED);
	CHECK_EQ(made.layers[1].how, VN_OCIDELTA_REBUILT);
	CHECK_STR(made.layers[1].sources, "/app/models/net-v1.onnx");
	CHECK(made.size < made.full / 2);
	CHECK_OK(apply(&opened, &old, &to, &applied, &err), &err);
	CHECK(applied.exact);
	CHECK_EQ(applied.reused, 1);
	CHECK_EQ(applied.rebuilt, 1);
	CHECK_EQ(applied.fetched, opened.size);
	check_whole(&now, &to);
	vn_desc_release(&applied.root);
	vn_ocidelta_release(&made);
	vn_ocidelta_release(&opened);
	vn_source_close(source);
	place_empty(&at);
	place_empty(&to);
	built_close(&old);
	built_close(&now);
}

static void test_round_trip(void)
{
	round_trip(PACK_GZIP_9, 0);
	round_trip(PACK_GZIP_OTHER, 0);
	round_trip(PACK_PLAIN, 0);
}

static void test_for_other_tools(void)
{
	round_trip(PACK_GZIP_9, 1);
	round_trip(PACK_PLAIN, 2);
}

/* What lies in the manifest: nothing twice, in a fixed order. */
static void test_document(void)
{
	static const char *const pieces[] = {
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"artifactType\":"
		"\"application/vnd.io.github.containers.oci-delta.v1\",\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\","
		"\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,\"data\":\"e30=\"},",
		"\"layers\":[{\"mediaType\":\"application/vnd.veneer.delta.v1\",\"digest\":\"sha256:",
		"\"annotations\":{\"io.github.containers.delta.content\":\"veneer\"}",
		"}],\"subject\":{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:",
		"},\"annotations\":{\"io.github.containers.delta.source\":\"sha256:",
	};
	struct built old, now;
	for (int inlined = 0; inlined < 2; inlined++) {
		struct vn_err err = { 0 };
		struct vn_ocidelta made = { 0 };
		struct vn_ocidelta_options o = options(0);
		o.inline_most = inlined ? 0 : 1;
		pair(&old, &now, PACK_GZIP_9);
		CHECK_OK(vn_ocidelta_make(&old.image, &now.image, &o, &made, &err), &err);
		const char *text = vn_buf_text(&made.manifest);
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			CHECK_HAS(text, pieces[i]);
			text = strstr(text, pieces[i]) ? strstr(text, pieces[i]) : text;
		}
		CHECK_EQ(strstr(vn_buf_text(&made.manifest), "\"data\":\"Vk5JM") != NULL, inlined);
		CHECK_EQ(made.size, made.manifest.len + (inlined ? 0 : (uint64_t)made.blobs[0].desc.size));
		if (!inlined)
			CHECK(made.manifest.len < 900);
		vn_ocidelta_release(&made);
		built_close(&old);
		built_close(&now);
	}
}

/* One request: nothing but the manifest is read of the artifact. */
static void test_inline_needs_no_blob(void)
{
	struct vn_err err = { 0 };
	struct built old, now;
	struct place at = { 0 }, to = { 0 };
	struct vn_source *source;
	struct vn_ocidelta made = { 0 }, opened = { 0 };
	struct vn_ocidelta_applied applied = { 0 };
	struct vn_ocidelta_options o = options(0);
	pair(&old, &now, PACK_GZIP_9);
	deliver(&old, &now, &o, &at, &source, &made, &opened);
	CHECK_EQ(opened.nlayers, 2);
	CHECK_OK(apply(&opened, &old, &to, &applied, &err), &err);
	CHECK_EQ(at.reads, 0);
	vn_desc_release(&applied.root);
	vn_ocidelta_release(&made);
	vn_ocidelta_release(&opened);
	vn_source_close(source);
	place_empty(&at);
	place_empty(&to);
	built_close(&old);
	built_close(&now);
}

/* Nobody knows how the layer was packed: its tar and the configuration are the target's, the manifest is not. */
static void test_packed_anew(void)
{
	for (unsigned interop = 0; interop < 2; interop++) {
		struct vn_err err = { 0 };
		struct built old, now;
		struct place at = { 0 }, to = { 0 };
		struct vn_source *source, *result;
		struct vn_ocidelta made = { 0 }, opened = { 0 };
		struct vn_ocidelta_applied applied = { 0 };
		struct vn_ocidelta_options o = options(interop);
		VN_AUTO(vn_image) image = { 0 };
		pair(&old, &now, interop ? PACK_ODD : PACK_ZSTD);
		deliver(&old, &now, &o, &at, &source, &made, &opened);
		CHECK_EQ(made.layers[1].how, VN_OCIDELTA_REPACKED);
		CHECK_OK(apply(&opened, &old, &to, &applied, &err), &err);
		CHECK(!applied.exact);
		CHECK_EQ(applied.repacked, 1);
		result = place_source(&to, "oci:/result");
		CHECK_OK(vn_image_open(result, NULL, NULL, &image, &err), &err);
		CHECK_STR(image.manifest.config.digest.text, now.image.manifest.config.digest.text);
		CHECK_STR(image.layers[1].diff_id.text, now.image.layers[1].diff_id.text);
		CHECK_STR(image.layers[1].desc.media_type, VN_MT_OCI_LAYER "+gzip");
		CHECK_STR(image.desc.digest.text, applied.root.digest.text);
		vn_image_release(&image);
		vn_source_close(result);
		vn_desc_release(&applied.root);
		vn_ocidelta_release(&made);
		vn_ocidelta_release(&opened);
		vn_source_close(source);
		place_empty(&at);
		place_empty(&to);
		built_close(&old);
		built_close(&now);
	}
}

/* The source has the layer under another compression: nothing of it travels. */
static void test_same_tar(void)
{
	struct vn_err err = { 0 };
	struct built old = { 0 }, now = { 0 };
	struct place to = { 0 };
	struct vn_ocidelta made = { 0 };
	struct vn_ocidelta_applied applied = { 0 };
	struct vn_ocidelta_options o = options(0);
	add_model(&old, PACK_PLAIN, "m.onnx", 1);
	built_open(&old, "oci:/old:1");
	add_model(&now, PACK_GZIP_OTHER, "m.onnx", 1);
	add_model(&now, PACK_GZIP_OTHER, "m.onnx", 1);
	built_open(&now, "oci:/new:2");
	CHECK_OK(vn_ocidelta_make(&old.image, &now.image, &o, &made, &err), &err);
	CHECK(made.size < 2500);
	CHECK_EQ(made.layers[0].how, VN_OCIDELTA_REBUILT);
	CHECK_EQ(made.layers[1].how, VN_OCIDELTA_REUSED);
	CHECK_OK(apply(&made, &old, &to, &applied, &err), &err);
	CHECK(applied.exact);
	check_whole(&now, &to);
	vn_desc_release(&applied.root);
	vn_ocidelta_release(&made);
	place_empty(&to);
	built_close(&old);
	built_close(&now);
}

/* The same noise again and again, farther apart than a delta looks back, in a blob that does: it travels as it is. */
static void test_original(void)
{
	struct vn_err err = { 0 };
	struct built old = { 0 }, now = { 0 };
	struct place at = { 0 }, to = { 0 };
	struct vn_source *source;
	struct vn_ocidelta made = { 0 }, opened = { 0 };
	struct vn_ocidelta_applied applied = { 0 };
	struct vn_ocidelta_options o = options(0);
	struct pen p;
	size_t len = 2500000;
	uint8_t *bytes = malloc(len);
	char name[2] = "a";
	noise(bytes, len, 3);
	pen_open(&p);
	for (; *name < 'c'; ++*name)
		pen_file(&p, name, bytes, len);
	pen_close(&p);
	add_base(&old, PACK_GZIP_9);
	built_open(&old, "oci:/old:1");
	add_base(&now, PACK_GZIP_9);
	built_layer(&now, PACK_ZSTD, &p.bytes);
	add_model(&now, PACK_GZIP_9, "m.onnx", 1);
	built_open(&now, "oci:/new:2");
	deliver(&old, &now, &o, &at, &source, &made, &opened);
	CHECK_EQ(made.layers[1].how, VN_OCIDELTA_ORIGINAL);
	CHECK_EQ(made.layers[2].how, VN_OCIDELTA_REBUILT);
	CHECK_EQ(made.nblobs, 2);
	CHECK(made.size < made.full + 2000);
	CHECK_OK(apply(&opened, &old, &to, &applied, &err), &err);
	CHECK(applied.exact);
	CHECK_EQ(applied.original, 1);
	check_whole(&now, &to);
	free(bytes);
	vn_buf_release(&p.bytes);
	vn_desc_release(&applied.root);
	vn_ocidelta_release(&made);
	vn_ocidelta_release(&opened);
	vn_source_close(source);
	place_empty(&at);
	place_empty(&to);
	built_close(&old);
	built_close(&now);
}

/* The artifact's manifest with one member or annotation less, and perhaps a layer more. */
static void rewrite(struct place *at, const char *member, const char *annotation, const char *more)
{
	struct vn_err err = { 0 };
	VN_AUTO_JSON *root = NULL;
	VN_AUTO(vn_buf) text = VN_BUF(1 << 20);
	size_t i = place_find(at, &at->root.digest);
	CHECK_OK(vn_json_parse(at->at[i].bytes, at->at[i].len, "manifest", &root, &err), &err);
	struct vn_jv v = vn_jv_root(root, "manifest"), notes = vn_jv_get(&v, "annotations"), layers = vn_jv_get(&v, "layers");
	VN_AUTO_JSON *kept = vn_json_copy(notes.v), *list = vn_json_copy(layers.v), *extra = NULL;
	if (member)
		CHECK(vn_json_del(root, member));
	if (annotation)
		CHECK(vn_json_del(kept, annotation));
	if (more && vn_json_parse(more, strlen(more), "layer", &extra, &err) == 0)
		CHECK(vn_json_add(list, vn_steal(extra)));
	vn_json_set(root, "annotations", vn_steal(kept));
	vn_json_set(root, "layers", vn_steal(list));
	CHECK_OK(vn_json_text(root, false, &text, &err), &err);
	struct vn_digest digest = place_add(at, text.data, text.len);
	vn_desc_release(&at->root);
	CHECK_OK(vn_desc_init(&at->root, VN_MT_OCI_MANIFEST, &digest, (int64_t)text.len, &err), &err);
}

/* As containers/oci-delta writes them: no media type, the source perhaps by its configuration alone, parts that nobody knows. */
static void test_other_tools(void)
{
	static const char signature[] = "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":"
		"\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,"
		"\"annotations\":{\"io.github.containers.delta.content\":\"cosign-signature\"}}";
	static const struct {
		const char *member, *annotation, *more;
		int opened;
	} list[] = {
		{ "mediaType", NULL, signature, 0 },
		{ "subject", NULL, NULL, 0 },
		{ NULL, "io.github.containers.delta.source", NULL, 0 },
		{ NULL, "io.github.containers.delta.target", NULL, 0 },
		{ "artifactType", NULL, NULL, -VN_EFORMAT },
	};
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct vn_err err = { 0 };
		struct built old, now;
		struct place at = { 0 }, to = { 0 };
		struct vn_ocidelta made = { 0 }, opened = { 0 }, other = { 0 };
		struct vn_ocidelta_applied applied = { 0 };
		struct vn_ocidelta_options o = options(1);
		struct vn_source *source;
		pair(&old, &now, PACK_GZIP_9);
		deliver(&old, &now, &o, &at, &source, &made, &opened);
		rewrite(&at, list[i].member, list[i].annotation, list[i].more);
		CHECK_EQ(vn_ocidelta_open(source, NULL, &other, &err), list[i].opened);
		if (list[i].opened == 0) {
			CHECK_OK(apply(&other, &old, &to, &applied, &err), &err);
			CHECK(applied.exact);
			check_whole(&now, &to);
			vn_desc_release(&applied.root);
			/* the other image is not what it starts from */
			CHECK_EQ(apply(&other, &now, &to, &applied, &err), -VN_EDIGEST);
		}
		vn_ocidelta_release(&made);
		vn_ocidelta_release(&opened);
		vn_ocidelta_release(&other);
		vn_source_close(source);
		place_empty(&at);
		place_empty(&to);
		built_close(&old);
		built_close(&now);
	}
}

static void test_wrong_images(void)
{
	struct vn_err err = { 0 };
	struct built old, now;
	struct place to = { 0 };
	struct vn_ocidelta made = { 0 };
	struct vn_ocidelta_applied applied = { 0 };
	struct vn_ocidelta_options o = options(0);
	pair(&old, &now, PACK_GZIP_9);
	CHECK_OK(vn_ocidelta_make(&old.image, &now.image, &o, &made, &err), &err);
	CHECK_EQ(apply(&made, &now, &to, &applied, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, old.image.desc.digest.text);
	CHECK_HAS(err.text, now.image.desc.digest.text);
	/* another target than the one that it makes */
	err = (struct vn_err){ 0 };
	made.target = old.image.desc.digest;
	CHECK_EQ(apply(&made, &old, &to, &applied, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, now.image.desc.digest.text);
	CHECK_EQ(to.puts + to.commits, 0);
	/* no delta at all */
	err = (struct vn_err){ 0 };
	struct vn_ocidelta none = { 0 };
	CHECK_EQ(vn_ocidelta_open(now.source, NULL, &none, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "no delta");
	vn_ocidelta_release(&made);
	place_empty(&to);
	built_close(&old);
	built_close(&now);
}

static int no_files(struct vn_ocidelta_parts *parts, const char *const *paths, size_t n, int fd, uint64_t at, uint64_t *ret_sizes,
		    uint64_t *ret_end, struct vn_err *err)
{
	(void)parts, (void)fd, (void)at, (void)ret_sizes, (void)ret_end;
	CHECK_EQ(n, 1);
	return vn_fail(err, VN_ENOTFOUND, "no file /%s", paths[0]);
}

/* The files come from elsewhere, and are not there; then too little memory. */
static void test_files_from_elsewhere(void)
{
	struct vn_err err = { 0 };
	struct built old, now;
	struct place to = { 0 };
	struct vn_ocidelta made = { 0 };
	struct vn_ocidelta_applied applied = { 0 };
	struct vn_ocidelta_options o = options(0);
	struct vn_sink *k = place_sink(&to);
	pair(&old, &now, PACK_GZIP_9);
	CHECK_OK(vn_ocidelta_make(&old.image, &now.image, &o, &made, &err), &err);
	struct vn_ocidelta_parts parts = { &old.image, no_files };
	CHECK_EQ(vn_ocidelta_apply_parts(&made, &parts, NULL, k, &applied, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "no file /app/models/net-v1.onnx");
	err = (struct vn_err){ 0 };
	struct vn_delta_apply_options little = { .memory = 1000 };
	CHECK_EQ(vn_ocidelta_apply(&made, &old.image, &fixture_options, &little, k, &applied, &err), -VN_ELIMIT);
	CHECK_EQ(to.puts + to.commits, 0);
	vn_sink_close(k);
	vn_ocidelta_release(&made);
	place_empty(&to);
	built_close(&old);
	built_close(&now);
}

/* Every byte of a bundle turned over, with nothing in front that would compare it: an error of the right kind, nothing written. */
static void test_damage(void)
{
	struct vn_err err = { 0 };
	struct built old, now;
	struct place to = { 0 };
	struct vn_ocidelta made = { 0 };
	struct vn_ocidelta_applied applied = { 0 };
	struct vn_ocidelta_options o = options(0);
	pair(&old, &now, PACK_GZIP_9);
	CHECK_OK(vn_ocidelta_make(&old.image, &now.image, &o, &made, &err), &err);
	int fd = made.blobs[0].tmp.fd, wrong = 0;
	for (int64_t i = 0; i < made.blobs[0].desc.size; i += i < 400 ? 1 : 211) {
		uint8_t byte, turned;
		CHECK_EQ(pread(fd, &byte, 1, (off_t)i), 1);
		turned = (uint8_t)(byte ^ (1 << i % 8));
		CHECK_EQ(pwrite(fd, &turned, 1, (off_t)i), 1);
		err = (struct vn_err){ 0 };
		int r = apply(&made, &old, &to, &applied, &err);
		wrong += r != -VN_EDIGEST && r != -VN_EUNSAFE && r != -VN_ELIMIT;
		if (r != -VN_EDIGEST && r != -VN_EUNSAFE && r != -VN_ELIMIT)
			printf("# byte %lld: code %d, %s\n", (long long)i, -r, err.text);
		if (r == 0)
			vn_desc_release(&applied.root);
		CHECK_EQ(pwrite(fd, &byte, 1, (off_t)i), 1);
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(to.puts + to.commits, 0);
	CHECK_OK(apply(&made, &old, &to, &applied, &err), &err);
	CHECK_EQ(to.commits, 1);
	vn_desc_release(&applied.root);
	vn_ocidelta_release(&made);
	place_empty(&to);
	built_close(&old);
	built_close(&now);
}

static void test_tag(void)
{
	struct vn_err err = { 0 };
	struct vn_digest a = { "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	struct vn_digest b = { "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" };
	char tag[VN_OCIDELTA_TAG];
	CHECK_OK(vn_ocidelta_tag(&a, &b, tag, &err), &err);
	/* printf 'sha256:aa…\nsha256:bb…' | sha256sum */
	CHECK_STR(tag, "delta-4ab61be5d46a66e7f659b66144d4bead");
	CHECK(vn_tag_valid(tag));
}

int main(void)
{
	RUN(test_round_trip);
	RUN(test_for_other_tools);
	RUN(test_document);
	RUN(test_inline_needs_no_blob);
	RUN(test_packed_anew);
	RUN(test_same_tar);
	RUN(test_original);
	RUN(test_other_tools);
	RUN(test_wrong_images);
	RUN(test_files_from_elsewhere);
	RUN(test_damage);
	RUN(test_tag);
	return vn_test_end();
}
