#include "deps/parse.h"
#include "util/limits.h"
#include "util/path.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *path;
	enum vn_package_db db;
} fixed[] = {
	{ "var/lib/dpkg/status", VN_DB_DPKG },
	{ "lib/apk/db/installed", VN_DB_APK },
	{ "usr/lib/apk/db/installed", VN_DB_APK },
	{ "var/lib/rpm/rpmdb.sqlite", VN_DB_RPM_SQLITE },
	{ "var/lib/rpm/Packages.db", VN_DB_RPM_NDB },
	{ "var/lib/rpm/Packages", VN_DB_RPM_BDB },
	{ "usr/lib/sysimage/rpm/rpmdb.sqlite", VN_DB_RPM_SQLITE },
	{ "usr/lib/sysimage/rpm/Packages.db", VN_DB_RPM_NDB },
	{ "usr/lib/sysimage/rpm/Packages", VN_DB_RPM_BDB },
	{ "usr/share/rpm/rpmdb.sqlite", VN_DB_RPM_SQLITE },
};

static bool ends(const char *text, size_t len, const char *with)
{
	size_t n = strlen(with);
	return len >= n && memcmp(text + len - n, with, n) == 0;
}

enum vn_package_db vn_package_db_of(const char *path)
{
	static const char status_d[] = "var/lib/dpkg/status.d/";
	const char *base = vn_path_base(path);
	size_t base_len = strlen(base), dir_len = base > path ? (size_t)(base - path) - 1 : 0;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		if (strcmp(path, fixed[i].path) == 0)
			return fixed[i].db;
	if (strncmp(path, status_d, sizeof(status_d) - 1) == 0 && base == path + sizeof(status_d) - 1 && *base)
		return ends(base, base_len, ".md5sums") ? VN_DB_NONE : VN_DB_DPKG;
	if (ends(base, base_len, ".json") && base_len > 5 && ends(path, dir_len, "conda-meta") &&
	    (dir_len == 10 || path[dir_len - 11] == '/'))
		return VN_DB_CONDA;
	if (strcmp(base, "METADATA") == 0 && ends(path, dir_len, ".dist-info"))
		return VN_DB_PYTHON;
	if ((strcmp(base, "PKG-INFO") == 0 && ends(path, dir_len, ".egg-info")) || ends(base, base_len, ".egg-info"))
		return VN_DB_PYTHON;
	return VN_DB_NONE;
}

static const struct {
	const char *manager;
	int (*parse)(struct vn_deps *in, struct vn_err *err);
} databases[] = {
	[VN_DB_NONE] = { "", NULL },
	[VN_DB_DPKG] = { "dpkg", vn_deps_dpkg },
	[VN_DB_APK] = { "apk", vn_deps_apk },
	[VN_DB_RPM_SQLITE] = { "rpm", vn_deps_rpm_sqlite },
	[VN_DB_RPM_NDB] = { "rpm", vn_deps_rpm_ndb },
	[VN_DB_RPM_BDB] = { "rpm", vn_deps_rpm_bdb },
	[VN_DB_CONDA] = { "conda", vn_deps_conda },
	[VN_DB_PYTHON] = { "python", vn_deps_python },
};

const char *vn_package_manager(enum vn_package_db db)
{
	return (size_t)db < sizeof(databases) / sizeof(*databases) ? databases[db].manager : "";
}

int vn_deps_fail(const struct vn_deps *in, size_t at, struct vn_err *err, const char *fmt, ...)
{
	char why[400];
	va_list args;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return vn_fail(err, VN_EFORMAT, "%.300s: byte %zu: %s", in->path, at, why);
}

/* NULL, or what is wrong with a name or version. */
static const char *field_fault(const char *text)
{
	size_t len = strlen(text);
	if (len >= VN_MAX_PACKAGE_FIELD)
		return "is too long";
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return "holds a control character";
	return NULL;
}

int vn_deps_tell(struct vn_deps *in, size_t at, const char *name, const char *version, const char *arch, struct vn_err *err)
{
	const struct vn_package p = { in->manager, name, version, arch };
	const char *const fields[] = { "name", name, "version", version, "architecture", arch };
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i += 2) {
		const char *fault = i < 4 && !fields[i + 1][0] ? "is missing" : field_fault(fields[i + 1]);
		if (fault)
			return vn_deps_fail(in, at, err, "the package's %s %s", fields[i], fault);
	}
	if (in->count++ >= VN_MAX_PACKAGES)
		return vn_fail(err, VN_ELIMIT, "%.300s: more than %d packages", in->path, VN_MAX_PACKAGES);
	return in->each(in->user, &p, err);
}

int vn_packages_parse(enum vn_package_db db, const char *path, const void *bytes, size_t len,
		      int (*each)(void *user, const struct vn_package *p, struct vn_err *err), void *user, struct vn_err *err)
{
	struct vn_deps in = { path, bytes, len, vn_package_manager(db), each, user, 0 };
	if (!in.manager[0])
		return vn_fail(err, VN_EUSAGE, "%.300s is not a package database", path);
	if (len > VN_MAX_PACKAGE_DB)
		return vn_fail(err, VN_ELIMIT, "%.300s: package database of %zu bytes, at most %u are read", path, len,
			       VN_MAX_PACKAGE_DB);
	return databases[db].parse(&in, err);
}
