#include "ocidelta/files.h"
#include "ocidelta/fixture.h"
#include "ocidelta/pick.h"

static char filler[200];

/* Layers as lines of text (layer/fixture.h), the lowest first, separated by '|'; "F PATH N" is a file of N bytes. */
static void add_line(struct pen *p, const char *line)
{
	char path[100];
	const char *size = strrchr(line, ' ');
	if (line[0] == 'F') {
		snprintf(path, sizeof(path), "%.*s", (int)(size - line - 2), line + 2);
		pen_file(p, path, filler, (size_t)strtoul(size, NULL, 10));
	} else
		pen_text(p, line);
}

static void build(struct built *b, const char *name, const char *text)
{
	char copy[1000], *rest = copy, *layer, *line;
	memset(b, 0, sizeof(*b));
	snprintf(copy, sizeof(copy), "%s", text);
	while ((layer = strsep(&rest, "|"))) {
		struct pen p;
		pen_open(&p);
		while ((line = strsep(&layer, ";")))
			add_line(&p, line + strspn(line, " "));
		pen_close(&p);
		built_layer(b, PACK_PLAIN, &p.bytes);
		vn_buf_release(&p.bytes);
	}
	built_open(b, name);
}

/* What the files hold, in the order of `paths` (NULL-ended); or the error. */
static int read_text(struct built *b, const char *const *paths, char ret[200], struct vn_err *err)
{
	struct vn_image_files f;
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	uint64_t end = 0;
	size_t n = 0;
	*err = (struct vn_err){ 0 };
	while (paths[n])
		n++;
	CHECK_OK(vn_tmp_anonymous(&tmp, err), err);
	CHECK_OK(vn_image_files_open(&b->image, &fixture_options, &f, err), err);
	int r = vn_image_files_read(&f, paths, n, tmp.fd, 0, NULL, &end, err);
	if (r == 0)
		CHECK_EQ(pread(tmp.fd, ret, 199, 0), (long long)end);
	ret[end < 199 ? end : 199] = 0;
	vn_image_files_release(&f);
	return r;
}

