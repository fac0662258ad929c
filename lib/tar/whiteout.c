#include "tar/whiteout.h"
#include "util/path.h"
#include <string.h>

#define PREFIX ".wh."
#define AUFS ".wh..wh."

/* The first folder in `path` whose name is a whiteout's; NULL when there is none. */
static const char *marked_folder(const char *path)
{
	for (const char *slash; (slash = strchr(path, '/')); path = slash + 1)
		if (!strncmp(path, PREFIX, strlen(PREFIX)))
			return path;
	return NULL;
}

int vn_whiteout_of(const char *path, const char *what, struct vn_buf *ret_path, enum vn_whiteout *ret, struct vn_err *err)
{
	const char *base = vn_path_base(path), *folder = marked_folder(path), *name = base + strlen(PREFIX);
	if (folder && strncmp(folder, AUFS, strlen(AUFS)))
		return vn_fail(err, VN_EUNSAFE, "%s: \"%s\" lies below a whiteout", what, path);
	/* what AUFS kept in folders of its own is no part of the image */
	*ret = folder ? VN_WHITEOUT_IGNORED : VN_WHITEOUT_NO;
	if (folder || strncmp(base, PREFIX, strlen(PREFIX)))
		return 0;
	*ret = VN_WHITEOUT_IGNORED;
	bool opaque = !strcmp(base, AUFS ".opq");
	if (!opaque && (!strncmp(base, AUFS, strlen(AUFS)) || !*name))
		return 0;
	if (!opaque && (!strcmp(name, ".") || !strcmp(name, "..")))
		return vn_fail(err, VN_EUNSAFE, "%s: the whiteout \"%s\" names a folder above itself", what, path);
	*ret = opaque ? VN_WHITEOUT_OPAQUE : VN_WHITEOUT_PATH;
	size_t dir = base == path ? 0 : (size_t)(base - path - 1);
	vn_buf_clear(ret_path);
	int rc = vn_buf_add(ret_path, path, dir, err);
	return rc < 0 || opaque ? rc : vn_buf_addf(ret_path, err, "%s%s", dir ? "/" : "", name);
}
