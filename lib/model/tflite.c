/* TensorFlow Lite (schema.fbs) and ONNX Runtime's .ort: flatbuffers. A table starts with i32 "distance back to its vtable"; a
 * vtable is u16 own size, u16 table size, then one u16 offset for each field (0 = absent). Vectors are u32 count and items;
 * items that are tables, and fields that are vectors, are u32 offsets relative to where they stand. */
#include "model/look.h"
#include "util/limits.h"
#include <string.h>

static uint32_t u32_at(struct vn_bytes b, size_t at)
{
	struct vn_cur c = vn_cur_of(vn_bytes_at(b, at, 4));
	return (uint32_t)vn_cur_uint(&c, 4);
}

static uint16_t u16_at(struct vn_bytes b, size_t at)
{
	struct vn_cur c = vn_cur_of(vn_bytes_at(b, at, 2));
	return (uint16_t)vn_cur_uint(&c, 2);
}

/* Where field `i` of the table at `table` stands; 0 = absent (offset 0 is the root pointer, never a field). */
static size_t field(struct vn_bytes b, size_t table, unsigned i)
{
	int64_t vtable = (int64_t)table - (int32_t)u32_at(b, table);
	if (!table || vtable < 0 || (uint64_t)vtable > b.len || vn_bytes_at(b, table, 4).len != 4)
		return 0;
	size_t size = u16_at(b, (size_t)vtable), slot = 4 + 2 * (size_t)i;
	if (slot + 2 > size)
		return 0;
	uint16_t off = u16_at(b, (size_t)vtable + slot);
	return off && off < b.len - table ? table + off : 0;
}

/* What the offset at `at` points to; 0 when absent or outside. */
static size_t follow(struct vn_bytes b, size_t at)
{
	uint32_t off = at ? u32_at(b, at) : 0;
	return off && off < b.len - at ? at + off : 0;
}

/* The items of the vector that a field refers to; *ret_items is where the first one stands. */
static uint32_t vector(struct vn_bytes b, size_t at, size_t item_size, size_t *ret_items)
{
	size_t v = follow(b, at);
	uint32_t n = v ? u32_at(b, v) : 0;
	if (!n || b.len - v < 4 || n > (b.len - v - 4) / item_size)
		return 0;
	*ret_items = v + 4;
	return n;
}

static struct vn_bytes vector_bytes(struct vn_bytes b, size_t at)
{
	size_t items = 0;
	uint32_t n = vector(b, at, 1, &items);
	return vn_bytes_at(b, items, n);
}

/* enum TensorType of schema.fbs */
static const char *const types[] = { "f32", "f16",  "i32", "u8", "i64", NULL,  "bool", "i16", "c64",  "i8",
				     "f64", "c128", "u64", NULL, NULL,	"u32", "u16",  "i4",  "bf16", "i2" };

struct walk {
	struct vn_bytes b;
	size_t buffers; /* first item of Model.buffers */
	uint32_t nbuffers;
	struct vn_tally elements, weights; /* weights: without indices and biases */
	uint32_t steps;
	struct vn_map *map;          /* NULL: facts only */
};

static uint64_t u64_at(struct vn_bytes b, size_t at)
{
	struct vn_cur c = vn_cur_of(vn_bytes_at(b, at, 8));
	return vn_cur_uint(&c, 8);
}

/* *ret_data is empty when it is not in this file. */
static uint64_t buffer_size(const struct walk *w, uint32_t i, struct vn_bytes *ret_data)
{
	*ret_data = (struct vn_bytes){ w->b.p, 0 };
	if (i >= w->nbuffers)
		return 0;
	size_t table = follow(w->b, w->buffers + 4 * (size_t)i);
	struct vn_bytes inside = vector_bytes(w->b, field(w->b, table, 0));
	size_t offset = field(w->b, table, 1), size = field(w->b, table, 2);
	*ret_data = inside;
	if (inside.len || !size)
		return inside.len;
	/* a model beyond 2 GB keeps data behind the flatbuffer: Buffer.offset, Buffer.size */
	if (offset)
		*ret_data = vn_bytes_at(w->b, u64_at(w->b, offset), u64_at(w->b, size));
	return u64_at(w->b, size);
}

static void tensor(struct walk *w, size_t table)
{
	size_t at = field(w->b, table, 1), buffer = field(w->b, table, 2), scales = 0;
	uint8_t type = at && at < w->b.len ? w->b.p[at] : 0;
	struct vn_bytes data;
	uint64_t bytes = buffer_size(w, buffer ? u32_at(w->b, buffer) : 0, &data);
	if (!bytes || type >= sizeof(types) / sizeof(*types) || !types[type])
		return;
	vn_map_add(w->map, vector_bytes(w->b, field(w->b, table, 3)), types[type], data);
	size_t quantization = follow(w->b, field(w->b, table, 4));
	bool quantised = vector(w->b, field(w->b, quantization, 2), 4, &scales) > 0;
	vn_tally_add(&w->elements, types[type], bytes);
	if (types[type][0] == 'f' || !strcmp(types[type], "bf16") ||
	    (quantised && strcmp(types[type], "i32") && strcmp(types[type], "i64")))
		vn_tally_add(&w->weights, types[type], bytes);
}

static void subgraphs(struct walk *w, size_t model)
{
	size_t graphs = 0, tensors = 0;
	uint32_t ngraphs = vector(w->b, field(w->b, model, 2), 4, &graphs);
	for (uint32_t g = 0; g < ngraphs; g++) {
		size_t graph = follow(w->b, graphs + 4 * (size_t)g);
		uint32_t n = vector(w->b, field(w->b, graph, 0), 4, &tensors);
		for (uint32_t i = 0; i < n; i++) {
			if (++w->steps > VN_MAX_MODEL_STEPS)
				return;
			tensor(w, follow(w->b, tensors + 4 * (size_t)i));
		}
		if (++w->steps > VN_MAX_MODEL_STEPS)
			return;
	}
}

static size_t walk_model(struct walk *w)
{
	size_t model = u32_at(w->b, 0);
	if (model >= w->b.len)
		model = 0;
	w->nbuffers = vector(w->b, field(w->b, model, 4), 4, &w->buffers);
	subgraphs(w, model);
	return model;
}

void vn_map_tflite(struct vn_bytes b, struct vn_map *map)
{
	struct walk w = { .b = b, .map = map };
	if (b.len >= 8 && !memcmp(b.p + 4, "TFL3", 4))
		walk_model(&w);
}

bool vn_look_tflite(struct vn_bytes b, struct vn_model_facts *ret)
{
	if (b.len < 8 || memcmp(b.p + 4, "TFL3", 4))
		return false;
	struct walk w = { .b = b };
	size_t model = walk_model(&w);
	VN_FACT(ret->format, "tflite");
	vn_fact_add(ret->detail, sizeof(ret->detail), vector_bytes(b, field(b, model, 3)));
	const char *weights = vn_tally_top(&w.weights);
	if (weights)
		VN_FACT(ret->quantisation, !strcmp(weights, "i16") ? "int16" : vn_quantisation_of(weights));
	else if (w.elements.n)
		VN_FACT(ret->quantisation, "none");
	vn_fact_tally(ret, &w.elements);
	return true;
}

bool vn_look_ort(struct vn_bytes b, struct vn_model_facts *ret)
{
	if (b.len < 8 || memcmp(b.p + 4, "ORTM", 4))
		return false;
	VN_FACT(ret->format, "ort");
	VN_FACT(ret->detail, "ONNX Runtime");
	return true;
}
