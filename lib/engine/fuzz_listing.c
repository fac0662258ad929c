/* A list of files with a seal that fits, which no mutation would find: whatever it says, nothing outside of the tree is looked at, it
 * is compared to its end or refused, and a tree can be listed above it. */
#include "engine/listing.h"
#include "stream/in.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(int dir, const char *name, const void *data, size_t len)
{
	struct vn_err err = { 0 };
	VN_AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || vn_fs_write(fd, data, len, name, &err) < 0)
		abort();
}

static void list(int tree, const struct vn_listing_below *below, int place, const char *name)
{
	struct vn_err err = { 0 };
	VN_AUTO_CLOSE int fd = openat(place, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || vn_listing_write(tree, below, fd, name, &err) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	struct vn_digest digest;
	char dir[] = "/tmp/veneer-fuzz-XXXXXX", seal[100];
	if (!mkdtemp(dir) || vn_digest_of(size ? (const void *)data : "", size, &digest, &err) < 0)
		return 0;
	VN_AUTO_CLOSE int place = open(dir, O_RDONLY | O_DIRECTORY);
	if (mkdirat(place, "tree", 0700) < 0 || mkdirat(place, "other", 0700) < 0)
		abort();
	VN_AUTO_CLOSE int tree = openat(place, "tree", O_RDONLY | O_DIRECTORY), other = openat(place, "other", O_RDONLY | O_DIRECTORY);
	put(tree, "a", "1", 1);
	put(other, "a", "1", 1);
	if (symlinkat("a", tree, "l") < 0)
		abort();
	int n = snprintf(seal, sizeof(seal), "#sha256 %s\n", vn_digest_hex(&digest));
	VN_AUTO_CLOSE int fd = openat(place, "list", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || vn_fs_write(fd, data, size, "list", &err) < 0 || vn_fs_write(fd, seal, (size_t)n, "list", &err) < 0)
		abort();
	int rc = vn_listing_compare(tree, fd, "fuzz", &err);
	if (rc > 0 || (rc < 0 && !err.text[0]))
		abort();
	const struct vn_listing_below below = { other, fd };
	list(tree, NULL, place, "alone");
	list(tree, &below, place, "along");
	if (vn_fs_remove_tree(dir, &err) < 0)
		abort();
	return 0;
}
