/* The front of a bundle, as it is and as a table of that length without anything packed; what is read is written and read again. */
#include "ocidelta/bundle.h"
#include "util/cleanup.h"
#include "util/num.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct vn_bundle *b)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(SIZE_MAX / 2);
	VN_AUTO(vn_bundle) twice = { 0 };
	VN_AUTO_OUT *out = NULL;
	VN_AUTO_IN *in = NULL;
	if (vn_out_buf(&bytes, &out, &err) < 0 || vn_bundle_write(b, out, &err) < 0 ||
	    vn_in_memory(bytes.data, bytes.len, &in, &err) < 0)
		return;
	if (vn_bundle_read(in, &twice, &err) < 0 || twice.npaths != b->npaths || twice.nlayers != b->nlayers)
		__builtin_trap();
	for (size_t i = 0; i < b->npaths; i++)
		if (strcmp(b->paths[i], twice.paths[i]))
			__builtin_trap();
}

static void run(const void *data, size_t size)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_bundle) b = { 0 };
	VN_AUTO_IN *in = NULL;
	if (vn_in_memory(data, size, &in, &err) == 0 && vn_bundle_read(in, &b, &err) == 0)
		again(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) bytes = VN_BUF(SIZE_MAX / 2);
	uint8_t number[10];
	run(data, size);
	if (size < 1u << 16 && vn_buf_adds(&bytes, VN_BUNDLE_MAGIC, &err) == 0 &&
	    vn_buf_add(&bytes, number, vn_put_varint(number, size), &err) == 0 && vn_buf_add(&bytes, "", 1, &err) == 0 &&
	    vn_buf_add(&bytes, data, size, &err) == 0)
		run(bytes.data, bytes.len);
	return 0;
}
