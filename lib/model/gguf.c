/* GGUF (ggml docs/gguf.md): "GGUF", u32 version, u64 tensor count, u64 metadata count, metadata {string key, u32 type, value},
 * tensors {string name, u32 n, n dims, u32 type, u64 offset}. A string is u64 length and bytes. Version 1 counts, measures and
 * dimensions in u32; version 3 may be big-endian, which the version word shows. */
#include "model/look.h"
#include "util/limits.h"
#include <string.h>

enum { GGUF_STRING = 8, GGUF_ARRAY = 9, GGUF_U32 = 4 };

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

static void metadata(struct vn_cur *c, unsigned word, uint64_t n, uint32_t *steps, struct vn_model_facts *ret)
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
		} else {
			skip_value(c, word, type, 0, steps);
		}
	}
	vn_fact_add(ret->detail, sizeof(ret->detail), size);
}

static void tensors(struct vn_cur *c, unsigned word, uint64_t n, uint32_t *steps, struct vn_tally *t)
{
	for (uint64_t i = 0; i < n && !c->bad; i++) {
		c->bad |= ++*steps > VN_MAX_MODEL_STEPS;
		string(c, word);
		uint64_t dims = vn_cur_uint(c, 4), elements = 1, bytes = 0;
		bool odd = dims > 8;
		for (uint64_t d = 0; d < dims && !odd && !c->bad; d++)
			odd |= __builtin_mul_overflow(elements, vn_cur_uint(c, word), &elements);
		uint64_t type = vn_cur_uint(c, 4);
		vn_cur_take(c, 8);
		if (odd)
			c->bad = true;
		if (c->bad || type >= sizeof(types) / sizeof(*types) || !types[type].name)
			continue;
		if (!__builtin_mul_overflow(elements / types[type].elements, types[type].bytes, &bytes))
			vn_tally_add(t, types[type].name, bytes);
	}
}

bool vn_look_gguf(struct vn_bytes b, struct vn_model_facts *ret)
{
	struct vn_cur c = vn_cur_of(b);
	if (!vn_bytes_start(vn_cur_take(&c, 4), "GGUF", 4))
		return false;
	uint64_t version = vn_cur_uint(&c, 4);
	if (version && !(version & 0xffffff)) {
		c.big = true;
		version >>= 24;
	}
	VN_FACT(ret->format, "gguf");
	if (version < 1 || version > 3)
		return true;
	unsigned word = version == 1 ? 4 : 8;
	uint64_t ntensors = vn_cur_uint(&c, word), nmetadata = vn_cur_uint(&c, word);
	struct vn_tally t = { 0 };
	uint32_t steps = 0;
	metadata(&c, word, nmetadata, &steps, ret);
	if (!c.bad)
		tensors(&c, word, ntensors, &steps, &t);
	const char *top = vn_tally_top(&t);
	if (top && !ret->quantisation[0] && (top[0] == 'q' || top[0] == 't' || top[0] == 'm' || !strncmp(top, "iq", 2)))
		VN_FACT(ret->quantisation, top);
	vn_fact_tally(ret, &t);
	return true;
}
