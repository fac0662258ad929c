#include "diff/sentence.h"
#include "util/test.h"
#include <stdlib.h>

/* A diff with just what the sentence looks at. */
struct situation {
	struct vn_diff d;
	struct vn_image image;
	struct vn_file_change files[4];
	struct vn_package_change packages[4];
};

static void add(struct situation *s, enum vn_class c, uint64_t size)
{
	struct vn_file_change *f = &s->files[s->d.files.n++];
	*f = (struct vn_file_change){ .path = "/x", .class_ = c, .layer = 1, .new_ = { .present = size > 0, .type = '-', .size = size } };
	s->d.summary.class_files[c]++;
}

static void expect(struct situation *s, const char *sentence)
{
	struct vn_err err = { 0 };
	const char *text = NULL;
	struct vn_layer_index none = VN_LAYER_INDEX;
	struct vn_image_layer layer = { .step = "" };
	s->image.nlayers = 1;
	s->image.layers = &layer;
	s->d.trees.new_.image = &s->image;
	s->d.trees.new_.layers = &none;
	s->d.files.list = s->files;
	s->d.packages = s->packages;
	for (int c = 0; c < VN_CLASSES; c++)
		if (vn_class_is_real((enum vn_class)c))
			s->d.summary.payload_bytes += vn_diff_class_share(&s->d, (enum vn_class)c);
	CHECK_OK(vn_diff_sentence(&s->d, &text, &err), &err);
	CHECK_STR(text, sentence);
	vn_arena_release(&s->d.arena);
	memset(s, 0, sizeof(*s));
}

static void test_same(void)
{
	struct situation s = { .d.summary = { .same = true, .identical = true } };
	expect(&s, "They are one and the same image.");
	s.d.summary.same = true;
	expect(&s, "They are the same: nothing would be pulled but the configuration.");
	s.d.summary.same = true;
	s.d.summary.pull_bytes = 393200000;
	expect(&s, "They are the same: 393.2 MB would be pulled, all of it build noise.");
}

static void test_differ(void)
{
	struct situation s = { .d.summary = { .same = false } };
	expect(&s, "No layer would be pulled: the configuration alone differs.");
	s.d.summary.pull_bytes = 1000;
	add(&s, VN_CLASS_OTHER, 0);
	s.d.summary.payload_bytes = 1000;
	expect(&s, "1.0 kB would be pulled: other files without new content.");
	s.d.summary.pull_bytes = 393200000;
	add(&s, VN_CLASS_MODEL, 30900);
	expect(&s, "393.2 MB would be pulled: 393.2 MB differ only in build noise, 31.0 kB is your model.");
	s.d.summary.pull_bytes = 2000000;
	add(&s, VN_CLASS_MODEL, 999900);
	add(&s, VN_CLASS_SCORE, 900);
	add(&s, VN_CLASS_CONFIG, 1900);
	s.d.summary.payload_bytes = 0;
	expect(&s, "2.0 MB would be pulled: 997.0 kB differ only in build noise, 1.0 MB is your model, "
		   "1.0 kB is your score script, 2.0 kB is settings.");
}

static void test_packages(void)
{
	struct situation s = { .d.summary = { .pull_bytes = 1000000 } };
	add(&s, VN_CLASS_DEPENDENCY, 999900);
	s.packages[0] = (struct vn_package_change){ "dpkg", "curl", "", NULL, "7" };
	s.packages[1] = (struct vn_package_change){ "dpkg", "zlib", "", "1", "2" };
	s.packages[2] = (struct vn_package_change){ "dpkg", "yaml", "", "1", NULL };
	s.d.npackages = 3;
	expect(&s, "1.0 MB would be pulled: 1.0 MB is dependencies (curl 7 added, zlib 1 → 2 and 1 more).");
	s.d.summary.pull_bytes = 1000000;
	add(&s, VN_CLASS_DEPENDENCY, 999900);
	s.packages[0] = (struct vn_package_change){ "dpkg", "yaml", "", "1", NULL };
	s.d.npackages = 1;
	expect(&s, "1.0 MB would be pulled: 1.0 MB is dependencies (yaml removed).");
}

int main(void)
{
	RUN(test_same);
	RUN(test_differ);
	RUN(test_packages);
	return vn_test_end();
}
