/* The first byte picks a name, the rest is the file. */
#include "model/facts.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "m.tflite", "m.onnx",	   "m.pt",   "m.pkl", "m.joblib",
					     "m.gguf",	 "m.safetensors",  "m.npy",  "m.npz", "m.h5",
					     "m.keras",	 "saved_model.pb", "m.json", "m.ubj", "m.txt",
					     "m.cbm",	 "m.mlmodel",	   "m.ort",  "m",     "m.ckpt" };
	struct vn_model_facts f;
	if (!size)
		return 0;
	vn_model_by_magic(data + 1, size - 1);
	vn_model_look(names[data[0] % (sizeof(names) / sizeof(*names))], data + 1, size - 1, &f);
	const char *const fields[] = { f.format, f.detail, f.element, f.quantisation };
	for (size_t i = 0; i < 4; i++)
		for (const char *p = fields[i]; *p; p++)
			if (*p < 0x20 || *p > 0x7e)
				__builtin_trap();
	return 0;
}
