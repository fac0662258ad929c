#include "engine/device_fixture.h"

#define NAME "edge.example.io/app:veneer-0123456789ab"
#define PROD "edge.example.io/app:prod"

/* podman over files: "names" holds NAME ID, "json" what an image shows, "tree" what a mounted one has; "used" and "unmountable" refuse. */
static const char script[] =
	"[ \"$1 $2\" = '--root /x' ] || exit 9\n"
	"shift 2\n"
	"held() { grep -q -e \"^$1 \" -e \" $1\\$\" names; }\n"
	"case \"$1 $2\" in\n"
	"'image inspect') held \"$5\" || { echo \"Error: $5: image not known\" >&2; exit 125; }; cat json ;;\n"
	"'image exists') held \"$3\" || exit 1 ;;\n"
	"'image mount') [ ! -e unmountable ] || { echo 'Error: cannot run in rootless mode' >&2; exit 125; }\n"
	"    echo \"$PWD/tree\" ;;\n"
	"'image unmount') ;;\n"
	"'info '*) printf '{\"store\":{\"graphRoot\":\"%s\",\"graphDriverName\":\"vfs\"}}' \"$PWD\" ;;\n"
	"'pull '*) cp \"${3#oci-archive:}\" archive && echo \"$TMPDIR\" >tmpdir\n"
	"    [ ! -e broken ] || { cat broken >&2; exit 125; }\n"
	"    cat import >>names ;;\n"
	"'tag '*) sed -n \"s|^$2 |$3 |p\" names >>names ;;\n"
	"'rmi '*) [ ! -e used ] || { echo 'Error: image used by 0123: image is in use by a container' >&2; exit 2; }\n"
	"    for n; do :; done; held \"$n\" || { echo 'Error: no such image' >&2; exit 1; }\n"
	"    grep -v -e \"^$n \" -e \" $n\\$\" names >kept; cat kept >names ;;\n"
	"'ps '*) case $* in *ancestor*) cat made ;; *) cat stale ;; esac ;;\n"
	"'create '*) [ ! -e uncreatable ] || { echo 'Error: layer not known' >&2; exit 125; }; echo c0ffee ;;\n"
	"'rm '*) ;;\n"
	"'save '*) cat saved; [ ! -e unsaved ] || { cat unsaved >&2; exit 125; } ;;\n"
	"'cp '*) cat \"tars${2#*:}\" 2>/dev/null || { echo 'Error: could not be found' >&2; exit 125; } ;;\n"
	"esac\n"
	"exit 0\n";

static struct vn_engine *e;
static struct made made;

static void row(const char *file, const char *name)
{
	char text[600];
	snprintf(text, sizeof(text), "%s %s\n", name, vn_digest_hex(&made.image.manifest.config.digest));
	put_text(file, text);
}

static void begin(void)
{
	struct vn_err err = { 0 };
	char json[2048];
	fixture_begin();
	put_command("podman", script);
	made_open(&made, "f a base|f b top");
	row("names", PROD);
	row("import", NAME);
	snprintf(json, sizeof(json),
		 "[{\"Id\":\"%s\",\"Digest\":\"%s\",\"RepoDigests\":[\"other/app@%s\"],\"RootFS\":{\"Layers\":[\"%s\",\"%s\"]}}]",
		 vn_digest_hex(&made.image.manifest.config.digest), made.image.desc.digest.text, made.digest[0].text, made.digest[0].text,
		 made.digest[1].text);
	put_text("json", json);
	put_text("stale", "");
	put_text("made", "");
	CHECK_OK(vn_fs_mkdirs(below("tree"), 0755, &err), &err);
	CHECK_OK(vn_fs_mkdirs(below("tars"), 0755, &err), &err);
	CHECK_OK(vn_fs_mkdirs(below("vfs-layers"), 0755, &err), &err);
	put_text("tree/a", "base");
	put_text("tree/b", "top");
	CHECK_OK(vn_engine_open("podman", " --root  /x ", test_dir, NULL, &e, &err), &err);
}

static void end(void)
{
	vn_engine_close(e);
	made_release(&made);
	fixture_end();
}

