/* The first byte says where the bytes are cut into two layers; headers get the checksum that belongs to them, which no mutation
 * would find. Whatever the layers hold: beside the tree nothing changes, a second run says the same, and the trees can be
 * removed. */
#include "engine/tree.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CANARY "untouched"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend_checksums(uint8_t *data, size_t size)
{
	for (uint8_t *h = data; size >= 512; h += 512, size -= 512) {
		if (memcmp(h + 257, "ustar", 5))
			continue;
		unsigned sum = 0;
		memset(h + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += h[i];
		for (size_t i = 6; i-- > 0; sum >>= 3)
			h[148 + i] = (uint8_t)('0' + (sum & 7));
		h[154] = 0;
	}
}

static int apply(struct vn_tree *t, const uint8_t *bytes, size_t len)
{
	struct vn_err err = { 0 };
	struct vn_in *in = NULL;
	if (vn_in_memory(bytes, len, &in, &err) < 0)
		return -1;
	return vn_tree_apply(t, in, "fuzz", &err);
}

static int unpack(int place, const char *name, int below, const uint8_t *bytes, size_t len)
{
	struct vn_err err = { 0 };
	VN_AUTO_TREE *t = NULL;
	if (mkdirat(place, name, 0700) < 0)
		abort();
	VN_AUTO_CLOSE int fd = openat(place, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || vn_tree_open(fd, name, NULL, &t, &err) < 0)
		abort();
	if ((below >= 0 ? vn_tree_copy(t, below, &err) : vn_tree_begin(t, &err)) < 0)
		abort();
	return apply(t, bytes, len);
}

/* The canary and the folder above the trees are as they were. */
static void look_beside(int place, int outside)
{
	char text[20] = "";
	struct stat st;
	VN_AUTO_CLOSE int fd = openat(outside, "canary", O_RDONLY | O_NOFOLLOW);
	if (fd < 0 || read(fd, text, sizeof(text)) != (ssize_t)strlen(CANARY) || strcmp(text, CANARY))
		abort();
	if (fstat(fd, &st) < 0 || (st.st_mode & 07777) != 0600 || st.st_nlink != 1)
		abort();
	if (fstat(place, &st) < 0 || (st.st_mode & 07777) != 0700)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	char dir[] = "/tmp/veneer-fuzz-XXXXXX";
	if (size < 1)
		return 0;
	VN_AUTO_FREE uint8_t *bytes = malloc(size);
	if (!bytes || !mkdtemp(dir))
		return 0;
	memcpy(bytes, data + 1, size - 1);
	mend_checksums(bytes, size - 1);
	size_t cut = (size_t)data[0] * 512 < size - 1 ? (size_t)data[0] * 512 : size - 1;
	VN_AUTO_CLOSE int outside = open(dir, O_RDONLY | O_DIRECTORY);
	VN_AUTO_CLOSE int canary = openat(outside, "canary", O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (canary < 0 || vn_fs_write(canary, CANARY, strlen(CANARY), "canary", &err) < 0 ||
	    mkdirat(outside, "place", 0700) < 0)
		abort();
	VN_AUTO_CLOSE int place = openat(outside, "place", O_RDONLY | O_DIRECTORY);
	if (unpack(place, "lower", -1, bytes, cut) == 0) {
		VN_AUTO_CLOSE int lower = openat(place, "lower", O_RDONLY | O_DIRECTORY);
		int once = unpack(place, "once", lower, bytes + cut, size - 1 - cut);
		int twice = unpack(place, "twice", lower, bytes + cut, size - 1 - cut);
		if (once != twice)
			abort();
	}
	look_beside(place, outside);
	if (vn_tree_remove(AT_FDCWD, dir, &err) < 0)
		abort();
	return 0;
}
