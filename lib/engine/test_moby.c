#include "engine/device_fixture.h"
#include "engine/fake_docker.h"

#define NAME "edge.example.io/app:veneer-0123456789ab"
#define IMAGES "/images/edge.example.io/app:veneer-0123456789ab"
#define INFO { "GET /info", 200, "{\"Driver\":\"overlay2\",\"DockerRootDir\":\"/nowhere\"}", 0 }
#define SWEEP { "GET /containers/json", 200, "[]", 0 }
#define CREATE { "POST /containers/create", 201, "{\"Id\":\"c1\"}", 0 }
#define REMOVE { "DELETE /containers/", 204, "", 0 }

static struct vn_engine *e;

static void begin(const struct answer *answers)
{
	struct vn_err err = { 0 };
	fixture_begin();
	engine_begin(test_dir, answers);
	CHECK_OK(vn_engine_open("moby", getenv("DOCKER_HOST"), test_dir, NULL, &e, &err), &err);
}

static void end(void)
{
	vn_engine_close(e);
	engine_end();
	fixture_end();
}

/* What an engine shows of an image. */
static void show(const struct made *m, char out[2048])
{
	int n = snprintf(out, 2048, "{\"Id\":\"%s\",\"RepoDigests\":[\"other/app@%s\",\"edge.example.io/app@%s\"],\"RootFS\":{\"Layers\":[",
			 m->image.manifest.config.digest.text, m->digest[0].text, m->image.desc.digest.text);
	for (size_t i = 0; i < m->n; i++)
		n += snprintf(out + n, 2048 - (size_t)n, "%s\"%s\"", i ? "," : "", m->digest[i].text);
	snprintf(out + n, 2048 - (size_t)n, "]}}");
}

static void test_look(void)
{
	struct vn_err err = { 0 };
	struct made m;
	char text[2048];
	VN_AUTO(vn_held) held = { 0 }, none = { 0 };
	made_open(&m, "f a base|f b top");
	show(&m, text);
	const struct answer answers[] = { { "GET /images/edge.example.io/app:prod/json", 200, text, 0 },
					  { "GET /images/docker.io/library/app:latest/json", 200, "{\"Id\":\"nonsense\"}", 0 },
					  { "GET /images/docker.io/library/list:latest/json", 200, "[]", 0 }, { 0 } };
	begin(answers);
	CHECK_OK(e->ops->look(e, "edge.example.io/app:prod", &held, &err), &err);
	CHECK_STR(held.image.text, m.image.manifest.config.digest.text);
	CHECK_STR(held.manifest.text, m.image.desc.digest.text);
	CHECK_EQ(held.ndiff_ids, 2);
	CHECK_STR(held.ndiff_ids == 2 ? held.diff_ids[1].text : "", m.digest[1].text);
	CHECK_EQ(e->ops->look(e, "edge.example.io/app:none", &none, &err), -VN_ENOTFOUND);
	CHECK_EQ(e->ops->look(e, "app", &none, &err), -VN_EFORMAT);
	CHECK_EQ(e->ops->look(e, "list", &none, &err), -VN_EFORMAT);
	CHECK_EQ(e->ops->look(e, "No Name", &none, &err), -VN_EUSAGE);
	end();
	made_release(&m);
	CHECK_OK(vn_engine_open(NULL, "/nonexistent/sock", "/tmp", NULL, &e, &err), &err);
	CHECK_EQ(e->ops->look(e, "app", &none, &err), -VN_ENETWORK);
	vn_engine_close(e);
	CHECK_EQ(vn_engine_open("lxc", NULL, "/tmp", NULL, &e, &err), -VN_EUSAGE);
	CHECK_HAS(err.hint, "podman");
}