static void test_top_layer_counts(void)
{
	struct built b;
	struct vn_err err;
	char text[200];
	build(&b, "oci:/a:1", "f a one; f b two; d d; f d/x deep|f a three; h c b|d e; h e/l a; f f |h g c; w d/x");
	CHECK_OK(read_text(&b, (const char *const[]){ "a", "b", NULL }, text, &err), &err);
	CHECK_STR(text, "threetwo");
	/* links to lower layers, one after the other; in any order; an empty file */
	CHECK_OK(read_text(&b, (const char *const[]){ "g", "e/l", "f", "c", "b", NULL }, text, &err), &err);
	CHECK_STR(text, "twothreetwotwo");
	CHECK_EQ(read_text(&b, (const char *const[]){ "a", "d/x", NULL }, text, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "/d/x");
	CHECK_EQ(read_text(&b, (const char *const[]){ "none", NULL }, text, &err), -VN_ENOTFOUND);
	CHECK_EQ(read_text(&b, (const char *const[]){ "e", NULL }, text, &err), -VN_ENOTFOUND);
	built_close(&b);
}

/* Hard links of one layer: the tar has the contents under one of the names only. */
static void test_linked(void)
{
	struct built b;
	struct vn_err err;
	char text[200];
	build(&b, "oci:/a:1", "f a one; h b a; h c a");
	CHECK_OK(read_text(&b, (const char *const[]){ "c", "b", "a", NULL }, text, &err), &err);
	CHECK_STR(text, "oneoneone");
	built_close(&b);
}

/* Lower layers are not even looked at when the upper ones have everything. */
static void test_no_deeper_than_needed(void)
{
	struct built b;
	struct vn_image_files f;
	struct vn_err err = { 0 };
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	const char *path = "m";
	uint64_t end = 0, size = 0;
	build(&b, "oci:/a:1", "f big base|f m model");
	CHECK_OK(vn_tmp_anonymous(&tmp, &err), &err);
	CHECK_OK(vn_image_files_open(&b.image, &fixture_options, &f, &err), &err);
	CHECK_OK(vn_image_files_read(&f, &path, 1, tmp.fd, 7, &size, &end, &err), &err);
	CHECK_EQ(size, 5);
	CHECK_EQ(end, 12);
	CHECK_EQ(f.layers[0].fd, -1);
	CHECK(f.layers[1].fd >= 0);
	vn_image_files_release(&f);
	built_close(&b);
}

static void check_pick(const char *old_text, const char *new_text, const char *path, const char *source)
{
	struct built a, b;
	struct vn_image_files old, now;
	struct vn_picks picks = { 0 };
	struct vn_err err = { 0 };
	size_t last;
	build(&a, "oci:/a:1", old_text);
	build(&b, "oci:/b:1", new_text);
	last = b.image.nlayers - 1;
	CHECK_OK(vn_image_files_open(&a.image, &fixture_options, &old, &err), &err);
	CHECK_OK(vn_image_files_open(&b.image, &fixture_options, &now, &err), &err);
	CHECK_OK(vn_picks_make(&old, &now, &last, 1, &picks, &err), &err);
	const struct vn_pick *pick = vn_pick_find(&picks, path);
	CHECK(pick != NULL || !source);
	if (pick && source)
		CHECK_STR(pick->source, source);
	CHECK(source || !pick || !pick->source);
	CHECK_EQ(picks.nsources, source != NULL);
	vn_picks_release(&picks);
	vn_image_files_release(&old);
	vn_image_files_release(&now);
	built_close(&a);
	built_close(&b);
}

static void test_pick(void)
{
	/* the same path, even beside one of the same size */
	check_pick("F a/m.onnx 90; F b/m.onnx 100", "F a/m.onnx 100", "a/m.onnx", "a/m.onnx");
	/* the same name, in the nearest directory */
	check_pick("F x/lib/m.py 100; F usr/3.11/lib/m.py 70", "F usr/3.12/lib/m.py 100", "usr/3.12/lib/m.py", "usr/3.11/lib/m.py");
	check_pick("F a/x.py 100; F b/c/x.py 100", "F b/d/x.py 100", "b/d/x.py", "b/c/x.py");
	/* a model of another name: kind, directory, size */
	check_pick("F m/v1.onnx 100; F m/v1.tflite 120; F z/w.onnx 120", "F m/v2.onnx 120", "m/v2.onnx", "m/v1.onnx");
	check_pick("F m/big.onnx 180; F m/small.onnx 80", "F m/new.onnx 170", "m/new.onnx", "m/big.onnx");
	/* no model, no other name */
	check_pick("F m/a.txt 100", "F m/b.txt 100", "m/b.txt", NULL);
	/* not worth a path */
	check_pick("F a 100", "F a 63", "a", NULL);
	check_pick("F a 63", "F a 100", "a", NULL);
	/* hidden, and a directory by now */
	check_pick("F a 100|w a", "F a 100", "a", NULL);
	check_pick("F a 100|d a", "F a 100", "a", NULL);
	/* a hard link stands for its first path */
	check_pick("F b 100; h c b", "F c 100", "c", "b");
}

/* The base is not indexed when the layers above have every file; a whiteout above it is no file. */
static void test_pick_from_the_top(void)
{
	for (int whole = 0; whole < 2; whole++) {
		struct built a, b;
		struct vn_image_files old, now;
		struct vn_picks picks = { 0 };
		struct vn_err err = { 0 };
		size_t zero = 0;
		build(&a, "oci:/a:1", "F base 100; F m 70|F x 100; F gone 100|F m 80; w gone");
		build(&b, "oci:/b:1", whole ? "F m 90; F x 100; F gone 90" : "F m 90; F x 100");
		CHECK_OK(vn_image_files_open(&a.image, &fixture_options, &old, &err), &err);
		CHECK_OK(vn_image_files_open(&b.image, &fixture_options, &now, &err), &err);
		CHECK_OK(vn_picks_make(&old, &now, &zero, 1, &picks, &err), &err);
		CHECK_EQ(picks.nsources, 2);
		CHECK_STR(vn_pick_find(&picks, "m")->source, "m");
		CHECK_STR(vn_pick_find(&picks, "x")->source, "x");
		CHECK_EQ(old.layers[0].fd >= 0, whole);
		CHECK(!whole || !vn_pick_find(&picks, "gone")->source);
		vn_picks_release(&picks);
		vn_image_files_release(&old);
		vn_image_files_release(&now);
		built_close(&a);
		built_close(&b);
	}
}

int main(void)
{
	memset(filler, 'x', sizeof(filler));
	RUN(test_top_layer_counts);
	RUN(test_linked);
	RUN(test_no_deeper_than_needed);
	RUN(test_pick);
	RUN(test_pick_from_the_top);
	return vn_test_end();
}
