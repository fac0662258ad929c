/* Containers of plain arrays: .npy (numpy/lib/format.py), safetensors (u64 header length, JSON name → {dtype, data_offsets},
 * data) and HDF5 as Keras writes it. */
#include "model/look.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "json/json.h"
#include <string.h>

/* The header is a Python dictionary in text: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } */
static const char *npy(struct vn_bytes b, struct vn_bytes *ret_data)
{
	struct vn_cur c = vn_cur_of(b);
	if (!vn_bytes_start(vn_cur_take(&c, 6), "\x93NUMPY", 6))
		return NULL;
	uint64_t version = vn_cur_uint(&c, 2) & 0xff;
	struct vn_bytes head = vn_cur_take(&c, vn_cur_uint(&c, version == 1 ? 2 : 4));
	*ret_data = vn_bytes_at(b, c.at, b.len - c.at);
	if (head.len > 4096)
		head.len = 4096;
	size_t at = vn_bytes_find(head, "'descr': '");
	if (at == head.len)
		return NULL;
	struct vn_bytes descr = vn_bytes_at(head, at + 10, head.len - at - 10);
	descr.len = vn_bytes_find(descr, "'");
	return vn_numpy_element(descr);
}

const char *vn_npy_element(struct vn_bytes b)
{
	struct vn_bytes data;
	return npy(b, &data);
}

void vn_map_npy(struct vn_bytes b, struct vn_bytes name, struct vn_map *map)
{
	struct vn_bytes data = { b.p, 0 };
	const char *element = npy(b, &data);
	vn_map_add(map, name, element, data);
}

bool vn_look_npy(struct vn_bytes b, struct vn_model_facts *ret)
{
	if (!vn_bytes_start(b, "\x93NUMPY", 6))
		return false;
	const char *element = vn_npy_element(b);
	VN_FACT(ret->format, "npy");
	VN_FACT(ret->element, element ? element : "");
	return true;
}

static const char *safetensors_element(const char *dtype)
{
	static const struct {
		const char *dtype, *element;
	} table[] = {
		{ "F64", "f64" },   { "F32", "f32" },	      { "F16", "f16" },		{ "BF16", "bf16" },
		{ "I64", "i64" },   { "I32", "i32" },	      { "I16", "i16" },		{ "I8", "i8" },
		{ "U8", "u8" },	    { "U16", "u16" },	      { "U32", "u32" },		{ "U64", "u64" },
		{ "BOOL", "bool" }, { "F8_E4M3", "f8_e4m3" }, { "F8_E5M2", "f8_e5m2" }, { "F4", "f4_e2m1" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (!strcmp(table[i].dtype, dtype))
			return table[i].element;
	return NULL;
}

/* Its element type and its place in the data; NULL when it is odd. */
static const char *safetensors_tensor(const struct vn_jv *v, uint64_t *ret_at, uint64_t *ret_len)
{
	struct vn_err err = { 0 };
	const char *dtype = NULL;
	int64_t from = 0, to = 0;
	struct vn_jv offsets = vn_jv_get(v, "data_offsets");
	if (vn_jv_opt_text(v, "dtype", &dtype, &err) < 0 || !dtype || vn_jv_count(&offsets) != 2)
		return NULL;
	struct vn_jv first = vn_jv_at(&offsets, 0), second = vn_jv_at(&offsets, 1);
	if (vn_jv_int(&first, &from, &err) < 0 || vn_jv_int(&second, &to, &err) < 0 || from < 0 || to < from)
		return NULL;
	*ret_at = (uint64_t)from;
	*ret_len = (uint64_t)(to - from);
	return safetensors_element(dtype);
}

/* Libraries that convert weights say so beside them; "format" is the framework that wrote the file. */
static void safetensors_metadata(const struct vn_jv *v, struct vn_model_facts *ret)
{
	static const struct {
		const char *format, *name;
	} table[] = { { "pt", "PyTorch" }, { "tf", "TensorFlow" }, { "flax", "Flax" }, { "mlx", "MLX" }, { "np", "NumPy" } };
	struct vn_err err = { 0 };
	const char *format = NULL;
	if (vn_jv_opt_text(v, "format", &format, &err) < 0 || !format)
		return;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (!strcmp(table[i].format, format))
			VN_FACT(ret->detail, table[i].name);
}

/* false: no such file. *ret_json stays NULL when its header cannot be read. */
static bool safetensors_head(struct vn_bytes b, vn_json **ret_json, struct vn_bytes *ret_data)
{
	struct vn_cur c = vn_cur_of(b);
	struct vn_bytes head = vn_cur_take(&c, vn_cur_uint(&c, 8));
	struct vn_err err = { 0 };
	if (c.bad || !vn_bytes_start(head, "{", 1))
		return false;
	*ret_data = vn_bytes_at(b, c.at, b.len - c.at);
	while (head.len && head.p[head.len - 1] == ' ')
		head.len--;
	if (head.len <= VN_MAX_MODEL_HEADER)
		(void)vn_json_parse(head.p, head.len, "safetensors header", ret_json, &err);
	return true;
}

bool vn_look_safetensors(struct vn_bytes b, struct vn_model_facts *ret)
{
	VN_AUTO_JSON *json = NULL;
	struct vn_bytes data;
	if (!safetensors_head(b, &json, &data))
		return false;
	VN_FACT(ret->format, "safetensors");
	if (!json)
		return true;
	struct vn_tally t = { 0 };
	struct vn_jv root = vn_jv_root(json, "safetensors header"), v;
	const char *key;
	for (void *iter = NULL; vn_jv_each(&root, &iter, &key, &v);) {
		uint64_t at, len = 0;
		const char *element = vn_jv_is_object(&v) ? safetensors_tensor(&v, &at, &len) : NULL;
		if (!strcmp(key, "__metadata__"))
			safetensors_metadata(&v, ret);
		else
			vn_tally_add(&t, element, len);
	}
	vn_fact_tally(ret, &t);
	return true;
}

void vn_map_safetensors(struct vn_bytes b, struct vn_map *map)
{
	VN_AUTO_JSON *json = NULL;
	struct vn_bytes data;
	if (!safetensors_head(b, &json, &data) || !json)
		return;
	struct vn_jv root = vn_jv_root(json, "safetensors header"), v;
	const char *key;
	for (void *iter = NULL; vn_jv_each(&root, &iter, &key, &v);) {
		uint64_t at = 0, len = 0;
		const char *element = vn_jv_is_object(&v) ? safetensors_tensor(&v, &at, &len) : NULL;
		if (element)
			vn_map_add(map, (struct vn_bytes){ (const uint8_t *)key, strlen(key) }, element, vn_bytes_at(data, at, len));
	}
}

bool vn_look_hdf5(struct vn_bytes b, struct vn_model_facts *ret)
{
	if (!vn_bytes_start(b, "\x89HDF\r\n\x1a\n", 8))
		return false;
	/* Keras keeps these names as attributes of the root group, whose header comes first */
	struct vn_bytes head = { b.p, b.len < 1u << 20 ? b.len : 1u << 20 };
	bool keras = vn_bytes_find(head, "keras_version") < head.len || vn_bytes_find(head, "model_config") < head.len;
	VN_FACT(ret->format, keras ? "keras" : "hdf5");
	return true;
}
