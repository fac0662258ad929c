#include "engine/image_fixture.h"

#define NEW "edge.example.io/app:veneer-1"
#define PROD "edge.example.io/app:prod"

static struct vn_engine *open_engine(void)
{
	struct vn_err err = { 0 };
	struct vn_engine *e = NULL;
	CHECK_OK(vn_engine_open("oci", below("store"), NULL, NULL, &e, &err), &err);
	return e;
}

static void check_held(struct vn_engine *e, const char *name, const struct made *want)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_held) held = { 0 };
	CHECK_OK(e->ops->look(e, name, &held, &err), &err);
	CHECK_STR(held.image.text, want->image.manifest.config.digest.text);
	CHECK_STR(held.manifest.text, want->image.desc.digest.text);
	CHECK_EQ(held.ndiff_ids, want->image.nlayers);
	for (size_t i = 0; i < held.ndiff_ids; i++)
		CHECK_STR(held.diff_ids[i].text, want->image.config.diff_ids[i].text);
}

static void test_life(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE old = { 0 }, new = { 0 };
	VN_AUTO(vn_held) held = { 0 };
	VN_AUTO_FREE char *handle = NULL;
	size_t present = 9;
	fixture_begin();
	AUTO_ENGINE *e = open_engine();
	CHECK_EQ(e->ops->look(e, PROD, &held, &err), -VN_ENOTFOUND);
	CHECK_OK(e->ops->forget(e, PROD, &err), &err);
	make_image("store", "f a 1|f b 2", "1", &old);
	make_image("store", "f a 1|f b 2|f c 3", "2", &new);
	CHECK(e->ops->files == NULL);
	CHECK_STR(e->ops->data(e), below("store"));
	CHECK_OK(e->ops->layers(e, &new.image.manifest, &new.image.config, &present, &err), &err);
	CHECK_EQ(present, 3);
	struct vn_incoming first = incoming(&old, 0, PROD), in = incoming(&new, 2, NEW);
	CHECK_OK(e->ops->load(e, &first, &err), &err);
	CHECK_OK(e->ops->load(e, &in, &err), &err);
	CHECK_OK(e->ops->load(e, &in, &err), &err);
	CHECK_OK(e->ops->prove(e, &in, true, &err), &err);
	CHECK_OK(e->ops->sync(e, &err), &err);
	check_held(e, PROD, &old);
	check_held(e, NEW, &new);
	check_held(e, new.image.manifest.config.digest.text, &new);
	check_held(e, old.image.desc.digest.text, &old);
	char by_digest[200];
	snprintf(by_digest, sizeof(by_digest), "edge.example.io/app@%s", new.image.desc.digest.text);
	check_held(e, by_digest, &new);
	CHECK_OK(e->ops->name_as(e, NEW, PROD, &err), &err);
	check_held(e, PROD, &new);
	CHECK_OK(e->ops->handle(e, PROD, &handle, &err), &err);
	CHECK(!strncmp(handle, below("store"), strlen(below("store"))));
	CHECK_STR(handle + strlen(below("store")), ":prod");
	CHECK_OK(e->ops->forget(e, NEW, &err), &err);
	CHECK_OK(e->ops->forget(e, NEW, &err), &err);
	CHECK_EQ(e->ops->look(e, NEW, &held, &err), -VN_ENOTFOUND);
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_ENOTFOUND);
	CHECK_EQ(e->ops->name_as(e, NEW, PROD, &err), -VN_ENOTFOUND);
	check_held(e, PROD, &new);
	fixture_end();
}

static void test_damage(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE m = { 0 }, other = { 0 };
	size_t present = 9;
	fixture_begin();
	make_image("store", "f a 1|f b 2|f c 3", "1", &m);
	make_image("store", "f a 1", "2", &other);
	AUTO_ENGINE *e = open_engine();
	struct vn_incoming in = incoming(&m, 0, NEW), wrong = incoming(&other, 0, NEW);
	CHECK_OK(e->ops->load(e, &in, &err), &err);
	CHECK_EQ(e->ops->prove(e, &wrong, false, &err), -VN_EDIGEST);
	/* bytes of the same number are only seen by who reads them */
	VN_AUTO(vn_buf) bytes = VN_BUF(1 << 20);
	CHECK_OK(vn_fs_read(layer_file("store", &m, 1), &bytes, &err), &err);
	bytes.data[600] ^= 1;
	CHECK_OK(vn_fs_replace(layer_file("store", &m, 1), bytes.data, bytes.len, 0644, &err), &err);
	CHECK_OK(e->ops->prove(e, &in, false, &err), &err);
	CHECK_EQ(e->ops->prove(e, &in, true, &err), -VN_EDIGEST);
	CHECK_OK(vn_fs_replace(layer_file("store", &m, 1), bytes.data, bytes.len - 1, 0644, &err), &err);
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_EDIGEST);
	CHECK_OK(e->ops->layers(e, &m.image.manifest, &m.image.config, &present, &err), &err);
	CHECK_EQ(present, 1);
	CHECK_EQ(e->ops->load(e, &in, &err), -VN_EIO);
	CHECK_HAS(err.text, "missing");
	fixture_end();
}

static void test_discard(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE old = { 0 }, new = { 0 };
	VN_AUTO(vn_held) held = { 0 };
	fixture_begin();
	make_image("store", "f a 1|f b 2", "1", &old);
	make_image("store", "f a 1|f c 3|f b 2", "2", &new);
	AUTO_ENGINE *e = open_engine();
	struct vn_incoming first = incoming(&old, 0, PROD), in = incoming(&new, 1, NEW);
	CHECK_OK(e->ops->load(e, &first, &err), &err);
	CHECK_OK(e->ops->load(e, &in, &err), &err);
	/* the entry that the image was put under */
	CHECK_OK(e->ops->forget(e, "edge.example.io/app:made", &err), &err);
	CHECK_OK(e->ops->discard(e, &in, &err), &err);
	CHECK_OK(e->ops->discard(e, &in, &err), &err);
	CHECK_EQ(e->ops->look(e, NEW, &held, &err), -VN_ENOTFOUND);
	CHECK(vn_fs_exists(layer_file("store", &new, 0)));
	CHECK(!vn_fs_exists(layer_file("store", &new, 1)));
	CHECK(vn_fs_exists(layer_file("store", &new, 2)));
	check_held(e, PROD, &old);
	fixture_end();
}

static void test_refused(void)
{
	struct vn_err err = { 0 };
	struct vn_engine *none = NULL;
	VN_AUTO(vn_held) held = { 0 };
	char *text = NULL;
	fixture_begin();
	AUTO_ENGINE *e = open_engine();
	CHECK_EQ(vn_engine_oci_open("", NULL, &none, &err), -VN_EUSAGE);
	CHECK_EQ(vn_engine_oci_open("a:b", NULL, &none, &err), -VN_EUSAGE);
	CHECK_HAS(err.text, "':'");
	CHECK_EQ(e->ops->handle(e, "edge.example.io/app@sha256:zz", &text, &err), -VN_EUSAGE);
	CHECK_EQ(e->ops->look(e, "oci:x:y", &held, &err), -VN_EUSAGE);
	fixture_end();
}

int main(void)
{
	RUN(test_life);
	RUN(test_damage);
	RUN(test_discard);
	RUN(test_refused);
	return vn_test_end();
}
