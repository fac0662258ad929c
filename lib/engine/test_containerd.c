#include "engine/device_fixture.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME "edge.example.io/app:veneer-0123456789ab"
#define PROD "edge.example.io/app:prod"

/* ctr over files: "names" holds REF TYPE DIGEST, blobs lie under their digests, "tree" is what a mounted image shows, "check" how
 * far one is there, "broken" what an import says. */
static const char script[] =
	"[ \"$1 $3\" = '--address --namespace' ] && [ \"$4\" = space ] || exit 9\n"
	"shift 4\n"
	"case \"$1 $2\" in\n"
	"'images ls') echo 'REF TYPE DIGEST SIZE PLATFORMS LABELS'\n"
	"    case $3 in\n"
	"    name==*) n=${3#name==\\\"} && grep \"^${n%\\\"} \" names ;;\n"
	"    target*) n=${3#*\\\"} && grep \" ${n%\\\"} \" names ;;\n"
	"    *) cat names ;;\n"
	"    esac ;;\n"
	"'images check') echo 'REF TYPE DIGEST STATUS SIZE UNPACKED'\n"
	"    n=${3#name==\\\"} && n=$(grep \"^${n%\\\"} \" names) && echo \"${n% 1.0 MiB} $(cat check)\" ;;\n"
	"'images import') cat >archive; cat import >>names\n"
	"    [ ! -e broken ] || { cat broken >&2; exit 1; } ;;\n"
	"'images tag') sed -n \"s|^$3 |$4 |p\" names >>names ;;\n"
	"'images rm') grep -v \"^$4 \" names >kept; cat kept >names ;;\n"
	"'images mount') cp -R tree/. \"$6\" ;;\n"
	"'images unmount') rm -rf \"$4\" ;;\n"
	"'content ls') ls ;;\n"
	"'content get') cat \"$3\" 2>/dev/null || { echo \"ctr: content $3: not found\" >&2; exit 1; } ;;\n"
	"'containers ls') cat containers ;;\n"
	"'snapshots rm') [ ! -e child ] || { echo 'ctr: cannot remove snapshot with child' >&2; exit 1; } ;;\n"
	"'plugins ls') printf 'Exports:\\n      root      %s\\n' \"$PWD\" ;;\n"
	"esac\n"
	"exit 0\n";

static struct vn_engine *e;
static struct made made;
static int listener;

static void row(const char *file, const char *name, const char *digest)
{
	char text[600];
	snprintf(text, sizeof(text), "%s %s %s 1.0 MiB\n", name, VN_MT_OCI_MANIFEST, digest);
	put_text(file, text);
}

static void begin(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct vn_err err = { 0 };
	char endpoint[600];
	fixture_begin();
	put_command("ctr", script);
	made_open(&made, "f a base|f b top");
	put_text(made.image.manifest.config.digest.text, made.config);
	put_text(made.image.desc.digest.text, made.manifest);
	row("names", PROD, made.image.desc.digest.text);
	row("import", NAME, made.image.desc.digest.text);
	put_text("check", "complete (4/4) 1.0 KiB/1.0 KiB true");
	put_text("containers", "");
	CHECK_OK(vn_fs_mkdirs(below("tree/d"), 0755, &err), &err);
	put_text("tree/a", "base");
	put_text("tree/b", "top");
	put_text("tree/d/e", "deeper");
	snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/s", test_dir);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(listen(listener, 1024) == 0);
	snprintf(endpoint, sizeof(endpoint), "%s,space", a.sun_path);
	CHECK_OK(vn_engine_open("containerd", endpoint, test_dir, NULL, &e, &err), &err);
}

static void end(void)
{
	vn_engine_close(e);
	close(listener);
	made_release(&made);
	fixture_end();
}

static void test_look(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_held) held = { 0 }, by_id = { 0 }, none = { 0 };
	size_t present = 9;
	begin();
	CHECK_OK(e->ops->look(e, PROD, &held, &err), &err);
	CHECK_STR(held.image.text, made.image.manifest.config.digest.text);
	CHECK_STR(held.manifest.text, made.image.desc.digest.text);
	CHECK_EQ(held.ndiff_ids, 2);
	CHECK_OK(e->ops->look(e, held.image.text, &by_id, &err), &err);
	CHECK_STR(by_id.manifest.text, made.image.desc.digest.text);
	CHECK_EQ(e->ops->look(e, NAME, &none, &err), -VN_ENOTFOUND);
	CHECK_EQ(e->ops->look(e, made.digest[0].text, &none, &err), -VN_ENOTFOUND);
	CHECK_OK(e->ops->layers(e, &made.image.manifest, &made.image.config, &present, &err), &err);
	CHECK_EQ(present, 0);
	put_text(made.digest[0].text, "");
	CHECK_OK(e->ops->layers(e, &made.image.manifest, &made.image.config, &present, &err), &err);
	CHECK_EQ(present, 1);
	/* bytes that are not what they are called */
	put_text(made.image.desc.digest.text, "{}");
	CHECK_EQ(e->ops->look(e, PROD, &none, &err), -VN_EDIGEST);
	close(listener);
	unlink(below("s"));
	CHECK_EQ(e->ops->look(e, PROD, &none, &err), -VN_ENETWORK);
	CHECK_HAS(err.hint, "ADDRESS");
	end();
}

