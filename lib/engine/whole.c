#include "engine/whole.h"
#include "tar/reader.h"
#include "util/cleanup.h"
#include "util/path.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hash_entry(struct vn_tar *tar, struct vn_hash *hash, struct vn_digest *ret, struct vn_err *err)
{
	const void *block;
	ssize_t n;
	while ((n = vn_tar_data(tar, &block, err)) > 0) {
		int rc = vn_hash_add(hash, block, (size_t)n, err);
		if (rc < 0)
			return rc;
	}
	return n < 0 ? (int)n : vn_hash_end(hash, ret, err);
}

static int take_entry(struct vn_tar *tar, struct vn_hash *hash, const char *path, const struct vn_digest *diff_ids, size_t n, bool *seen,
		      const char *what, struct vn_err *err)
{
	struct vn_digest found;
	char name[VN_DIGEST_TEXT] = "";
	if (vn_path_below(path, "blobs/sha256"))
		snprintf(name, sizeof(name), "%.64s", vn_path_base(path));
	int rc = hash_entry(tar, hash, &found, err);
	if (rc == 0 && *name && strcmp(name, vn_digest_hex(&found)))
		return vn_fail(err, VN_EDIGEST, "the blob %s of %s is %s", name, what, vn_digest_hex(&found));
	for (size_t i = 0; rc == 0 && i < n; i++)
		seen[i] = seen[i] || vn_digest_equal(&diff_ids[i], &found);
	return rc;
}

int vn_whole_check(struct vn_in *archive, const struct vn_digest *diff_ids, size_t n, const char *what, struct vn_err *err)
{
	const struct vn_tar_entry *e;
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	VN_AUTO_HASH *hash = NULL;
	VN_AUTO_FREE bool *seen = calloc(n + 1, sizeof(*seen));
	int rc = vn_tar_open(archive, what, &tar, err), more = 0;
	if (rc == 0)
		rc = seen ? vn_hash_open("sha256", &hash, err) : vn_nomem(err);
	while (rc == 0 && (more = vn_tar_next(tar, &e, err)) > 0)
		if (e->type == VN_FILE)
			rc = take_entry(tar, hash, e->path, diff_ids, n, seen, what, err);
	if (rc < 0 || more < 0)
		return rc < 0 ? rc : more;
	for (size_t i = 0; i < n; i++)
		if (!seen[i])
			return vn_fail(err, VN_EDIGEST, "layer %zu of %s is not what it was: none has the diff_id %s", i + 1, what,
				       diff_ids[i].text);
	return 0;
}
