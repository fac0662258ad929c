/* ONNX (onnx.proto): ModelProto 2 producer_name, 3 producer_version, 7 graph, 8 opset_import, 25 functions; GraphProto 1 node,
 * 5 initializer, 15 sparse_initializer; NodeProto 4 op_type, 5 attribute; AttributeProto 5 t, 6 g, 7 floats, 10 tensors,
 * 11 graphs; TensorProto 1 dims, 2 data_type, 4…7, 10, 11 typed data, 8 name, 9 raw_data, 14 data_location; SparseTensorProto
 * 1 values; FunctionProto 7 node. */
#include "model/look.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>

/* enum TensorProto.DataType */
static const struct {
	const char *name;
	unsigned bits;
} types[] = {
	{ NULL, 0 },	  { "f32", 32 },    { "u8", 8 },      { "i8", 8 },     { "u16", 16 },  { "i16", 16 },
	{ "i32", 32 },	  { "i64", 64 },    { NULL, 0 },      { "bool", 8 },   { "f16", 16 },  { "f64", 64 },
	{ "u32", 32 },	  { "u64", 64 },    { "c64", 64 },    { "c128", 128 }, { "bf16", 16 }, { "f8_e4m3", 8 },
	{ "f8_e4m3", 8 }, { "f8_e5m2", 8 }, { "f8_e5m2", 8 }, { "u4", 4 },     { "i4", 4 },    { "f4_e2m1", 4 },
};

struct walk {
	struct vn_tally elements;
	bool quantised, matmul_nbits;
	uint32_t steps;
	struct vn_map *map;          /* NULL: facts only */
};

enum message { GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION };

static void tensor(struct walk *w, struct vn_bytes b)
{
	struct vn_cur c = vn_cur_of(b);
	uint64_t type = 0, n = 1, inside = 0;
	struct vn_bytes name = { b.p, 0 }, raw = { b.p, 0 };
	bool odd = false;
	for (struct vn_pb f; vn_pb_next(&c, &f);) {
		if (f.number == 1 && f.wire == 0)
			odd |= __builtin_mul_overflow(n, f.value, &n);
		else if (f.number == 1 && f.wire == 2) {
			struct vn_cur packed = vn_cur_of(f.bytes);
			while (!vn_cur_end(&packed)) {
				uint64_t dim = 0;
				size_t used = vn_get_varint(packed.b.p + packed.at, packed.b.len - packed.at, &dim);
				vn_cur_take(&packed, used ? used : UINT64_MAX);
				odd |= packed.bad || __builtin_mul_overflow(n, dim, &n);
			}
		} else if (f.number == 2 && f.wire == 0)
			type = f.value;
		else if (f.number == 8 && f.wire == 2)
			name = f.bytes;
		else if (f.number == 9 && f.wire == 2)
			raw = f.bytes;
	}
	inside = raw.len;
	if (type >= sizeof(types) / sizeof(*types))
		return;
	vn_map_add(w->map, name, types[type].name, raw);
	uint64_t bytes = inside;
	if (!inside && (odd || __builtin_mul_overflow(n, types[type].bits, &bytes)))
		return;
	vn_tally_add(&w->elements, types[type].name, inside ? inside : bytes / 8);
}

static void op_type(struct walk *w, struct vn_bytes name)
{
	static const char *const quantising[] = { "QuantizeLinear",
						  "DequantizeLinear",
						  "DynamicQuantizeLinear",
						  "ConvInteger",
						  "MatMulInteger",
						  "DynamicQuantizeMatMul",
						  "QAttention",
						  "QGemm" };
	if (vn_bytes_start(name, "QLinear", 7))
		w->quantised = true;
	if (vn_bytes_are(name, "MatMulNBits"))
		w->matmul_nbits = true;
	for (size_t i = 0; i < sizeof(quantising) / sizeof(*quantising); i++)
		if (vn_bytes_are(name, quantising[i]))
			w->quantised = true;
}

