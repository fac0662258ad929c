/* Tests: a folder of their own. */
#ifndef VN_UTIL_TEST_DIR_H
#define VN_UTIL_TEST_DIR_H
#include "util/fs.h"
#include "util/test.h"
#include <stdlib.h>

static char test_dir[256];

static inline void test_dir_make(const char *name)
{
	const char *dir = getenv("TMPDIR");
	snprintf(test_dir, sizeof(test_dir), "%s/veneer-%s-XXXXXX", dir && *dir && strlen(dir) < 200 ? dir : "/tmp", name);
	CHECK(mkdtemp(test_dir) != NULL);
}

static inline void test_dir_remove(void)
{
	struct vn_err err = { 0 };
	CHECK_OK(vn_fs_remove_tree(test_dir, &err), &err);
}

/* A path below the folder; eight of them live at a time. */
static inline const char *below(const char *name)
{
	static char path[8][1024];
	static unsigned turn;
	char *p = path[turn++ % 8];
	snprintf(p, 1024, "%s/%s", test_dir, name);
	return p;
}
#endif
