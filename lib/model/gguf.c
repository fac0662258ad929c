/* GGUF (ggml docs/gguf.md): "GGUF", u32 version, u64 tensor count, u64 metadata count, metadata {string key, u32 type, value},
 * tensors {string name, u32 n, n dims, u32 type, u64 offset}. A string is u64 length and bytes. Version 1 counts, measures and
 * dimensions in u32; version 3 may be big-endian, which the version word shows. Offsets count from where the data begins: behind
 * the tensors, at the next multiple of the alignment. */
#include "model/look.h"
#include "util/limits.h"
#include <string.h>

enum { GGUF_STRING = 8, GGUF_ARRAY = 9, GGUF_U32 = 4 };

#define ALIGNMENT 32                  /* of the data, unless general.alignment says another one */

static const uint8_t value_size[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

/* enum ggml_type: name, bytes and elements of a block */
static const struct {
	const char *name;
	uint16_t bytes, elements;
} types[] = {
	[0] = { "f32", 4, 1 },	       [1] = { "f16", 2, 1 },	      [2] = { "q4_0", 18, 32 },
	[3] = { "q4_1", 20, 32 },      [6] = { "q5_0", 22, 32 },      [7] = { "q5_1", 24, 32 },
	[8] = { "q8_0", 34, 32 },      [9] = { "q8_1", 36, 32 },      [10] = { "q2_k", 84, 256 },
	[11] = { "q3_k", 110, 256 },   [12] = { "q4_k", 144, 256 },   [13] = { "q5_k", 176, 256 },
	[14] = { "q6_k", 210, 256 },   [15] = { "q8_k", 292, 256 },   [16] = { "iq2_xxs", 66, 256 },
	[17] = { "iq2_xs", 74, 256 },  [18] = { "iq3_xxs", 98, 256 }, [19] = { "iq1_s", 50, 256 },
	[20] = { "iq4_nl", 18, 32 },   [21] = { "iq3_s", 110, 256 },  [22] = { "iq2_s", 82, 256 },
	[23] = { "iq4_xs", 136, 256 }, [24] = { "i8", 1, 1 },	      [25] = { "i16", 2, 1 },
	[26] = { "i32", 4, 1 },	       [27] = { "i64", 8, 1 },	      [28] = { "f64", 8, 1 },
	[29] = { "iq1_m", 56, 256 },   [30] = { "bf16", 2, 1 },	      [34] = { "tq1_0", 54, 256 },
	[35] = { "tq2_0", 66, 256 },   [39] = { "mxfp4", 17, 32 },
};

/* general.file_type (enum llama_ftype) */
static const char *const file_types[] = {
	[0] = "none", [1] = "fp16", [2] = "q4_0", [3] = "q4_1", [7] = "q8_0", [8] = "q5_0",
	[9] = "q5_1", [10] = "q2_k", [11] = "q3_k_s", [12] = "q3_k_m", [13] = "q3_k_l", [14] = "q4_k_s",
	[15] = "q4_k_m", [16] = "q5_k_s", [17] = "q5_k_m", [18] = "q6_k", [19] = "iq2_xxs", [20] = "iq2_xs",
	[21] = "q2_k_s", [22] = "iq3_xs", [23] = "iq3_xxs", [24] = "iq1_s", [25] = "iq4_nl", [26] = "iq3_s",
	[27] = "iq3_m", [28] = "iq2_s", [29] = "iq2_m", [30] = "iq4_xs", [31] = "iq1_m", [32] = "bf16",
	[36] = "tq1_0", [37] = "tq2_0", [38] = "mxfp4",
};

static struct vn_bytes string(struct vn_cur *c, unsigned word)
{
	return vn_cur_take(c, vn_cur_uint(c, word));
}

static void skip_value(struct vn_cur *c, unsigned word, uint64_t type, unsigned depth, uint32_t *steps)
{
	if (type == GGUF_STRING) {
		string(c, word);
	} else if (type == GGUF_ARRAY && depth < VN_MAX_MODEL_DEPTH) {
		uint64_t of = vn_cur_uint(c, 4), n = vn_cur_uint(c, word), bytes = 0;
		if (of < sizeof(value_size) && value_size[of]) {
			vn_cur_take(c, __builtin_mul_overflow(n, value_size[of], &bytes) ? UINT64_MAX : bytes);
			return;
		}
		for (uint64_t i = 0; i < n && !c->bad; i++) {
			c->bad |= ++*steps > VN_MAX_MODEL_STEPS;
			skip_value(c, word, of, depth + 1, steps);
		}
	} else if (type < sizeof(value_size) && value_size[type]) {
		vn_cur_take(c, value_size[type]);
	} else {
		c->bad = true;
	}
}

static void metadata(struct vn_cur *c, unsigned word, uint64_t n, uint32_t *steps, struct vn_model_facts *ret,
		     uint64_t *ret_alignment)
{
	struct vn_bytes size = { c->b.p, 0 };
	for (uint64_t i = 0; i < n && !c->bad; i++) {
		c->bad |= ++*steps > VN_MAX_MODEL_STEPS;
		struct vn_bytes key = string(c, word);
		uint64_t type = vn_cur_uint(c, 4);
		if (type == GGUF_STRING && vn_bytes_are(key, "general.architecture")) {
			struct vn_bytes text = string(c, word);
			ret->detail[0] = 0;
			vn_fact_add(ret->detail, sizeof(ret->detail), text);
		} else if (type == GGUF_STRING && vn_bytes_are(key, "general.size_label")) {
			size = string(c, word);
		} else if (type == GGUF_U32 && vn_bytes_are(key, "general.file_type")) {
			uint64_t file_type = vn_cur_uint(c, 4);
			if (file_type < sizeof(file_types) / sizeof(*file_types) && file_types[file_type])
				VN_FACT(ret->quantisation, file_types[file_type]);
		} else if (type == GGUF_U32 && vn_bytes_are(key, "general.alignment")) {
			*ret_alignment = vn_cur_uint(c, 4);
		} else {
			skip_value(c, word, type, 0, steps);
		}
	}
	vn_fact_add(ret->detail, sizeof(ret->detail), size);
}

struct tensor {
	struct vn_bytes name;
	const char *element;         /* NULL: unknown */
	uint64_t offset, bytes;
};

static bool next_tensor(struct vn_cur *c, unsigned word, struct tensor *ret)
{
	struct tensor t = { .name = string(c, word) };
	uint64_t dims = vn_cur_uint(c, 4), elements = 1;
	bool odd = dims > 8;
	for (uint64_t d = 0; d < dims && !odd && !c->bad; d++)
		odd |= __builtin_mul_overflow(elements, vn_cur_uint(c, word), &elements);
	uint64_t type = vn_cur_uint(c, 4);
	t.offset = vn_cur_uint(c, 8);
	c->bad |= odd;
	if (c->bad)
		return false;
	if (type < sizeof(types) / sizeof(*types) && types[type].name &&
	    !__builtin_mul_overflow(elements / types[type].elements, types[type].bytes, &t.bytes))
		t.element = types[type].name;
	*ret = t;
	return true;
}

struct head {
	unsigned word;
	uint64_t tensors, alignment;
	uint32_t steps;
};

/* Up to the tensors; false when there is nothing more to read. */
static bool read_head(struct vn_cur *c, struct head *h, struct vn_model_facts *ret)
{
	uint64_t version = vn_cur_uint(c, 4);
	if (version && !(version & 0xffffff)) {
		c->big = true;
		version >>= 24;
	}
	if (version < 1 || version > 3)
		return false;
	h->word = version == 1 ? 4 : 8;
	h->alignment = ALIGNMENT;
	h->tensors = vn_cur_uint(c, h->word);
	metadata(c, h->word, vn_cur_uint(c, h->word), &h->steps, ret, &h->alignment);
	return !c->bad;
}

bool vn_look_gguf(struct vn_bytes b, struct vn_model_facts *ret)
{
	struct vn_cur c = vn_cur_of(b);
	struct head h = { 0 };
	struct vn_tally t = { 0 };
	struct tensor tensor;
	if (!vn_bytes_start(vn_cur_take(&c, 4), "GGUF", 4))
		return false;
	VN_FACT(ret->format, "gguf");
	bool more = read_head(&c, &h, ret);
	for (uint64_t i = 0; more && i < h.tensors && ++h.steps <= VN_MAX_MODEL_STEPS && next_tensor(&c, h.word, &tensor); i++)
		vn_tally_add(&t, tensor.element, tensor.bytes);
	const char *top = vn_tally_top(&t);
	if (top && !ret->quantisation[0] && (top[0] == 'q' || top[0] == 't' || top[0] == 'm' || !strncmp(top, "iq", 2)))
		VN_FACT(ret->quantisation, top);
	vn_fact_tally(ret, &t);
	return true;
}

void vn_map_gguf(struct vn_bytes b, struct vn_map *map)
{
	struct vn_cur c = vn_cur_of(b), again;
	struct head h = { 0 };
	struct vn_model_facts ignored = { 0 };
	struct tensor t;
	uint64_t n = 0;
	if (!vn_bytes_start(vn_cur_take(&c, 4), "GGUF", 4) || !read_head(&c, &h, &ignored) || h.alignment == 0)
		return;
	again = c;
	while (n < h.tensors && n < VN_MAX_MODEL_TENSORS && next_tensor(&c, h.word, &t))
		n++;
	if (n < h.tensors || c.at > b.len - (h.alignment - c.at % h.alignment) % h.alignment)
		return;
	uint64_t start = c.at + (h.alignment - c.at % h.alignment) % h.alignment;
	struct vn_bytes data = vn_bytes_at(b, start, b.len - start);
	while (n-- > 0 && next_tensor(&again, h.word, &t))
		if (t.element)
			vn_map_add(map, t.name, t.element, vn_bytes_at(data, t.offset, t.bytes));
}
