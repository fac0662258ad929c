/* Errors: one caller-owned, fixed-size object, so that reporting a failure can never fail itself. */
#ifndef VENEER_ERROR_H
#define VENEER_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VN_API __attribute__((visibility("default")))
#else
#define VN_API
#endif

/* The program's exit status for each code stands beside it (veneer(1), EXIT STATUS). */
enum vn_code {
	VN_OK = 0,        /* 0 */
	VN_EUSAGE,        /* 2  an argument is wrong */
	VN_EREFUSED,      /* 1  a gate says no: the operation would lose or change something */
	VN_EIO,           /* 3  the system refused a read, a write, a file */
	VN_ENOMEM,        /* 3 */
	VN_EFORMAT,       /* 3  not what the format allows, or a kind that is not supported */
	VN_ENOTFOUND,     /* 3 */
	VN_EAUTH,         /* 3  credentials missing, wrong or not enough */
	VN_EDIGEST,       /* 4  bytes differ from what their digest or size promised */
	VN_EUNSAFE,       /* 4  input built to do harm: a path that escapes, a bomb */
	VN_ELIMIT,        /* 4  a named cap (lib/util/limits.h) was exceeded */
	VN_ENETWORK,      /* 5  may work if tried again */
};

/* Zero it before the first call. `text` says what, where, expected and found; `hint`, when not empty, what to do. */
struct vn_err {
	enum vn_code code;
	int sys;          /* errno at the cause, 0 when none */
	char text[768];
	char hint[320];
	unsigned long reserved[4];
};

/* The exit status (0..5) for a code. */
VN_API int vn_exit_status(enum vn_code code);

#ifdef __cplusplus
}
#endif
#endif
