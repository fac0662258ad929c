#include "engine/image_fixture.h"
#include "engine/rootfs_dir.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define NEW "edge.example.io/app:veneer-1"
#define NEXT "edge.example.io/app:veneer-2"
#define PROD "edge.example.io/app:prod"

static struct vn_engine *open_engine(void)
{
	struct vn_err err = { 0 };
	struct vn_engine *e = NULL;
	CHECK_OK(vn_engine_open("rootfs", below("root"), NULL, NULL, &e, &err), &err);
	return e;
}

/* What the folder behind a link or path below the fixture shows. */
static const char *shows(const char *name)
{
	static struct vn_buf out = VN_BUF(1 << 20);
	vn_buf_clear(&out);
	VN_AUTO_CLOSE int fd = open(below(name), O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return "nothing";
	tell_dir(fd, "", &out);
	return vn_buf_text(&out);
}

/* Entries of DIR/trees: folders, lists and records, and whatever else. */
static size_t count(const char *name)
{
	size_t n = 0;
	DIR *d = opendir(below(name));
	for (const struct dirent *e; d && (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return n;
}

static int load(struct vn_engine *e, const struct made *m, size_t present, const char *name, struct vn_err *err)
{
	struct vn_incoming in = incoming(m, present, name);
	*err = (struct vn_err){ 0 };
	int rc = e->ops->load(e, &in, err);
	return rc < 0 ? rc : e->ops->prove(e, &in, true, err);
}

static void test_thin_update(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE old = { 0 }, thin = { 0 }, other = { 0 };
	struct stat a, b;
	size_t present = 9;
	fixture_begin();
	make_image("store", "d a; f a/x 1; f base 1|f model old", "1", &old);
	make_image("store", "d a; f a/x 1; f base 1|f model old|f model new; w a/x", "2", &thin);
	make_image("store", "d a; f a/x 1; f base 1|f model old|f model newer", "3", &other);
	AUTO_ENGINE *e = open_engine();
	VN_AUTO(vn_held) held = { 0 };
	CHECK_EQ(e->ops->look(e, PROD, &held, &err), -VN_ENOTFOUND);
	CHECK_OK(e->ops->layers(e, &old.image.manifest, &old.image.config, &present, &err), &err);
	CHECK_EQ(present, 0);
	CHECK_OK(load(e, &old, 0, NEW, &err), &err);
	CHECK_OK(e->ops->sync(e, &err), &err);
	CHECK_OK(e->ops->name_as(e, NEW, PROD, &err), &err);
	CHECK_STR(shows("root/current"), "d a, - a/x=1, - base=1, - model=old");
	CHECK_STR(shows("root/images/edge.example.io%2Fapp:prod"), "d a, - a/x=1, - base=1, - model=old");
	CHECK_OK(e->ops->look(e, PROD, &held, &err), &err);
	CHECK_STR(held.image.text, old.image.manifest.config.digest.text);
	CHECK_STR(held.manifest.text, old.image.desc.digest.text);
	CHECK_EQ(held.ndiff_ids, 2);

	/* the thin image needs its top layer only */
	CHECK_OK(e->ops->layers(e, &thin.image.manifest, &thin.image.config, &present, &err), &err);
	CHECK_EQ(present, 2);
	CHECK(unlink(layer_file("store", &thin, 0)) == 0 && unlink(layer_file("store", &thin, 1)) == 0);
	CHECK_OK(load(e, &thin, present, NEXT, &err), &err);
	CHECK_STR(shows("root/current"), "d a, - a/x=1, - base=1, - model=old");
	CHECK_OK(e->ops->name_as(e, NEXT, PROD, &err), &err);
	CHECK_STR(shows("root/current"), "d a, - base=1, - model=new");
	CHECK(stat(below("root/current/base"), &a) == 0 &&
	      stat(below("root/images/edge.example.io%2Fapp:veneer-1/base"), &b) == 0);
	CHECK_EQ(a.st_ino, b.st_ino);

	/* the old one is forgotten, and still what the next one starts from */
	CHECK_OK(e->ops->forget(e, NEW, &err), &err);
	CHECK_OK(e->ops->forget(e, NEW, &err), &err);
	CHECK_EQ(e->ops->look(e, NEW, &held, &err), -VN_ENOTFOUND);
	CHECK_EQ(e->ops->look(e, old.image.manifest.config.digest.text, &held, &err), -VN_ENOTFOUND);
	CHECK_EQ(count("root/trees"), 6);
	CHECK_OK(load(e, &other, 2, NEW, &err), &err);
	CHECK_OK(e->ops->name_as(e, NEW, PROD, &err), &err);
	CHECK_STR(shows("root/current"), "d a, - a/x=1, - base=1, - model=newer");
	CHECK_OK(e->ops->forget(e, NEXT, &err), &err);
	CHECK_EQ(count("root/trees"), 6);
	fixture_end();
}

static void test_prefixes(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE full = { 0 };
	fixture_begin();
	make_image("store", "f a 1|f b 2|f c 3; w a", "1", &full);
	AUTO_ENGINE *e = open_engine();
	/* all but the top layer stands there, too */
	CHECK_OK(load(e, &full, 0, NEW, &err), &err);
	CHECK_EQ(count("root/trees"), 6);
	CHECK_STR(shows("root/images/edge.example.io%2Fapp:veneer-1"), "- b=2, - c=3");
	/* a base that is said to be there must be */
	CHECK_OK(e->ops->forget(e, NEW, &err), &err);
	CHECK_EQ(count("root/trees"), 0);
	CHECK_EQ(load(e, &full, 2, NEW, &err), -VN_EFORMAT);
	CHECK_HAS(err.text, "bottom 2 layers");
	CHECK_OK(load(e, &full, 0, NEW, &err), &err);
	fixture_end();
}

static void test_same_layers(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE one = { 0 }, two = { 0 };
	VN_AUTO(vn_held) a = { 0 }, b = { 0 }, c = { 0 };
	VN_AUTO_FREE char *first = NULL, *second = NULL;
	size_t present = 0;
	fixture_begin();
	make_image("store", "f a 1|f b 2", "one", &one);
	make_image("store", "f a 1|f b 2", "two", &two);
	AUTO_ENGINE *e = open_engine();
	CHECK_OK(load(e, &one, 0, NEW, &err), &err);
	CHECK_OK(e->ops->layers(e, &two.image.manifest, &two.image.config, &present, &err), &err);
	CHECK_EQ(present, 2);
	CHECK_OK(load(e, &two, present, NEXT, &err), &err);
	CHECK_OK(load(e, &two, present, NEXT, &err), &err);
	CHECK_OK(e->ops->look(e, NEW, &a, &err), &err);
	CHECK_OK(e->ops->look(e, NEXT, &b, &err), &err);
	CHECK_STR(a.image.text, one.image.manifest.config.digest.text);
	CHECK_STR(b.image.text, two.image.manifest.config.digest.text);
	CHECK_OK(e->ops->name_as(e, NEXT, PROD, &err), &err);
	CHECK_STR(shows("root/current"), "- a=1, - b=2");
	CHECK_OK(e->ops->handle(e, NEW, &first, &err), &err);
	CHECK_OK(e->ops->handle(e, PROD, &second, &err), &err);
	CHECK_STR(first, second);
	/* the folder outlives the image that it was made for */
	CHECK_OK(e->ops->forget(e, NEW, &err), &err);
	CHECK_OK(e->ops->look(e, PROD, &c, &err), &err);
	CHECK_STR(c.image.text, two.image.manifest.config.digest.text);
	CHECK_STR(shows("root/current"), "- a=1, - b=2");
	struct vn_incoming in = incoming(&two, 2, NEXT);
	CHECK_OK(e->ops->prove(e, &in, true, &err), &err);
	fixture_end();
}

static void test_forget_in_use(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE m = { 0 };
	fixture_begin();
	make_image("store", "f a 1", "1", &m);
	AUTO_ENGINE *e = open_engine();
	CHECK_OK(e->ops->forget(e, NEW, &err), &err);
	CHECK_OK(load(e, &m, 0, NEW, &err), &err);
	CHECK_OK(e->ops->name_as(e, NEW, PROD, &err), &err);
	CHECK_OK(e->ops->forget(e, NEW, &err), &err);
	CHECK_EQ(e->ops->forget(e, PROD, &err), -VN_EREFUSED);
	CHECK_STR(shows("root/current"), "- a=1");
	struct vn_incoming in = incoming(&m, 0, PROD);
	CHECK_EQ(e->ops->discard(e, &in, &err), -VN_EREFUSED);
	CHECK_STR(shows("root/current"), "- a=1");
	CHECK_EQ(e->ops->name_as(e, NEW, PROD, &err), -VN_ENOTFOUND);
	fixture_end();
}

static void test_discard(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE old = { 0 }, new = { 0 };
	VN_AUTO(vn_held) held = { 0 };
	size_t present = 0;
	fixture_begin();
	make_image("store", "f a 1|f b 2", "1", &old);
	make_image("store", "f a 1|f b 2|f c 3|f d 4", "2", &new);
	AUTO_ENGINE *e = open_engine();
	CHECK_OK(load(e, &old, 0, PROD, &err), &err);
	CHECK_OK(e->ops->name_as(e, PROD, PROD, &err), &err);
	CHECK_OK(load(e, &new, 2, NEW, &err), &err);
	CHECK_EQ(count("root/trees"), 12);
	struct vn_incoming in = incoming(&new, 2, NEW);
	CHECK_OK(e->ops->discard(e, &in, &err), &err);
	CHECK_OK(e->ops->discard(e, &in, &err), &err);
	CHECK_EQ(e->ops->look(e, NEW, &held, &err), -VN_ENOTFOUND);
	CHECK_EQ(count("root/trees"), 6);
	CHECK_OK(e->ops->layers(e, &new.image.manifest, &new.image.config, &present, &err), &err);
	CHECK_EQ(present, 2);
	CHECK_STR(shows("root/current"), "- a=1, - b=2");
	CHECK_OK(load(e, &new, 2, NEW, &err), &err);
	fixture_end();
}

static void test_prove(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE m = { 0 }, other = { 0 };
	fixture_begin();
	make_image("store",
		   "f a 1; f k 1|f b 2; d d; f d/e 3; l l a; h h b; f gone 1; f twice 1; f twice 2|w gone; f new 4; o d; h j b",
		   "1", &m);
	make_image("store", "f a 1", "2", &other);
	AUTO_ENGINE *e = open_engine();
	CHECK_OK(load(e, &m, 0, NEW, &err), &err);
	struct vn_incoming in = incoming(&m, 0, NEW), wrong = incoming(&other, 0, NEW);
	CHECK_EQ(e->ops->prove(e, &wrong, false, &err), -VN_EDIGEST);
	static const struct {
		const char *path, *text;
		int mode;
		bool gone;
		const char *says;
	} damage[] = {
		{ "new", "5", 0644, false, "other contents" }, { "new", "44", 0644, false, "another size" },
		{ "new", "4", 0600, false, "another mode" },   { "new", "", 0644, true, "missing" },
		{ "gone", "1", 0644, false, "is there" },      { "h", "2", 0644, false, "hard link" },
		{ "l", "1", 0777, false, "another kind" },     { "d/e", "3", 0644, false, NULL },
	};
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		char path[200];
		snprintf(path, sizeof(path), "root/images/edge.example.io%%2Fapp:veneer-1/%s", damage[i].path);
		CHECK_OK(e->ops->discard(e, &in, &err), &err);
		CHECK_OK(load(e, &m, 0, NEW, &err), &err);
		unlink(below(path));
		if (!damage[i].gone)
			CHECK_OK(vn_fs_replace(below(path), damage[i].text, strlen(damage[i].text), (mode_t)damage[i].mode,
					       &err),
				 &err);
		CHECK_OK(e->ops->prove(e, &in, false, &err), &err);
		err = (struct vn_err){ 0 };
		CHECK_EQ(e->ops->prove(e, &in, true, &err), damage[i].says ? -VN_EDIGEST : 0);
		if (damage[i].says)
			CHECK_HAS(err.text, damage[i].says);
	}
	/* without the layers' bytes only what is recorded is looked at */
	CHECK(unlink(layer_file("store", &m, 2)) == 0);
	CHECK_OK(e->ops->prove(e, &in, true, &err), &err);
	in.name = NEXT;
	CHECK_EQ(e->ops->prove(e, &in, true, &err), -VN_ENOTFOUND);
	fixture_end();
}

/* What came in, whichever layer brought it. */
static void test_reread(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE old = { 0 }, thin = { 0 };
	fixture_begin();
	make_image("store", "f base 1; f d/e 2|f model old", "1", &old);
	make_image("store", "f base 1; f d/e 2|f model old|f model new; w d/e", "2", &thin);
	AUTO_ENGINE *e = open_engine();
	CHECK_EQ(e->ops->reread(e, NEW, &err), -VN_ENOTFOUND);
	CHECK_OK(load(e, &old, 0, NEW, &err), &err);
	CHECK_OK(load(e, &thin, 2, NEXT, &err), &err);
	CHECK_OK(e->ops->name_as(e, NEXT, PROD, &err), &err);
	CHECK_OK(e->ops->reread(e, NEW, &err), &err);
	CHECK_OK(e->ops->reread(e, PROD, &err), &err);
	VN_AUTO_CLOSE int fd = open(below("root/current/base"), O_WRONLY);
	CHECK(pwrite(fd, "7", 1, 0) == 1);
	CHECK_EQ(e->ops->reread(e, NEW, &err), -VN_EDIGEST);
	CHECK_EQ(e->ops->reread(e, PROD, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "/base has sha256digest=");
	CHECK(pwrite(fd, "1", 1, 0) == 1);
	CHECK_OK(e->ops->reread(e, PROD, &err), &err);
	/* what runs in it may add to it */
	CHECK_OK(vn_fs_replace(below("root/current/run"), "", 0, 0644, &err), &err);
	CHECK_OK(e->ops->reread(e, PROD, &err), &err);
	/* of what was not written down nothing is known */
	char list[300];
	ssize_t n = readlink(below("root/current"), list, sizeof(list) - 8);
	CHECK(n > 0);
	snprintf(list + n, 8, ".mtree");
	char path[320];
	snprintf(path, sizeof(path), "root/%s", list);
	CHECK(unlink(below(path)) == 0);
	CHECK_OK(e->ops->reread(e, PROD, &err), &err);
	fixture_end();
}

/* What was damaged in a base is damaged in all that is made from it, and in itself when it is no image any more. */
static void test_reread_base(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE old = { 0 }, thin = { 0 };
	fixture_begin();
	make_image("store", "f a/base 1; f b 2; l l b; f z 3|f model old", "1", &old);
	make_image("store", "f a/base 1; f b 2; l l b; f z 3|f model old|f model new; w b", "2", &thin);
	AUTO_ENGINE *e = open_engine();
	CHECK_OK(load(e, &old, 0, NEW, &err), &err);
	static const struct {
		const char *path, *says;
	} damage[] = { { "z", "/z is missing" }, { "l", "/l is missing" }, { "a", "/a has mode=0777" } };
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		struct vn_incoming in = incoming(&thin, 2, NEXT);
		char path[200];
		snprintf(path, sizeof(path), "root/images/edge.example.io%%2Fapp:veneer-1/%s", damage[i].path);
		if (i < 2)
			CHECK(unlink(below(path)) == 0);
		else
			CHECK(chmod(below(path), 0777) == 0);
		CHECK_OK(load(e, &thin, 2, NEXT, &err), &err);
		CHECK_EQ(e->ops->reread(e, NEXT, &err), -VN_EDIGEST);
		CHECK_HAS(err.text, damage[i].says);
		CHECK_OK(e->ops->discard(e, &in, &err), &err);
		CHECK_OK(e->ops->discard(e, &(struct vn_incoming){ &old.image, 0, NEW }, &err), &err);
		CHECK_OK(load(e, &old, 0, NEW, &err), &err);
		err = (struct vn_err){ 0 };
	}
	CHECK_OK(load(e, &thin, 2, NEXT, &err), &err);
	CHECK_OK(e->ops->reread(e, NEXT, &err), &err);
	CHECK_OK(e->ops->forget(e, NEW, &err), &err);
	CHECK_OK(e->ops->reread_base(e, &err), &err);
	/* the thin image has taken it away, the next one may not */
	char base[300];
	struct vn_tree_name name;
	struct vn_digest chain[3];
	CHECK_OK(vn_chain_ids(thin.image.config.diff_ids, 2, chain, &err), &err);
	vn_tree_name(&chain[1], NULL, &name);
	snprintf(base, sizeof(base), "root/trees/%s/b", name.text);
	CHECK(unlink(below(base)) == 0);
	CHECK_OK(e->ops->reread(e, NEXT, &err), &err);
	CHECK_EQ(e->ops->reread_base(e, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "/b is missing");
	fixture_end();
}

/* Lists and trees that killed runs left go, by load() or when somebody asks. */
static void test_sweep(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE m = { 0 };
	char path[300];
	fixture_begin();
	make_image("store", "f a 1", "1", &m);
	AUTO_ENGINE *e = open_engine();
	CHECK_OK(load(e, &m, 0, NEW, &err), &err);
	CHECK_EQ(count("root/trees"), 3);
	snprintf(path, sizeof(path), "root/trees/%064d", 0);
	CHECK(mkdir(below(path), 0700) == 0);
	snprintf(path, sizeof(path), "root/trees/%064d.mtree", 0);
	CHECK_OK(vn_fs_replace(below(path), "", 0, 0600, &err), &err);
	snprintf(path, sizeof(path), "root/trees/%064d.mtree", 1);
	CHECK_OK(vn_fs_replace(below(path), "", 0, 0600, &err), &err);
	CHECK_OK(vn_fs_replace(below("root/trees/.new-list"), "", 0, 0600, &err), &err);
	CHECK_OK(e->ops->sweep(e, &err), &err);
	CHECK_EQ(count("root/trees"), 3);
	CHECK_OK(e->ops->reread(e, NEW, &err), &err);
	fixture_end();
}

static void test_files(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE m = { 0 };
	const char *good[] = { "d/one", "two" };
	static const char *const bad[] = { "nothing", "d", "link", "linked/one", "d/one/x", "abs" };
	uint64_t sizes[2], end = 0;
	char text[20] = "";
	fixture_begin();
	make_image("store", "d d; f d/one 111; f two 22|l link d/one; l linked d; l abs /etc/passwd", "1", &m);
	AUTO_ENGINE *e = open_engine();
	CHECK_OK(load(e, &m, 0, NEW, &err), &err);
	VN_AUTO_CLOSE int fd = open(below("out"), O_RDWR | O_CREAT, 0600);
	const struct vn_digest *image = &m.image.manifest.config.digest;
	CHECK_OK(e->ops->files(e, image, good, 2, fd, 4, sizes, &end, &err), &err);
	CHECK_EQ(sizes[0], 3);
	CHECK_EQ(sizes[1], 2);
	CHECK_EQ(end, 9);
	CHECK(pread(fd, text, sizeof(text) - 1, 4) == 5);
	CHECK_STR(text, "11122");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(e->ops->files(e, image, &bad[i], 1, fd, 0, NULL, &end, &err), -VN_ENOTFOUND);
		CHECK_HAS(err.text, bad[i]);
	}
	fixture_end();
}

static void test_failure_leaves_nothing(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE m = { 0 };
	VN_AUTO(vn_held) held = { 0 };
	fixture_begin();
	make_image("store", "f a 1|f b 2; l c d; f c/x 1", "1", &m);
	AUTO_ENGINE *e = open_engine();
	CHECK_EQ(load(e, &m, 0, NEW, &err), -VN_EUNSAFE);
	CHECK_HAS(err.text, "layer 2 of 2");
	CHECK_EQ(e->ops->look(e, NEW, &held, &err), -VN_ENOTFOUND);
	CHECK_EQ(count("root/trees"), 3);
	CHECK_EQ(count("root/images"), 0);
	/* a file that cannot be written to its end */
	AUTO_MADE large = { 0 };
	char text[900] = "f a 1|f large ";
	size_t len = strlen(text);
	memset(text + len, 'x', 700);
	text[len + 700] = 0;
	make_image("store", text, "2", &large);
	struct rlimit before, small;
	CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
	small = before;
	small.rlim_cur = 512;
	signal(SIGXFSZ, SIG_IGN);
	CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
	CHECK_EQ(load(e, &large, 0, NEW, &err), -VN_EIO);
	CHECK_HAS(err.text, "large");
	CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
	CHECK_EQ(count("root/trees"), 3);
	CHECK_OK(load(e, &large, 0, NEW, &err), &err);
	fixture_end();
}

/* A child loads and names, and is killed at some time; what is there then is whole, and the next run goes on from it. */
static void test_kill(void)
{
	struct vn_err err = { 0 };
	AUTO_MADE old = { 0 }, new = { 0 };
	char text[4000] = "f x 1";
	size_t len = strlen(text);
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "; f d%d/file%d %d", i % 10, i, i);
	fixture_begin();
	make_image("store", "f base 1|f model old", "1", &old);
	snprintf(text + len, sizeof(text) - len, "|f model new");
	make_image("store", text, "2", &new);
	AUTO_ENGINE *e = open_engine();
	CHECK_OK(load(e, &old, 0, NEW, &err), &err);
	CHECK_OK(e->ops->name_as(e, NEW, PROD, &err), &err);
	for (unsigned wait = 0; wait < 40; wait++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct vn_err own = { 0 };
			struct vn_incoming in = incoming(&new, 0, NEXT);
			struct vn_engine *mine = open_engine();
			if (mine->ops->load(mine, &in, &own) == 0)
				mine->ops->name_as(mine, NEXT, PROD, &own);
			_exit(0);
		}
		usleep(wait * 400);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		VN_AUTO(vn_held) held = { 0 };
		bool is_new = strstr(shows("root/current"), "model=new") != NULL;
		CHECK(is_new || !strcmp(shows("root/current"), "- base=1, - model=old"));
		CHECK_OK(e->ops->look(e, PROD, &held, &err), &err);
		bool named = !strcmp(held.image.text, new.image.manifest.config.digest.text);
		CHECK(is_new || !named);
		/* what has a record is whole */
		struct vn_incoming in = incoming(&new, 0, NEXT);
		struct vn_err why = { 0 };
		int rc = e->ops->prove(e, &in, true, &why);
		if (rc < 0)
			CHECK_EQ(rc, -VN_ENOTFOUND);
		CHECK_OK(e->ops->name_as(e, NEW, PROD, &err), &err);
		CHECK_OK(e->ops->discard(e, &in, &err), &err);
		CHECK_EQ(count("root/trees"), 6);
	}
	CHECK_OK(load(e, &new, 0, NEXT, &err), &err);
	fixture_end();
}