static void test_load(void)
{
	struct vn_err err = { 0 };
	struct made m;
	char text[2048];
	made_open(&m, "f a base|f b top");
	m.lost = 1;
	show(&m, text);
	struct answer answers[] = { SWEEP, { "POST /images/load", 200, "{\"stream\":\"Loaded image: x\\n\"}\r\n", 0 },
				    { "GET " IMAGES "/json", 200, text, 0 }, CREATE, REMOVE, { 0 } };
	const struct vn_incoming in = { &m.image, 1, NAME };
	begin(answers);
	CHECK_OK(e->ops->load(e, &in, &err), &err);
	CHECK(memmem(engine.loaded, engine.nloaded, "b", 1) != NULL);
	CHECK_HAS(engine.log, "POST /containers/create");
	CHECK_HAS(engine.log, "DELETE /containers/c1?force=1&v=1");
	CHECK_HAS(engine.posted, test_dir);
	CHECK_HAS(engine.posted, "dev.veneer.pull");
	/* it says that it took it, and shows nothing or another image */
	answers[2].status = 404;
	CHECK_EQ(e->ops->load(e, &in, &err), -VN_EIO);
	answers[2].status = 200;
	answers[2].body = "{\"Id\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}";
	CHECK_EQ(e->ops->load(e, &in, &err), -VN_EIO);
	answers[1].body = "{\"error\":\"no space left\"}\r\n";
	CHECK_EQ(e->ops->load(e, &in, &err), -VN_EIO);
	CHECK_HAS(err.text, "no space left");
	end();
	made_release(&m);
}

static void test_prove(void)
{
	struct vn_err err = { 0 };
	struct made m, other;
	char text[2048], wrong[2048];
	made_open(&m, "f a base|f b top");
	made_open(&other, "f a base|f b other");
	show(&m, text);
	show(&other, wrong);
	struct answer answers[] = { SWEEP, { "GET " IMAGES "/json", 200, text, 0 }, CREATE, REMOVE, { 0 } };
	const struct vn_incoming in = { &m.image, 1, NAME };
	begin(answers);
	CHECK_OK(e->ops->prove(e, &in, false, &err), &err);
	answers[1].body = wrong;
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_EDIGEST);
	answers[1].status = 404;
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_ENOTFOUND);
	answers[1] = (struct answer){ "GET " IMAGES "/json", 200, text, 0 };
	answers[2].status = 500;
	answers[2].body = "{\"message\":\"layer is gone\"}";
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "layer is gone");
	end();
	made_release(&m);
	made_release(&other);
}

/* The engine's tree as its export: a file of its own in place of etc/hosts, and whatever else. */
static int deep(const struct made *m, const char *tree, struct vn_err *err)
{
	char text[2048];
	struct pen export, single;
	show(m, text);
	pen_layer(tree, strlen(tree), &export);
	pen_layer("f q top", 7, &single);
	const struct answer answers[] = { SWEEP, { "GET " IMAGES "/json", 200, text, 0 }, CREATE, REMOVE,
					  { "GET /containers/c1/export", 200, export.bytes.data, export.bytes.len },
					  { "GET /containers/c1/archive?path=/q", 200, single.bytes.data, single.bytes.len }, { 0 } };
	const struct vn_incoming in = { &m->image, 1, NAME };
	begin(answers);
	int rc = e->ops->prove(e, &in, true, err);
	end();
	vn_buf_release(&export.bytes);
	vn_buf_release(&single.bytes);
	return rc;
}

