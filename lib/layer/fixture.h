/* What this module's tests share: layers written as lines of text (tar/pen.h), their indexes, and what a merge of them shows. */
#ifndef VN_LAYER_FIXTURE_H
#define VN_LAYER_FIXTURE_H
#include "layer/compare.h"
#include "layer/facts.h"
#include "tar/pen.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/test.h"
#include <stdlib.h>

static const struct vn_index_options fixture_options = { .key = { 1, 2, 3, 4, 5 }, .gather = &vn_gather_facts };

/* ---- indexes */
/* Index tar bytes in blocks of at most `chunk` (0: as they come). */
static inline int index_bytes(const void *bytes, size_t len, size_t chunk, struct vn_layer_index *ret, struct vn_err *err)
{
	VN_AUTO(vn_tmp) tmp = VN_TMP;
	struct vn_in *in = NULL;
	int r = vn_tmp_anonymous(&tmp, err);
	if (r == 0)
		r = vn_in_memory(bytes, len, &in, err);
	if (r == 0 && chunk)
		r = vn_in_fault(in, UINT64_MAX, true, chunk, &in, err);
	if (r == 0)
		r = vn_layer_index_build(in, "layer", &fixture_options, tmp.fd, err);
	if (r == 0)
		r = vn_layer_index_adopt(tmp.fd, "layer", ret, err);
	if (r == 0)
		tmp.fd = -1;
	return r;
}

static inline int index_text(const char *text, struct vn_layer_index *ret, struct vn_err *err)
{
	struct pen p;
	pen_open(&p);
	pen_text(&p, text);
	pen_close(&p);
	int r = index_bytes(p.bytes.data, p.bytes.len, 0, ret, err);
	vn_buf_release(&p.bytes);
	return r;
}

#define STACK_MAX 6
struct stack {
	struct vn_layer_index layers[STACK_MAX];
	const struct vn_layer_index *list[STACK_MAX];
	size_t n;
};
/* "LAYER | LAYER | …", the lowest first. */
static inline void stack_open(struct stack *s, const char *text)
{
	struct vn_err err = { 0 };
	char layer[1024];
	s->n = 0;
	for (bool more = *text; more && s->n < STACK_MAX; s->n++) {
		size_t n = strcspn(text, "|");
		snprintf(layer, sizeof(layer), "%.*s", (int)n, text);
		while (n && layer[n - 1] == ' ')
			layer[--n] = 0;
		text += strcspn(text, "|");
		more = *text == '|';
		text += more;
		text += strspn(text, " ");
		s->layers[s->n] = (struct vn_layer_index)VN_LAYER_INDEX;
		s->list[s->n] = &s->layers[s->n];
		CHECK_OK(index_text(layer, &s->layers[s->n], &err), &err);
	}
}

static inline void stack_close(struct stack *s)
{
	for (size_t i = 0; i < s->n; i++)
		vn_layer_index_release(&s->layers[i]);
}
#endif