/* Which message a field holds; -1 = none of interest. */
static int child(enum message in, uint32_t number)
{
	static const struct {
		enum message in;
		uint32_t number;
		enum message is;
	} table[] = {
		{ GRAPH, 1, NODE },	  { GRAPH, 5, TENSOR },	   { GRAPH, 15, SPARSE },     { NODE, 5, ATTRIBUTE },
		{ ATTRIBUTE, 5, TENSOR }, { ATTRIBUTE, 6, GRAPH }, { ATTRIBUTE, 10, TENSOR }, { ATTRIBUTE, 11, GRAPH },
		{ SPARSE, 1, TENSOR },	  { FUNCTION, 7, NODE },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].in == in && table[i].number == number)
			return (int)table[i].is;
	return -1;
}

static void message(struct walk *w, enum message kind, struct vn_bytes b, unsigned depth)
{
	if (kind == TENSOR) {
		tensor(w, b);
		return;
	}
	struct vn_cur c = vn_cur_of(b);
	for (struct vn_pb f; depth < VN_MAX_MODEL_DEPTH && vn_pb_next(&c, &f);) {
		if (++w->steps > VN_MAX_MODEL_STEPS)
			return;
		if (f.wire != 2) {
			if (kind == ATTRIBUTE && f.number == 7)
				vn_tally_add(&w->elements, "f32", 4);
			continue;
		}
		if (kind == NODE && f.number == 4)
			op_type(w, f.bytes);
		else if (kind == ATTRIBUTE && f.number == 7)
			vn_tally_add(&w->elements, "f32", f.bytes.len);
		int is = child(kind, f.number);
		if (is >= 0)
			message(w, (enum message)is, f.bytes, depth + 1);
	}
}

static const char *quantisation(const struct walk *w)
{
	const struct vn_tally *t = &w->elements;
	uint64_t i8 = vn_tally_of(t, "i8"), u8 = vn_tally_of(t, "u8");
	uint64_t wide = vn_tally_of(t, "f32") + vn_tally_of(t, "f64") + vn_tally_of(t, "f16") + vn_tally_of(t, "bf16");
	if (vn_tally_of(t, "i4") + vn_tally_of(t, "u4") > 0)
		return vn_tally_of(t, "i4") >= vn_tally_of(t, "u4") ? "int4" : "uint4";
	if (w->matmul_nbits)
		return "int4";
	if (w->quantised || i8 > wide)
		return u8 > i8 ? "uint8" : "int8";
	const char *top = vn_tally_of(t, "f16") > vn_tally_of(t, "f32") ? "f16" : vn_tally_top(t);
	return top ? vn_quantisation_of(top) : "";
}

bool vn_look_onnx(struct vn_bytes b, struct vn_model_facts *ret)
{
	struct vn_cur c = vn_cur_of(b);
	struct walk w = { 0 };
	struct vn_bytes producer = { b.p, 0 }, version = { b.p, 0 };
	bool graph = false;
	for (struct vn_pb f; vn_pb_next(&c, &f);) {
		if (++w.steps > VN_MAX_MODEL_STEPS)
			break;
		if (f.wire != 2)
			continue;
		if (f.number == 2)
			producer = f.bytes;
		else if (f.number == 3)
			version = f.bytes;
		else if (f.number == 7)
			graph = true;
		if (f.number == 7 || f.number == 25)
			message(&w, f.number == 7 ? GRAPH : FUNCTION, f.bytes, 0);
	}
	if (!graph)
		return false;
	VN_FACT(ret->format, "onnx");
	vn_fact_add(ret->detail, sizeof(ret->detail), producer);
	vn_fact_add(ret->detail, sizeof(ret->detail), version);
	VN_FACT(ret->quantisation, quantisation(&w));
	vn_fact_tally(ret, &w.elements);
	return true;
}

void vn_map_onnx(struct vn_bytes b, struct vn_map *map)
{
	struct vn_cur c = vn_cur_of(b);
	struct walk w = { .map = map };
	for (struct vn_pb f; ++w.steps <= VN_MAX_MODEL_STEPS && vn_pb_next(&c, &f);)
		if (f.wire == 2 && (f.number == 7 || f.number == 25))
			message(&w, f.number == 7 ? GRAPH : FUNCTION, f.bytes, 0);
}
