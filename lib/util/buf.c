#include "util/buf.h"
#include "util/num.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vn_buf_release(struct vn_buf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->len = buf->cap = 0;
}

void vn_buf_clear(struct vn_buf *buf)
{
	buf->len = 0;
	if (buf->data)
		buf->data[0] = 0;
}

int vn_buf_reserve(struct vn_buf *buf, size_t extra, struct vn_err *err)
{
	if (buf->len > buf->max || extra > buf->max - buf->len)
		return vn_fail(err, VN_ELIMIT, "more than %zu bytes", buf->max);
	size_t need = buf->len + extra + 1;
	if (need <= buf->cap)
		return 0;
	size_t cap = buf->cap ? buf->cap : 64;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	char *data = realloc(buf->data, cap);
	if (!data)
		return vn_nomem(err);
	buf->data = data;
	buf->cap = cap;
	buf->data[buf->len] = 0;
	return 0;
}

int vn_buf_add(struct vn_buf *buf, const void *data, size_t len, struct vn_err *err)
{
	int r = vn_buf_reserve(buf, len, err);
	if (r < 0)
		return r;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = 0;
	return 0;
}

int vn_buf_adds(struct vn_buf *buf, const char *text, struct vn_err *err)
{
	return vn_buf_add(buf, text, strlen(text), err);
}

int vn_buf_addf(struct vn_buf *buf, struct vn_err *err, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		return vn_nomem(err);
	int r = vn_buf_reserve(buf, (size_t)n, err);
	if (r < 0)
		return r;
	va_start(args, fmt);
	vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, args);
	va_end(args);
	buf->len += (size_t)n;
	return 0;
}

const char *vn_buf_text(const struct vn_buf *buf)
{
	return buf->data ? buf->data : "";
}

int vn_buf_steal(struct vn_buf *buf, char **ret_text, struct vn_err *err)
{
	int r = vn_buf_reserve(buf, 0, err);
	if (r < 0)
		return r;
	*ret_text = buf->data;
	buf->data = NULL;
	buf->len = buf->cap = 0;
	return 0;
}

int vn_grow(void *array, size_t *cap, size_t need, size_t size, struct vn_err *err)
{
	void **p = array;
	if (need <= *cap)
		return 0;
	size_t n = *cap ? *cap : 8, bytes;
	while (n < need)
		n = n > SIZE_MAX / 2 ? need : n + n / 2 + 1;
	if (!vn_mul_size(n, size, &bytes))
		return vn_nomem(err);
	void *larger = realloc(*p, bytes);
	if (!larger)
		return vn_nomem(err);
	*p = larger;
	*cap = n;
	return 0;
}

int vn_strdup(const char *text, char **ret_text, struct vn_err *err)
{
	char *copy = text ? strdup(text) : NULL;
	if (text && !copy)
		return vn_nomem(err);
	*ret_text = copy;
	return 0;
}

int vn_asprintf(char **ret_text, struct vn_err *err, const char *fmt, ...)
{
	char *text;
	va_list args;
	va_start(args, fmt);
	int n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		return vn_nomem(err);
	*ret_text = text;
	return 0;
}
