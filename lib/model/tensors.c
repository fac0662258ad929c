#include "model/tensors.h"
#include "model/look.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdlib.h>
#include <string.h>

#define TENSOR_MIN 16                 /* bytes: shorter ones are found without a hint */
#define RATIO_MAX 8                   /* between an f64 and an i8 */

void vn_model_tensors_release(struct vn_model_tensors *tensors)
{
	free(tensors->list);
	*tensors = (struct vn_model_tensors){ 0 };
}

void vn_model_pairs_release(struct vn_model_pairs *pairs)
{
	free(pairs->list);
	*pairs = (struct vn_model_pairs){ 0 };
}

/* FNV-1a */
static uint64_t hash_of(struct vn_bytes name)
{
	uint64_t h = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < name.len; i++)
		h = (h ^ name.p[i]) * 0x100000001b3ull;
	return name.len ? h | 1 : 0;
}

void vn_map_add(struct vn_map *map, struct vn_bytes name, const char *element, struct vn_bytes data)
{
	struct vn_model_tensors *t = map ? map->ret : NULL;
	struct vn_err err = { 0 };
	if (!t || map->failed || data.len < TENSOR_MIN || t->count >= VN_MAX_MODEL_TENSORS)
		return;
	if (vn_grow(&t->list, &t->cap, t->count + 1, sizeof(*t->list), &err) < 0) {
		map->failed = true;
		return;
	}
	struct vn_model_tensor *n = &t->list[t->count++];
	*n = (struct vn_model_tensor){ .hash = hash_of(name), .element = element ? element : "",
				       .at = (uint64_t)(data.p - map->whole.p), .len = data.len };
	vn_fact_add(n->name, sizeof(n->name), name);
}

int vn_model_tensors(const char *path, const void *bytes, size_t len, struct vn_model_tensors *ret, struct vn_err *err)
{
	VN_AUTO(vn_model_tensors) list = { 0 };
	struct vn_bytes b = { bytes, len };
	struct vn_map map = { .whole = b, .ret = &list };
	const char *named = vn_model_by_path(path);
	if (!named)
		named = vn_model_by_magic(bytes, len);
	if (vn_bytes_start(b, "PK\3\4", 4))
		vn_map_zip(b, &map);
	else if (vn_bytes_start(b, "GGUF", 4))
		vn_map_gguf(b, &map);
	else if (vn_bytes_start(b, "\x93NUMPY", 6))
		vn_map_npy(b, vn_bytes_at(b, 0, 0), &map);
	else if (len >= 8 && !memcmp(b.p + 4, "TFL3", 4))
		vn_map_tflite(b, &map);
	else if (named && !strcmp(named, "safetensors"))
		vn_map_safetensors(b, &map);
	else if (named && !strcmp(named, "onnx"))
		vn_map_onnx(b, &map);
	else if (named && (!strcmp(named, "pickle") || !strcmp(named, "joblib")))
		vn_map_pickle(b, &map);
	if (map.failed)
		return vn_nomem(err);
	*ret = list;
	list = (struct vn_model_tensors){ 0 };
	return 0;
}

/* ---- pairs */
struct side {
	const struct vn_model_tensor *tensor;
	size_t number;
};

/* Alike ones stand side by side, in the order of the file. */
static int by_name(const void *a, const void *b)
{
	const struct side *x = a, *y = b;
	if (x->tensor->hash != y->tensor->hash)
		return x->tensor->hash < y->tensor->hash ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static int by_shape(const void *a, const void *b)
{
	const struct side *x = a, *y = b;
	int c = strcmp(x->tensor->element, y->tensor->element);
	if (c == 0)
		c = (x->tensor->len > y->tensor->len) - (x->tensor->len < y->tensor->len);
	return c ? c : (x->number > y->number) - (x->number < y->number);
}

static int same_name(const struct side *x, const struct side *y)
{
	return x->tensor->hash == y->tensor->hash ? 0 : x->tensor->hash < y->tensor->hash ? -1 : 1;
}

static int same_shape(const struct side *x, const struct side *y)
{
	struct side a = { x->tensor, 0 }, b = { y->tensor, 0 };
	return by_shape(&a, &b);
}

static bool comparable(uint64_t a, uint64_t b)
{
	uint64_t low = a < b ? a : b, high = a < b ? b : a, ratio = low ? high / low : 0;
	return ratio && ratio <= RATIO_MAX && low * ratio == high && (ratio & (ratio - 1)) == 0;
}

struct match {
	struct side *old, *now;
	size_t nold, nnow;
	struct vn_model_pair *ret;
	size_t count;
};

/* Walks both sorted lists, takes what agrees and leaves the rest for the next order. */
static void match(struct match *m, int (*order)(const void *, const void *), int (*same)(const struct side *, const struct side *),
		  bool named)
{
	size_t i = 0, k = 0, left_old = 0, left_now = 0;
	qsort(m->old, m->nold, sizeof(*m->old), order);
	qsort(m->now, m->nnow, sizeof(*m->now), order);
	while (i < m->nold || k < m->nnow) {
		int c = i == m->nold ? 1 : k == m->nnow ? -1 : same(&m->old[i], &m->now[k]);
		const struct vn_model_tensor *o = i < m->nold ? m->old[i].tensor : NULL;
		const struct vn_model_tensor *n = k < m->nnow ? m->now[k].tensor : NULL;
		if (c == 0 && (!named || (o->hash && comparable(o->len, n->len)))) {
			m->ret[m->count++] = (struct vn_model_pair){ n->at, n->len, o->at, o->len };
			i++, k++;
			continue;
		}
		if (c <= 0)
			m->old[left_old++] = m->old[i++];
		if (c >= 0)
			m->now[left_now++] = m->now[k++];
	}
	m->nold = left_old;
	m->nnow = left_now;
}

static int by_place(const void *a, const void *b)
{
	const struct vn_model_pair *x = a, *y = b;
	return (x->new_at > y->new_at) - (x->new_at < y->new_at);
}

static struct side *sides(const struct vn_model_tensors *t)
{
	struct side *s = calloc(t->count + 1, sizeof(*s));
	for (size_t i = 0; s && i < t->count; i++)
		s[i] = (struct side){ &t->list[i], i };
	return s;
}

int vn_model_pair(const struct vn_model_tensors *old, const struct vn_model_tensors *now, struct vn_model_pairs *ret,
		  struct vn_err *err)
{
	VN_AUTO_FREE struct side *a = sides(old), *b = sides(now);
	VN_AUTO(vn_model_pairs) pairs = { .list = calloc(now->count + 1, sizeof(*pairs.list)) };
	if (!a || !b || !pairs.list)
		return vn_nomem(err);
	struct match m = { a, b, old->count, now->count, pairs.list, 0 };
	match(&m, by_name, same_name, true);
	match(&m, by_shape, same_shape, false);
	if (m.count)
		qsort(m.ret, m.count, sizeof(*m.ret), by_place);
	uint64_t end = 0;
	for (size_t i = 0; i < m.count; i++)
		if (m.ret[i].new_at >= end) {
			end = m.ret[i].new_at + m.ret[i].new_len;
			pairs.list[pairs.count++] = m.ret[i];
		}
	*ret = pairs;
	pairs = (struct vn_model_pairs){ 0 };
	return 0;
}
