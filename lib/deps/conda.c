/* One package per file: {"name", "version", "build", "subdir", …}. */
#include "deps/parse.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "json/json.h"

int vn_deps_conda(struct vn_deps *in, struct vn_err *err)
{
	VN_AUTO_JSON *v = NULL;
	VN_AUTO_FREE char *full = NULL;
	const char *name, *version, *build = NULL, *arch = "";
	if (in->len > VN_MAX_PACKAGE_JSON)
		return vn_fail(err, VN_ELIMIT, "%.300s: %zu bytes, at most %u are read", in->path, in->len,
			       VN_MAX_PACKAGE_JSON);
	if (vn_json_parse(in->bytes, in->len, in->path, &v, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(v, in->path);
	if (vn_jv_want_object(&root, err) < 0 || vn_jv_need_text(&root, "name", &name, err) < 0 ||
	    vn_jv_need_text(&root, "version", &version, err) < 0 || vn_jv_opt_text(&root, "build", &build, err) < 0 ||
	    vn_jv_opt_text(&root, "subdir", &arch, err) < 0 ||
	    vn_asprintf(&full, err, "%s%s%s", version, build && *build ? "-" : "", build ? build : "") < 0)
		return -err->code;
	return vn_deps_tell(in, 0, name, full, arch, err);
}