static void test_deep(void)
{
	struct vn_err err = { 0 };
	struct made m;
	made_open(&m, "f base old; f d/gone x|f top new; f etc/hosts theirs; f q top; h q2 q; f base newer|f base newest; w d");
	const char *good = "f base newest; f top new; f etc/hosts ; h q a; f q2 top";
	CHECK_OK(deep(&m, good, &err), &err);
	CHECK_EQ(deep(&m, "f base newest; f top ; f q top; h q2 q", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "/top has 0 bytes instead of 3");
	CHECK_EQ(deep(&m, "f base newer; f top new; f q top; h q2 q", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "/base");
	CHECK_EQ(deep(&m, "f base newest; f top neW; f q top; h q2 q", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "other contents");
	CHECK_EQ(deep(&m, "f base newest; f q top; h q2 q", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "/top is missing");
	made_release(&m);
}

/* `says`: an error instead of the archive. */
static int reread(const struct made *m, const char *last, const char *says, struct vn_err *err)
{
	char text[2048];
	struct pen archive;
	show(m, text);
	made_archive(m, last, &archive);
	const struct answer answers[] = { { "GET " IMAGES "/json", 200, text, 0 },
					  { "GET " IMAGES "/get", says ? 500 : 200, says ? says : archive.bytes.data,
					    says ? strlen(says) : archive.bytes.len }, INFO, { 0 } };
	*err = (struct vn_err){ 0 };
	begin(answers);
	int rc = e->ops->reread(e, NAME, err);
	end();
	vn_buf_release(&archive.bytes);
	return rc;
}

static void test_reread(void)
{
	struct vn_err err = { 0 };
	struct made m;
	made_open(&m, "f a base|f b top");
	CHECK_OK(reread(&m, NULL, NULL, &err), &err);
	CHECK_EQ(reread(&m, "other", NULL, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "layer 2 of " NAME " is not what it was");
	CHECK_EQ(reread(&m, NULL, "{\"message\":\"file integrity checksum failed for \\\"a\\\"\"}", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "cannot give " NAME " back as it was");
	CHECK_HAS(err.text, "checksum failed for \"a\"");
	made_release(&m);
}

static int read_files(const char *const *paths, size_t n, char *out, size_t room, struct vn_err *err)
{
	struct vn_digest image;
	uint64_t sizes[16], stop = 0;
	VN_AUTO_CLOSE int fd = open(below("files"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK_OK(vn_digest_of("x", 1, &image, err), err);
	int rc = e->ops->files(e, &image, paths, n, fd, 2, sizes, &stop, err);
	ssize_t got = pread(fd, out, room - 1, 2);
	out[got > 0 ? got : 0] = 0;
	CHECK(rc < 0 || stop == 2 + strlen(out));
	return rc;
}

static void test_files(void)
{
	struct vn_err err = { 0 };
	struct pen one, empty, folder, link, odd;
	char out[200];
	pen_layer("f a first", 9, &one);
	pen_layer("", 0, &empty);
	pen_layer("d k; f k/a A; f k/b B; h k/c b; f k/d/e E; f k/x X; l k/l a", 59, &folder);
	pen_layer("f c C", 5, &link);
	pen_layer("d k; f k/odd odd", 16, &odd);
	struct answer answers[] = { { "GET /containers/json?all=1", 200, "[{\"Id\":\"stale\"}]", 0 }, CREATE, REMOVE,
				    { "GET /containers/c1/archive?path=/k/a ", 200, one.bytes.data, one.bytes.len },
				    { "GET /containers/c1/archive?path=/k/c ", 200, link.bytes.data, link.bytes.len },
				    { "GET /containers/c1/archive?path=/k/odd ", 200, empty.bytes.data, empty.bytes.len },
				    { "GET /containers/c1/archive?path=/k ", 200, folder.bytes.data, folder.bytes.len }, { 0 } };
	static const char *const two[] = { "k/a", "k/a" }, *const none[] = { "k/none" }, *const strange[] = { "k/odd" },
			  *const many[] = { "k/x", "k/d/e", "k/b", "k/c", "k/a" }, *const less[] = { "k/x", "k/d/e", "k/b", "k/l", "k/a" };
	begin(answers);
	CHECK_OK(read_files(two, 2, out, sizeof(out), &err), &err);
	CHECK_STR(out, "firstfirst");
	CHECK_HAS(engine.log, "DELETE /containers/stale");
	CHECK_HAS(engine.log, "DELETE /containers/c1");
	CHECK_EQ(read_files(none, 1, out, sizeof(out), &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, "/k/none");
	CHECK_OK(read_files(many, 5, out, sizeof(out), &err), &err);
	CHECK_STR(out, "XEBCA");
	CHECK_EQ(read_files(less, 5, out, sizeof(out), &err), -VN_ENOTFOUND);
	answers[6].body = odd.bytes.data;
	answers[6].len = odd.bytes.len;
	CHECK_OK(read_files(strange, 1, out, sizeof(out), &err), &err);
	CHECK_STR(out, "odd");
	answers[3].len = 700;
	CHECK(read_files(two, 2, out, sizeof(out), &err) < 0);
	end();
	vn_buf_release(&one.bytes);
	vn_buf_release(&empty.bytes);
	vn_buf_release(&folder.bytes);
	vn_buf_release(&link.bytes);
	vn_buf_release(&odd.bytes);
}

static void test_names(void)
{
	struct vn_err err = { 0 };
	VN_AUTO_FREE char *handle = NULL;
	struct answer answers[] = { SWEEP, { "POST " IMAGES "/tag?repo=edge.example.io/app&tag=prod", 201, "", 0 },
				    { "DELETE " IMAGES "?force=0", 409, "{\"message\":\"container c9 is using it\"}", 0 }, { 0 } };
	begin(answers);
	CHECK_OK(e->ops->name_as(e, NAME, "edge.example.io/app:prod", &err), &err);
	CHECK_EQ(e->ops->name_as(e, "edge.example.io/app:none", "edge.example.io/app:prod", &err), -VN_ENOTFOUND);
	CHECK_EQ(e->ops->forget(e, NAME, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "c9");
	answers[2].status = 200;
	answers[2].body = "[]";
	CHECK_OK(e->ops->forget(e, NAME, &err), &err);
	CHECK_OK(e->ops->forget(e, "edge.example.io/app:none", &err), &err);
	CHECK_OK(e->ops->handle(e, "edge.example.io/app:prod", &handle, &err), &err);
	CHECK_STR(handle, "edge.example.io/app:prod");
	end();
}

static void test_discard(void)
{
	struct vn_err err = { 0 };
	struct made m;
	char text[2048];
	size_t present = 9;
	made_open(&m, "f a base|f b top");
	show(&m, text);
	struct answer answers[] = { { "GET /containers/json?all=1&filters=%7B%22label", 200, "[]", 0 },
				    { "GET /containers/json?all=1&filters=%7B%22ancestor", 200, "[]", 0 },
				    { "DELETE /images/", 200, "[]", 0 }, INFO, { "GET /images/json", 200, "[]", 0 },
				    { "GET /images/sha256:other/json", 200, text, 0 }, { "GET /version", 200, "{}", 0 }, { 0 } };
	const struct vn_incoming in = { &m.image, 1, NAME };
	begin(answers);
	CHECK_OK(e->ops->layers(e, &m.image.manifest, &m.image.config, &present, &err), &err);
	CHECK_EQ(present, 0);
	CHECK_OK(e->ops->discard(e, &in, &err), &err);
	CHECK_HAS(engine.log, "DELETE " IMAGES "?force=1");
	CHECK_HAS(engine.log, m.image.manifest.config.digest.text);
	answers[4].body = "[{\"Id\":\"sha256:other\"}]";
	CHECK_EQ(e->ops->discard(e, &in, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "sha256:other");
	CHECK_OK(e->ops->layers(e, &m.image.manifest, &m.image.config, &present, &err), &err);
	CHECK_EQ(present, 2);
	answers[1].body = "[{\"Id\":\"c7\"}]";
	CHECK_EQ(e->ops->discard(e, &in, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "c7");
	CHECK(e->ops->data(e) == NULL);
	CHECK_OK(e->ops->sync(e, &err), &err);
	end();
	made_release(&m);
}

static void test_pin(void)
{
	struct vn_err err = { 0 };
	struct made m;
	VN_AUTO(vn_buf) config = VN_BUF(4096), manifest = VN_BUF(4096), none = VN_BUF(4096);
	VN_AUTO(vn_config) c = { 0 };
	VN_AUTO(vn_manifest) x = { 0 };
	struct vn_digest digest;
	made_open(&m, "f a base|f b top");
	CHECK_OK(vn_pin_image(&m.image, 1, &manifest, &config, &err), &err);
	CHECK_OK(vn_config_parse(config.data, config.len, &c, &err), &err);
	CHECK_OK(vn_manifest_parse(manifest.data, manifest.len, &x, &err), &err);
	CHECK_OK(vn_digest_of(config.data, config.len, &digest, &err), &err);
	CHECK_EQ(c.ndiff_ids, 1);
	CHECK_STR(c.diff_ids[0].text, m.digest[0].text);
	CHECK_STR(c.platform.architecture, "amd64");
	CHECK_HAS(config.data, "\"config\":{}");
	CHECK_EQ(x.nlayers, 1);
	CHECK_EQ(x.family, VN_FAMILY_OCI);
	CHECK_STR(x.layers[0].digest.text, m.digest[0].text);
	CHECK_STR(x.config.digest.text, digest.text);
	CHECK_EQ(vn_pin_image(&m.image, 0, &none, &none, &err), -VN_EUSAGE);
	CHECK_EQ(vn_pin_image(&m.image, 3, &none, &none, &err), -VN_EUSAGE);
	made_release(&m);
}

int main(void)
{
	RUN(test_look);
	RUN(test_load);
	RUN(test_prove);
	RUN(test_deep);
	RUN(test_reread);
	RUN(test_files);
	RUN(test_names);
	RUN(test_discard);
	RUN(test_pin);
	return vn_test_end();
}