static void test_look(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_held) held = { 0 }, none = { 0 };
	begin();
	CHECK_OK(e->ops->look(e, PROD, &held, &err), &err);
	CHECK_STR(held.image.text, made.image.manifest.config.digest.text);
	CHECK_STR(held.manifest.text, made.image.desc.digest.text);
	CHECK_EQ(held.ndiff_ids, 2);
	CHECK_EQ(e->ops->look(e, NAME, &none, &err), -VN_ENOTFOUND);
	put_text("json", "[]");
	CHECK_EQ(e->ops->look(e, PROD, &none, &err), -VN_EFORMAT);
	put_text("json", "nonsense");
	CHECK_EQ(e->ops->look(e, PROD, &none, &err), -VN_EFORMAT);
	end();
}

/* A layer counts when the store knows the blob that it came from. */
static void test_layers(void)
{
	struct vn_err err = { 0 };
	size_t present = 9;
	char json[2048];
	begin();
	CHECK_OK(e->ops->layers(e, &made.image.manifest, &made.image.config, &present, &err), &err);
	CHECK_EQ(present, 0);
	snprintf(json, sizeof(json), "[{\"id\":\"x\"},{\"diff-digest\":\"%s\",\"compressed-diff-digest\":\"%s\"},{\"diff-digest\":\"%s\"}]",
		 made.digest[0].text, made.digest[0].text, made.digest[1].text);
	put_text("vfs-layers/layers.json", json);
	CHECK_OK(e->ops->layers(e, &made.image.manifest, &made.image.config, &present, &err), &err);
	CHECK_EQ(present, 2);
	/* the same tar, but the manifest names another blob for it */
	VN_AUTO(vn_manifest) other = { 0 };
	CHECK_OK(vn_manifest_parse(made.manifest, strlen(made.manifest), &other, &err), &err);
	other.layers[1].digest = made.image.desc.digest;
	CHECK_OK(e->ops->layers(e, &other, &made.image.config, &present, &err), &err);
	CHECK_EQ(present, 1);
	put_text("vfs-layers/layers.json", "nonsense");
	CHECK_OK(e->ops->layers(e, &made.image.manifest, &made.image.config, &present, &err), &err);
	CHECK_EQ(present, 0);
	CHECK_STR(e->ops->data(e), test_dir);
	CHECK_OK(e->ops->sync(e, &err), &err);
	end();
}

static void test_files(void)
{
	static const char *const paths[] = { "b", "a" }, *const none[] = { "nothing" };
	struct vn_err err = { 0 };
	struct pen tar;
	uint64_t sizes[2] = { 0 }, stop = 0;
	char out[40] = "";
	const struct vn_digest *image = &made.image.manifest.config.digest;
	begin();
	put_text("stale", "deadbeef\n");
	VN_AUTO_CLOSE int fd = open(below("files"), O_RDWR | O_CREAT, 0600);
	CHECK_OK(e->ops->files(e, image, paths, 2, fd, 1, sizes, &stop, &err), &err);
	CHECK(pread(fd, out, sizeof(out) - 1, 1) == 7);
	CHECK_STR(out, "topbase");
	const char *said = asked();
	CHECK_HAS(said, "rm --force --volumes deadbeef\n");
	CHECK_HAS(said, "image unmount ");
	CHECK_EQ(e->ops->files(e, image, none, 1, fd, 0, NULL, &stop, &err), -VN_ENOTFOUND);
	/* where it may not mount: out of a container */
	put_text("unmountable", "");
	pen_layer("f b tar", 7, &tar);
	CHECK_OK(vn_fs_replace(below("tars/b"), tar.bytes.data, tar.bytes.len, 0600, &err), &err);
	asked();
	CHECK_OK(e->ops->files(e, image, paths, 1, fd, 0, sizes, &stop, &err), &err);
	CHECK_EQ(stop, 3);
	CHECK(pread(fd, out, 3, 0) == 3 && !memcmp(out, "tar", 3));
	said = asked();
	CHECK_HAS(said, "create --pull never --network none --label dev.veneer.pull=");
	CHECK_HAS(said, "rm --force --volumes c0ffee\n");
	CHECK_EQ(e->ops->files(e, image, none, 1, fd, 0, NULL, &stop, &err), -VN_ENOTFOUND);
	vn_buf_release(&tar.bytes);
	end();
}

