#include "registry/memory.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	struct vn_memory *m = NULL;

	if (vn_memory_open(NULL, NULL, &m, &err) < 0)
		return 0;
	vn_memory_read(m, data, size, &err);
	for (enum vn_memory_kind kind = 0; kind < VN_MEMORY_KINDS; kind++)
		for (size_t nth = 0;; nth++) {
			VN_AUTO(vn_memory_item) item = { 0 };
			if (!vn_memory_get(m, kind, nth, 60, &item))
				break;
			if (nth >= VN_MEMORY_EACH || !item.text[VN_MEMORY_TEXTS - 1])
				abort();
		}
	vn_memory_close(m, NULL);
	return 0;
}
