/* What a long operation tells while it runs: warnings, debug lines and progress, as data. The library never prints. */
#ifndef VENEER_EVENT_H
#define VENEER_EVENT_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vn_event_kind {
	VN_EVENT_WARNING,     /* text: one sentence that the user should read */
	VN_EVENT_DEBUG,       /* text: requests, retries, cache hits; never holds a secret */
	VN_EVENT_PROGRESS,    /* text: what; done, total in bytes (total 0 = unknown) */
	VN_EVENT_DONE,        /* text: what has ended; done: bytes */
};

struct vn_event {
	enum vn_event_kind kind;
	const char *text;     /* valid during the call */
	uint64_t done;
	uint64_t total;
};

/* `tell` may be NULL. It is called from several threads, one at a time. */
struct vn_events {
	void (*tell)(void *user, const struct vn_event *event);
	void *user;
};

#ifdef __cplusplus
}
#endif
#endif