/* A name that stands for an index of several platforms. */
static void test_index(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_held) held = { 0 };
	struct vn_platform here;
	struct vn_digest digest;
	char index[1500];
	begin();
	vn_platform_local(&here);
	snprintf(index, sizeof(index),
		 "{\"schemaVersion\":2,\"mediaType\":\"" VN_MT_OCI_INDEX "\",\"manifests\":[{\"mediaType\":\"" VN_MT_OCI_MANIFEST
		 "\",\"digest\":\"%s\",\"size\":9,\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}},{\"mediaType\":\""
		 VN_MT_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"%s\",\"architecture\":\"%s\"}}]}",
		 made.digest[0].text, made.image.desc.digest.text, strlen(made.manifest), here.os, here.architecture);
	CHECK_OK(vn_digest_of(index, strlen(index), &digest, &err), &err);
	put_text(digest.text, index);
	row("names", NAME, digest.text);
	CHECK_OK(e->ops->look(e, NAME, &held, &err), &err);
	CHECK_STR(held.manifest.text, digest.text);
	CHECK_STR(held.image.text, made.image.manifest.config.digest.text);
	const struct vn_incoming in = { &made.image, 1, NAME };
	CHECK_OK(e->ops->prove(e, &in, true, &err), &err);
	end();
}

static void test_files(void)
{
	static const char *const paths[] = { "d/e", "a" }, *const none[] = { "d" };
	struct vn_err err = { 0 };
	uint64_t sizes[2] = { 0 }, stop = 0;
	char out[40] = "";
	begin();
	VN_AUTO_CLOSE int fd = open(below("files"), O_RDWR | O_CREAT, 0600);
	CHECK_OK(e->ops->files(e, &made.image.manifest.config.digest, paths, 2, fd, 1, sizes, &stop, &err), &err);
	CHECK(pread(fd, out, sizeof(out) - 1, 1) == 10);
	CHECK_STR(out, "deeperbase");
	CHECK_EQ(sizes[0], 6);
	CHECK_EQ(stop, 11);
	CHECK(!vn_fs_exists(below("view")));
	CHECK_EQ(e->ops->files(e, &made.image.manifest.config.digest, none, 1, fd, 0, NULL, &stop, &err), -VN_ENOTFOUND);
	CHECK(!vn_fs_exists(below("view")));
	/* what a killed run left */
	CHECK_OK(vn_fs_mkdirs(below("view"), 0755, &err), &err);
	asked();
	CHECK_OK(e->ops->files(e, &made.image.manifest.config.digest, paths, 1, fd, 0, sizes, &stop, &err), &err);
	const char *said = asked(), *unmounted = strstr(said, "images unmount"), *mounted = strstr(said, "images mount");
	CHECK(unmounted && mounted && unmounted < mounted);
	end();
}

static void test_load(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) archive = VN_BUF(1 << 20);
	begin();
	const struct vn_incoming in = { &made.image, 1, NAME };
	made.lost = 1;
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_ENOTFOUND);
	CHECK_OK(e->ops->load(e, &in, &err), &err);
	CHECK_OK(vn_fs_read(below("archive"), &archive, &err), &err);
	CHECK(memmem(archive.data, archive.len, "\"io.containerd.image.name\":\"" NAME "\"", strlen(NAME) + 29) != NULL);
	CHECK(memmem(archive.data, archive.len, "blobs/sha256/", 13) != NULL);
	const char *said = asked();
	CHECK_HAS(said, "images import --platform linux/amd64 -\n");
	CHECK_HAS(said, "images label " NAME " io.cri-containerd.pinned=pinned\n");
	CHECK_OK(e->ops->prove(e, &in, true, &err), &err);
	put_text("tree/b", "");
	CHECK_EQ(e->ops->prove(e, &in, true, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "/b has 0 bytes");
	put_text("check", "complete (4/4) 1.0 KiB/1.0 KiB false");
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "not unpacked");
	put_text("check", "incomplete (3/4) 1.0 KiB/1.0 KiB true");
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "incomplete");
	row("names", NAME, made.digest[0].text);
	CHECK_EQ(e->ops->prove(e, &in, false, &err), -VN_EDIGEST);
	end();
}

