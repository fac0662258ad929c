/* The first byte chooses the size of the blocks, the rest is the stream. */
#include "stream/in.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct vn_err err = { 0 };
	VN_AUTO_IN *memory = NULL, *chunks = NULL, *in = NULL;
	if (vn_in_memory(data + 1, size - 1, &memory, &err) < 0 ||
	    vn_in_fault(vn_steal(memory), UINT64_MAX, true, data[0], &chunks, &err) < 0 ||
	    vn_in_inflate(vn_steal(chunks), 8 << 20, "fuzz", &in, &err) < 0)
		return 0;
	const void *block;
	volatile uint8_t sum = 0;     /* so that the bytes are really read */
	for (ssize_t n; (n = vn_in_next(in, &block, &err)) > 0;)
		for (ssize_t i = 0; i < n; i++)
			sum = sum ^ ((const uint8_t *)block)[i];
	return 0;
}
