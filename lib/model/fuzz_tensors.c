/* The first byte picks a name, the rest is the file: every tensor lies inside, and every pair is one of two tensors. */
#include "model/tensors.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "m.tflite", "m.onnx", "m.pt", "m.pkl", "m.joblib", "m.gguf", "m.safetensors", "m.npy",
					     "m.npz",	 "m" };
	struct vn_err err = { 0 };
	struct vn_model_tensors all = { 0 }, half = { 0 };
	struct vn_model_pairs pairs = { 0 };
	if (!size)
		return 0;
	const char *name = names[data[0] % (sizeof(names) / sizeof(*names))];
	if (vn_model_tensors(name, data + 1, size - 1, &all, &err) == 0 &&
	    vn_model_tensors(name, data + 1, size / 2, &half, &err) == 0)
		(void)vn_model_pair(&half, &all, &pairs, &err);
	for (size_t i = 0; i < all.count; i++)
		if (all.list[i].at > size - 1 || all.list[i].len > size - 1 - all.list[i].at)
			abort();
	for (size_t i = 0; i < pairs.count; i++)
		if (pairs.list[i].old_at > size / 2 || pairs.list[i].old_len > size / 2 - pairs.list[i].old_at ||
		    (i > 0 && pairs.list[i].new_at < pairs.list[i - 1].new_at + pairs.list[i - 1].new_len))
			abort();
	vn_model_tensors_release(&all);
	vn_model_tensors_release(&half);
	vn_model_pairs_release(&pairs);
	return 0;
}
