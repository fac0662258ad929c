/* An index file as another program or a crash may have left it: first as it is, then with the head that fits it, so that the records
 * are reached. */
#include "layer/facts.h"
#include "layer/index_format.h"
#include "layer/merge.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct vn_layer_index *x, bool partial)
{
	struct vn_err err = { 0 };
	const struct vn_layer_index *list[] = { x, x };
	VN_AUTO_MERGE *merge = NULL;
	struct vn_merged m;
	volatile size_t sum = 0;
	if (vn_merge_open(list, 2, partial, &merge, &err) < 0)
		return;
	for (int i = 0; i < 5000 && vn_merge_next(merge, &m, &err) > 0; i++)
		sum = sum + strlen(m.e.path) + strlen(m.first) + (m.e.link ? strlen(m.e.link) : 0);
}

static void read_facts(const struct vn_layer_index *x)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) facts = VN_BUF(1 << 20);
	struct vn_cursor *c = NULL;
	struct vn_entry e;
	struct vn_model_note note;
	struct vn_package package;
	if (vn_cursor_open(x, &c, &err) < 0)
		return;
	while (vn_cursor_next(c, &e, &err) > 0) {
		size_t at = 0;
		if (vn_layer_index_facts(x, &e, &facts, &err) < 0)
			break;
		(void)vn_facts_model(&facts, &note);
		while (vn_facts_package(&facts, &at, &package))
			;
	}
	vn_cursor_close(c);
}

static void adopt(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	struct vn_layer_index x = VN_LAYER_INDEX;
	VN_AUTO_CLOSE int fd = memfd_create("index", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || vn_layer_index_adopt(fd, "fuzz", &x, &err) < 0)
		return;
	fd = -1;
	read_facts(&x);
	walk(&x, false);
	walk(&x, true);
	vn_layer_index_release(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 1 << 16)
		return 0;
	adopt(data, size);
	if (size < VN_INDEX_HEAD)
		return 0;
	VN_AUTO_FREE uint8_t *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	vn_index_head(copy, vn_get_u64(data + 8) % 100, 1, vn_get_u64(data + 24) % (size - VN_INDEX_HEAD + 1) + VN_INDEX_HEAD, 1);
	adopt(copy, size);
	return 0;
}
