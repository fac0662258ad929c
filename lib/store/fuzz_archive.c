/* A tar as docker-archive and as OCI archive. Checksums of blocks that look like headers are made right first, since chance would
 * never get past them. */
#include "image/image.h"
#include "store/archive.h"
#include "store/layout.h"
#include "store/members.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t h[512])
{
	unsigned sum = 0;
	char text[16];
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(h + 148, text, 7);
}

static int file_of(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	for (size_t at = 0; fd >= 0 && at < size; at += 512) {
		uint8_t block[512];
		size_t n = size - at < 512 ? size - at : 512;
		memcpy(block, data + at, n);
		if (n == 512 && !memcmp(block + 257, "ustar", 5))
			seal(block);
		vn_fs_write(fd, block, n, "fuzz", &err);
	}
	return fd;
}

static void read_image(struct vn_source *s)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_image) image = { 0 };
	VN_AUTO(vn_buf) tags = VN_BUF(1 << 20);
	size_t count;
	s->ops->tags(s, &tags, &count, &err);
	if (vn_image_open(s, NULL, NULL, &image, &err) < 0)
		return;
	for (size_t i = 0; i < image.nlayers && i < 8; i++) {
		VN_AUTO_IN *in = NULL;
		if (vn_image_layer_tar(&image, i, 1 << 20, &in, &err) == 0)
			vn_in_drain(in, &err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const texts[] = { "docker-archive:x", "docker-archive:x:app:v1" };
	for (size_t i = 0; i < 2 && size < 1 << 20; i++) {
		struct vn_err err = { 0 };
		VN_AUTO(vn_ref) ref = { 0 };
		VN_AUTO_SOURCE *s = NULL;
		int fd = file_of(data, size);
		if (fd < 0 || vn_ref_parse(texts[i], &ref, &err) < 0)
			return 0;
		if (vn_docker_archive_source_fd(fd, "x", &ref, NULL, &s, &err) == 0)
			read_image(s);
	}
	return 0;
}
