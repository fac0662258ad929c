/* Where the tensors of a model file lie, and which of an old file is which of a new one: safetensors, ONNX raw data, TensorFlow
 * Lite buffers, .npy and stored .npz members, GGUF, stored PyTorch storages, arrays in pickles. A hint for deltas; correctness
 * never depends on it. */
#ifndef VN_MODEL_TENSORS_H
#define VN_MODEL_TENSORS_H
#include "util/err.h"
#include <stddef.h>
#include <stdint.h>

struct vn_model_tensor {
	char name[64];                /* printable ASCII, cut to fit; "" = the format has none */
	uint64_t hash;                /* of the whole name, 0 = none */
	const char *element;          /* "f32" …, a constant; "" = unknown */
	uint64_t at, len;             /* bytes in the file, never outside */
};
struct vn_model_tensors {
	struct vn_model_tensor *list; /* as the file names them */
	size_t count, cap;
};
void vn_model_tensors_release(struct vn_model_tensors *tensors);
/* Nothing for other files. Fails only without memory; odd bytes end the list, as do VN_MAX_MODEL_TENSORS. */
int vn_model_tensors(const char *path, const void *bytes, size_t len, struct vn_model_tensors *ret, struct vn_err *err);

struct vn_model_pair {
	uint64_t new_at, new_len, old_at, old_len;
};
struct vn_model_pairs {
	struct vn_model_pair *list;   /* by new_at, without overlap in new */
	size_t count;
};
void vn_model_pairs_release(struct vn_model_pairs *pairs);
/* By name; what has none, or one that the other file does not have, by element and length in the order of the files. */
int vn_model_pair(const struct vn_model_tensors *old, const struct vn_model_tensors *now, struct vn_model_pairs *ret,
		  struct vn_err *err);
#endif
