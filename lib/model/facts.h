/* What a file says about itself when it is a machine-learning model: format and element type. A hint for people and for the
 * names of releases; correctness never depends on it. */
#ifndef VN_MODEL_FACTS_H
#define VN_MODEL_FACTS_H
#include "util/err.h"
#include <stdbool.h>
#include <stddef.h>

struct vn_model_facts {
	char format[24];     /* "tflite" "onnx" "pytorch" "torchscript" "pickle" "joblib" "gguf" "keras" "hdf5" "safetensors" "npy"
	                        "npz" "savedmodel" "xgboost-json" "lightgbm" …; "" = not a model */
	char detail[64];     /* what made it, where the file tells: "scikit-learn IsolationForest", "llama"; "" = unknown */
	char element[24];    /* the element type that holds most bytes: "f32" "f16" "bf16" "f64" "i8" "u8" "q4_k" …; "" = unknown */
	char quantisation[24]; /* "none" "int8" "uint8" "fp16" "q4_k_m" …; "" = the format does not tell */
};
/* A guess by name alone (extension): the format or NULL. Used to decide which files are kept for a closer look. */
const char *vn_model_by_path(const char *path);
/* A guess by the first bytes (at least 16 where the file has them) for files whose name says nothing. */
const char *vn_model_by_magic(const void *head, size_t len);
/* Look inside. Never fails on odd bytes: facts it cannot tell stay "". Reads only [bytes, bytes + len). */
void vn_model_look(const char *path, const void *bytes, size_t len, struct vn_model_facts *ret);
#endif
