#include "engine/beneath.h"
#include "util/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int vn_beneath_walk(int root, const char *path, int flags)
{
	int at = root;
	for (;;) {
		char name[VN_MAX_PATH + 1];
		size_t n = strcspn(path, "/");
		bool last = !path[n];
		bool fits = n < sizeof(name), climbs = n == 2 && !strncmp(path, "..", 2);
		memcpy(name, path, fits ? n : 0);
		name[fits ? n : 0] = 0;
		int next = -1;
		errno = climbs ? EXDEV : ENAMETOOLONG;
		if (fits && !climbs)
			next = openat(at, n ? name : ".", (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
		int saved = errno;
		if (at != root)
			close(at);
		errno = saved;
		if (next < 0 || last)
			return next;
		at = next;
		path += n + 1;
	}
}

int vn_beneath_open(int root, const char *path, int flags)
{
	struct open_how how = { .flags = (unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return vn_beneath_walk(root, path, flags);
	return (int)fd;
}

int vn_beneath_parent(int root, const char *path, const char **ret_base)
{
	char parent[VN_MAX_PATH + 1];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	if (n >= sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(parent, path, n);
	parent[n] = 0;
	*ret_base = slash ? slash + 1 : path;
	return vn_beneath_open(root, parent, O_PATH | O_DIRECTORY);
}
