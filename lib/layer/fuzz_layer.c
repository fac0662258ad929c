/* Two layers as tars: the first two bytes say where the second begins, in blocks. Each is indexed, in two sizes of stream blocks that
 * must give the same index; then both are merged, and compared with each alone. */
#include "layer/compare.h"
#include "layer/facts.h"
#include "util/cleanup.h"
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int build(const uint8_t *data, size_t size, size_t chunk, struct vn_err *err)
{
	struct vn_index_options options = { .key = { 1 }, .gather = &vn_gather_facts };
	struct vn_in *in = NULL;
	VN_AUTO_CLOSE int fd = memfd_create("index", MFD_CLOEXEC);
	if (fd < 0 || vn_in_memory(data, size, &in, err) < 0)
		return -1;
	if (vn_in_fault(in, UINT64_MAX, true, chunk, &in, err) < 0 || vn_layer_index_build(in, "fuzz", &options, fd, err) < 0)
		return -1;
	int ret = fd;
	fd = -1;
	return ret;
}

static void must_equal(int a, int b)
{
	struct stat x, y;
	uint8_t left[4096], right[4096];
	if (a < 0 || b < 0 || fstat(a, &x) < 0 || fstat(b, &y) < 0)
		__builtin_trap();
	if (x.st_size != y.st_size)
		__builtin_trap();
	for (off_t at = 0; at < x.st_size; at += (off_t)sizeof(left)) {
		ssize_t n = pread(a, left, sizeof(left), at), m = pread(b, right, sizeof(right), at);
		if (n < 0 || n != m || memcmp(left, right, (size_t)n))
			__builtin_trap();
	}
}

static bool open_layer(const uint8_t *data, size_t size, struct vn_layer_index *ret)
{
	struct vn_err err = { 0 };
	int fd = build(data, size, 0, &err);
	if (fd < 0 && err.code == VN_ENOMEM)
		return false;
	int twin = build(data, size, 7, &err);
	if (fd >= 0 || twin >= 0)
		must_equal(fd, twin);
	if (twin >= 0)
		close(twin);
	return fd >= 0 && vn_layer_index_adopt(fd, "fuzz", ret, &err) == 0;
}

/* Order, parents, and nothing twice: what everybody who walks a tree relies on. */
static void check_walk(const struct vn_layer_index *const *list, size_t n)
{
	struct vn_err err = { 0 };
	VN_AUTO_MERGE *m = NULL;
	VN_AUTO_FREE char *last = NULL;
	struct vn_merged e;
	if (vn_merge_open(list, n, false, &m, &err) < 0)
		return;
	while (vn_merge_next(m, &e, &err) > 0) {
		if (e.e.kind == VN_KIND_WHITEOUT || e.e.kind == VN_KIND_OPAQUE || e.e.kind == VN_KIND_LOWER)
			__builtin_trap();
		if (last && strcmp(last, e.e.path) == 0)
			__builtin_trap();
		free(last);
		last = strdup(e.e.path);
	}
}

static int one_pair(void *user, const struct vn_pair *p, struct vn_err *err)
{
	size_t *count = user;
	(void)err;
	*count += p->fields != 0 || !p->old_ || !p->new_;
	return 0;
}

static size_t compare(const struct vn_layer_index *const *a, size_t na, const struct vn_layer_index *const *b, size_t nb, bool partial)
{
	struct vn_err err = { 0 };
	VN_AUTO_MERGE *x = NULL, *y = NULL;
	bool need_base = false;
	size_t count = 0;
	if (vn_merge_open(a, na, partial, &x, &err) == 0 && vn_merge_open(b, nb, partial, &y, &err) == 0)
		(void)vn_compare(x, y, partial, one_pair, &count, &need_base, &err);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 1 << 16)
		return 0;
	size_t split = ((size_t)data[0] | (size_t)data[1] << 8) * 512;
	VN_AUTO_FREE uint8_t *bytes = malloc(size);
	struct vn_layer_index x[2] = { VN_LAYER_INDEX, VN_LAYER_INDEX };
	const struct vn_layer_index *list[] = { &x[0], &x[1] };
	if (!bytes)
		return 0;
	memcpy(bytes, data + 2, size - 2);
	size -= 2;
	mend_checksums(bytes, size);
	if (split > size)
		split = size;
	if (open_layer(bytes, split, &x[0]) && open_layer(bytes + split, size - split, &x[1])) {
		check_walk(list, 2);
		check_walk(list, 1);
		compare(list, 1, list + 1, 1, false);
		compare(list, 1, list + 1, 1, true);
		compare(list, 2, list + 1, 1, true);
		if (compare(list, 2, list, 2, false))
			__builtin_trap();
	}
	vn_layer_index_release(&x[0]);
	vn_layer_index_release(&x[1]);
	return 0;
}
