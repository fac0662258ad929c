#include "engine/marks.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include <string.h>

#define PRINT 15 /* bytes of the fingerprint that are kept */

struct slot {
	uint8_t print[PRINT];
	uint8_t bits; /* 0: free */
};
struct vn_marks {
	struct vn_printer *printer;
	struct slot *slots; /* open addressing, a power of two, at most half of it used */
	size_t n, cap;
};

int vn_marks_open(struct vn_marks **ret, struct vn_err *err)
{
	uint8_t key[VN_PRINT_KEY];
	VN_CLEANUP(vn_marks_close_p) struct vn_marks *m = calloc(1, sizeof(*m));
	if (!m)
		return vn_nomem(err);
	int rc = vn_random(key, sizeof(key), err);
	if (rc == 0)
		rc = vn_printer_open(key, &m->printer, err);
	if (rc == 0)
		*ret = vn_steal(m);
	return rc;
}

void vn_marks_close(struct vn_marks *m)
{
	if (!m)
		return;
	vn_printer_close(m->printer);
	free(m->slots);
	free(m);
}

void vn_marks_clear(struct vn_marks *m)
{
	free(m->slots);
	m->slots = NULL;
	m->n = m->cap = 0;
}

static struct slot *find(const struct vn_marks *m, const uint8_t print[PRINT])
{
	size_t at = (size_t)vn_get_u64(print) & (m->cap - 1);
	while (m->slots[at].bits && memcmp(m->slots[at].print, print, PRINT))
		at = (at + 1) & (m->cap - 1);
	return &m->slots[at];
}

static int grow(struct vn_marks *m, struct vn_err *err)
{
	struct slot *old = m->slots;
	size_t cap = m->cap;
	if (m->n * 2 < cap)
		return 0;
	if (m->n >= VN_MAX_TREE_PATHS)
		return vn_fail(err, VN_ELIMIT, "more than %u paths in one layer", VN_MAX_TREE_PATHS);
	struct slot *larger = calloc(cap ? cap * 2 : 256, sizeof(*larger));
	if (!larger)
		return vn_nomem(err);
	m->slots = larger;
	m->cap = cap ? cap * 2 : 256;
	for (size_t i = 0; i < cap; i++)
		if (old[i].bits)
			*find(m, old[i].print) = old[i];
	free(old);
	return 0;
}

static int print_of(struct vn_marks *m, const char *path, size_t len, uint8_t print[VN_PRINT_SIZE], struct vn_err *err)
{
	int rc = vn_printer_add(m->printer, path, len, err);
	return rc < 0 ? rc : vn_printer_end(m->printer, print, err);
}

int vn_marks_get(struct vn_marks *m, const char *path, size_t len, uint8_t *ret, struct vn_err *err)
{
	uint8_t print[VN_PRINT_SIZE];
	int rc = print_of(m, path, len, print, err);
	if (rc == 0)
		*ret = m->cap ? find(m, print)->bits : 0;
	return rc;
}

int vn_marks_set(struct vn_marks *m, const char *path, size_t len, uint8_t drop, uint8_t add, struct vn_err *err)
{
	uint8_t print[VN_PRINT_SIZE];
	int rc = print_of(m, path, len, print, err);
	if (rc == 0)
		rc = grow(m, err);
	if (rc < 0)
		return rc;
	struct slot *s = find(m, print);
	uint8_t bits = (uint8_t)((s->bits & ~drop) | add);
	if (!s->bits && bits) {
		memcpy(s->print, print, PRINT);
		m->n++;
	}
	/* a slot that becomes free would cut the way to those behind it */
	s->bits = bits || !s->bits ? bits : VN_MARK_NONE;
	return 0;
}

bool vn_marks_each(struct vn_marks *m, uint8_t any, uint8_t (*change)(uint8_t bits))
{
	bool seen = false;
	for (size_t i = 0; i < m->cap; i++) {
		struct slot *s = &m->slots[i];
		if (!s->bits)
			continue;
		seen |= (s->bits & any) != 0;
		uint8_t bits = change(s->bits);
		s->bits = bits ? bits : VN_MARK_NONE;
	}
	return seen;
}
