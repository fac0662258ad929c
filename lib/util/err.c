#include "util/err.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int vn_exit_status(enum vn_code code)
{
	switch (code) {
	case VN_OK:
		return 0;
	case VN_EREFUSED:
		return 1;
	case VN_EUSAGE:
		return 2;
	case VN_EDIGEST:
	case VN_EUNSAFE:
	case VN_ELIMIT:
		return 4;
	case VN_ENETWORK:
		return 5;
	default:
		return 3;
	}
}

/* Texts from outside stand in messages: none of them may speak to a terminal. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

__attribute__((format(printf, 4, 0))) static void set(struct vn_err *err, enum vn_code code, int sys, const char *fmt,
						      va_list args)
{
	err->code = code;
	err->sys = sys;
	err->hint[0] = 0;
	if (vsnprintf(err->text, sizeof(err->text), fmt, args) < 0)
		err->text[0] = 0;
	make_plain(err->text);
}

int vn_fail(struct vn_err *err, enum vn_code code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	set(err, code, 0, fmt, args);
	va_end(args);
	return -(int)code;
}

int vn_fail_sys(struct vn_err *err, enum vn_code code, const char *fmt, ...)
{
	int sys = errno;
	va_list args;
	va_start(args, fmt);
	set(err, code, sys, fmt, args);
	va_end(args);
	size_t len = strlen(err->text);
	char why[128] = "";
	const char *text = strerror_r(sys, why, sizeof(why));
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", text);
	return -(int)code;
}

int vn_wrap(struct vn_err *err, const char *fmt, ...)
{
	char outer[sizeof(err->text)];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(outer, sizeof(outer), fmt, args);
	va_end(args);
	size_t cause = strlen(err->text);
	if (n > 0 && (size_t)n + 2 + cause < sizeof(err->text)) {
		memmove(err->text + n + 2, err->text, cause + 1);
		memcpy(err->text, outer, (size_t)n);
		memcpy(err->text + n, ": ", 2);
		make_plain(err->text);
	}
	return -(int)err->code;
}

int vn_hint(struct vn_err *err, const char *fmt, ...)
{
	if (!err->hint[0]) {
		va_list args;
		va_start(args, fmt);
		if (vsnprintf(err->hint, sizeof(err->hint), fmt, args) < 0)
			err->hint[0] = 0;
		make_plain(err->hint);
		va_end(args);
	}
	return -(int)err->code;
}