static void test_load_fails(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_held) none = { 0 };
	begin();
	const struct vn_incoming in = { &made.image, 1, NAME };
	put_text("broken", "ctr: content digest sha256:ab: not found\n");
	CHECK_EQ(e->ops->load(e, &in, &err), -VN_EIO);
	CHECK_HAS(err.text, "content digest");
	CHECK_EQ(e->ops->look(e, NAME, &none, &err), -VN_ENOTFOUND);
	end();
}

static void test_names(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_held) held = { 0 }, none = { 0 };
	begin();
	CHECK_OK(e->ops->name_as(e, PROD, NAME, &err), &err);
	CHECK_HAS(asked(), "images tag " PROD " " NAME);
	CHECK_OK(e->ops->look(e, NAME, &held, &err), &err);
	CHECK_OK(e->ops->name_as(e, PROD, NAME, &err), &err);
	CHECK(!strstr(asked(), "images tag"));
	/* a name that stands for something else is moved in one step */
	char text[900];
	snprintf(text, sizeof(text), "%s x %s 1.0 MiB\n%s x %s 1.0 MiB\n", PROD, made.image.desc.digest.text, NAME, made.digest[1].text);
	put_text("names", text);
	CHECK_EQ(e->ops->name_as(e, PROD, NAME, &err), -VN_EIO);
	const char *said = asked();
	CHECK_HAS(said, "images import");
	CHECK(!strstr(said, "images rm"));
	put_text("containers", "c1\n");
	CHECK_EQ(e->ops->forget(e, NAME, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "c1");
	put_text("containers", "");
	CHECK_OK(e->ops->forget(e, NAME, &err), &err);
	CHECK_OK(e->ops->forget(e, NAME, &err), &err);
	CHECK_EQ(e->ops->look(e, NAME, &none, &err), -VN_ENOTFOUND);
	CHECK_STR(e->ops->data(e), test_dir);
	CHECK_OK(e->ops->sync(e, &err), &err);
	end();
}

static void test_discard(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_held) none = { 0 };
	begin();
	const struct vn_incoming in = { &made.image, 1, NAME };
	put_text("child", "");
	CHECK_EQ(e->ops->discard(e, &in, &err), -VN_EREFUSED);
	CHECK_HAS(err.text, "layer 2");
	CHECK_EQ(e->ops->look(e, PROD, &none, &err), -VN_ENOTFOUND);
	unlink(below("child"));
	asked();
	CHECK_OK(e->ops->discard(e, &in, &err), &err);
	const char *said = asked(), *first = strstr(said, "snapshots rm");
	CHECK(first && !strstr(first + 1, "snapshots rm"));
	end();
}

static void test_absent(void)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_held) none = { 0 };
	begin();
	setenv("PATH", "/nonexistent", 1);
	CHECK_EQ(e->ops->look(e, PROD, &none, &err), -VN_EIO);
	CHECK_HAS(err.text, "ctr is not in PATH");
	end();
}

static void test_reread(void)
{
	struct vn_err err = { 0 };
	begin();
	CHECK_EQ(e->ops->reread(e, NAME, &err), -VN_ENOTFOUND);
	CHECK_EQ(e->ops->reread(e, PROD, &err), -VN_EIO);
	CHECK_HAS(err.text, made.digest[1].text);
	for (size_t i = 0; i < made.n; i++)
		CHECK_OK(vn_fs_replace(below(made.digest[i].text), made.layer[i].bytes.data, made.layer[i].bytes.len, 0644, &err), &err);
	CHECK_OK(e->ops->reread(e, PROD, &err), &err);
	put_text("tree/a", "basE");
	CHECK_EQ(e->ops->reread(e, PROD, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, "/a has other contents");
	put_text("tree/a", "base");
	/* its bytes that are not what they are called */
	VN_AUTO_CLOSE int fd = open(below(made.digest[0].text), O_WRONLY);
	CHECK(pwrite(fd, "X", 1, 512) == 1);
	CHECK_EQ(e->ops->reread(e, PROD, &err), -VN_EDIGEST);
	CHECK_HAS(err.text, made.digest[0].text);
	end();
}

int main(void)
{
	RUN(test_reread);
	RUN(test_look);
	RUN(test_index);
	RUN(test_files);
	RUN(test_load);
	RUN(test_load_fails);
	RUN(test_names);
	RUN(test_discard);
	RUN(test_absent);
	return vn_test_end();
}
