/* What is installed, as the package managers' own databases in the image say: dpkg (status, and distroless status.d), apk, rpm
 * (sqlite, ndb, Berkeley DB), conda (conda-meta), Python (dist-info, egg-info). Memory in, names and versions out. */
#ifndef VN_DEPS_PACKAGES_H
#define VN_DEPS_PACKAGES_H
#include "util/buf.h"
#include <stdbool.h>

enum vn_package_db { VN_DB_NONE, VN_DB_DPKG, VN_DB_APK, VN_DB_RPM_SQLITE, VN_DB_RPM_NDB, VN_DB_RPM_BDB, VN_DB_CONDA,
		     VN_DB_PYTHON };

struct vn_package {
	const char *manager;         /* "dpkg", "apk", "rpm", "conda", "python" */
	const char *name;
	const char *version;         /* as written; rpm [epoch:]version-release; conda version-build */
	const char *arch;            /* "" when the manager does not say */
};

/* Which database a path (clean, no leading slash) is; VN_DB_NONE for everything else. One file holds one or many packages. */
enum vn_package_db vn_package_db_of(const char *path);
const char *vn_package_manager(enum vn_package_db db);
/* Call `each` for every *installed* package; a non-zero return of `each` stops and is returned. Hostile or broken input is
 * VN_EFORMAT with the offset; caps bound all memory. `path` names the file in messages. */
int vn_packages_parse(enum vn_package_db db, const char *path, const void *bytes, size_t len,
		      int (*each)(void *user, const struct vn_package *p, struct vn_err *err), void *user, struct vn_err *err);
#endif