static void test_load(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) archive = VN_BUF(1 << 20), tmpdir = VN_BUF(4096);
	begin();
	const struct vn_incoming in = { &made.image, 1, NAME };
	made.lost = 1;
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_ENOTFOUND);
	CHECK_OK(e->ops->load(e, &in, &err), &err);
	CHECK_OK(vn_fs_read(below("archive"), &archive, &err), &err);
	CHECK(memmem(archive.data, archive.len, "\"io.containerd.image.name\":\"" NAME "\"", strlen(NAME) + 29) != NULL);
	CHECK_OK(vn_fs_read(below("tmpdir"), &tmpdir, &err), &err);
	CHECK_HAS(tmpdir.data, test_dir);
	CHECK(!vn_fs_exists(below("podman")));
	CHECK_OK(e->ops->prove(e, &in, true, &err), &err);
	put_text("tree/b", "tip");
	CHECK_EQ(e->ops->prove(e, &in, true, &err), -VN_EDIGEST);
	put_text("uncreatable", "");
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "layer not known");
	put_text("broken", "Error: reading blob sha256:ab: no such file or directory\n");
	CHECK_EQ(e->ops->load(e, &in, &err), -VN_EIO);
	CHECK_HAS(err.text, "reading blob");
	CHECK(!vn_fs_exists(below("podman")));
	put_text("json", "[{\"Id\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"RootFS\":{\"Layers\":[]}}]");
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_EDIGEST);
	end();
}

static void test_names(void)
{
	struct vn_err err = { 0 };
	begin();
	CHECK_OK(e->ops->name_as(e, PROD, NAME, &err), &err);
	CHECK_HAS(asked(), "tag " PROD " " NAME "\n");
	put_text("used", "");
	CHECK_EQ(e->ops->forget(e, NAME, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "in use");
	unlink(below("used"));
	CHECK_OK(e->ops->forget(e, NAME, &err), &err);
	CHECK_OK(e->ops->forget(e, NAME, &err), &err);
	end();
}

static void test_discard(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_held) none = { 0 };
	char json[600];
	begin();
	const struct vn_incoming in = { &made.image, 1, NAME };
	snprintf(json, sizeof(json), "[{\"diff-digest\":\"%s\"}]", made.digest[0].text);
	put_text("vfs-layers/layers.json", json);
	put_text("made", "0123456789abcdef\n");
	CHECK_EQ(e->ops->discard(e, &in, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "0123456789ab");
	put_text("made", "");
	CHECK_OK(e->ops->discard(e, &in, &err), &err);
	CHECK_EQ(e->ops->look(e, PROD, &none, &err), -VN_ENOTFOUND);
	CHECK_OK(e->ops->discard(e, &in, &err), &err);
	snprintf(json, sizeof(json), "[{\"diff-digest\":\"%s\"}]", made.digest[1].text);
	put_text("vfs-layers/layers.json", json);
	CHECK_EQ(e->ops->discard(e, &in, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "layer 2");
	end();
}

static int reread(const char *last, struct vn_err *err)
{
	struct pen archive;
	made_archive(&made, last, &archive);
	*err = (struct vn_err){ 0 };
	CHECK_OK(vn_fs_replace(below("saved"), archive.bytes.data, archive.bytes.len, 0644, err), err);
	vn_buf_release(&archive.bytes);
	return e->ops->reread(e, PROD, err);
}

static void test_reread(void)
{
	struct vn_err err = { 0 };
	begin();
	CHECK_EQ(e->ops->reread(e, NAME, &err), -VN_ENOTFOUND);
	CHECK_OK(reread(NULL, &err), &err);
	CHECK_EQ(reread("other", &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "layer 2 of " PROD);
	put_text("unsaved", "Error: file integrity checksum failed for \"a\"\n");
	CHECK_EQ(reread(NULL, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "checksum failed for \"a\"");
	end();
}

int main(void)
{
	RUN(test_reread);
	RUN(test_look);
	RUN(test_layers);
	RUN(test_files);
	RUN(test_load);
	RUN(test_names);
	RUN(test_discard);
	return vn_test_end();
}
