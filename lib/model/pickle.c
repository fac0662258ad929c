/* Pickles (CPython Lib/pickletools.py), read opcode by opcode and never executed: the classes that are named, the dtypes of
 * arrays and the bytes that follow them. joblib's NumpyArrayWrapper puts raw array bytes behind the BUILD that ends it:
 * (joblib >= 1.2 with an alignment: u8 pad length, padding,) product(shape) * itemsize bytes; object arrays are a nested
 * pickle. torch's persistent ids are tuples ("storage", class, key, location, number of elements). */
#include "model/look.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <string.h>

enum kind { V_NONE, V_STRING, V_GLOBAL, V_DTYPE, V_INT };

struct value {
	enum kind kind;
	struct vn_bytes a, b; /* string or dtype: a; global: module a, name b */
	uint64_t n;
};

struct walk {
	struct vn_cur c;
	struct vn_pickle_facts *f;
	struct vn_map *map;          /* NULL: facts only */
	struct value *memo; /* VN_MAX_PICKLE_MEMO, and as many for a nested pickle */
	uint64_t memoised, outer_memoised;
	struct value last, before;   /* the two newest values */
	struct value dtype, storage; /* the newest of their kind */
	uint64_t newest_int;
	bool frombuffer;	   /* protocol 5: numpy's _frombuffer takes the bytes first, then the dtype */
	struct vn_bytes waiting;   /* such a buffer */
	bool dtype_pending;	   /* numpy.dtype was named; its text comes next */
	bool dtype_call;	   /* the next REDUCE makes it */
	bool key_shape, key_align; /* the newest text was this key of a joblib wrapper's state */
	bool wrapper;		   /* within a joblib wrapper */
	uint64_t shape, align;
	uint8_t before_op;
	bool nested;	  /* within the pickle of an object array */
	unsigned pickles; /* that ended */
	uint32_t steps;
};

static void push(struct walk *w, struct value v)
{
	w->before = w->last;
	w->last = v;
}

static bool plumbing(struct vn_bytes module)
{
	static const char *const roots[] = { "copyreg", "copy_reg", "builtins", "__builtin__", "collections", "_codecs",
					     "numpy",	"joblib",   "torch",	"functools",   "operator",    "scipy" };
	size_t root = vn_bytes_find(module, ".");
	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++)
		if (vn_bytes_are((struct vn_bytes){ module.p, root }, roots[i]))
			return !vn_bytes_start(module, "torch.nn.modules", 16);
	return false;
}

static void copy(char *out, size_t size, struct vn_bytes text)
{
	out[0] = 0;
	vn_fact_add(out, size, text);
}

