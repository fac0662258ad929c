#include "source/policy.h"
#include "source/source.h"
#include "util/cleanup.h"
#include "util/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started; /* starting libgit2 takes longer than everything else here */
	VN_CLEANUP(vn_tmp_release) struct vn_tmp tmp = VN_TMP;
	VN_AUTO(vn_policy) policy = { .path = NULL };
	struct vn_err err = { 0 };
	const char *dir = getenv("TMPDIR");
	if ((!started && vn_git_init(&err) < 0) || vn_tmp_open(&tmp, dir ? dir : "/tmp", &err) < 0 ||
	    vn_fs_write(tmp.fd, data, size, tmp.path, &err) < 0)
		return 0;
	started = true;
	if (vn_policy_load(tmp.path, NULL, &policy, &err) == 0)
		for (size_t i = 0; i < policy.nrules; i++)
			if (!policy.rules[i].name || !policy.rules[i].class_name || !policy.rules[i].pattern)
				__builtin_trap();
	return 0;
}
