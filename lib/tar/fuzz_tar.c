/* The first byte chooses the size of the blocks and whether contents are read, the rest is the tar; headers get the checksum
 * that belongs to them, which no mutation would find. What the reader accepts, the writer must be able to say. */
#include "stream/out.h"
#include "tar/reader.h"
#include "tar/writer.h"
#include "util/cleanup.h"
#include <string.h>

#define MAX_READ (1u << 20)       /* of one entry: holes cost no input */

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

static void read_contents(struct vn_tar *tar, struct vn_err *err)
{
	volatile uint8_t sum = 0;     /* so that the bytes are really read */
	const void *block;
	uint64_t done = 0;
	for (ssize_t n; done < MAX_READ && (n = vn_tar_data(tar, &block, err)) > 0; done += (uint64_t)n)
		for (ssize_t i = 0; i < n; i++)
			sum = sum ^ ((const uint8_t *)block)[i];
}

static void write_again(const struct vn_tar_entry *e)
{
	struct vn_err err = { 0 };
	VN_CLEANUP(vn_buf_release) struct vn_buf buf = VN_BUF(2 << 20);
	VN_AUTO_OUT *out = NULL;
	VN_CLEANUP(vn_tar_writer_close_p) struct vn_tar_writer *w = NULL;
	if (vn_out_buf(&buf, &out, &err) == 0 && vn_tar_writer_open(out, &w, &err) == 0)
		(void)vn_tar_write_entry(w, e, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	size_t chunk = (size_t)(data[0] >> 1) * 16;
	VN_AUTO_FREE uint8_t *bytes = malloc(size);
	if (!bytes)
		return 0;
	memcpy(bytes, data + 1, size - 1);
	mend_checksums(bytes, size - 1);
	struct vn_err err = { 0 };
	struct vn_in *memory = NULL, *in = NULL;
	VN_CLEANUP(vn_tar_close_p) struct vn_tar *tar = NULL;
	const struct vn_tar_entry *e;
	if (vn_in_memory(bytes, size - 1, &memory, &err) < 0 || vn_in_fault(memory, UINT64_MAX, true, chunk, &in, &err) < 0 ||
	    vn_tar_open(in, "fuzz", &tar, &err) < 0)
		return 0;
	while (vn_tar_next(tar, &e, &err) > 0) {
		write_again(e);
		if (data[0] & 1)
			read_contents(tar, &err);
	}
	return 0;
}
