#include "util/arena.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK (32u << 10)
#define ALIGN 16u

struct vn_arena_block {
	struct vn_arena_block *next;
	size_t used, size;
	_Alignas(ALIGN) char data[];
};

void *vn_arena_take(struct vn_arena *a, size_t size, struct vn_err *err)
{
	if (size > SIZE_MAX / 4) {
		vn_nomem(err);
		return NULL;
	}
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!a->blocks || a->blocks->size - a->blocks->used < size) {
		size_t room = size > BLOCK / 4 ? size : BLOCK;
		struct vn_arena_block *b = calloc(1, sizeof(*b) + room);
		if (!b) {
			vn_nomem(err);
			return NULL;
		}
		b->size = room;
		b->next = a->blocks;
		a->blocks = b;
	}
	void *p = a->blocks->data + a->blocks->used;
	a->blocks->used += size;
	return p;
}

const char *vn_arena_text(struct vn_arena *a, const char *text, struct vn_err *err)
{
	if (!text)
		return NULL;
	size_t n = strlen(text) + 1;
	char *copy = vn_arena_take(a, n, err);
	return copy ? memcpy(copy, text, n) : NULL;
}

const char *vn_arena_printf(struct vn_arena *a, struct vn_err *err, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	char *text = n < 0 ? NULL : vn_arena_take(a, (size_t)n + 1, err);
	if (!text)
		return NULL;
	va_start(args, fmt);
	vsnprintf(text, (size_t)n + 1, fmt, args);
	va_end(args);
	return text;
}

void vn_arena_release(struct vn_arena *a)
{
	while (a->blocks) {
		struct vn_arena_block *next = a->blocks->next;
		free(a->blocks);
		a->blocks = next;
	}
}
