/* A source whose bytes lie in a folder before they are used: what arrived stays there when the power goes, and the next run goes on where
 * it ended. It asks the place itself again every time, never a link that an earlier answer led to.
 *
 *   FOLDER/HEX.part      a blob under way
 *   FOLDER/HEX.boot      the run of the kernel that it was begun in: after a kill all bytes that it has are right, after a power cut
 *                        those that have a mark
 *   FOLDER/HEX.marks     for each whole unit of it the first 8 bytes of the unit's SHA-256, written when the unit is on the disk;
 *                        where a connection ended, the same of the rest, and its length
 *   FOLDER/HEX.blob      a blob that is whole and has its digest
 *   FOLDER/NAME.manifest the media type, a line feed, the manifest; NAME: hex digits of its digest, or its tag */
#ifndef VN_PULL_STAGING_H
#define VN_PULL_STAGING_H
#include "image/source.h"

/* What is fetched twice after a power cut is less than a unit: 128 KiB, or of a large blob a 256th of it. */
#define VN_STAGING_UNIT (128u << 10)
static inline uint64_t vn_staging_unit(uint64_t size)
{
	uint64_t steps = size / (256ull * VN_STAGING_UNIT) + 1;
	return steps * VN_STAGING_UNIT;
}

struct vn_staging {
	const char *dir;                     /* exists; borrowed */
	/* May be NULL. Called when 1, 2, 4, 8 … units of a blob are there: 0 = seen enough, -VN_ENETWORK = show me more, another failure
	 * ends the fetching. `prefix` is what is there, and fails with VN_ENETWORK behind it. */
	int (*look)(void *user, const struct vn_desc *desc, struct vn_in *prefix, struct vn_err *err);
	void *user;
};
/* `far` and `staging` outlive the source. */
int vn_staging_source_open(struct vn_source *far, const struct vn_staging *staging, struct vn_source **ret, struct vn_err *err);
/* The whole blob, verified, as FOLDER/HEX.blob. */
int vn_staging_fetch(struct vn_source *staged, const struct vn_desc *desc, struct vn_err *err);
int vn_staging_path(const char *dir, const struct vn_digest *digest, const char *suffix, char **ret, struct vn_err *err);
/* Bytes that lie in the folder. */
uint64_t vn_staging_bytes(const char *dir);
/* Removes all of it, but for folders that are not empty: the engine that made one takes it away. */
int vn_staging_clear(const char *dir, struct vn_err *err);
#endif
