/* The first byte picks the database, the rest is the file. */
#include "deps/packages.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(void *user, const struct vn_package *p, struct vn_err *err)
{
	(void)user, (void)err;
	if (!p->manager[0] || !p->name[0] || !p->version[0] || strlen(p->arch) > 4096)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "var/lib/dpkg/status",	 "var/lib/dpkg/status.d/base", "lib/apk/db/installed",
					     "var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages.db",    "var/lib/rpm/Packages",
					     "conda-meta/x.json",	 "x.dist-info/METADATA" };
	struct vn_err err = { 0 };
	if (size == 0)
		return 0;
	const char *path = paths[data[0] % (sizeof(paths) / sizeof(*paths))];
	vn_packages_parse(vn_package_db_of(path), path, data + 1, size - 1, check, NULL, &err);
	return 0;
}
