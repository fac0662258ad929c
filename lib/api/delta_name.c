/* What people mean by OLD, NEW and DELTA. */
#include "api/delta.h"
#include "store/members.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK 512                      /* bytes that tell a file: a tar header has its magic at 257 */
#define USTAR_AT 257

void vn_delta_name_release(struct vn_delta_name *name)
{
	free(name->text);
	*name = (struct vn_delta_name){ 0 };
}

static bool has_transport(const char *name)
{
	static const char *const prefixes[] = { "oci:", "oci-archive:", "docker-archive:", "docker-daemon:", "docker://" };
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* A name that no registry has: "./x", "/x", "../x", "~/x", or a file of a model or a delta. */
static bool looks_like_path(const char *name)
{
	static const char *const endings[] = { ".onnx", ".ort", ".tflite", ".safetensors", ".gguf", ".ggml", ".pt", ".pth", ".pkl",
					       ".pickle", ".joblib", ".npy", ".npz", ".h5", ".hdf5", ".keras", ".bin", ".pb",
					       ".engine", ".mlmodel", ".vnd", ".tar", ".tgz", ".gz", ".zst", ".zip" };
	size_t len = strlen(name);
	if (*name == '/' || *name == '~' || strncmp(name, "./", 2) == 0 || strncmp(name, "../", 3) == 0)
		return true;
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		size_t n = strlen(endings[i]);
		if (len > n && strcmp(name + len - n, endings[i]) == 0)
			return true;
	}
	return false;
}

/* "oci-archive:" or "docker-archive:" when an open tar holds images, else NULL. */
static const char *archive_of(int fd, const char *name)
{
	VN_CLEANUP(vn_members_close_p) struct vn_members *members = NULL;
	const struct vn_member *member;
	struct vn_err ignored = { 0 };
	if (vn_members_open_fd(dup(fd), name, NULL, &members, &ignored) < 0)
		return NULL;
	if (vn_members_find(members, "oci-layout", &member, &ignored) == 0)
		return "oci-archive:";
	return vn_members_find(members, "manifest.json", &member, &ignored) == 0 ? "docker-archive:" : NULL;
}

/* The first member of an archive of images, however little of it there is. */
static bool begins_as_images(const char *head)
{
	static const char *const names[] = { "blobs/", "oci-layout", "index.json" };
	if (memcmp(head, "./", 2) == 0)
		head += 2;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (memcmp(head, names[i], strlen(names[i]) + 1) == 0)
			return true;
	return false;
}

static int look_inside(int fd, const char *name, const struct vn_delta_settings *settings, struct vn_delta_name *ret,
		       struct vn_err *err)
{
	char head[LOOK] = { 0 };
	ssize_t n = pread(fd, head, sizeof(head), 0);
	const char *archive = NULL;
	if (n < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read %s", name);
	ret->kind = memcmp(head, VN_DELTA_MAGIC, VN_DELTA_MAGIC_LEN) == 0 ? VN_NAMES_DELTA :
		    memcmp(head, "tardf", 5) == 0 ? VN_NAMES_TARDIFF : VN_NAMES_FILE;
	if (!settings->files && memcmp(head + USTAR_AT, "ustar", 5) == 0)
		archive = archive_of(fd, name);
	if (!archive && !settings->files && begins_as_images(head)) {
		vn_fail(err, VN_EDIGEST, "%s is an archive of images that is cut short or damaged", name);
		return vn_hint(err, "Write or copy it again; --files takes it as a plain file.");
	}
	if (!archive)
		return vn_strdup(name, &ret->text, err);
	ret->kind = VN_NAMES_IMAGE;
	return vn_asprintf(&ret->text, err, "%s%s", archive, name);
}

static int no_such_file(const char *name, const char *role, struct vn_err *err)
{
	vn_fail(err, VN_ENOTFOUND, "%s: there is no file %s", role, name);
	return vn_hint(err, "An image in a registry is named REGISTRY/REPOSITORY:TAG; docker:// in front says that one is meant.");
}

int vn_delta_name_open(const char *name, const char *role, const struct vn_delta_settings *settings, struct vn_delta_name *ret,
		       struct vn_err *err)
{
	struct stat st;
	if (!*name)
		return vn_fail(err, VN_EUSAGE, "%s is empty: name a file or an image", role);
	if (!settings->files && (has_transport(name) || settings->images)) {
		ret->kind = VN_NAMES_IMAGE;
		return vn_strdup(name, &ret->text, err);
	}
	if (stat(name, &st) < 0) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
			return vn_fail_sys(err, VN_EIO, "cannot read %s", name);
		if (settings->files || looks_like_path(name))
			return no_such_file(name, role, err);
		ret->kind = VN_NAMES_IMAGE;
		return vn_strdup(name, &ret->text, err);
	}
	if (S_ISDIR(st.st_mode)) {
		vn_fail(err, VN_EUSAGE, "%s: %s is a folder, expected a file or an image", role, name);
		return vn_hint(err, "An OCI image layout in a folder is named oci:%s.", name);
	}
	if (!S_ISREG(st.st_mode))
		return vn_fail(err, VN_EUSAGE, "%s: %s is no regular file", role, name);
	VN_AUTO_CLOSE int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read %s", name);
	return look_inside(fd, name, settings, ret, err);
}

/* The folder that `dest` would stand in exists, and nothing behind it is a tag. */
static bool names_file(const char *dest)
{
	struct stat st;
	const char *slash = strrchr(dest, '/');
	VN_AUTO_FREE char *dir = slash ? strndup(dest, slash == dest ? 1 : (size_t)(slash - dest)) : NULL;
	if (strchr(slash ? slash : dest, ':'))
		return false;
	return looks_like_path(dest) || !slash || (dir && stat(dir, &st) == 0 && S_ISDIR(st.st_mode));
}

int vn_delta_dest_ref(const char *dest, struct vn_ref *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *archive = NULL;
	if (!*dest)
		return vn_fail(err, VN_EUSAGE, "the name of what to write is empty");
	if (has_transport(dest) || !names_file(dest))
		return vn_ref_parse(dest, ret, err);
	int r = vn_asprintf(&archive, err, "oci-archive:%s", dest);
	return r < 0 ? r : vn_ref_parse(archive, ret, err);
}