static void test_names(void)
{
	struct vn_err err = { 0 };
	struct vn_engine *none = NULL;
	AUTO_MADE m = { 0 };
	VN_AUTO(vn_held) held = { 0 };
	fixture_begin();
	make_image("store", "f a 1", "1", &m);
	AUTO_ENGINE *e = open_engine();
	CHECK_OK(load(e, &m, 0, "app", &err), &err);
	CHECK_STR(shows("root/images/docker.io%2Flibrary%2Fapp:latest"), "- a=1");
	CHECK_OK(e->ops->look(e, "docker.io/library/app:latest", &held, &err), &err);
	vn_held_release(&held);
	CHECK_OK(e->ops->look(e, m.image.manifest.config.digest.text, &held, &err), &err);
	vn_held_release(&held);
	CHECK_OK(e->ops->look(e, m.image.desc.digest.text, &held, &err), &err);
	CHECK_EQ(e->ops->look(e, "oci:x", &held, &err), -VN_EUSAGE);
	/* a link that somebody else made is left alone */
	CHECK(symlink("../../../etc", below("root/images/mine")) == 0);
	CHECK_OK(load(e, &m, 0, "app2", &err), &err);
	CHECK(lstat(below("root/images/mine"), &(struct stat){ 0 }) == 0);
	CHECK_STR(e->ops->data(e), below("root"));
	CHECK_EQ(vn_engine_rootfs_open(NULL, NULL, &none, &err), -VN_EUSAGE);
	CHECK_HAS(err.hint, "folder");
	fixture_end();
}

int main(void)
{
	RUN(test_thin_update);
	RUN(test_prefixes);
	RUN(test_same_layers);
	RUN(test_forget_in_use);
	RUN(test_discard);
	RUN(test_prove);
	RUN(test_reread);
	RUN(test_reread_base);
	RUN(test_sweep);
	RUN(test_files);
	RUN(test_failure_leaves_nothing);
	RUN(test_kill);
	RUN(test_names);
	return vn_test_end();
}
