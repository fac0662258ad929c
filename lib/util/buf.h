/* A growable byte buffer that refuses to exist without a maximum. data[len] is always 0, so text can be read in place. */
#ifndef VN_UTIL_BUF_H
#define VN_UTIL_BUF_H
#include "util/err.h"
#include <stddef.h>
#include <stdint.h>

struct vn_buf {
	char *data;      /* NULL until the first byte */
	size_t len, cap;
	size_t max;      /* most bytes it may hold; VN_ELIMIT beyond */
};
#define VN_BUF(max_) { NULL, 0, 0, (max_) }

void vn_buf_release(struct vn_buf *buf);
void vn_buf_clear(struct vn_buf *buf);
int vn_buf_reserve(struct vn_buf *buf, size_t extra, struct vn_err *err);
int vn_buf_add(struct vn_buf *buf, const void *data, size_t len, struct vn_err *err);
int vn_buf_adds(struct vn_buf *buf, const char *text, struct vn_err *err);
int vn_buf_addf(struct vn_buf *buf, struct vn_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The text ("" when empty), still owned by the buffer. */
const char *vn_buf_text(const struct vn_buf *buf);
/* Give the bytes to the caller (free()); never NULL on success. */
int vn_buf_steal(struct vn_buf *buf, char **ret_text, struct vn_err *err);

/* Grow `*array` of `size`-byte elements so that it holds `need` of them. */
int vn_grow(void *array, size_t *cap, size_t need, size_t size, struct vn_err *err);
int vn_strdup(const char *text, char **ret_text, struct vn_err *err);      /* NULL gives NULL */
int vn_asprintf(char **ret_text, struct vn_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#endif
