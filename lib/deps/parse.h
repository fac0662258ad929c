/* Inside lib/deps: what the parsers share. */
#ifndef VN_DEPS_PARSE_H
#define VN_DEPS_PARSE_H
#include "deps/packages.h"

struct vn_deps {
	const char *path;
	const uint8_t *bytes;
	size_t len;
	const char *manager;
	int (*each)(void *user, const struct vn_package *p, struct vn_err *err);
	void *user;
	size_t count;
};

/* VN_EFORMAT "PATH: byte AT: …". */
int vn_deps_fail(const struct vn_deps *in, size_t at, struct vn_err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Hand one package to the caller; its record stands at byte `at`. `arch` may be "". */
int vn_deps_tell(struct vn_deps *in, size_t at, const char *name, const char *version, const char *arch, struct vn_err *err);

int vn_deps_dpkg(struct vn_deps *in, struct vn_err *err);
int vn_deps_apk(struct vn_deps *in, struct vn_err *err);
int vn_deps_python(struct vn_deps *in, struct vn_err *err);
int vn_deps_conda(struct vn_deps *in, struct vn_err *err);
int vn_deps_rpm_sqlite(struct vn_deps *in, struct vn_err *err);
int vn_deps_rpm_ndb(struct vn_deps *in, struct vn_err *err);
int vn_deps_rpm_bdb(struct vn_deps *in, struct vn_err *err);
/* One package header as the databases store it; `at` is where it stands in the file. */
int vn_deps_rpm_header(struct vn_deps *in, size_t at, const uint8_t *blob, size_t len, struct vn_err *err);
#endif
