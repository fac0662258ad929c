/* What the format families of vn_model_look share: a bounded cursor, a tally of element types, text made safe to print. */
#ifndef VN_MODEL_LOOK_H
#define VN_MODEL_LOOK_H
#include "model/facts.h"
#include "model/tensors.h"
#include <stdint.h>

struct vn_bytes {
	const uint8_t *p;
	size_t len;
};
static inline struct vn_bytes vn_bytes_at(struct vn_bytes b, uint64_t at, uint64_t len)
{
	if (at > b.len || len > b.len - at)
		return (struct vn_bytes){ b.p, 0 };
	return (struct vn_bytes){ b.p + at, (size_t)len };
}
bool vn_bytes_start(struct vn_bytes b, const void *magic, size_t len);
bool vn_bytes_are(struct vn_bytes b, const char *text);
/* The first place of `text` in b as an offset, b.len when it is not there. */
size_t vn_bytes_find(struct vn_bytes b, const char *text);

/* Reads in order; a read past the end sets `bad`, gives zeros and stays at the end. */
struct vn_cur {
	struct vn_bytes b;
	size_t at;
	bool bad, big;               /* big: fixed-width integers are big-endian */
};
static inline struct vn_cur vn_cur_of(struct vn_bytes b)
{
	return (struct vn_cur){ b, 0, false, false };
}
static inline bool vn_cur_end(const struct vn_cur *c)
{
	return c->bad || c->at == c->b.len;
}
struct vn_bytes vn_cur_take(struct vn_cur *c, uint64_t len);
uint64_t vn_cur_uint(struct vn_cur *c, unsigned width);     /* width 1, 2, 4, 8 */
struct vn_bytes vn_cur_line(struct vn_cur *c);              /* up to '\n', which is taken too */

/* One field of a protobuf message (encoding.md): varint and fixed values in `value`, length-delimited ones in `bytes`. */
struct vn_pb {
	uint32_t number;
	uint8_t wire;                /* 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
	uint64_t value;
	struct vn_bytes bytes;
};
bool vn_pb_next(struct vn_cur *c, struct vn_pb *ret);       /* false at the end and on malformed input (c->bad) */

/* Bytes for each element type; names are constants. */
#define VN_TALLY 24
struct vn_tally {
	const char *name[VN_TALLY];
	uint64_t bytes[VN_TALLY];
	size_t n;
};
void vn_tally_add(struct vn_tally *t, const char *name, uint64_t bytes);     /* NULL name: nothing */
uint64_t vn_tally_of(const struct vn_tally *t, const char *name);
const char *vn_tally_top(const struct vn_tally *t);                          /* NULL when empty */
/* "f16" → "fp16", "i8" → "int8", float types → "none", others their own name, integers that are no weights → "". */
const char *vn_quantisation_of(const char *element);
/* The element type of a numpy descriptor such as "<f4"; NULL for records, objects and text. */
const char *vn_numpy_element(struct vn_bytes descr);

/* Printable ASCII only, cut to fit; anything else becomes '?'. add puts one space between. */
void vn_fact_set(char *out, size_t size, const char *text);
void vn_fact_add(char *out, size_t size, struct vn_bytes text);
void vn_fact_adds(char *out, size_t size, const char *text);
void vn_fact_tally(struct vn_model_facts *f, const struct vn_tally *t);      /* element, and quantisation unless set */
#define VN_FACT(field, text) vn_fact_set((field), sizeof(field), (text))

/* Families. Each returns false, and leaves *ret alone, when the bytes are not of its format. */
bool vn_look_tflite(struct vn_bytes b, struct vn_model_facts *ret);
bool vn_look_onnx(struct vn_bytes b, struct vn_model_facts *ret);            /* no magic: only by name */
bool vn_look_ort(struct vn_bytes b, struct vn_model_facts *ret);
bool vn_look_gguf(struct vn_bytes b, struct vn_model_facts *ret);
bool vn_look_safetensors(struct vn_bytes b, struct vn_model_facts *ret);
bool vn_look_npy(struct vn_bytes b, struct vn_model_facts *ret);
bool vn_look_zip(struct vn_bytes b, struct vn_model_facts *ret);             /* torch, keras, npz by their members */
bool vn_look_pickle(struct vn_bytes b, struct vn_model_facts *ret);
bool vn_look_joblib_packed(struct vn_bytes b, struct vn_model_facts *ret);   /* by name: a compressed stream */
bool vn_look_hdf5(struct vn_bytes b, struct vn_model_facts *ret);
bool vn_look_savedmodel(struct vn_bytes b, struct vn_model_facts *ret);      /* by name */
bool vn_look_coreml(struct vn_bytes b, struct vn_model_facts *ret);          /* by name */
bool vn_look_xgboost(struct vn_bytes b, struct vn_model_facts *ret);
bool vn_look_lightgbm(struct vn_bytes b, struct vn_model_facts *ret);
bool vn_look_catboost(struct vn_bytes b, struct vn_model_facts *ret);

/* The element type in an .npy header and the bytes of its data; NULL when it is none or no plain type. */
const char *vn_npy_element(struct vn_bytes b);

/* What a walk over pickle opcodes finds; nothing is ever executed. */
struct vn_pickle_facts {
	char module[96], name[64];   /* first class that is not plumbing; "" = none */
	struct vn_tally elements;    /* numpy arrays and torch storages */
	bool joblib, torch;          /* NumpyArrayWrapper seen; torch storages or tensors seen */
	bool whole;                  /* the walk came to a STOP */
	const char *quantised;       /* torch: "int8" or "uint8" when such storages are used, else "" */
};
void vn_pickle_walk(struct vn_bytes b, struct vn_pickle_facts *ret);
/* "scikit-learn IsolationForest". */
void vn_pickle_detail(const struct vn_pickle_facts *f, char *out, size_t size);

/* The same formats, tensor by tensor. */
struct vn_map {
	struct vn_bytes whole;
	struct vn_model_tensors *ret;
	bool failed;                 /* memory is out */
};
/* `data` lies in map->whole; NULL map: nothing. */
void vn_map_add(struct vn_map *map, struct vn_bytes name, const char *element, struct vn_bytes data);
void vn_map_safetensors(struct vn_bytes b, struct vn_map *map);
void vn_map_npy(struct vn_bytes b, struct vn_bytes name, struct vn_map *map);
void vn_map_zip(struct vn_bytes b, struct vn_map *map);
void vn_map_gguf(struct vn_bytes b, struct vn_map *map);
void vn_map_tflite(struct vn_bytes b, struct vn_map *map);
void vn_map_onnx(struct vn_bytes b, struct vn_map *map);
void vn_map_pickle(struct vn_bytes b, struct vn_map *map);
#endif