/* torch's storage classes; UntypedStorage and others give NULL. */
static const char *storage_element(struct vn_bytes name)
{
	static const struct {
		const char *name, *element;
	} table[] = {
		{ "FloatStorage", "f32" },  { "HalfStorage", "f16" },	 { "BFloat16Storage", "bf16" },
		{ "DoubleStorage", "f64" }, { "LongStorage", "i64" },	 { "IntStorage", "i32" },
		{ "ShortStorage", "i16" },  { "CharStorage", "i8" },	 { "ByteStorage", "u8" },
		{ "BoolStorage", "bool" },  { "QInt8Storage", "i8" },	 { "QUInt8Storage", "u8" },
		{ "QInt32Storage", "i32" }, { "QUInt4x2Storage", "u4" }, { "ComplexFloatStorage", "c64" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (vn_bytes_are(name, table[i].name))
			return table[i].element;
	return NULL;
}

static uint64_t element_size(const char *element)
{
	static const char *const sized[] = { "i8u8boolu4", "i16u16f16bf16", "i32u32f32", "i64u64f64c64" };
	for (size_t i = 0; i < sizeof(sized) / sizeof(*sized); i++)
		if (strstr(sized[i], element))
			return 1u << i;
	return 16;
}

static void array(struct walk *w, struct vn_bytes dtype, struct vn_bytes data)
{
	const char *element = vn_numpy_element(dtype);
	vn_tally_add(&w->f->elements, element, data.len);
	vn_map_add(w->map, (struct vn_bytes){ data.p, 0 }, element, data);
}

static void new_dtype(struct walk *w, struct vn_bytes text)
{
	w->dtype = (struct value){ .kind = V_DTYPE, .a = text };
	if (w->waiting.len)
		array(w, text, w->waiting);
	w->waiting.len = 0;
}

static void global(struct walk *w, struct vn_bytes module, struct vn_bytes name)
{
	struct value v = { .kind = V_GLOBAL, .a = module, .b = name };
	if (!w->f->module[0] && !plumbing(module)) {
		copy(w->f->module, sizeof(w->f->module), module);
		copy(w->f->name, sizeof(w->f->name), name);
	}
	if (vn_bytes_start(module, "torch", 5) && (module.len == 5 || module.p[5] == '.')) {
		w->f->torch = true;
		if (storage_element(name))
			w->storage = v;
	}
	w->frombuffer = vn_bytes_are(name, "_frombuffer");
	if (vn_bytes_are(name, "NumpyArrayWrapper")) {
		w->f->joblib = w->wrapper = true;
		w->shape = 1;
		w->align = 0;
	}
	w->dtype_pending = vn_bytes_are(module, "numpy") && vn_bytes_are(name, "dtype");
	push(w, v);
}

static void string(struct walk *w, struct vn_bytes text)
{
	if (w->dtype_pending) {
		new_dtype(w, text);
		w->dtype_call = true;
	}
	w->dtype_pending = false;
	w->key_shape = w->wrapper && vn_bytes_are(text, "shape");
	w->key_align = w->wrapper && vn_bytes_are(text, "numpy_array_alignment_bytes");
	push(w, (struct value){ .kind = V_STRING, .a = text });
}

static void integer(struct walk *w, uint64_t n)
{
	if (w->key_shape && __builtin_mul_overflow(w->shape, n, &w->shape))
		w->c.bad = true;
	if (w->key_align)
		w->align = n;
	w->key_align = false;
	w->newest_int = n;
	push(w, (struct value){ .kind = V_INT, .n = n });
}

static void blob(struct walk *w, struct vn_bytes bytes)
{
	if (w->frombuffer)
		w->waiting = bytes;
	else if (w->dtype.kind == V_DTYPE)
		array(w, w->dtype.a, bytes);
	w->frombuffer = false;
	push(w, (struct value){ 0 });
}

static struct value *memo(const struct walk *w)
{
	return w->memo + (w->nested ? VN_MAX_PICKLE_MEMO : 0);
}

static void recall(struct walk *w, uint64_t i)
{
	struct value v = i < VN_MAX_PICKLE_MEMO ? memo(w)[i] : (struct value){ 0 };
	if (v.kind == V_GLOBAL)
		global(w, v.a, v.b);
	else if (v.kind == V_STRING)
		string(w, v.a);
	else if (v.kind == V_DTYPE)
		new_dtype(w, v.a);
	if (v.kind == V_DTYPE || v.kind == V_NONE)
		push(w, v);
}

static void memoise(struct walk *w, uint64_t i)
{
	if (i < VN_MAX_PICKLE_MEMO)
		memo(w)[i] = w->last;
	w->memoised++;
}

/* The array bytes that joblib writes behind a wrapper. */
static void wrapped_array(struct walk *w)
{
	w->wrapper = w->key_shape = w->key_align = false;
	struct vn_bytes d = w->dtype.a;
	if (w->dtype.kind != V_DTYPE || !d.len)
		return;
	if (memchr(d.p, 'O', d.len)) {
		w->nested = true;
		w->outer_memoised = w->memoised;
		w->memoised = 0;
		return;
	}
	if (w->align)
		vn_cur_take(&w->c, vn_cur_uint(&w->c, 1));
	size_t digits = d.len;
	uint64_t item = 0, bytes = 0;
	while (digits && d.p[digits - 1] >= '0' && d.p[digits - 1] <= '9')
		digits--;
	for (size_t i = digits; i < d.len && item < 1u << 24; i++)
		item = item * 10 + (d.p[i] - '0');
	if (digits && d.p[digits - 1] == 'U')
		item *= 4;
	bool odd = __builtin_mul_overflow(w->shape, item, &bytes);
	struct vn_bytes data = vn_cur_take(&w->c, odd ? UINT64_MAX : bytes);
	if (!w->c.bad)
		array(w, d, data);
}

static void persistent(struct walk *w)
{
	const char *element = w->storage.kind == V_GLOBAL ? storage_element(w->storage.b) : NULL;
	uint64_t bytes = 0;
	if (!element || __builtin_mul_overflow(w->newest_int, element_size(element), &bytes))
		return;
	if (vn_bytes_start(w->storage.b, "Q", 1))
		w->f->quantised = vn_quantisation_of(element);
	vn_tally_add(&w->f->elements, element, bytes);
}

static uint64_t decimal(struct vn_bytes text)
{
	uint64_t n = 0;
	for (size_t i = 0; i < text.len && text.p[i] >= '0' && text.p[i] <= '9' && n < UINT64_MAX / 16; i++)
		n = n * 10 + (text.p[i] - '0');
	return n;
}

/* 0: no argument; 1, 2, 4, 8: fixed; L: a line; M: two lines; a, b, c: counted by u8, u32, u64; X: no opcode. */
static char argument(uint8_t op)
{
	static const struct {
		const char *ops;
		char kind;
	} table[] = {
		{ "(.012NRQabdelostu)}]", '0' },
		{ "\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98", '0' },
		{ "FILSVPgp", 'L' },
		{ "ci", 'M' },
		{ "Khq\x80\x82", '1' },
		{ "M\x83", '2' },
		{ "Jjr\x84", '4' },
		{ "G\x95", '8' },
		{ "UC\x8a\x8c", 'a' },
		{ "TXB\x8b", 'b' },
		{ "\x8d\x8e\x96", 'c' },
	};
	for (size_t i = 0; op && i < sizeof(table) / sizeof(*table); i++)
		if (memchr(table[i].ops, (int)op, strlen(table[i].ops)))
			return table[i].kind;
	return 'X';
}

/* One STOP ends the walk, unless it ends a nested pickle or the file goes on with another one (torch's legacy format has
 * five). */
static bool stop(struct walk *w)
{
	w->f->whole = true;
	if (w->nested) {
		w->nested = false;
		w->memoised = w->outer_memoised;
		return false;
	}
	struct vn_bytes rest = vn_bytes_at(w->c.b, w->c.at, 2);
	w->memoised = 0;
	return rest.len != 2 || rest.p[0] != 0x80 || rest.p[1] > 5 || ++w->pickles > 5;
}

static void fixed(struct walk *w, uint8_t op, uint64_t n)
{
	if (op == 'K' || op == 'M' || op == 'J')
		integer(w, n);
	else if (op == 'h' || op == 'j')
		recall(w, n);
	else if (op == 'q' || op == 'r')
		memoise(w, n);
}

static void counted(struct walk *w, uint8_t op, struct vn_bytes b)
{
	if (op == 'X' || op == 0x8c || op == 0x8d || op == 'U')
		string(w, b);
	else if (op == 0x8a && b.len <= 8) {
		struct vn_cur c = vn_cur_of(b);
		uint64_t n = 0;
		for (unsigned i = 0; i < b.len; i++)
			n |= vn_cur_uint(&c, 1) << 8 * i;
		integer(w, n);
	} else
		blob(w, b);
}

static void line(struct walk *w, uint8_t op, struct vn_bytes text)
{
	if (op == 'V' || op == 'S')
		string(w, op == 'S' && text.len >= 2 ? (struct vn_bytes){ text.p + 1, text.len - 2 } : text);
	else if (op == 'I' || op == 'L')
		integer(w, decimal(text));
	else if (op == 'g')
		recall(w, decimal(text));
	else if (op == 'p')
		memoise(w, decimal(text));
}

static void plain(struct walk *w, uint8_t op)
{
	if (op == 0x93) {
		if (w->before.kind == V_STRING && w->last.kind == V_STRING)
			global(w, w->before.a, w->last.a);
	} else if (op == 0x94) {
		memoise(w, w->memoised);
	} else if (op == 'Q') {
		persistent(w);
		push(w, (struct value){ 0 });
	} else if (op == 'b') {
		if (w->wrapper && w->before_op == 'u')
			wrapped_array(w);
	} else if (op == 'R') {
		push(w, w->dtype_call ? w->dtype : (struct value){ 0 });
		w->dtype_call = false;
	} else if (strchr("t)]}N\x81\x85\x86\x87\x8f\x91\x92", op)) {
		w->key_shape = false;
		push(w, (struct value){ 0 });
	}
}

static void take(struct walk *w, uint8_t op, char kind)
{
	struct vn_bytes module;
	switch (kind) {
	case '0':
		plain(w, op);
		break;
	case 'a':
		counted(w, op, vn_cur_take(&w->c, vn_cur_uint(&w->c, 1)));
		break;
	case 'b':
		counted(w, op, vn_cur_take(&w->c, vn_cur_uint(&w->c, 4)));
		break;
	case 'c':
		counted(w, op, vn_cur_take(&w->c, vn_cur_uint(&w->c, 8)));
		break;
	case 'L':
		line(w, op, vn_cur_line(&w->c));
		break;
	case 'M':
		module = vn_cur_line(&w->c);
		global(w, module, vn_cur_line(&w->c));
		break;
	case 'X':
		w->c.bad = true;
		break;
	default:
		fixed(w, op, vn_cur_uint(&w->c, (unsigned)(kind - '0')));
	}
}

static void walk(struct vn_bytes b, struct vn_pickle_facts *f, struct vn_map *map)
{
	VN_AUTO_FREE struct value *values = calloc(2 * VN_MAX_PICKLE_MEMO, sizeof(*values));
	*f = (struct vn_pickle_facts){ .quantised = "" };
	struct walk w = { .c = vn_cur_of(b), .f = f, .map = map, .memo = values };
	while (values && !vn_cur_end(&w.c) && ++w.steps <= VN_MAX_MODEL_STEPS) {
		uint8_t op = (uint8_t)vn_cur_uint(&w.c, 1);
		if (op == '.') {
			if (stop(&w))
				return;
			continue;
		}
		take(&w, op, argument(op));
		if (op != 0x94 && op != 'q' && op != 'r' && op != 'p' && op != 0x95)
			w.before_op = op;
	}
}

void vn_pickle_walk(struct vn_bytes b, struct vn_pickle_facts *f)
{
	walk(b, f, NULL);
}

void vn_map_pickle(struct vn_bytes b, struct vn_map *map)
{
	struct vn_pickle_facts ignored;
	walk(b, &ignored, map);
}

void vn_pickle_detail(const struct vn_pickle_facts *f, char *out, size_t size)
{
	struct vn_bytes module = { (const uint8_t *)f->module, strlen(f->module) };
	module.len = vn_bytes_find(module, ".");
	out[0] = 0;
	if (vn_bytes_are(module, "sklearn"))
		vn_fact_adds(out, size, "scikit-learn");
	else if (!vn_bytes_are(module, "__main__") && !vn_bytes_are(module, "__torch__"))
		vn_fact_add(out, size, module);
	vn_fact_adds(out, size, f->name);
	if (!out[0] && f->torch)
		vn_fact_set(out, size, "state dict");
}

bool vn_look_pickle(struct vn_bytes b, struct vn_model_facts *ret)
{
	struct vn_pickle_facts f;
	bool framed = b.len > 2 && b.p[0] == 0x80 && b.p[1] >= 2 && b.p[1] <= 5;
	if (!framed && (!b.len || !strchr("(c}]li", b.p[0]) || !b.p[0]))
		return false;
	vn_pickle_walk(b, &f);
	if (!framed && !f.whole)
		return false;
	VN_FACT(ret->format, f.torch ? "pytorch" : f.joblib ? "joblib" : "pickle");
	vn_pickle_detail(&f, ret->detail, sizeof(ret->detail));
	VN_FACT(ret->quantisation, f.quantised);
	if (!f.torch && !f.joblib)
		VN_FACT(ret->quantisation, "");
	vn_fact_tally(ret, &f.elements);
	return true;
}

bool vn_look_joblib_packed(struct vn_bytes b, struct vn_model_facts *ret)
{
	static const struct {
		const char *magic, *name;
		size_t len;
	} table[] = {
		{ "\x1f\x8b", "gzip", 2 },	   { "\x78\x01", "zlib", 2 }, { "\x78\x5e", "zlib", 2 },
		{ "\x78\x9c", "zlib", 2 },	   { "\x78\xda", "zlib", 2 }, { "BZh", "bzip2", 3 },
		{ "\xfd\x37zXZ", "xz", 5 },	   { "]\0\0", "lzma", 3 },    { "\x04\x22\x4d\x18", "lz4", 4 },
		{ "\x28\xb5\x2f\xfd", "zstd", 4 },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		if (!vn_bytes_start(b, table[i].magic, table[i].len))
			continue;
		VN_FACT(ret->format, "joblib");
		VN_FACT(ret->detail, table[i].name);
		vn_fact_adds(ret->detail, sizeof(ret->detail), "compressed");
		return true;
	}
	return false;
}
