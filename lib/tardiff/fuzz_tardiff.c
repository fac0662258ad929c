/* The reader on foreign bytes: as a whole tar-diff, and as the operations of one, in a frame of raw blocks, so that no
 * compressor stands between them and what they say. */
#include "tardiff/fixture.h"
#include "tardiff/format.h"
#include "util/cleanup.h"
#include "util/num.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OLD 20000
#define MOST (1u << 20)
#define BLOCK 65535u

static void run(const uint8_t *old, const void *data, size_t size)
{
	const struct fixture_file list[] = { { "a", old, OLD }, { "b/c", old + 1000, 100 }, { "d", old, 0 } };
	struct fixture_image image = fixture_image(list, 3);
	struct vn_err err = { 0 };
	struct vn_tardiff_limits limits = { .memory = 1u << 20, .new_size = MOST };
	VN_AUTO(vn_buf) tar = VN_BUF(MOST);
	VN_AUTO_IN *in = NULL;
	VN_AUTO_OUT *out = NULL;
	if (vn_in_memory(data, size, &in, &err) == 0 && vn_out_buf(&tar, &out, &err) == 0)
		(void)vn_tardiff_apply(&image.files, in, out, &limits, &err);
	if (image.opened != 0)
		__builtin_trap();
}

static void run_operations(const uint8_t *old, const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) delta = VN_BUF(MOST);
	uint8_t head[9 + 3] = { 0x28, 0xb5, 0x2f, 0xfd, 0xa0 };
	if (size > BLOCK)
		return;
	vn_put_u32(head + 5, (uint32_t)size);
	head[9] = (uint8_t)(size << 3 | 1), head[10] = (uint8_t)(size >> 5), head[11] = (uint8_t)(size >> 13);
	if (vn_buf_add(&delta, VN_TARDIFF_MAGIC_2, VN_TARDIFF_MAGIC_LEN, &err) == 0 &&
	    vn_buf_add(&delta, head, sizeof(head), &err) == 0 && vn_buf_add(&delta, data, size, &err) == 0)
		run(old, delta.data, delta.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t old[OLD];
	for (size_t i = 0; i < OLD; i++)
		old[i] = (uint8_t)(i * i >> 5);
	run(old, data, size);
	run_operations(old, data, size);
	return 0;
}
